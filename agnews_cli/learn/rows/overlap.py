"""Test rows that the model has seen in training: their figures say nothing of new texts.

Which texts are the same says `core/text/same_text`. Only hashes are kept, 8 bytes a row.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.text.same_text import digest

Hashes = NDArray[np.uint64]


def hashes(texts: Iterable[str]) -> Hashes:
    """One for each text, (texts,)."""
    return np.fromiter(map(digest, texts), dtype=np.uint64)


def are_in(texts: Iterable[str], seen: Hashes) -> NDArray[np.bool_]:
    """Whether each text is one of those that `seen` was made of, (texts,)."""
    return np.isin(hashes(texts), seen)
