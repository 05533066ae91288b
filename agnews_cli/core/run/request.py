"""What may be asked of `agnews auto`: each field declared once, with all that is known of it.

A `Wish` decides the run and is stored whole with it; `SessionOptions` may change from session to
session. The command line, the request's file, the notebook's command, `agnews resume` and `--json`
are made from the fields by loops: to add one, declare it here and use it where it counts.

Help is made of it each time, so that it is quick to import: annotations are no texts to be compiled
again, and what says how a field is asked for is a named tuple.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple, get_args

from agnews_cli.core.run.forms import DURATION, HOURS, MOMENT, PLAIN, SEVERAL, Spelling

if TYPE_CHECKING:
    from agnews_cli.core.run.dataset import Reading

Goal = Literal["accuracy", "balanced", "speed"]
"""What to aim for where several presets fit."""

Tracker = Literal["none", "mlflow", "tensorboard", "wandb"]
"""What may be told of a training besides; each is an extra of the same name."""

DATA: Final = "Data"
MODEL: Final = "Model and training"
TIME: Final = "Time and budget"
STORES: Final = "Stores and resume"
MACHINE: Final = "Machine"
OUTPUT: Final = "Output"

MOST_SEED = 2**32 - 1
"""NumPy's generators take no more."""
MOST_PROCESSES = 64
MOST_ROWS = 1_000_000_000
MOST_TEST_SHARE: Final = 0.5


class Ask(NamedTuple):
    """How a field is asked for."""

    help: str
    group: str
    metavar: str | None = None
    form: Spelling = PLAIN
    option: str = ""
    """Without the dashes; empty: the field's name."""
    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    completes: Literal["columns", "presets", "stores"] | None = None
    """What Tab offers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What decides the run; the defaults are what `agnews auto` alone means."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    data: Annotated[
        str | None,
        Ask(
            "Folder, file (CSV, TSV, JSON, Parquet; zip, gz) or hub data set id. [AG News]",
            DATA,
            "DATA",
        ),
    ] = None
    text_columns: Annotated[
        tuple[str, ...],
        Ask(
            "Column with the text; give it again to join several.",
            DATA,
            "NAME",
            SEVERAL,
            "text-column",
            completes="columns",
        ),
    ] = ()
    label_column: Annotated[
        str | None, Ask("Column with the label.", DATA, "NAME", completes="columns")
    ] = None
    id_column: Annotated[
        str | None,
        Ask(
            "Column that names each row, as competitions want it back.",
            DATA,
            "NAME",
            completes="columns",
        ),
    ] = None
    no_header: Annotated[bool, Ask("The first row is data, not names of columns.", DATA)] = False
    encoding: Annotated[
        str | None,
        Ask("Encoding of the files, such as cp1251. [as the bytes say]", DATA, "CODEC"),
    ] = None
    raw_text: Annotated[bool, Ask("Leave texts as they are: take no markup out.", DATA)] = False
    skip_bad_rows: Annotated[
        bool, Ask("Leave out rows that cannot be used, and count them.", DATA)
    ] = False
    drop_rare: Annotated[
        int,
        Ask(
            "Leave out classes with fewer training rows. [0: none]",
            DATA,
            "N",
            least=0,
            most=MOST_ROWS,
        ),
    ] = 0
    test_share: Annotated[
        float | None,
        Ask(
            "Share of the rows held out as a test split where the data have none; 0: none. "
            "[0.1, at most 10,000 rows, where that is 100 or more]",
            DATA,
            "SHARE",
            least=0,
            most=MOST_TEST_SHARE,
        ),
    ] = None
    unlabelled: Annotated[
        str | None,
        Ask(
            "File of further texts, without labels, that a student learns from by what its "
            "teacher says of them.",
            DATA,
            "FILE",
        ),
    ] = None
    limit_train: Annotated[
        int | None,
        Ask("Use at most so many training rows.", DATA, "N", least=1, most=MOST_ROWS),
    ] = None
    preset: Annotated[
        str | None,
        Ask(
            "Preset name or YAML file; see `agnews presets ls`. [the best]",
            MODEL,
            "PRESET",
            completes="presets",
        ),
    ] = None
    model: Annotated[
        str | None,
        Ask(
            "Hub id, name in `agnews models ls` or folder of another model; the recipe is that of "
            "--preset, or of the preset nearest to it.",
            MODEL,
            "MODEL",
        ),
    ] = None
    goal: Annotated[Goal, Ask("What to aim for where several fit.", MODEL)] = "accuracy"
    epochs: Annotated[
        float | None,
        Ask("Passes over the training rows. [the preset's]", MODEL, "N", above=0),
    ] = None
    lr: Annotated[
        float | None,
        Ask("Peak learning rate, such as 2e-5. [the preset's]", MODEL, "RATE", above=0, below=1),
    ] = None
    batch_size: Annotated[
        int | None,
        Ask(
            "Texts in one optimizer step, over all devices, a text counted as 64 tokens: steps "
            "are filled by tokens. [the preset's]",
            MODEL,
            "N",
            least=1,
        ),
    ] = None
    seed: Annotated[
        int,
        Ask(
            "Seed of order and initial weights; data.seed draws the split. [0]",
            MODEL,
            "N",
            least=0,
            most=MOST_SEED,
        ),
    ] = 0
    settings: Annotated[
        tuple[str, ...],
        Ask(
            "Change a preset's field, such as training.lr=3e-5; repeatable.",
            MODEL,
            "FIELD=VALUE",
            SEVERAL,
            "set",
        ),
    ] = ()
    justify: Annotated[
        str | None,
        Ask(
            "Why a limit of presets/limits.yaml is gone beyond; the run keeps it. "
            "[what is beyond is refused]",
            MODEL,
            "REASON",
        ),
    ] = None
    budget_s: Annotated[
        float | None,
        Ask(
            "Wall clock for everything, such as 90s, 45m, 2h.", TIME, "DURATION", DURATION, "budget"
        ),
    ] = None

    @property
    def reading(self) -> "Reading":
        """What is said of the data."""
        from agnews_cli.core.run.dataset import Reading

        same = {name: getattr(self, name) for name in Reading.model_fields if name != "header"}
        return Reading(header=False if self.no_header else None, **same)

    @property
    def changes(self) -> tuple[str, ...]:
        """`settings`, with what the plain options stand for. Raises ValueWrong or SetTwice."""
        from agnews_cli.core.run.training_options import as_settings

        return as_settings(
            self.settings, epochs=self.epochs, lr=self.lr, batch_size=self.batch_size
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """What may differ from one session of a run to the next."""

    until_s: Annotated[
        float | None,
        Ask(
            "Pause in time to be saved by then: HH:MM local time, a weekday such as Sunday, or a "
            "duration from now. Where agnews chooses, the best that is finished by then.",
            TIME,
            "TIME",
            MOMENT,
            "until",
        ),
    ] = None
    session_s: Annotated[
        float | None,
        Ask(
            "Pause in time to be saved after so long: hours, such as 8, or a duration.",
            TIME,
            "HOURS",
            HOURS,
            "session-hours",
        ),
    ] = None
    save_every_s: Annotated[
        float | None,
        Ask(
            "Time between checkpoints, such as 5m. [what costs least]",
            TIME,
            "DURATION",
            DURATION,
            "save-every",
        ),
    ] = None
    stores: Annotated[
        tuple[str, ...],
        Ask(
            "Folder for runs; give it again for further stores: a folder, drive, hf://owner/name, "
            "kaggle://owner/slug, or a URL such as s3://bucket/folder. "
            "[./agnews-runs, AGNEWS_STORE]",
            STORES,
            "STORE",
            SEVERAL,
            "store",
            completes="stores",
        ),
    ] = ()
    fresh: Annotated[bool, Ask("Train again even if this run is finished.", MODEL)] = False
    inexact: Annotated[
        bool, Ask("Go on also where changed libraries may change the result.", STORES)
    ] = False
    takeover: Annotated[bool, Ask("Take the run over from a session that seems alive.", STORES)] = (
        False
    )
    processes: Annotated[
        int | None,
        Ask("Training processes. [one for each GPU]", MACHINE, "N", least=1, most=MOST_PROCESSES),
    ] = None
    at_once: Annotated[
        int | None,
        Ask(
            "Parts of an ensemble or a distillation that are at work at once, each on a share of "
            "the machine. [one for each GPU]",
            MACHINE,
            "N",
            least=1,
            most=MOST_PROCESSES,
        ),
    ] = None
    track: Annotated[
        Tracker,
        Ask("Tell a tracker of the training: one run of it over all sessions.", OUTPUT),
    ] = "none"
    trace: Annotated[bool, Ask("Write each step's rows, rate and loss to trace.jsonl.", OUTPUT)] = (
        False
    )

    @property
    def longest_s(self) -> float | None:
        """How long the session may last; the shorter where both are given."""
        ends = [end_s for end_s in (self.until_s, self.session_s) if end_s is not None]
        return min(ends) if ends else None


# ---- the loop over the fields --------------------------------------------------------------------


class Declared(NamedTuple):
    """A field, as the loops see it."""

    name: str
    ask: Ask
    type: Any
    default: Any

    @property
    def option(self) -> str:
        """On the command line, without the dashes."""
        return self.ask.option or self.name.replace("_", "-")

    @property
    def key(self) -> str:
        """In a file."""
        return self.option.replace("-", "_")

    @property
    def typed(self) -> Any:
        """The type of what is typed."""
        return self.ask.form.typed or self.type


def _declared(kind: type[Any]) -> tuple[Declared, ...]:
    types = ((field, *get_args(field.type)) for field in fields(kind))
    return tuple(Declared(field.name, ask, type_, field.default) for field, type_, ask in types)


FIELDS: Final[Mapping[type, tuple[Declared, ...]]] = {
    Wish: _declared(Wish),
    SessionOptions: _declared(SessionOptions),
}
"""What each of the two declares, in its order."""


def every() -> tuple[Declared, ...]:
    """All that may be asked for."""
    return (*FIELDS[Wish], *FIELDS[SessionOptions])


def written(*asked: Wish | SessionOptions) -> dict[str, Any]:
    """What differs from the defaults: the keys and values of the file that asks for it."""
    return {
        one.key: one.ask.form.write(value)
        for part in asked
        for one in FIELDS[type(part)]
        if (value := getattr(part, one.name)) != one.default
    }


def arguments(written: Mapping[str, Any]) -> tuple[str, ...]:
    """The same as what follows `agnews auto` on a command line."""
    words: list[str] = []
    for key, value in written.items():
        option = "--" + key.replace("_", "-")
        if value is True:
            words.append(option)
            continue
        for each in value if isinstance(value, list) else [value]:
            words += [option, str(each)]
    return tuple(words)


def named(*names: str) -> tuple[Declared, ...]:
    """The declared fields of these names, in the order of their declaration."""
    return tuple(one for one in every() if one.name in names)


def of_group(group: str) -> tuple[Declared, ...]:
    """The declared fields that help shows together."""
    return tuple(one for one in every() if one.ask.group == group)


def as_record(wish: Wish) -> dict[str, Any]:
    """All of it as JSON, by the fields' names: what a run keeps of it."""
    return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(wish).items()}


ALWAYS_WRITTEN = frozenset({"data", "limit_train", "budget_s", "seed"})
"""A record without these was cut; what came later is by default what it was before."""
