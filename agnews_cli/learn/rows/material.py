"""What every candidate trains and validates on: rows that are read, and the tokens of their texts.

Which rows validate is a pure function of the data and the preset, whose `data.seed` draws them:
those of a file, a part held out or, where rows are few, all of them by turns (cross-validation).
No more rows are read than the job says, so that a run that goes on meets the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from agnews_cli.core.run.dataset import Dataset, File, Rows, Split
from agnews_cli.core.run.job import TrainJob
from agnews_cli.errors import TooLittleMemory
from agnews_cli.learn.door.budget import TimeBudget
from agnews_cli.learn.door.notes import Notes
from agnews_cli.learn.rows.batches import Indices
from agnews_cli.learn.rows.parts import folds_of, split_off
from agnews_cli.learn.rows.tokens import Tokens, cached_tokens, tail_of
from agnews_cli.store.data import datasets, row_file
from agnews_cli.store.disk.space import size

LENGTHS = (128, 192, 256, 384, 512)
COVERED = 0.95
"""The share of texts that should be whole where their length may be chosen."""
_MOST_VALIDATION_ROWS = 10_000
_BYTES_A_ROW = 400
"""Of Python's objects and the arrays' entries around a text."""
_BYTES_A_BYTE = {"plain": 3.0, "packed": 12.0}
"""Memory for a byte of a file: the text and its tokens; Parquet and archives unfold."""
_PACKED = ("parquet", "arrow")


@dataclass(slots=True)
class Material:
    """Rows and, once `tokenise` was called, their tokens. With folds the held rows are all rows."""

    texts: Sequence[str]
    classes: NDArray[np.int64]
    held_texts: Sequence[str]
    held_classes: NDArray[np.int64]
    fold: Indices | None
    """The fold of each row, (rows,), where rows validate by turns."""
    chosen: Indices
    """Which of the rows read are trained on."""
    held: Indices
    """Which rows validate: of those read of a validation file, else of `read`."""
    read: Rows
    held_read: Rows | None
    """What was read of a validation file."""
    limit: int | None
    """What was read was limited to so many rows."""
    held_limit: int | None

    @property
    def folds(self) -> int:
        return 0 if self.fold is None else int(self.fold.max()) + 1

    def parts(self, number: int) -> tuple[Indices, Indices]:
        """(rows that train, rows that validate) of fold `number`."""
        assert self.fold is not None
        return np.flatnonzero(self.fold != number), np.flatnonzero(self.fold == number)


def read(job: TrainJob, budget: TimeBudget, told: Notes) -> Material:
    """Read the rows and say which of them validate. Raises TooLittleMemory or BudgetTooShort."""
    preset, dataset = job.preset, job.dataset
    wanted = job.limit_train or dataset.train.rows
    limit = wanted if wanted < dataset.train.rows else None
    _require_memory(dataset.train, limit, parameters=preset.model.parameters)
    rows = read_rows(
        dataset, "train", limit, job.rows_seed, budget, told, kept=job.rows.get("train")
    )
    kept: Indices = np.arange(len(rows.texts))
    classes = np.asarray(rows.classes, dtype=np.int64)
    held_limit: int | None = None
    held_read: Rows | None = None
    if dataset.validation is not None:
        most = dataset.validation.rows
        if most > _MOST_VALIDATION_ROWS:
            held_limit = _MOST_VALIDATION_ROWS
            told.note(f"{held_limit:,} of the {most:,} validation rows are used: more tell no more")
        file = job.rows.get("validation")
        held_read = read_rows(
            dataset, "validation", held_limit, job.rows_seed, budget, told, kept=file
        )
        held_classes = np.asarray(held_read.classes, dtype=np.int64)
        return Material(
            texts=rows.texts,
            classes=classes,
            held_texts=held_read.texts,
            held_classes=held_classes,
            fold=None,
            chosen=kept,
            held=np.arange(len(held_classes)),
            read=rows,
            held_read=held_read,
            limit=limit,
            held_limit=held_limit,
        )
    folds = preset.data.folds(len(kept))
    if folds and budget.end_s is not None:
        told.note(
            f"with only {len(kept)} rows they would validate by turns ({folds} trainings more); "
            "under a budget a third of them is held out instead"
        )
    fold: Indices | None = None
    if folds and budget.end_s is None:
        fold = folds_of(classes[kept], folds, seed=job.rows_seed)
        trained = held = kept
        told.note(
            f"{len(kept)} rows are too few to hold some out: each validates in one of {folds} "
            "trainings that do not see it, and the delivered model is trained on all"
        )
    else:
        share = preset.data.held_share(len(kept))
        inner, outer = split_off(classes[kept], share=share, seed=job.rows_seed)
        trained, held = kept[inner], kept[outer]
    return Material(
        texts=_some(rows.texts, trained),
        classes=classes[trained],
        held_texts=_some(rows.texts, held),
        held_classes=classes[held],
        fold=fold,
        chosen=trained,
        held=held,
        read=rows,
        held_read=None,
        limit=limit,
        held_limit=None,
    )


def _some(texts: Sequence[str], rows: Indices) -> Sequence[str]:
    """These of them; what is mapped stays so."""
    if isinstance(texts, row_file.MappedTexts):
        return texts.take(rows.tolist())
    return [texts[row] for row in rows]


def read_rows(
    dataset: Dataset,
    split: Split,
    limit: int | None,
    seed: int,
    budget: TimeBudget,
    told: Notes,
    *,
    kept: str | None,
) -> Rows:
    """A split, or so many of its rows with the same share of each class, as time allows.

    `kept`: the file of its clean rows, which is mapped; a damaged one goes, and is told of.
    """
    file = dataset.file(split)
    assert file is not None
    if kept is not None:
        try:
            return datasets.read(dataset, split, limit=limit, seed=seed, kept=Path(kept))
        except (OSError, row_file.Damaged) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is damaged"
            told.warn(f"{kept} cannot be used ({reason}): {file.path} is read again")
            with suppress(OSError):  # the next command makes it anew
                Path(kept).unlink()
    name = {"train": "training", "validation": "validation", "test": "test"}[split]
    work = told.work(f"reading {name} rows", file.rows)

    def hear(rows: int) -> None:
        work(rows)
        budget.require(f"reading the {name} rows", done=rows, total=file.rows)

    rows = datasets.read(dataset, split, limit=limit, seed=seed, told=hear)
    work(file.rows)
    return rows


def _require_memory(file: File, limit: int | None, *, parameters: int) -> None:
    """Raises TooLittleMemory where the rows cannot fit beside the model, before reading them."""
    on_disk = sum(
        Path(path).stat().st_size for path in {file.path, *file.shards} if Path(path).is_file()
    )
    packed = file.form.compression or file.form.format in _PACKED
    row_bytes = _BYTES_A_ROW + on_disk * _BYTES_A_BYTE["packed" if packed else "plain"] / file.rows
    room = available_bytes() - 16 * parameters
    if row_bytes * (limit or file.rows) > room:
        fits = max(0, int(0.8 * room / row_bytes))
        raise TooLittleMemory(
            rows=f"{limit or file.rows:,}",
            needed=size(int(row_bytes * (limit or file.rows)) + 16 * parameters),
            free=size(available_bytes()),
            fits=max(1000, fits // 1000 * 1000),
        )


def available_bytes() -> int:
    return int(psutil.virtual_memory().available)


# ---- tokens -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tokenised:
    """The tokens of a material's rows, as long as the model may read."""

    train: Tokens
    validation: Tokens
    tail: int

    def cut(self, length: int) -> Tokenised:
        return Tokenised(
            self.train.cut(length, self.tail), self.validation.cut(length, self.tail), self.tail
        )

    def fold(self, inside: Indices, outside: Indices) -> Tokenised:
        return Tokenised(self.train.take(inside), self.train.take(outside), self.tail)


def tokenise(
    job: TrainJob, material: Material, tokenizer: Any, longest: int, budget: TimeBudget, told: Notes
) -> Tokenised:
    """From the cache, or made now. Raises what `budget.check` does."""
    cache = Path(job.cache)

    def tokens_of(split: Split, rows: Rows, limit: int | None, name: str) -> Tokens:
        return cached_tokens(
            job.dataset,
            split,
            tokenizer,
            longest,
            cache,
            rows=rows,
            limit=limit,
            seed=job.rows_seed,
            check=budget.check,
            told=told.work(f"tokenising {name} rows", len(rows.texts)),
            warn=told.warn,
        )

    train = tokens_of("train", material.read, material.limit, "training")
    if material.held_read is not None:
        held = tokens_of("validation", material.held_read, material.held_limit, "validation")
    else:
        held = train
    taken = train.take(material.chosen)
    validation = taken if material.fold is not None else held.take(material.held)
    return Tokenised(taken, validation, tail_of(tokenizer))


def longest_of(tokenizer: Any, config: Any, asked: int | None) -> int:
    """The most tokens of a text that the model reads and that are wanted."""
    positions = getattr(config, "max_position_embeddings", None) or LENGTHS[-1]
    positions -= 2 if positions % 64 == 2 else 0  # RoBERTa and MPNet number theirs from 2
    return int(min(asked or LENGTHS[-1], positions, tokenizer.model_max_length))


def length_for(full: NDArray[np.int64], least: int, most: int) -> int:
    """How many tokens to keep of texts with so many, (rows,): enough for nearly all of them."""
    options = [n for n in sorted({least, *LENGTHS, most}) if least <= n <= most]
    return next((n for n in options if np.mean(full <= n) >= COVERED), most)
