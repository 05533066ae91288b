"""The best test accuracy by the end of a time budget: `agnews auto` beside what others would use.

For each budget: `agnews auto --budget` in a fresh store, home and cache, and each peer of
`peers.py`, one process after another on the same rows, never two at once. Wall time is taken
outside, from the start of the process to its end, imports, tokenisation and test predictions
included. Peers that do the same whatever the budget (`peers.FIXED`) run once, with the largest
budget as their limit, and count at every budget that they keep; the Trainer runs at each budget,
planned to fill it.

Two bars at each budget: ours is at least as accurate as the best peer, and it ends no later than
the budget and a tenth (20 seconds, if that is more). Peers are given the same grace. Of 7,600 test
rows, 0.1 points are 8 rows: a difference below about 0.5 points is within the interval.

    python benchmarks/time_to_accuracy.py [--budgets 60,300,900] [--data DIR] [--out results.json]

exits 1 when a bar is missed. `--reuse results.json` takes the peers from an earlier run on the same
machine and data. Leave the machine alone meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import peers

GRACE_SHARE, GRACE_S = 0.1, 20.0
OURS = "agnews auto"

Row = dict[str, Any]
"""One run: system, budget_s, accuracy (None without one), wall_s, within, and `why` or facts."""


def limit_s(budget_s: float) -> float:
    """When a run must have ended to count."""
    return budget_s + max(GRACE_SHARE * budget_s, GRACE_S)


def run(command: list[str], env: dict[str, str], kill_after_s: float) -> tuple[str, float, str]:
    """(standard output, wall seconds, what went wrong or ""). Kills the process group if late."""
    with tempfile.TemporaryFile("w+") as errors:
        began_s = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=peers.ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=kill_after_s)
            trouble = "" if process.returncode == 0 else f"exit code {process.returncode}"
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            trouble = f"not done after {kill_after_s:.0f} s"
        except BaseException:  # interrupted: leave nothing running
            os.killpg(process.pid, signal.SIGKILL)
            raise
        wall_s = time.perf_counter() - began_s
        errors.seek(0)
        if trouble.startswith("exit"):
            trouble += f": {errors.read().strip()[-1000:]}"
    return output, wall_s, trouble


def busy_percent() -> float:
    """How much of the CPU others use now; warns when it is enough to spoil the figures.

    OpenMP threads spin while they wait, and beside another busy process training is many times
    slower. `agnews` looks before it launches and lets its threads sleep then, the peers do not: a
    comparison on a busy machine says little.
    """
    import psutil

    percent = psutil.cpu_percent(interval=1.0)
    if percent > 10:
        print(f"others use {percent:.0f}% of the CPU: do not trust these figures", file=sys.stderr)
    return percent


def end_on_sigterm() -> None:
    """Make SIGTERM an exception, so that `run` ends what it started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def last_object(output: str) -> dict[str, Any] | None:
    """The JSON object that is the whole output, or its last line."""
    for text in (output, (output.strip().splitlines() or [""])[-1]):
        try:
            found = json.loads(text)
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    return None


def isolated(folder: str) -> dict[str, str]:
    """The environment of a first run: nothing of ours is cached or remembered."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(peers.ROOT), os.getenv("PYTHONPATH")])),
        "AGNEWS_HOME": str(Path(folder) / "home"),
        "AGNEWS_CACHE": str(Path(folder) / "cache"),
    }


def ours(budget_s: float, data: Path, more: list[str]) -> Row:
    """One run of `agnews auto` within `budget_s`."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "agnews_cli", "auto", "--data", str(data)]
        command += ["--budget", f"{budget_s:g}s", "--seed", "0", "--store", f"{folder}/store"]
        command += ["--yes", "--json", "--quiet", *more]
        output, wall_s, trouble = run(command, isolated(folder), 2 * budget_s + 300)
    row: Row = {"system": OURS, "budget_s": budget_s, "accuracy": None, "wall_s": round(wall_s, 2)}
    row["within"] = wall_s <= limit_s(budget_s)
    result = last_object(output)
    try:
        assert result is not None
        row["accuracy"] = result["evaluation"]["test"]["accuracy"]
    except (AssertionError, KeyError, TypeError):
        row["why"] = trouble or f"no accuracy in the result: {output[-500:]}"
    return row


def peer(name: str, budget_s: float, given: argparse.Namespace, *, is_fixed: bool) -> Row:
    """One run of a peer, killed when it can no longer count."""
    command = [sys.executable, str(Path(peers.__file__)), name, "--data", str(given.data)]
    for option in ("limit_train", "limit_test"):
        if getattr(given, option) is not None:
            command += [f"--{option.replace('_', '-')}", str(getattr(given, option))]
    if not is_fixed:
        command += ["--budget", str(budget_s), "--epochs", str(given.trainer_epochs)]
    output, wall_s, trouble = run(command, dict(os.environ), limit_s(budget_s))
    line = last_object(output) or {}
    known = {"name", "accuracy", "wall_s"}
    row: Row = {
        "system": name,
        "budget_s": budget_s,
        "accuracy": line.get("accuracy"),
        "wall_s": round(wall_s, 2),
        "within": not trouble and wall_s <= limit_s(budget_s),
        **{key: value for key, value in line.items() if key not in known},
    }
    if trouble:
        row["why"] = trouble
    return row


def best_peer(rows: list[Row]) -> Row | None:
    """The most accurate peer that kept its budget."""
    counted = [r for r in rows if r["system"] != OURS and r["within"] and r["accuracy"] is not None]
    return max(counted, key=lambda row: row["accuracy"], default=None)


def verdict(budget_s: float, rows: list[Row]) -> Row:
    """Whether both bars are met at `budget_s`; None where there is nothing to judge."""
    mine = next((row for row in rows if row["system"] == OURS), None)
    rival = best_peer(rows)
    accurate = None
    if mine is not None and rival is not None:
        accurate = mine["accuracy"] is not None and mine["accuracy"] >= rival["accuracy"]
    return {
        "budget_s": budget_s,
        "best_peer": rival and rival["system"],
        "ours_at_least_best_peer": accurate,
        "budget_kept": None if mine is None else mine["within"],
    }


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    info = Path("/proc/cpuinfo")
    models = info.read_text().splitlines() if info.exists() else []
    cpu = next((line.split(":", 1)[1].strip() for line in models if "model name" in line), "")
    packages = ("torch", "transformers", "accelerate", "scikit-learn")
    return {
        "cpu": cpu or platform.processor(),
        "cpus": os.cpu_count(),
        "has_bf16": any(flag in line for line in models for flag in ("amx_bf16", "avx512_bf16")),
        "python": platform.python_version(),
        **{package: metadata.version(package) for package in packages},
    }


def show(rows: list[Row], verdicts: list[Row]) -> None:
    """The Markdown table, and a line on each bar."""
    print("| budget | system | test accuracy | wall s |\n| ---: | --- | ---: | ---: |")
    for row in rows:
        accuracy = "–" if row["accuracy"] is None else f"{100 * row['accuracy']:.2f}%"
        late = "" if row["within"] else " (too late)"
        name = f"**{row['system']}**" if row["system"] == OURS else row["system"]
        print(f"| {row['budget_s']:g} s | {name} | {accuracy} | {row['wall_s']:.1f}{late} |")
    print()
    words = {True: "yes", False: "NO", None: "not judged"}
    for v in verdicts:
        print(
            f"{v['budget_s']:g} s: at least the best peer ({v['best_peer'] or 'none counted'}): "
            f"{words[v['ours_at_least_best_peer']]}; budget kept: {words[v['budget_kept']]}"
        )
    for row in rows:
        if "why" in row:
            print(f"{row['system']} at {row['budget_s']:g} s: {row['why']}", file=sys.stderr)


def chosen_peers(text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in peers.PEERS:
            raise argparse.ArgumentTypeError(f"no peer {name}; there are {', '.join(peers.PEERS)}")
    return names


def budgets(text: str) -> list[float]:
    return sorted(float(part) for part in text.split(","))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--budgets", type=budgets, default=[60, 300, 900], help="seconds (60,300,900)")
    add("--data", type=lambda text: Path(text).resolve(), default=peers.DATA, help="folder")
    add("--peers", type=chosen_peers, help="some of: " + ",".join(peers.PEERS) + " (all)")
    add("--ours-only", action="store_true", help="run no peer")
    add("--reuse", type=Path, help="an earlier --out, whose peers are taken")
    add("--trainer-epochs", type=float, default=2.0, help="the Trainer's recipe (2)")
    add("--limit-train", type=int, help="peers and ours; to try things out")
    add("--limit-test", type=int, help="peers only; to try things out")
    add("--ours", default="", help="more options for agnews auto, in one string")
    add("--out", type=Path, help="JSON of everything")
    return parser.parse_args()


def run_all(given: argparse.Namespace, note: Any) -> list[Row]:
    """Every row, budget by budget, ours first."""
    names = [] if given.ours_only else given.peers or list(peers.PEERS)
    earlier = json.loads(given.reuse.read_text("utf-8"))["rows"] if given.reuse else []
    taken = [row for row in earlier if row["system"] != OURS]
    names = [name for name in names if name not in {row["system"] for row in taken}]
    more = given.ours.split()
    if given.limit_train is not None:
        more += ["--limit-train", str(given.limit_train)]
    fixed = []
    for name in [name for name in names if name in peers.FIXED]:
        fixed.append(note(peer(name, given.budgets[-1], given, is_fixed=True)))
    rows: list[Row] = []
    for budget_s in given.budgets:
        rows.append(note(ours(budget_s, given.data, more)))
        rows += [row for row in taken if row["budget_s"] == budget_s]
        for row in fixed:
            within = "why" not in row and row["wall_s"] <= limit_s(budget_s)
            rows.append({**row, "budget_s": budget_s, "within": within})
        for name in [name for name in names if name not in peers.FIXED]:
            rows.append(note(peer(name, budget_s, given, is_fixed=False)))
    return rows


def main() -> int:
    given = parse()
    end_on_sigterm()

    def note(row: Row) -> Row:
        print(json.dumps(row), file=sys.stderr, flush=True)
        return row

    busy = busy_percent()
    rows = run_all(given, note)
    verdicts = [verdict(b, [r for r in rows if r["budget_s"] == b]) for b in given.budgets]
    show(rows, verdicts)
    if given.out:
        facts = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "busy_percent_before": busy,
            "data": str(given.data),
            "trainer_epochs": given.trainer_epochs,
            "rows": rows,
            "verdicts": verdicts,
        }
        given.out.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    misses = [v for v in verdicts if False in v.values()]
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
