"""Clean rows in one file that is mapped, not parsed: texts as UTF-8, then arrays of numbers.

    64 bytes    "agnews rows 1", number of rows, bytes of the texts, SHA-256 of all that follows
    texts       end to end, and zeros up to a multiple of 8 bytes
    starts      (rows,) uint64: where each text begins, in bytes of the texts
    ends        (rows,) uint64: and where it ends
    classes     (rows,) int32

Numbers are those of the machine: the file is a cache, and its name says which machines read it. A
file is whole or it is not there: it gets its name last.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import stat
import struct
import tempfile
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, compress
from operator import index
from pathlib import Path
from typing import BinaryIO, Final, overload

from agnews_cli.core.run.dataset import Rows

DRAFT: Final = ".draft-"
"""How the names of files begin that are not whole."""
_HEAD: Final = struct.Struct("=16sQQ32s")
_MAGIC: Final = b"agnews rows 1".ljust(16, b"\0")
_NO_CLASS: Final = -1


class Damaged(Exception):
    """The file is not what was written."""


class MappedTexts(Sequence[str]):
    """Texts of a mapped file, each decoded when it is asked for."""

    def __init__(
        self,
        texts: memoryview,
        starts: memoryview[int],
        ends: memoryview[int],
        rows: Sequence[int],
    ) -> None:
        self._texts, self._starts, self._ends, self._rows = texts, starts, ends, rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        if isinstance(at, slice):
            return [self._text(row) for row in self._rows[at]]
        return self._text(self._rows[index(at)])

    def __iter__(self) -> Iterator[str]:
        return map(self._text, self._rows)

    def take(self, rows: Sequence[int]) -> MappedTexts:
        """These of them, by number; nothing is decoded."""
        chosen = array("Q", (self._rows[row] for row in rows))
        return MappedTexts(self._texts, self._starts, self._ends, chosen)

    def _text(self, row: int) -> str:
        return str(self._texts[self._starts[row] : self._ends[row]], "utf-8", "surrogatepass")


def read(path: Path) -> Rows:
    """The rows, mapped: no text is in memory before it is asked for.

    Raises OSError where there is no file, Damaged where it is not as it was written.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Damaged
        whole = memoryview(mmap.mmap(handle, 0, access=mmap.ACCESS_READ))
    except ValueError:  # nothing is in it
        raise Damaged from None
    finally:
        os.close(handle)
    if len(whole) < _HEAD.size:
        raise Damaged
    magic, rows, text_bytes, digest = _HEAD.unpack(whole[: _HEAD.size])
    parts = [_HEAD.size, text_bytes, _padding(text_bytes), 8 * rows, 8 * rows, 4 * rows]
    body = whole[_HEAD.size :]
    if magic != _MAGIC or sum(parts) != len(whole) or hashlib.sha256(body).digest() != digest:
        raise Damaged
    starts = whole[sum(parts[:3]) : sum(parts[:4])].cast("Q")
    ends = whole[sum(parts[:4]) : sum(parts[:5])].cast("Q")
    return Rows(
        MappedTexts(body[:text_bytes], starts, ends, range(rows)), whole[sum(parts[:5]) :].cast("i")
    )


class RowDraft:
    """Rows that are written as they come, under their labels: classes are known at the end alone.

    Its methods raise OSError.
    """

    def __init__(self, folder: Path) -> None:
        handle, self._name = tempfile.mkstemp(prefix=DRAFT, dir=folder)  # 0600
        self._file: BinaryIO = os.fdopen(handle, "w+b", buffering=1 << 20)
        self._file.write(bytes(_HEAD.size))
        self._starts, self._labels = array("Q"), array("i")
        self._numbers: dict[str, int] = {}
        self.text_bytes = 0

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self._numbers)

    def add(self, text: str, label: str) -> None:
        self._add(text.encode("utf-8", "surrogatepass"), label)

    def _add(self, text: bytes, label: str) -> None:
        self._file.write(text)
        self._starts.append(self.text_bytes)
        self._labels.append(self._numbers.setdefault(label, len(self._numbers)))
        self.text_bytes += len(text)

    def taken_out(self, rows: Sequence[frozenset[int]], class_of: Mapping[str, int]) -> RowDraft:
        """A draft of these rows of each class, which are in this one no more, not even as bytes."""
        other = RowDraft(Path(self._name).parent)
        labels, ends = list(self._numbers), self._ends()
        met = [0] * len(rows)
        self._file.flush()
        for row, number in enumerate(self._labels):
            of_class = class_of.get(labels[number], _NO_CLASS)
            if of_class == _NO_CLASS:
                continue
            met[of_class] += 1
            if met[of_class] - 1 in rows[of_class]:
                at, length = _HEAD.size + self._starts[row], ends[row] - self._starts[row]
                other._add(os.pread(self._file.fileno(), length, at), labels[number])
                os.pwrite(self._file.fileno(), bytes(length), at)
                self._labels[row] = _NO_CLASS
        return other

    def finish(self, path: Path, class_of: Mapping[str, int]) -> None:
        """Give it its name; rows of labels without a class are not in it."""
        classes_of = [*(class_of.get(label, _NO_CLASS) for label in self._numbers), _NO_CLASS]
        classes = array("i", map(classes_of.__getitem__, self._labels))
        starts, ends = self._starts, self._ends()
        if _NO_CLASS in classes:
            kept = [number != _NO_CLASS for number in classes]
            starts, ends = array("Q", compress(starts, kept)), array("Q", compress(ends, kept))
            classes = array("i", compress(classes, kept))
        self._file.write(bytes(_padding(self.text_bytes)))
        for numbers in (starts, ends, classes):
            numbers.tofile(self._file)
        self._file.seek(_HEAD.size)
        digest = hashlib.file_digest(self._file, "sha256").digest()  # type: ignore[arg-type]
        self._file.seek(0)
        self._file.write(_HEAD.pack(_MAGIC, len(classes), self.text_bytes, digest))
        self._file.close()
        os.replace(self._name, path)  # noqa: PTH105 - a name, not a Path

    def drop(self) -> None:
        """Leave nothing behind; once it is finished this does nothing."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            os.unlink(self._name)  # noqa: PTH108

    def _ends(self) -> array[int]:
        return array("Q", chain(self._starts[1:], [self.text_bytes] if self._starts else []))


def _padding(text_bytes: int) -> int:
    return -text_bytes % 8
