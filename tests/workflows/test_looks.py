"""Looks at test rows as people meet them: counted over runs, told on the last screen and after."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.train

from tests import tiny  # noqa: E402


def test_a_second_model_is_a_second_look_and_a_changed_test_set_is_told(tmp_path: Path, agnews):
    for split, each in (("train", 40), ("test", 20)):
        tiny.write(tmp_path / "d" / f"{split}.csv", tiny.rows(2, each))
    linear = ("auto", "--data", "d", "--preset", "linear")
    first = agnews(*linear)
    assert first.code == 0 and "asked once" in first.out + first.err
    second = agnews(*linear, "--limit-train", 60)
    shown = second.out + second.err
    assert "the 2nd look at them" in shown and "as the best of 2" in shown and "Šidák" in shown
    # The same bytes, and one more: the first run's model is asked again, and figures start anew.
    with (tmp_path / "d" / "test.csv").open("a") as file:
        file.write("\n")
    third = agnews(*linear, "--json")
    assert third.code == 0, third.err
    found = third.json
    told = next(w for w in found["warnings"] if "changed" in w)
    assert "2 looks were at the first ones" in told
    assert (found["evaluation"]["look"]["number"], found["evaluation"]["look"]["looks"]) == (1, 1)
    assert found["evaluation"]["best_of"] is None
