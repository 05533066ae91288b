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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agnews_cli.core.run.dataset import Dataset, Rows, Split
from agnews_cli.learn.rows.batches import Indices
from agnews_cli.store.data import cleaning, datasets
from agnews_cli.store.disk import private

_CHUNK_ROWS = 2000
_LAYOUT = 3  # raise when the meaning of the files changes


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokenised rows. ids: (total tokens,) int32; offsets: (rows + 1,) int64; classes: (rows,)."""

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    classes: NDArray[np.int64]
    full: NDArray[np.int64] | None = None
    """How many tokens each text has uncut, (rows,)."""

    @property
    def lengths(self) -> Indices:
        return np.diff(self.offsets)

    def take(self, rows: Indices) -> Tokens:
        """These rows alone, copied."""
        parts = [self.ids[self.offsets[r] : self.offsets[r + 1]] for r in rows]
        offsets = np.concatenate([[0], np.cumsum([len(p) for p in parts])]).astype(np.int64)
        full = None if self.full is None else self.full[rows]
        return Tokens(np.concatenate(parts), offsets, self.classes[rows], full)

    def plus(self, more: Tokens) -> Tokens:
        """These rows, then `more`."""
        offsets = np.concatenate([self.offsets, self.offsets[-1] + more.offsets[1:]])
        full = None
        if self.full is not None and more.full is not None:
            full = np.concatenate([self.full, more.full])
        classes = np.concatenate([self.classes, more.classes])
        return Tokens(np.concatenate([self.ids, more.ids]), offsets, classes, full)

    def cut(self, length: int, tail: int) -> Tokens:
        """The same rows with at most `length` tokens each, the last `tail` of them kept."""
        if not len(self.classes) or int(self.lengths.max()) <= length:
            return self
        parts = [
            _cut(self.ids[start:end], length, tail)
            for start, end in zip(self.offsets[:-1], self.offsets[1:], strict=True)
        ]
        offsets = np.concatenate([[0], np.cumsum([len(p) for p in parts])]).astype(np.int64)
        return Tokens(np.concatenate(parts), offsets, self.classes, self.full)

    def batch(self, rows: Indices, pad_id: int) -> dict[str, torch.Tensor]:
        """Padded tensors: input_ids and attention_mask, (rows, longest) int64."""
        longest = int(self.lengths_of(rows).max())
        ids = np.full((len(rows), longest), pad_id, dtype=np.int64)
        mask = np.zeros((len(rows), longest), dtype=np.int64)
        for at, row in enumerate(rows):
            text = self.ids[self.offsets[row] : self.offsets[row + 1]]
            ids[at, : len(text)] = text
            mask[at, : len(text)] = 1
        return {
            "input_ids": torch.from_numpy(ids),
            "attention_mask": torch.from_numpy(mask),
        }

    def lengths_of(self, rows: Indices) -> Indices:
        return self.offsets[rows + 1] - self.offsets[rows]


def tokenise(
    rows: Rows,
    tokenizer: Any,
    max_length: int,
    *,
    check: Callable[[], None] = lambda: None,
    told: Callable[[int], None] = lambda rows: None,
) -> Tokens:
    """Tokens of `rows`, special tokens included, each text cut to `max_length`."""
    ids: list[NDArray[np.int32]] = []
    full: list[int] = []
    tail: int | None = None
    for start in range(0, len(rows.texts), _CHUNK_ROWS):
        check()
        told(start)
        chunk = list(rows.texts[start : start + _CHUNK_ROWS])
        for text in tokenizer(chunk, truncation=False, verbose=False)["input_ids"]:
            full.append(len(text))
            found = np.asarray(text, dtype=np.int32)
            if len(text) > max_length:
                tail = tail_of(tokenizer) if tail is None else tail
                found = _cut(found, max_length, tail)
            ids.append(found)
    told(len(rows.texts))
    offsets = np.concatenate([[0], np.cumsum([len(text) for text in ids])]).astype(np.int64)
    classes = np.asarray(rows.classes, dtype=np.int64)
    return Tokens(np.concatenate(ids), offsets, classes, np.asarray(full, dtype=np.int64))


def tail_of(tokenizer: Any) -> int:
    """How many special tokens end a text; they stay when it is cut."""
    mask = tokenizer("a", return_special_tokens_mask=True)["special_tokens_mask"]
    return next((at for at, is_special in enumerate(reversed(mask)) if not is_special), 0)


def _cut(ids: NDArray[np.int32], length: int, tail: int) -> NDArray[np.int32]:
    if len(ids) <= length:
        return ids
    return np.concatenate([ids[: length - tail], ids[len(ids) - tail :]])


def cached_tokens(
    dataset: Dataset,
    split: Split,
    tokenizer: Any,
    max_length: int,
    cache: Path,
    *,
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
    key = hashlib.sha256(json.dumps(depends_on).encode()).hexdigest()[:24]
    folder = cache / "tokens" / key
    if not _is_whole(folder):
        shutil.rmtree(folder, ignore_errors=True)
        if rows is None:
            rows = datasets.read(dataset, split, limit=limit, seed=seed)
        tokens = tokenise(rows, tokenizer, max_length, check=check, told=told)
        try:
            _store(tokens, folder)
        except OSError as error:  # of NumPy too, which then says how much it could write
            warn(
                f"the cache {cache} cannot be written ({error.strerror or error}): tokens stay in "
                "memory; AGNEWS_CACHE=DIR names another folder"
            )
            return tokens
    return Tokens(*(np.load(folder / f"{n}.npy", mmap_mode="r") for n in Tokens.__slots__))


def _store(tokens: Tokens, folder: Path) -> None:
    private.make_folder(folder.parent)
    work = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        for name in Tokens.__slots__:
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
    for name in Tokens.__slots__:
        with (folder / f"{name}.npy").open("rb") as file:
            found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _is_whole(folder: Path) -> bool:
    try:
        meta = json.loads((folder / "meta.json").read_text("utf-8"))
        return bool(meta["sha256"] == _digests(folder))
    except (OSError, ValueError, KeyError, TypeError):
        return False
