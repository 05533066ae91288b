"""Looks at test rows: how they are counted, what the best of several is worth, and who may look."""

from __future__ import annotations

import ast
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest

import agnews_cli
from agnews_cli.core.run import looks
from agnews_cli.core.run.dataset import Dataset, File, Form
from agnews_cli.core.run.identity import run_id
from agnews_cli.core.run.job import AnyJob, Job
from agnews_cli.core.run.looks import RecordedLook
from agnews_cli.core.run.work import (
    Combine,
    EnsembleMember,
    Evaluate,
    Export,
    Predict,
    Recipe,
    RunOutput,
    Train,
    Training,
    Work,
    reads,
)
from tests import source

SOURCE = Path(agnews_cli.__file__).parent
MODEL = RunOutput(run="m-0123456789")
WORKS = {
    Train: Train(recipe=Recipe(weights="w", training=Training(lr=1e-3))),
    Predict: Predict(model=MODEL),
    Combine: Combine(members=(EnsembleMember(models=(MODEL,)),)),
    Evaluate: Evaluate(model=MODEL),
    Export: Export(model=MODEL, form="onnx"),
}


def file(name: str, sha: str = "0") -> File:
    return File(path=f"/{name}.csv", form=Form(format="csv"), rows=9, sha256=sha * 64)


def data(test: File | None) -> Dataset:
    return Dataset(
        name="d", train=file("train", "1"), test=test, text_columns=("text",),
        label_column="label", labels=("a", "b"), label_values=("a", "b"),
    )  # fmt: skip


# ---- only an evaluation looks --------------------------------------------------------------------


@pytest.mark.parametrize("kind", get_args(get_args(Work)[0]))
def test_of_all_kinds_of_work_an_evaluation_alone_reads_test_rows_and_depends_on_them(kind):
    work = WORKS[kind]
    one, other = (run_id("x", work, data(file("test", sha))) for sha in "ab")
    assert ("test" in reads(work)) == (one != other) == (kind is Evaluate)


@pytest.mark.parametrize("kind", get_args(get_args(AnyJob)[0]))
def test_no_job_is_told_where_test_rows_lie_whoever_makes_it(kind):
    assert issubclass(kind, Job)
    told = kind.model_construct(dataset=data(file("secret")))
    dataset = Job._has_no_test(told.dataset)
    assert dataset.test is None and "secret" not in dataset.model_dump_json()
    assert kind.__pydantic_decorators__.field_validators["_has_no_test"]


def _opens_test_rows(tree: ast.AST) -> bool:
    """Whether it makes an order to evaluate of a file, or reads the rows of the test split."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called == "TestOrder.model_validate_json":
            return True
        is_reading = called.rpartition(".")[2] in ("read", "read_rows", "rows_of")
        if is_reading and any(ast.unparse(one) == "'test'" for one in node.args):
            return True
    return False


def test_in_the_worker_three_doors_lead_to_test_rows_and_all_are_evaluations():
    found = {
        path.relative_to(SOURCE).as_posix()
        for path in (SOURCE / "learn").rglob("*.py")
        if _opens_test_rows(source.tree(path))
    }
    assert found == {
        "learn/door/test_lock.py",  # the order itself, and with it the look
        "learn/stages/asked_rows.py",  # of_test, for an evaluation
        "learn/stages/predict.py",  # what was delivered
    }


# ---- counting ------------------------------------------------------------------------------------


def look(evaluation: str, minute: int, time: int = 1, test: str = "a" * 64) -> RecordedLook:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    facts = {"test": test, "rows": 5, "run": evaluation, "evaluation": evaluation, "why": "w"}
    return RecordedLook(**facts, time=time, at=at)


def test_looks_are_counted_by_time_each_once_and_only_at_these_rows():
    mine = look("b", 5)
    known = [look("a", 9), look("c", 1), look("c", 1), look("x", 0, test="b" * 64), look("c", 2, 2)]
    taken = looks.counted(mine, known)
    assert (taken.number, taken.looks) == (3, 4)
    assert looks.words(taken) == "the 3rd of 4 looks at them"
    assert looks.words(looks.counted(mine, known[1:])) == "the 3rd look at them"


@pytest.mark.parametrize(
    ("number", "said"), [(1, "1st"), (2, "2nd"), (11, "11th"), (23, "23rd"), (112, "112th")]
)
def test_ordinals(number, said):
    assert looks.ordinal(number) == said


def test_of_one_look_it_is_wilsons_interval_and_of_more_a_wider_one():
    # Newcombe 1998, table I: 81 of 263, Wilson without correction for continuity.
    assert looks.best_of(81 / 263, 263, 1) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    widths = [high - low for low, high in (looks.best_of(0.9, 500, n) for n in (1, 2, 4, 20))]
    assert widths == sorted(widths) and widths[0] < widths[-1] < 2 * widths[0]
    ends = looks.best_of(1.0, 50, 4)[1], looks.best_of(0.0, 50, 4)[0]
    assert ends == pytest.approx((1.0, 0.0))


def test_the_best_of_eight_equal_models_is_covered_at_95_percent_and_not_by_the_plain_interval():
    rng, true, rows, tries = random.Random(0), 0.9, 1900, 1500
    spread = (rows * true * (1 - true)) ** 0.5
    covered = {1: 0, 8: 0}
    for _ in range(tries):
        best = max(round(rng.gauss(rows * true, spread)) for _ in range(8)) / rows
        for count in covered:
            low, high = looks.best_of(best, rows, count)
            covered[count] += low <= true <= high
    assert covered[8] / tries > 0.94 and covered[1] / tries < 0.9


# ---- which rows they are -------------------------------------------------------------------------


def test_the_same_bytes_are_the_same_test_rows_wherever_they_lie_and_another_byte_is_not():
    one, moved, other = (looks.test_key(data(f)) for f in (file("t"), file("u"), file("t", "2")))
    assert one == moved != other and looks.test_key(data(None)) is None


def seen(test: File, day: int, **changes: object) -> looks.Sighting:
    found = looks.sighting(
        data(test).model_copy(update=changes), datetime(2026, 1, day, tzinfo=UTC)
    )
    assert found is not None
    return found


def test_another_version_is_known_by_its_place_or_by_the_training_rows_beside_it():
    first = seen(file("test", "a"), 1)
    same_place = seen(file("test", "b"), 2, train=file("train", "9"))
    same_train = seen(file("elsewhere", "b"), 2)
    unrelated = seen(file("elsewhere", "b"), 2, train=file("train", "9"))
    for one, before in ((same_place, first), (same_train, first), (unrelated, None)):
        assert looks.before(one, [first, one]) == before
    assert looks.before(first, [first, same_place]) is None  # the first ones are no change
    assert "SHA-256" in looks.changed_words(same_place, first, 3) and "3 looks" in (
        looks.changed_words(same_place, first, 3)
    )


def test_what_a_budget_left_unread_is_no_change():
    part = file("test", "b").model_copy(update={"bytes_read": 5})
    assert looks.before(seen(part, 2), [seen(file("test", "a"), 1)]) is None
