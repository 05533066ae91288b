"""Looks at test rows: what one is, how they are counted, and what the best of several is worth.

Test rows say how good a model is as long as they choose nothing. Each look may choose: who has seen
four figures delivers the best, and the best of four is better by luck too. So every look is written
down before the rows are read, and counted over all runs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from agnews_cli.core.run.dataset import Dataset, File
from agnews_cli.core.run.wilson import wilson

_ERROR: Final = 0.05
_SHOWN: Final = 12
"""Digits of a SHA-256 that people are shown."""
Sha = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{0,150}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LookOrder(_Strict):
    """One model is to be asked about one set of test rows."""

    test: Sha
    """The test rows, as `test_key` calls them."""
    rows: Annotated[int, Field(ge=0)]
    run: _Name
    evaluation: _Name
    """The work that looks: the same model on the same rows is the same one, whenever it is done."""
    time: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """Which time the model was made, where it was made again after such a look (`--fresh`)."""
    why: Annotated[str, Field(max_length=300)]

    @property
    def name(self) -> str:
        """Of the file that says it: a look that a kill cut off is the one that its run goes on
        with, and not a second."""
        return f"{self.evaluation}.{self.time}.json"


class RecordedLook(LookOrder):
    """One that was taken."""

    at: AwareDatetime


class TakenLook(_Strict):
    """Of an evaluation: the look that it rests on, as it was counted last."""

    order: RecordedLook
    number: Annotated[int, Field(ge=1)]
    """Which look at these rows it was, in the order of time."""
    looks: Annotated[int, Field(ge=1)]
    """How many there were."""

    def as_json(self) -> dict[str, Any]:
        """As in `--json` (docs/json.md)."""
        look = self.order
        return {
            "number": self.number,
            "looks": self.looks,
            "at": look.at.isoformat(),
            "why": look.why,
            "test": look.test,
        }


class Sighting(_Strict):
    """A set of test rows, as it was first seen with some data."""

    test: Sha
    rows: Annotated[int, Field(ge=0)]
    data: Annotated[str, Field(max_length=300)]
    """What the data are called."""
    place: Sha
    """Of where they lie; their name stays on this machine."""
    train: Sha | None
    """Of the training rows; None where they lie in the same file."""
    is_part: bool = False
    """Whether a budget left some of the file unread, so that other bytes are no change."""
    at: AwareDatetime

    @property
    def name(self) -> str:
        """Of the file that says it."""
        return f"{self.test}-{_sha256([self.place, self.train])[:16]}.json"

    def is_other_version(self, other: Sighting) -> bool:
        """Whether both are of the same data, which have other test rows there."""
        is_whole = not self.is_part and not other.is_part
        is_same = self.place == other.place or (
            self.train is not None and self.train == other.train
        )
        return is_whole and self.test != other.test and is_same


# ---- what is looked at ---------------------------------------------------------------------------


def test_key(data: Dataset) -> str | None:
    """What these test rows are called: the SHA-256 of their bytes, and of which of them are meant.

    Neither where they lie nor how they are read counts. None where there are none.
    """
    file = data.test
    if file is None:
        return None
    which = [file.part, file.form.member, file.split_values, file.draw and file.draw.model_dump()]
    return _sha256([file.sha256, *which])


def sighting(data: Dataset, now: datetime) -> Sighting | None:
    """None where there are no test rows."""
    file, key = data.test, test_key(data)
    if file is None or key is None:
        return None
    place = [file.path, file.part, file.form.member, file.split_values]
    train = data.train
    return Sighting(
        test=key,
        rows=file.rows,
        data=data.name[:300],
        place=_sha256(place),
        train=None if train.sha256 == file.sha256 else _sha256([train.sha256, train.part]),
        is_part=file.bytes_read is not None,
        at=now,
    )


def before(seen: Sighting, known: Iterable[Sighting]) -> Sighting | None:
    """The test rows that these data had when they were first seen; None where these are they."""
    first = min((one for one in known if one.test == seen.test), key=_when, default=seen)
    others = [one for one in known if seen.is_other_version(one) and one.at < first.at]
    return min(others, key=_when, default=None)


def _when(one: Sighting) -> tuple[datetime, str]:
    return one.at, one.name


def changed_words(seen: Sighting, first: Sighting, looks: int) -> str:
    """What is told of test rows that are not those that were first seen."""
    then = first.at.strftime("%Y-%m-%d %H:%M UTC")
    were = {0: "no look was", 1: "1 look was"}.get(looks, f"{looks:,} looks were")
    return (
        f"the test rows changed: their SHA-256 was {first.test[:_SHOWN]} on {then} "
        f"({first.rows:,} rows), and is {seen.test[:_SHOWN]} now ({seen.rows:,} rows); {were} at "
        "the first ones, whose figures do not compare with new ones"
    )


# ---- how they are counted ------------------------------------------------------------------------


def counted(look: RecordedLook, known: Iterable[RecordedLook]) -> TakenLook:
    """Which one it is among those that are `known`, of the same test rows."""
    there = {(one.evaluation, one.time): one for one in (*known, look) if one.test == look.test}
    order = sorted(there.values(), key=lambda one: (one.at, one.evaluation, one.time))
    number = order.index(there[look.evaluation, look.time]) + 1
    return TakenLook(order=look, number=number, looks=len(order))


def ordinal(number: int) -> str:
    """`4th`."""
    if number % 100 in (11, 12, 13):
        return f"{number:,}th"
    return f"{number:,}" + {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def words(taken: TakenLook) -> str:
    """`the 4th look at them`, and of how many where others came later."""
    of = f" of {taken.looks:,} looks" if taken.looks > taken.number else " look"
    return f"the {ordinal(taken.number)}{of} at them"


def best_of(share: float, rows: int, looks: int) -> tuple[float, float]:
    """The 95% interval of a share of `rows` that was the best of so many looks: (low, high).

    Wilson's interval (1927) at the level that holds for all of them at once, 0.95^(1/looks). That
    level is Šidák's, "Rectangular confidence regions for the means of multivariate normal
    distributions", JASA 62 (1967): it holds for looks at the same rows however they depend on each
    other, and is less wide than Bonferroni's.
    """
    from statistics import NormalDist  # takes as long to import as much of a command

    if rows <= 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + 0.5 * (1 - _ERROR) ** (1 / max(1, looks)))
    return wilson(share, rows, z)


def files_of(file: File) -> tuple[str, ...]:
    """Where the bytes of a split lie on this disk; nothing of one that lies on the hub."""
    return () if file.form.format == "hub" else tuple(dict.fromkeys((file.path, *file.shards)))


def _sha256(facts: Any) -> str:
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
