"""The steps that are planned are the steps that the run makes of the same rows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
pytest.importorskip("torch")

from agnews_cli.core.run.cost import TOKENS_A_ROW, KnownSpeeds, schedule, training  # noqa: E402
from agnews_cli.core.run.preset import Preset  # noqa: E402
from agnews_cli.core.run.work import Recipe, RowChoice, Train  # noqa: E402
from agnews_cli.learn.rows.batches import steps_in  # noqa: E402
from agnews_cli.store.data import datasets  # noqa: E402
from tests.learn import tiny  # noqa: E402

CASES: dict[str, tuple[dict[str, int], dict[str, Any], dict[str, Any], int | None]] = {
    "a share is held out": ({"a": 900, "b": 600}, {}, {}, None),
    "no more validate than that": (
        {"a": 3000, "b": 1001}, {"validation_rows_at_most": 50}, {}, None,
    ),
    "no fewer": ({"a": 400, "b": 310}, {"validation_rows_at_least": 300}, {}, None),
    "by turns": ({"a": 120, "b": 83}, {}, {"least_steps": 60}, None),
    "a part of the rows": ({"a": 900, "b": 600}, {}, {}, 777),
    "a part so small that it goes by turns": ({"a": 900, "b": 600}, {}, {}, 200),
    "a rare class": ({"a": 1400, "b": 3}, {}, {}, None),
    "other batches": ({"a": 900, "b": 600}, {}, {"batch_tokens": 2048, "epochs": 1.5}, None),
    "batches that no row fills": ({"a": 900, "b": 600}, {}, {"batch_tokens": 1000}, None),
    "a file validates": ({"a": 900, "b": 600}, {}, {"validates": True}, None),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_planned_steps_are_the_run_s_own(name: str, tmp_path: Path) -> None:
    rows, data, training_, limit = CASES[name]
    recipe = {"batch_tokens": 1024} | training_
    place = tmp_path / "data"
    place.mkdir()
    tiny.csv_file(place / "train.csv", rows)
    if recipe.pop("validates", False):
        tiny.csv_file(place / "validation.csv", {"a": 30, "b": 20}, seed=1)
    preset = tiny.preset(tmp_path, data, **recipe)
    found = datasets.find(str(place))
    work = Train(recipe=Recipe.of(preset), rows=RowChoice(data=preset.data, limit=limit))
    planned = schedule(work, found)
    real_steps, real_passes = _of_the_run(tmp_path, place, preset, limit)
    assert planned.steps == real_steps
    assert planned.rows * planned.passes_a_row == pytest.approx(real_passes)
    assert training(preset, found, KnownSpeeds(), limit).steps == real_steps


def _of_the_run(folder: Path, data: Path, preset: Preset, limit: int | None) -> tuple[int, float]:
    """As `learn.stages.train` trains: rows drawn by the reader, lengths of 64 tokens."""
    rows = tiny.rows(folder, data, preset, limit_train=limit)

    def steps_over(count: int, epochs: float) -> int:
        lengths = np.full(count, TOKENS_A_ROW, dtype=np.int64)
        tokens = preset.training.batch_tokens
        return steps_in(lengths, seed=0, epochs=epochs, batch_tokens=tokens)

    recipe = preset.training.of_steps(steps_over(len(rows.texts), 1))
    each = [len(rows.texts)]
    if rows.fold is not None:
        each = [len(rows.parts(number)[0]) for number in range(rows.folds)] + each
    steps = sum(steps_over(count, recipe.epochs) for count in each)
    return steps, math.fsum(each) * recipe.passes
