"""When memory does not suffice: how that is told apart from other errors, and given back."""

from __future__ import annotations

import gc
import sys

_WORDS = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "unable to allocate",
    "status_alloc_failed",  # cuBLAS, cuDNN
)


def is_of_memory(error: BaseException) -> bool:
    """Whether memory was asked for that is not there: a device's or the machine's."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(words in said for words in _WORDS)


def give_back() -> None:
    """What nobody uses any more goes back to the device. No error of before may still be held, for
    it holds all that its frames do."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
