"""What a report asks of a model that it opens: changed texts, and a look inside; and its answer."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from agnews_cli.core.run.evaluation import Interval
from agnews_cli.core.run.looked_at import LookedAt
from agnews_cli.core.run.prediction import Order

Level = Literal["characters", "words", "sentences", "pairs"]


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ToTry(_Facts):
    """`folder`: of the run that validated on the rows that are asked about."""

    order: Order
    folder: str
    changes_texts: bool = False
    looks_inside: bool = False
    rows: int = 300
    seed: int = 0
    prefix: str = "try"
    """Of the ids in its picture."""


class ChangedTexts(_Facts):
    """One way of changing texts, and what became of the answers.

    `rows`: those that it changed; figures are of these. `before`, `after`: accuracy. `drop`: their
    difference, a paired bootstrap. `other`: the share whose answer is another one than before.
    """

    level: Level
    name: str
    what: str
    """In words, with what should happen."""
    rows: int
    before: float
    after: float
    drop: Interval
    other: float
    p: float
    """McNemar's exact test, two-sided."""


class Exchanged(_Facts):
    """Pairs that a rule made: what speaks for a class stands where another one's words stood.

    Of `rows` rightly answered rows. `left`: the share whose answer is the true class no more;
    `moved`: whose answer is the class that the new words speak for.
    """

    rows: int
    left: float
    moved: float
    words: tuple[tuple[str, str], ...]
    """(class, some of the words that speak for it)"""


class SpeedNow(_Facts):
    """`memory_bytes`: the most that the process took, with the model and all libraries; on a GPU
    the most that lay on the card."""

    one_text_s: float
    batch_s: float
    """Of 32 texts together."""
    memory_bytes: int
    on: str


class Tried(_Facts):
    rows: int
    seconds: float
    speed: SpeedNow
    accuracy: float
    """Of the rows as they are. It may have trained on them: drops are what counts."""
    changed: tuple[ChangedTexts, ...] = ()
    exchanged: Exchanged | None = None
    looked_at: tuple[LookedAt, ...] = ()
    picture: str = ""
    """SVG of the drops; empty without matplotlib."""
