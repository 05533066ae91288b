"""Data are read once: what comes from the cache is what the file says, or the file is read."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agnews_cli.core.run.dataset import Dataset, Reading, Split
from agnews_cli.errors import AgnewsError, BadParquet
from agnews_cli.store.data import datasets, row_cache, row_file, splits
from agnews_cli.store.data.datasets import RowCache
from tests.store.test_datasets import BAD, SHAPES, Shape, jsonl, parquet, table, write

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
ROWS = {"train.csv": table("text,label", *["one,a", "two,b"] * 3)}


def kept_in(folder: Path) -> RowCache:
    return RowCache.of(folder / "cache")


def read_both(source: str, cache: RowCache, **options: Any) -> tuple[Dataset, RowCache]:
    """The data set as it is found with the cache; what it is without is asserted to be the same."""
    reading = Reading(**options)
    found = datasets.find(source, reading, cache=cache)
    assert found == datasets.find(source, reading)
    rows = cache.rows(found)
    for split in SPLITS:
        if found.file(split) is None:
            assert split not in rows
            continue
        for limit in (None, 3):
            parsed = datasets.read(found, split, limit=limit, seed=7)
            mapped = datasets.read(found, split, limit=limit, seed=7, kept=rows[split])
            assert list(mapped.texts) == list(parsed.texts)
            assert list(mapped.classes) == list(parsed.classes)
    return found, cache


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_mapped_rows_are_those_of_the_file(shape: Shape, tmp_path: Path) -> None:
    read_both(write(tmp_path / shape.name, shape.content), kept_in(tmp_path), **shape.options)


KINDS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "a column of splits": (
        {"x.csv": table("text,label,split", *["a b,a,train", "c,b,train", "d,b,test"] * 4)},
        {},
    ),
    "files of splits, and names of classes": (
        {f"d/{s}.csv": table("text,label", *["t,1", "u,2"] * 2) for s in SPLITS}
        | {"d/classes.txt": "A\nB\n"},
        {},
    ),
    "rows and classes are left out": (
        {"x.csv": table("text,label", *["x,a", ",a", "y,b", "z,b", "w,"] * 3, "r,rare", "s,rare")},
        {"skip_bad_rows": True, "drop_rare": 3},
    ),
    "1 and true": ({"x.csv": table("text,label", *["x,1", "y,true", "z,0"] * 3)}, {}),
    "signs of one to four bytes": (
        {"x.jsonl": jsonl(*[{"text": f"a é € 😀 {n}", "label": n % 2} for n in range(6)])},
        {},
    ),
    "test rows of its own, held out": (
        {"x.csv": table("text,label", *[f"text {n},{'ab'[n % 2]}" for n in range(60)])},
        {"test_share": 0.2},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_mapped_rows_are_those_of_the_file_in_every_split(kind: str, tmp_path: Path) -> None:
    files, options = KINDS[kind]
    for name, content in files.items():
        write(tmp_path / name, content)
    found, _ = read_both(
        str(tmp_path / next(iter(files)).split("/")[0]), kept_in(tmp_path), **options
    )
    assert found.train.rows


def test_parquet_too(tmp_path: Path) -> None:
    read_both(
        parquet(tmp_path / "x.parquet", {"text": list("abcd"), "label": [0.0, 1.0] * 2}),
        kept_in(tmp_path),
    )


# ---- the second time ----------------------------------------------------------------------------


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every source that was parsed."""
    looked: list[str] = []
    real = splits.look

    def look(source: str, *rest: Any, **more: Any) -> Any:
        looked.append(source)
        return real(source, *rest, **more)

    monkeypatch.setattr(splits, "look", look)
    return looked


def test_the_second_time_nothing_is_parsed(tmp_path: Path, parsed: list[str]) -> None:
    for name, content in ROWS.items():
        write(tmp_path / "d" / name, content)
    source, cache = str(tmp_path / "d"), kept_in(tmp_path)
    first = datasets.find(source, cache=cache)
    assert (len(parsed), cache.is_known) == (1, False)
    assert datasets.find(source, cache=cache) == first
    assert (len(parsed), cache.is_known) == (1, True)


def same_size_and_time(folder: Path) -> None:
    file = folder / "train.csv"
    before = file.stat()
    file.write_text(file.read_text().replace("one", "six"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "as many bytes, at the same time": same_size_and_time,
    "a row more": lambda d: (d / "train.csv").open("a").write("three,a\n"),
    "a test split beside": lambda d: write(d / "test.csv", ROWS["train.csv"]),
    "names of classes beside": lambda d: write(d / "classes.txt", "b\na\n"),
    "its rows were removed": lambda d: [f.unlink() for f in d.parent.glob("cache/rows/*.rows")],
    "what was found is damaged": lambda d: [
        f.write_text("{") for f in d.parent.glob("cache/rows/*.json")
    ],
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_is_read_again(change: str, tmp_path: Path, parsed: list[str]) -> None:
    for name, content in ROWS.items():
        write(tmp_path / "d" / name, content)
    source, cache = str(tmp_path / "d"), kept_in(tmp_path)
    datasets.find(source, cache=cache)
    CHANGES[change](tmp_path / "d")
    found, _ = read_both(source, cache)
    assert not cache.is_known and len(parsed) == 3
    assert datasets.find(source, cache=cache) == found and cache.is_known  # and kept anew


def test_another_question_is_not_answered(tmp_path: Path, parsed: list[str]) -> None:
    source, cache = write(tmp_path / "x.csv", ROWS["train.csv"]), kept_in(tmp_path)
    datasets.find(source, cache=cache)
    for number, reading in enumerate(
        (Reading(raw_text=True), Reading(drop_rare=2), Reading(test_share=0.0)), 2
    ):
        datasets.find(source, reading, cache=cache)
        assert len(parsed) == number


def test_of_a_changing_file_nothing_is_believed(
    tmp_path: Path, parsed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody writes to it while it is read: what was found may be of neither state."""
    source, cache = write(tmp_path / "x.csv", ROWS["train.csv"]), kept_in(tmp_path)
    real = row_cache.Drafts.finish

    def finish(self: row_cache.Drafts, dataset: Dataset) -> bool:
        with Path(source).open("a") as file:
            file.write("late,a\n")
        return real(self, dataset)

    monkeypatch.setattr(row_cache.Drafts, "finish", finish)
    datasets.find(source, cache=cache)
    monkeypatch.setattr(row_cache.Drafts, "finish", real)
    assert datasets.find(source, cache=cache).train.rows == 7
    assert len(parsed) == 2


# ---- a bad disk ---------------------------------------------------------------------------------


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def turned_to_link(path: Path) -> None:
    path.rename(path.with_suffix(".away"))
    path.symlink_to(path.with_suffix(".away"))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut short": lambda path: os.truncate(path, path.stat().st_size - 3),
    "nothing in it": lambda path: path.write_bytes(b""),
    "less than its head": lambda path: path.write_bytes(b"agnews rows 1"),
    "something else": lambda path: path.write_bytes(b"x" * 500),
    "one bit": flipped,
    "a link": turned_to_link,
    "gone": lambda path: path.unlink(),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_rows_are_never_served(damage: str, tmp_path: Path) -> None:
    cache = kept_in(tmp_path)
    found = datasets.find(write(tmp_path / "x.csv", ROWS["train.csv"]), cache=cache)
    path = cache.rows(found)["train"]
    DAMAGE[damage](path)
    with pytest.raises((OSError, row_file.Damaged)):
        datasets.read(found, "train", kept=path)


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    source = write(tmp_path / "x.csv", ROWS["train.csv"])
    (tmp_path / "file").write_text("")
    cache = RowCache.of(tmp_path / "file")
    assert datasets.find(source, cache=cache) == datasets.find(source)
    assert "cannot be written" in cache.trouble and "AGNEWS_CACHE=DIR" in cache.trouble


def test_a_disk_that_fills_up_keeps_no_half_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = kept_in(tmp_path)

    def full(self: row_file.RowDraft, text: str, label: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(row_file.RowDraft, "add", full)
    source = write(tmp_path / "x.csv", ROWS["train.csv"])
    assert datasets.find(source, cache=cache) == datasets.find(source)
    assert "No space left" in cache.trouble
    assert not list(cache.folder.glob(".*")) and not list(cache.folder.glob("*.rows"))


def test_rows_that_are_too_many_are_not_kept_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_cache, "_LOOK_ROWS", 2)
    cache = RowCache(tmp_path / "cache", most_bytes=5)
    datasets.find(write(tmp_path / "x.csv", ROWS["train.csv"]), cache=cache)
    assert "not kept" in cache.trouble
    assert not list(cache.folder.glob("*.rows")) and not list(cache.folder.glob(".*"))


def test_the_oldest_go_first(tmp_path: Path) -> None:
    cache = kept_in(tmp_path)
    for number in range(4):
        content = ROWS["train.csv"].replace("one", f"text {number}")
        datasets.find(write(tmp_path / f"{number}.csv", content), cache=cache)
    everything = {path: path.stat() for path in cache.folder.iterdir()}
    for at, path in enumerate(sorted(everything, key=lambda p: everything[p].st_mtime_ns)):
        os.utime(path, (at, at))
    newest = max(cache.folder.glob("*.rows"), key=lambda p: p.stat().st_mtime)
    cache.most_bytes = sum(facts.st_size for facts in everything.values()) // 2
    cache.make_room()
    left = list(cache.folder.iterdir())
    assert 0 < sum(path.stat().st_size for path in left) <= cache.most_bytes
    assert newest in left


def test_texts_on_the_disk_are_for_the_owner_alone(tmp_path: Path) -> None:
    cache = kept_in(tmp_path)
    datasets.find(write(tmp_path / "x.csv", ROWS["train.csv"]), cache=cache)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in cache.folder.iterdir()}
    assert modes == {0o600} and stat.S_IMODE(cache.folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused_is_refused_with_a_cache_too_and_leaves_nothing(
    name: str, tmp_path: Path
) -> None:
    bad = BAD[name]
    if bad.error is BadParquet:
        pytest.importorskip("pyarrow")
    for file, content in bad.files.items():
        write(tmp_path / file, content)
    source = f"{tmp_path}/{next(iter(bad.files)) if bad.source is None else bad.source}"
    cache = RowCache(tmp_path / "not the data" / "rows")
    for _ in range(2):
        with pytest.raises(bad.error):
            datasets.find(source, Reading(**bad.options), cache=cache)
    assert not list(cache.folder.glob("*"))


@pytest.mark.parametrize("source", ["", "~no-such-user/x", "a\0b", "x" * 5000, "owner/name\udcff"])
def test_what_is_no_path_is_refused_with_a_cache_too(source: str, tmp_path: Path) -> None:
    with pytest.raises(AgnewsError):
        datasets.find(source, cache=kept_in(tmp_path))


def test_what_a_killed_command_left_goes_after_a_day(tmp_path: Path) -> None:
    cache = kept_in(tmp_path)
    datasets.find(write(tmp_path / "x.csv", ROWS["train.csv"]), cache=cache)
    old, new = (Path(row_file.RowDraft(cache.folder)._name) for _ in range(2))
    os.utime(old, (1, 1))
    cache.make_room()
    assert new.exists() and not old.exists() and list(cache.folder.glob("*.rows"))
