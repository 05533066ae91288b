"""Advice as a function of what was measured: what comes first, and the numbers that it names."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agnews_cli.core.advice import data_first, power_law
from agnews_cli.core.advice.advise import advise
from agnews_cli.core.advice.measured import (
    CurvePoint,
    LabelDoubts,
    LearningCurve,
    MeasuredData,
    TextDimension,
)
from agnews_cli.core.advice.model import rank_for
from agnews_cli.core.advice.seen import Advice, AdviceSeen, SeveralModels
from agnews_cli.store.settings import presets

NIGHT = SeveralModels("of-a-night", "Four models.", "4 models, about 2 h", 7_200.0)
AGES = SeveralModels("of-ages", "Nine models.", "9 models, about 90 h", 324_000.0)


def command(name: str, words: Sequence[str]) -> str:
    return shlex.join(("agnews", name, "--data", "my data.csv", *words))


def measured(
    *, floor: float, suspects: int = 300, gain: float = 0.0, dimension: float | None = 14.0
) -> MeasuredData:
    """Of errors n^-0.5 above a floor."""
    sizes = (250, 500, 1_000, 2_000, 4_000, 8_000)
    points = tuple(CurvePoint(rows=n, error=2 * n**-0.5 + floor, draws=1) for n in sizes)
    of = None
    if dimension is not None:
        of = TextDimension(value=dimension, of="TF-IDF of words", texts=1_500)
    return MeasuredData(
        curve=LearningCurve(points=points, tested=2_000),
        dimension=of,
        doubts=LabelDoubts(asked=8_000, suspects=suspects, gain=gain, gain_error=0.002),
    )


def seen(found: MeasuredData | None, **other: object) -> AdviceSeen:
    facts = {
        "class_rows": (2_500,) * 4, "measured": found,
        "why_not_measured": "" if found else "as asked",
        "preset": presets.load("minilm"), "choice": ("preset minilm: it fits.",), "memory": "fits",
        "memory_name": "minilm-l6", "has_lora": True, "ensembles": (AGES, NIGHT), "students": (),
        "left_s": None, "command": command,
    }  # fmt: skip
    return AdviceSeen(**facts | other)  # type: ignore[arg-type]


def of(topic: str, seen: AdviceSeen) -> Advice:
    return next(one for one in advise(seen) if one.topic == topic)


@given(
    st.floats(0.5, 5), st.floats(0.2, 1.0), st.sampled_from([0.0, 0.02, 0.1]),
)  # fmt: skip
def test_a_power_law_is_found_again(a: float, b: float, c: float) -> None:
    points = [(n, a * n**-b + c) for n in (250, 500, 1_000, 2_000, 4_000, 8_000)]
    law = power_law.fitted(points)
    assert law is not None
    assert law.error(16_000) == pytest.approx(a * 16_000**-b + c, rel=0.1)


@pytest.mark.parametrize(
    "points",
    [[], [(100, 0.2), (200, 0.1)], [(100, 0.1), (200, 0.2), (400, 0.3)], [(100, 0.0)] * 5,
     [(100, 0.2)] * 6],
)  # fmt: skip
def test_what_follows_no_law_has_none(points: list[tuple[float, float]]) -> None:
    assert power_law.fitted(points) is None


def test_labels_come_first_where_most_of_the_error_stays_and_leaving_them_out_does_no_harm():
    noisy = measured(floor=0.2, gain=0.003)
    assert of("data first", seen(noisy)).text == "cleaner labels first"
    assert of("regularisation", seen(noisy)).text == "label smoothing of 0.1"
    for other in (
        measured(floor=0.2, gain=-0.002),
        measured(floor=0.2, suspects=3),
        measured(floor=0.03),
    ):
        assert not data_first.has_noise(seen(other))


def test_rows_come_first_where_twice_as_many_gain_half_a_point() -> None:
    found = of("data first", seen(measured(floor=0.03)))
    assert found.text == "more rows first"
    gained = 2 * (10_000**-0.5 - 20_000**-0.5)
    assert gained > 0.005
    assert f"{1 - 2 * 20_000**-0.5 - 0.03:.1%} instead of {1 - 2 * 10_000**-0.5 - 0.03:.1%}" in (
        found.reason
    )
    many = seen(measured(floor=0.03, suspects=3), class_rows=(10_000_000,) * 4)
    assert of("data first", many).text == "neither: train now"


def test_what_was_not_measured_is_said() -> None:
    found = of("data first", seen(None))
    assert "not measured" in found.text
    assert found.command == "agnews check --data 'my data.csv' --quick"
    assert "not measured" in of("LoRA rank", seen(None)).text
    few = MeasuredData(curve=None, dimension=None, doubts=None)
    assert "too few for a learning curve" in of("data first", seen(few)).reason


@given(st.floats(0.1, 500))
def test_the_rank_is_the_next_power_of_two_from_4_to_64(dimension: float) -> None:
    rank = rank_for(dimension)
    assert math.log2(rank).is_integer()
    assert 4 <= rank <= 64
    assert rank >= min(dimension, 64)
    assert rank == 4 or rank / 2 < dimension


def test_an_ensemble_is_advised_where_it_fits_the_time_that_is_left() -> None:
    assert "of-a-night" in of("tier", seen(None)).text
    short = of("tier", seen(None, left_s=3_600.0))
    assert short.text == "one model"
    assert "of-ages takes 9 models, about 90 h, more than the 1 h" in short.reason


def test_rare_classes_and_few_rows_are_regularised_each_in_its_way() -> None:
    rare = of("regularisation", seen(None, class_rows=(5_000, 5_000, 100)))
    assert "training.class_weights=balanced" in rare.command
    few = of("regularisation", seen(None, class_rows=(100, 100)))
    assert "few rows" in few.text


def test_every_piece_has_reason_source_and_command() -> None:
    for found in (None, measured(floor=0.03), measured(floor=0.2)):
        for one in advise(seen(found, students=(NIGHT,))):
            assert one.reason
            assert one.source
            assert shlex.split(one.command)[0] == "agnews"
