"""A test split for data that have none: made of training rows, and said.

The rows are the same whatever the seed or the preset: models that were trained on the same data are
compared on the same rows.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Final

from agnews_cli.core.run import test_rows
from agnews_cli.core.run.dataset import Draw, File, Split

_OPTIMISTIC: Final = "the final figures are of rows that also chose the model, and optimistic"


def made(
    files: Mapping[Split, File], share: float | None, notes: list[str], warnings: list[str]
) -> dict[Split, File]:
    """The training rows that are left, and the test rows; {} where there is nothing to make."""
    train = files["train"]
    if "test" in files:
        if share is not None:
            notes.append("--test-share is not used: the data have a test split of their own")
        return {}
    if share == 0:
        notes.append(f"no test split, as asked: {_OPTIMISTIC}")
        return {}
    taken = test_rows.drawn(train.class_rows, share)
    if not taken:
        few = f"no test split, and {train.rows:,} rows are too few to spare a tenth"
        less = f"no test split, for no class of {train.rows:,} rows has one to spare"
        notes.append(f"{few if share is None else less}: {_OPTIMISTIC}; --test-share 0.2 makes one")
        return {}
    rows = sum(taken)
    if rows < test_rows.LEAST_ROWS:
        warnings.append(
            f"the test split has only {rows} row{'s' * (rows != 1)}: its figures can be far from "
            "what new texts will show"
        )
    notes.append(
        f"no test split: {rows:,} of the {train.rows:,} rows ({rows / train.rows:.0%}) are held "
        "out as one and asked once, at the end; --test-share 0 trains on them"
    )
    whole = train.class_rows
    left = tuple(rows - drawn for rows, drawn in zip(whole, taken, strict=True))
    return {
        "train": _part(train, left, Draw(class_rows=whole, taken=taken, is_test=False)),
        "test": _part(train, taken, Draw(class_rows=whole, taken=taken, is_test=True)),
    }


def _part(file: File, class_rows: tuple[int, ...], draw: Draw) -> File:
    return file.model_copy(update={"rows": sum(class_rows), "class_rows": class_rows, "draw": draw})


def numbers(draw: Draw) -> tuple[frozenset[int], ...]:
    """Of each class, which of its rows are test rows, counted from 0 in file order."""
    rng = random.Random("test rows")
    return tuple(
        frozenset(rng.sample(range(rows), taken))
        for rows, taken in zip(draw.class_rows, draw.taken, strict=True)
    )
