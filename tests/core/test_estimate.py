"""Training time: a range where somebody measured, and nothing where nobody did."""

from __future__ import annotations

import pytest

from agnews_cli.core.machine.platform import Accelerator
from agnews_cli.core.run.estimate import SPEEDS, around_s, training_time
from agnews_cli.store.settings import presets

CPU = Accelerator("cpu", "CPU", has_fast_bf16=False)
AMX = Accelerator("cpu", "CPU", has_fast_bf16=True)
GPU = Accelerator("cuda", "Tesla T4", 1, 15 * 2**30, (7, 5), has_fast_bf16=False)


def test_the_runs_that_were_measured_lie_in_its_range():
    """10,000 rows, R-Drop: 3 epochs in 37 min, 4 in 18 min 40 s (benchmarks/RESULTS.md)."""
    preset = presets.load("minilm")
    for epochs, minutes in ((3, 37), (4, 18.67)):
        chosen = presets.with_settings(preset, [f"training.epochs={epochs}"])
        found = training_time(chosen, 10_000, CPU)
        assert found is not None
        assert 0.99 * found.least_s < minutes * 60 < found.most_s
    assert found.words() == "19 to 51 min, as measured on 2 cores"


def test_twice_the_rows_take_twice_as_long_and_half_the_work_half():
    preset = presets.load("minilm")
    one, two = (training_time(preset, rows, AMX) for rows in (40_000, 80_000))
    plain = training_time(presets.with_settings(preset, ["training.r_drop=0"]), 40_000, AMX)
    assert one is not None and two is not None and plain is not None
    assert two.most_s == pytest.approx(2 * one.most_s, rel=0.02)
    assert plain.most_s == pytest.approx(one.most_s / 2)


@pytest.mark.parametrize(
    ("name", "device"), [("minilm", GPU), ("minilm-lora", CPU), ("roberta-base", CPU)]
)
def test_nothing_is_said_of_what_nobody_measured(name, device):
    assert training_time(presets.load(name), 10_000, device) is None


def test_every_speed_has_its_source_and_date():
    assert len(SPEEDS) == 2
    assert all(s.slow < s.fast and s.source and s.as_of for s in SPEEDS)


@pytest.mark.parametrize(
    ("rows", "words"), [(8, "at most 32 s"), (2_000, "4 to 10 min"), (120_000, "4 to 11 h")]
)
def test_words_are_no_more_exact_than_what_is_known(rows, words):
    found = training_time(presets.load("minilm"), rows, CPU)
    assert found is not None
    assert found.words() == f"{words}, as measured on 2 cores"


def test_reading_and_evaluating_count_too():
    preset = presets.load("minilm")
    assert around_s(preset, 600_000, 0, CPU) == pytest.approx(186, rel=0.02)
    assert 50 < around_s(preset, 0, 7_600, CPU) < 120  # 50 s were measured, with nothing beside
    assert around_s(presets.load("roberta-base"), 0, 7_600, CPU) == 0
