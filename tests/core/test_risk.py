"""The score of risk: what each indicator counts, and what was not measured counts nothing."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from agnews_cli.core.guards.risk import INDICATORS, NOT_MEASURED, RiskNumber, risk

SOUND = {one.name: RiskNumber(one.usual) for one in INDICATORS}
ALARMING = {one.name: RiskNumber(one.alarming) for one in INDICATORS}


def test_ten_indicators_each_with_weight_advice_and_source() -> None:
    assert len(INDICATORS) == len({one.name for one in INDICATORS}) == 10
    assert all(one.weight > 0 and one.advice and one.source for one in INDICATORS)


def test_a_sound_training_has_none_and_an_alarming_one_all_of_it() -> None:
    assert (risk(SOUND).score, risk(SOUND).word, risk(SOUND).covered) == (0.0, "low", 1.0)
    assert (risk(ALARMING).score, risk(ALARMING).word) == (1.0, "high")
    assert [one.advice for one in risk(SOUND).indicators] == [""] * 10
    assert all(one.advice for one in risk(ALARMING).indicators)


@pytest.mark.parametrize("one", INDICATORS, ids=lambda one: one.name)
def test_each_raises_the_score_by_its_weight_and_never_beyond(one) -> None:
    whole = sum(each.weight for each in INDICATORS)
    for beyond in (one.alarming, one.alarming * 1e6):
        found = risk(SOUND | {one.name: RiskNumber(beyond)})
        assert found.score == pytest.approx(one.weight / whole)
    between = [one.usual + n * (one.alarming - one.usual) / 10 for n in range(11)]
    risks = [one.risk(value) for value in between]
    assert risks == sorted(risks) and (risks[0], risks[-1]) == (0, 1)


def test_what_was_not_measured_is_said_and_counts_nothing() -> None:
    half = {name: ALARMING[name] for name in ("loss_gap", "test_looks")}
    found = risk(half | {"spread": RiskNumber(math.nan), "label_noise": RiskNumber(math.inf)})
    assert found.score == 1.0 and found.covered == pytest.approx(3.0 / 12.5)
    shown = {one.name: one.shown for one in found.indicators}
    assert shown["spread"] == shown["label_noise"] == shown["label_shift"] == NOT_MEASURED
    assert (risk({}).score, risk({}).word, risk({}).covered) == (None, NOT_MEASURED, 0.0)


def test_a_number_is_shown_in_its_unit() -> None:
    numbers = {"accuracy_gap": 0.123, "parameters_per_row": 47_300.0, "test_looks": 4.0}
    found = risk({name: RiskNumber(value, "of 9 rows") for name, value in numbers.items()})
    shown = {one.name: one.shown for one in found.indicators if one.value is not None}
    assert shown == {"accuracy_gap": "+12.3%", "parameters_per_row": "47,300", "test_looks": "4"}
    assert found.as_json()["indicators"][1]["of"] == "of 9 rows"


def test_the_page_has_every_indicator_with_its_bounds() -> None:
    page = (Path(__file__).parents[2] / "docs" / "report.md").read_text("utf-8")
    for one in INDICATORS:
        bounds = " | ".join(format(value, one.form) for value in (one.usual, one.alarming))
        name = one.title + "*" * one.is_log
        assert f"| {name} | {bounds} | {one.weight:g} | {one.source} |" in page
