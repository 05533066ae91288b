"""What the cache holds, and removing it: all of it can be made again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agnews_cli.store.disk import home

SCHEMA: Final = "agnews.cache/1"
_KINDS: Final = {
    "rows": "clean rows of data sets, so that they are parsed once",
    "tokens": "rows as numbers, for each tokenizer",
    "probe": "what accelerators were found to do",
}


@dataclass(frozen=True, slots=True)
class CachedPart:
    """One folder of the cache."""

    name: str
    what: str
    files: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Cached:
    """The cache: its folder and what lies there, or what was just removed from it."""

    folder: Path
    parts: tuple[CachedPart, ...]
    is_cleared: bool

    @property
    def size_bytes(self) -> int:
        return sum(part.size_bytes for part in self.parts)

    def as_json(self) -> dict[str, Any]:
        """Schema `agnews.cache/1` (docs/json.md)."""
        return {
            "schema": SCHEMA,
            "folder": str(self.folder),
            "cleared": self.is_cleared,
            "size_bytes": self.size_bytes,
            "parts": [
                {"name": part.name, "files": part.files, "size_bytes": part.size_bytes}
                for part in self.parts
            ],
        }


def cached(*, clear: bool = False) -> Cached:
    """What lies in the cache; `clear` removes it. What a run maps at this moment stays mapped."""
    folder = home.cache()
    before = tuple(_part(folder / name, what) for name, what in _KINDS.items())
    if not clear:
        return Cached(folder, before, is_cleared=False)
    for name in _KINDS:
        shutil.rmtree(folder / name, ignore_errors=True)  # a link is not followed
    left = [_part(folder / name, what) for name, what in _KINDS.items()]
    gone = (
        CachedPart(was.name, was.what, was.files - now.files, was.size_bytes - now.size_bytes)
        for was, now in zip(before, left, strict=True)
    )
    return Cached(folder, tuple(gone), is_cleared=True)


def _part(folder: Path, what: str) -> CachedPart:
    sizes = list(_sizes(folder))
    return CachedPart(folder.name, what, len(sizes), sum(sizes))


def _sizes(folder: Path) -> Iterator[int]:
    if folder.is_symlink():
        return
    for path in folder.rglob("*"):
        with suppress(OSError):  # gone meanwhile
            if path.is_file() and not path.is_symlink():
                yield path.stat().st_size
