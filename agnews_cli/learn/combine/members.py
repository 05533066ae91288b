"""Members beside each other: what each says of the same rows, told by digest, in one order.

The order is that of the digests, whatever files and members came in, so that a combiner learns the
same of the same rows. Equal texts are several rows: so many of each member, told apart by class.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agnews_cli.errors import (
    MemberClassesDiffer,
    MemberClassesUnknown,
    MemberLabelsDiffer,
    MemberNotNumbers,
    MemberRowsDiffer,
    MemberTwice,
    RowsTwice,
)
from agnews_cli.learn.combine.logits import UNKNOWN, Logits
from agnews_cli.learn.figures.blend import softmax

_DATA = "the data"


@dataclass(frozen=True, slots=True)
class Aligned:
    names: tuple[str, ...]
    labels: tuple[str, ...]
    rows: NDArray[np.uint8]
    """(rows, 16): digests, in order."""
    classes: NDArray[np.int64]
    """(rows,)"""
    probabilities: NDArray[np.float32]
    """(members, rows, classes)"""


def align(
    members: Mapping[str, Sequence[Logits]],
    *,
    expected: NDArray[np.uint8] | None = None,
    labels: tuple[str, ...] | None = None,
    may_agree: bool = False,
) -> Aligned:
    """`members`: what each says, by name, in parts that together speak of each row once (its
    folds). `expected`: the digests of all rows, (rows, 16), where they are known. `labels`: the
    order of classes; None: that of the first. `may_agree`: two may say the same of every row.

    Raises MemberLabelsDiffer, MemberNotNumbers, RowsTwice, MemberRowsDiffer, MemberClassesDiffer,
    MemberClassesUnknown or MemberTwice.
    """
    labels = labels or next(iter(members.values()))[0].labels
    whole = {name: _whole(name, parts, labels) for name, parts in members.items()}
    _require_rows(members, whole, expected)
    classes = _classes(whole)
    said = np.stack([_probabilities(name, one) for name, one in whole.items()])
    if not may_agree:
        _require_different(list(whole), said)
    rows = next(iter(whole.values())).rows
    return Aligned(tuple(whole), labels, rows, classes, said)


# ---- one member ----------------------------------------------------------------------------------


def _whole(name: str, parts: Sequence[Logits], labels: tuple[str, ...]) -> Logits:
    """All parts as one, rows and classes in order."""
    ordered = [_relabelled(name, part, labels) for part in parts]
    rows = np.concatenate([part.rows for part in ordered])
    classes = np.concatenate([part.classes for part in ordered])
    logits = np.concatenate([part.delivered for part in ordered])
    order = _order(Logits(labels, rows, classes, logits, {}))
    return Logits(labels, rows[order], classes[order], logits[order], {})


def _order(one: Logits) -> NDArray[np.intp]:
    """Equal rows by what is said of them, so that the order that they came in decides nothing."""
    return np.lexsort((one.delivered[:, 0], one.classes, *_numbers(one.rows)))


def as_given(values: NDArray[Any], one: Logits, labels: tuple[str, ...]) -> NDArray[Any]:
    """`values` of rows in `Aligned`'s order, (rows, ..), in the order in which `one` has them."""
    found = np.empty_like(values)
    found[_order(_relabelled("", one, labels))] = values
    return found


def _relabelled(name: str, one: Logits, labels: tuple[str, ...]) -> Logits:
    """The same with its classes in the order of `labels`."""
    if one.labels == labels:
        return one
    if sorted(one.labels) != sorted(labels) or len(set(labels)) < len(labels):
        raise MemberLabelsDiffer(
            member=name, found=", ".join(one.labels), expected=", ".join(labels)
        )
    order = [one.labels.index(label) for label in labels]
    number_of = np.argsort(order)
    known = number_of[np.maximum(one.classes, 0)]
    classes = np.where(one.classes == UNKNOWN, UNKNOWN, known).astype(np.int32)
    return replace(one, labels=labels, classes=classes, delivered=one.delivered[:, order])


def _probabilities(name: str, one: Logits) -> NDArray[np.float32]:
    good = int(np.isfinite(one.delivered).all(axis=1).sum())
    if good < len(one.rows):
        raise MemberNotNumbers(member=name, bad=len(one.rows) - good, rows=len(one.rows))
    return softmax(one.delivered.astype(np.float64)).astype(np.float32)


def _numbers(rows: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Of each digest, the less significant first."""
    halves = np.ascontiguousarray(rows).view(">u8").astype(np.uint64)
    return halves[:, 1], halves[:, 0]


# ---- all of them ---------------------------------------------------------------------------------


def _require_rows(
    members: Mapping[str, Sequence[Logits]],
    whole: Mapping[str, Logits],
    expected: NDArray[np.uint8] | None,
) -> None:
    """Raises RowsTwice or MemberRowsDiffer unless all speak of the same rows."""
    told = {name: one.rows for name, one in whole.items()}
    if expected is not None:
        told[_DATA] = expected[np.lexsort(_numbers(expected))]
    first = next(iter(told.values()))
    counts = {}
    if not all(np.array_equal(rows, first) for rows in told.values()):
        counts = {name: _counted(rows) for name, rows in told.items()}
    for name, parts in members.items():
        if twice := _twice(parts, counts.get(name), [c for n, c in counts.items() if n != name]):
            raise RowsTwice(member=name, rows=twice)
    if not counts:
        return
    every: Counter[bytes] = counts.get(_DATA, Counter())
    if expected is None:
        for each in counts.values():
            every |= each
    missing = {name: (every - each).total() for name, each in counts.items()}
    worst = max(missing, key=lambda name: missing[name])
    if missing[worst]:
        raise MemberRowsDiffer(member=worst, missing=missing[worst], expected=every.total())
    more = max(counts, key=lambda name: counts[name].total())
    extra = (counts[more] - every).total()
    raise MemberRowsDiffer(member=_DATA, missing=extra, expected=counts[more].total())


def _counted(rows: NDArray[np.uint8]) -> Counter[bytes]:
    return Counter(row.tobytes() for row in rows)


def _twice(
    parts: Sequence[Logits], mine: Counter[bytes] | None, others: Sequence[Counter[bytes]]
) -> int:
    """How many rows two parts of a member both speak of, more often than there are such rows.

    Equal texts may lie in different parts: so many as other members have, and never most.
    """
    if len(parts) < 2:
        return 0
    each = [_counted(part.rows) for part in parts]
    shared, seen = 0, each[0]
    for part in each[1:]:
        again = (seen & part).total()
        if 2 * again > part.total():
            return again
        shared, seen = shared + again, seen + part
    if not shared or mine is None or not others:
        return 0
    most: Counter[bytes] = Counter()
    for other in others:
        most |= other
    several = {row for row, times in seen.items() if times > max(part[row] for part in each)}
    return sum(times for row, times in (mine - most).items() if row in several and row in most)


def _classes(whole: Mapping[str, Logits]) -> NDArray[np.int64]:
    """Of the members that know them, (rows,)."""
    known = {name: one for name, one in whole.items() if (one.classes != UNKNOWN).all()}
    if not known:
        raise MemberClassesUnknown(members=", ".join(whole))
    first, *others = known
    for name in others:
        differ = int((known[name].classes != known[first].classes).sum())
        if differ:
            raise MemberClassesDiffer(member=name, rows=differ, other=first)
    return known[first].classes.astype(np.int64)


def _require_different(names: Sequence[str], said: NDArray[np.float32]) -> None:
    seen: dict[bytes, str] = {}
    for name, one in zip(names, said, strict=True):
        digest = hashlib.sha256(np.ascontiguousarray(one).data).digest()
        if digest in seen:
            raise MemberTwice(one=seen[digest], two=name)
        seen[digest] = name
