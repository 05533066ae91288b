"""The plan of a graph beside what happened: five graphs, planned, then carried out in sessions.

    python benchmarks/plans_kept.py [--rows 600] [--session 150] [--graphs NAME …] [--out FILE]

The clock is shortened: a session of `--session` seconds stands for Colab's twelve hours, on the CPU
of this machine. One training with another seed comes first, from which the plan knows this
machine's speed. Then, for each graph in an empty store but for that run: `agnews plan`, and
`agnews auto`, and `agnews resume` without arguments until the graph is whole, each stopped by
`--session-hours`. Sessions and hours of the plan are compared with those that there were.

A graph is a line of JSON in `--out`; those that are there are not done again. Exits 1 where
sessions differ or hours are more than 20% apart. Leave the machine alone meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import peers
from throughput import sample

APART_AT_MOST = 0.2
STARTUP_S = 3.0
"""Of a session: what the command takes before its first work. Where a session takes nothing to open
a plan has no reason to have few."""
_PAUSED = 75
_LEAN = "settings: [training.r_drop=0, training.linear_teacher=0]"
_SEEDS = "\n".join(f"  - {{preset: minilm, seed: {seed}, {_LEAN}}}" for seed in range(5))
_ENSEMBLE = "name: {name}\ntier: ensemble\nsummary: s\norder: 1\nmembers:\n{members}\n{rest}\n"
_STUDENT = (
    "name: {name}\ntier: distilled\nsummary: s\norder: 1\nteacher: {teacher}\n"
    f"student: {{{{preset: minilm, seed: 9, {_LEAN}}}}}\n"
)
_TWO = "\n".join(_SEEDS.splitlines()[:2])
GRAPHS = {
    "five": _ENSEMBLE.format(name="five", members=_SEEDS, rest="how: {kind: average}"),
    "mixed": _ENSEMBLE.format(
        name="mixed", members=f"{_TWO}\n  - preset: linear", rest="how: {kind: auto}"
    ),
    "stacked": _ENSEMBLE.format(
        name="stacked", members=_SEEDS.splitlines()[0] + "\n  - preset: linear",
        rest="how: {kind: stack}\nfolds: 3",
    ),
    "of-other": _STUDENT.format(name="of-other", teacher=f"{{preset: minilm, {_LEAN}}}"),
    "of-ensemble": _STUDENT.format(name="of-ensemble", teacher="{preset: mixed.yaml}"),
}  # fmt: skip


class Place:
    """An empty home, and a store with the one run that shows how fast this machine is."""

    def __init__(self, work: Path) -> None:
        self.work, self.store = work, work / "runs"
        self._env = os.environ | {
            "PYTHONPATH": str(peers.ROOT),
            "AGNEWS_HOME": str(work / "home"),
            "AGNEWS_CACHE": str(work / "cache"),
            "HF_HUB_OFFLINE": "1",
            "OMP_WAIT_POLICY": "PASSIVE",
        }

    def agnews(self, *words: str) -> tuple[int, dict[str, Any], float]:
        """The exit code, what it printed as JSON, and the seconds that it took."""
        began_s = time.monotonic()
        command = [sys.executable, "-m", "agnews_cli", *words, "--store", str(self.store), "--json"]
        done = subprocess.run(command, cwd=self.work, env=self._env, capture_output=True, text=True)
        took_s = time.monotonic() - began_s
        if done.returncode not in (0, _PAUSED):
            sys.exit(f"{' '.join(command)} ended with {done.returncode}\n{done.stderr[-3000:]}")
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        return done.returncode, json.loads(lines[-1]) if lines else {}, took_s


def carried_out(place: Place, name: str, session_s: float) -> dict[str, Any]:
    """One graph: what was planned, and what happened."""
    preset, data = str(place.work / f"{name}.yaml"), str(place.work / "data")
    offers = place.work / "offers.yaml"
    offers.write_text(
        f"offers:\n  short:\n    - name: short\n      kind: cpu\n"
        f"      session_hours: {session_s / 3600}\n      startup_minutes: {STARTUP_S / 60}\n"
        f"      source: a shortened clock\n"
        f"      as_of: 2026-11-29\n"
    )
    words = ("plan", data, "--preset", preset, "--resources", str(offers), "--on", "short")
    _, planned, _ = place.agnews(*words)
    limit = ("--session-hours", f"{session_s:g}s")
    code, _, took_s = place.agnews("auto", data, "--preset", preset, "--yes", *limit)
    sessions = [took_s]
    while code == _PAUSED:
        code, _, took_s = place.agnews("resume", *limit)
        sessions.append(took_s)
    whole_s = sum(one["ends_s"] - one["begins_s"] for one in planned["sessions"])
    return {
        "graph": name,
        "planned_sessions": len(planned["sessions"]),
        "sessions": len(sessions),
        "planned_s": round(whole_s, 1),
        "took_s": round(sum(sessions), 1),
        "each_s": [round(one, 1) for one in sessions],
    }


def apart(row: dict[str, Any]) -> float:
    return float(row["planned_s"] / row["took_s"] - 1)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--session", type=float, default=150.0)
    parser.add_argument("--graphs", nargs="+", choices=GRAPHS, default=list(GRAPHS))
    parser.add_argument("--data", type=Path, default=peers.DATA)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if given.out and given.out.exists():
        rows = [json.loads(line) for line in given.out.read_text("utf-8").splitlines()]
    with tempfile.TemporaryDirectory(prefix="agnews-plans-") as folder:
        work = Path(folder)
        sample(given.data, given.rows, work / "data")
        for name, text in GRAPHS.items():
            (work / f"{name}.yaml").write_text(text)
        place = Place(work)
        first = ("training.r_drop=0", "training.linear_teacher=0", "training.yardstick=false")
        settings = [word for one in first for word in ("--set", one)]
        words = ("auto", str(work / "data"), "--preset", "minilm", "--seed", "99", "--yes")
        place.agnews(*words, *settings)
        known = work / "known"
        place.store.rename(known)
        for name in given.graphs:
            if any(row["graph"] == name for row in rows):
                continue
            shutil.rmtree(place.store, ignore_errors=True)
            shutil.copytree(known, place.store)
            shutil.rmtree(work / "home", ignore_errors=True)
            row = carried_out(place, name, given.session)
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
            if given.out:
                with given.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
    print("| graph | sessions planned | sessions | planned | took | apart |")
    print("| --- | --- | --- | --- | --- | --- |")
    for row in rows:
        counted = f"{row['planned_sessions']} | {row['sessions']}"
        hours = f"{row['planned_s']:.0f} s | {row['took_s']:.0f} s | {apart(row):+.0%}"
        print(f"| {row['graph']} | {counted} | {hours} |")
    good = all(
        row["planned_sessions"] == row["sessions"] and abs(apart(row)) <= APART_AT_MOST
        for row in rows
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
