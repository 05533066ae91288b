"""F11: two sessions on one run, in every order of their file operations that a seed can reach.

A scheduler runs the writers one file operation at a time. It may freeze the owner for longer than
its lease lasts (SIGSTOP, a suspended laptop, a lost network), let another take over, and wake it.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from agnews_cli.errors import Fenced, RunBusy
from agnews_cli.store.disk import files
from agnews_cli.store.run import leases
from agnews_cli.store.run.checkpoints import Checkpoints
from tests.crash.faults import SEED, assert_whole, contents, draft, tiers
from tests.crash.subjects import NOW


class Scheduler:
    """Lets one writer at a time do one file operation; the clock moves only when one is frozen."""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.now = rng, NOW
        self._back = threading.Semaphore(0)
        self._go: dict[threading.Thread, threading.Semaphore] = {}
        self.errors: list[BaseException] = []

    def add(self, name: str, act: Callable[[], None]) -> None:
        def run() -> None:
            go.acquire()
            try:
                act()
            except BaseException as error:
                self.errors.append(error)
            finally:
                del self._go[threading.current_thread()]
                self._back.release()

        thread, go = threading.Thread(target=run, name=name), threading.Semaphore(0)
        self._go[thread] = go
        thread.start()

    def turn_over(self) -> None:
        """Called by a writer: let the scheduler choose who is next."""
        go = self._go.get(threading.current_thread())
        if go is not None:
            self._back.release()
            go.acquire()

    def observe(self, op: str, path: Path) -> None:
        if not op.endswith(("-done", "-torn")):
            self.turn_over()

    def run(self) -> None:
        frozen: threading.Thread | None = None
        left = burst = 0
        current: threading.Thread | None = None
        while self._go:
            if left == 0:
                frozen = None
                if self.rng.random() < 0.02:
                    frozen, left = self.rng.choice(list(self._go)), self.rng.randrange(1, 400)
                    self.now += timedelta(seconds=leases.STALE_S + 1)
            left = max(0, left - 1)
            awake = [thread for thread in self._go if thread is not frozen]
            if not awake:
                left = 0
                continue
            if burst == 0 or current not in awake:
                current, burst = self.rng.choice(awake), self.rng.choice([1, 1, 2, 5, 20])
            burst -= 1
            self._go[current].release()
            self._back.acquire()


def newest_in(folder: Path) -> int:
    return leases.newest_token(folder)


def interleaved(folder: Path, seed: str, sessions: int = 2) -> tuple[int, int]:
    """(takeovers, refusals) of one interleaving, whose every promise is checked."""
    rng = random.Random(seed)
    scheduler, checkpoints = Scheduler(rng), Checkpoints(folder / "checkpoints")
    claims: list[int] = []
    saved: dict[int, int] = {}
    refused: list[int] = []

    def session() -> None:
        while True:
            try:
                lease = leases.claim(folder, scheduler.now)
                break
            except RunBusy:
                scheduler.turn_over()
        claims.append(lease.token)
        token = lease.token

        def fence() -> None:
            newest = leases.newest_token(folder)
            if newest > token:
                raise Fenced(newest=newest, token=token)

        found, _ = checkpoints.newest()
        step = found.manifest.step if found else 0
        try:
            for _ in range(4):
                step += 1
                kept = checkpoints.save(draft(step, token=token), contents(step), fence=fence)
                assert max(claims) == token, "a fenced session was told that it saved"
                saved[token] = kept.manifest.step
                checkpoints.prune(keep=2, fence=fence)
                lease.beat(scheduler.now)
        except Fenced:
            assert leases.newest_token(folder) > token
            refused.append(token)
        lease.release(scheduler.now)

    for number in range(sessions):
        scheduler.add(f"host-{number}", session)
    with files.observed(scheduler.observe):
        scheduler.run()
    assert not scheduler.errors, (seed, scheduler.errors)
    newest, skipped = checkpoints.newest()
    assert newest is not None
    assert not skipped
    assert (newest.key.token, newest.manifest.step) == (max(saved), saved[max(saved)]), seed
    assert_whole(checkpoints, saved[max(saved)])
    assert [wrong for _, wrong in checkpoints.verify()] == [None] * len(checkpoints.keys()), seed
    return len(claims) - 1, len(refused)


@tiers(150, 5000)
def test_interleaved_sessions_lose_and_alter_nothing(tmp_path, tries, monkeypatch):
    monkeypatch.setattr(leases, "_host", lambda: threading.current_thread().name)
    refusals = 0
    for number in range(tries):
        sessions = 2 + number % 2
        claimed, refused = interleaved(tmp_path / str(number), f"{SEED} {number}", sessions)
        assert claimed == sessions - 1
        refusals += refused
    print("F11", tries, "interleavings,", refusals, "refusals")
    assert refusals > tries / 20  # else the scheduler froze nobody at the right time


@pytest.mark.parametrize("frozen_at", range(6))
def test_a_session_that_was_stopped_and_woken_writes_no_more(tmp_path, frozen_at):
    """Real processes: SIGSTOP, another session takes over, SIGCONT."""
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            lease = leases.claim(tmp_path, NOW)

            def fence() -> None:
                if leases.newest_token(tmp_path) > lease.token:
                    raise Fenced(newest=0, token=lease.token)

            for step in range(1, 10_000):
                checkpoints.save(draft(step), contents(step), fence=fence)
                checkpoints.prune(keep=2, fence=fence)
                os.write(write, b".")
        except Fenced:
            code = 75
        finally:
            os._exit(code)
    os.read(read, 1)
    time.sleep(0.003 * frozen_at)
    os.kill(pid, signal.SIGSTOP)
    lease = leases.claim(tmp_path, NOW, takeover=True)
    found, _ = checkpoints.newest()
    assert found is not None
    mine = found.manifest.step + 1
    checkpoints.save(draft(mine, token=lease.token), contents(mine))
    checkpoints.prune(keep=2)
    os.kill(pid, signal.SIGCONT)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 75
    assert assert_whole(checkpoints, mine) == mine
    assert [wrong for _, wrong in checkpoints.verify()] == [None] * len(checkpoints.keys())
