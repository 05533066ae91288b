"""How a text with more tokens than a model is given is read: which of them, in how many passes.

A preset says it in shares of what is read; `LongTexts` says it in tokens, as a delivered model
needs it, and as whoever uses that model without agnews does (docs/long-texts.md).
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

How = Literal["cut", "head_tail", "windows"]
Pooling = Literal["mean", "max"]

MOST_WINDOWS = 1000
_HEAD, _BOTH = 128, 510
"""Of 510 tokens without the special ones the first 128 and the last 382: best of what Sun et al.
2019 (arXiv 1905.05583, 5.3.1) tried on IMDb and Sogou. Of fewer, the same shares."""


class LongTexts(BaseModel):
    """Of one model, whose texts have at most so many tokens in a pass, special ones included."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)

    how: How = "cut"
    first: Annotated[int, Field(ge=0)] = 0
    """head_tail: the first so many tokens of a text, with the special ones that begin it …"""
    last: Annotated[int, Field(ge=0)] = 0
    """… and the last so many, with those that end it."""
    overlap: Annotated[int, Field(ge=0)] = 0
    """windows: how many tokens, without special ones, two neighbours share."""
    pooling: Pooling = "mean"
    """windows: what one answer is of their logits."""
    most_windows: Annotated[int, Field(ge=1, le=MOST_WINDOWS)] = 1
    """windows: the first so many of a text are read."""

    @property
    def is_usual(self) -> bool:
        """Whether a text is cut, as everybody's tokenizer does it."""
        return self.how == "cut"

    def as_facts(self) -> dict[str, dict[str, object]]:
        """For a delivery's files: nothing where texts are cut, else the field `long_texts`."""
        return {} if self.is_usual else {"long_texts": self.model_dump(exclude_defaults=True)}


CUT = LongTexts.model_construct()
"""As everybody's tokenizer does it."""


def head_tail(length: int, *, begin: int, end: int) -> LongTexts:
    """Where a pass has `length` tokens, of which `begin` special ones come first and `end` last."""
    first = begin + _body(length, begin, end) * _HEAD // _BOTH
    return LongTexts(how="head_tail", first=first, last=max(0, length - first))


def windows(
    length: int, *, begin: int, end: int, overlap: float, pooling: Pooling, most: int
) -> LongTexts:
    """The same; `overlap`: the share of a window that the next one reads again."""
    body = _body(length, begin, end)
    shared = min(body - 1, int(body * overlap))
    return LongTexts(how="windows", overlap=shared, pooling=pooling, most_windows=most)


def _body(length: int, begin: int, end: int) -> int:
    return max(1, length - begin - end)
