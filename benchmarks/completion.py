"""How long Tab takes in real shells: each one's own script calls `agnews` as it does at a prompt.

    python benchmarks/completion.py [--runs 7]      exits 1 where CPU time is over the bar of 0.3 s

zsh and fish are taken where they are installed. Beside other work the wall time says little.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BAR_S = 0.3
LINES = {
    "commands": "agnews ",
    "options": "agnews auto --",
    "presets": "agnews auto --preset ",
    "runs": "agnews status ",
    "subcommands": "agnews quota ",
}
WORDS = 'words=({line}); [[ "{line}" == *" " ]] && words+=(""); '
ASKED = {
    "bash": "source bash.sh; "
    + WORDS
    + 'COMP_WORDS=("${{words[@]}}"); COMP_CWORD=$((${{#words[@]}} - 1)); '
    "_agnews_completion agnews; echo ${{#COMPREPLY[@]}}",
    "zsh": "compdef() {{ :; }}; _arguments() {{ echo $#; }}; source zsh.sh; "
    + WORDS
    + "CURRENT=$#words; _agnews_completion",
    "fish": 'source fish.sh; complete -C "{line}" | count',
}
QUIET = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}


def prepared(folder: Path) -> dict[str, str]:
    """The environment of a user with 20 runs, whose `agnews` is this tree's."""
    (folder / "agnews").write_text(f'#!/bin/sh\nexec {sys.executable} -m agnews_cli "$@"\n')
    (folder / "agnews").chmod(0o755)
    for number in range(20):
        run = folder / "agnews-runs" / f"minilm-{number:010x}"
        run.mkdir(parents=True)
        (run / "created.json").write_text("{}")
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return env | {"PATH": f"{folder}:{env['PATH']}", "PYTHONPATH": str(ROOT), "HOME": str(folder)}


def timed(command: list[str], folder: Path, env: dict[str, str]) -> tuple[float, float, str]:
    """Wall seconds, CPU seconds of it and its children, and what it printed."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True)
    wall_s, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall_s, cpu_s, done.stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(description="How long Tab takes.")
    parser.add_argument("--runs", type=int, default=7, help="runs of each line (7)")
    runs: int = max(1, parser.parse_args().runs)
    misses = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = prepared(folder)
        for shell in filter(shutil.which, ASKED):
            script = timed(["agnews"], folder, env | {"_AGNEWS_COMPLETE": f"source_{shell}"})[2]
            (folder / f"{shell}.sh").write_text(script + "\n")
            for what, line in LINES.items():
                command = [shell, *QUIET[shell], "-c", ASKED[shell].format(line=line)]
                answers = timed(command, folder, env)[2]
                times = [timed(command, folder, env)[:2] for _ in range(runs)]
                wall_s, cpu_s = (statistics.median(column) for column in zip(*times, strict=True))
                misses += cpu_s > BAR_S
                print(
                    f"{shell:<6}{what:<13}{wall_s * 1000:>5.0f} ms wall{cpu_s * 1000:>6.0f} ms CPU"
                    f"   {answers} answers{'  MISSED' if cpu_s > BAR_S else ''}"
                )
    print("load", *(f"{load:.1f}" for load in os.getloadavg()))
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
