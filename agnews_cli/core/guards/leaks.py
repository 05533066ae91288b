"""Rows that repeat others: those that make figures untrue, and those that only weigh more."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

from agnews_cli.core.guards.data_facts import PairFound, Repeated
from agnews_cli.core.guards.seen import DataSeen
from agnews_cli.core.machine.finding import Finding

_SHOWN = 60
_HELD_OUT_SHARE = 0.1  # of data without a test split, as `core.run.test_rows` draws it


def least_share(rows: int) -> float:
    """From which share of leaked rows on the figures of so many are untrue.

    A model that is right of 90% gains a tenth of the share, were it right of all that leaked; that
    is to be less than one standard error of its accuracy. Never more than one row in twenty.
    """
    return min(0.05, 10 * sqrt(0.9 * 0.1 / max(1, rows)))


def leaks(seen: DataSeen) -> Iterator[Finding]:
    """Of rows that judge, which repeat rows that are learned from."""
    found = {(one.split, one.of): one for one in seen.facts.repeats.found}
    for split in ("test", "validation"):
        if split not in seen.facts.split_rows:
            continue
        rows = seen.facts.split_rows[split]
        one = found.get(("train", split))
        yield _leak(seen, one, split, rows)
    between = found.get(("validation", "test"))
    if between is not None and between.same_text:
        text = (
            f"{_rows(between.same_text, 'validation')} repeated in the test split, so that who "
            f"chooses has seen its texts{_examples(between)}"
        )
        yield Finding("leak to validation", "know", text, seen.fix)


def _leak(seen: DataSeen, one: Repeated | None, split: str, rows: int) -> Finding:
    check = f"leak to {split}"
    if one is None or not (one.of_rows or one.same_story or one.same_meaning):
        nearly = "" if seen.facts.repeats.compared else " (what is nearly the same: not looked for)"
        return Finding(check, "good", f"no {split} row is repeated in training{nearly}")
    share = one.of_rows / rows
    text = (
        f"{one.of_rows:,} of {rows:,} {split} rows ({share:.2%}) are repeated by "
        f"{one.same_text:,} training rows: {one.exact:,} exactly, {one.copy_:,} as a copy"
        f"{_further(one)}{_examples(one)}"
    )
    if not one.of_rows:
        return Finding(check, "know", text)
    if share < least_share(rows):
        few = f"{text}; too few to move figures much (that takes {least_share(rows):.1%})"
        return Finding(check, "know", few, seen.fix)
    return Finding(check, "mend", f"{text}; figures on this split are untrue", seen.fix)


def repeats(seen: DataSeen) -> Iterator[Finding]:
    """Inside a split."""
    facts = seen.facts
    found = {one.split: one for one in facts.repeats.found if one.split == one.of}
    for split, rows in facts.split_rows.items():
        one = found.get(split)
        check = f"repeats in {split}"
        if one is None:
            yield Finding(check, "good", f"none of {rows:,} rows repeats another")
            continue
        share = one.same_text / rows
        text = (
            f"{one.same_text:,} of {rows:,} rows ({share:.2%}) repeat an earlier one: "
            f"{one.exact:,} exactly, {one.copy_:,} as a copy{_further(one)}{_examples(one)}"
        )
        is_parted = split == "train" and "test" not in facts.split_rows
        if is_parted and share >= least_share(int(_HELD_OUT_SHARE * rows)):
            why = "; without a test split rows are held out of these, and copies fall on both sides"
            yield Finding(check, "mend", text + why, seen.fix)
        else:
            yield Finding(check, "know", text, seen.fix if one.same_text else "")
    compared, texts = facts.repeats.compared, facts.repeats.texts
    if 0 < compared < texts:
        said = (
            f"{compared:,} of {texts:,} different texts were looked at for what is nearly the same"
        )
        yield Finding("repeats", "know", f"{said}: memory allows no more; exact ones are all found")


def _further(one: Repeated) -> str:
    parts = []
    if one.same_story:
        parts.append(f"{one.same_story:,} tell the same story")
    if one.same_meaning:
        parts.append(f"{one.same_meaning:,} mean the same")
    return f"; besides, {' and '.join(parts)}" if parts else ""


def _examples(one: Repeated) -> str:
    return f"; such as {shown(one.examples[0])}" if one.examples else ""


def shown(pair: PairFound) -> str:
    """A pair in words: where both stand, and how one begins."""
    text = " ".join(pair.other.text.split())
    cut = text if len(text) <= _SHOWN else text[: _SHOWN - 1].rstrip() + "…"
    places = [f"{one.split} row {one.row + 1:,}" for one in (pair.one, pair.other)]
    return f"{cut!r} ({' and '.join(places)}, {pair.grade})"


def _rows(count: int, of: str) -> str:
    return f"{count:,} {of} row{'s are' if count != 1 else ' is'}"
