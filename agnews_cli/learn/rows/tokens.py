"""Rows become tokens once: flat arrays on disk that every later epoch and session maps.

`ids` holds all token ids end to end, row `i` is `ids[offsets[i]:offsets[i + 1]]`. The cache's name
covers everything that the tokens depend on. Its `meta.json` has the SHA-256 of each file, checked
before they are used: what a kill, a power cut or a bad disk left is made again, never trained on.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.dataset import Dataset, Rows, Split
from agnews_cli.core.run.long_texts import CUT, LongTexts, Pooling
from agnews_cli.learn.rows.batches import Indices
from agnews_cli.learn.rows.reading import Ends, ends_of, kept, windows
from agnews_cli.store.data import cleaning, datasets
from agnews_cli.store.disk import private

if TYPE_CHECKING:
    import torch

_CHUNK_ROWS = 2000
_LAYOUT = 3  # raise when the meaning of the files changes
_KEPT = ("ids", "offsets", "classes", "full")


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokenised rows. ids: (total tokens,) int32; classes: (rows,) int64.

    What passes through a model is a passage: the whole of a row or, where long texts are read in
    windows, one of its windows. offsets: (passages + 1,) int64, into ids.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    classes: NDArray[np.int64]
    full: NDArray[np.int64] | None = None
    """How many tokens each text has uncut, (rows,)."""
    first: NDArray[np.int64] | None = None
    """Which passage each row begins with, (rows + 1,); None: each row is one."""
    pooling: Pooling = "mean"
    """What one answer is of those to a row's passages."""

    @property
    def lengths(self) -> Indices:
        """Of each passage."""
        return np.diff(self.offsets)

    @property
    def row_of(self) -> Indices | None:
        """The row of each passage; None: each is one."""
        return None if self.first is None else np.repeat(np.arange(len(self.classes)), self._counts)

    @property
    def weights(self) -> NDArray[np.float32] | None:
        """How much each passage counts, so that rows count alike; 1 on average. None: all alike."""
        if self.first is None:
            return None
        each = (self.first[-1] / len(self.classes)) / self._counts
        return np.repeat(each, self._counts).astype(np.float32)

    def rows_begun(self, passages: Indices) -> int:
        """How many rows these passages are the first ones of: in an epoch, each row once."""
        if self.first is None:
            return len(passages)
        rows = np.searchsorted(self.first, passages, side="right") - 1
        return int((self.first[rows] == passages).sum())

    def pooled(self, of_passages: NDArray[np.float32], pooling: Pooling) -> NDArray[np.float32]:
        """(passages, numbers) as (rows, numbers): of a row's windows the mean, or the largest."""
        if self.first is None:
            return of_passages
        if pooling == "max":
            return np.maximum.reduceat(of_passages, self.first[:-1])
        sums = np.add.reduceat(of_passages, self.first[:-1], dtype=np.float64)
        return (sums / self._counts[:, None]).astype(np.float32)

    @property
    def _counts(self) -> Indices:
        assert self.first is not None
        return np.diff(self.first)

    def take(self, rows: Indices) -> Tokens:
        """These rows alone, copied."""
        full = None if self.full is None else self.full[rows]
        if self.first is None:
            parts = [self.ids[self.offsets[r] : self.offsets[r + 1]] for r in rows]
            return _of(parts, self.classes[rows], full)
        spans = zip(self.first[rows], self.first[rows + 1], strict=True)
        each = [
            [self.ids[self.offsets[p] : self.offsets[p + 1]] for p in range(start, end)]
            for start, end in spans
        ]
        return _of_each(each, self.classes[rows], full, self.pooling)

    def plus(self, more: Tokens) -> Tokens:
        """These rows, then `more`."""
        offsets = np.concatenate([self.offsets, self.offsets[-1] + more.offsets[1:]])
        full = None
        if self.full is not None and more.full is not None:
            full = np.concatenate([self.full, more.full])
        first: Indices | None = None
        if self.first is not None or more.first is not None:
            one, two = (
                np.arange(len(part.classes) + 1) if part.first is None else part.first
                for part in (self, more)
            )
            first = np.concatenate([one, one[-1] + two[1:]])
        classes = np.concatenate([self.classes, more.classes])
        ids = np.concatenate([self.ids, more.ids])
        return Tokens(ids, offsets, classes, full, first, self.pooling)

    def cut(self, length: int, ends: Ends, how: LongTexts = CUT) -> Tokens:
        """The same rows with at most `length` tokens in a passage; each is one before."""
        if not len(self.classes) or int(self.lengths.max()) <= length:
            return self
        spans = zip(self.offsets[:-1], self.offsets[1:], strict=True)
        read = [kept(self.ids[start:end], length, ends, how) for start, end in spans]
        if how.how != "windows":
            return _of(read, self.classes, self.full)
        each = [windows(ids, length, ends, how) for ids in read]
        return _of_each(each, self.classes, self.full, how.pooling)

    def batch(self, passages: Indices, pad_id: int) -> dict[str, torch.Tensor]:
        """Padded tensors: input_ids and attention_mask, (passages, longest) int64."""
        import torch

        longest = int(self.lengths_of(passages).max())
        ids = np.full((len(passages), longest), pad_id, dtype=np.int64)
        mask = np.zeros((len(passages), longest), dtype=np.int64)
        for at, one in enumerate(passages):
            text = self.ids[self.offsets[one] : self.offsets[one + 1]]
            ids[at, : len(text)] = text
            mask[at, : len(text)] = 1
        return {
            "input_ids": torch.from_numpy(ids),
            "attention_mask": torch.from_numpy(mask),
        }

    def lengths_of(self, passages: Indices) -> Indices:
        return self.offsets[passages + 1] - self.offsets[passages]


def _of(
    parts: list[NDArray[np.int32]], classes: NDArray[np.int64], full: NDArray[np.int64] | None
) -> Tokens:
    """Each row one passage."""
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    return Tokens(np.concatenate(parts), offsets, classes, full)


def _of_each(
    parts: list[list[NDArray[np.int32]]],
    classes: NDArray[np.int64],
    full: NDArray[np.int64] | None,
    pooling: Pooling,
) -> Tokens:
    """Each row so many passages."""
    whole = _of([one for row in parts for one in row], classes, full)
    first = np.concatenate([[0], np.cumsum([len(row) for row in parts])]).astype(np.int64)
    return replace(whole, first=first, pooling=pooling)


def tokenise(
    rows: Rows,
    tokenizer: Any,
    max_length: int,
    *,
    how: LongTexts = CUT,
    check: Callable[[], None] = lambda: None,
    told: Callable[[int], None] = lambda rows: None,
) -> Tokens:
    """Tokens of `rows`, special tokens included, each text one passage: what `cut` to `max_length`
    or less may read of it."""
    ids: list[NDArray[np.int32]] = []
    full: list[int] = []
    ends: Ends | None = None
    for start in range(0, len(rows.texts), _CHUNK_ROWS):
        check()
        told(start)
        chunk = list(rows.texts[start : start + _CHUNK_ROWS])
        for text in tokenizer(chunk, truncation=False, verbose=False)["input_ids"]:
            full.append(len(text))
            found = np.asarray(text, dtype=np.int32)
            if len(text) > max_length:
                ends = ends_of(tokenizer) if ends is None else ends
                found = kept(found, max_length, ends, how)
            ids.append(found)
    told(len(rows.texts))
    classes = np.asarray(rows.classes, dtype=np.int64)
    return _of(ids, classes, np.asarray(full, dtype=np.int64))


def cached_tokens(
    dataset: Dataset,
    split: Split,
    tokenizer: Any,
    max_length: int,
    cache: Path,
    *,
    how: LongTexts = CUT,
    rows: Rows | None = None,
    limit: int | None = None,
    seed: int = 0,
    check: Callable[[], None] = lambda: None,
    told: Callable[[int], None] = lambda rows: None,
    warn: Callable[[str], None] = lambda text: None,
) -> Tokens:
    """Tokens of a split, from the cache where they are, else made and put there.

    `rows`: what was read of it already; with a `limit` only so many, drawn by `seed`. A cache that
    cannot be written is done without, and `warn` hears of it.
    """
    file = dataset.file(split)
    assert file is not None, f"the data set has no {split} split"
    backend = getattr(tokenizer, "backend_tokenizer", None)
    vocabulary = backend.to_str() if backend else json.dumps(tokenizer.get_vocab(), sort_keys=True)
    depends_on: list[Any] = [_LAYOUT, file.sha256, file.split_values, file.bytes_read, file.part]
    depends_on += [file.draw.model_dump() if file.draw else None]
    depends_on += [dataset.text_columns, dataset.label_column, dataset.label_values, max_length]
    depends_on += [dataset.cleaning, dataset.skip_bad_rows, dataset.drop_rare]
    depends_on += [vocabulary, cleaning.VERSION, limit, seed if limit else 0]
    depends_on += [] if how.is_usual else [how.model_dump()]
    key = hashlib.sha256(json.dumps(depends_on).encode()).hexdigest()[:24]
    folder = cache / "tokens" / key
    if not _is_whole(folder):
        shutil.rmtree(folder, ignore_errors=True)
        if rows is None:
            rows = datasets.read(dataset, split, limit=limit, seed=seed)
        tokens = tokenise(rows, tokenizer, max_length, how=how, check=check, told=told)
        try:
            _store(tokens, folder)
        except OSError as error:  # of NumPy too, which then says how much it could write
            warn(
                f"the cache {cache} cannot be written ({error.strerror or error}): tokens stay in "
                "memory; AGNEWS_CACHE=DIR names another folder"
            )
            return tokens
    return Tokens(*(np.load(folder / f"{n}.npy", mmap_mode="r") for n in _KEPT))


def _store(tokens: Tokens, folder: Path) -> None:
    private.make_folder(folder.parent)
    work = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        for name in _KEPT:
            np.save(work / f"{name}.npy", getattr(tokens, name))
        meta = {"layout": _LAYOUT, "rows": len(tokens.classes), "sha256": _digests(work)}
        (work / "meta.json").write_text(json.dumps(meta))
        try:
            work.rename(folder)
        except OSError:
            if not _is_whole(folder):  # else another process was first; its files are the same
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _digests(folder: Path) -> dict[str, str]:
    found = {}
    for name in _KEPT:
        with (folder / f"{name}.npy").open("rb") as file:
            found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _is_whole(folder: Path) -> bool:
    try:
        meta = json.loads((folder / "meta.json").read_text("utf-8"))
        return bool(meta["sha256"] == _digests(folder))
    except (OSError, ValueError, KeyError, TypeError):
        return False
