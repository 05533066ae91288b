"""What is called a copy on data of other shapes than news: what was planted, and nothing else."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.train
pytest.importorskip("sklearn")

from agnews_cli.learn.checks.repeats import other_numbers  # noqa: E402
from benchmarks import other_shapes  # noqa: E402


@pytest.mark.parametrize("name", sorted(other_shapes.SHAPES))
def test_copies_are_those_that_were_planted(name: str) -> None:
    made = other_shapes.SHAPES[name](900)
    assert made.train == other_shapes.SHAPES[name](900).train  # the same rows every time
    found = other_shapes.judged(made)
    assert found.false == ()
    assert found.missed == ()
    assert found.told["exact"] >= 9
    assert found.told["copy"] >= 4


def test_in_a_short_text_another_number_is_another_thing() -> None:
    assert other_numbers("Where is order 793435?", "Where is order 793438?")
    assert not other_numbers("Where is order 793435?", "WHERE IS ORDER 793435!")
    assert not other_numbers("Sharks 3, Bears 1", "Sharks 3, Bears 1: the report of 2004")
    report = "Stocks rose " * 15
    assert not other_numbers(f"{report} 2.6 percent", f"{report} 2.7 percent")
