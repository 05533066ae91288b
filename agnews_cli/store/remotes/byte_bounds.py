"""No more bytes of an object than were asked for: a listing may lie, and an object may grow."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import BinaryIO

_PIECE_BYTES = 1 << 22


def require(found_bytes: int, most_bytes: int) -> None:
    """Raises OSError, which no other try makes better, where there are more than `most_bytes`."""
    if found_bytes > most_bytes:
        raise OSError(errno.EFBIG, f"it is larger than the {most_bytes} bytes that it may have")


def copy(read: Callable[[int], bytes], sink: BinaryIO, most_bytes: int) -> None:
    """All that `read` gives, piece by piece; raises OSError as `require` does."""
    done_bytes = 0
    while piece := read(_PIECE_BYTES):
        done_bytes += len(piece)
        require(done_bytes, most_bytes)
        sink.write(piece)
