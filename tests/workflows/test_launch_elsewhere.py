"""Launches on paid machines: jobs of Hugging Face by its own client, a task for SkyPilot."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from agnews_cli.core.launching.rules import Waits
from agnews_cli.errors import (
    AgnewsError,
    BeginRefused,
    CannotLaunch,
    HoursSpent,
    LauncherClientMissing,
    LoginRefused,
    SessionRuns,
)
from agnews_cli.host.launcher import STORE
from agnews_cli.host.launchers import hf_jobs
from agnews_cli.store.remotes import address
from agnews_cli.store.remotes.folder import Folder
from agnews_cli.workflows.launch import carry, listed, on_hf_jobs, sky
from agnews_cli.workflows.train.scene import Request
from tests.launching import BEGAN, Clock, output
from tests.servers.hf_jobs import StandInJobs

pytest.importorskip("huggingface_hub")

REQUEST = Request.of(preset="minilm", seed=3)
PACKAGE = "agnews-cli[train]==0.1"
HOUR = 3600.0


class Jobs:
    """A stand-in whose jobs leave a store: two pause, the third ends."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.said = folder, Clock(BEGAN), []  # type: ignore[var-annotated]
        self.stages = ["COMPLETED"] * 3
        self.server = StandInJobs(self.run)

    def run(self, spec: dict[str, Any]) -> tuple[str, list[str]]:
        number = len(self.server.jobs) + 1
        is_done = number == 3
        for name, data in output("minilm-0123456789", number, 50 * number, is_done=is_done).items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        said = {"exit_code": 0 if is_done else 75, "run": "minilm-0123456789"}
        return self.stages[number - 1], ["installing", hf_jobs.SAID + json.dumps(said)]

    def launch(self, hours: float = 10.0, **more: Any) -> Any:
        clock = self.clock
        found = on_hf_jobs.prepare(
            REQUEST, flavor="t4-small", hours_s=hours * HOUR, requirement=PACKAGE,
            typed=("--preset", "minilm"), now=clock.now, **more,
        )  # fmt: skip
        found = replace(found, sleep=clock.sleep, waits=Waits(look_s=HOUR))
        return carry.carry_out(found, self.said.append)

    def ended(self, **more: Any) -> AgnewsError:
        with pytest.raises(AgnewsError) as caught:
            self.launch(**more)
        return caught.value


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    made = Jobs(tmp_path / "hub")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_ENDPOINT", made.server.url)
    monkeypatch.setenv("HF_TOKEN", "hf_" + "a" * 30)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    store = Folder(made.folder / STORE)
    monkeypatch.setattr(address, "connect", lambda address: store)
    yield made
    assert set(made.server.unknown) <= {"/api/agent-harnesses"}  # the client looks who asks
    made.server.stop()


def test_jobs_follow_each_other_within_the_hours_that_are_paid(jobs: Jobs) -> None:
    done = jobs.launch()
    assert [each.end for each in done.record.sessions] == ["paused", "paused", "finished"]
    assert done.run == "minilm-0123456789"
    specs = jobs.server.specs
    names = [spec["labels"]["agnews"] for spec in specs]
    assert names == [f"agnews-{done.record.id}-s{n}" for n in (1, 2, 3)]
    assert all(spec["secrets"].keys() == {"HF_TOKEN"} for spec in specs)
    assert specs[0]["timeoutSeconds"] == 36000
    assert specs[1]["timeoutSeconds"] < 36000
    kind, flag, script = specs[0]["command"]
    assert (kind, flag) == ("bash", "-c")
    assert subprocess.run(["bash", "-n"], input=script.encode(), check=False).returncode == 0
    assert f"--preset minilm --seed 3 --store hf://me/agnews-{done.record.id}" in script
    assert "hf_aaa" not in script


def test_the_hours_that_are_paid_are_the_end(jobs: Jobs) -> None:
    assert isinstance(jobs.ended(hours=1.0), HoursSpent)
    assert len(jobs.server.jobs) < 3


def test_a_job_is_found_again_and_cancelled(jobs: Jobs) -> None:
    jobs.stages[0] = "RUNNING"
    assert isinstance(jobs.ended(once=True), SessionRuns)
    assert isinstance(jobs.ended(once=True), SessionRuns)
    assert len(jobs.server.jobs) == 1
    (line,) = listed.every()
    assert listed.cancel(line.record.id, is_sure=True)["state"] == "stopped"
    assert jobs.server.jobs[0][0]["status"]["stage"] == "CANCELED"


@pytest.mark.parametrize(
    ("fault", "kind"), [(402, BeginRefused), (401, LoginRefused), (409, BeginRefused)]
)
def test_a_job_that_is_refused_is_said(jobs: Jobs, fault: int, kind: type[AgnewsError]) -> None:
    jobs.server.faults["run"] = [fault]
    assert type(jobs.ended()) is kind
    assert jobs.server.jobs == []


def test_a_list_that_does_not_come_begins_nothing(jobs: Jobs) -> None:
    jobs.server.faults["list"] = [403]
    assert isinstance(jobs.ended(once=True), LoginRefused)
    assert jobs.server.jobs == []


def test_who_is_not_logged_in_or_has_an_old_client_is_told(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hf_jobs, "_token", lambda: "")
    assert isinstance(jobs.ended(), LoginRefused)
    monkeypatch.setattr(hf_jobs.hub, "client", lambda: object())
    assert isinstance(jobs.ended(), LauncherClientMissing)


# ---- SkyPilot -----------------------------------------------------------------------------------


def test_a_task_for_skypilot_goes_on_by_itself() -> None:
    asked = replace(REQUEST, session=replace(REQUEST.session, stores=("s3://bucket/runs",)))
    text = sky.task(asked, accelerators="L4:1", is_spot=True, requirement=PACKAGE)
    task = yaml.safe_load(text)
    assert re.fullmatch(r"agnews-minilm-\w{10}", task["name"])
    assert task["resources"]["job_recovery"]["recover_on_exit_codes"] == [75]
    assert task["resources"]["accelerators"] == "L4:1"
    assert task["setup"] == "pip install --quiet 'agnews-cli[train]==0.1'"
    words = "agnews auto --store /tmp/agnews-runs --preset minilm --seed 3 --store s3://bucket/runs"
    assert task["run"] == words


def test_what_a_rented_machine_cannot_reach_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "mine.csv"
    data.write_text("text,label\na,b\n")
    with pytest.raises(CannotLaunch, match="leaves nothing"):
        sky.task(REQUEST, accelerators="T4:1", is_spot=True, requirement=PACKAGE)
    asked = Request.of(data=str(data), stores=("s3://bucket/runs",))
    with pytest.raises(CannotLaunch, match="lies on this disk alone"):
        sky.task(asked, accelerators="T4:1", is_spot=True, requirement=PACKAGE)
