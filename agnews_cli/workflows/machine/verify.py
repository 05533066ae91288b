"""`agnews verify-resume`: proof, on this machine, that a killed run ends as an undisturbed one.

A small run on the built-in sample is trained straight, then again with `kill -9` of its processes
at random moments, each time gone on with by `agnews resume`. Every step's rows, learning rate and
loss are compared bit for bit, steps that were done twice included; then the delivered weights and
predictions. Both are real commands in processes of their own, with a home of their own.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agnews_cli.errors import VerificationFailed
from agnews_cli.host import children
from agnews_cli.host.notebook import SERVER
from agnews_cli.store.disk import private
from agnews_cli.store.run import runs

_POLL_S = 0.02
_DELIVERED = (
    "model/model.safetensors",
    "predictions.csv",
    "predictions/validation.safetensors",
)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ResumeVerdict:
    """`difference` is the first one found, None when both runs are the same, bit for bit."""

    steps: int
    kills: tuple[int, ...]
    """The step after which each kill came."""
    steps_redone: int
    difference: str | None
    seconds: float

    def as_json(self) -> dict[str, Any]:
        return {"schema": "agnews.verify-resume/1", **asdict(self)}


def verify_resume(*, preset: str, rows: int, kills: int, seed: int, say: Say) -> ResumeVerdict:
    """Train straight and with `kills` kills, and compare. Raises VerificationFailed."""
    began_s, rng = time.monotonic(), random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="agnews-verify-") as work:
        place = Path(work)
        order = ["auto", "--data", "sample:", "--preset", preset, "--limit-train", str(rows)]
        order += ["--trace", "--save-every", "1s", "--seed", str(seed)]
        order += ["--set", "training.yardstick=false", "--set", "data.cross_validated_below=0"]
        say(f"training {rows} rows straight")
        _run(order, place, "straight")
        straight = _only_run(place / "straight")
        trace = list(_trace(straight))
        say(f"{len(trace)} steps; now with {kills} kills")
        # Within the training: after the first step, before the last.
        points = sorted(rng.sample(range(1, len(trace)), min(kills, len(trace) - 1)))
        for point in points:
            _run(order, place, "killed", kill_after=point, delay_s=rng.random() * 0.3)
            say(f"killed after step {point}")
            order = ["resume", "--trace", "--save-every", "1s"]
        _run(order, place, "killed")
        killed = _only_run(place / "killed")
        again = list(_trace(killed))
        return ResumeVerdict(
            steps=len(trace),
            kills=tuple(points),
            steps_redone=len(again) - len(trace),
            difference=_difference(trace, again) or _delivered_difference(straight, killed),
            seconds=round(time.monotonic() - began_s, 1),
        )


def _run(
    order: Sequence[str],
    place: Path,
    store: str,
    *,
    kill_after: int | None = None,
    delay_s: float = 0.0,
) -> None:
    """One command to its end, or to a kill of all its processes after `kill_after` steps."""
    command = children.module("agnews_cli", *order, "--store", str(place / store))
    own = {"AGNEWS_HOME": str(place / "home"), "HF_HUB_OFFLINE": "1"}
    # It takes us for a notebook's kernel: should we be killed, it stops.
    env = {SERVER: str(os.getppid())} | children.environment(own)
    log = place / f"{store}.log"
    with private.appending(log) as sink, _child(command, env, sink) as process:
        while process.poll() is None:
            folder = _begun(place / store) if kill_after is not None else None
            done = {_step(line) for line in _trace(folder)} if folder is not None else set()
            if kill_after is not None and len(done) >= kill_after:
                time.sleep(delay_s)
                _kill_all(process.pid)
                process.wait()
                return
            time.sleep(_POLL_S)
        if process.returncode:
            last = log.read_text("utf-8", "replace").splitlines()[-2:]
            raise VerificationFailed(command=order[0], code=process.returncode, last=" ".join(last))


@contextmanager
def _child(command: list[str], env: dict[str, str], sink: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = children.start(command, env=env, stdout=sink, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        _kill_all(process.pid)
        process.wait()


def _kill_all(pid: int) -> None:
    """SIGKILL to the command and everything it started, so that nobody can tidy up."""
    import psutil

    with suppress(psutil.Error):
        parent = psutil.Process(pid)
        for process in [parent, *parent.children(recursive=True)]:
            with suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)


def _begun(store: Path) -> runs.RunFolder | None:
    found = runs.list_runs(store)
    return found[0] if found else None


def _only_run(store: Path) -> runs.RunFolder:
    folder = _begun(store)
    assert folder is not None, "the command that ended well left a run"
    return folder


def _trace(folder: runs.RunFolder) -> Iterator[dict[str, Any]]:
    try:
        lines = (folder.path / "trace.jsonl").read_text("utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        with suppress(ValueError):  # torn by a kill; the step is done again
            yield json.loads(line)


def _difference(straight: list[dict[str, Any]], killed: list[dict[str, Any]]) -> str | None:
    expected = {_step(line): line for line in straight}
    for line in killed:
        right = expected.get(_step(line))
        if right is None:
            return f"step {line['step']} is beyond the straight run"
        for name, value in right.items():
            if line.get(name) != value:
                return f"step {line['step']}: {name} is {line.get(name)}, was {value}"
    missing = expected.keys() - {_step(line) for line in killed}
    if not missing:
        return None
    candidate, step = min(missing)
    return f"step {step}{f' of {candidate}' if candidate else ''} is missing"


def _step(line: dict[str, Any]) -> tuple[str, int]:
    """Which step of which training."""
    return line.get("candidate", ""), line["step"]


def _delivered_difference(straight: runs.RunFolder, killed: runs.RunFolder) -> str | None:
    for name in _DELIVERED:
        one, two = straight.path / name, killed.path / name
        if one.exists() and _sha256(one) != _sha256(two):
            return f"{name} differs"
    return None


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""
