"""65: the data are not what they should be."""

from __future__ import annotations

from agnews_cli.errors.base import AgnewsError


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


class UnknownTestLabel(DataError):
    """{path}: class {label!r} (line {line}; {rows:,} of {total:,} rows) is not in the training data, which has {known}."""

    hint = "Correct the label, or add training rows of that class; or leave such rows out: {again} --skip-bad-rows"


class NoTrainingSplit(DataError):
    """{path}: no training file among {files}; expected train.csv (or .tsv, .jsonl, .parquet)."""

    hint = "Give the training file itself: --data FILE"


class SeveralConfigurations(DataError):
    """{path} holds several data sets: {names}."""

    hint = "Give one of them: agnews auto --data {first!q}"


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


class MemberRowsDiffer(DataError):
    """{member} says nothing of {missing:,} of the {expected:,} rows that the members speak of."""

    hint = "Leave it out, or give what it says of the same rows as the others."


class MemberLabelsDiffer(DataError):
    """{member} knows other labels: {found}; expected {expected}."""

    hint = "Members of one ensemble tell the same classes apart, by the same names: leave it out, or train it on the same data."


class MemberClassesDiffer(DataError):
    """{member} has another true class for {rows:,} rows than {other}."""

    hint = "Their data were labelled differently: train both on the same file."


class MemberClassesUnknown(DataError):
    """No member says the true class of each row: {members}."""

    hint = "Keep the label column beside the probabilities, or name it: --label-column NAME"


class MemberTwice(DataError):
    """{one} and {two} say the same of every row, to the last bit: they are one member, given twice."""

    hint = "Leave one of them out."


class MemberNotNumbers(DataError):
    """{member} says what is no probability of {bad:,} of {rows:,} rows."""

    hint = (
        "Its answers hold NaN or infinity, or do not add up to 1: train it again, or leave it out."
    )


class RowsTwice(DataError):
    """{member} speaks {rows:,} times of rows that another part of it speaks of."""

    hint = "Each row must be in one part: give each of its folds once."


class TooFewToCombine(DataError):
    """{kind} learns from rows with their labels: there are {rows:,}; expected at least {least}."""

    hint = "Take one that learns nothing: average."


class NoProbabilities(DataError):
    """{path} has no column p_LABEL for each class, but {columns}; expected probabilities as predictions.csv has them."""

    hint = "Write them with: agnews predict RUN --file TEXTS.csv --out {path!q}"


class RowsUntold(DataError):
    """{path} does not say which rows its probabilities are of: {reason}."""

    hint = "Keep the text beside them: agnews predict RUN --file TEXTS.csv --out {path!q}"


class DataChanged(DataError):
    """{path} changed since this run checked it (SHA-256 {now:.12}, was {before:.12})."""

    hint = "Put the old file back to go on, or start a new run: agnews auto --data {path!q}"


class TeacherUnfit(DataError):
    """{message}"""

    hint = "Have the teacher asked about the rows of this student: agnews distill --teacher RUN --student PRESET"


class TeacherSilent(TeacherUnfit):
    """{path} says nothing of {missing:,} of the {rows:,} {what}."""


class TeacherTwice(TeacherUnfit):
    """{path} speaks of {rows:,} rows more often than they are there."""


class TeacherSawValidation(TeacherUnfit):
    """{path} is of a teacher that was trained on {seen:,} of the {rows:,} rows that validate its student."""


class TeacherLabelsDiffer(TeacherUnfit):
    """{path} answers {theirs}, and the labels of the data are {ours}."""

    hint = "A teacher needs the labels of the data: train one on them, with agnews auto --data DATA"


class TeacherOfOtherRows(TeacherUnfit):
    """{run} was trained on other rows than its student will be ({theirs}; not {ours}): it has seen some that validate the student."""

    hint = "Train it on the student's rows, with the same --limit-train and data settings: agnews auto --preset PRESET"


class TeacherHasNoHidden(TeacherUnfit):
    """{teacher} has no hidden states that {student} could be given: {reason}."""

    hint = "Learn from its answers alone: --set distillation.hidden=0"


class TeacherOfOtherWidth(TeacherUnfit):
    """The hidden states of {teacher} are {theirs:,} wide and those of its student {student} {own:,}: they cannot be matched."""

    hint = "Take a student as wide, or learn from answers alone: --set distillation.hidden=0"


class TeacherReadsOtherRows(TeacherUnfit):
    """{model} was trained on texts with other cleaning ({cleaning}), which leaves {found:,} rows with text where the data have {rows:,}."""

    hint = "Train the teacher on these data, or leave texts as they are: --raw-text"
