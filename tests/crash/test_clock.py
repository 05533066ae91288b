"""F10: clocks that jump, run backwards, or differ between hosts."""

from __future__ import annotations

import importlib.util
import os
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agnews_cli.errors import RunBusy
from agnews_cli.store.hours.ledger import Ledger
from agnews_cli.store.run import leases
from agnews_cli.store.run.checkpoints import Checkpoints
from tests.crash.faults import SEED, assert_whole, contents, draft, tiers
from tests.crash.subjects import NOW

JUMPS = [timedelta(days=days) for days in (-3650, -2, -1 / 24, -1e-5, 0, 1e-5, 1 / 24, 2, 3650)]


@tiers(20, 100)
def test_checkpoints_are_ordered_by_number_and_step_never_by_time(tmp_path, tries):
    for number in range(tries):
        rng = random.Random(f"clock {SEED} {number}")
        checkpoints, token = Checkpoints(tmp_path / str(number)), 1
        for step in range(1, 9):
            token += rng.random() < 0.3
            checkpoints.save(draft(step, token=token), contents(step))
            for path in checkpoints.folder.rglob("*"):
                moment = (NOW + rng.choice(JUMPS)).timestamp()
                os.utime(path, (moment, moment))
            checkpoints.prune(keep=rng.choice([1, 2, 3]))
            assert assert_whole(checkpoints, step) == step


@tiers(20, 100)
def test_hours_are_never_negative_and_only_grow(tmp_path, tries):
    for number in range(tries):
        rng = random.Random(f"hours {SEED} {number}")
        now, held = NOW, 0.0
        with Ledger(tmp_path / str(number) / "ledger.db") as book:
            book.record_run("r", preset="p", dataset="d", seed=1, folder="f", now=now)
            session = book.open_session("r", platform="local", accelerator="cpu", now=now)
            for _ in range(10):
                now += rng.choice(JUMPS) + timedelta(seconds=15)
                book.beat(session, now)
                (row,) = book.sessions()
                assert row.seconds >= held >= 0
                held = row.seconds
            book.close_session(session, "finished", now + rng.choice(JUMPS))
            (row,) = book.sessions()
            assert row.seconds >= held
            assert row.ended_at is not None
            assert row.ended_at >= row.opened_at


@pytest.fixture
def set_clock(monkeypatch):
    """When a clock is set, the time at which the system says a process began moves with it."""
    import psutil

    born = psutil.Process.create_time

    def by(jump: timedelta) -> datetime:
        seconds = jump.total_seconds()
        monkeypatch.setattr(psutil.Process, "create_time", lambda self: born(self) + seconds)
        return datetime.now(UTC) + jump

    return by


def test_a_lease_whose_process_lives_is_held_whatever_the_clock_says(tmp_path, set_clock):
    lease = leases.claim(tmp_path, datetime.now(UTC))
    for jump in JUMPS:
        with pytest.raises(RunBusy):
            leases.claim(tmp_path, set_clock(jump))
    assert leases.newest_token(tmp_path) == lease.token


@pytest.mark.parametrize("jump", [jump for jump in JUMPS if jump > timedelta(seconds=60)])
def test_a_session_whose_process_lives_stays_open_whatever_the_clock_says(
    tmp_path, set_clock, jump
):
    now = datetime.now(UTC)
    with Ledger(tmp_path / "ledger.db") as book:
        book.record_run("r", preset="p", dataset="d", seed=1, folder="f", now=now, state="running")
        book.open_session("r", platform="local", accelerator="cpu", now=now)
    set_clock(jump)
    with Ledger(tmp_path / "ledger.db") as book:
        assert [row.state for row in book.sessions()] == ["open"]


def test_another_hosts_lease_is_taken_over_only_when_it_is_old(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "_host", lambda: "there")
    leases.claim(tmp_path, NOW)
    monkeypatch.setattr(leases, "_host", lambda: "here")
    for jump in JUMPS:
        if jump.total_seconds() <= leases.STALE_S:  # a clock that runs behind is no sign of death
            with pytest.raises(RunBusy):
                leases.claim(tmp_path, NOW + jump)
    assert leases.claim(tmp_path, NOW + timedelta(days=2)).token == 2


def test_a_save_under_a_clock_that_is_wrong(tmp_path):
    """The whole store under libfaketime, where it is installed: ten years ago, ten years ahead."""
    found = importlib.util.find_spec("libfaketime")  # only its library is wanted, which is in C
    if found is None or found.origin is None:
        pytest.skip("libfaketime is not installed")
    library = Path(found.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"
    code = (
        "import sys, time; from pathlib import Path; from agnews_cli.store.run import leases\n"
        "from datetime import UTC, datetime; from tests.crash.faults import *\n"
        "folder, step = Path(sys.argv[1]), int(sys.argv[2])\n"
        "assert abs(time.time() - float(sys.argv[3])) > 1e8, 'the clock is not false'\n"
        "lease = leases.claim(folder, datetime.now(UTC))\n"
        "checkpoints = Checkpoints(folder / 'checkpoints')\n"
        "checkpoints.save(draft(step, token=lease.token), contents(step))\n"
        "checkpoints.prune(keep=1)\n"
        "lease.release(datetime.now(UTC))\n"
    )
    for step, offset in enumerate(["-10y", "+10y", "-5y"], 1):
        env = os.environ | {"LD_PRELOAD": str(library), "FAKETIME": offset}
        moment = str(datetime.now(UTC).timestamp())
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path), str(step), moment],
            env=env, cwd=Path(__file__).parents[2], check=True,
        )  # fmt: skip
        assert assert_whole(Checkpoints(tmp_path / "checkpoints"), step) == step
        assert leases.newest_token(tmp_path) == step
