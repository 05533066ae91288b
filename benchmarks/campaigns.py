"""Ensembles and students under a killer: graphs of runs, killed at random, on one machine or two.

    python benchmarks/campaigns.py [--graphs 40] [--out FILE] [--at-once 1]

There are eight graphs, four of each tier: members are small models that are made here and a linear
one, on texts that are made here; two ensembles are stacked on out-of-fold answers, students learn
from an ensemble, from another model or from themselves. Each is first carried out undisturbed.

Then each of `--graphs` goes like this, in an empty home and store: `agnews auto`, killed 3 to 6
times with -9 at random moments (the worker alone, the command alone, or both), gone on with by
`agnews resume` without arguments. A third of them have two machines (two homes, two commands at
once) on one store, each killed like that. At the end:

- what the result says of the validation and test rows equals the undisturbed graph's, bit for bit;
- no part was completed twice (its events tell of one end that is whole);
- no second is in the ledger twice: its hours add up to no more than the commands were alive.

A graph is a line of JSON in `--out`; a longer measurement goes on after those that are there. Exits
1 when anything differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import peers
from processes import family

sys.path.insert(0, str(peers.ROOT))
from tests import tiny

Row = dict[str, Any]
KEPT = ("predictions/validation.safetensors", "predictions/test.safetensors")
_PAUSED = 75

_TINY = """\
name: tiny
tier: encoder
summary: A tiny encoder.
order: 1
model: {{id: {model}, parameters: 30000, licence: mit}}
training: {{lr: 0.003, epochs: {epochs}, batch_tokens: 256, least_steps: 0, patience: 100}}
beyond_limits:
  - {{field: training.lr, to: 0.01, why: "so few weights"}}
  - {{field: training.epochs, to: 1000, why: "to be interrupted"}}
data: {{cross_validated_below: 0}}
"""
_ENSEMBLE = "name: {name}\ntier: ensemble\nsummary: s\norder: 1\nmembers:\n{members}\n{rest}\n"
_STUDENT = (
    "name: {name}\ntier: distilled\nsummary: s\norder: 1\nteacher: {teacher}\n"
    "student: {{preset: tiny.yaml, seed: 9}}\n{rest}\n"
)
_TWO = "  - preset: tiny.yaml\n  - {preset: tiny.yaml, seed: 1}"
_MIXED = "  - preset: tiny.yaml\n  - {preset: tiny.yaml, settings: [training.lr=0.01]}\n"
_MIXED += "  - preset: linear"
GRAPHS = {
    "seeds": _ENSEMBLE.format(name="seeds", members=_TWO, rest="how: {kind: average}"),
    "mixed": _ENSEMBLE.format(name="mixed", members=_MIXED, rest="how: {kind: greedy}"),
    "stacked": _ENSEMBLE.format(name="stacked", members=_TWO, rest="how: {kind: stack}\nfolds: 2"),
    "chosen": _ENSEMBLE.format(name="chosen", members=_MIXED, rest="how: {kind: auto}"),
    "of-ensemble": _STUDENT.format(name="of-ensemble", teacher="{preset: mixed.yaml}", rest=""),
    "of-other": _STUDENT.format(
        name="of-other",
        teacher="{preset: tiny.yaml, settings: [training.lr=0.01]}",
        rest="distillation: {alpha: 0.5, temperature: 2.0}",
    ),
    "of-itself": _STUDENT.format(name="of-itself", teacher="{preset: tiny.yaml, seed: 9}", rest=""),
    "of-folds": _STUDENT.format(name="of-folds", teacher="{preset: tiny.yaml}", rest="folds: 2"),
}


def prepare(work: Path, epochs: int) -> None:
    """The model, its preset, the data and the presets of several."""
    tiny.make(work / "model")
    (work / "tiny.yaml").write_text(_TINY.format(model=work / "model", epochs=epochs))
    for name, text in GRAPHS.items():
        (work / f"{name}.yaml").write_text(text)
    tiny.write(work / "data" / "train.csv", tiny.rows(4, 120))
    tiny.write(work / "data" / "test.csv", tiny.rows(4, 31))


class Machine:
    """A home and its commands, on a store that others may share."""

    def __init__(self, folder: Path, store: Path, work: Path, graph: str) -> None:
        self.folder, self.store = folder, store
        folder.mkdir(parents=True)
        self.alive_s = 0.0
        self.codes: list[int] = []
        self.kills: list[str] = []
        self._order = ["auto", "--data", str(work / "data"), "--save-every", "1s"]
        self._order += ["--preset", str(work / f"{graph}.yaml")]
        self._env = os.environ | {
            "PYTHONPATH": str(peers.ROOT),
            "AGNEWS_HOME": str(folder / "home"),
            "AGNEWS_CACHE": str(work / "cache"),
            "HF_HUB_OFFLINE": "1",
            "OMP_WAIT_POLICY": "PASSIVE",
        }

    def start(self) -> tuple[subprocess.Popen[bytes], float]:
        is_begun = any(self.store.glob("*/whole.yaml"))
        words = ["resume", "--save-every", "1s"] if is_begun else self._order
        command = [sys.executable, "-m", "agnews_cli", *words, "--store", str(self.store)]
        with (self.folder / "out.txt").open("ab") as out:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return process, time.monotonic()

    def session(self, rng: random.Random | None, takes_s: float) -> int:
        """One command; killed within `takes_s` where there is a generator. Its code."""
        process, began_s = self.start()
        try:
            process.wait(rng.uniform(1.0, takes_s) if rng is not None else 900)
        except subprocess.TimeoutExpired:
            what = rng.choice(("worker", "command", "both")) if rng is not None else "both"
            every = family(process.pid)
            chosen = {"worker": every[1:], "command": every[:1], "both": every}[what]
            for victim in chosen:
                with suppress(Exception):
                    victim.send_signal(signal.SIGKILL)
            process.wait(900)
            self.kills.append(what)
        self.alive_s += time.monotonic() - began_s
        self.codes.append(process.returncode)
        return process.returncode

    def to_the_end(self, rng: random.Random | None, kills: int, takes_s: float) -> int:
        """Until it says that all is done; killed so often on the way, where it lasts so long."""
        give_up_s, code = time.monotonic() + 900, 1
        while time.monotonic() < give_up_s:
            killer = rng if len(self.kills) < kills else None
            code = self.session(killer, takes_s)
            is_over = code == 66 and (self.store / "over").exists()  # nothing is unfinished
            if code == 0 or is_over:
                (self.store / "over").touch()
                return 0
            if code not in (_PAUSED, 66, -signal.SIGKILL, 70) and killer is None:
                return code
            time.sleep(0.5)
        return code

    def ledger_s(self) -> float:
        """The hours of all sessions that its ledger knows: of all machines on the store."""
        code = (
            "from agnews_cli.store.hours.ledger import Ledger\n"
            "with Ledger() as ledger: print(sum(one.seconds for one in ledger.sessions()))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], env=self._env, capture_output=True, text=True, check=True
        )
        return float(done.stdout)


def digests(store: Path, graph: str) -> dict[str, str]:
    """SHA-256 of what the result says of rows."""
    folders = [path.parent for path in store.glob(f"{graph}-*/graph.json")]
    return {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for folder in folders
        for name in KEPT
        if (folder / name).exists()
    }


def completed_twice(store: Path) -> list[str]:
    """Runs whose events tell of more than one end that is whole."""
    found = []
    for path in store.glob("*/events.jsonl"):
        ends = [line for line in path.read_text("utf-8").splitlines() if '"completed"' in line]
        if sum(json.loads(line).get("kind") == "ended" for line in ends) > 1:
            found.append(path.parent.name)
    return found


def one(number: int, seed: int, work: Path, expected: dict[str, Any]) -> Row:
    rng = random.Random(f"{seed} {number}")
    graph = list(GRAPHS)[number % len(GRAPHS)]
    folder = work / f"graph-{number}"
    count = 2 if number % 3 == 2 else 1
    machines = [Machine(folder / f"home-{n}", folder / "runs", work, graph) for n in range(count)]
    kills = rng.randrange(3, 7)
    takes_s = expected[graph]["takes_s"] * 0.6
    with ThreadPoolExecutor(count) as pool:
        jobs = []
        for n, machine in enumerate(machines):
            each = random.Random(f"{seed} {number} {n}")
            jobs.append(pool.submit(machine.to_the_end, each, -(-kills // count), takes_s))
            time.sleep(rng.uniform(0, 3))
        codes = [job.result() for job in jobs]
    found = digests(folder / "runs", graph)
    twice = completed_twice(folder / "runs")
    row = {
        "graph": number,
        "shape": graph,
        "machines": count,
        "kills": [kill for machine in machines for kill in machine.kills],
        "sessions": sum(len(machine.codes) for machine in machines),
        "codes": codes,
        "same": found == expected[graph]["digests"] and len(found) == len(KEPT),
        "twice": twice,
        "alive_s": round(sum(machine.alive_s for machine in machines), 1),
        "ledger_s": round(machines[0].ledger_s(), 1),
    }
    if not is_bad(row):
        shutil.rmtree(folder)
    else:
        for machine in machines:
            print((machine.folder / "out.txt").read_text()[-3000:], file=sys.stderr)
    return row


def is_bad(row: Row) -> bool:
    is_counted_twice = row["ledger_s"] > row["alive_s"] + 1.0
    return not row["same"] or bool(row["twice"]) or any(row["codes"]) or is_counted_twice


def undisturbed(work: Path) -> dict[str, Any]:
    found = {}
    for graph in GRAPHS:
        folder = work / f"straight-{graph}"
        machine, began_s = Machine(folder, folder / "runs", work, graph), time.monotonic()
        if code := machine.session(None, 0):
            sys.exit(f"{graph}: code {code}\n" + (folder / "out.txt").read_text()[-3000:])
        found[graph] = {
            "takes_s": time.monotonic() - began_s,
            "digests": digests(folder / "runs", graph),
        }
        print(f"{graph}: {found[graph]['takes_s']:.0f} s undisturbed", file=sys.stderr, flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--graphs", type=int, default=40)
    add("--epochs", type=int, default=60)
    add("--seed", type=int, default=0)
    add("--at-once", type=int, default=1)
    add("--out", type=Path)
    given = parser.parse_args()
    rows: list[Row] = []
    if given.out and given.out.exists():
        rows = [json.loads(line) for line in given.out.read_text("utf-8").splitlines()]
    with tempfile.TemporaryDirectory(prefix="agnews-campaigns-") as name:
        work = Path(name)
        prepare(work, given.epochs)
        expected = undisturbed(work)
        with ThreadPoolExecutor(given.at_once) as pool:
            numbers = range(len(rows), given.graphs)
            for row in pool.map(lambda n: one(n, given.seed, work, expected), numbers):
                print(json.dumps(row), file=sys.stderr, flush=True)
                rows.append(row)
                if given.out:
                    with given.out.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
    kills = sum(len(row["kills"]) for row in rows)
    bad = [row for row in rows if is_bad(row)]
    print(
        f"{len(rows)} graphs, {kills} kills, {sum(row['sessions'] for row in rows)} sessions, "
        f"{sum(row['machines'] == 2 for row in rows)} graphs on two machines: {len(bad)} bad"
    )
    for row in bad:
        print(f"  {row}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
