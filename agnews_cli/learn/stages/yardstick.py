"""The model of counted words, a competition's yardstick or all that is asked for.

How many rows it gets, and how it is fitted and validated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.method import WordCounts
from agnews_cli.learn.door.budget import TimeBudget
from agnews_cli.learn.door.notes import Notes
from agnews_cli.learn.models.forest import Forest
from agnews_cli.learn.models.linear import Linear
from agnews_cli.learn.rows.batches import Indices
from agnews_cli.learn.rows.material import Material, available_bytes
from agnews_cli.learn.rows.parts import limit_rows
from agnews_cli.learn.stages.prepare import Prepared
from agnews_cli.learn.stages.trained import Trained

Counted = Linear | Forest
FitOne = Callable[..., Counted]
"""(texts, classes, texts that validate, their classes) to a model."""

_MOST_ROWS = 200_000
_SAMPLE_ROWS = 2_000
_QUICK_CHARACTERS_A_SECOND = 100_000
"""So much text for each second that is left is fitted without measuring first: AG News takes a
tenth of the time at 60 s."""
_SHARE_OF_TIME, _SHARE_OF_MEMORY = 0.25, 0.5
_BYTES_A_CHARACTER = 200
"""Peak memory of fitting: the n-grams of a text, and the copies that scikit-learn makes of them."""


def trained(prepared: Prepared) -> Trained:
    """The model that the preset asks for, or else the yardstick, fitted and written."""
    setting, rows = prepared.setting, prepared.material
    seed, method = setting.job.seed, setting.job.preset.method
    asked = method if isinstance(method, WordCounts) else WordCounts()
    fit_one = partial(
        Forest.fit if asked.classifier == "random_forest" else Linear.fit,
        count=len(setting.labels),
        seed=seed,
        weights=prepared.class_weights,
        classifier=asked.classifier,
    )
    some = rows_for(rows, fit_one, seed, setting.budget, setting.told)
    many = "" if some is None else f" of {len(some):,} rows"
    setting.log("phase", name=f"{asked.title.partition(' of ')[0]}{many}")
    model, probabilities = fit(rows, some, fit_one, check=setting.stop.check)
    folder = setting.folder / model.kind
    model.save(folder)
    asked_s = time.monotonic()
    model.predict(rows.held_texts)
    row_s = (time.monotonic() - asked_s) / len(rows.held_texts)
    return Trained(model.kind, folder, probabilities, row_s)


def rows_for(
    material: Material, fit_one: FitOne, seed: int, budget: TimeBudget, told: Notes
) -> Indices | None:
    """The rows that it is fitted on, the same share of each class; None: all."""
    there = len(material.texts)
    characters = sum(map(len, material.texts))
    each = max(1.0, characters / there)
    most, why = _MOST_ROWS, "more make it no better"
    by_memory = int(_SHARE_OF_MEMORY * available_bytes() / (_BYTES_A_CHARACTER * each))
    if by_memory < min(most, there):
        most, why = by_memory, "memory allows no more"
    if budget.end_s is not None and characters > _QUICK_CHARACTERS_A_SECOND * budget.left_s:
        began_s = time.monotonic()
        sample = limit_rows(material.classes, _SAMPLE_ROWS, seed=seed)
        texts = [material.texts[int(row)] for row in sample]
        fit_one(texts, material.classes[sample], (), material.classes[:0])
        row_s = (time.monotonic() - began_s) / len(sample)
        by_time = max(_SAMPLE_ROWS, int(_SHARE_OF_TIME * budget.left_s / row_s))
        if by_time < min(most, there):
            most, why = by_time, "the budget leaves time for no more"
    if most >= there:
        return None
    rows = limit_rows(material.classes, most, seed=seed)
    told.note(f"the linear model is trained on {len(rows):,} of {there:,} rows: {why}")
    return rows


def fit(
    material: Material, rows: Indices | None, fit_one: FitOne, *, check: Callable[[], None]
) -> tuple[Counted, NDArray[np.float32]]:
    """(the model, what it says of the held rows); by turns where they validate by turns.

    `fit_one`: (texts, classes, those that validate and theirs) to a model.
    """
    kept = np.arange(len(material.texts)) if rows is None else rows

    def of(inside: Indices, texts: Sequence[str], classes: NDArray[np.int64]) -> Counted:
        check()
        chosen = [material.texts[int(row)] for row in inside]
        return fit_one(chosen, material.classes[inside], texts, classes)

    if material.fold is None:
        model = of(kept, material.held_texts, material.held_classes)
        return model, model.predict(material.held_texts)
    answers: list[NDArray[np.float32]] = []
    order: list[Indices] = []
    parts: list[Any] = []
    for number in range(material.folds):
        inside, outside = material.parts(number)
        asked = [material.texts[int(row)] for row in outside]
        part = of(inside, asked, material.classes[outside])
        answers.append(part.predict(asked))
        order.append(outside)
        parts.append(part)
    model = of(kept, (), material.classes[:0])
    model.adjust_as(parts)
    return model, np.concatenate(answers)[np.argsort(np.concatenate(order))]
