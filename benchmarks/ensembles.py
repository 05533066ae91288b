"""Every combiner over the members of one finished ensemble, on rows that chose nothing.

    agnews auto --data DATA --preset my-ensemble.yaml --store runs     # trains, hours on a CPU
    python benchmarks/ensembles.py runs/my-ensemble-0123456789 [--subsets 40] [--seed 0]

Reads what the members said of the rows that validated them and of the test rows, and trains nothing
but combiners. Three tables: every combiner and member on the test rows, with intervals, and the
paired difference to the best member (McNemar's exact test; Holm's correction over all of them);
the mean accuracy of the plain average by number of members, over random subsets, with the gain
over the best of them; the diversity of pairs beside what their average gains.

Exits 1 unless what is delivered beats the best member (which is known by the test rows alone) by
0.3 points, and is within 0.1 of the combiner that is best on the test rows.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import peers
from numpy.typing import NDArray
from pydantic import TypeAdapter

sys.path.insert(0, str(peers.ROOT))
from agnews_cli.core.run.combiner import Combiner
from agnews_cli.errors import ExtraMissing
from agnews_cli.learn import combiners
from agnews_cli.learn.combine import logits
from agnews_cli.learn.combine.compare import compare
from agnews_cli.learn.combine.diversity import diversity
from agnews_cli.learn.combine.members import Aligned, align

HOW: dict[str, dict[str, Any]] = {
    "vote": {"kind": "vote"},
    "average": {"kind": "average"},
    "rank": {"kind": "rank"},
    "confidence": {"kind": "confidence"},
    "weighted": {"kind": "weighted"},
    "greedy": {"kind": "greedy"},
    "greedy, 20 bags": {"kind": "greedy", "bags": 20},
    "bayesian": {"kind": "bayesian"},
    "blend": {"kind": "blend"},
    "blend, dynamic": {"kind": "blend", "dynamic": True},
    "stack, logistic": {"kind": "stack"},
    "stack, xgboost": {"kind": "stack", "by": "xgboost"},
    "stack, lightgbm": {"kind": "stack", "by": "lightgbm"},
    "stack, neural": {"kind": "stack", "by": "neural"},
    "auto": {"kind": "auto"},
}
GAIN_BAR, REGRET_BAR = 0.003, 0.001


def members(run: Path) -> tuple[Aligned, Aligned]:
    """What the members of an ensemble say of the rows that validated them and of the test rows."""
    nodes = json.loads((run / "graph.json").read_text("utf-8"))["nodes"]
    trained = {f"{n['title']}: {n['run']}": run.parent / n["run"] for n in nodes}
    trained = {k: v for k, v in trained.items() if v != run and k.startswith("member")}
    files = [
        {name: [logits.read(f / f"predictions/{split}.safetensors")] for name, f in trained.items()}
        for split in ("validation", "test")
    ]
    return align(files[0]), align(files[1])


def combined(how: dict[str, Any], held: Aligned, test: Aligned, seed: int) -> NDArray[np.float64]:
    asked: Combiner = TypeAdapter(Combiner).validate_python(how)
    fitted = combiners.fit(asked, held.probabilities, held.classes, seed)
    if how["kind"] == "auto":
        print(f"auto: {fitted.why}\n")
    return combiners.apply(fitted.pruned(), test.probabilities[list(fitted.needed)])


def every(held: Aligned, test: Aligned, seed: int) -> int:
    said = dict(zip(test.names, test.probabilities, strict=True))
    best = max(said, key=lambda name: float((said[name].argmax(1) == test.classes).mean()))
    for name, how in HOW.items():
        try:
            said[name] = combined(how, held, test, seed)
        except ExtraMissing as error:
            print(f"{name}: {error.message}")
    found = compare(said, test.classes, against=best, seed=seed)
    differences = {one.one: one for one in found.differences}
    print(f"{len(held.classes):,} rows chose, {found.rows:,} test rows; against {best}\n")
    print("| | accuracy | 95% | less the best member | 95% | p | p (Holm) | log loss | ECE |")
    print("| --- | ---: | --- | ---: | --- | ---: | ---: | ---: | ---: |")
    for one in found.models:
        a, d = one.accuracy, differences.get(one.name)
        apart = "| | | | " if d is None else (
            f"| {100 * d.accuracy.value:+.2f} | {100 * d.accuracy.low:+.2f} to "
            f"{100 * d.accuracy.high:+.2f} | {d.p:.2g} | {d.p_holm:.2g} "
        )  # fmt: skip
        print(
            f"| {one.name} | {a.value:.2%} | {100 * a.low:.2f} to {100 * a.high:.2f} {apart}"
            f"| {one.loss:.4f} | {one.calibration_error:.2%} |"
        )
    right = {one.name: one.accuracy.value for one in found.models}
    gain, regret = (
        right["auto"] - right[best],
        max(right[n] for n in HOW if n in right) - right["auto"],
    )
    print(
        f"\nauto: {100 * gain:+.2f} points over {best}, {100 * regret:.2f} below the best combiner"
    )
    return 0 if gain >= GAIN_BAR and regret <= REGRET_BAR else 1


def sizes(test: Aligned, subsets: int, seed: int) -> None:
    rng, count = random.Random(seed), len(test.names)
    print(
        "\n| members | subsets | average | best of them | gain |"
        "\n| ---: | ---: | ---: | ---: | ---: |"
    )
    right = (test.probabilities.argmax(2) == test.classes).mean(1)
    for size in range(1, count + 1):
        drawn = {tuple(sorted(rng.sample(range(count), size))) for _ in range(subsets)}
        means = [
            (test.probabilities[list(each)].mean(0).argmax(1) == test.classes).mean()
            for each in drawn
        ]
        best = [right[list(each)].max() for each in drawn]
        gain = 100 * (np.mean(means) - np.mean(best))
        print(
            f"| {size} | {len(drawn)} | {np.mean(means):.2%} | {np.mean(best):.2%} | {gain:+.2f} |"
        )


def pairs(test: Aligned) -> None:
    found = diversity(test.names, test.probabilities, test.classes)
    right = (test.probabilities.argmax(2) == test.classes).mean(1)
    print("\n| pair | disagreement | Q | correlation of errors | kappa | gain of their average |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for a in range(len(test.names)):
        for b in range(a + 1, len(test.names)):
            both = (test.probabilities[[a, b]].mean(0).argmax(1) == test.classes).mean()
            gain = 100 * (both - max(right[a], right[b]))
            figures = (found.disagreement, found.q, found.correlation, found.kappa)
            cells = " | ".join(f"{m[a][b]:.2f}" if m[a][b] is not None else "–" for m in figures)
            print(f"| {test.names[a]}, {test.names[b]} | {cells} | {gain:+.2f} |")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--subsets", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    held, test = members(given.run)
    code = every(held, test, given.seed)
    sizes(test, given.subsets, given.seed)
    pairs(test)
    return code


if __name__ == "__main__":
    sys.exit(main())
