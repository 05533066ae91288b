"""F5, F6, F11, F16, F17 above the store: what the saver and the loop make of a save that fails."""

from __future__ import annotations

import errno
import json
import math
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")

from agnews_cli.core.run.preset import Training  # noqa: E402
from agnews_cli.errors import CannotRead, CannotSave, Fenced  # noqa: E402
from agnews_cli.learn import optimizers  # noqa: E402
from agnews_cli.learn.door.events import EventLog  # noqa: E402
from agnews_cli.learn.loop.position import Position  # noqa: E402
from agnews_cli.learn.state import serial, snapshot  # noqa: E402
from agnews_cli.learn.state.saving import Saver  # noqa: E402
from agnews_cli.learn.state.snapshot import Misfit, Snapshot  # noqa: E402
from agnews_cli.store.disk import files  # noqa: E402
from agnews_cli.store.run.checkpoints import Checkpoints  # noqa: E402
from agnews_cli.store.run.events import Tail  # noqa: E402


class Log:
    def __init__(self) -> None:
        self.said: list[tuple[str, dict]] = []

    def __call__(self, kind: str, **data: object) -> None:
        self.said.append((kind, data))

    def warnings(self) -> list[str]:
        return [str(data["text"]) for kind, data in self.said if kind == "warning"]


def saver(folder: Path, log: Log, **more: object) -> Saver:
    return Saver(
        Checkpoints(folder), run="tiny-0123456789", candidate="tiny", token=1, writer="abcd",
        fingerprint={}, lifetime_s=1e9, every_s=1e9, log=log, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def state(step: int) -> Snapshot:
    tensors = {"weights": {"w": torch.full((50,), float(step))}, "optimizer": {"m": torch.ones(9)}}
    return Snapshot(tensors, {"position": {"step": step}})


def steps(folder: Path) -> list[int]:
    return [saved.manifest.step for saved in Checkpoints(folder).all()]


def test_leases_that_cannot_be_read_are_a_failed_save_and_not_a_lost_thread(tmp_path):
    def broken() -> int:
        raise CannotRead(path="leases", reason="Input/output error")

    log = Log()
    it = saver(tmp_path, log, newest_token=broken)
    for step in (1, 2):
        it.save(state(step), "interval", step=step, wait=True)
    assert len(log.warnings()) == 2
    assert "Input/output" in log.warnings()[0]
    with pytest.raises(CannotSave, match="3 checkpoints"):
        it.save(state(3), "interval", step=3, wait=True)
    assert steps(tmp_path) == []


def test_old_checkpoints_that_cannot_be_removed_do_not_make_a_save_a_failed_one(tmp_path):
    log = Log()
    it = saver(tmp_path, log)

    def fail(op: str, path: Path) -> None:
        if op == "unlink" and path.suffix == ".json":
            raise OSError(errno.EIO, "Input/output error")

    with files.observed(fail):
        for step in range(1, 9):
            it.save(state(step), "interval", step=step, wait=True)
    assert not it.has_failed
    assert steps(tmp_path)[0] == 8
    assert all("not removed" in text for text in log.warnings())
    assert len(log.warnings()) == 6


def test_a_full_disk_gets_its_room_back_at_once(tmp_path):
    """The blobs of a failed save, and all but the newest checkpoint, are no longer there."""
    log = Log()
    it = saver(tmp_path, log)
    for step in (1, 2):
        it.save(state(step), "interval", step=step, wait=True)
    assert steps(tmp_path) == [2, 1]

    def fail(op: str, path: Path) -> None:
        if op == "rename" and path.suffix == ".json":
            raise OSError(errno.ENOSPC, "No space left on device")

    with files.observed(fail):
        it.save(state(3), "interval", step=3, wait=True)
    assert it.has_failed
    assert steps(tmp_path) == [2]
    needed = {b.sha256 for b in Checkpoints(tmp_path).all()[0].manifest.blobs.values()}
    assert {path.name for path in (tmp_path / "blobs").iterdir()} == needed
    it.save(state(4), "interval", step=4, wait=True)
    assert not it.has_failed
    assert steps(tmp_path) == [4, 2]


@pytest.mark.parametrize("at", range(1, 5))
@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't allocate memory")])
def test_memory_that_is_short_in_the_nth_save(tmp_path, monkeypatch, at, error):
    calls, real = 0, serial.parts

    def short(tensors):
        nonlocal calls
        calls += 1
        if calls == at:
            raise error
        return real(tensors)

    monkeypatch.setattr(serial, "parts", short)
    log = Log()
    it = saver(tmp_path, log)
    for step in (1, 2, 3):
        it.save(state(step), "interval", step=step, wait=True)
    assert len(log.warnings()) == 1
    assert steps(tmp_path)[0] == 3
    assert [wrong for _, wrong in Checkpoints(tmp_path).verify()] == [None, None]


def test_no_thread_for_a_save_is_a_failed_save(tmp_path, monkeypatch):
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    log = Log()
    it = saver(tmp_path, log)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        it.save(state(1), "interval", step=1, wait=True)
    assert it.has_failed
    it.save(state(2), "interval", step=2, wait=True)
    assert steps(tmp_path) == [2]


def test_fenced_in_the_middle_of_a_save_commits_nothing(tmp_path):
    """Another session takes over while the blobs are written, or right after the manifest."""
    for moment in ("blobs", "manifest"):
        newest, log = 1, Log()
        it = saver(tmp_path / moment, log, newest_token=lambda: newest)  # noqa: B023
        it.save(state(1), "interval", step=1, wait=True)

        def take_over(op: str, path: Path, moment: str = moment) -> None:
            nonlocal newest
            is_manifest = op == "rename-done" and path.suffix == ".json"
            newest = 2 if is_manifest or (moment == "blobs" and op == "rename-done") else newest

        with files.observed(take_over), pytest.raises(Fenced, match="number 2"):
            it.save(state(2), "interval", step=2, wait=True)
        assert steps(tmp_path / moment) == [1]


def test_a_read_that_fails_once_walks_back_instead_of_ending_the_run(tmp_path):
    log = Log()
    it = saver(tmp_path, log)
    for step in (1, 2):
        it.save(state(step), "interval", step=step, wait=True)
    for at in (1, 2):
        reads: list[Path] = []

        def fail(op: str, path: Path, at: int = at, reads: list[Path] = reads) -> None:
            if op == "read" and path.suffix != ".json":
                reads.append(path)
                if len(reads) == at:
                    raise OSError(errno.EIO, "Input/output error")

        with files.observed(fail):
            found = it.newest()
        assert found is not None
        assert found[0].manifest.step == 1
        assert "Input/output" in log.warnings()[-1]


def test_a_checkpoint_of_another_run_is_a_misfit(tmp_path):
    saver(tmp_path, Log()).save(state(1), "interval", step=1, wait=True)
    other = saver(tmp_path, Log())
    other._run = "tiny-9876543210"
    with pytest.raises(Misfit, match="tiny-0123456789"):
        other.newest()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "NoDiskSpace"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "NoDiskSpace"),
        (OSError(errno.EIO, "Input/output error"), "CannotWrite"),
        (OSError(errno.EROFS, "Read-only file system"), "CannotWrite"),
        (
            RuntimeError("[enforce fail at inline_container.cc:1] unexpected pos 1 vs 2"),
            "NoDiskSpace",
        ),
        (RuntimeError("Error while serializing: I/O error: Input/output error"), "CannotWrite"),
        (MemoryError(), "OutOfMemory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "OutOfMemory"),
        (
            RuntimeError("cumsum does not have a deterministic implementation, but you set it"),
            "NotDeterministic",
        ),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "OutOfMemory"),
    ],
    ids=str,
)
def test_what_ends_a_worker_is_put_into_words(error, kind):
    from types import SimpleNamespace

    from agnews_cli.learn.worker import _in_words

    training = SimpleNamespace(micro_batch_tokens=None, batch_tokens=1024)
    job = SimpleNamespace(preset=SimpleNamespace(training=training), folder=".", cache=".")
    told = _in_words(error, job)
    assert type(told).__name__ == kind
    assert told.advice


USES_UP_ALL_MEMORY = """
import os, resource
from types import SimpleNamespace
from agnews_cli.learn import worker

def work():
    used = int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 20),) * 2)
    held, size = [], 1 << 20  # held by the traceback, too
    while True:
        try:
            held.append(bytearray(size))
        except MemoryError:
            if size == 1:
                raise
            size //= 2

training = SimpleNamespace(micro_batch_tokens=None, batch_tokens=1024)
job = SimpleNamespace(preset=SimpleNamespace(training=training), folder=".", cache=".")
print(worker.ended(job, None, work).failure.kind)
"""


def test_a_worker_without_any_memory_left_says_so():
    done = subprocess.run(
        [sys.executable, "-c", USES_UP_ALL_MEMORY], capture_output=True, text=True, check=False
    )
    assert done.stdout == "OutOfMemory\n", done.stderr[-2000:]


def test_a_log_that_cannot_be_opened_is_refused_in_words(tmp_path):
    from agnews_cli.errors import CannotWrite
    from agnews_cli.host import launch

    (tmp_path / "worker.log").mkdir()
    cpu = launch.Accelerator(kind="cpu", name="cpu", count=1)
    with pytest.raises(CannotWrite, match=r"worker\.log"):
        launch.start(tmp_path / "job.json", tmp_path / "worker.log", cpu, processes=1, cpu_count=1)


# ---- events -------------------------------------------------------------------------------------


def test_a_full_disk_costs_events_and_not_the_run(tmp_path, monkeypatch):
    path, write = tmp_path / "events.jsonl", os.write
    log = EventLog(path, started_monotonic_s=0, writes=True)
    log("note", text="first")

    def full(handle: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    log("note", text="lost")
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:20]))
    log("note", text="torn")
    monkeypatch.setattr(os, "write", write)
    log("note", text="last")
    assert [event.data["text"] for event in Tail(path).read()] == ["first", "last"]


def test_a_line_torn_by_a_kill_does_not_swallow_the_next_session(tmp_path):
    path = tmp_path / "events.jsonl"
    EventLog(path, started_monotonic_s=0, writes=True)("note", text="first")
    with path.open("ab") as file:
        file.write(b'{"kind":"prog')
    tail = Tail(path, is_new=True)
    EventLog(path, started_monotonic_s=0, writes=True)("started", pid=1)
    assert [event.kind for event in tail.read()] == ["started"]
    assert [event.kind for event in Tail(path).read()] == ["note", "started"]


# ---- hostile states -----------------------------------------------------------------------------


def good_position() -> dict:
    return Position(step=3, examples=9, total_steps=10, lowest_loss=0.5).as_json()


@pytest.mark.parametrize(
    "change",
    [
        {"step": "3"}, {"step": -1}, {"step": 10**300}, {"step": 3.0}, {"step": True},
        {"step": 11}, {"epoch": None}, {"batch": []}, {"total_steps": "ten"},
        {"lowest_loss": "inf"}, {"lowest_loss": [1]}, {"stopped_early": 1}, {"surprise": 0},
        {"validations_without_gain": {}},
    ],
    ids=str,
)  # fmt: skip
def test_a_senseless_position_is_a_misfit(change):
    assert Position.from_json(good_position()).step == 3
    with pytest.raises(Misfit):
        Position.from_json(good_position() | change)


def test_a_position_survives_json():
    for loss in (math.inf, 0.1 + 0.2, 1.0):
        at = Position(step=3, total_steps=10, lowest_loss=loss)
        assert Position.from_json(json.loads(json.dumps(at.as_json()))) == at


@pytest.mark.parametrize("name", ["python", "numpy", "torch"])
@pytest.mark.parametrize("kind", ["missing", "short", "long", "negative", "floats"])
def test_generators_that_are_none_are_a_misfit(name, kind):
    saved = {n: t.clone() for n, t in snapshot.generator_tensors().items() if n != "cuda"}
    before = snapshot.generator_tensors()
    if kind == "missing":
        del saved[name]
    elif kind == "short":
        saved[name] = saved[name][:3]
    elif kind == "long":
        saved[name] = torch.cat([saved[name], saved[name]])
    elif kind == "negative":
        saved[name] = torch.full_like(saved[name].to(torch.int64), -1)
    else:
        saved[name] = saved[name].to(torch.float64) + 0.5
    if (name, kind) == ("numpy", "negative"):
        saved[name][-1] = 700  # a position beyond the words
    with pytest.raises(Misfit):
        snapshot.restore_generators(saved)
    snapshot.restore_generators(before)


def test_moments_of_another_shape_or_name_are_a_misfit():
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    good = snapshot.on_host(snapshot.optimizer_tensors(model, optimizer))
    kept = optimizers.kept(Training(lr=0.1))
    snapshot.restore_optimizer(model, optimizer, good, kept)
    for change in (
        {"weight|exp_avg": torch.zeros(2, 2)},
        {"weight|step": torch.zeros(5)},
        {"bias|exp_avg_sq": torch.zeros(1 << 10)},
        {"bias|surprise": torch.zeros(2)},
        {"other|exp_avg": torch.zeros(2)},
    ):
        with pytest.raises(Misfit, match="optimizer"):
            snapshot.restore_optimizer(model, optimizer, good | change, kept)
