"""Stores beside training: the real session, couriers and stores, and a worker that only saves."""

from __future__ import annotations

import json
import os
import random
import shlex
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from agnews_cli.cli import printer
from agnews_cli.cli.output import Output
from agnews_cli.core.machine.platform import Accelerator
from agnews_cli.core.run.job import Event, Outcome, TrainJob
from agnews_cli.errors import (
    AgnewsError,
    BadStore,
    Interrupted,
    NotAnswered,
    NotRunning,
    RunBusy,
    RunUnfinished,
    SessionOver,
    StoreBusy,
    StoreTrouble,
    TakenOver,
)
from agnews_cli.host import launch
from agnews_cli.host.detect import detect
from agnews_cli.store.data import datasets
from agnews_cli.store.disk import files
from agnews_cli.store.hours.ledger import Ledger
from agnews_cli.store.model import delivered
from agnews_cli.store.remotes import patience
from agnews_cli.store.remotes.folder import Folder
from agnews_cli.store.run import leases, runs
from agnews_cli.store.run.checkpoints import Checkpoints, Draft
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.settings import presets
from agnews_cli.store.transfer import claims, pulls
from agnews_cli.workflows.runs import history, status, stores
from agnews_cli.workflows.sessions import couriers, saves, session
from agnews_cli.workflows.train import resume, single
from agnews_cli.workflows.train.auto import Request

SAMPLE = Path(presets.__file__).parents[2] / "sample"


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many tries, and no long pauses between them."""
    monkeypatch.setattr(patience, "_LONGEST_PAUSE_S", 0.1)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    preset = presets.load("minilm")
    found = datasets.find(str(SAMPLE))
    return runs.create(
        tmp_path / "runs",
        "minilm-0123456789",
        preset=preset,
        dataset=found,
        seed=0,
        order={
            "data": "sample:", "text_columns": [], "label_column": None,
            "limit_train": None, "budget_s": None, "seed": 0,
        },
        now=datetime.now(UTC),
    )  # fmt: skip


def train(run: RunFolder, remotes, monkeypatch, *, steps=12, delay_s=0.05, session_s=None, takeover=False, show=None, **more):  # fmt: skip # noqa: E501
    """One session of the run; the events that the user saw, and `show` was given."""

    def start(job: Path, log: Path, accelerator: Accelerator, **_: object):
        command = [sys.executable, "-m", "tests.servers.fake_worker", str(job)]
        root = str(Path(__file__).parents[2])
        process = subprocess.Popen(
            [*command, str(steps), str(delay_s)], start_new_session=True, cwd=root,
            env=os.environ | {"PYTHONPATH": root}, stderr=log.open("ab"),
        )  # fmt: skip
        return launch.WorkerProcess(process, log.open("ab"))

    monkeypatch.setattr(launch, "start", start)
    now_s = time.monotonic()
    job = TrainJob(
        run=run.id, folder=str(run.path), cache="", preset=presets.load("minilm"), model_path="",
        dataset=datasets.find(str(SAMPLE)), seed=0,
        started_monotonic_s=now_s, session_end_monotonic_s=session_s and now_s + session_s,
    )  # fmt: skip
    seen: list[Event] = []
    try:
        session.train(
            job, run, detect(), processes=1, show=show or seen.append, remotes=remotes,
            takeover=takeover, **more,
        )  # fmt: skip
    except AgnewsError as error:
        return seen, error
    return seen, None


def save(run: RunFolder, step: int, *, token: int = 1, folder: Path | None = None) -> None:
    """A checkpoint of another session."""
    draft = Draft(
        run=run.id, candidate="m", step=step, parent=None, token=token, writer="aaaa",
        why="interval", state={"step": step}, fingerprint={},
    )  # fmt: skip
    Checkpoints((folder or run.path) / "checkpoints" / "m").save(draft, {"weights": bytes(1000)})


def texts(seen: list[Event], kind: str = "note") -> str:
    return "\n".join(e.data["text"] for e in seen if e.kind == kind)


def test_how_the_worker_of_another_session_ended_is_not_taken_for_this_ones(run, monkeypatch):
    """Seen: one whose command was killed said "interrupted" while the next session's trained."""

    def another_ends() -> None:
        while not run.events.exists():  # this session's worker is at work
            time.sleep(0.01)
        text = Outcome(state="interrupted", writer="another").model_dump_json()
        files.write_text_atomically(run.outcome, text)

    thread = threading.Thread(target=another_ends)
    thread.start()
    _, error = train(run, (), monkeypatch, steps=40)
    thread.join()
    assert error is None
    ended = run.ended()
    assert ended is not None
    assert (ended.state, ended.step) == ("completed", 40)


def test_ctrl_c_while_the_last_sessions_worker_still_saves_says_how_to_go_on(run, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    save(run, 7)
    monkeypatch.setattr(launch, "left_behind", lambda job: [object()])
    monkeypatch.setattr(launch, "await_end", interrupt)
    seen, error = train(run, (), monkeypatch)
    assert "waiting for it" in texts(seen)
    assert isinstance(error, Interrupted)
    assert "step 7 is saved" in error.message
    assert f"agnews resume {run.id}" in error.advice


def test_a_stop_before_training_names_the_stores_that_it_goes_on_from(run, tmp_path, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    save(run, 7)
    monkeypatch.setattr(single, "_carried_out", interrupt)
    far = Folder(tmp_path / "far")
    plan = SimpleNamespace(run=run.id, scene=SimpleNamespace(store=run.path.parent, remotes=(far,)))
    with pytest.raises(Interrupted) as stopped:
        single.carry_out(plan, show=print)  # type: ignore[arg-type]
    assert stopped.value.advice.endswith(f"--store {run.path.parent} --store {far.address}")


def test_pruning_waits_for_a_worker_that_still_saves_for_a_killed_command(run, monkeypatch):
    """A claim of the run would have fenced it off: its last save would have been refused."""
    train(run, (), monkeypatch, session_s=0.3)
    newest = leases.newest_token(run.path)
    command = [sys.executable, "-c", "import time; time.sleep(60)", launch._WORKER, str(run.job)]
    worker = subprocess.Popen(command, start_new_session=True)
    try:
        with pytest.raises(RunBusy, match=f"process {worker.pid}, which saves and ends"):
            saves.pruned(run.id, run.path.parent, keep=1)
        assert leases.newest_token(run.path) == newest
    finally:
        worker.kill()
        worker.wait()
    assert len(saves.pruned(run.id, run.path.parent, keep=1)) <= 1


def test_a_command_that_names_no_store_looks_where_auto_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    usual, mine = (
        RunFolder(tmp_path / name / "minilm-aa") for name in ("agnews-runs", "it's mine")
    )
    assert history.where(None) == usual.path.parent
    assert [history.word_for(run) for run in (usual, mine)] == [
        "minilm-aa",
        shlex.quote(str(mine.path)),
    ]
    monkeypatch.setenv("AGNEWS_STORE", f"s3://bucket/runs, {mine.path.parent}")
    assert history.where(None) == mine.path.parent
    assert [history.word_for(run) for run in (usual, mine)] == [str(usual.path), "minilm-aa"]


def test_what_was_delivered_before_is_not_taken_for_this_trainings_result(run, monkeypatch):
    """`agnews predict` beside `agnews auto --fresh` would answer from a model half written."""
    (run.path / "delivery.json").write_text("{}")
    train(run, (), monkeypatch, session_s=0.3)
    with pytest.raises(RunUnfinished):
        delivered.of_run(run)


class Slow(Folder):
    """A folder whose every upload takes a while; `down` makes it fail."""

    def __init__(self, root: Path, seconds: float = 0.0) -> None:
        super().__init__(root)
        self.seconds, self.down = seconds, threading.Event()
        self.puts: list[str] = []
        self.at_once = self.most_at_once = 0

    def put(self, name: str, source: Path) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.down.is_set():
                raise StoreBusy(store=self.address, action="store", reason="it is down")
            if "/blobs/" in name:
                time.sleep(self.seconds)
            self.puts.append(name)
            super().put(name, source)
        finally:
            self.at_once -= 1


def test_a_finished_run_is_in_every_store_and_the_screen_says_what_was_proven(
    run, tmp_path, monkeypatch
):
    remotes = (Slow(tmp_path / "one"), Slow(tmp_path / "two", 0.2))
    seen, error = train(run, remotes, monkeypatch)
    assert error is None
    for remote in remotes:
        assert f"{remote.address}: the model is there, read back and verified" in texts(seen)
        last = [event.data["name"] for event in seen if event.kind == "phase"][-1]
        assert last.startswith("sending what is newest to ") and remote.address in last
        assert remote.most_at_once == 1
    again = RunFolder(tmp_path / "elsewhere" / run.id)
    again.path.mkdir(parents=True)
    pulls.pull([Folder(tmp_path / "two")], again)
    model = "model/model.safetensors"
    assert (again.path / model).read_bytes() == (run.path / model).read_bytes()
    lines = status.status("latest", tmp_path / "runs").stores
    assert [line.proof for line in lines] == ["local", "verified", "verified"]


def test_a_store_that_is_down_stops_nothing_and_catches_up(run, tmp_path, monkeypatch):
    good, bad = Slow(tmp_path / "good"), Slow(tmp_path / "bad")
    bad.down.set()
    monkeypatch.setattr(couriers, "_FIRST_PAUSE_S", 0.2)
    monkeypatch.setattr(couriers, "_TRIES", 1)

    def mend() -> None:
        give_up = time.monotonic() + 30
        while not any((run.path / "stores").glob("*.json")) and time.monotonic() < give_up:
            time.sleep(0.05)
        time.sleep(1.0)
        bad.down.clear()

    threading.Thread(target=mend).start()
    seen, error = train(run, (good, bad), monkeypatch, steps=60)
    assert error is None
    assert "training goes on" in texts(seen, "warning")
    assert "it is down" in texts(seen, "warning")
    assert f"{bad.address} answers again" in texts(seen)
    assert f"{bad.address}: the model is there" in texts(seen)


def test_a_store_that_stays_down_is_a_warning_and_the_run_is_completed(run, tmp_path, monkeypatch):
    bad = Slow(tmp_path / "bad")
    bad.down.set()
    monkeypatch.setattr(couriers, "_TRIES", 1)
    seen, error = train(run, (bad,), monkeypatch)
    assert error is None
    assert "the model is not there" in texts(seen, "warning")
    (_, line) = status.status("latest", tmp_path / "runs").stores
    assert line.proof is None
    assert "it is down" in (line.problem or "")


def test_the_session_ends_in_time_for_the_last_upload_and_goes_on_elsewhere(
    run, tmp_path, monkeypatch
):
    slow = Slow(tmp_path / "slow", 0.5)
    began_s = time.monotonic()
    seen, error = train(run, (slow,), monkeypatch, steps=10_000, session_s=8.0)
    assert isinstance(error, SessionOver)
    assert time.monotonic() - began_s < 9.0
    assert f"--store {tmp_path / 'slow'}" in error.advice
    newest = Checkpoints(run.checkpoints / "m").newest()[0]
    assert newest is not None
    assert f"step {newest.manifest.step} is there, read back and verified" in texts(seen)
    shutil.rmtree(tmp_path / "runs")
    (one,) = pulls.seen(Folder(tmp_path / "slow"), tmp_path / "look")
    assert one.state == "paused"
    again = pulls.unpack_record(one, tmp_path / "elsewhere")
    pulls.pull([Folder(tmp_path / "slow")], again)
    step = newest.manifest.step
    seen, error = train(again, (Folder(tmp_path / "slow"),), monkeypatch, steps=step + 3)
    assert error is None


def test_a_run_that_lives_elsewhere_is_refused_and_a_taken_over_one_stops(
    run, tmp_path, monkeypatch
):
    held = json.loads(leases.text("bbbb", datetime.now(UTC), True)) | {"host": "another machine"}
    place = tmp_path / "store" / run.id / "leases" / "000004.json"
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps(held))
    remote = Folder(tmp_path / "store")
    _, error = train(run, (remote,), monkeypatch)
    assert isinstance(error, RunBusy)
    assert "another machine" in error.message
    monkeypatch.setattr(claims, "BEAT_S", 1.0)

    def take_over() -> None:
        give_up = time.monotonic() + 20
        while not any(run.checkpoints.rglob("m-*.json")) and time.monotonic() < give_up:
            time.sleep(0.05)
        assert (place.parent / "000005.json").exists()
        place.with_name("000006.json").write_text(json.dumps(held))

    threading.Thread(target=take_over).start()
    _, error = train(run, (remote,), monkeypatch, steps=10_000, takeover=True)
    assert isinstance(error, TakenOver)
    newest = Checkpoints(run.checkpoints / "m").newest()[0]
    assert newest is not None
    assert "session on another machine, as " in error.message
    assert f"step {newest.manifest.step} is saved" in error.message


# ---- what is away, locked or deaf ----------------------------------------------------------------


def test_a_store_that_is_away_at_the_start_is_gone_on_from_when_it_is_back(
    run, tmp_path, monkeypatch
):
    """Seen: trained from 0 in silence, then stopped by "another session" that was not there."""
    place, hidden = tmp_path / "store", tmp_path / "hidden"
    save(run, 500, token=3, folder=hidden / run.id)
    place.write_text("no folder: the store is away")
    monkeypatch.setattr(couriers, "_FIRST_PAUSE_S", 0.2)
    monkeypatch.setattr(couriers, "_TRIES", 1)

    def come_back() -> None:
        while not any(run.checkpoints.rglob("m-*.json")):
            time.sleep(0.05)
        place.unlink()
        hidden.rename(place)

    threading.Thread(target=come_back).start()
    seen, error = train(run, (Folder(place),), monkeypatch, steps=510, delay_s=0.2)
    assert error is None
    assert f"nobody knows whether {place} has a part of this run" in texts(seen, "warning")
    assert "is no folder" in texts(seen, "warning")
    assert f"{place} answers again, and has a session of this run" in texts(seen)
    assert f"comes from {place}" in texts(seen)
    assert f"{place}: the model is there, read back and verified" in texts(seen)
    saved = [e.data["step"] for e in seen if e.kind == "saved"]
    first = next(step for step in saved if step > 500)
    assert all(step < 300 for step in saved[: saved.index(first)])  # it did not train up to there


def test_a_missing_folder_is_not_an_empty_store(tmp_path):
    away = tmp_path / "disk" / "store"
    for use in (lambda: Folder(away).list(""), lambda: Folder(away).create("a", b"x")):
        with pytest.raises(StoreTrouble, match=f"{away.parent} is not there"):
            use()
    assert not away.parent.exists()
    away.parent.write_text("a file")
    with pytest.raises(StoreTrouble):
        Folder(away.parent).list("")
    assert Folder(tmp_path / "new").list("") == ()


def test_a_ledger_that_is_locked_at_the_end_gets_its_hours_later(run, monkeypatch):
    """Seen: a completed run ended with code 74, its lease not released."""

    def locked() -> None:
        while not any(run.checkpoints.rglob("m-*.json")):
            time.sleep(0.02)
        lock.execute("BEGIN EXCLUSIVE")

    with Ledger() as ledger:
        path = ledger.path
    lock = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    threading.Thread(target=locked).start()
    seen, error = train(run, (), monkeypatch, steps=40)
    assert error is None
    assert "entered when it opens again" in texts(seen, "warning")
    assert not leases.is_held(run.path, datetime.now(UTC))
    lock.execute("ROLLBACK")
    lock.close()
    with Ledger() as ledger:
        (session,) = ledger.sessions()
        (known,) = ledger.runs()
    assert (session.state, known.state) == ("finished", "completed")
    assert session.seconds > 1.0
    with Ledger() as ledger:  # and once only
        assert ledger.sessions() == (session,)


def test_output_that_nobody_reads_stops_nothing(run, tmp_path, monkeypatch):
    """Seen: no beat, no upload, deaf to signals, the last upload never made."""
    monkeypatch.setattr(printer, "STALLED_S", 0.3)
    monkeypatch.setattr(printer, "_printers", {})
    monkeypatch.setattr(printer, "_is_on", False)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    os.set_blocking(writer, True)
    stream = os.fdopen(writer, "w")
    out = Output(stream=stream, error_stream=stream, env={})
    with out.progress(beside=True) as progress:
        _, error = train(
            run, (Folder(tmp_path / "store"),), monkeypatch, steps=40, show=progress.event
        )
    assert error is None
    assert list((tmp_path / "store" / run.id / "delivery").glob("m-*.json"))
    assert "nobody reads what this command prints" in run.events.read_text()
    began_s = time.monotonic()
    printer.end(0.5)
    assert time.monotonic() - began_s < 5.0
    os.close(reader)
    stream.close()


def test_save_now_asks_a_running_job(run, tmp_path, monkeypatch):
    with pytest.raises(NotRunning):
        saves.save_now("latest", tmp_path / "runs", wait_s=5)
    answers: list[saves.SavedOnRequest] = []

    def ask() -> None:
        give_up = time.monotonic() + 20
        while not run.events.exists() and time.monotonic() < give_up:
            time.sleep(0.05)
        answers.append(saves.save_now("latest", tmp_path / "runs", wait_s=10))

    asking = threading.Thread(target=ask)
    asking.start()
    train(run, (), monkeypatch, steps=60)
    asking.join()
    assert answers[0].step > 0
    lease = leases.claim(run.path, datetime.now(UTC))
    with pytest.raises(NotAnswered):
        saves.save_now("latest", tmp_path / "runs", wait_s=0.3)
    assert not (run.path / runs.SAVE_NOW).exists()
    lease.release(datetime.now(UTC))


def test_resume_finds_runs_in_stores_and_names_the_others(run, tmp_path, monkeypatch):
    remote = tmp_path / "second"
    train(run, (Folder(remote),), monkeypatch, steps=10_000, session_s=3.0)
    shutil.rmtree(tmp_path / "runs")
    graph = SimpleNamespace(nodes={run.id: SimpleNamespace(place=run.id)})
    monkeypatch.setattr(
        resume,
        "prepare",
        lambda request: type("P", (), {"run": run.id, "r": request, "graph": graph})(),
    )
    request = Request.of(stores=(str(tmp_path / "new"), str(remote)))
    plan, others = resume.prepare_again(None, request)
    assert plan.r.wish.data == "sample:"
    assert plan.r.session.stores == (str(tmp_path / "new"), str(remote))
    assert others == ()
    assert (tmp_path / "new" / run.id / "preset.yaml").exists()
    plan, _ = resume.prepare_again("minilm-01", request)
    assert plan.run == run.id


@pytest.mark.parametrize(
    ("given", "folder", "remotes"),
    [
        ((), None, ()),
        (("a",), "a", ()),
        (("a", "b", "s3://x/y"), "a", ("b", "s3://x/y")),
        (("s3://x/y/",), None, ("s3://x/y",)),
        (("drive", "hf://me/runs"), None, ("drive:agnews-runs", "hf://me/runs")),
        (("kaggle://me/runs", "file:///tmp/x"), "/tmp/x", ("kaggle://me/runs",)),
    ],
)
def test_stores_are_told_apart(given, folder, remotes):
    chosen = stores.choose(given, {})
    assert chosen.folder == (Path(folder) if folder else None)
    assert chosen.remotes == remotes


def test_stores_come_from_the_environment_too():
    chosen = stores.choose(("a",), {"AGNEWS_STORE": "s3://x/y, b"})
    assert (chosen.folder, chosen.remotes) == (Path("a"), ("s3://x/y", "b"))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("s3:/x", "two slashes"),
        ("s4://x", "s4://"),
        ("https://host/x", "https://"),
        ("hf://owner", "owner/name"),
        ("kaggle://a/b/c", "owner/slug"),
        ("s3://", "bucket"),
        ("s3://b/../c", ".."),
        ("s3://b/c?versionId=1", "query"),
        ("drive:../x", ".."),
        ("s3://key:verysecretvalue@bucket/x", "environment"),
        ("sftp://me:verysecretvalue@host/x", "environment"),
        ("hf://verysecretvalue@owner/name", "environment"),
    ],
)
def test_a_bad_address_is_one_clear_error_without_its_secret(given, why):
    with pytest.raises(BadStore) as caught:
        stores.choose((given,), {})
    assert why in caught.value.message
    assert "verysecretvalue" not in caught.value.message + caught.value.advice


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("s3:bucket/x", "s3://bucket/x"),
        ("S3:bucket", "s3://bucket"),
        ("s3//bucket/x", "s3://bucket/x"),
        ("gs:/x", "gs://x"),
        ("hf:me/runs", "hf://me/runs"),
        ("kaggle:me/runs", "kaggle://me/runs"),
        ("sftp:host/x", "sftp://host/x"),
        ("s3:AKIAKEY:verysecretvalue@bucket/x", "s3://bucket/x"),
        ("me:verysecretvalue@host:/runs", "sftp://me@host/runs"),
        ("me@host:/runs", "sftp://me@host/runs"),
        ("host.example.org:/runs", "sftp://host.example.org/runs"),
        ("host:/runs", "sftp://host/runs"),
        ("Drive", "drive"),
        ("DRIVE:agnews", "drive:agnews"),
        ("gdrive", "drive"),
        ("Google Drive", "drive"),
        ("drive://agnews", "drive:agnews"),
        ("memory://a/b", "s3://"),
        ("local:///tmp/x", "s3://"),
        ("simplecache::s3://bucket/x", "s3://"),
        ("github://a:b@c/x", "environment"),
    ],
)
def test_what_is_nearly_an_address_is_no_folder_in_silence(given, meant):
    with pytest.raises(BadStore) as caught:
        stores.choose((given,), {})
    assert meant in caught.value.advice + caught.value.message
    assert "verysecretvalue" not in caught.value.message + caught.value.advice


@pytest.mark.parametrize(
    "given", ["./s3:bucket", "./Drive", "notes:2026", "a b", "me@home", "s3", "hf"]
)
def test_a_folder_may_be_called_nearly_anything(given):
    assert stores.choose((given,), {}).folder == Path(given)


def test_two_names_of_one_place_are_no_second_copy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "same").mkdir()
    (tmp_path / "link").symlink_to("same")
    named = ("same", "./same", "same/", str(tmp_path / "same"), "link", "x/../same", "~/same",
             f"file://{tmp_path}/same")  # fmt: skip
    assert stores.choose(named, {}) == stores.Chosen(Path("same"), ())
    urls = ("s3://b/x", "s3://b/x/", "s3://b//x", "s3a://b/x", "sftp://h/x", "ssh://h:22/x")
    assert stores.choose(urls, {}).remotes == ("s3://b/x", "sftp://h/x")


def test_a_home_that_nobody_has_is_one_error():
    with pytest.raises(BadStore, match="has a home"):
        stores.choose(("~nobody-of-that-name/x",), {})


def test_a_missing_client_and_a_missing_mount_say_what_to_do(tmp_path, monkeypatch, agnews):
    import fsspec

    def absent(scheme: str):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "get_filesystem_class", absent)
    with pytest.raises(AgnewsError) as caught:
        stores.connect(("s3://x/y",))[0].list("")
    assert caught.value.advice == "pip install s3fs"
    done = agnews("resume", "--store", "drive")
    assert done.code == 69
    assert "from google.colab import drive\ndrive.mount('/content/drive')" in done.err


def test_push_status_and_pull_by_hand(run, tmp_path, agnews):
    from agnews_cli.store.run.checkpoints import Draft

    draft = Draft(
        run=run.id, candidate="m", step=7, parent=None, token=1, writer="aaaa", why="interval",
        state={}, fingerprint={},
    )  # fmt: skip
    Checkpoints(run.checkpoints / "m").save(draft, {"weights": random.Random(1).randbytes(999)})
    pushed = agnews("checkpoints", "push", "--store", "runs", "--store", "second", "--json")
    assert pushed.code == 0, pushed.err
    assert list(pushed.json[0]["parcels"].values()) == ["verified"]
    shown = agnews("status", "--store", "runs")
    assert "step 7 of m" in shown.out
    assert "verified" in shown.out
    shutil.rmtree(tmp_path / "runs")
    pulled = agnews("checkpoints", "pull", "--store", "deep/runs", "--store", "second")
    assert pulled.code == 0, pulled.err
    listed = agnews("checkpoints", "verify", "--store", "deep/runs", "--json").json
    assert [line["problem"] for line in listed] == [None]
    (tmp_path / "file").write_text("")
    failed = agnews("checkpoints", "push", "--store", "deep/runs", "--store", "file/below")
    assert failed.code == 69
    assert "file/below" in failed.err
    assert "Traceback" not in failed.err
    nothing = agnews("checkpoints", "pull", "other", "--store", "deep/runs", "--store", "second")
    assert nothing.code == 74


def test_stores_are_named_by_option_environment_and_file_in_that_order(own_home: Path) -> None:
    file = own_home / "data" / "stores.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text("stores: [s3://mine/runs, s3://both/runs, /data/runs]\n")
    env = {"AGNEWS_STORE": "s3://both/runs,sftp://host/runs"}
    chosen = stores.choose(["s3://given/runs"], env)
    assert chosen.folder == Path("/data/runs")
    assert chosen.remotes == (
        "s3://given/runs", "s3://both/runs", "sftp://host/runs", "s3://mine/runs",
    )  # fmt: skip
    assert stores.choose(["/work/runs"], {}).folder == Path("/work/runs")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stores: s3://mine/runs\n", "line 1: stores should be a list of addresses"),
        ("store: [runs]\n", "should be one key, stores"),
        ("stores: [runs\n", "not YAML"),
        ("stores: [5]\n", "should be a list of addresses"),
        ("", "should be one key, stores (found nothing)"),
    ],
    ids=["a word", "another key", "torn", "a number", "empty"],
)
def test_a_file_of_stores_that_is_none(own_home: Path, text: str, words: str) -> None:
    file = own_home / "data" / "stores.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    with pytest.raises(AgnewsError) as raised:
        stores.choose([], {})
    assert words in raised.value.message and raised.value.exit_code == 78
    assert str(file) in raised.value.message


@pytest.mark.parametrize("is_kept", [True, False], ids=["goes along", "cannot be kept"])
def test_the_ledger_of_hours_goes_along_and_holds_nothing_up(run, tmp_path, monkeypatch, is_kept):
    class NoLedger(Folder):
        def put(self, name: str, source: Path) -> None:
            if name.startswith("ledger/") and not is_kept:
                raise StoreBusy(store=self.address, action="store", reason="no room for it")
            super().put(name, source)

    remote = NoLedger(tmp_path / "remote")
    seen, error = train(run, (remote,), monkeypatch)
    assert error is None
    assert "read back and verified" in texts(seen)
    assert bool(remote.list("ledger/")) == is_kept
    warned = texts(seen, "warning")
    assert ("the ledger of hours was not exchanged" in warned) != is_kept
    claims.require_free(remote, run.path, remote.list(f"{run.id}/"), datetime.now(UTC), tmp_path)


def test_nothing_to_resume_is_told_in_whole_sentences(agnews):
    pytest.importorskip("s3fs")
    nobody = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "a"}
    nobody |= {"AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    done = agnews("resume", "--store", "runs", "--store", "s3://bucket/none", **nobody)
    assert done.code == 66
    told = done.err.splitlines()[0]
    assert "no unfinished run in runs. The store s3://bucket/none could not" in told
    assert not told.endswith("..")


def test_a_folder_that_cannot_be_one_is_not_taken_for_an_empty_store(agnews, tmp_path):
    (tmp_path / "file").touch()
    done = agnews("resume", "--store", str(tmp_path / "file" / "below"))
    assert done.code == 66
    assert "Not a directory" in done.err and "no unfinished run" not in done.err
