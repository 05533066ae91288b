"""A file's bytes as they are meant: a stream, unpacked if it is packed, maybe its beginning only.

What a file is, its content says: a zip archive that is called `train.csv` is a zip archive. Nothing
here holds more than a few megabytes of it.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shlex
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EINVAL
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, Literal, cast

from agnews_cli.errors import BadArchive, CannotRead, FileMissing, NotATable, SeveralTables

Compression = Literal["", "gz", "bz2", "xz", "zip"]

CHUNK_BYTES: Final = 1 << 20
TEXT_SUFFIXES: Final = (".csv", ".tsv", ".tab", ".psv", ".jsonl", ".ndjson", ".json")
COLUMNAR_SUFFIXES: Final = (".parquet", ".pq", ".arrow", ".feather")
_PACKED: Final[dict[bytes, Compression]] = {
    b"\x1f\x8b\x08": "gz",
    b"BZh": "bz2",
    b"\xfd7zXZ\0": "xz",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",  # an empty one
}
_PACKED_SUFFIXES = (".gz", ".bz2", ".xz", ".zip")
_SAVE = "Save it as CSV, JSON Lines or Parquet, and give that file."
_EXCEL = 'Save each sheet as CSV ("Save As", "CSV UTF-8"), or in Python: '
_OTHERS: Final = {  # what begins so, what it is, what to do
    b"\xd0\xcf\x11\xe0": ("an Excel workbook or another Office file", _EXCEL),
    b"%PDF": ("a PDF document", _SAVE),
    b"\x28\xb5\x2f\xfd": ("packed with zstd", "Unpack it: zstd -d {path}"),
    b"7z\xbc\xaf": ("a 7z archive", "Unpack it: 7z x {path}"),
    b"Rar!": ("a RAR archive", "Unpack it: unrar x {path}"),
    b"SQLite format 3": ("an SQLite database", _SAVE),
    b"\x89PNG": ("a picture", _SAVE),
    b"\xff\xd8\xff": ("a picture", _SAVE),
    b"\x80\x04\x95": ("a Python pickle", _SAVE),
    b"\x93NUMPY": ("a NumPy array", _SAVE),
    b"\x89HDF": ("an HDF5 file", _SAVE),
}


@dataclass(frozen=True, slots=True)
class Source:
    """`bytes_at_most`: the stream ends there, counted in unpacked bytes."""

    path: str
    compression: Compression = ""
    member: str = ""
    bytes_at_most: int | None = None

    @property
    def place(self) -> str:
        """What messages call it."""
        return f"{self.path} ({self.member})" if self.member else self.path

    @property
    def suffix(self) -> str:
        """Of what is inside: `.csv` for train.csv.gz and for the member train.csv."""
        name = PurePosixPath(self.member) if self.member else Path(self.path)
        if name.suffix.lower() in _PACKED_SUFFIXES and Path(name.stem).suffix:
            name = name.with_suffix("")
        return name.suffix.lower()

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The unpacked bytes. What goes wrong on the way, then or later, is told in words."""
        try:
            with self._unpacked() as stream:
                if self.bytes_at_most is None:
                    yield stream
                else:
                    first = cast(io.RawIOBase, _First(stream, self.bytes_at_most))
                    yield io.BufferedReader(first, CHUNK_BYTES)
        except (
            zlib.error,
            lzma.LZMAError,
            EOFError,
            zipfile.BadZipFile,
            gzip.BadGzipFile,
        ) as error:
            raise BadArchive(path=self.path, reason=str(error) or "it ends too early") from None
        except FileNotFoundError:
            raise FileMissing(path=self.path) from None
        except OSError as error:
            if self.compression and error.errno in (None, EINVAL):  # of bz2; of a wrong offset
                raise BadArchive(path=self.path, reason=error) from None
            reason = error.strerror or error
            hint = f"Check its permissions: ls -l {shlex.quote(self.path)}"
            raise CannotRead(path=self.path, reason=reason, hint=hint) from error

    @contextmanager
    def _unpacked(self) -> Iterator[BinaryIO]:
        with Path(self.path).open("rb", buffering=CHUNK_BYTES) as packed:
            match self.compression:
                case "":
                    yield packed
                case "gz":
                    with gzip.GzipFile(fileobj=packed) as stream:
                        yield cast(BinaryIO, stream)
                case "bz2":
                    with bz2.BZ2File(packed) as stream:
                        yield cast(BinaryIO, stream)
                case "xz":
                    with lzma.LZMAFile(packed) as stream:
                        yield cast(BinaryIO, stream)
                case "zip":
                    with zipfile.ZipFile(packed) as archive:
                        yield from self._member(archive)

    def _member(self, archive: zipfile.ZipFile) -> Iterator[BinaryIO]:
        try:
            opened = archive.open(self.member)
        except KeyError:
            raise BadArchive(path=self.path, reason=f"it has no {self.member!r}") from None
        except (RuntimeError, NotImplementedError) as error:  # a password; an unknown method
            raise BadArchive(path=self.path, reason=str(error)) from None
        with opened as stream:
            yield cast(BinaryIO, stream)


class _First(io.RawIOBase):
    """The first bytes of another stream."""

    def __init__(self, stream: BinaryIO, size_bytes: int) -> None:
        self._stream, self._left = stream, size_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)


def find_source(path: str, member: str = "") -> Source:
    """How the file at `path` is packed. Raises where it is no file, or none that agnews reads."""
    source = Source(path)
    if Path(path).exists() and not Path(path).is_file():
        hint = f"Name one of its files: ls {shlex.quote(path)}" if Path(path).is_dir() else ""
        raise CannotRead(path=path, reason="it is no file", hint=hint)
    head = _head(source)
    packed: Compression = next(
        (kind for sign, kind in _PACKED.items() if head.startswith(sign)), ""
    )
    if packed == "zip":
        source = Source(path, "zip", member or _only_member(path))
    elif packed:
        source = Source(path, packed)
    if packed:
        head = _head(source)
        if any(head.startswith(sign) for sign in _PACKED):
            hint = "Unpack it once, and give what is inside."
            raise NotATable(path=source.place, what="packed twice", hint=hint)
    _refuse_others(source, head)
    return source


def _head(source: Source) -> bytes:
    with source.open() as stream:
        return stream.read(512)


def _refuse_others(source: Source, head: bytes) -> None:
    for sign, (what, hint) in _OTHERS.items():
        if head.startswith(sign):
            if hint == _EXCEL:
                hint += _pandas(source.path)
            quoted = hint.replace("{path}", shlex.quote(source.path))
            raise NotATable(path=source.place, what=what, hint=quoted)
    if head[257:262] == b"ustar":
        hint = f"Unpack it: tar -xf {shlex.quote(source.path)}"
        raise NotATable(path=source.place, what="a tar archive", hint=hint)


def _pandas(path: str) -> str:
    return f"pandas.read_excel({path!r}).to_csv('data.csv', index=False)"


# ---- zip archives -------------------------------------------------------------------------------


def members(path: str) -> tuple[str, ...]:
    """The tables in a zip archive, in its order; () if the file is no zip archive.

    A `.txt` counts only where there is no other table: it is mostly a description.
    """
    with _archive_errors(path):
        if not zipfile.is_zipfile(path):
            return ()
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    if (what := _office(names)) is not None:
        hint = _EXCEL + _pandas(path) if "Excel" in what else _SAVE
        raise NotATable(path=path, what=what, hint=hint)
    seen = [name for name in names if not _is_hidden(name)]
    usual = TEXT_SUFFIXES + COLUMNAR_SUFFIXES
    tables = [name for name in seen if PurePosixPath(name).suffix.lower() in usual]
    return tuple(tables or [name for name in seen if name.lower().endswith(".txt")])


def _only_member(path: str) -> str:
    if not zipfile.is_zipfile(path):
        raise BadArchive(path=path, reason="it ends too early")
    found = members(path)
    if not found:
        raise NotATable(path=path, what="a zip archive without a table", hint=_SAVE)
    if len(found) > 1:
        name = shlex.quote(path)
        folder = shlex.quote(str(Path(path).with_suffix("")))
        hint = f"Unpack it and give the folder or one of the files: unzip {name} -d {folder}"
        raise SeveralTables(path=path, members=", ".join(found[:12]), hint=hint)
    return found[0]


def _office(names: list[str]) -> str | None:
    if any(name.startswith("xl/") for name in names):
        return "an Excel workbook"
    if any(name.startswith(("word/", "ppt/")) for name in names):
        return "an Office document"
    if "mimetype" in names and "content.xml" in names:
        return "an OpenDocument file"
    return None


def _is_hidden(name: str) -> bool:
    """What macOS and others put beside the files."""
    return any(part.startswith((".", "__")) for part in PurePosixPath(name).parts)


@contextmanager
def _archive_errors(path: str) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError) as error:
        raise BadArchive(path=path, reason=str(error)) from None
    except OSError as error:
        raise CannotRead(path=path, reason=error.strerror or error) from error
