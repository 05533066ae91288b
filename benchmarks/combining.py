"""How long each combiner takes, and how much memory: 10 members, 127,600 rows, 4 classes.

Usage: python benchmarks/combining.py [--rows 127600] [--members 10] [--classes 4]

Each learns from 10,000 of the rows and is applied to all, in a process of its own: the seconds
include its imports and reading the rows (CPU seconds Python's start besides), the memory is the
most that the process held, Python and NumPy in it.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from agnews_cli.learn import combiners
from agnews_cli.learn.kinds.registry import modules

LEARNT_FROM = 10_000
MOST_S, MOST_MB = 2.0, 500.0


def simulated(members: int, rows: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """(probabilities, true classes): members that err together and by themselves, like ours."""
    rng = np.random.default_rng(0)
    true = rng.integers(0, classes, rows)
    common = rng.normal(size=(rows, classes)).astype(np.float32)
    common[np.arange(rows), true] += 3.2
    said = np.empty((members, rows, classes), dtype=np.float32)
    for number in range(members):
        scores = 1.5 * (common + 0.7 * rng.normal(size=(rows, classes)).astype(np.float32))
        scores = np.exp(scores - scores.max(1, keepdims=True))
        said[number] = scores / scores.sum(1, keepdims=True)
    return said, true


def measure(folder: Path, kind: str, example: int) -> dict[str, Any]:
    """One combiner, in this process."""
    began_s = time.perf_counter()
    said, true = np.load(folder / "said.npy"), np.load(folder / "true.npy")
    how = _settings()[kind][example]
    fitted = combiners.fit(how, said[:, :LEARNT_FROM], true[:LEARNT_FROM])
    fitted_s = time.perf_counter()
    found = combiners.apply(fitted, said)
    ended_s = time.perf_counter()
    return {
        "cpu_s": time.process_time(),
        "fit_s": fitted_s - began_s,
        "apply_s": ended_s - fitted_s,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "accuracy": float((found.argmax(1) == true)[LEARNT_FROM:].mean()),
        "torch": "torch" in sys.modules,
    }


def _settings() -> dict[str, list[Any]]:
    found = {name: list(module.EXAMPLES) for name, module in modules(combiners).items()}
    found["auto"].append(type(found["auto"][0])())  # as it is where nothing is said
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=10)
    parser.add_argument("--rows", type=int, default=127_600)
    parser.add_argument("--classes", type=int, default=4)
    parser.add_argument("--one", nargs=3, metavar=("FOLDER", "KIND", "EXAMPLE"))
    asked = parser.parse_args()
    if asked.one:
        folder, kind, example = asked.one
        print(json.dumps(measure(Path(folder), kind, int(example))))
        return
    print(f"{asked.members} members, {asked.rows:,} rows, {asked.classes} classes\n")
    print("| combiner | fit s | apply s | whole s | CPU s | peak MB | accuracy |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        said, true = simulated(asked.members, asked.rows, asked.classes)
        np.save(Path(folder) / "said.npy", said)
        np.save(Path(folder) / "true.npy", true)
        for kind, examples in _settings().items():
            for example, how in enumerate(examples):
                _show(folder, kind, example, how)


def _show(folder: str, kind: str, example: int, how: Any) -> None:
    changed = how.model_dump(exclude_defaults=True, exclude={"kind"})
    name = " ".join([kind, *(f"{key}={value}" for key, value in changed.items() if key != "among")])
    command = [sys.executable, __file__, "--one", folder, kind, str(example)]
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode:
        print(f"| {name} | {ran.stderr.strip().splitlines()[-1]} | | | | | |")
        return
    found = json.loads(ran.stdout)
    whole_s = found["fit_s"] + found["apply_s"]
    beyond = whole_s > MOST_S or found["peak_mb"] > MOST_MB or found["torch"]
    print(
        f"| {name} | {found['fit_s']:.2f} | {found['apply_s']:.2f} | {whole_s:.2f} | "
        f"{found['cpu_s']:.2f} | "
        f"{found['peak_mb']:.0f} | {found['accuracy']:.2%} |{' beyond' if beyond else ''}",
        flush=True,
    )


if __name__ == "__main__":
    main()
