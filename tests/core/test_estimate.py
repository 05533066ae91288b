"""Training time: a range where somebody measured, and nothing where nobody did."""

from __future__ import annotations

import pytest

from agnews_cli.core.estimate import SPEEDS, training_time
from agnews_cli.core.platform import Accelerator
from agnews_cli.store import presets

CPU = Accelerator("cpu", "CPU", has_fast_bf16=False)
AMX = Accelerator("cpu", "CPU", has_fast_bf16=True)
GPU = Accelerator("cuda", "Tesla T4", 1, 15 * 2**30, (7, 5), has_fast_bf16=False)


def test_the_run_that_was_measured_lies_in_its_range():
    """10,000 rows, 3 epochs, R-Drop: 37 min beside other work (benchmarks/RESULTS.md)."""
    found = training_time(presets.load("minilm"), 10_000, CPU)
    assert found is not None
    assert found.least_s < 37 * 60 < found.most_s
    assert found.most_s < 1.1 * 37 * 60
    assert found.words() == "16 to 38 min, as measured on 2 cores"


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
    ("rows", "words"), [(8, "at most 2 s"), (2_000, "3 to 8 min"), (120_000, "3 to 8 h")]
)
def test_words_are_no_more_exact_than_what_is_known(rows, words):
    found = training_time(presets.load("minilm"), rows, CPU)
    assert found is not None
    assert found.words() == f"{words}, as measured on 2 cores"
