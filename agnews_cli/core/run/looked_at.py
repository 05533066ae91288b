"""What of a text an answer rests on."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

How = Literal["gradient × input", "leaving out each word"]


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Piece(_Facts):
    text: str
    weight: float
    """In [-1, 1]: for the answer, or against it; the strongest of the text has 1 or -1."""


class LookedAt(_Facts):
    """What of a text an answer rests on."""

    pieces: tuple[Piece, ...]
    label: str
    answer: str
    probability: float
    how: How
    of: str
    """Which model was asked: of an ensemble one member."""
