"""How fast `agnews` answers, beside a bare two-command Typer program on the same interpreter.

Like is compared with like (help with help, a command with a command), in alternating runs, and the
figure is the ratio of the medians: machines differ, the ratio hardly.

    python benchmarks/startup.py [--runs 20]        exits 1 when a bar is missed
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

BARE = '''\
import typer

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def hello() -> None:
    """Say hello."""
    typer.echo("hello")


@app.command()
def bye() -> None:
    """Say goodbye."""
    typer.echo("bye")


if __name__ == "__main__":
    app()
'''

# (arguments of agnews, arguments of the bare program, the most the ratio may be)
BARS = (
    (("--help",), ("--help",), 1.3),
    (("platform",), ("hello",), 2.0),
    (("quota",), ("hello",), 2.0),
    (("plan",), ("hello",), 2.0),
)


def seconds(command: list[str]) -> float:
    """Wall time of one run; a run that fails ends the benchmark."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed is compiled once, not at each run
    started = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    elapsed_s = time.perf_counter() - started
    if done.returncode != 0 or not done.stdout.strip():
        print(f"{' '.join(command)} exited with {done.returncode}:\n{done.stderr.strip()}")
        sys.exit(1)
    return elapsed_s


def main() -> int:
    parser = argparse.ArgumentParser(description="Start-up time beside a bare Typer program.")
    parser.add_argument("--runs", type=int, default=20, help="runs of each command (20)")
    runs: int = max(1, parser.parse_args().runs)
    misses = 0
    print(f"{'agnews':<12}{'median':>9}{'bare Typer':>13}{'ratio':>8}{'bar':>7}")
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text(BARE, encoding="utf-8")
        for ours, theirs, bar in BARS:
            pair = (
                [sys.executable, "-m", "agnews_cli", *ours],
                [sys.executable, str(bare), *theirs],
            )
            for command in pair:  # writes the bytecode, warms the disk cache
                seconds(command)
            times = [[seconds(command) for command in pair] for _ in range(runs)]
            ours_s, theirs_s = (statistics.median(column) for column in zip(*times, strict=True))
            ratio = ours_s / theirs_s
            misses += ratio > bar
            print(
                f"{' '.join(ours):<12}{ours_s * 1000:>6.0f} ms{theirs_s * 1000:>10.0f} ms"
                f"{ratio:>7.2f}x{bar:>6.1f}x{'  MISSED' if ratio > bar else ''}"
            )
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
