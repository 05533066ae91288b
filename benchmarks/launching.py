"""Launches that live through failures, delays and kills, against a stand-in for Kaggle's interface.

    python benchmarks/launching.py [--histories 200] [--seed 1] [--first 0]

A history: one to three launches of pretended trainings of random length, on an account with random
hours and a random reserve. Requests fail at random (401, 403, 409, 429, 5xx, connections that end
before or after the work was done), kernels show up to 9 minutes late, wait for a machine, die,
fail, never end, are stopped or deleted, outputs come damaged, and each command is killed with -9
at random moments and typed again. Commands are processes of their own that speak through Kaggle's
official client; time is a clock that they share, and passes as they sleep.

Counted over all histories: launches that neither complete nor stop with a reason, kernels that were
started while one of that name was there (one that somebody deleted before any look saw it is begun
again, as a push that was lost), more than two kernels of ours at once, hours over what the reserve
leaves, results that are not whole here, hours of kernels that nobody deleted missing in the ledger.
Exits 1 when one of them is not 0.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from agnews_cli.core.launching.rules import Waits  # noqa: E402
from agnews_cli.errors import AgnewsError  # noqa: E402
from agnews_cli.store.hours.ledger import Ledger  # noqa: E402
from agnews_cli.store.run.launches import Launches  # noqa: E402
from agnews_cli.store.run.runs import RunFolder  # noqa: E402
from agnews_cli.store.settings import quota_settings  # noqa: E402
from agnews_cli.workflows.elsewhere import package  # noqa: E402
from agnews_cli.workflows.launch import carry  # noqa: E402
from tests.launching import BEGAN, PretendTraining, client_of, in_process, plan  # noqa: E402
from tests.servers.kaggle_kernels import Behaviour, StandInKernels  # noqa: E402

HOUR = 3600.0
PRESETS = ("minilm", "mpnet", "roberta-base")
MOST_COMMANDS = 60
LOST = ("drop after", "drop after", "drop", 500, 409, 429, 401)
"""Of pushes, whose answers matter most."""
FAULTS = (401, 403, 409, 429, 500, 502, 503, "drop", "drop after")
MAY_TRY_AGAIN = {"SessionFailed", "SessionMissing", "SessionStopped", "SessionUnknown"}
"""What ends a command and not the launch: the user types it again."""
AGAIN = MAY_TRY_AGAIN | {"LoginRefused", "BeginRefused", "LaunchHeld", "LaunchBusy", "CannotLaunch"}


class SharedClock:
    """A clock that passes as its readers sleep, whatever process they are in."""

    def __init__(self, at_s: Synchronized[float]) -> None:
        self.at_s = at_s

    def __call__(self) -> float:
        return float(self.at_s.value)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self(), UTC)

    def sleep(self, seconds: float) -> None:
        with self.at_s.get_lock():
            self.at_s.value += max(seconds, 1.0)


@dataclass
class History:
    """What happens, from a seed."""

    rng: random.Random
    rate: float
    """Share of the requests that fail."""
    allowed_s: float
    reserve_s: float
    launches: int
    training: PretendTraining = field(default_factory=PretendTraining)
    is_calm: bool = False
    """Nothing fails any more: what was begun must now come to its end."""
    happened: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, seed: str) -> History:
        rng = random.Random(seed)
        found = cls(
            rng=rng,
            rate=rng.choice((0.0, 0.03, 0.1, 0.25)),
            allowed_s=rng.uniform(8, 60) * HOUR,
            reserve_s=rng.choice((0.0, rng.uniform(1, 8) * HOUR)),
            launches=rng.choice((1, 1, 1, 2, 3)),
        )
        found.training.steps = rng.randint(60, 2000)
        found.training.spoil = found.spoilt
        return found

    def fault(self, method: str) -> str | int | None:
        rate, faults = (0.3, LOST) if method == "SaveKernel" else (self.rate, FAULTS)
        if self.is_calm or self.rng.random() >= rate:
            return None
        fault = self.rng.choice(faults)
        self.happened[f"requests: {fault}"] += 1
        return fault

    def spoilt(self, number: int, behaviour: Behaviour) -> Behaviour:
        """What else becomes of a kernel."""
        draw = 1.0 if self.is_calm else self.rng.random()
        if draw < 0.06:
            self.happened["kernels that fail at once"] += 1
            return Behaviour(300.0, "ERROR", "it failed")
        if draw < 0.12:
            self.happened["kernels that end before their time"] += 1
            lasts_s = self.rng.uniform(0.1, 1.0) * behaviour.lasts_s
            return Behaviour(lasts_s, "ERROR", "preempted", dict(behaviour.files))
        if draw < 0.16:
            self.happened["kernels that never end"] += 1
            return replace(behaviour, lasts_s=1e9)
        if draw < 0.20:
            self.happened["kernels that are stopped there"] += 1
            return replace(behaviour, word="CANCEL_ACKNOWLEDGED")
        if draw < 0.26:
            self.happened["outputs with a damaged byte"] += 1
            name = self.rng.choice(sorted(behaviour.files))
            data = bytearray(behaviour.files[name])
            data[self.rng.randrange(len(data))] ^= 1
            return replace(behaviour, files=behaviour.files | {name: bytes(data)})
        return behaviour


# ---- a command ----------------------------------------------------------------------------------


def command(folder: Path, clock: SharedClock, preset: str, kaggle_url: str, look_s: float) -> None:
    """One `agnews launch kaggle`, in this process; writes how it ended."""
    os.chdir(folder)
    os.environ["AGNEWS_HOME"] = str(folder / "home")
    client_of(kaggle_url)
    ended = folder / f"ended-{preset}.json"
    try:
        asked = plan(in_process, clock, preset=preset)  # type: ignore[arg-type]
        done = carry.carry_out(replace(asked, waits=Waits(look_s)), lambda text: None)
        found = {"kind": "done", "run": done.run, "launch": done.record.id}
    except AgnewsError as error:
        found = {"kind": type(error).__name__, "message": error.message, "advice": error.advice}
    except BaseException as error:
        found = {"kind": "traceback", "message": f"{type(error).__name__}: {error}"}
    draft = ended.with_suffix(".draft")
    draft.write_text(json.dumps(found))
    draft.rename(ended)
    os._exit(0)


@dataclass
class Desk:
    """Where commands are typed: each is a process that may be killed."""

    folder: Path
    clock: SharedClock
    kaggle: StandInKernels
    kills: int = 0

    def type(
        self, preset: str, *, killed_after_s: float | None, look_s: float
    ) -> multiprocessing.Process:
        (self.folder / f"ended-{preset}.json").unlink(missing_ok=True)
        process = multiprocessing.get_context("fork").Process(
            target=command, args=(self.folder, self.clock, preset, self.kaggle.url, look_s)
        )
        with self.kaggle.in_flight:  # a process that is forked amid another thread's work hangs
            process.start()
        if killed_after_s is not None:
            process.join(killed_after_s)
            if process.is_alive():
                assert process.pid is not None
                os.kill(process.pid, signal.SIGKILL)
                self.kills += 1
                time.sleep(0.02)
                with self.kaggle.in_flight:  # what it had asked for is done before time goes on
                    pass
        return process

    def ended(self, preset: str) -> dict[str, Any]:
        path = self.folder / f"ended-{preset}.json"
        return json.loads(path.read_text()) if path.exists() else {"kind": "killed"}


# ---- a history ----------------------------------------------------------------------------------


def lived(number: int, seed: int) -> dict[str, Any]:
    """One history, and what of it breaks a rule."""
    history = History.of(f"{seed}-{number}")
    clock = SharedClock(multiprocessing.get_context("fork").Value("d", BEGAN))
    kaggle = StandInKernels(
        history.training, now_s=clock, fault=history.fault, allowed_s=history.allowed_s
    )
    kaggle.late_s = lambda: 0.0 if history.is_calm else history.rng.uniform(0, 540)
    kaggle.queue_s = lambda: history.rng.expovariate(1 / 900)
    folder = Path(tempfile.mkdtemp(prefix="agnews-launching-"))
    os.environ["AGNEWS_HOME"] = str(folder / "home")
    reserves = {quota_settings.key("kaggle", "gpu"): history.reserve_s}
    quota_settings.save(quota_settings.QuotaSettings(reserves_s=reserves))
    desk = Desk(folder, clock, kaggle)
    try:
        ends = carried(history, desk)
        return judged(history, desk, ends) | {"history": number}
    finally:
        kaggle.stop()
        shutil.rmtree(folder, ignore_errors=True)


def carried(history: History, desk: Desk) -> dict[str, dict[str, Any]]:
    """Every launch is typed until it is done or has no hours; in the second half nothing fails."""
    ends: dict[str, dict[str, Any]] = {}
    waiting = list(PRESETS[: history.launches])
    for typed in range(MOST_COMMANDS):
        if not waiting:
            break
        history.is_calm = typed > MOST_COMMANDS // 2
        running = {}
        for preset in waiting:
            is_killed = not history.is_calm and history.rng.random() < 0.5
            after_s = history.rng.expovariate(4.0) if is_killed else None
            look_s = history.rng.choice((120.0, 900.0, 1800.0))
            running[preset] = desk.type(preset, killed_after_s=after_s, look_s=look_s)
        for process in running.values():
            process.join(120)
            if process.is_alive():
                process.kill()
                ends["hangs"] = {"kind": "hangs"}
        meddled(history, desk.kaggle)
        for preset in list(waiting):
            end = desk.ended(preset)
            history.happened[f"commands: {end['kind']}"] += 1
            if end["kind"] not in AGAIN | {"killed", "SessionOverdue"}:
                ends[preset] = end
                waiting.remove(preset)
            elif end["kind"] == "SessionOverdue":
                desk.clock.sleep(HOUR)  # the platform ends it at its own limit
        desk.clock.sleep(history.rng.expovariate(1 / 600))
    for preset in waiting:
        ends[preset] = {"kind": "no end", "message": desk.ended(preset)}
    return ends


def meddled(history: History, kaggle: StandInKernels) -> None:
    """Now and then somebody deletes a kernel."""
    names = sorted(kaggle.kernels)
    if names and not history.is_calm and history.rng.random() < 0.04:
        kaggle.remove(history.rng.choice(names))
        history.happened["kernels that are deleted"] += 1


def judged(history: History, desk: Desk, ends: Mapping[str, Any]) -> dict[str, Any]:
    """How often each rule was broken."""
    desk.clock.sleep(13 * HOUR)  # whatever runs has ended by then
    over_s = desk.kaggle.used_s() - max(0.0, history.allowed_s - history.reserve_s)
    results = [end for end in ends.values() if end["kind"] == "done"]
    lost = [e for e in results if not RunFolder(desk.folder / "agnews-runs" / e["run"]).done()]
    with Ledger() as ledger:
        settled = {each.id: each.seconds for each in ledger.sessions()}
        booked_s = sum(u.seconds for u in ledger.used() if u.id not in settled)
    counted_s = sum(settled.values()) + booked_s
    kept = [each for each in desk.kaggle.starts if not each.is_deleted]
    kept_s = sum(each.used_s(desk.clock()) for each in kept)
    reasons = {"done", "HoursSpent"}
    return {
        "launches": history.launches,
        "kernels": len(desk.kaggle.starts),
        "kills": desk.kills,
        "done": len(results),
        "spent": sum(end["kind"] == "HoursSpent" for end in ends.values()),
        "happened": dict(history.happened),
        "without_end": [e for e in ends.values() if e["kind"] not in reasons],
        "started_twice": desk.kaggle.doubled,
        "at_once": max(0, desk.kaggle.most_at_once - 2),
        "over_s": max(0.0, round(over_s)),
        "lost": lost,
        "unbooked_s": max(0.0, round(kept_s - counted_s - 1)),
        "open": [r.id for r in Launches().every() if r.open is not None],
    }


BROKEN = ("without_end", "started_twice", "at_once", "over_s", "lost", "unbooked_s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--histories", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first history")
    asked = parser.parse_args()
    package.source = lambda *extras: package.PackageSource("agnews-cli==0.1")  # type: ignore[assignment]
    client_of("http://localhost:1")  # imported once, for all commands
    began_s, totals, broken = time.monotonic(), Counter[str](), Counter[str]()
    numbers = range(asked.first, asked.first + asked.histories)
    happened: Counter[str] = Counter()
    for number in numbers:
        row = lived(number, asked.seed)
        totals.update({k: row[k] for k in ("launches", "kernels", "kills", "done", "spent")})
        happened.update(row["happened"])
        bad = {name: row[name] for name in BROKEN if row[name]}
        broken.update(bad.keys())
        if bad or asked.histories == 1:
            print(json.dumps(row, indent=1), flush=True)
    print(json.dumps({"totals": totals, "happened": dict(sorted(happened.items()))}, indent=1))
    print(json.dumps({"broken": {name: broken[name] for name in BROKEN}}))
    print(f"{len(numbers)} histories in {time.monotonic() - began_s:.0f} s")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
