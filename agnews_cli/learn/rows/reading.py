"""Which tokens of a long text are read, and in which windows (`core.run.long_texts`).

Windows lie as tokenizers lay them (`return_overflowing_tokens`): each begins where the one before
it ended, less the overlap, and the first that reaches the text's end is the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.long_texts import LongTexts

Ids = NDArray[np.int32]


class Ends(NamedTuple):
    """How many special tokens begin and end a text; they stay when it is cut."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class WhatWasRead:
    """Of the training rows, by fine-tuned models and the linear one."""

    rows: int
    """On how many they were trained, at most."""
    long_texts: LongTexts
    cut: str
    """How many texts are longer than a fine-tuned model reads at once; empty where none was made
    tokens of."""


def ends_of(tokenizer: Any) -> Ends:
    """What this tokenizer puts around every text."""
    mask = tokenizer("a", return_special_tokens_mask=True)["special_tokens_mask"]
    begin, end = (
        next((at for at, is_special in enumerate(found) if not is_special), 0)
        for found in (mask, mask[::-1])
    )
    return Ends(begin, end)


def kept(ids: Ids, length: int, ends: Ends, how: LongTexts) -> Ids:
    """What is read of a text whose passes have at most `length` tokens; of windows all, end to
    end."""
    match how.how:
        case "head_tail":
            return _joined(ids, how.first, how.last) if len(ids) > length else ids
        case "windows":
            length = reach(length, ends, how)
    return _joined(ids, length - ends.end, ends.end) if len(ids) > length else ids


def reach(length: int, ends: Ends, how: LongTexts) -> int:
    """Up to how many tokens, special ones included, a text is read whole in windows of `length`."""
    body, stride = _sizes(length, ends, how)
    return sum(ends) + body + (how.most_windows - 1) * stride


def windows(ids: Ids, length: int, ends: Ends, how: LongTexts) -> list[Ids]:
    """The passes of a text that is as `kept` left it; one where it fits."""
    if how.how != "windows" or len(ids) <= length:
        return [ids]
    body, stride = _sizes(length, ends, how)
    last = len(ids) - ends.end
    starts = range(ends.begin, max(ends.begin + 1, last - body + stride), stride)
    around = ids[: ends.begin], ids[last:]
    return [np.concatenate([around[0], ids[at : min(at + body, last)], around[1]]) for at in starts]


def _sizes(length: int, ends: Ends, how: LongTexts) -> tuple[int, int]:
    """(tokens of a window without special ones, by how many the next one begins later)."""
    body = max(1, length - sum(ends))
    return body, max(1, body - how.overlap)


def _joined(ids: Ids, first: int, last: int) -> Ids:
    return np.concatenate([ids[:first], ids[len(ids) - last :]])
