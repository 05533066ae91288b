"""Every schedule of the registry: what the learning rate does over a training."""

from __future__ import annotations

import math

import pytest

from agnews_cli.core.run.preset import Training
from agnews_cli.learn import schedules
from agnews_cli.learn.kinds.registry import modules
from agnews_cli.learn.loop.learning_rate import learning_rate


def rates(name: str, steps: int = 100, **training: object) -> list[float]:
    fields = modules(schedules)[name].EXAMPLE | {"lr": 1e-3, "warmup": 0.1} | training
    recipe = Training.model_validate(fields)
    return [learning_rate(recipe, step, steps) for step in range(steps + 1)]


@pytest.mark.parametrize("steps", [1, 2, 100])
@pytest.mark.parametrize("name", modules(schedules))
def test_it_rises_to_the_peak_and_is_never_above_it(name, steps):
    found = rates(name, steps)[:steps]
    first = -(-steps // (modules(schedules)[name].EXAMPLE.get("snapshots") or 1))  # of its cycles
    rise = found[: max(1, round(0.1 * first))]
    assert rise == sorted(rise) and rise[-1] == 1e-3
    assert all(0 < rate <= 1e-3 for rate in found)


def test_polynomial_is_a_power_of_the_line():
    line, curve = rates("linear"), rates("polynomial", schedule_power=3.0)
    assert curve[10:] == pytest.approx([1e-3 * (rate / 1e-3) ** 3 for rate in line[10:]])
    assert rates("polynomial", schedule_power=1.0) == pytest.approx(line)


def test_inverse_square_root_is_half_the_peak_at_four_times_the_warm_up():
    found = rates("inverse_square_root")
    assert found[39] == pytest.approx(5e-4)
    assert found[99] == pytest.approx(1e-3 * math.sqrt(0.1))
