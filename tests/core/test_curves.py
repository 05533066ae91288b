"""What a report draws of a training, from what its worker told over all sessions."""

from __future__ import annotations

from typing import Any

from agnews_cli.core.report.curves import MOST_POINTS, curves, thinned
from agnews_cli.core.run.job import Event


def told(kind: Any, **data: Any) -> Event:
    return Event(kind=kind, at="2026-01-01T00:00:00+00:00", elapsed_s=0.0, data=data)


def step(number: Any, loss: Any, candidate: Any = "minilm") -> Event:
    facts = {"candidate": candidate, "step": number, "total_steps": 60, "loss": loss, "lr": 1e-5}
    return told("progress", **facts)


def validated(number: int, loss: float, *, best: bool = False) -> Event:
    facts = {"candidate": "minilm", "step": number, "loss": loss, "accuracy": 0.9, "best": best}
    return told("validated", **facts)


def test_what_an_interrupted_session_did_beyond_its_checkpoint_is_what_the_next_one_did() -> None:
    first = [step(n, 1.0) for n in range(1, 31)] + [validated(28, 0.5, best=True)]
    again = [told("resumed", candidate="minilm", checkpoint="m", step=20, total_steps=60)]
    second = [step(n, 0.7) for n in range(21, 26)] + [validated(25, 0.4, best=True)]
    (curve,) = curves([*first, *again, *second])
    assert [p.loss for p in curve.trained] == [1.0] * 20 + [0.7] * 5
    assert [p.step for p in curve.validated] == [25] and curve.resumed_at == (20,)
    assert (curve.total_steps, curve.last_step) == (60, 25)


def test_each_fine_tuning_is_one_curve_and_the_best_is_the_last_one_that_was() -> None:
    held = [validated(8, 0.9, best=True), validated(16, 0.5, best=True), validated(24, 0.6)]
    found = curves([step(1, 1.0, "fold1"), *held, step(2, 0.9, "fold1")])
    assert [curve.candidate for curve in found] == ["fold1", "minilm"]
    assert found[1].best is not None and found[1].best.step == 16
    assert found[0].best is None


def test_what_is_no_number_is_passed_over() -> None:
    odd = [step(1, None), step(True, 1.0), step(-1, 1.0), step(2, float("nan")), step(3, "x")]
    odd += [step(4, 1.0, 7), told("validated", step=5, loss=0.1), told("note", text="x")]
    assert curves(odd) == ()


def test_a_long_curve_keeps_its_ends() -> None:
    points = tuple(range(10_007))
    found = thinned(points)
    assert len(found) == MOST_POINTS and (found[0], found[-1]) == (0, 10_006)
    assert list(found) == sorted(set(found)) and thinned((1, 2)) == (1, 2)
