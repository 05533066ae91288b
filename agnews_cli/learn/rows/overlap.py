"""Test rows that the model has seen in training: their figures say nothing of new texts.

Two texts are the same when their letters and digits are, whatever their case: a headline that was
cut, quoted or spaced another way is no new row. Only hashes are kept, 8 bytes a row.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

_NEITHER_LETTER_NOR_DIGIT = re.compile(r"[\W_]+")

Hashes = NDArray[np.uint64]


def hashes(texts: Iterable[str]) -> Hashes:
    """One for each text, (texts,). Among a million others, one in 10^13 is taken for another."""
    return np.fromiter(map(_hash, texts), dtype=np.uint64)


def are_in(texts: Iterable[str], seen: Hashes) -> NDArray[np.bool_]:
    """Whether each text is one of those that `seen` was made of, (texts,)."""
    return np.isin(hashes(texts), seen)


def _hash(text: str) -> int:
    kept = _NEITHER_LETTER_NOR_DIGIT.sub("", text.casefold()) or text.strip()
    return int.from_bytes(
        hashlib.blake2b(kept.encode(errors="surrogatepass"), digest_size=8).digest()
    )
