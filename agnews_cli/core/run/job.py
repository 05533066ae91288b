"""What passes the door between the light world and the torch world: Job in, Event and Outcome out.

The worker appends one JSON object a line to `events.jsonl` and writes `outcome.json` last. An
exit code proves nothing (accelerate does not pass it on): no outcome means the worker died.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from agnews_cli.core.run.dataset import Dataset, Split
from agnews_cli.core.run.deadline import Deadline
from agnews_cli.core.run.diversity import DiversityLimits
from agnews_cli.core.run.event_kinds import EventKind
from agnews_cli.core.run.looks import LookOrder
from agnews_cli.core.run.preset import Preset
from agnews_cli.core.run.state import RunState, as_end
from agnews_cli.core.run.work import Combiner, Distillation, Form, RowChoice

CandidateKind = Literal["linear", "forest", "embedding", "finetune"]
COUNTED: tuple[CandidateKind, ...] = ("linear", "forest")
"""Those that count words, and have no pretrained weights in them."""


class Job(BaseModel):
    """One order to the worker: what every kind of work is told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    run: str
    nodes: tuple[str, ...] = ()
    """The names of what is done with it: of a training and of the evaluation of its model."""
    folder: str
    """The run's folder: everything the worker writes goes there."""
    cache: str
    """Folder for tokenised data, shared by runs."""
    dataset: Dataset
    """Without its test split: who trains and chooses cannot know where that lies."""
    test: str | None = None
    """A file, beside this one, with the `TestOrder`: opened when nothing is left to choose."""
    locked: tuple[str, ...] = ()
    """Files that hold test rows alone, by digests that name none (`learn.door.test_lock`): to open
    one before `test` is opened is an error."""
    test_rows: int = 0
    """How many test rows there are, so that a budget leaves time for them."""
    seed: int = 0
    token: int = 0
    """Fencing number of this session: the writer with the highest one is the run's."""
    writer: str = "local"
    lifetime_s: float = 4 * 3600.0
    """Mean time between random ends of sessions here, for the interval between checkpoints."""
    session_end_monotonic_s: float | None = None
    """When this session must have everything saved: the run is paused then, and goes on later."""
    parent_pid: int | None = None
    """The command that watches the worker; without it the worker saves and stops."""
    started_monotonic_s: float
    """`time.monotonic()` when the user's command began: elapsed times count from there."""
    deadline_monotonic_s: float | None = None
    """When the command must have ended, on the same clock."""

    @property
    def is_light(self) -> bool:
        """Whether it needs no torch: it is one process, which no launcher starts."""
        return False

    @property
    def label(self) -> str:
        """What the work is called in lists: the run's name without its hash."""
        return self.run.rpartition("-")[0] or self.run

    @property
    def budget(self) -> Deadline:
        """The end of the time that was asked for."""
        return Deadline("budget", self.deadline_monotonic_s)

    @property
    def session_end(self) -> Deadline:
        """The end of what is left of this session."""
        return Deadline("session", self.session_end_monotonic_s)

    @field_validator("dataset")
    @classmethod
    def _has_no_test(cls, dataset: Dataset) -> Dataset:
        return dataset.without_test


class TrainJob(Job):
    """Train a model, and evaluate it where there are test rows."""

    kind: Literal["train"] = "train"
    preset: Preset
    model_path: str
    """A folder that `from_pretrained` loads, or a hub id where the hub answered."""
    rows: dict[Split, str] = {}
    """Files of clean rows to be mapped (`store.data.row_file`); what is not there is read anew."""
    teacher: tuple[str, ...] = ()
    """Files of what a teacher says of the rows that train, each row once, and of those without
    labels; where one is called `validation`, also of the rows that validate."""
    distillation: Distillation = Distillation()
    """Counts where there is a teacher."""
    has_unlabelled: bool = False
    """Whether the data's rows without labels are learned from, by what the teacher says of them."""
    limit_train: int | None = None
    fold: int | None = None
    """The part that validates where `folds` parts do so by turns, each in a run of its own."""
    folds: int | None = None
    candidates: tuple[CandidateKind, ...] = ("finetune",)
    """What may be trained, in this order. The first fine-tuned model is the plan; with a deadline
    the others are added as time allows."""
    blend: bool = False
    """Deliver an average of candidates where it validates better than each alone."""
    save_every_s: float | None = None
    """Seconds between checkpoints, instead of the interval that costs least."""
    beyond: tuple[str, ...] = ()
    """What of its recipe goes beyond limits, and why: for its card."""
    trace: bool = False
    """Write every step's rows, rate and loss to `trace.jsonl`, and keep what is not delivered."""
    is_inexact: bool = False
    """Go on also where libraries changed, so that the result may differ from a straight run's."""

    @property
    def is_light(self) -> bool:
        return set(self.candidates) <= set(COUNTED)

    @property
    def choice(self) -> RowChoice:
        """Which rows are used and which validate."""
        return RowChoice(
            data=self.preset.data, limit=self.limit_train, fold=self.fold, folds=self.folds
        )

    @property
    def rows_seed(self) -> int:
        """Draws the rows that are used and those that validate; `seed` is the model's."""
        return self.preset.data.seed


class PredictJob(Job):
    """Ask a model of rows, and keep what it says of them by row digest."""

    kind: Literal["predict"] = "predict"
    model: str
    """The folder of a run, or of a delivered model."""
    bases: dict[str, str] = {}
    """The pretrained models that it needs besides, by id: where each lies, a folder or a hub id."""
    of: Literal["train", "validation", "unlabelled"] = "train"
    rows: dict[Split, str] = {}
    """As `TrainJob.rows`."""
    choice: RowChoice = RowChoice()
    has_hidden: bool = False
    """Whether the model's hidden states are kept too."""
    save_every_s: float | None = None
    """As `TrainJob.save_every_s`."""


class EvaluateJob(Job):
    """Ask a model that is finished about the test rows: the only work whose `test` is its all."""

    kind: Literal["evaluate"] = "evaluate"
    model: str
    """As `PredictJob.model`."""
    bases: dict[str, str] = {}
    trained: TrainJob | None = None
    """What made it, where that is a run of ours: its test rows may be among its training rows, and
    its cards have its figures."""
    save_every_s: float | None = None
    """As `TrainJob.save_every_s`."""


class CombineMember(BaseModel):
    """One member of an ensemble, as files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    delivery: str | None = None
    """The folder of a run that has its model; None: only its predictions are there."""
    validation: tuple[str, ...]
    """Files of what it says of rows that it has not seen, each row once."""
    test: str | None = None
    """A file of what it says of the test rows; opened when the combination is chosen."""
    latency: str | None = None
    """A file of how fast it answered when it said that."""


class CombineJob(Job):
    """Make one model of several, from what they said; no torch and no accelerator is needed."""

    @property
    def is_light(self) -> bool:
        return True

    kind: Literal["combine"] = "combine"
    how: Combiner
    members: Annotated[tuple[CombineMember, ...], Field(min_length=1)]
    limits: DiversityLimits = DiversityLimits()
    """Beyond these it is said."""


class ExportJob(Job):
    """Deliver a model in another form: verified beside it, and then evaluated itself."""

    @property
    def is_light(self) -> bool:
        return True

    kind: Literal["export"] = "export"
    model: str
    """As `PredictJob.model`."""
    bases: dict[str, str] = {}
    form: Form
    trained: TrainJob
    """What made the model: the rows that validated it are those that it is verified on."""


class TestOrder(BaseModel):
    """What is to be evaluated once everything is chosen: the one file that names test rows."""

    __test__: ClassVar[bool] = False  # no test, whatever it is called

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: Dataset
    rows: str | None = None
    """As `TrainJob.rows`."""
    look: LookOrder
    """What is written down before."""
    store: str
    """The folder that keeps it."""


AnyJob = Annotated[
    TrainJob | PredictJob | EvaluateJob | CombineJob | ExportJob, Field(discriminator="kind")
]


class Event(BaseModel):
    """One line of `events.jsonl`. `kind` says which keys `data` has (`core/run/event_kinds`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: EventKind
    at: str
    elapsed_s: float
    data: dict[str, Any]


class ReaderLeft(Exception):
    """Nobody sees the events any more; raised by what shows them."""


class ReaderStalled(ReaderLeft):
    """Nobody has read for a while, and may again: the event was taken, and nothing need stop."""


class Failure(BaseModel):
    """An error put into words by the process that met it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    message: str
    hint: str
    exit_code: int


class Candidate(BaseModel):
    """One model that was trained for a run, and how it validated."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: CandidateKind | Literal["run"]
    """`run`: a member of an ensemble, or what was exported."""
    validation_accuracy: float
    validation_loss: float
    seconds: float
    weight: float = 0.0
    """Its share in the delivered average; 0 means it was not delivered."""
    temperature: float | None = None
    """By which its logits are divided, built into its head; None where nothing was."""


class Outcome(BaseModel):
    """How the worker ended; written last. `writer`: of its session, as in the job."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: Annotated[RunState, AfterValidator(as_end)]
    writer: str = ""
    done: tuple[str, ...] = ()
    """The names of what is done now (`Job.nodes`)."""
    step: int = 0
    total_steps: int = 0
    tuning: str = ""
    """The fine-tuning that a stop cut off, at `step`; else empty."""
    model_step: int = 0
    """The step of its best weights, which were written as the run's model; 0: none were."""
    candidates: tuple[Candidate, ...] = ()
    failure: Failure | None = None
    why: str = ""
    """Why this is delivered and nothing else."""
    notes: tuple[str, ...] = ()
    """What the user should look at: the last screen repeats it."""
