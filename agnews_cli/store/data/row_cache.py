"""What was read once is not read again: facts of a data set, and its clean rows, kept in the cache.

`found-KEY.json` says what `datasets.find` found out when it was asked one question, and the SHA-256
of every file, and the names in every folder, that the answer rests on. All are looked at again
before it is believed, so a file that changed is never answered for by what it was. `KEY.rows`
(`row_file`) holds the rows of one split; its name covers all that they depend on. Both names cover
the program text that reads, so a new version of agnews reads anew.

The folder is the owner's alone, and no larger than `MOST_BYTES`: the oldest go first.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from agnews_cli.core.run.dataset import Dataset, Reading, Split
from agnews_cli.store.data import row_file, test_split
from agnews_cli.store.data.labels import known
from agnews_cli.store.data.row_file import RowDraft
from agnews_cli.store.disk import private
from agnews_cli.store.disk.names import local
from agnews_cli.store.disk.space import size

MOST_BYTES: Final = 4_000_000_000
_FREE_SHARE = 0.5  # of what the disk has left, rows take no more
_LOOK_ROWS = 5_000  # between looks at how much was written
_BESIDE = ("classes.txt", "dataset_dict.json", "state.json")
"""Small files in a data set's folder that say something of it."""
_MOST_RECORD_BYTES = 64_000_000
_ABANDONED_S = 24 * 3600.0
_SPLITS: Final[tuple[Split, ...]] = ("train", "validation", "test")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _File(_Strict):
    path: str
    size_bytes: int
    sha256: str


class _Folder(_Strict):
    path: str
    names_sha256: str


class _Record(_Strict):
    dataset: Dataset
    files: tuple[_File, ...]
    folders: tuple[_Folder, ...]
    has_rows: bool


States = Mapping[str, tuple[int, ...]]
"""Of each file what changes when it is written to; () where there is no file."""


def states(paths: Iterable[str]) -> States:
    """How the files are now."""
    found: dict[str, tuple[int, ...]] = {}
    for path in paths:
        found[path] = ()
        with suppress(OSError):
            facts = Path(path).stat()
            found[path] = (facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
    return found


@dataclass(frozen=True, slots=True)
class RowQuestion:
    """What `find` is asked: all that its answer depends on, but for what lies on the disk."""

    source: str
    reading: Reading
    bytes_at_most: int | None

    @property
    def place(self) -> Path:
        """Where that is, if it is on this disk; what cannot be a path lies nowhere."""
        try:
            return Path(os.path.abspath(local(self.source)))  # noqa: PTH100 - links stay
        except (OSError, RuntimeError, ValueError):  # no such user in ~user; a NUL
            return Path(os.devnull)

    def key(self) -> str:
        asked = [self.source, str(self.place), self.reading.model_dump(), self.bytes_at_most]
        return _digest([_reader(), asked])


@dataclass(slots=True)
class RowCache:
    """The folder `rows` of a cache. What cannot be written is done without, and `trouble` says so.

    `is_known`: whether the last data set came from here, and nothing was parsed.
    """

    folder: Path
    most_bytes: int = MOST_BYTES
    trouble: str = ""
    is_known: bool = False

    @classmethod
    def of(cls, cache: Path) -> RowCache:
        return cls(cache / "rows")

    def rows(self, dataset: Dataset) -> dict[Split, Path]:
        """Where the rows of each split lie; only those that are there."""
        named = {s: path for s in _SPLITS if (path := self.path(dataset, s)) is not None}
        return {split: path for split, path in named.items() if path.is_file()}

    def known(self, asked: RowQuestion) -> Dataset | None:
        """What was found when this was asked before, where nothing has changed since."""
        path = self._record(asked)
        try:
            if path.stat().st_size > _MOST_RECORD_BYTES:
                return None
            record = _Record.model_validate_json(path.read_bytes())
            is_same = all(_names(Path(f.path)) == f.names_sha256 for f in record.folders) and all(
                Path(f.path).stat().st_size == f.size_bytes and _sha256(Path(f.path)) == f.sha256
                for f in record.files
            )
        except (OSError, ValidationError, ValueError):
            return None
        rows = self.rows(record.dataset)
        if not is_same or (record.has_rows and len(rows) < len(_splits(record.dataset))):
            return None
        for used in (path, *rows.values()):
            with suppress(OSError):  # read only; then nothing is removed either
                os.utime(used)
        self.is_known = True
        return record.dataset

    def drafts(self) -> Drafts:
        """For the rows of a data set that is being read."""
        try:
            private.make_folder(self.folder)
            room = int(_FREE_SHARE * shutil.disk_usage(self.folder).free)
        except OSError as error:
            self.cannot(error)
            return Drafts(self, 0, is_given_up=True)
        return Drafts(self, min(self.most_bytes, room))

    def keep(
        self, asked: RowQuestion, dataset: Dataset, drafts: Drafts, read: States, began_ns: int
    ) -> None:
        """Name the rows, and write what was found. `read`: every file that was opened for it.

        Nothing is believed of a file that was changed since `began_ns`, or since its rows were
        read, nor where a budget left most of a file unread: hashing it would take as long.
        """
        has_rows = drafts.finish(dataset)
        if dataset.train.form.format == "hub" or any(
            file is not None and file.bytes_read is not None
            for file in (dataset.train, dataset.validation, dataset.test)
        ):
            return
        try:
            files, folders = _rests_on(asked.place, tuple(read))
            seen = tuple(
                _File(path=str(f), size_bytes=f.stat().st_size, sha256=_sha256(f)) for f in files
            )
            named = tuple(_Folder(path=str(f), names_sha256=_names(f)) for f in folders)
            is_new = any(f.stat().st_ctime_ns >= began_ns for f in files)
            if is_new or states(read) != read:  # the first clock ticks every few milliseconds
                return
            record = _Record(dataset=dataset, files=seen, folders=named, has_rows=has_rows)
            private.make_folder(self.folder)
            handle, draft = tempfile.mkstemp(prefix=row_file.DRAFT, dir=self.folder)  # 0600
            with os.fdopen(handle, "w", encoding="utf-8", errors="surrogatepass") as file:
                file.write(record.model_dump_json())
            Path(draft).replace(self._record(asked))
        except OSError as error:
            self.cannot(error)

    def make_room(self) -> None:
        """Remove the oldest until no more than `most_bytes` are kept, and drafts that were left."""
        now_s, kept = time.time(), []
        for path in _files(self.folder):
            with suppress(OSError):
                facts = path.stat()
                is_draft = path.name.startswith(row_file.DRAFT)
                if is_draft and now_s - facts.st_mtime > _ABANDONED_S:
                    path.unlink()
                elif not is_draft:
                    kept.append((facts.st_mtime_ns, facts.st_size, path))
        over = sum(size_bytes for _, size_bytes, _ in kept) - self.most_bytes
        for _, size_bytes, path in sorted(kept):
            if over <= 0:
                break
            with suppress(OSError):
                path.unlink()
                over -= size_bytes

    def cannot(self, error: OSError) -> None:
        """Say once that the cache cannot be written."""
        self.trouble = self.trouble or (
            f"the cache {self.folder.parent} cannot be written ({error.strerror or error}): the "
            "files are read anew each time; AGNEWS_CACHE=DIR names another folder"
        )

    def _record(self, asked: RowQuestion) -> Path:
        return self.folder / f"found-{asked.key()}.json"

    def path(self, dataset: Dataset, split: Split) -> Path | None:
        """Where the rows of a split would lie; None where there is no such split."""
        file = dataset.file(split)
        if file is None:
            return None
        facts = file.model_dump(exclude={"path", "shards", "rows"})
        columns = [dataset.text_columns, dataset.label_column, dataset.split_column]
        ways = [dataset.cleaning, dataset.skip_bad_rows, dataset.drop_rare, dataset.label_values]
        return self.folder / f"{_digest([_reader(), facts, columns, ways])}.rows"


@dataclass(slots=True)
class Drafts:
    """The rows of the splits of one data set, while it is read."""

    cache: RowCache
    room_bytes: int
    is_given_up: bool = False
    _of: dict[Split, RowDraft] = field(default_factory=dict)
    _adds: int = 0

    def keep(self, split: Split, text: str, label: str) -> None:
        if self.is_given_up:
            return
        try:
            if split not in self._of:
                self._of[split] = RowDraft(self.cache.folder)
            self._of[split].add(text, label)
            self._adds += 1
            if self._adds % _LOOK_ROWS == 0:
                self._require_room()
        except OSError as error:
            self.cache.cannot(error)
            self.give_up()

    def finish(self, dataset: Dataset) -> bool:
        """Give the rows their names; whether they are all there now."""
        if self.is_given_up:
            return False
        try:
            self._name(dataset)
        except OSError as error:
            self.cache.cannot(error)
            self.give_up()
            return False
        self.cache.make_room()
        return len(self.cache.rows(dataset)) == len(_splits(dataset))

    def _name(self, dataset: Dataset) -> None:
        numbers = {value: number for number, value in enumerate(dataset.label_values)}
        draw = dataset.train.draw
        for split, draft in tuple(self._of.items()):
            if dataset.file(split) is None:
                continue
            class_of = {
                label: numbers[meant]
                for label in draft.labels
                if (meant := known(label, numbers)) is not None
            }
            if split == "train" and draw is not None:
                self._of["test"] = draft.taken_out(test_split.numbers(draw), class_of)
                self._finish(dataset, "test", class_of)
            self._finish(dataset, split, class_of)

    def _finish(self, dataset: Dataset, split: Split, class_of: dict[str, int]) -> None:
        path = self.cache.path(dataset, split)
        assert path is not None
        self._of.pop(split).finish(path, class_of)
        if split == "test":  # nobody is to change what models are judged by
            path.chmod(0o400)

    def _require_room(self) -> None:
        written = sum(draft.text_bytes for draft in self._of.values())
        if written > self.room_bytes:
            self.cache.trouble = (
                f"the rows take more than {size(self.room_bytes)} and are not kept in "
                f"{self.cache.folder.parent}: the files are read anew each time"
            )
            self.give_up()

    def give_up(self) -> None:
        """Leave no draft behind; what was finished stays."""
        self.is_given_up = True
        for draft in self._of.values():
            draft.drop()
        self._of.clear()


def _splits(dataset: Dataset) -> list[Split]:
    return [split for split in _SPLITS if dataset.file(split) is not None]


def _rests_on(place: Path, read: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """The files and the folders that what was found rests on."""
    files = list(dict.fromkeys(Path(os.path.abspath(path)) for path in read))  # noqa: PTH100
    folders: list[Path] = []
    if place.is_dir():
        folders = [place, *(file.parent for file in files)]
        if any(file.parent != place for file in files):
            folders += [f for f in place.iterdir() if f.is_dir() and f.name[:1] != "."]
        folders = list(dict.fromkeys(folders))
    beside = (folder / name for folder in folders for name in _BESIDE)
    return list(dict.fromkeys([*files, *(path for path in beside if path.is_file())])), folders


def _names(folder: Path) -> str:
    names = sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in folder.iterdir())
    return _digest(names)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()[:32]


@cache
def _reader() -> str:
    """Of the program text that reads files and cleans texts, and of how numbers are written."""
    digest = hashlib.sha256(f"{sys.byteorder} {sys.version_info[:2]}".encode())
    here = Path(__file__).parent
    for path in sorted([*here.glob("*.py"), *(here.parent / "formats").glob("*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from (path for path in folder.iterdir() if path.is_file() and not path.is_symlink())
