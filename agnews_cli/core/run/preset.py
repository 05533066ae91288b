"""A preset: one named, complete configuration, read from YAML that users copy and edit.

Unknown keys are refused and every field is typed, so a misspelt option is an error and never a
silent default. Field descriptions are the documentation: `agnews presets show NAME` prints them.
"""

from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field

from agnews_cli.core.run.anatomy import Anatomy
from agnews_cli.core.run.expected import Measured, Published
from agnews_cli.core.run.long_texts import (
    CUT,
    MOST_WINDOWS,
    How,
    LongTexts,
    Pooling,
    head_tail,
    windows,
)
from agnews_cli.core.run.method import Full, Method, WordCounts
from agnews_cli.core.run.network import Network

Naming = Literal["platform", "goal"]
"""For a machine, or for what is wanted: a preset of another tier, which it extends."""
OneModel = Literal["encoder", "llm", "linear", "baseline", Naming]
Tier = Literal["encoder", "llm", "linear", "baseline", "ensemble", "distilled", Naming]
NAMING: tuple[str, ...] = get_args(Naming)
Precision = Literal["auto", "fp32", "fp16", "bf16"]
Positive = Annotated[int, Field(gt=0, le=1_000_000_000)]
Epochs = Annotated[float, Field(gt=0, le=100_000)]
Weight = Annotated[float, Field(ge=0, le=1_000)]
Share = Annotated[float, Field(ge=0, lt=1)]

_FULL_STEP_LENGTH = 256
"""Up to this many tokens of a text, a preset's step holds enough texts."""
_MOST_EPOCHS = 20.0
_USUAL_SNAPSHOTS, MOST_SNAPSHOTS = 5, 50
_MOST_HELD = 1 / 3
_MOST_FOLDS, _LEAST_FOLDS, _FOLDED_ROWS = 5, 3, 500


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)


class Model(_Strict):
    id: str = Field(description="Hub id, or a folder that `from_pretrained` loads.")
    revision: str | None = Field(None, description="Hub commit; None takes the newest.")
    embedded: str | None = Field(
        None, description="Package that carries the same weights, used when their SHA-256 agree."
    )
    parameters: Annotated[int, Field(gt=0, le=10**15)] = Field(
        description="Weights, for memory and time estimates."
    )
    licence: str = Field(description="SPDX name, or the licence's own.")


class Training(_Strict):
    epochs: Epochs = Field(3, description="Passes over the training rows.")
    lr: Annotated[float, Field(gt=0, lt=1)] = Field(description="Peak learning rate.")
    layer_decay: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0,
        description="Share of the rate that a layer has of the one above it (Howard and Ruder "
        "2018); the head has the whole. 0.8 to 0.95 are usual.",
    )
    frozen_layers: Annotated[int, Field(ge=0, le=10_000)] | None = Field(
        None,
        description="The embeddings and so many of the lowest layers are not trained; 0: "
        "the embeddings alone.",
    )
    weight_decay: Share = Field(0.01, description="Decoupled; not on biases and norms.")
    warmup: Share = Field(0.1, description="Share of the steps with a rising rate.")
    schedule: Literal["linear", "cosine", "polynomial", "inverse_square_root", "cyclic"] = Field(
        "linear",
        description="How the rate falls after the rise: to zero, but for inverse_square_root. "
        "cyclic: by a cosine, and again from the peak in each of `snapshots` cycles (Loshchilov "
        "and Hutter 2017); it never stops early.",
    )
    schedule_power: Annotated[float, Field(gt=0, le=100)] = Field(
        2.0, description="Of the polynomial schedule; 1 is the linear one."
    )
    snapshots: Annotated[int, Field(ge=1, le=MOST_SNAPSHOTS)] = Field(
        _USUAL_SNAPSHOTS,
        description="Cycles of the schedule `cyclic`, which alone reads it. The weights at the end "
        "of each are kept: members of a snapshot ensemble (Huang et al. 2017).",
    )
    batch_tokens: Positive = Field(
        1024, description="Tokens in one optimizer step, padding included, over all devices."
    )
    micro_batch_tokens: Positive | None = Field(
        None, description="Most tokens in one forward pass of one device; None: the whole share."
    )
    least_steps: Annotated[int, Field(ge=0, le=1_000_000_000)] = Field(
        60,
        description="Few rows are passed more often than `epochs` says, up to 20 times, until "
        "there are so many steps, without R-Drop and teacher. --set training.epochs=N sets it to "
        "0.",
    )
    max_length: Positive = Field(
        128, description="Tokens kept of a text; more where many are longer, up to `longest`."
    )
    longest: Positive | None = Field(
        None,
        description="Most tokens that may be kept of a text. None: 512, or what the model reads "
        "where that is less. --set training.max_length=N sets it to N too.",
    )
    long_texts: How = Field(
        "cut",
        description="What is read of a text with more tokens. cut: the first ones. head_tail: the "
        "first quarter and the last three (Sun et al. 2019). windows: all, in passes of so many "
        "tokens whose answers become one.",
    )
    window_overlap: Annotated[float, Field(ge=0, le=0.9)] = Field(
        0.25, description="Share of a window that the next one reads again; its stride is the rest."
    )
    window_pooling: Pooling = Field(
        "mean", description="What one answer is of the windows' logits, class by class."
    )
    most_windows: Annotated[int, Field(ge=1, le=MOST_WINDOWS)] = Field(
        16, description="Of a text the first so many windows are read; the rest is cut, and said."
    )
    optimizer: Literal["adamw", "adamw_8bit", "adafactor", "lamb"] = Field(
        "adamw",
        description="What changes the weights. adamw_8bit: by bitsandbytes, a quarter of the "
        "state. adafactor: hardly any; its rate is relative, 1e-3 to 1e-2. lamb: for "
        "large batches.",
    )
    loss: Literal["cross_entropy", "focal"] = Field(
        "cross_entropy",
        description="What is minimised, before options add to it. focal: rows that are answered "
        "well count less (Lin et al. 2017).",
    )
    focal_gamma: Annotated[float, Field(ge=0, le=20)] = Field(
        2.0, description="Of the focal loss; 0 is cross-entropy, 1 to 5 are usual."
    )
    clip_norm: Annotated[float, Field(gt=0, le=1e9)] = Field(
        1.0, description="Largest gradient norm."
    )
    label_smoothing: Share = Field(0.0, description="Share of the target spread over all classes.")
    r_drop: Weight = Field(
        0.0,
        description="Weight alpha of R-Drop (Liang et al. 2021): each row passes twice with other "
        "dropout masks, and how far they lead apart is added to the loss. Twice the work.",
    )
    fgm: Weight = Field(
        0.0,
        description="Norm of FGM's attack on a row's word embeddings (Miyato et al. 2017): each "
        "row passes once more, attacked, and both losses count. Twice the work; 0.1 to 1 is usual.",
    )
    pgd: Weight = Field(
        0.0,
        description="Radius of PGD's attack on a row's word embeddings (Madry et al. 2018): FGM's "
        "in `attack_steps` steps, each one more pass of the row.",
    )
    freelb: Weight = Field(
        0.0,
        description="Radius of FreeLB's attack (Zhu et al. 2020): a row passes `attack_steps` "
        "times, and every pass trains.",
    )
    attack_steps: Annotated[int, Field(ge=1, le=100)] = Field(
        3, description="Of PGD and FreeLB; 2 to 5 are usual."
    )
    sam: Weight = Field(
        0.0,
        description="Radius rho of SAM (Foret et al. 2021): the step is taken by the gradient at "
        "weights that are moved by so much to where the loss is higher. Twice the work; 0.05 to "
        "0.2 are usual.",
    )
    mixup: Weight = Field(
        0.0,
        description="Alpha of mixup (Zhang et al. 2018) of pooled states: each row is mixed with "
        "another of its batch, and learns both targets. 0.1 to 1 is usual.",
    )
    contrastive: Share = Field(
        0.0,
        description="Share of the loss that is supervised contrastive (Gunel et al. 2021): texts "
        "of a class are drawn together, in a batch. 0.1 to 0.9 are usual.",
    )
    contrastive_temperature: Annotated[float, Field(gt=0, le=100)] = Field(
        0.3, description="Of the contrastive loss: less looks at near rows more."
    )
    multi_sample_dropout: Annotated[int, Field(ge=0, le=1000)] = Field(
        0,
        description="How many dropout masks the last layer sees of a pass (Inoue 2019); 0: none "
        "of them. 4 to 8 are usual.",
    )
    sample_dropout: Share = Field(0.5, description="What each of those masks drops.")
    curriculum: Literal["none", "length"] = Field(
        "none", description="length: the first epoch goes from short texts to long ones."
    )
    linear_teacher: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0,
        description="Share of a row's target that is what the linear model says of it, asked of "
        "one that was trained without the row; the label is the rest.",
    )
    class_weights: Literal["auto", "none", "balanced"] = Field(
        "auto",
        description="balanced: rows of rare classes count more, as in scikit-learn. auto: so where "
        "the smallest class has less than a quarter of the rows of a mean one, at most ten times.",
    )
    token_masking: Share = Field(
        0.0, description="Share of a text's tokens hidden, drawn anew in each epoch."
    )
    ema: Share = Field(
        0.0,
        description="Decay of an exponential average of the weights, which is then what is "
        "validated and delivered; 0: none. 0.99 to 0.999 are usual.",
    )
    swa: Share = Field(
        0.0,
        description="Over this last share of the steps the mean of the weights is taken, which is "
        "then what is validated and delivered (Izmailov et al. 2018). 0.25 is usual.",
    )
    evaluations_per_epoch: Positive = Field(1, description="Validations in each epoch.")
    patience: Positive = Field(
        3, description="Validations without a lower calibrated loss before training stops early."
    )
    yardstick: bool = Field(
        True,
        description="A linear model is trained beside, and delivered where it validates better.",
    )
    precision: Precision = Field("auto", description="auto: what the hardware really computes in.")
    deterministic: bool = Field(
        False,
        description="Only kernels that repeat bit for bit, on a GPU too; slower there. A CPU "
        "repeats in any case.",
    )
    gradient_checkpointing: bool = Field(False, description="Less memory for a third more time.")

    @property
    def cycles(self) -> int:
        """Of a cyclic schedule, each of which leaves a snapshot; 0: it is another schedule."""
        return self.snapshots if self.schedule == "cyclic" else 0

    @property
    def passes_in_an_epoch(self) -> int:
        """How often each row passes through the model, forwards and backwards, in one."""
        attacked = 2 if self.fgm else 1
        if self.pgd:
            attacked = 1 + self.attack_steps
        if self.freelb:
            attacked = self.attack_steps
        return (2 if self.r_drop else 1) * attacked * (2 if self.sam else 1)

    @property
    def passes(self) -> float:
        """The same in the whole training."""
        return self.epochs * self.passes_in_an_epoch

    def read_at(self, length: int, *, begin: int, end: int) -> LongTexts:
        """How texts of more than `length` tokens are read, of which `begin` special ones come first
        and `end` last."""
        match self.long_texts:
            case "head_tail":
                return head_tail(length, begin=begin, end=end)
            case "windows":
                return windows(
                    length,
                    begin=begin,
                    end=end,
                    overlap=self.window_overlap,
                    pooling=self.window_pooling,
                    most=self.most_windows,
                )
            case "cut":
                return CUT

    def of_steps(self, an_epoch: float) -> Self:
        """The recipe where an epoch has so many steps: longer, and validated once in each epoch,
        where they would be too few to learn anything.

        So few rows are learnt without what keeps long training from overfitting: R-Drop and a
        teacher slow the first steps, of which there are hardly more.
        """
        epochs = min(_MOST_EPOCHS, self.least_steps / an_epoch)
        if epochs < self.epochs:
            return self
        plain = {"r_drop": 0.0, "linear_teacher": 0.0}
        return self.model_copy(update=plain | {"epochs": epochs, "evaluations_per_epoch": 1})

    def of_length(self, tokens: int) -> Self:
        """The recipe where so many tokens are kept of a text.

        A step of few long texts would be a noisy one: it grows with them, in passes that need no
        more memory.
        """
        if tokens <= _FULL_STEP_LENGTH:
            return self.model_copy(update={"max_length": tokens})
        step = self.batch_tokens * tokens // max(self.max_length, _FULL_STEP_LENGTH)
        return self.model_copy(
            update={
                "max_length": tokens,
                "batch_tokens": max(step, self.batch_tokens),
                "micro_batch_tokens": self.micro_batch_tokens or self.batch_tokens,
            }
        )


class ShortOfTime(_Strict):
    """What replaces a field of `training` when a budget leaves no time for the whole recipe."""

    epochs: Epochs | None = Field(
        None, description="At most so many passes; time that is left trains one more model."
    )
    lr: Annotated[float, Field(gt=0, lt=1)] | None = Field(None, description="Peak learning rate.")
    r_drop: Weight | None = Field(
        None, description="0 spares half the work, so that each row is seen twice as often."
    )
    linear_teacher: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        None, description="0 spares the time that asking the teacher takes."
    )
    evaluations_per_epoch: Positive | None = Field(
        None, description="Fewer validations leave more time for training."
    )


class Data(_Strict):
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(
        0,
        description="Draws the rows that validate, the folds and the rows of --limit-train. Apart "
        "from --seed, so that models with other seeds validate on the same rows.",
    )
    validation_share: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        0.1, description="Share of the training rows held out when there is no validation split."
    )
    validation_rows_at_least: Positive = Field(
        200, description="Fewer tell little: 90% right of 200 means 85 to 93%."
    )
    validation_rows_at_most: Positive = Field(1000, description="More validate no better.")
    cross_validated_below: Annotated[int, Field(ge=0, le=1_000_000_000)] = Field(
        600,
        description="With fewer training rows than this, and no validation split, every row "
        "validates, by cross-validation. 0: never.",
    )

    def held_share(self, rows: int) -> float:
        """Which share of so many training rows validates where no fold does."""
        least = self.validation_rows_at_least / rows
        most = min(self.validation_rows_at_most / rows, _MOST_HELD)
        return min(max(self.validation_share, least), most)

    def folds(self, rows: int) -> int:
        """In how many parts so many training rows are validated by turns; 0: they are not.

        Fewer for more rows: the cost is that of training on all rows three to five times.
        """
        if rows >= self.cross_validated_below or rows < 2 * _LEAST_FOLDS:
            return 0
        return min(_MOST_FOLDS, max(_LEAST_FOLDS, _FOLDED_ROWS // rows))

    def trained(self, rows: int) -> float:
        """Rows that are trained on, counted once for each training, of so many training rows."""
        folds = self.folds(rows)
        return rows * (folds if folds else 1 - self.held_share(rows))


class Beyond(_Strict):
    """Why a preset goes beyond a limit of `presets/limits.yaml`, and how far that reason holds."""

    field: Literal[
        "trained_parameters", "training.epochs", "training.lr", "training.evaluations_per_epoch"
    ] = Field(description="What goes beyond.")
    to: Annotated[float, Field(gt=0)] = Field(description="As far as the reason holds.")
    why: Annotated[str, Field(min_length=1, max_length=300)] = Field(
        description="The reason; the card has it."
    )


class Preset(_Strict):
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
    tier: OneModel
    summary: str = Field(description="One line: what it is good for.")
    order: int = Field(
        description="Our order of preference where several fit, higher first; not a measurement."
    )
    model: Model
    method: Method = Full.model_construct()
    network: Network | None = Field(
        None,
        description="In the place of the model's layers a small network on its word embeddings, "
        "trained whole: a baseline. None: the model itself.",
    )
    training: Training
    short_of_time: ShortOfTime = ShortOfTime.model_construct()
    data: Data = Data.model_construct()
    measured: tuple[Measured, ...] = ()
    published: tuple[Published, ...] = ()
    beyond_limits: tuple[Beyond, ...] = Field(
        (), description="Why it goes beyond a limit of presets/limits.yaml."
    )

    def reads(self, field: str) -> bool:
        """Whether a field by its dotted name decides anything: of a linear model few do."""
        group, _, name = field.partition(".")
        if not isinstance(self.method, WordCounts) or group not in ("training", "short_of_time"):
            return True
        return name in WordCounts.training_fields

    @property
    def is_chosen(self) -> bool:
        """Whether it may be taken where nobody names one: no baseline is, for a linear model stands
        beside every other, and nothing that names another preset."""
        return self.method.needs_weights and self.tier not in (*NAMING, "baseline")

    @property
    def snapshots_bytes(self) -> int:
        """Of all snapshots while it trains: of each what is trained, in fp32."""
        trained = self.method.trained_parameters(Anatomy(self.model.parameters))
        return 4 * self.training.cycles * trained

    def hurried(self, training: Training) -> Training:
        """`training` where there is no time for the whole recipe."""
        return training.model_copy(update=self.short_of_time.model_dump(exclude_none=True))
