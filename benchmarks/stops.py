"""Sentences about what is saved, at random stops of real commands: is any of them false?

    python benchmarks/stops.py [--stops 100] [--out stops.jsonl] [--seed 0]

One run of a tiny model is begun, stopped at a random moment, gone on with, stopped again, and so
on: by Ctrl-C once and twice, SIGTERM, SIGHUP, a kill of the worker or of the command alone, a
session's end, a reader that leaves, and now and then a budget. What each command said of saving
(its error, and `saved` with `--json`) is then set against the newest checkpoint that verifies, and
against the steps that the worker really took (`trace.jsonl`).

False is: another step than the newest that verifies; "nothing is lost" where a later step was
taken; fewer lost than said, or others than the steps named; the words or the code of another kind
of stop; and no word at all.

Three in ten stops come before the first step, the others up to three seconds after it, on however
busy a machine. A stop is a line of JSON in `--out`; started again, it goes on after the last one
there. `--tree` tries another version. Exits 1 on a false sentence.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from processes import family  # noqa: E402

from agnews_cli.store.run.checkpoints import Checkpoints  # noqa: E402
from tests import tiny  # noqa: E402

Row = dict[str, Any]

KINDS = {
    "Ctrl-C": 5,
    "Ctrl-C twice": 3,
    "SIGTERM": 3,
    "SIGHUP": 2,
    "reader leaves": 2,
    "worker killed": 4,
    "command killed": 2,
    "session's end": 5,
    "budget": 1,
}
"""How often each kind, of their sum."""
EXPECTED = {
    "Ctrl-C": ("Interrupted", 130),
    "Ctrl-C twice": ("Interrupted", 130),
    "SIGTERM": ("Terminated", 143),
    "SIGHUP": ("ReaderGone", 129),
    "reader leaves": ("ReaderGone", 129),
    "worker killed": ("WorkerDied", 70),
    "session's end": ("SessionOver", 75),
}
_PRESET = """\
name: tiny
tier: encoder
summary: for stops
order: 1
model:
  id: {model}
  parameters: 100000
  licence: MIT
training:
  epochs: 1500
  patience: 1000000
  evaluations_per_epoch: 1
  lr: 0.001
  batch_tokens: 512
  yardstick: false
beyond_limits:
  - {{field: training.lr, to: 0.001, why: "so few weights"}}
  - {{field: training.epochs, to: 1500, why: "to be stopped"}}
data:
  cross_validated_below: 0
"""
_SAVED = re.compile(
    r"(?P<all>everything[^.;]* is saved)"
    r"|(?P<none>nothing (?:of \S+ )?is saved yet|no model was trained yet)"
    r"|step (?P<step>\d+)(?: of (?P<total>\d+))?(?: of \S+?)? is saved"
)
_LOST = re.compile(
    r"(?P<nothing>nothing is lost)"
    r"|(?P<unknown>what came after it, if anything, is lost)"
    r"|(?P<after>what came after training is done again)"
    r"|steps? (?P<first>\d+)(?: to (?P<last>\d+))? (?:is|are) lost"
    r"|(?P<least>\d+) steps? or more"
)


class Place:
    """A home, a store and the one run in it."""

    def __init__(self, work: Path, tree: Path) -> None:
        self.work, self.store, self.start_s = work, work / "runs", 10.0
        """`start_s`: how long it took from the command to the first step, the last time."""
        work.mkdir(parents=True, exist_ok=True)
        if not (work / "model" / "config.json").exists():
            tiny.make(work / "model")
        tiny.write(work / "data.csv", tiny.rows(4, 300))
        (work / "tiny.yaml").write_text(_PRESET.format(model=work / "model"))
        self.env = os.environ | {
            "PYTHONPATH": str(tree),
            "AGNEWS_HOME": str(work / "home"),
            "AGNEWS_CACHE": str(work / "cache"),
            "HF_HUB_OFFLINE": "1",
            "OMP_WAIT_POLICY": "PASSIVE",
        }

    def words(self) -> list[str]:
        """Begins the run, or goes on with it; one that came to its end makes place for another."""
        if any('"completed"' in p.read_text("utf-8") for p in self.store.glob("*/outcome.json")):
            shutil.rmtree(self.store)
        if any(self.store.glob("*/created.json")):
            return ["resume", "--save-every", "1s", "--trace", "--json"]
        order = ["auto", "--data", "data.csv", "--preset", "tiny.yaml"]
        return [*order, "--save-every", "1s", "--trace", "--json"]

    def start(self, *words: str, store: str = "runs") -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "agnews_cli", *words, "--store", store]
        return subprocess.Popen(
            command,
            cwd=self.work,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=(self.work / "out.txt").open("wb"),
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def newest(self) -> int | None:
        """The step of the newest checkpoint that verifies."""
        steps = []
        for folder in self.store.glob("*/checkpoints/*"):
            found, _ = Checkpoints(folder).newest()
            steps += [found.manifest.step] if found else []
        return max(steps, default=None)

    def trace_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.store.glob("*/trace.jsonl"))

    def last_step(self, since_bytes: int) -> int | None:
        """The last step that was taken since the trace had so many bytes."""
        for path in self.store.glob("*/trace.jsonl"):
            lines = path.read_bytes()[since_bytes:].splitlines()
            for line in reversed(lines):
                with suppress(ValueError):
                    return int(json.loads(line)["step"])
        return None


def stop(process: subprocess.Popen[bytes], kind: str, rng: random.Random) -> None:
    """Do to a command what `kind` says, now."""
    every = family(process.pid)
    match kind:
        case "Ctrl-C":
            process.send_signal(signal.SIGINT)
        case "Ctrl-C twice":
            process.send_signal(signal.SIGINT)
            time.sleep(rng.uniform(0.1, 3.5))
            process.send_signal(signal.SIGINT)
        case "SIGTERM":
            process.send_signal(signal.SIGTERM)
        case "SIGHUP":
            process.send_signal(signal.SIGHUP)
        case "worker killed" | "command killed":
            for victim in every[1:] if kind == "worker killed" else every[:1]:
                with suppress(Exception):
                    victim.kill()


def one(place: Place, number: int, seed: int, only: str | None) -> Row:
    """One stop, and what was false about it."""
    rng = random.Random(f"{seed} {number}")
    kind = only or rng.choices(list(KINDS), list(KINDS.values()))[0]
    is_early, share = rng.random() < 0.3, rng.random()
    before, since = place.newest(), place.trace_bytes()
    words, store = place.words(), "runs"
    if kind == "session's end":
        session_s = place.start_s * share if is_early else place.start_s + 6 * share
        words += ["--session-hours", str(max(0.01, session_s / 3600))]  # the least that is taken
    if kind == "budget":
        words, store = ["auto", "--data", "data.csv", "--preset", "tiny.yaml", "--json"], "budget"
        words += ["--budget", "30s"]
    process, began_s = place.start(*words, store=store), time.monotonic()
    pid = process.pid
    assert process.stderr is not None
    workers: list[Any] = []
    if kind not in ("session's end", "budget"):
        while not is_early and place.trace_bytes() == since and process.poll() is None:
            time.sleep(0.02)
        if not is_early:
            place.start_s = time.monotonic() - began_s
        with suppress(subprocess.TimeoutExpired):
            process.wait(place.start_s * share if is_early else 3 * share)
        workers = family(pid)[1:]
        while kind == "worker killed" and not workers and process.poll() is None:
            time.sleep(0.05)  # there is none yet
            workers = family(pid)[1:]
        stop(process, kind, rng)
    after_s, lines = time.monotonic() - began_s, [b""]
    if kind == "reader leaves":
        process.stderr.close()
    try:
        if kind == "reader leaves":
            process.wait(300)
        else:
            lines.append(process.communicate(timeout=300)[1])
    except subprocess.TimeoutExpired:
        process.kill()
        return {"stop": number, "kind": kind, "after_s": after_s, "false": ["it hangs"]}
    give_up_s = time.monotonic() + 120
    while any(w.is_running() and w.status() != "zombie" for w in workers):
        if time.monotonic() > give_up_s:
            return {"stop": number, "kind": kind, "false": ["the worker goes on"]}
        time.sleep(0.1)
    text = b"".join(lines).decode("utf-8", "replace")
    document = (place.work / "out.txt").read_text("utf-8")
    told = json.loads(document) if document.strip() else {}
    row = {
        "stop": number, "kind": kind, "after_s": round(after_s, 2), "code": process.returncode,
        "before": before, "newest": place.newest(), "taken": place.last_step(since),
        "said": next((x for x in text.splitlines() if x.startswith("error: ")), ""),
        "json": told.get("error"),
    }  # fmt: skip
    return row | {"false": list(false(row))}


def false(row: Row) -> Iterator[str]:
    """What is not true of what a command said."""
    kind, code, said = row["kind"], row["code"], row["said"]
    failure = row["json"] or {}
    if kind == "command killed":
        return  # it could say nothing
    if kind == "budget":
        if code not in (0, 2):
            yield f"a budget ended with code {code}"
        return
    is_begun = row["taken"] is not None or row["newest"] != row["before"]
    if code < 0 or "nothing was begun" in said:  # before anybody collects signals
        if is_begun:
            yield "nothing is said of what was done"
        return
    name, expected = EXPECTED[kind]
    is_silent = kind == "reader leaves"  # nobody was left to read the words
    if code != expected or (failure.get("kind") != name and not is_silent):
        yield f"{kind} is called {failure.get('kind')}, code {code}"
    words = said or str(failure.get("message", ""))
    yield from false_words(words, row["newest"], row["taken"])
    saved = failure.get("saved")
    if saved is not None:
        lost = (row["taken"] or 0) - (row["newest"] or 0)
        if saved["step"] != row["newest"]:
            yield f"--json: step {saved['step']}"
        if saved["lost_steps"] is not None and saved["lost_steps"] > max(0, lost):
            yield f"--json: {saved['lost_steps']} lost and not {lost}"
        if saved["is_exact"] and saved["lost_steps"] != max(0, lost):
            yield f"--json: exactly {saved['lost_steps']} lost and not {lost}"


def false_words(words: str, newest: int | None, taken: int | None) -> Iterator[str]:
    """What a sentence claims, against the newest checkpoint and the last step taken."""
    found = _SAVED.search(words)
    if found is None:
        yield "no word of what is saved"
        return
    step, last = newest or 0, taken or 0
    if found["all"]:
        if newest is None or last > step:
            yield f"{found['all']!r}: step {last} was taken and {newest} is saved"
        return
    if found["none"] and newest is not None:
        yield f"nothing is said to be saved: step {newest} is"
    if found["step"] and int(found["step"]) != newest:
        yield f"step {found['step']} is said to be saved: it is {newest}"
    lost = _LOST.search(words, found.end())
    if lost is None:
        if not found["none"]:
            yield "no word of what is lost"
    elif lost["nothing"] and last > step:
        yield f"nothing is said to be lost: step {last} was taken"
    elif lost["first"]:
        named = int(lost["first"]), int(lost["last"] or lost["first"])
        if named != (step + 1, last):
            yield f"steps {named} are said to be lost: {step + 1} to {last} are"
    elif lost["least"] and int(lost["least"]) > last - step:
        yield f"{lost['least']} steps or more are said to be lost: {last - step} are"
    elif lost["after"] and found["step"] != found["total"]:
        yield "training is said to be over"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--stops", type=int, default=100)
    add("--seed", type=int, default=0, help="chooses kinds and moments")
    add("--kind", choices=list(KINDS), help="this kind alone")
    add("--tree", type=Path, default=ROOT, help="the version that is tried [this one]")
    add("--work", type=Path, help="a folder to work in, kept [a temporary one]")
    add("--out", type=Path, help="a file of JSON lines to append to, and to go on after")
    given = parser.parse_args()
    # Under nohup, or in a script's background, no command of ours would hear these.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rows: list[Row] = []
    if given.out and given.out.exists():
        rows = [json.loads(line) for line in given.out.read_text("utf-8").splitlines()]
    with tempfile.TemporaryDirectory(prefix="agnews-stops-") as temporary:
        place = Place((given.work or Path(temporary)).absolute(), given.tree.absolute())
        for number in range(len(rows), given.stops):
            row = one(place, number, given.seed, given.kind)
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
            if given.out:
                with given.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
    lies = [row for row in rows if row["false"]]
    by_kind = {k: sum(row["kind"] == k for row in rows) for k in KINDS}
    print(f"{len(rows)} stops {by_kind}: {len(lies)} with a false sentence")
    for row in lies:
        print(f"  {row['stop']} ({row['kind']}): {'; '.join(row['false'])}")
    return 1 if lies else 0


if __name__ == "__main__":
    sys.exit(main())
