"""What of the data can be trained on, what is left out as asked, and what is refused."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agnews_cli.core.run.dataset import File, Reading, Split
from agnews_cli.core.run.rows import LEAST_ROWS
from agnews_cli.errors import (
    BadRows,
    EmptyData,
    OneClass,
    SeveralLabels,
    TooFewRows,
    TooManyClasses,
    UnknownTestLabel,
)
from agnews_cli.store.data.columns import some
from agnews_cli.store.data.labels import in_order, known
from agnews_cli.store.data.walk import Scan
from agnews_cli.store.formats.table import Table

_MORE_ROWS = "Add rows: of each class one is trained on and one validates."
_NO_GOOD_ROW = (
    "Not one row is good: other columns may be meant (--text-column NAME, --label-column NAME), or "
    "the file needs quotes around its texts."
)
_FEW_ROWS = 20  # too few to tell a column of classes from one of ids


def command(source: str, reading: Reading) -> str:
    """What to type to have these data read in this way; further options can follow."""
    words = ["agnews", "auto", "--data", source]
    for column in reading.text_columns:
        words += ["--text-column", column]
    for option in ("label_column", "id_column", "encoding"):
        if (value := getattr(reading, option)) is not None:
            words += ["--" + option.replace("_", "-"), value]
    if reading.header is False:
        words.append("--no-header")
    for switch in ("raw_text", "skip_bad_rows"):
        if getattr(reading, switch):
            words.append("--" + switch.replace("_", "-"))
    if reading.drop_rare:
        words += ["--drop-rare", str(reading.drop_rare)]
    if reading.unlabelled is not None:
        words += ["--unlabelled", reading.unlabelled]
    if reading.test_share is not None:
        words += ["--test-share", str(reading.test_share)]
    return shlex.join(words)


@dataclass(slots=True)
class Verdicts:
    """What can be trained on, what is left out as asked, and what is refused."""

    reading: Reading
    again: str
    notes: list[str]
    warnings: list[str]
    left_out: set[str] = field(default_factory=set)
    """Labels of which no row is used."""

    def classes(self, scan: Scan, column: str) -> dict[str, int]:
        """The classes, in class order, with their training rows.

        Raises BadRow, BadRows, SeveralLabels, TooManyClasses, OneClass or TooFewRows.
        """
        self._bad_rows(scan)
        labels, path = scan.labels, scan.table.place
        several = labels.several_in_a_cell()
        is_all = len(labels.rows) - len(several) < 2
        if several and (is_all or not self.reading.skip_bad_rows):
            example = next(iter(several))
            other = f"name another column: {self.again} --label-column NAME"
            raise SeveralLabels(
                path=path,
                rows=sum(several.values()),
                example=example,
                line=labels.first_lines[example],
                again=self.again,
                hint=f"Keep one label in each row; or {other}" if is_all else "",
            )
        if several:
            self._leave_out(several, "rows with several labels in one cell")
        rows = {label: n for label, n in labels.rows.items() if label not in several}
        total, drop = sum(rows.values()), self.reading.drop_rare
        if total > _FEW_ROWS and len(rows) > total / 2 and not drop:
            raise TooManyClasses(path=path, classes=len(rows), rows=total, column=column)
        if len(rows) == 1:
            raise OneClass(path=path, label=next(iter(rows)), columns=some(scan.table.columns))
        rare = {label: n for label, n in rows.items() if n < max(LEAST_ROWS, drop)}
        kept = {label: rows[label] for label in in_order(rows) if label not in rare}
        if rare and (not drop or len(kept) < 2):
            least = LEAST_ROWS if not drop else sorted(rows.values())[-2:][0]
            raise TooFewRows(
                path=path,
                classes=_count(len(rare), "class", "classes"),
                least=max(LEAST_ROWS, least),
                names=some([f"{label!r} ({n})" for label, n in rare.items()]),
                again=self.again.rpartition(" --drop-rare ")[0] or self.again,
                hint="" if sum(n >= LEAST_ROWS for n in rows.values()) > 1 else _MORE_ROWS,
            )
        if rare:
            self._leave_out(rare, f"rows of classes with fewer than {drop}")
        self.notes += labels.joined()
        self.warnings += labels.near_equal() + labels.maybe_several()
        return kept

    def file(self, scan: Scan, split: Split, classes: Mapping[str, int]) -> File:
        """The split as it will be used. Raises BadRow, BadRows, UnknownTestLabel or EmptyData."""
        table, skips = scan.table, self.reading.skip_bad_rows
        if split != "train":
            self._bad_rows(scan)
        if scan.nothings:
            self.warnings.append(
                f"{_count(scan.nothings, 'text')} of {table.place} "
                f"{'is' if scan.nothings == 1 else 'are'} a word such as nan, none or null, which "
                "programs write into empty cells"
            )
        counts = dict.fromkeys(classes, 0)
        unknown: dict[str, int] = {}
        for label, rows in scan.labels.rows.items():
            meant = known(label, classes)
            if meant is not None:
                counts[meant] += rows
            elif label not in self.left_out:
                unknown[label] = rows
        if unknown and not skips:
            label = next(iter(unknown))
            raise UnknownTestLabel(
                path=table.place,
                label=label,
                line=scan.labels.first_lines[label],
                rows=sum(unknown.values()),
                total=scan.rows,
                known=some(tuple(classes)),
                again=self.again,
            )
        if unknown:
            self.notes.append(
                f"left out: {_count(sum(unknown.values()), 'row')} of {table.place} of classes "
                f"that the training data do not have: {some(tuple(unknown))}"
            )
        if not any(counts.values()):
            raise EmptyData(path=table.place)
        return file_of(
            table,
            sum(counts.values()),
            scan.sha256,
            class_rows=tuple(counts.values()),
            split_values=tuple(sorted(scan.split_values)),
        )

    def _bad_rows(self, scan: Scan) -> None:
        """Refuse them, or leave them out as asked."""
        if not scan.bad:
            return
        place, is_all = scan.table.place, scan.bad_count == scan.rows
        if self.reading.skip_bad_rows and not is_all:
            self.notes.append(
                f"left out: {scan.bad_count:,} of {scan.rows:,} rows of {place} ({scan.bad_rows})"
            )
            return
        if scan.bad_count == 1:
            raise scan.bad[0]
        raise BadRows(
            path=place,
            bad=scan.bad_count,
            rows=scan.rows,
            first=scan.bad_rows,
            again=self.again,
            hint=_NO_GOOD_ROW if is_all else "",
        )

    def _leave_out(self, labels: Mapping[str, int], what: str) -> None:
        self.left_out |= set(labels)
        shown = some([f"{label} {rows}" for label, rows in labels.items()])
        self.notes.append(f"left out: {sum(labels.values()):,} {what}: {shown}")


def _count(n: int, one: str, several: str = "") -> str:
    return f"{n:,} {one if n == 1 else several or one + 's'}"


def file_of(table: Table, rows: int, sha256: str, **more: Any) -> File:
    on_disk = table.form.format != "hub"
    return File(
        path=str(Path(table.path).absolute()) if on_disk else table.path,
        form=table.form,
        rows=rows,
        sha256=sha256,
        part=table.part,
        shards=tuple(str(Path(shard).absolute()) for shard in table.shards),
        bytes_read=table.bytes_read,
        **more,
    )
