"""Which file is which split: of a file, a folder, an archive, a saved or a downloaded data set."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agnews_cli.core.run.dataset import SPLIT_NAMES, Reading, Split, split_of
from agnews_cli.errors import (
    AgnewsError,
    CannotRead,
    FileMissing,
    NoTrainingSplit,
    SeveralConfigurations,
    TooWide,
    UnsupportedFile,
)
from agnews_cli.store.data.columns import header_test, some
from agnews_cli.store.disk.names import local, require_unicode
from agnews_cli.store.formats import tables
from agnews_cli.store.formats.table import Table

TABULAR: Final = (
    ".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".arrow", ".txt",
    ".gz", ".bz2", ".xz", ".zip",
)  # fmt: skip
"""What may hold a split, the preferred first."""
_HUB_HINT: Final = "Check the path; a hub data set is named owner/name."
_SAMPLES: Final = (
    "sample_submission",
    "samplesubmission",
    "gender_submission",
    "submission_format",
)
_SHARD = re.compile(r"(.+?)-\d+-of-\d+(?:-[0-9a-f]+)?")
_PART = re.compile(r"(.*?\D)(\d{1,3})")  # train_1, train_2
_HUB_ID = re.compile(r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*", re.ASCII)
_FILE_LIKE = re.compile(
    r"\.(csv|tsv|jsonl?|ndjson|parquet|txt|xlsx?|gz|zip|bz2|xz|zst|arrow)$", re.I
)


@dataclass(frozen=True, slots=True)
class SplitTables:
    """What lies at the address that the user gave; `tables` has train, validation, test in order.

    `folder` is where further files may explain it, such as classes.txt; `sample`, where a
    competition's folder has one, is the form in which it wants its answers.
    """

    name: str
    tables: dict[Split, Table]
    folder: Path | None = None
    sample: Path | None = None
    notes: list[str] = field(default_factory=list)


def is_hub_id(source: str) -> bool:
    """Whether `source` is `owner/name` and nothing that lies, or could lie, on this disk."""
    if _HUB_ID.fullmatch(source) is None or _FILE_LIKE.search(source) is not None:
        return False
    try:
        return not Path(source).exists() and not Path(source).parent.exists()
    except OSError:  # too long for a path
        return False


def look(source: str, reading: Reading, *, bytes_at_most: int | None = None) -> SplitTables:
    """The splits at `source`; train is always there. Of each file at most so many bytes are used.

    Raises FileMissing, CannotRead, NoTrainingSplit, SeveralConfigurations and what opening a table
    raises.
    """
    try:
        path = local(source)
        is_folder, is_file, is_there = path.is_dir(), path.is_file(), path.exists()
    except PermissionError as error:
        raise CannotRead(path=source, reason=error.strerror) from error
    except (OSError, RuntimeError, ValueError):  # too long; no such user in ~user; a NUL
        raise FileMissing(path=repr(source), hint=_HUB_HINT) from None
    if not source.strip():
        raise FileMissing(path=repr(source), hint=_HUB_HINT)
    given = (*reading.text_columns, *filter(None, (reading.label_column, reading.id_column)))

    def opened(file: Path, member: str = "") -> Table:
        require_unicode(file)
        return tables.open_file(
            str(file),
            is_header=header_test(given),
            encoding=reading.encoding,
            header=reading.header,
            member=member,
            bytes_at_most=bytes_at_most,
        )

    if is_folder:
        return _folder(path, opened)
    if is_file:
        return _file(path, opened)
    if is_there:
        raise CannotRead(path=source, reason="it is neither a file nor a folder")
    if not is_hub_id(source):
        raise FileMissing(path=source, hint=_HUB_HINT)
    return SplitTables(source, _hub(source))


_Open = Callable[..., Table]


def _file(path: Path, opened: _Open) -> SplitTables:
    members = tables.members(str(path))
    if len(members) > 1:
        files = [Path(member) for member in members]
        found = _by_split(files)
        homes = {file.parent for file in files if "train" in _by_split([file])}
        if len(homes) == 1 and all(len(shards) == 1 for shards in found.values()):
            return SplitTables(
                path.stem, {s: opened(path, str(files[0])) for s, files in found.items()}
            )
    return SplitTables(path.stem, {"train": opened(path)})


# ---- folders ------------------------------------------------------------------------------------


def _folder(folder: Path, opened: _Open) -> SplitTables:
    name = folder.resolve().name or "data"
    saved = _saved_to_disk(folder)
    if saved:
        return SplitTables(name, {s: _shards(files, opened) for s, files in saved.items()}, folder)
    files = _files(folder)
    found, notes = _named_files(files)
    if "train" not in found:
        _require_narrow(folder)
        for inner in (folder / "data", *_folders_with_training(folder)):
            if inner.is_dir() and "train" in (inside := _named_files(_files(inner)))[0]:
                found, notes, folder = *inside, inner
                break
    if "train" not in found:
        found = _folders_of_splits(folder) or found
    if "train" not in found:
        usable = [file for file in files if _suffix(file) in TABULAR and not _is_sample(file)]
        if len(usable) != 1 or split_of(_stem(usable[0])) is not None:
            raise _no_training(folder, files)
        return _file(usable[0], opened)
    sample = next((file for file in files if _is_sample(file)), None)
    splits: dict[Split, Table] = {s: _shards(files, opened) for s, files in found.items()}
    return SplitTables(name, splits, folder, sample, notes)


def _require_narrow(folder: Path) -> None:
    """Raises TooWide where no search should begin: there is too much that is not meant."""
    real = os.path.realpath(folder)
    if real == os.path.realpath("/"):
        raise TooWide(path=folder, what="the whole disk")
    if real == os.path.realpath(os.path.expanduser("~")):  # noqa: PTH111 - raises nothing
        raise TooWide(path=folder, what="your home folder")


def _no_training(folder: Path, files: Sequence[Path]) -> AgnewsError:
    excel = next((f for f in files if split_of(f.stem) == "train"), None)
    if excel is not None:
        return UnsupportedFile(path=excel, suffix=excel.suffix)
    names = [*(f"{f.name}/" for f in _inner(folder)), *(file.name for file in files)]
    usable = [file for file in files if _suffix(file) in TABULAR and not _by_split([file])]
    hint = "Write one table of all texts and their labels, and give that: text,label"
    if usable:
        hint = f"Give the training file: agnews auto --data {shlex.quote(str(usable[0]))}"
    return NoTrainingSplit(path=folder, files=some(names) if names else "no files", hint=hint)


def _inner(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.is_dir() and f.name[:1] != ".")


def _folders_of_splits(folder: Path) -> dict[Split, list[Path]]:
    """train/part1.csv, test/part1.csv: all tables in a folder are its split's; {} without train.

    A `.txt` there is mostly one text of many, not a table.
    """
    named = {of: _files(inner) for inner in _inner(folder) if (of := split_of(inner.name))}
    kinds = [suffix for suffix in TABULAR if suffix != ".txt"]
    found = {of: [f for f in files if _suffix(f) in kinds] for of, files in named.items()}
    ordered = {of: found[of] for of in SPLIT_NAMES if found.get(of)}
    return ordered if "train" in ordered else {}


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(f for f in folder.iterdir() if f.is_file() and f.name[:1] != ".")
    except OSError as error:
        raise CannotRead(path=folder, reason=error.strerror) from error


def _folders_with_training(folder: Path) -> list[Path]:
    """The one folder in it that has training files. Raises SeveralConfigurations for more."""
    inner = [f for f in _inner(folder) if f.name != "data"]
    having = [f for f in inner if "train" in _named_files(_files(f))[0]]
    if len(having) > 1:
        names = some([f.name for f in having])
        raise SeveralConfigurations(path=folder, names=names, first=having[0])
    return having


def _named_files(files: Sequence[Path]) -> tuple[dict[Split, list[Path]], list[str]]:
    """The files of each split, more than one where they are shards; notes on what is not used."""
    found = _by_split([file for file in files if not _is_sample(file)])
    used = {file for shards in found.values() for file in shards}
    named = [f for f in files if f not in used and not _is_sample(f) and _by_split([f])]
    parts = [files for files in found.values() if len(files) > 1 and not _is_shard(files[0])]
    notes = [f"{some([file.name for file in files])} are parts of one split" for files in parts]
    return found, notes + [f"{file.name} is not used" for file in named]


def _by_split(files: Iterable[Path]) -> dict[Split, list[Path]]:
    """Exactly by their names, else by a word in them: `ag_news_train.csv`."""
    usable = [file for file in files if _suffix(file) in TABULAR]
    found: dict[Split, list[Path]] = {}
    for split, names in SPLIT_NAMES.items():
        exact = [f for f in usable if _stem(f).lower() in names]
        words = [f for f in usable if set(re.split(r"[\W_\d]+", _stem(f).lower())) & set(names)]
        candidates = exact or words
        if not candidates:
            continue
        best = min(candidates, key=lambda f: (TABULAR.index(_suffix(f)), f.name.lower()))
        same = [f for f in candidates if _suffix(f) == _suffix(best)]
        shards = sorted(f for f in same if _is_shard(f))
        found[split] = shards if _is_shard(best) else _parts(best, same)
    return found


def _parts(best: Path, files: Sequence[Path]) -> list[Path]:
    """`best` and what goes on with it, where they are numbered from 0 or 1 without a gap."""
    said = {file: part for file in files if (part := _PART.fullmatch(_stem(file)))}
    if best not in said:
        return [best]
    numbered = {int(p[2]): file for file, p in said.items() if p[1] == said[best][1]}
    first = min(numbered)
    is_whole = sorted(numbered) == list(range(first, first + len(numbered)))
    return [numbered[n] for n in sorted(numbered)] if is_whole and first < 2 else [best]


def _suffix(file: Path) -> str:
    return file.suffix.lower()


def _is_shard(file: Path) -> bool:
    return _SHARD.fullmatch(file.stem) is not None


def _stem(file: Path) -> str:
    """`train` of train.csv, train.csv.gz and train-00000-of-00002.parquet."""
    stem = Path(file.stem).stem if _suffix(file) in (".gz", ".bz2", ".xz", ".zip") else file.stem
    shard = _SHARD.fullmatch(stem)
    return shard[1] if shard else stem


def _is_sample(file: Path) -> bool:
    return any(word in _stem(file).lower().replace(" ", "_") for word in _SAMPLES)


def _shards(files: Sequence[Path], opened: _Open) -> Table:
    return tables.join([opened(file) for file in files]) if len(files) > 1 else opened(files[0])


# ---- saved by the datasets library --------------------------------------------------------------


def _saved_to_disk(folder: Path) -> dict[Split, list[Path]]:
    """The shards that `save_to_disk` wrote; {} where it wrote nothing here.

    Raises NoTrainingSplit where none of the splits is for training.
    """
    if (folder / "state.json").is_file():
        return {"train": _shards_of(folder)}
    listed = folder / "dataset_dict.json"
    if not listed.is_file():
        return {}
    names = _json(listed).get("splits")
    names = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
    found = {s: _shards_of(folder / n) for n in reversed(names) if (s := split_of(n))}
    if "train" not in found:
        raise NoTrainingSplit(path=folder, files=some(names) if names else "no splits")
    return {split: found[split] for split in SPLIT_NAMES if split in found}


def _shards_of(folder: Path) -> list[Path]:
    listed = _json(folder / "state.json").get("_data_files")
    files = listed if isinstance(listed, list) else []
    names = [f.get("filename") for f in files if isinstance(f, dict)]
    shards = [folder / name for name in names if isinstance(name, str) and Path(name).name == name]
    if not shards:
        raise CannotRead(path=folder / "state.json", reason="it names no files of data")
    return shards


def _json(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise CannotRead(path=path, reason=error.strerror) from error
    except (ValueError, RecursionError) as error:
        raise CannotRead(path=path, reason="it is not the JSON that save_to_disk writes") from error
    return found if isinstance(found, dict) else {}


# ---- the hub ------------------------------------------------------------------------------------


def _hub(name: str) -> dict[Split, Table]:
    parts = tables.hub(name)
    found: dict[Split, Table] = {}
    for split, names in SPLIT_NAMES.items():
        part = next((stem for stem in names if stem in parts), None)
        if part is not None:
            found[split] = parts[part]
    if "train" not in found:
        hint = "Choose another data set, or save the split you want as a file and name that."
        raise NoTrainingSplit(path=name, files=some(list(parts)), hint=hint)
    return found
