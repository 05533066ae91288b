"""What is delivered is what validates best, and the sentence says with which figures."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
pytest.importorskip("torch")

from agnews_cli.learn.figures import choice  # noqa: E402
from agnews_cli.learn.figures.choice import Judge, never_answered  # noqa: E402
from agnews_cli.learn.rows.weighing import weights_of  # noqa: E402
from agnews_cli.learn.stages import combine  # noqa: E402
from tests.learn import tiny  # noqa: E402

ROWS = "the same 200 validation rows"


def answers(classes, wrong, count=2, sure=0.8):
    """Probabilities that are right but for the rows `wrong`."""
    said = np.asarray(classes).copy()
    said[list(wrong)] = (said[list(wrong)] + 1) % count
    found = np.full((len(said), count), (1 - sure) / (count - 1))
    found[np.arange(len(said)), said] = sure
    return found


def test_a_better_rival_takes_the_plans_place_with_both_figures_and_their_p():
    classes = np.asarray([0, 1] * 100)
    judge = Judge(classes, None, ROWS)
    plan, rival = answers(classes, range(24)), answers(classes, range(10))
    assert judge.is_better(rival, plan)
    assert not judge.is_better(plan, rival)
    why = judge.why_one("linear", "minilm", {"linear": rival, "minilm": plan})
    assert why == (
        "linear is delivered: 95.0% against 88.0% of minilm on the same 200 validation rows "
        "(paired p = 0.00012)"
    )


def test_equals_leave_the_plan_and_say_so():
    classes = np.asarray([0, 1] * 100)
    judge = Judge(classes, None, ROWS)
    plan, rival = answers(classes, range(20)), answers(classes, range(180, 199))
    assert not judge.is_better(rival, plan)
    why = judge.why_one("minilm", "minilm", {"linear": rival, "minilm": plan})
    assert "90.0% against 90.5% of linear" in why
    assert "equal within noise" in why


def test_as_often_right_and_much_surer_where_right_is_better():
    classes = np.asarray([0, 1] * 100)
    unsure = answers(classes, range(20), sure=0.55)
    unsure[30:] = 0.6 * unsure[30:] + 0.2  # as right, but nearly guessing
    sure = answers(classes, range(20), sure=0.9)
    assert Judge(classes, None, ROWS).is_better(sure, unsure)


def test_a_model_that_never_answers_the_rare_class_does_not_win_by_accuracy():
    classes = np.asarray([0] * 180 + [1] * 20)
    lazy = answers(classes, range(180, 200))  # 90% right
    fair = answers(classes, [*range(24), 180, 181])  # 87% right, 18 of the 20
    judge = Judge(classes, weights_of("auto", classes, 2), ROWS)
    assert judge.is_better(fair, lazy)
    assert "rare classes counting more" in judge.why_one("f", "l", {"f": fair, "l": lazy})
    assert never_answered(lazy, classes, ("often", "rare")) == [("rare", 20)]
    assert never_answered(fair, classes, ("often", "rare")) == []


def test_balanced_classes_count_as_they_are_and_rare_ones_at_most_ten_times():
    assert weights_of("auto", np.asarray([0] * 60 + [1] * 40), 2) is None
    assert weights_of("none", np.asarray([0] * 99 + [1]), 2) is None
    classes = np.asarray([0] * 9990 + [1] * 10)
    weights = weights_of("auto", classes, 2)
    assert weights[1] / weights[0] == pytest.approx(10)
    assert weights[classes].mean() == pytest.approx(1)
    assert weights_of("balanced", classes, 2)[1] == pytest.approx(500)


def test_without_a_budget_the_linear_model_is_delivered_where_it_is_better(tmp_path):
    model = tiny.model_folder(tmp_path / "bert")
    data = tiny.csv_file(tmp_path / "d.csv", {"a": 60, "b": 60})
    recipe = tiny.preset(model, {"cross_validated_below": 0}, lr=1e-6)  # it learns nothing
    done = tiny.compete(tmp_path / "run", data, recipe)
    assert combine.choose(done) == {"linear": 1.0}
    assert {c.facts.name: c.facts.weight for c in done.contenders} == {"linear": 1.0, "tiny": 0.0}
    why = done.setting.told.why
    assert why.startswith("linear is delivered: 100.0% against")
    assert "tiny on the same 40 validation rows" in why
    events = (tmp_path / "run" / "events.jsonl").read_text().splitlines()
    assert any(json.loads(e)["data"].get("text") == why for e in events)


def test_a_class_that_is_never_answered_is_a_warning_with_its_rows(tmp_path):
    model = tiny.model_folder(tmp_path / "bert")
    data = tiny.csv_file(tmp_path / "d.csv", {"a": 300, "b": 300, "c": 60}, signal=0.0)
    recipe = tiny.preset(model, lr=1e-6, epochs=0.1, class_weights="none", yardstick=False)
    done = tiny.compete(tmp_path / "run", data, recipe, candidates=("finetune",))
    combine.choose(done)
    warning = next(text for text in done.setting.told.kept if text.startswith("never answered"))
    assert "training and" in warning
    assert "--set training.class_weights=balanced" in warning


def test_a_model_that_is_right_and_unsure_is_not_lost_to_one_that_is_sure():
    """With a budget a model of a few steps was right in all 100 rows, and 88% were delivered."""
    classes = np.arange(100) % 4
    sure, unsure = answers(classes, range(12), 4, 0.94), answers(classes, [], 4, 0.28)
    judge = Judge(classes, None, ROWS)
    assert judge.best_average({"linear": sure, "minilm": unsure}) == {"minilm": 1.0}
    as_right = answers(classes, range(12), 4, 0.28)
    assert "linear" in judge.best_average({"linear": sure, "minilm": as_right})


@pytest.mark.parametrize(("more", "fewer", "is_alone"), [(9, 4, False), (16, 2, True)])
def test_one_is_delivered_alone_where_it_is_right_more_often_beyond_two_errors(
    monkeypatch, more, fewer, is_alone
):
    """Of 400 rows 5 more than the average are 1.4 standard errors, 14 are 3.3."""
    classes = np.arange(400) % 2
    one, other = answers(classes, [], 2, 0.9), answers(classes, [], 2, 0.9)
    unsure, sure = answers(classes, [], 2, 0.6), answers(classes, [], 2, 0.9)
    one[:more], other[:more] = unsure[:more], 1 - sure[:more]
    lost = slice(more, more + fewer)
    one[lost], other[lost] = 1 - unsure[lost], sure[lost]
    even = {"one": 0.5, "other": 0.5}
    monkeypatch.setattr(choice.blend, "weights", lambda *_: even)
    found = Judge(classes, None, ROWS).best_average({"one": one, "other": other})
    assert found == ({"one": 1.0} if is_alone else even)
