"""Launches, through Kaggle's official client, against a stand-in for its interface."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("kaggle", reason="the official client drives all of this")

from agnews_cli.core.hours.session import Used
from agnews_cli.errors import (
    AgnewsError,
    BeginRefused,
    CannotLaunch,
    HoursSpent,
    LaunchBusy,
    LaunchHeld,
    LaunchRecordDamaged,
    LoginRefused,
    SessionFailed,
    SessionMissing,
    SessionOverdue,
    SessionRuns,
    SessionStopped,
    SessionUnknown,
)
from agnews_cli.host.launcher import REPORT
from agnews_cli.host.launchers.kaggle import AskKaggle
from agnews_cli.store.hours.ledger import Ledger
from agnews_cli.store.run.launches import Launches
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.settings import quota_settings
from agnews_cli.workflows.elsewhere import package
from agnews_cli.workflows.launch import books, carry, homecoming, listed
from agnews_cli.workflows.launch.plans import LaunchPlan, LaunchResult
from tests.launching import BEGAN, Clock, PretendTraining, client_at, plan
from tests.servers.kaggle_kernels import Behaviour, StandInKernels

HOUR = 3600.0


class World:
    """A stand-in, a clock and a training."""

    def __init__(self, ask_in: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock, self.training = Clock(), PretendTraining()
        self.faults: dict[str, list[str | int | None]] = {}
        self.kaggle = StandInKernels(self.training, now_s=self.clock, fault=self.fault)
        self.said: list[str] = []
        self.ask: AskKaggle
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
        monkeypatch.setattr(
            package, "source", lambda *extras: package.PackageSource("agnews-cli==0.1")
        )

    def fault(self, method: str) -> str | int | None:
        """The next fault of this method; the last one stays where it is given as `..., ...`."""
        due = self.faults.get(method)
        if not due:
            return None
        return due[0] if due[-1] == "for ever" else due.pop(0)

    def plan(self, **asked: Any) -> LaunchPlan:
        return plan(self.ask, self.clock, **asked)

    def launch(self, **asked: Any) -> LaunchResult:
        return carry.carry_out(self.plan(**asked), self.said.append)

    def ended(self, **asked: Any) -> AgnewsError:
        with pytest.raises(AgnewsError) as caught:
            self.launch(**asked)
        assert "None" not in caught.value.message + caught.value.advice
        return caught.value

    @property
    def names(self) -> list[str]:
        return [each.name for each in self.kaggle.starts]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World(None, tmp_path, monkeypatch)
    with client_at(made.kaggle, monkeypatch) as ask:
        made.ask = ask
        yield made
    assert made.kaggle.unknown == []
    made.kaggle.stop()


def used_s() -> float:
    with Ledger() as ledger:
        ended = {each.id: each.seconds for each in ledger.sessions()}
        booked = sum(each.seconds for each in ledger.used() if each.id not in ended)
    return sum(ended.values()) + booked


# ---- to the end ---------------------------------------------------------------------------------


def test_sessions_follow_each_other_until_the_run_is_at_home(world: World) -> None:
    world.training.steps = 1500
    done = world.launch()
    launch = done.record.id
    assert world.names == [f"me/agnews-{launch}-s{n}" for n in (1, 2, 3)]
    assert [each.end for each in done.record.sessions] == ["paused", "paused", "finished"]
    assert RunFolder(done.folder).done() == {done.run}
    orders = [each.order for each in world.kaggle.starts]
    assert [len(each.get("kernelDataSources", ())) for each in orders] == [0, 1, 2]
    assert all(each["isPrivate"] and each["enableInternet"] for each in orders)
    assert orders[0]["machineShape"] == "NvidiaTeslaT4"
    # What the ledger has is what Kaggle counted, and what was booked has gone.
    assert used_s() == pytest.approx(world.kaggle.used_s(), abs=1)
    assert world.launch().run == done.run
    assert len(world.kaggle.starts) == 3


def test_what_is_half_done_there_is_gone_on_with_here(world: World) -> None:
    world.kaggle.allowed_s = 12 * HOUR
    error = world.ended()
    assert isinstance(error, HoursSpent)
    assert "15 min are left; they return Thursday" in error.message
    (run,) = Path("agnews-runs").glob("minilm-*")
    (manifest,) = run.glob("checkpoints/minilm/m-*.json")
    assert f"-{world.training.reached[world.names[0]]:09d}-" in manifest.name


def test_the_reserve_is_kept(world: World) -> None:
    reserve = {quota_settings.key("kaggle", "gpu"): 9 * HOUR}
    quota_settings.save(quota_settings.QuotaSettings(reserves_s=reserve))
    world.training.steps = 1500
    error = world.ended()
    assert isinstance(error, HoursSpent)
    assert "above the 9.0 h kept back" in error.message
    assert error.exit_code == 75
    assert 20 * HOUR < world.kaggle.used_s() <= 21 * HOUR
    assert len(world.kaggle.starts) == 2


def test_sessions_are_as_long_as_the_user_wants(world: World) -> None:
    world.training.steps = 400
    done = world.launch(session_s=3 * HOUR)
    assert {each.order["sessionTimeoutSeconds"] for each in world.kaggle.starts} == {3 * 3600}
    assert len(done.record.sessions) == 3


def test_what_is_typed_last_is_what_the_next_session_is_told(world: World) -> None:
    world.ended(once=True)
    world.launch(save_every_s=300.0)
    first, second = (str(each.order["text"]) for each in world.kaggle.starts)
    assert ("--save-every" in first, "--save-every 5m" in second) == (False, True)


def test_a_launch_ends_in_time(world: World) -> None:
    error = world.ended(until_s=6 * HOUR)
    assert "the time that was given for it is over" in error.message
    assert world.kaggle.used_s() <= 6 * HOUR
    assert world.clock.at_s - BEGAN == pytest.approx(6 * HOUR, abs=1)


def test_a_cpu_has_no_quota(world: World) -> None:
    world.kaggle.allowed_s = 0.0
    found = plan(world.ask, world.clock)
    cpu = {"accelerator": "none", "resource": "cpu"}
    record = found.record.model_copy(update=cpu)
    hours = found.hours([], world.clock.now())
    free = replace(hours, is_counted=False)
    done = carry.carry_out(replace(found, record=record, hours=lambda *_: free), world.said.append)
    assert len(done.record.sessions) == 2
    assert not world.kaggle.starts[0].order.get("enableGpu")


def test_once_does_what_is_due_and_waits_for_nothing(world: World) -> None:
    began_s = world.clock.at_s
    assert isinstance(world.ended(once=True), SessionRuns)
    assert isinstance(world.ended(once=True), SessionRuns)
    assert world.clock.at_s == began_s
    assert len(world.kaggle.starts) == 1


# ---- killed -------------------------------------------------------------------------------------


class Killed(BaseException):
    """The end of a process, wherever it is."""


def dying(monkeypatch: pytest.MonkeyPatch, world: World, at: int) -> None:
    """Ends the command before or after the `at`th of its deeds."""
    count = [0]

    def deed(function: Any) -> Any:
        def done(*given: Any, **named: Any) -> Any:
            count[0] += 1
            if count[0] == at:
                raise Killed
            found = function(*given, **named)
            count[0] += 1
            if count[0] == at:
                raise Killed
            return found

        return done

    monkeypatch.setattr(Launches, "write", deed(Launches.write))
    for module, name in ((books, "book"), (books, "settle"), (homecoming, "bring")):
        monkeypatch.setattr(module, name, deed(getattr(module, name)))
    world.ask = deed(world.ask)


@pytest.mark.parametrize(
    "at", [n if n % 6 == 1 else pytest.param(n, marks=pytest.mark.slow) for n in range(1, 60)]
)
def test_a_command_killed_anywhere_finds_what_it_began(
    world: World, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    ask = world.ask
    with monkeypatch.context() as patched:
        dying(patched, world, at)
        try:
            world.launch()
        except Killed:
            pass
        else:
            assert at > 40  # it lived through all of it
    world.ask = ask
    done = world.launch()
    assert sorted(world.names) == sorted(set(world.names))
    assert len(world.names) == 2
    assert done.record.sessions[-1].end == "finished"
    assert used_s() == pytest.approx(world.kaggle.used_s(), abs=1)


def test_what_a_session_costs_is_in_the_ledger_before_it_begins(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    booked: list[tuple[Used, ...]] = []
    save = world.kaggle.save

    def noting(order: Any) -> dict[str, Any]:
        with Ledger() as ledger:
            booked.append(ledger.used())
        return save(order)

    monkeypatch.setattr(world.kaggle, "save", noting)
    world.ended(once=True)
    ((used,),) = booked
    assert (used.platform, used.resource, used.seconds) == ("kaggle", "gpu", 12 * HOUR)


def test_a_launch_whose_record_is_lost_finds_its_sessions(world: World) -> None:
    world.ended(once=True)
    Launches().folder.rename(Launches().folder.with_name("gone"))
    done = world.launch()
    assert len(world.names) == len(set(world.names)) == len(done.record.sessions) == 2


def test_one_command_looks_after_a_launch(world: World) -> None:
    found = world.plan()
    with found.launches.held(found.record.id), pytest.raises(LaunchBusy):
        carry.carry_out(found, world.said.append)
    assert world.names == []


# ---- faults -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (400, BeginRefused, "did not begin session agnews-minilm-"),
        (401, LoginRefused, "Kaggle refuses the login (the stand-in says 401 (401))"),
        (403, BeginRefused, "the stand-in says 403"),
        (409, BeginRefused, "the stand-in says 409"),
        (429, SessionUnknown, "Kaggle has not answered for 1 h about"),
        (500, SessionUnknown, "the stand-in says 500"),
        ("drop", SessionUnknown, "has not answered"),
    ],
)
def test_a_push_that_is_not_taken_begins_nothing_and_is_said(
    world: World, fault: str | int, kind: type[AgnewsError], words: str
) -> None:
    world.faults["SaveKernel"] = [fault, "for ever"]
    error = world.ended()
    assert type(error) is kind
    assert words in error.message
    assert world.names == []
    world.faults.clear()
    world.clock.sleep(HOUR)
    assert len(world.launch().record.sessions) == 2
    assert len(world.names) == len(set(world.names))
    assert used_s() == pytest.approx(world.kaggle.used_s(), abs=1)


@pytest.mark.parametrize("fault", [500, "drop", "drop after"])
def test_a_push_whose_answer_is_lost_is_not_repeated_before_it_is_known_to_be_lost(
    world: World, fault: str | int
) -> None:
    world.faults["SaveKernel"] = [fault, None, fault]
    assert len(world.launch().record.sessions) == 2
    assert len(world.names) == len(set(world.names)) == 2


@pytest.mark.parametrize(
    ("method", "fault"),
    [
        ("GetKernelSessionStatus", 502),
        ("GetKernelSessionStatus", "drop"),
        ("ListKernels", 429),
        ("ListKernels", "drop"),
    ],
)
def test_nothing_begins_while_it_is_not_known_what_runs(
    world: World, method: str, fault: str | int
) -> None:
    world.faults[method] = [fault, "for ever"]
    error = world.ended()
    assert type(error) is SessionUnknown
    assert "nothing else was begun" in error.advice
    assert world.names == []


@pytest.mark.parametrize(
    ("fault", "kind"), [(401, LoginRefused), (403, LoginRefused), (500, LaunchHeld)]
)
def test_who_cannot_log_in_is_told(world: World, fault: int, kind: type[AgnewsError]) -> None:
    world.faults["GetAcceleratorQuotaStatistics"] = [fault, "for ever"]
    assert type(world.ended()) is kind


def test_a_login_that_ends_on_the_way_leaves_the_session(world: World) -> None:
    world.ended(once=True)
    world.faults["GetKernelSessionStatus"] = [401]
    error = world.ended()
    assert isinstance(error, LoginRefused)
    assert "Log in again, then: agnews launch kaggle" in error.advice
    assert len(world.launch().record.sessions) == len(world.names) == 2


def test_nothing_begins_on_an_estimate_of_the_hours(world: World) -> None:
    found = world.plan()
    world.faults["GetAcceleratorQuotaStatistics"] = [503, "for ever"]
    with pytest.raises(LaunchHeld, match="how many hours are left is not known: Kaggle did not"):
        carry.carry_out(replace(found, once=True), world.said.append)
    assert world.names == []


@pytest.mark.parametrize("fault", [500, "drop"])
def test_an_output_that_does_not_come_at_once_is_asked_for_again(
    world: World, fault: str | int
) -> None:
    world.faults["ListKernelSessionOutput"] = [fault]
    world.faults["DownloadOutput"] = [None, fault]
    assert len(world.launch().record.sessions) == 2


def test_an_output_that_never_comes_is_said_and_kept(world: World) -> None:
    world.faults["ListKernelSessionOutput"] = [503, "for ever"]
    assert isinstance(world.ended(), SessionUnknown)
    world.faults.clear()
    assert len(world.launch().record.sessions) == 2


def test_a_session_that_dies_is_gone_on_from(world: World) -> None:
    world.training.deaths, world.training.steps = {1: 4 * HOUR, 3: 2 * HOUR}, 1500
    world.kaggle.allowed_s = 60 * HOUR
    done = world.launch()
    assert [each.end for each in done.record.sessions][:3] == ["failed", "paused", "failed"]
    assert done.record.sessions[-1].end == "finished"


def test_a_session_that_fails_without_news_ends_the_launch_once(world: World) -> None:
    log = '[{"stream_name": "stderr", "time": 9.1, "data": "error: no column text\\n"}]'
    world.training.spoil = lambda n, b: Behaviour(60, "ERROR", log=log) if n == 1 else b
    error = world.ended()
    assert isinstance(error, SessionFailed)
    assert "failed on Kaggle and brought nothing new: error: no column text" in error.message
    assert "kaggle.com/code/me/agnews-minilm" in error.advice
    assert len(world.names) == 1
    assert world.launch().record.sessions[-1].end == "finished"  # typed again, it tries again


def test_a_session_that_only_waits_does_not_go_on_for_ever(world: World) -> None:
    def idle(number: int, behaviour: Behaviour) -> Behaviour:
        files = {REPORT: b'{"exit_code": 75}'}
        return Behaviour(600, files=files)

    world.training.spoil = idle
    assert "had saved nothing new" in world.ended().message
    assert len(world.names) == 1


def test_a_result_that_does_not_verify_is_no_result(world: World) -> None:
    def spoilt(number: int, behaviour: Behaviour) -> Behaviour:
        names = [n for n in behaviour.files if "/delivery/" in n and not n.endswith(".json")]
        for name in names:
            behaviour.files[name] = behaviour.files[name][:-1] + b"x"
        return behaviour

    world.training.steps, world.training.spoil = 100, spoilt
    error = world.ended()
    assert "did not come whole" in error.message
    assert not [run for run in Path("agnews-runs").iterdir() if RunFolder(run).done()]


def test_a_kernel_that_is_deleted_is_missed_only_when_that_is_sure(world: World) -> None:
    world.ended(once=True)
    world.ended(once=True)
    world.kaggle.remove(world.names[0])
    assert isinstance(world.ended(once=True), SessionRuns)  # a list may be late
    error = world.ended()
    assert isinstance(error, SessionMissing)
    assert world.launch().record.sessions[-1].end == "finished"
    assert len(world.names) == len(set(world.names))


def test_a_kernel_that_is_stopped_there_ends_this_command_and_not_the_launch(world: World) -> None:
    world.training.spoil = lambda n, b: (
        replace(b, word="CANCEL_ACKNOWLEDGED", files={}) if n == 1 else b
    )
    world.kaggle.allowed_s = 60 * HOUR
    assert isinstance(world.ended(), SessionStopped)
    assert world.launch().record.sessions[-1].end == "finished"


def test_a_kernel_that_never_ends_is_said_and_nothing_else_begun(world: World) -> None:
    world.training.spoil = lambda n, b: replace(b, lasts_s=1e9, heeds_timeout=False)
    error = world.ended(session_s=3 * HOUR)
    assert isinstance(error, SessionOverdue)
    assert "though its 3.0 h are over" in error.message
    assert len(world.names) == 1


def test_as_many_run_at_once_as_may(world: World) -> None:
    world.ended(once=True)
    world.ended(once=True, preset="mpnet")
    error = world.ended(once=True, preset="roberta-base")
    assert isinstance(error, LaunchHeld)
    assert "2 sessions may run at once" in error.message
    assert len(world.names) == 2
    assert world.kaggle.most_at_once == 2


def test_launches_that_nobody_looks_after_are_not_waited_for_when_they_have_ended(
    world: World,
) -> None:
    world.kaggle.allowed_s = 90 * HOUR
    world.ended(once=True)
    world.ended(once=True, preset="mpnet")
    world.clock.sleep(13 * HOUR)
    assert len(world.launch(preset="roberta-base").record.sessions) == 2
    assert world.kaggle.most_at_once == 2


def test_hours_of_other_launches_are_not_given_twice(world: World) -> None:
    world.kaggle.allowed_s = 15 * HOUR
    world.ended(once=True)
    world.ended(once=True, preset="mpnet")
    assert [each.order["sessionTimeoutSeconds"] for each in world.kaggle.starts] == [43200, 10800]


def test_others_kernels_are_waited_for(world: World) -> None:
    for name in ("me/other-one", "me/other-two"):
        world.kaggle.save({"slug": name, "text": "--session-hours 2.0", "enableGpu": True} | {
            "slug": f"{name}-s1"})  # fmt: skip
    done = world.launch()
    assert any("Maximum batch GPU session count" in each for each in world.said)
    assert len(done.record.sessions) == 2


# ---- what is sent -------------------------------------------------------------------------------


def test_data_of_this_disk_are_sent_once_by_their_content(world: World, tmp_path: Path) -> None:
    rows = "\n".join(["text,label", *(f"row {n},{n % 2}" for n in range(40)), ""])
    Path("mine.csv").write_text(rows)
    first = world.launch(data="mine.csv")
    Path("elsewhere").mkdir()
    Path("elsewhere/mine.csv").write_text(rows)
    assert world.launch(data="elsewhere/mine.csv").record.id == first.record.id
    ((name, kept),) = world.kaggle.datasets.items()
    assert kept["files"] == {"mine.csv": rows.encode()}
    assert all(e.order["datasetDataSources"] == [name] for e in world.kaggle.starts)
    assert world.kaggle.is_private == [True]
    Path("mine.csv").write_text(rows + "one more,1\n")
    assert world.plan(data="mine.csv").record.id != first.record.id


def test_another_account_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.ended(once=True)
    ask = world.ask
    world.ask = lambda call, **facts: (
        {"ok": {"user": "you"}} if call == "me" else ask(call, **facts)
    )
    error = world.ended()
    assert isinstance(error, CannotLaunch)
    assert "its sessions are me's, and the login is you's" in error.message


def test_a_session_of_kaggles_starts_no_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGNEWS_PLATFORM", "kaggle")
    assert "would keep itself going" in world.ended().message


def test_a_record_that_is_damaged_stops_every_launch(world: World) -> None:
    world.ended(once=True)
    (record,) = Launches().folder.glob("*.json")
    record.write_text(record.read_text()[:-40])
    assert isinstance(world.ended(preset="mpnet"), LaunchRecordDamaged)
    assert len(world.names) == 1


def test_cancelling_says_what_is_lost_and_then_does_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listed.kaggle_client, "ask", world.ask)
    monkeypatch.setattr(listed, "utc_now", world.clock.now)
    world.ended(once=True)
    ((line,),) = (listed.every(),)
    with pytest.raises(CannotLaunch, match=r"deletes .* with all that only it has"):
        listed.cancel(line.record.id, is_sure=False)
    world.clock.sleep(HOUR)
    found = listed.cancel(line.record.id, is_sure=True)
    assert found["state"] == "stopped"
    assert world.kaggle.deleted == world.names
    assert used_s() == pytest.approx(HOUR, abs=1)
    assert world.launch().record.sessions[-1].end == "finished"
