"""2: the command line itself."""

from __future__ import annotations

from agnews_cli.errors.base import AgnewsError


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

    hint = "Give one of them: {command} --data {given!q}"


class SetTwice(UsageError):
    """{option} says {field}={value}, and --set says {field}={other}."""

    hint = "Give one of them: leave out {option}, or --set {field}={other}"


class BadTimeOfDay(UsageError):
    """--until {given!r} is neither a time nor a duration: expected HH:MM, a weekday, or such as 2h from now."""

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


class RunMissing(UsageError):
    """Run {run}, which {whole} is made of, is not in {store}, or not finished."""

    hint = "Copy it there, or name a further store that has it: agnews resume {whole!q} --store {store!q} --store STORE"


class TeacherUnknown(UsageError):
    """--teacher {name!r} is no run in {store}{near}, and no folder or file."""

    hint = "`agnews runs` lists the runs; --store names another folder."


class NotAMember(UsageError):
    """{path} is no finished run, and no folder of a classifier."""

    hint = "Where it is a table of what a model says of the rows that validate, with text and p_CLASS (agnews predict RUN --file ROWS.csv --out a.csv): agnews ensemble RUN --validation {path!q}"


class RunNeeded(UsageError):
    """No finished run is named beside {path}, and only a run says about which rows to ask it."""

    hint = "Name one first (`agnews runs` lists them): agnews ensemble latest {path!q}"


class RunTwice(UsageError):
    """Run {run} is named twice."""

    hint = "Name each run once; `agnews runs` lists them."


class RunElsewhere(UsageError):
    """Run {run} lies in {folder}, and not in {store} with the others."""

    hint = "Copy it there: cp -r {folder!q}/{run} {store!q}"


class TooFewRuns(UsageError):
    """One run alone is compared with nothing: expected two or more."""

    hint = "Name another one beside it (`agnews runs` lists them): agnews compare {run} RUN"


class NothingSaidOf(UsageError):
    """Run {run} keeps nothing that it said of the {rows} rows."""


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


class BadToken(UsageError):
    """{source} cannot be used: it should hold one word of at least {least} letters, digits and signs."""

    hint = "Make one: python3 -c 'import secrets; print(secrets.token_urlsafe(32))' > token"


class BadHubName(UsageError):
    """{given!r} is no repository of the hub: expected hf://owner/name."""

    hint = "Such as: agnews publish {run!q} hf://me/news"
