"""A graph of runs at work, each part's session played by one that writes what it would leave."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agnews_cli.core.run.evaluation import ClassFigures, Evaluation, Interval, SplitEvaluation
from agnews_cli.core.run.job import Job, Outcome
from agnews_cli.errors import (
    Interrupted,
    PartsFailed,
    PartsPaused,
    ReportedError,
    SessionOver,
    TeacherOfOtherWidth,
    UsageError,
)
from agnews_cli.store.run import leases, runs
from agnews_cli.workflows.runs import status as status_module
from agnews_cli.workflows.runs.status import status
from agnews_cli.workflows.sessions import session
from agnews_cli.workflows.train import auto, campaign, jobs, result, resume, summary
from agnews_cli.workflows.train.plans import Campaign
from agnews_cli.workflows.train.scene import Request
from tests import tiny

_TINY = """\
name: tiny
tier: encoder
summary: s
order: 1
model: {{id: {model}, parameters: 30000, licence: mit}}
training: {{lr: 0.003}}
beyond_limits: [{{field: training.lr, to: 0.003, why: tiny}}]
"""
_MEMBERS = "  - preset: tiny.yaml\n  - {preset: tiny.yaml, seed: 1}\n"


def ensemble(members: str = _MEMBERS, how: str = "{kind: average}") -> str:
    return f"name: both\ntier: ensemble\nsummary: s\norder: 1\nmembers:\n{members}how: {how}\n"


@dataclass
class Played:
    """Stands for `session.train`: what was asked for, and what is to go wrong."""

    jobs: list[Job] = field(default_factory=list)
    failing: dict[str, Exception] = field(default_factory=dict)
    """By the label of a run: raised once."""
    before: Callable[[Job], None] = lambda job: None

    def __call__(self, job: Job, folder: runs.RunFolder, *_: Any, **__: Any) -> Outcome:
        self.before(job)
        self.jobs.append(job)
        error = self.failing.pop(job.run, None) or self.failing.pop(job.kind, None)
        if error is not None:
            raise error
        return leave(folder, job.nodes)

    @property
    def kinds(self) -> list[str]:
        return [job.kind for job in self.jobs]


def leave(folder: runs.RunFolder, nodes: tuple[str, ...]) -> Outcome:
    """What a session that came to its end leaves."""
    figure = Interval(value=0.5, low=0.4, high=0.6, method="wilson")
    split = SplitEvaluation(
        rows=2, accuracy=figure, macro_f1=figure, loss=0.5, calibration_error=0.1,
        classes=tuple(
            ClassFigures(label=label, precision=0.5, recall=0.5, f1=0.5, rows=1)
            for label in ("topic 0", "topic 1")
        ),
        confusion=((1, 1), (0, 0)),
    )  # fmt: skip
    whole = Evaluation(labels=("topic 0", "topic 1"), validation=split, test=split)
    folder.evaluation.write_text(whole.model_dump_json())
    outcome = Outcome(state="completed", done=nodes)
    folder.outcome.write_text(outcome.model_dump_json())
    return outcome


@pytest.fixture
def at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_home: Path) -> Played:
    monkeypatch.chdir(tmp_path)
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    Path("tiny.yaml").write_text(_TINY.format(model=model))
    Path("both.yaml").write_text(ensemble())
    Path("student.yaml").write_text(
        "name: student\ntier: distilled\nsummary: s\norder: 1\n"
        "teacher: {preset: both.yaml}\nstudent: {preset: tiny.yaml, seed: 5}\n"
    )
    tiny.write(tmp_path / "data" / "train.csv", tiny.rows(2, 40))
    tiny.write(tmp_path / "data" / "test.csv", tiny.rows(2, 11))
    played = Played()
    monkeypatch.setattr(session, "train", played)
    monkeypatch.setattr(campaign.single, "require_training_modules", lambda: None)
    monkeypatch.setattr(jobs.delivered, "at", lambda folder: None)
    monkeypatch.setattr(jobs.delivered, "bases_of", lambda model: ())
    monkeypatch.setattr(campaign, "_POLL_S", 0.01)
    return played


def plan(preset: str = "both.yaml", **asked: Any) -> Campaign:
    found = auto.prepare(Request.of(data="data", preset=preset, **asked))
    assert isinstance(found, Campaign)
    return found


def carry_out(preset: str = "both.yaml", **asked: Any) -> Any:
    return auto.carry_out(plan(preset, **asked), show=lambda event: None)


def test_every_part_is_done_once_and_after_what_it_needs(at_work):
    found = carry_out("student.yaml")
    assert at_work.kinds == ["train", "train", "combine", "predict", "train"]
    assert at_work.jobs[-1].teacher == (
        str(Path(at_work.jobs[3].folder) / "predictions" / "train.safetensors"),
    )
    assert found.folder.id == at_work.jobs[-1].run
    again = carry_out("student.yaml")
    assert again.was_there and len(at_work.jobs) == 5


def test_snapshots_are_one_training_and_members_by_their_number(at_work):
    """Eleven, so that the tenth does not stand beside the first; each with its own answers."""
    members = "  - {preset: tiny.yaml, snapshots: 11}\n  - {preset: tiny.yaml, seed: 1}\n"
    Path("both.yaml").write_text(ensemble(members))
    said = Path("predictions", "test.safetensors")

    def trained(job: Job) -> None:
        if job.kind == "train":
            for number in range(12):
                folder = Path(job.folder, f"snapshot-{number}" if number else "")
                (folder / said).parent.mkdir(parents=True)
                (folder / said).touch()

    at_work.before = trained
    found = carry_out(justify="eleven")
    assert at_work.kinds == ["train", "train", "combine"]
    cyclic, _, combine = at_work.jobs
    assert cyclic.preset.training.cycles == 11
    *snapshots, other = combine.members
    assert [one.name for one in snapshots] == [
        f"member 1 snapshot {number}: tiny" for number in range(1, 12)
    ]
    for number, one in enumerate(snapshots, 1):
        folder = Path(cyclic.folder) / f"snapshot-{number}"
        assert one.delivery == str(folder) and one.test == str(folder / said)
        assert one.validation == (str(folder / "predictions" / "validation.safetensors"),)
    assert (other.name, other.delivery) == ("member 2: tiny", at_work.jobs[1].folder)
    shown = found.plan.parts()
    assert [row[0] for row in shown if row[1] == "train"] == ["member 1", "member 2"]


def test_hidden_states_of_another_width_are_refused_before_anything_is_trained(at_work):
    Path("wide").mkdir()
    for folder, width in (("model", 8), ("wide", 16)):
        Path(folder, "config.json").write_text(json.dumps({"hidden_size": width}))
    wide = Path("tiny.yaml").read_text().replace("name: tiny", "name: wide")
    Path("wide.yaml").write_text(wide.replace(str(Path("model").absolute()), "wide"))
    text = Path("student.yaml").read_text() + "distillation: {hidden: 1}\n"
    Path("student.yaml").write_text(text.replace("both.yaml", "wide.yaml"))
    with pytest.raises(
        TeacherOfOtherWidth, match="wide are 16 wide and those of its student tiny 8"
    ):
        carry_out("student.yaml")
    assert not at_work.jobs
    Path("student.yaml").write_text(text.replace("both.yaml", "tiny.yaml"))
    carry_out("student.yaml")
    assert [job.has_hidden for job in at_work.jobs if job.kind == "predict"] == [True]
    assert at_work.jobs[-1].distillation.hidden == 1


def test_an_edited_graph_does_what_is_new_alone(at_work):
    carry_out()
    trained = {job.run for job in at_work.jobs}
    for text, kinds in (
        (ensemble(_MEMBERS + "  - {preset: tiny.yaml, seed: 2}\n"), ["train", "combine"]),
        (ensemble("  - preset: tiny.yaml\n"), ["combine"]),
        (ensemble(how="{kind: greedy}"), ["combine"]),
    ):
        at_work.jobs.clear()
        Path("both.yaml").write_text(text)
        carry_out()
        assert at_work.kinds == kinds
        assert not {job.run for job in at_work.jobs} & trained


def test_a_part_that_fails_is_named_and_the_others_go_on(at_work):
    first = plan().graph.ready(())[0].place
    at_work.failing[first] = ReportedError("the loss is no number", "a smaller rate", 70, "X")
    with pytest.raises(PartsFailed) as failed:
        carry_out()
    assert at_work.kinds == ["train", "train"]  # the other one was trained
    assert "member 1" in failed.value.message and "the loss is no number" in failed.value.message
    at_work.jobs.clear()
    carry_out()
    assert next(job.run for job in at_work.jobs) == first
    assert at_work.kinds == ["train", "combine"]


def test_what_another_session_holds_is_passed_over_and_waited_for(at_work):
    whole = plan()
    held = whole.graph.ready(())[0].place
    folder = runs.RunFolder(whole.scene.store / held)
    folder.path.mkdir(parents=True)
    lease = leases.claim(folder.path, datetime.now(UTC))  # by this process, which lives

    def finish() -> None:
        leave(folder, tuple(whole.plans[held].graph.nodes))
        lease.release(datetime.now(UTC))

    def other_machine_finishes(job: Job) -> None:
        at_work.before = lambda job: None
        threading.Timer(0.1, finish).start()

    at_work.before = other_machine_finishes
    carry_out()
    assert at_work.kinds == ["train", "combine"]
    assert held not in {job.run for job in at_work.jobs}


def test_a_session_that_ends_while_others_work_says_what_is_done(at_work):
    whole = plan(session_s=30.0)
    for place in {node.place for node in whole.graph.ready(())}:
        (whole.scene.store / place).mkdir(parents=True)
        leases.claim(whole.scene.store / place, datetime.now(UTC))
    over = auto.Request.of(data="data", preset="both.yaml", session_s=30.0)
    object.__setattr__(over, "started_monotonic_s", over.started_monotonic_s - 60)
    found = auto.prepare(over)
    with pytest.raises(PartsPaused) as paused:
        auto.carry_out(found, show=lambda event: None)
    assert paused.value.exit_code == 75
    assert "0 of 6 parts" in paused.value.message and found.run in paused.value.advice


@pytest.mark.parametrize("error", [SessionOver(kept="x", next="y"), Interrupted(kept="x", next="")])
def test_a_stop_ends_the_command_and_resume_goes_on_with_the_whole(at_work, error):
    second = plan().graph.ready(())[1].place
    at_work.failing[second] = error
    with pytest.raises(type(error)):
        carry_out()
    at_work.jobs.clear()
    again, _ = resume.prepare_again(None, Request.of())
    assert isinstance(again, Campaign) and again.run == plan().run
    auto.carry_out(again, show=lambda event: None)
    assert at_work.kinds == ["train", "combine"]
    assert at_work.jobs[0].run == second


def test_a_stop_says_what_of_the_other_parts_is_kept(at_work):
    second = plan().graph.ready(())[1].place
    again = "The same command trains this run again."
    at_work.failing[second] = Interrupted(kept="nothing is saved yet", next=again)
    with pytest.raises(Interrupted) as stopped:
        carry_out()
    said = "Interrupted; nothing of member 2 is saved yet; 2 of 6 parts are done and kept."
    assert stopped.value.message == said
    whole = plan()
    assert (
        stopped.value.advice == f"Go on with: agnews resume {whole.run} --store {whole.scene.store}"
    )


def test_two_parts_at_once_have_a_share_of_the_machine_each(at_work):
    both, together = threading.Barrier(2, timeout=20), []

    def meet(job: Job) -> None:
        if job.kind == "train":
            both.wait()
            together.append(job.run)

    at_work.before = meet
    carry_out(at_once=2)
    assert len(together) == 2
    assert sorted(at_work.kinds) == ["combine", "train", "train"]


def test_status_shows_each_part(at_work):
    carry_out("student.yaml")
    found = status("latest", None)
    assert found.run == found.whole and found.run.startswith("student-")
    assert {part.state for part in found.parts} == {"done"}
    runs.RunFolder(Path(found.folder)).outcome.unlink()
    later = {part.title: part.state for part in status("student", None).parts}
    assert (later["student"], later["evaluate"]) == ("next", "waiting")
    member = next(part.run for part in found.parts if part.title == "member 1")
    assert status(member, None).whole == found.run


def test_a_budget_is_of_one_model(at_work):
    with pytest.raises(UsageError, match="both is several"):
        plan(budget_s=300.0)


def test_a_damaged_list_of_parts_is_no_reason_to_fail(at_work):
    found = carry_out()
    found.folder.graph.write_text(json.dumps({"target": 3}))
    assert status(found.folder.id, None).parts == ()


def test_two_hundred_parts_are_planned_shown_and_gone_on_with_at_once(at_work):
    members = "".join(f"  - {{preset: tiny.yaml, seed: {k}}}\n" for k in range(99))
    Path("big.yaml").write_text(ensemble(members))
    why = {"justify": "many parts"}
    whole = plan("big.yaml", **why)
    last = whole.graph.ready(())[-1].place
    at_work.failing[last] = SessionOver(kept="x", next="y")
    with pytest.raises(SessionOver):
        carry_out("big.yaml", **why)
    at_work.jobs.clear()
    for took in (lambda: resume.prepare_again(None, Request.of()), lambda: status("latest", None)):
        began_s = time.process_time()
        took()
        assert time.process_time() - began_s < 2.0
    again, _ = resume.prepare_again(None, Request.of())
    began_s = time.process_time()
    auto.carry_out(again, show=lambda event: None)
    assert time.process_time() - began_s < 2.0
    assert at_work.kinds == ["train", "combine"]
    assert len(status("latest", None).parts) == 200


def test_fresh_does_every_part_again(at_work):
    carry_out()
    at_work.jobs.clear()
    carry_out(fresh=True)
    assert at_work.kinds == ["train", "train", "combine"]


def test_what_is_too_large_for_this_machine_is_left_to_the_last_and_said(at_work):
    Path("other").mkdir()
    Path("other/config.json").write_text("{ }")  # another model
    text = Path("tiny.yaml").read_text().replace("30000", "300000000").replace("/model", "/other")
    Path("large.yaml").write_text(text.replace("name: tiny", "name: large"))
    Path("both.yaml").write_text(ensemble("  - preset: large.yaml\n" + _MEMBERS))
    found = plan()
    assert {found.graph[run].title for run in found.slow} == {"member 1"}
    assert any("too large for this machine" in reason for reason in found.reasons)
    carry_out()
    labels = [job.label for job in at_work.jobs]
    assert labels == ["tiny", "tiny", "large", "both"]


def test_only_the_result_answers_a_competition(at_work, monkeypatch):
    asked = []
    monkeypatch.setattr(result, "_submission", lambda plan, *_: asked.append(plan.run))
    found = carry_out()
    assert asked == [found.folder.id]


def test_what_it_took_is_what_all_parts_took(at_work, monkeypatch):
    found = carry_out()
    monkeypatch.setattr(summary, "sessions_of", lambda run: (SimpleNamespace(seconds=60.0),))
    assert summary.of_run(found.folder.id, None).took == "3 min, all 3 parts together"
    monkeypatch.setattr(status_module, "sessions_of", lambda run: (SimpleNamespace(seconds=60.0),))
    assert status_module.status(found.folder.id, None).sessions == 3
