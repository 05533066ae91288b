"""The kill loop: one process that has imported torch forks for each trial, kills, and compares.

`python -m tests.crash.loops SEED FOLDER FAULT=TRIES …` writes a JSON report by fault: what was
tried, what was seen, and every failure with the seed that shows it again. A child trains a tiny
model through the real loop, saver and store, saving at every step; it tells each save that is
durable, and each step resumed from, through a pipe. torch computes only in children: its threads
survive no fork.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch

from agnews_cli.core.run.dataset import Rows
from agnews_cli.core.run.job import Outcome
from agnews_cli.learn import worker
from agnews_cli.learn.door.events import StopFlag, StopRequested
from agnews_cli.learn.rows.tokens import tokenise
from tests.learn.test_resume import VARIANTS, Run

_GIVE_UP_S = 120.0
_VARIANTS = ("method full", "early stop", "accumulation", "method lora")

Act = Callable[["Child"], None]


@dataclass
class Report:
    tries: int = 0
    kills: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    longest_stop_s: float = 0.0

    def expect(self, truth: bool, what: str) -> None:
        if not truth:
            self.failures.append(what)


class Child:
    """In the child: a run on `folder` that tells what it does."""

    def __init__(self, folder: Path, variant: str, pipe: int) -> None:
        torch.set_num_threads(1)
        self._pipe = pipe
        self.run = Run(VARIANTS[variant], folder)
        self.run.saver._every_s = 1e-9  # at every step that finds the last save written
        saver, save = self.run.saver._checkpoints, self.run.saver._checkpoints.save

        def told(*arguments: Any, **more: Any) -> Any:
            saved = save(*arguments, **more)
            self.tell("saved", saved.manifest.step)
            return saved

        saver.save = told  # type: ignore[method-assign]

    def tell(self, what: str, value: object) -> None:
        os.write(self._pipe, f"{what} {value}\n".encode())

    def listen(self) -> None:
        """Stop as the worker does: by the real flag and the real signals."""
        self.run.stop = self.run.tuning.stop = StopFlag()  # type: ignore[assignment]
        self.run.tuning.trace = self.run.trace.append
        self.tell("listens", 1)

    def resume(self) -> None:
        self.run.tuning.resume()
        self.tell("resumed", self.run.tuning.position.step)

    def finish(self) -> None:
        self.run.tuning.run(end_monotonic_s=None)
        self.run.saver.finish()

    def tell_result(self) -> None:
        at = self.run.tuning.position
        digest = hashlib.sha256(repr(at).encode())
        for name, tensor in sorted(self.run.state().items()):
            digest.update(name.encode())
            digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        self.tell("result", digest.hexdigest())
        self.tell("stopped", at.step)


@dataclass
class Ended:
    status: int
    lines: list[tuple[str, str]]

    def last(self, what: str) -> str | None:
        return next((value for name, value in reversed(self.lines) if name == what), None)

    def step(self, what: str) -> int:
        return int(self.last(what) or 0)


def child(folder: Path, variant: str, act: Act, attack: Callable[[int, Any], None]) -> Ended:
    """Fork, do `act`, attack it from here; what it told before it ended."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        code = 1
        try:
            act(Child(folder, variant, write))
            code = 0
        except StopRequested:
            code = 3
        except BaseException as error:
            os.write(write, f"error {type(error).__name__} {error}\n".encode()[:500])
        finally:
            os._exit(code)
    os.close(write)
    attack(pid, read)
    with os.fdopen(read, "rb") as pipe:
        lines = pipe.read().decode(errors="replace").splitlines()
    _, status = os.waitpid(pid, 0)
    pairs = [(what, value) for what, _, value in (line.partition(" ") for line in lines)]
    return Ended(os.waitstatus_to_exitcode(status), pairs)


def nobody(pid: int, pipe: int) -> None: ...


def hears(pipe: int, line: bytes) -> None:
    heard = b""
    while not heard.endswith(line):
        heard += os.read(pipe, 1)


def killing(after_s: float, line: bytes = b"") -> Callable[[int, int], None]:
    """A SIGKILL so many seconds after the fork, or after the child has told `line`."""

    def attack(pid: int, pipe: int) -> None:
        if line:
            hears(pipe, line)
        time.sleep(after_s)
        os.kill(pid, signal.SIGKILL)

    return attack


def trains(it: Child) -> None:
    it.resume()
    it.finish()
    it.tell_result()


class Bench:
    """Straight runs to compare with, and folders for trials."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._straight: dict[str, tuple[Ended, float]] = {}

    def straight(self, variant: str) -> tuple[Ended, float]:
        """A run that nothing disturbs, and how many seconds it took: the quicker of two, for the
        first may have waited for a busy machine, and nothing would be killed by its clock."""
        if variant not in self._straight:
            took_s = []
            for attempt in ("first", "second"):
                began_s = time.monotonic()
                folder = self.folder / "straight" / attempt / variant
                ended = child(folder, variant, trains, nobody)
                assert ended.status == 0, ended
                took_s.append(time.monotonic() - began_s)
            self._straight[variant] = (ended, min(took_s))
        return self._straight[variant]

    def same(self, report: Report, variant: str, ended: Ended, what: str) -> None:
        straight, _ = self.straight(variant)
        report.expect(ended.status == 0, f"{what}: ended with {ended.status}: {ended.lines[-3:]}")
        report.expect(ended.last("result") == straight.last("result"), f"{what}: another result")


def checked_resume(report: Report, ended: Ended, promised: int, what: str) -> int:
    """N1: from a step no older than what was told durable; the newest durable step after it."""
    if ended.last("resumed") is not None:
        resumed = ended.step("resumed")
        report.expect(resumed >= promised, f"{what}: resumed at {resumed}, told {promised}")
    return max(promised, ended.step("saved"))


def kills(report: Report, bench: Bench, tries: int, seed: str) -> None:
    """F2: killed at random times, one to five times a run."""
    for number in range(tries):
        rng = random.Random(f"F2 {seed} {number}")
        variant, folder = rng.choice(_VARIANTS), bench.folder / f"f2-{number}"
        what, promised = f"F2 {seed} {number} ({variant})", 0
        for _ in range(rng.randrange(1, 6)):
            straight, whole_s = bench.straight(variant)
            left = 1 - promised / straight.step("saved")
            ended = child(folder, variant, trains, killing(rng.random() * left * whole_s))
            if ended.status == -9:
                report.kills += 1
                saved = ended.step("saved")
                report.seen["killed later" if saved else "killed before a save"] += 1
            else:
                report.seen["ended before it was killed"] += 1
            promised = checked_resume(report, ended, promised, what)
        ended = child(folder, variant, trains, nobody)
        checked_resume(report, ended, promised, what)
        bench.same(report, variant, ended, what)
        report.tries += 1
        shutil.rmtree(folder)


class SlowWords:
    """A tokenizer that takes its time."""

    def __call__(self, texts: list[str], **_: Any) -> dict[str, list[list[int]]]:
        time.sleep(0.01)
        return {"input_ids": [[1, 2, 3] for _ in texts]}


def signals(report: Report, bench: Bench, tries: int, seed: str) -> None:
    """F3: SIGTERM, SIGINT, SIGHUP at random times, from tokenising to the last save; also twice."""

    def prepares_and_trains(it: Child) -> None:
        it.listen()
        rows = Rows(["text"] * 16_000, [0] * 16_000)
        tokenise(rows, SlowWords(), 8, check=it.run.tuning.stop.check)
        it.tell("prepared", 1)
        it.resume()
        it.finish()
        it.tell("position", it.run.tuning.position.step)
        it.tell("interrupted", it.run.tuning.position.interrupted)

    for number in range(tries):
        rng = random.Random(f"F3 {seed} {number}")
        variant, folder = rng.choice(_VARIANTS), bench.folder / f"f3-{number}"
        what, promised = f"F3 {seed} {number} ({variant})", 0
        sent = rng.choice([signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
        is_twice = sent == signal.SIGINT and rng.random() < 0.5
        times: dict[str, float] = {}
        after_s, between_s = rng.random() * bench.straight(variant)[1], rng.random() * 0.05

        def attack(
            pid: int, pipe: int, sent: int = sent, is_twice: bool = is_twice,
            after_s: float = after_s, between_s: float = between_s,
            times: dict[str, float] = times,
        ) -> None:  # fmt: skip
            hears(pipe, b"listens 1\n")
            time.sleep(after_s)
            os.kill(pid, sent)
            if is_twice:
                time.sleep(between_s)
                os.kill(pid, sent)
            times["sent"] = time.monotonic()

        ended = child(folder, variant, prepares_and_trains, attack)
        took_s = time.monotonic() - times["sent"]
        report.longest_stop_s = max(report.longest_stop_s, took_s)
        report.expect(took_s < _GIVE_UP_S, f"{what}: {took_s:.1f} s to stop")
        promised = checked_resume(report, ended, promised, what)
        if ended.status == 0:
            kind = "saved and stopped" if ended.last("interrupted") == "True" else "finished"
            at = ended.step("position")
            report.expect(promised == at, f"{what}: stopped at {at}, saved {promised}")
        else:
            kind = {3: "stopped while tokenising", 130: "stopped at once"}.get(ended.status, "?")
            report.expect(ended.status in ((3, 130) if is_twice else (3,)), f"{what}: {ended}")
            report.expect(ended.status == 130 or not ended.last("prepared"), f"{what}: not saved")
        report.seen[f"{kind}{', asked twice' if is_twice else ''}"] += 1
        ended = child(folder, variant, trains, nobody)
        checked_resume(report, ended, promised, what)
        bench.same(report, variant, ended, what)
        report.tries += 1
        shutil.rmtree(folder, ignore_errors=True)


def memory(report: Report, bench: Bench, tries: int, seed: str) -> None:
    """F16: an allocation fails in a save, or the system gives no more memory from some step on."""
    for number in range(tries):
        rng = random.Random(f"F16 {seed} {number}")
        variant, folder = rng.choice(_VARIANTS), bench.folder / f"f16-{number}"
        what, kind = (
            f"F16 {seed} {number} ({variant})",
            rng.choice(["in a copy", "in a write", "limit"]),
        )
        at, times, spare = rng.randrange(1, 20), rng.choice([1, 2, 99]), rng.randrange(0, 1 << 22)

        def starves(
            it: Child,
            kind: str = kind,
            at: int = at,
            times: int = times,
            spare: int = spare,
            rng: random.Random = rng,
        ) -> None:
            from agnews_cli.learn.loop import state
            from agnews_cli.learn.state import serial

            calls = 0

            def fails(real: Callable[..., Any]) -> Callable[..., Any]:
                def call(*arguments: Any, **more: Any) -> Any:
                    nonlocal calls
                    calls += 1
                    if at <= calls < at + times:
                        raise rng.choice([MemoryError(), RuntimeError("can't allocate memory")])
                    return real(*arguments, **more)

                return call

            def see(step: Any) -> None:
                if step.step == at:
                    used = int(Path("/proc/self/statm").read_text().split()[0]) * 4096
                    resource.setrlimit(resource.RLIMIT_AS, (used + spare, used + spare))
                if step.step == at + 2:  # a step that needs what there is no more
                    torch.empty(1 << 28) if spare % 2 else bytearray(1 << 30)

            it.resume()
            if kind == "in a copy":
                state.optimizer_tensors = fails(state.optimizer_tensors)
            elif kind == "in a write":
                serial.parts = fails(serial.parts)
            else:
                it.run.tuning.trace = see

            def finishes() -> Outcome:
                it.finish()
                return Outcome(state="completed")

            if (failure := worker.ended(_job(), it.run.stop, finishes).failure) is not None:
                it.tell("error", f"{failure.kind} {failure.message}")
                it.tell("advice", failure.hint)
                os._exit(1)
            it.tell_result()

        ended = child(folder, variant, starves, nobody)
        how = (
            "went on"
            if ended.status == 0
            else f"ended: {(ended.last('error') or 'killed').split()[0]}"
        )
        report.seen[f"{kind}{f' x{times}' if kind != 'limit' else ''}: {how}"] += 1
        if kind != "limit" and times < 3:
            bench.same(report, variant, ended, f"{what} {kind} at {at}, {times} times")
        # At its limit a process may also fail without a word, or at something that is not memory's.
        about_memory = any(word in str(ended.last("error")).lower() for word in ("memory", "alloc"))
        if ended.status != 0 and (kind != "limit" or about_memory):
            is_told = "CannotSave" in str(ended.last("error")) or "micro_batch" in str(
                ended.last("advice")
            )
            report.expect(is_told, f"{what} {kind}: no advice: {ended.lines[-3:]}")
            advices = [name for name, _ in ended.lines if name == "advice"]
            report.expect(len(advices) <= 1, f"{what}: advice {len(advices)} times")
        promised = ended.step("saved")
        ended = child(folder, variant, trains, nobody)
        checked_resume(report, ended, promised, what)
        bench.same(report, variant, ended, what)
        report.tries += 1
        shutil.rmtree(folder, ignore_errors=True)


def _job() -> Any:
    from types import SimpleNamespace

    training = SimpleNamespace(micro_batch_tokens=None, batch_tokens=1024)
    return SimpleNamespace(preset=SimpleNamespace(training=training), folder=".")


def resumes(report: Report, bench: Bench, tries: int, seed: str) -> None:
    """F19: death in resuming itself, ten resumes in a row, one step left, runs that are over."""

    def only_resumes(it: Child) -> None:
        it.tell("begins", 1)
        began_s = time.monotonic()
        it.resume()
        it.tell("took", time.monotonic() - began_s)

    def stops_at(step: int) -> Act:
        def act(it: Child) -> None:
            it.run.stop.step = step
            it.resume()
            it.finish()

        return act

    for number in range(tries):
        rng = random.Random(f"F19 {seed} {number}")
        variant, folder = rng.choice(_VARIANTS), bench.folder / f"f19-{number}"
        straight, _ = bench.straight(variant)
        last = straight.step("stopped")
        kind = ("death in resume", "ten in a row", "one step left", "over")[number % 4]
        what = f"F19 {seed} {number} ({variant}, {kind})"
        step = last - 1 if kind == "one step left" else rng.randrange(1, last)
        ended = child(folder, variant, trains if kind == "over" else stops_at(step), nobody)
        promised = ended.step("saved")
        before = _digest(folder)
        if kind == "death in resume":
            took_s = float(child(folder, variant, only_resumes, nobody).last("took") or 0)
            for _ in range(5):
                attack = killing(rng.random() * took_s, b"begins 1\n")
                ended = child(folder, variant, only_resumes, attack)
                report.kills += ended.status == -9
                promised = checked_resume(report, ended, promised, what)
        elif kind == "ten in a row":
            for _ in range(10):
                ended = child(folder, variant, only_resumes, nobody)
                promised = checked_resume(report, ended, promised, what)
        report.expect(_digest(folder) == before, f"{what}: resuming alone changed the store")
        ended = child(folder, variant, trains, nobody)
        checked_resume(report, ended, promised, what)
        bench.same(report, variant, ended, what)
        if kind == "over":
            report.expect(_digest(folder) == before, f"{what}: a finished run was trained on")
        report.seen[kind] += 1
        report.tries += 1
        shutil.rmtree(folder)


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted((folder / "checkpoints").rglob("*")):
        if path.is_file():
            digest.update(str(path).encode() + path.read_bytes())
    return digest.hexdigest()


FAULTS = {"F2": kills, "F3": signals, "F16": memory, "F19": resumes}


def main() -> None:
    seed, folder, *faults = sys.argv[1:]
    sys.setswitchinterval(0.001)
    Run(VARIANTS["method lora"], Path(folder) / "first")  # what peft imports, each fork has
    bench, reports = Bench(Path(folder)), {}
    for fault, _, tries in (each.partition("=") for each in faults):
        reports[fault] = Report()
        FAULTS[fault](reports[fault], bench, int(tries), seed)
    sys.stdout.write(json.dumps({name: vars(report) for name, report in reports.items()}) + "\n")


if __name__ == "__main__":
    main()
