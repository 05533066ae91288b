"""Everything with a result is a run: a piece of work, whose inputs are other runs.

A `Work` holds what decides its result and nothing else: no place on a disk, no name for people, no
fact about a model that changes no weight. So its hash is its name (`identity.run_id`), "done" is a
look-up of that name in any store, and a graph of work is rebuilt from what was asked.

A field at its default is not named in the hash: a new field with a default changes no id.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from agnews_cli.core.run.combiner import Average as Average
from agnews_cli.core.run.combiner import Combiner as Combiner
from agnews_cli.core.run.combiner import Stack as Stack
from agnews_cli.core.run.dataset import Split
from agnews_cli.core.run.method import Full, Method, WordCounts
from agnews_cli.core.run.network import Network
from agnews_cli.core.run.preset import Data, Preset, ShortOfTime, Training

RunId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]*-[0-9a-f]{10}$")]
"""`<label>-<10 hex digits>`; the label is for people."""
Part = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*(/[a-z0-9][a-z0-9-]*)?$", max_length=100)
]

MODEL: Part = "model"
"""The part of a run that predicts."""
SNAPSHOT = "snapshot-"
"""Begins the parts that a cyclic training leaves besides: the models at its cycles' ends."""
VALIDATION: Part = "predictions/validation"
"""The part that every training leaves: what it says of the rows that validated it, as logits."""
TRAIN: Part = "predictions/train"
"""The part that a teacher leaves that was asked about the rows that its student trains on."""
TEST: Part = "predictions/test"
"""The part that every evaluation leaves."""
GIVEN = "given."
"""Begins the id of what no run of ours made: nothing is known of it but what it is asked."""


def snapshot(cycle: int) -> Part:
    """The part that is the model at the end of a cycle, counted from 1."""
    return f"{SNAPSHOT}{cycle}"


def is_model(part: Part) -> bool:
    """Whether it predicts."""
    return part == MODEL or part.startswith(SNAPSHOT)


_UNREAD_LR = 1e-4


class _Strict(BaseModel):
    # Checked when it is first used: what a command does not name takes none of its time.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


class RowChoice(_Strict):
    """Which rows are trained on and which validate: never the model's seed.

    Works with equal rows share their validation rows, whatever their models and seeds.
    """

    data: Data = Data.model_construct()
    """How many validate, and the seed that draws them."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Of the training split only so many, the same share of each class."""
    fold: Annotated[int, Field(ge=0)] | None = None
    """The part that validates, where `folds` parts do so by turns, each in a work of its own."""
    folds: Annotated[int, Field(ge=2)] | None = None

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Self:
        if (self.fold is None) != (self.folds is None):
            raise ValueError("fold and folds go together")
        if self.fold is not None and self.folds is not None and self.fold >= self.folds:
            raise ValueError(f"there is no fold {self.fold} of {self.folds}, counted from 0")
        return self

    @property
    def seed(self) -> int:
        return self.data.seed


class RunOutput(_Strict):
    """What another run leaves: its model, a snapshot of it (`snapshot-3`), or its predictions."""

    run: RunId
    part: Part = MODEL


class Recipe(_Strict):
    """How weights are trained: a preset without its facts and its words for people."""

    weights: str
    """A hub id, or the content of a folder."""
    revision: str | None = None
    method: Method = Full.model_construct()
    network: Network | None = None
    training: Training
    short_of_time: ShortOfTime = ShortOfTime.model_construct()
    """Counts under a budget alone."""

    @classmethod
    def of(
        cls, preset: Preset, weights: str | None = None, *, has_budget: bool = False
    ) -> "Recipe":
        """`weights`: where they are not those that the preset's model id names.

        Of a linear model nothing is named that it does not read. All was checked as a preset's.
        """
        if isinstance(preset.method, WordCounts):
            read = {name: getattr(preset.training, name) for name in WordCounts.training_fields}
            training = Training(lr=_UNREAD_LR, **read)
            weights = preset.method.kind
            return cls.model_construct(weights=weights, method=preset.method, training=training)
        return cls.model_construct(
            weights=weights or preset.model.id,
            revision=preset.model.revision,
            method=preset.method,
            network=preset.network,
            training=preset.training,
            short_of_time=preset.short_of_time if has_budget else ShortOfTime.model_construct(),
        )


class Distillation(_Strict):
    """How a teacher counts: alpha CE(label) + (1 - alpha) T² KL(teacher at T || student at T)
    + hidden (1 - cos(teacher's hidden states, student's)).

    Hinton et al. 2015, arXiv 1503.02531; Sanh et al. 2019, arXiv 1910.01108.
    """

    alpha: Annotated[float, Field(ge=0, le=1)] = Field(
        0.3, description="Share of the loss that is the labels'; the teacher has the rest."
    )
    temperature: Annotated[float, Field(gt=0, le=100)] = Field(
        5.0, description="What logits of both are divided by: higher tells more of small ones."
    )
    hidden: Annotated[float, Field(ge=0, le=1_000)] = Field(
        0.0,
        description="Weight of 1 − cosine between both models' last hidden states, averaged over a "
        "text's tokens (DistilBERT, Sanh et al. 2019). The two must be as wide. 0: none.",
    )


class Train(_Strict):
    """A model from rows. It leaves `model` and `predictions/validation`, and where its schedule has
    cycles a `snapshot-N` of each."""

    kind: Literal["train"] = "train"
    recipe: Recipe
    rows: RowChoice = RowChoice.model_construct()
    seed: int = 0
    """Of the model: its head, the order of rows, dropout."""
    budget_s: float | None = None
    teacher: tuple[RunOutput, ...] = ()
    """What is learned from beside the labels: predictions that together speak of each row once (by
    its digest, so that tokenizers may differ), or a model to be asked."""
    has_unlabelled: bool = False
    """Whether rows without labels are learned from too, by what the teacher says of them."""
    distillation: Distillation = Distillation.model_construct()
    """Counts with a teacher alone."""


class Predict(_Strict):
    """What a model says of rows, as logits by row digest. It leaves `predictions/<of>`."""

    kind: Literal["predict"] = "predict"
    model: RunOutput
    rows: RowChoice = RowChoice.model_construct()
    of: Literal["train", "validation", "unlabelled"] = "train"
    """The rows that train, those that validate, or all that have no label; never the test rows."""
    has_hidden: bool = False
    """Whether its hidden states are kept too."""


class EnsembleMember(_Strict):
    """One column of an ensemble."""

    models: tuple[RunOutput, ...] = ()
    """Asked about new rows; of several the mean. None for one of which only files are there."""
    unseen: tuple[RunOutput, ...] = ()
    """Predictions on rows that it has not seen, each row once, such as those of its folds; a model
    stands for what it said of the rows that validated it. Empty: that of `models`."""

    @model_validator(mode="after")
    def _is_there(self) -> Self:
        if not self.models and not self.unseen:
            raise ValueError("a member needs a model or predictions")
        return self


class Combine(_Strict):
    """Members become one model. It reads predictions alone, and no file of the data. It leaves
    `model` and `predictions/validation`, so that it can be a member or a teacher itself."""

    kind: Literal["combine"] = "combine"
    how: Combiner = Average.model_construct()
    members: Annotated[tuple[EnsembleMember, ...], Field(min_length=1)]
    """In an order of our own: the same members in another order are the same work."""

    @model_validator(mode="after")
    def _is_a_set(self) -> Self:
        by_text = {member.model_dump_json(): member for member in self.members}
        if len(by_text) < len(self.members):
            raise ValueError("a member is named twice")
        ordered = tuple(by_text[text] for text in sorted(by_text))
        object.__setattr__(self, "members", ordered)  # frozen for everybody else
        return self


class Evaluate(_Strict):
    """Figures on the test rows: the only work that may read them. It leaves `predictions/test`.

    It lies in the folder of the run whose model it is about (`place`), for the process that made
    the model asks it; it has an id of its own all the same, so that other test rows are another
    evaluation of the same model, which need not be made again. What no run of ours made has no such
    folder, and its evaluation one of its own.
    """

    kind: Literal["evaluate"] = "evaluate"
    model: RunOutput
    beside: tuple[RunOutput, ...] = ()
    """`predictions/test` of other evaluations: of the members, which then are not asked again, and
    of what it is compared with."""


Form = Literal["onnx", "onnx-int8", "openvino"]
"""What answers without torch."""


class Export(_Strict):
    """A model in another form: a delivery of its own, verified beside the one it is made from."""

    kind: Literal["export"] = "export"
    model: RunOutput
    form: Form


Work = Annotated[Train | Predict | Combine | Evaluate | Export, Field(discriminator="kind")]


def sources(work: Work) -> tuple[RunOutput, ...]:
    """All that a work needs of others."""
    match work:
        case Train():
            return work.teacher
        case Predict() | Export():
            return (work.model,)
        case Combine():
            return tuple(one for m in work.members for one in (*m.models, *m.unseen))
        case Evaluate():
            return (work.model, *work.beside)


def inputs(work: Work) -> tuple[RunId, ...]:
    """The runs that must be done before, each once."""
    return tuple(dict.fromkeys(one.run for one in sources(work)))


def place(run: RunId, work: Work) -> RunId:
    """The run in whose folder the result of `work`, called `run`, lies: its own, or that of the
    model that it evaluates."""
    if isinstance(work, Evaluate) and work.model.part == MODEL:
        return run if work.model.run.startswith(GIVEN) else work.model.run
    return run


def reads(work: Work) -> tuple[Split, ...]:
    """The splits of the data that a work may read; whoever hands it data hands it no others."""
    match work:
        case Train():
            return ("train", "validation", *(("unlabelled",) if work.has_unlabelled else ()))
        case Predict(of="unlabelled"):
            return ("unlabelled",)
        case Predict():
            return ("train", "validation")
        case Evaluate():
            return ("test",)
        case Combine() | Export():
            return ()
