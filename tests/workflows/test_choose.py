"""Which preset is chosen, over machines, hours, rows and goals; and why each other one is not."""

from __future__ import annotations

import re
from functools import cache
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agnews_cli.core.machine.accelerator import Accelerator
from agnews_cli.core.run import row_rules
from agnews_cli.core.run.choose import Choice, Finish, choose
from agnews_cli.core.run.cost import (
    MOST_CPU_PARAMETERS,
    KnownSpeeds,
    like_news,
    training,
)
from agnews_cli.core.run.needs import Need, Needs
from agnews_cli.core.run.preset import NAMING, Preset
from agnews_cli.core.run.request import Goal
from agnews_cli.store.settings import catalogue, offers, presets

GB = 10**9
CPU = Accelerator("cpu", "CPU")
DEVICES = offers.assumed().devices
EVERY = presets.load_all()
NEEDS, HOST_BYTES = Needs(catalogue.load()), 16 * GB


def card(gigabytes: float, name: str = "T4") -> Accelerator:
    return Accelerator("cuda", name, memory_bytes=round(gigabytes * GB))


def chosen(
    device: Accelerator, hours: float | None, rows: int | None, goal: Goal = "accuracy"
) -> Choice:
    """All presets can be had; the speed of a T4 and of a CPU is known, that of others is not."""

    def term(preset: Preset) -> Finish | None:
        if hours is None or rows is None:
            return None
        cost = training(preset, like_news(rows), KnownSpeeds(DEVICES))
        pace = cost.takes("cpu" if device.kind == "cpu" else device.name)
        said = "" if pace is None else f"about {pace.seconds / 3600:.2f} h"
        return None if pace is None else Finish(pace.seconds, hours * 3600, said)

    return choose(
        EVERY, device, goal, why_unavailable=lambda preset: None, rows=rows, term=term,
        need=lambda preset: needed(preset, device),
    )  # fmt: skip


@cache
def needed(preset: Preset, device: Accelerator) -> Need:
    return NEEDS.of(preset.model, preset.method, preset.training, device, HOST_BYTES)


def told(choice: Choice) -> str:
    assert choice.preset is not None
    return choice.preset.name + " (late)" * choice.reasons[0].startswith("none")


HOURS = (0.25, 1, 4, None)
MINI, LORA, LATE = "minilm", "minilm-lora", "minilm-lora (late)"
BASE, MODERN, LARGE = "deberta-v3-base", "modernbert-base", "deberta-v3-large-lora"
GOLDEN: dict[tuple[str, Goal, int], tuple[str, str, str, str]] = {
    # What can be had in a quarter of an hour, in one, in four, in any number of them.
    ("CPU", "accuracy", 60): (MINI, MINI, MINI, MINI),
    ("CPU", "accuracy", 1_000): (MINI, MINI, MINI, MINI),
    ("CPU", "accuracy", 10_000): (LORA, MINI, MINI, MINI),
    ("CPU", "accuracy", 120_000): (LATE, LATE, LORA, MINI),
    ("CPU", "balanced", 10_000): (LORA, MINI, MINI, MINI),
    ("CPU", "speed", 10_000): (LORA, MINI, MINI, MINI),
    ("CPU", "speed", 120_000): (LATE, LATE, LORA, MINI),
    ("T4", "accuracy", 60): (MINI, MINI, MINI, MINI),
    ("T4", "accuracy", 1_000): (BASE, BASE, BASE, BASE),
    ("T4", "accuracy", 10_000): (LARGE, LARGE, LARGE, LARGE),
    ("T4", "accuracy", 120_000): (LORA, MODERN, LARGE, LARGE),
    ("T4", "balanced", 60): (MINI, MINI, MINI, MINI),
    ("T4", "balanced", 1_000): (MODERN, MODERN, MODERN, MODERN),
    ("T4", "balanced", 120_000): (LORA, MODERN, MODERN, MODERN),
    ("T4", "speed", 1_000): (MINI, MINI, MINI, MINI),
    ("T4", "speed", 120_000): (LORA, MINI, MINI, MINI),
    # Nobody knows how fast these are, so that no time is too short for them.
    ("8 GB", "accuracy", 1_000): (BASE, BASE, BASE, BASE),
    ("8 GB", "balanced", 120_000): (MODERN, MODERN, MODERN, MODERN),
    ("80 GB", "accuracy", 60): (MINI, MINI, MINI, MINI),
    ("80 GB", "accuracy", 120_000): (LARGE, LARGE, LARGE, LARGE),
}
MACHINES = {"CPU": CPU, "T4": card(15), "8 GB": card(8, "RTX"), "80 GB": card(80, "A100")}


@pytest.mark.parametrize("case", GOLDEN, ids=str)
def test_what_is_chosen_reads_sensibly(case: tuple[str, Goal, int]) -> None:
    machine, goal, rows = case
    found = tuple(told(chosen(MACHINES[machine], hours, rows, goal)) for hours in HOURS)
    assert found == GOLDEN[case]


def test_every_refusal_has_its_number_and_every_choice_its_reason() -> None:
    for machine in MACHINES.values():
        for rows in (60, 1_000, 120_000):
            for goal in get_args(Goal):
                found = chosen(machine, 0.25, rows, goal)
                assert all(re.search(r"\d", one.reason) for one in found.passed_over if _tuned(one))
                assert f"{rows:,} rows" in found.reasons[0]
    few = chosen(card(15), None, 1_000)
    assert few.passed_over[0].reason.startswith("435 M weights for 1,000 rows: at most 200 M below")
    assert "arXiv 2006.04884" in few.passed_over[0].reason
    late = chosen(card(15), 1, 120_000)
    assert re.fullmatch(r"about 1\.1\d h: later than asked for", late.passed_over[0].reason)
    assert re.fullmatch(r"about 0\.8\d h", late.reasons[2])


def _tuned(passed: object) -> bool:
    return next(p for p in EVERY if p.name == passed.name).is_chosen  # type: ignore[attr-defined]


def test_where_none_is_finished_by_then_the_first_one_is_taken_and_that_is_said() -> None:
    found = chosen(CPU, 0.1, 120_000)
    assert found.preset is not None and found.preset.name == LORA
    assert found.reasons[0].startswith("none that fits a CPU and 120,000 rows is finished by then")
    assert LORA not in {one.name for one in found.passed_over}
    never = choose(
        EVERY, CPU, "accuracy", why_unavailable=lambda preset: None,
        term=lambda preset: Finish(None, 60.0, "no sessions can hold it"),
    )  # fmt: skip
    assert never.preset is not None and "none that fits" in never.reasons[0]


def test_there_is_one_rule_for_every_number_of_rows() -> None:
    bounds = [rule.below for rule in row_rules.RULES]
    assert bounds[-1] is None and bounds[:-1] == sorted(set(bounds[:-1]))  # type: ignore[type-var]
    assert all(rule.reason for rule in row_rules.RULES)
    most = [row_rules.rule_for(n).most_parameters for n in range(1, 5_000)]
    sizes = [float("inf") if size is None else size for size in most]
    assert sizes == sorted(sizes), "more rows never want a smaller model"


# ---- properties ---------------------------------------------------------------------------------

machines = st.one_of(st.just(None), st.floats(4, 200))
hours = st.one_of(st.none(), st.floats(0.01, 100))
rows = st.integers(8, 2_000_000)
goals = st.sampled_from(get_args(Goal))


def _device(gigabytes: float | None) -> Accelerator:
    return CPU if gigabytes is None else card(gigabytes)


def _rank(choice: Choice, goal: Goal) -> float:
    """Higher is better, as the goal has it; nothing at all is the worst."""
    if choice.preset is None:
        return float("-inf")
    return -choice.preset.model.parameters if goal == "speed" else choice.preset.order


@given(machines, hours, rows, goals)
@settings(deadline=None, max_examples=60)
def test_nothing_that_is_chosen_exceeds_machine_rows_or_time(
    gigabytes: float | None, left: float | None, count: int, goal: Goal
) -> None:
    found, device = chosen(_device(gigabytes), left, count, goal), _device(gigabytes)
    if found.preset is None:
        return
    weights, rule = found.preset.model.parameters, row_rules.rule_for(count)
    assert rule.most_parameters is None or weights <= rule.most_parameters
    assert found.preset.tier not in NAMING and found.preset.method.needs_weights
    if device.memory_bytes is None:
        assert weights <= MOST_CPU_PARAMETERS
    there = device.memory_bytes or HOST_BYTES
    assert needed(found.preset, device).peak_bytes <= there
    if left is not None and not found.reasons[0].startswith("none"):
        cost = training(found.preset, like_news(count), KnownSpeeds(DEVICES))
        pace = cost.takes("cpu" if device.kind == "cpu" else device.name)
        assert pace is None or pace.seconds <= left * 3600


@given(st.floats(4, 200), st.floats(1, 4), hours, rows, goals)
@settings(deadline=None, max_examples=40)
def test_more_memory_never_gives_a_worse_preset(
    gigabytes: float, factor: float, left: float | None, count: int, goal: Goal
) -> None:
    less, more = (chosen(card(size), left, count, goal) for size in (gigabytes, gigabytes * factor))
    assert _rank(more, goal) >= _rank(less, goal)


@given(machines, st.floats(0.01, 50), st.floats(1, 20), rows, goals)
@settings(deadline=None, max_examples=40)
def test_more_time_never_gives_a_worse_preset(
    gigabytes: float | None, left: float, factor: float, count: int, goal: Goal
) -> None:
    device = _device(gigabytes)
    less, more = (chosen(device, time, count, goal) for time in (left, left * factor))
    assert _rank(more, goal) >= _rank(less, goal)
    assert _rank(chosen(device, None, count, goal), goal) >= _rank(more, goal)


@given(machines, rows, st.integers(0, 2_000_000), goals)
@settings(deadline=None, max_examples=40)
def test_more_rows_never_give_a_worse_preset_where_there_is_time_for_them(
    gigabytes: float | None, count: int, further: int, goal: Goal
) -> None:
    device = _device(gigabytes)
    less, more = (chosen(device, None, n, goal) for n in (count, count + further))
    assert _rank(more, goal) >= _rank(less, goal)
