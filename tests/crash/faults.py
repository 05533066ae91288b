"""What the fault tests share: the seed, the two tiers, and checkpoints whose content is known.

AGNEWS_TEST_SEED=SEED or SEED:TRIES chooses other random faults, and how many in both tiers.
"""

from __future__ import annotations

import errno
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agnews_cli.store.disk import files
from agnews_cli.store.run.checkpoints import Checkpoints, Draft

_SEED, _, _TRIES = os.environ.get("AGNEWS_TEST_SEED", "0").partition(":")
SEED = int(_SEED)
READS = ("read", "list")
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def most_tries() -> int:
    """How many were asked for; 0: as many as each tier has."""
    return int(_TRIES or 0)


def tiers(fast: int, night: int) -> Any:
    """The test's `tries` in CI and at night."""
    most = most_tries()
    return pytest.mark.parametrize(
        "tries",
        [
            pytest.param(most or fast, id="fast"),
            pytest.param(most or night, id="night", marks=pytest.mark.slow),
        ],
    )


# ---- checkpoints whose content is known ---------------------------------------------------------


def draft(step: int, token: int = 1, parent: str | None = None) -> Draft:
    return Draft(
        run="minilm-0123456789",
        candidate="minilm",
        step=step,
        parent=parent,
        token=token,
        writer="abcd",
        why="interval",
        state={"step": step},
        fingerprint={"torch": "2"},
    )


def contents(step: int) -> dict[str, bytes]:
    rng = random.Random(step)
    return {
        "weights": rng.randbytes(3000),
        "optimizer": rng.randbytes(5000),
        "best": b"the same at every step" * 20,
    }


def saved_until(folder: Path, last: int) -> Checkpoints:
    checkpoints = Checkpoints(folder)
    for step in range(1, last + 1):
        checkpoints.save(draft(step), contents(step))
    return checkpoints


def assert_whole(checkpoints: Checkpoints, least_step: int) -> int:
    """The newest good one has its own content, and is no older than what was acknowledged."""
    newest, _ = checkpoints.newest()
    assert newest is not None
    step = newest.manifest.step
    assert step >= least_step
    assert {n: checkpoints.read(newest, n) for n in contents(step)} == contents(step)
    assert newest.manifest.state == {"step": step}
    return step


def all_files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


def drafts_in(folder: Path) -> list[Path]:
    return [p for p in all_files(folder) if p.name.endswith(files.DRAFT)]


# ---- faults at an operation ---------------------------------------------------------------------


def operations(act: Callable[[], object], *, with_reads: bool = True) -> int:
    """How many file operations `act` does, told before and after."""
    seen: list[str] = []
    with files.observed(lambda op, path: seen.append(op)):
        act()
    return sum(with_reads or op not in READS for op in seen)


def killed_at(k: int, act: Callable[[], object]) -> None:
    """Do `act` in a process that is killed at its `k`-th operation."""
    pid = os.fork()
    if pid == 0:
        count = 0

        def kill(op: str, path: Path) -> None:
            nonlocal count
            count += 1
            if count == k:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            with files.observed(kill):
                act()
        finally:
            os._exit(0)  # never back into pytest
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), f"operation {k} was never reached"


class FailingAt:
    """An observer that fails the `k`-th operation with `number`, or all from there on."""

    def __init__(self, k: int, number: int, *, lasting: bool, with_reads: bool) -> None:
        self.k, self.number, self.lasting, self.with_reads = k, number, lasting, with_reads
        self.count = 0
        self.failed: list[tuple[str, Path]] = []
        self.seen: list[tuple[str, Path]] = []

    def __call__(self, op: str, path: Path) -> None:
        if op in READS and not self.with_reads:
            return
        self.count += 1
        self.seen.append((op, path))
        if self.count == self.k or (self.lasting and self.count > self.k):
            self.failed.append((op, path))
            raise OSError(self.number, os.strerror(self.number))
