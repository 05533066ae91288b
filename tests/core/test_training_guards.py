"""What the guards of training say of courses of training; of sound ones they say nothing."""

from __future__ import annotations

import pytest

from agnews_cli.core.guards import data, training
from agnews_cli.core.guards.training_facts import TrainingSeen, TuningFacts, Validated
from agnews_cli.core.run.diversity import Diversity, DiversityLimits

SOUND = [
    (0.9, 0.60, 0.95, 0.58),
    (0.5, 0.80, 0.6, 0.78),
    (0.3, 0.9, 0.4, 0.87),
    (0.2, 0.94, 0.33, 0.9),
]

_OF_EACH = ("gradient_norm_most", "update_rank", "gradient_norm")


def course(*each: tuple[float, float, float, float], **changes: object) -> TrainingSeen:
    """Of (train loss, train accuracy, validation loss, validation accuracy) by turns."""
    own = {name: changes.pop(name) for name in _OF_EACH if name in changes}
    kl = changes.pop("teacher_kl", None)
    validated = tuple(
        Validated(
            step=10 * n, train_loss=a, train_accuracy=b, raw_loss=c, accuracy=d,
            best=n == changes.get("best", len(each)), teacher_kl=None if kl is None else kl[n - 1],
            **own,
        )
        for n, (a, b, c, d) in enumerate(each, 1)
    )  # fmt: skip
    changes.pop("best", None)
    facts = {"name": "m", "rows": 1000, "held_rows": 256, "sampled_rows": 256, "clip_norm": 1.0}
    facts |= {"total_steps": 10 * len(each), "validated": validated} | changes
    return TrainingSeen(tuning=TuningFacts(**facts))


def checks(seen: TrainingSeen) -> list[str]:
    return [finding.check for finding in training.findings(seen)]


COURSES = {
    "sound": (course(*SOUND), []),
    "nothing validated": (course(), []),
    "no tuning": (TrainingSeen(), []),
    "gap of accuracy": (course(*SOUND[:2], (0.15, 1.0, 0.43, 0.82)), ["overfitting"]),
    "a gap by chance, of few rows": (
        course(*SOUND[:2], (0.25, 0.95, 0.4, 0.8), held_rows=10, sampled_rows=10), []
    ),
    "gap of loss": (course(*SOUND[:2], (0.01, 0.95, 0.5, 0.9)), ["overfitting"]),
    "divergence": (
        course((0.5, 0.85, 0.5, 0.84), (0.4, 0.88, 0.4, 0.86), (0.3, 0.92, 0.55, 0.86), best=2),
        ["overfitting"],
    ),
    "a loss that rises on both": (
        course((0.4, 0.88, 0.4, 0.86), (0.6, 0.8, 0.6, 0.8)), []
    ),
    "plateau": (course(*SOUND, *[SOUND[-1]] * 5), ["plateau"]),
    "still better": (course(*SOUND, *[(0.1, 0.95, 0.33, 0.9 + n / 500) for n in range(5)]), []),
    "exploding": (course(*SOUND, gradient_norm_most=4e3), ["gradients"]),
    "vanishing": (course(*SOUND, gradient_norm=1e-9), ["gradients"]),
    "flat updates": (course(*SOUND, update_rank=1.5, rank=16), ["update rank"]),
    "full updates": (course(*SOUND, update_rank=9.0, rank=16), []),
    "left its teacher": (course(*SOUND, teacher_kl=[0.4, 0.1, 0.2, 0.3]), ["teacher"]),
    "nears its teacher": (course(*SOUND, teacher_kl=[0.4, 0.3, 0.2, 0.19]), []),
}  # fmt: skip


@pytest.mark.parametrize("name", COURSES)
def test_a_course_of_training_is_told_of_where_it_is_not_sound(name: str):
    seen, expected = COURSES[name]
    assert checks(seen) == expected


@pytest.mark.parametrize("name", [name for name, (_, found) in COURSES.items() if found])
def test_a_finding_has_a_number_and_says_what_would_help(name: str):
    (finding,) = training.findings(COURSES[name][0])
    assert any(c.isdigit() for c in finding.text) and finding.mend
    assert finding.level == "know"


def test_what_was_delivered_early_is_judged_as_it_was_delivered():
    """The last steps may have been learnt by heart: their weights are nobody's."""
    seen = course((0.4, 0.88, 0.4, 0.86), (0.05, 1.0, 0.44, 0.86), best=1)
    assert checks(seen) == []


def test_members_that_err_alike_are_told_of_and_others_not():
    def of(q: float) -> TrainingSeen:
        pair = ((1.0, q), (q, 1.0))
        facts = {"members": ("a", "b"), "rows": 100, "accuracy": (0.9, 0.9), "entropy": 0.1}
        found = Diversity(**facts, disagreement=pair, q=pair, correlation=pair, kappa=pair)
        return TrainingSeen(diversity=found, limits=DiversityLimits(q=0.7))

    assert checks(of(0.9)) == ["diversity"] and checks(of(0.2)) == []


def test_every_guard_has_a_name_of_its_own_and_its_layer():
    for layer, guards in ((1, data.DATA_GUARDS), (2, training.TRAINING_GUARDS)):
        assert len({one.name for one in guards}) == len(guards)
        assert {one.layer for one in guards} == {layer}
