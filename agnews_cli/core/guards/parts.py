"""Splits: whether the rows that judge are like those that are learned from, and parted fairly."""

from __future__ import annotations

from collections.abc import Iterator

from agnews_cli.core.guards.columns import ColumnFacts
from agnews_cli.core.guards.data_facts import Shift
from agnews_cli.core.guards.seen import DataSeen
from agnews_cli.core.machine.finding import Finding

_P = 0.001
_LABEL_EFFECT, _LENGTH_EFFECT = 0.1, 0.1
"""Cohen calls a Cramér's V of 0.1 small; a tenth of the texts is of another length."""
_TOLD_APART = 0.6
_UNSEEN = 1.5
_UNSEEN_LEAST = 0.01
_FEW_ROWS = 1_000
_SHARED_GROUPS = 0.05


def shifts(seen: DataSeen) -> Iterator[Finding]:
    """Whether a split is drawn like the training rows."""
    for shift in seen.facts.shifts:
        said = list(_differences(shift))
        check = f"{shift.split} like train"
        if said:
            why = "figures there are of other texts than were learned from"
            yield Finding(check, "know", f"{'; '.join(said)}: {why}")
            continue
        apart = f"a classifier tells the two apart in {shift.told_apart:.1%} (chance: 50%)"
        yield Finding(
            check,
            "good",
            f"labels (V {shift.label_effect:.2f}), lengths (D {shift.length_effect:.2f}) and words "
            f"are alike; {apart}",
        )


def _differences(shift: Shift) -> Iterator[str]:
    if shift.label_p < _P and shift.label_effect >= _LABEL_EFFECT:
        yield f"the shares of the classes differ (Cramér's V {shift.label_effect:.2f})"
    if shift.length_p < _P and shift.length_effect >= _LENGTH_EFFECT:
        yield f"texts are of other lengths (Kolmogorov-Smirnov D {shift.length_effect:.2f})"
    least = max(_UNSEEN * shift.unseen_usual, shift.unseen_usual + _UNSEEN_LEAST)
    if shift.unseen > least:
        usual = f"usual: {shift.unseen_usual:.1%}"
        yield f"{shift.unseen:.1%} of the words are in no training text ({usual})"
    if shift.told_apart_p < _P and shift.told_apart >= _TOLD_APART:
        words = f", by {', '.join(shift.words[:5])}" if shift.words else ""
        yield f"a classifier tells the two apart in {shift.told_apart:.1%}{words}"


def dates(seen: DataSeen) -> Iterator[Finding]:
    """Whether later rows are predicted from earlier ones, where rows have dates."""
    for column in seen.columns:
        for split in column.first:
            if split == "train" or "train" not in column.last:
                continue
            yield _in_time(column, split)


def _in_time(column: ColumnFacts, split: str) -> Finding:
    begins, ends = column.first[split], column.last["train"]  # type: ignore[index]
    check = f"{split} in time"
    if begins >= ends:
        return Finding(
            check, "good", f"by {column.name!r}, {split} rows are newer than training rows"
        )
    said = (
        f"by {column.name!r}, {split} rows begin at {begins:%Y-%m-%d} and training rows end at "
        f"{ends:%Y-%m-%d}: figures are of the same time, and new texts will be of another"
    )
    return Finding(check, "know", said)


def groups(seen: DataSeen) -> Iterator[Finding]:
    """Whether rows of one author, thread or product lie on both sides."""
    for column in seen.columns:
        if column.is_fold:
            yield from _folds(column, seen.facts.split_rows["train"])
        if not column.is_group:
            continue
        for split, share in column.shared.items():
            check = f"{split} by group"
            if share < _SHARED_GROUPS:
                yield Finding(
                    check, "good", f"{share:.1%} share {column.name!r} with training rows"
                )
                continue
            said = (
                f"{share:.1%} of the {split} rows share their {column.name!r} with training rows: "
                "of new ones figures may be lower"
            )
            yield Finding(check, "know", said)


def _folds(column: ColumnFacts, rows: int) -> Iterator[Finding]:
    if len(column.by_value) < 2:
        return
    sizes = ", ".join(f"{value}: {count:,}" for value, count in sorted(column.by_value.items()))
    if column.rows < rows:
        said = f"{rows - column.rows:,} of {rows:,} rows are in no fold ({sizes})"
        yield Finding("folds", "know", f"{column.name!r}: {said}")
    else:
        yield Finding("folds", "good", f"{column.name!r}: each row is in one fold ({sizes})")


def capacity(seen: DataSeen) -> Iterator[Finding]:
    """Trained parameters against rows."""
    if not seen.trained:
        return
    rows = seen.facts.split_rows["train"]
    (small, least), (large, most) = min(seen.trained, key=_size), max(seen.trained, key=_size)
    said = (
        f"{rows:,} training rows; of whole models {small} trains {least / rows:,.0f} parameters a "
        f"row, {large} {most / rows:,.0f}"
    )
    if rows >= _FEW_ROWS:
        yield Finding("capacity", "good", said)
        return
    few = f"{said}: so few rows are soon known by heart; small updates of frozen weights are fewer"
    yield Finding("capacity", "know", few, f"agnews auto {seen.source} --preset minilm-lora")


def _size(named: tuple[str, int]) -> int:
    return named[1]
