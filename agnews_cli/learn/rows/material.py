"""What every candidate trains and validates on: rows that are read, and the tokens of their texts.

Which rows validate is a pure function of the data and the preset, whose `data.seed` draws them:
those of a file, a part held out or, where rows are few, all of them by turns (cross-validation).
No more rows are read than the job says, so that a run that goes on meets the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from agnews_cli.core.run.dataset import Dataset, File, Rows, Split
from agnews_cli.core.run.job import TrainJob
from agnews_cli.core.run.long_texts import LongTexts
from agnews_cli.core.run.work import RowChoice
from agnews_cli.errors import TooLittleMemory
from agnews_cli.learn.door.budget import TimeBudget
from agnews_cli.learn.door.notes import Notes
from agnews_cli.learn.rows import overlap
from agnews_cli.learn.rows.batches import Indices
from agnews_cli.learn.rows.overlap import Hashes
from agnews_cli.learn.rows.parts import folds_of, split_off
from agnews_cli.learn.rows.reading import Ends, ends_of
from agnews_cli.learn.rows.tokens import Tokens, cached_tokens
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
    unlabelled_read: Rows | None
    """What was read of the rows without labels."""
    unlabelled: Indices
    """Which of those are learned from."""

    @property
    def unlabelled_texts(self) -> Sequence[str]:
        read = self.unlabelled_read
        return [] if read is None else _some(read.texts, self.unlabelled)

    def seen(self) -> Hashes:
        """Of the training file's texts, those held out for validation included, and of those
        without labels."""
        is_apart = self.held_read is not None or self.fold is not None
        held_out = [] if is_apart else self.held_texts
        return overlap.hashes(chain(self.texts, held_out, self.unlabelled_texts))

    @property
    def folds(self) -> int:
        return 0 if self.fold is None else int(self.fold.max()) + 1

    def parts(self, number: int) -> tuple[Indices, Indices]:
        """(rows that train, rows that validate) of fold `number`."""
        assert self.fold is not None
        return np.flatnonzero(self.fold != number), np.flatnonzero(self.fold == number)


def read(
    data: Dataset,
    choice: RowChoice,
    kept: Mapping[Split, str],
    budget: TimeBudget,
    told: Notes,
    *,
    parameters: int = 0,
    beside_bytes: int = 0,
    has_unlabelled: bool = False,
) -> Material:
    """Read the rows and say which of them validate. Raises TooLittleMemory or BudgetTooShort.

    `kept`: files of clean rows, as `TrainJob.rows`; `parameters`: of the model beside them;
    `beside_bytes`: what else is kept.
    """
    wanted = choice.limit or data.train.rows
    limit = wanted if wanted < data.train.rows else None
    _require_memory(data.train, limit, beside_bytes=16 * parameters + beside_bytes)

    def rows_of(split: Split, limit: int | None) -> Rows:
        return read_rows(data, split, limit, choice.seed, budget, told, kept=kept.get(split))

    rows = rows_of("train", limit)
    classes = np.asarray(rows.classes, dtype=np.int64)
    trained = np.arange(len(classes))
    fold: Indices | None = None
    held_limit: int | None = None
    held_read: Rows | None = None
    if data.validation is not None and choice.fold is None:
        most = data.validation.rows
        if most > _MOST_VALIDATION_ROWS:
            held_limit = _MOST_VALIDATION_ROWS
            told.note(f"{held_limit:,} of the {most:,} validation rows are used: more tell no more")
        held_read = rows_of("validation", held_limit)
        held = np.arange(len(held_read.classes))
    else:
        fold, trained, held = _parted(classes, choice, budget, told)
    from_validation = held_read or rows
    held_texts = _some(from_validation.texts, held)
    unlabelled = rows_of("unlabelled", None) if has_unlabelled else None
    new: Indices = np.empty(0, dtype=np.int64)
    if unlabelled is not None:
        new = _new_texts(unlabelled.texts, chain(rows.texts, held_texts), told)
    return Material(
        texts=_some(rows.texts, trained),
        classes=classes[trained],
        held_texts=held_texts,
        held_classes=np.asarray(from_validation.classes, dtype=np.int64)[held],
        fold=fold,
        chosen=trained,
        held=held,
        read=rows,
        held_read=held_read,
        limit=limit,
        held_limit=held_limit,
        unlabelled_read=unlabelled,
        unlabelled=new,
    )


def _parted(
    classes: NDArray[np.int64], choice: RowChoice, budget: TimeBudget, told: Notes
) -> tuple[Indices | None, Indices, Indices]:
    """(the fold of each row where all validate by turns, which rows train, which validate)."""
    every: Indices = np.arange(len(classes))
    if choice.fold is not None and choice.folds is not None:
        dealt = folds_of(classes, choice.folds, seed=choice.seed)
        told.note(f"part {choice.fold + 1} of {choice.folds} validates, the others are trained on")
        return None, every[dealt != choice.fold], every[dealt == choice.fold]
    folds = choice.data.folds(len(every))
    if folds and budget.end_s is None:
        told.note(
            f"{len(every)} rows are too few to hold some out: each validates in one of {folds} "
            "trainings that do not see it, and the delivered model is trained on all"
        )
        return folds_of(classes, folds, seed=choice.seed), every, every
    if folds:
        told.note(
            f"with only {len(every)} rows they would validate by turns ({folds} trainings more); "
            "under a budget a third of them is held out instead"
        )
    share = choice.data.held_share(len(every))
    return None, *split_off(classes, share=share, seed=choice.seed)


def _new_texts(texts: Sequence[str], known: Iterable[str], told: Notes) -> Indices:
    """Those of texts without labels that are in no labelled row, each once; says how many are."""
    seen, found = overlap.hashes(known), overlap.hashes(texts)
    first = np.zeros(len(found), dtype=np.bool_)
    first[np.unique(found, return_index=True)[1]] = True
    new = np.flatnonzero(first & ~np.isin(found, seen))
    gone = len(found) - len(new)
    if gone:
        told.note(
            f"{gone:,} of the {len(found):,} texts without labels are left out: they are there "
            "twice, or among the rows with labels"
        )
    return new


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
    name = "training" if split == "train" else split
    work = told.work(f"reading {name} rows", file.rows)

    def hear(rows: int) -> None:
        work(rows)
        budget.require(f"reading the {name} rows", done=rows, total=file.rows)

    rows = datasets.read(dataset, split, limit=limit, seed=seed, told=hear)
    work(file.rows)
    return rows


def _require_memory(file: File, limit: int | None, *, beside_bytes: int) -> None:
    """Raises TooLittleMemory where the rows cannot fit beside the model, before reading them."""
    on_disk = sum(
        Path(path).stat().st_size for path in {file.path, *file.shards} if Path(path).is_file()
    )
    packed = file.form.compression or file.form.format in _PACKED
    row_bytes = _BYTES_A_ROW + on_disk * _BYTES_A_BYTE["packed" if packed else "plain"] / file.rows
    room = available_bytes() - beside_bytes
    if row_bytes * (limit or file.rows) > room:
        fits = max(0, int(0.8 * room / row_bytes))
        raise TooLittleMemory(
            rows=f"{limit or file.rows:,}",
            needed=size(int(row_bytes * (limit or file.rows)) + beside_bytes),
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
    ends: Ends
    unlabelled: Tokens | None = None

    @property
    def learned(self) -> Tokens:
        """What a fine-tuning learns from: the rows that train, then those without labels."""
        return self.train if self.unlabelled is None else self.train.plus(self.unlabelled)

    def cut(self, length: int, how: LongTexts) -> Tokenised:
        unlabelled = self.unlabelled and self.unlabelled.cut(length, self.ends, how)
        train, held = (part.cut(length, self.ends, how) for part in (self.train, self.validation))
        return Tokenised(train, held, self.ends, unlabelled)

    def fold(self, inside: Indices, outside: Indices) -> Tokenised:
        train, held = self.train.take(inside), self.train.take(outside)
        return Tokenised(train, held, self.ends, self.unlabelled)


def tokenise(
    job: TrainJob, material: Material, tokenizer: Any, longest: int, budget: TimeBudget, told: Notes
) -> Tokenised:
    """From the cache, or made now. Raises what `budget.check` does."""
    cache, ends = Path(job.cache), ends_of(tokenizer)
    how = job.preset.training.read_at(longest, begin=ends.begin, end=ends.end)

    def tokens_of(split: Split, rows: Rows, limit: int | None, name: str) -> Tokens:
        return cached_tokens(
            job.dataset,
            split,
            tokenizer,
            longest,
            cache,
            how=how,
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
    unlabelled: Tokens | None = None
    if material.unlabelled_read is not None and len(material.unlabelled):
        read = tokens_of("unlabelled", material.unlabelled_read, None, "unlabelled")
        unlabelled = read.take(material.unlabelled)
    return Tokenised(taken, validation, ends, unlabelled)


def longest_of(tokenizer: Any, config: Any, asked: int | None, *, virtual: int = 0) -> int:
    """The most tokens of a text that the model reads and that are wanted, beside `virtual` ones."""
    positions = getattr(config, "max_position_embeddings", None) or LENGTHS[-1]
    positions -= 2 if positions % 64 == 2 else 0  # RoBERTa and MPNet number theirs from 2
    return int(min(asked or LENGTHS[-1], positions - virtual, tokenizer.model_max_length))


def length_for(full: NDArray[np.int64], least: int, most: int) -> int:
    """How many tokens to keep of texts with so many, (rows,): enough for nearly all of them."""
    options = [n for n in sorted({least, *LENGTHS, most}) if least <= n <= most]
    return next((n for n in options if np.mean(full <= n) >= COVERED), most)
