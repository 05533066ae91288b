"""The rows that are hardest, and those whose label is likely wrong, of those that validated.

What a model says of rows that it did not train on lies beside it; their texts are found by digest
in the data, where these are still what they were.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from agnews_cli.core.report.figures import Noise, OddRow
from agnews_cli.core.run.dataset import Dataset, Split
from agnews_cli.errors import AgnewsError
from agnews_cli.learn.checks.suspects import confident, margins
from agnews_cli.learn.combine.logits import UNKNOWN, Logits, digests
from agnews_cli.learn.figures.blend import row_losses, softmax
from agnews_cli.store.data import datasets
from agnews_cli.store.disk import files

SHOWN = 12
_SHOWN_CHARACTERS = 400
_MOST_BYTES = 16_000_000
_SPLITS: tuple[Split, ...] = ("validation", "train")


def odd_rows(
    said: Logits, folder: Path
) -> tuple[tuple[OddRow, ...], tuple[OddRow, ...], Noise | None]:
    """(the hardest first, the likeliest label errors first, how many of these there are)."""
    if not len(said.classes) or int(said.classes[0]) == UNKNOWN:
        return (), (), None
    probabilities = softmax(said.delivered.astype(np.float64))
    classes = said.classes.astype(np.int64)
    losses = row_losses(probabilities, classes)
    wrong = np.flatnonzero(probabilities.argmax(1) != classes)
    hardest = wrong[np.argsort(-losses[wrong], kind="stable")][:SHOWN]
    counted = confident(probabilities, classes)
    is_suspect = (counted >= 0) & (counted != classes)
    margin = margins(probabilities, classes)
    order = np.flatnonzero(is_suspect)[np.argsort(margin[is_suspect], kind="stable")]
    suspects = order[:SHOWN]
    texts = texts_by_digest(folder, said.rows[np.concatenate([hardest, suspects])])

    def told(rows: NDArray[np.int64]) -> tuple[OddRow, ...]:
        return tuple(_row(said, probabilities, int(row), texts) for row in rows)

    noise = Noise(asked=len(classes), suspects=len(order))
    return told(hardest), told(suspects), noise


def _row(said: Logits, probabilities: NDArray[np.float64], row: int, texts: Texts) -> OddRow:
    label, answer = int(said.classes[row]), int(probabilities[row].argmax())
    text = texts.get(said.rows[row].tobytes())
    return OddRow(
        digest=said.rows[row].tobytes().hex()[:16],
        text=None if text is None else text[:_SHOWN_CHARACTERS],
        label=said.labels[label],
        predicted=said.labels[answer],
        label_probability=float(probabilities[row, label]),
        predicted_probability=float(probabilities[row, answer]),
    )


# ---- texts --------------------------------------------------------------------------------------

Texts = dict[bytes, str]
"""By the digest of each."""


def dataset_of(folder: Path) -> Dataset | None:
    """The data that a run was made of, without test rows; None where it does not say."""
    try:
        facts = json.loads(files.read_plain(folder / "job.json", _MOST_BYTES))
        return Dataset.model_validate(facts["dataset"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return None


def texts_by_digest(folder: Path, wanted: NDArray[np.uint8]) -> Texts:
    """Those of training and validation rows that have one of these digests."""
    data = dataset_of(folder)
    left = {row.tobytes() for row in wanted}
    found: Texts = {}
    for split in _SPLITS:
        if data is None or not left - found.keys() or data.file(split) is None:
            continue
        try:
            rows = datasets.read(data, split).texts
        except (OSError, AgnewsError):  # gone, or changed
            continue
        found |= _with_digests(rows, left)
    return found


def _with_digests(texts: Sequence[str], wanted: set[bytes]) -> Texts:
    told = digests(texts)
    return {
        row.tobytes(): text
        for row, text in zip(told, texts, strict=True)
        if row.tobytes() in wanted
    }
