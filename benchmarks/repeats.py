"""How many near repeats are found, how many of the copies are some, and how long it takes.

Eleven kinds of changed rows, 300 of each, are planted into the real training rows; a planted row is
found where it is told together with the row that it was made of. Beside it datasketch as its
documentation shows it: sets of words, 128 permutations, and its default threshold of 0.9. The grade
*copy* is judged by `judged_copies.csv`: 200 pairs of real rows that were called copies, drawn at
random and read (by how they begin); texts are not kept. Last, as many rows as the full data set has
are made of the real ones and compared with each other, in a process whose peak is measured.

    python benchmarks/repeats.py --data DIR [--skip-scale]
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from agnews_cli.core.run.dataset import Reading, Rows
from agnews_cli.learn.checks.repeats import (
    GRADES,
    DistinctTexts,
    NearTexts,
    near_texts,
    repeats,
    texts_of,
)
from agnews_cli.store.data import datasets
from agnews_cli.store.data.cleaning import clean

PLANTED, FULL_ROWS = 300, 127_600
JUDGED = Path(__file__).with_name("judged_copies.csv")


def of_words(change: Callable[[list[str], random.Random], list[str]]) -> Callable[..., str]:
    return lambda text, rng: " ".join(change(text.split(), rng))


def dropped(share: float) -> Callable[..., str]:
    return of_words(lambda words, rng: [w for w in words if rng.random() >= share] or words[:1])


def typos(share: float) -> Callable[..., str]:
    def change(text: str, rng: random.Random) -> str:
        made = []
        for sign in text:
            if rng.random() >= share:
                made.append(sign)
                continue
            other = rng.choice("abcdefghijklmnopqrstuvwxyz")
            made.append(rng.choice(["", other, sign + other]))
        return "".join(made)

    return change


def surface(text: str, rng: random.Random) -> str:
    bare = re.sub(r"[^\w\s]", "", text)
    return rng.choice([str.upper, str.lower, str.title])(bare).replace(" ", "  ")


def entities(text: str, rng: random.Random) -> str:
    marks = {"'": "&#39;", '"': "&quot;", "-": "&#45;", ".": "&#46;", "e": "&#101;"}
    return "".join(marks[s] if s in marks and rng.random() < 0.5 else s for s in text)


def shuffled(text: str, rng: random.Random) -> str:
    sentences = re.split(r"(?<=[.!?])\s+", text)
    rng.shuffle(sentences)
    return " ".join(sentences)


KINDS: dict[str, Callable[..., str]] = {
    "case, punctuation, spaces": surface,
    "HTML entities": entities,
    "source prefix added": lambda text, rng: f"LONDON, Aug 13 (AP/Bloomberg) -- {text}",
    "cut to 80%": of_words(lambda words, rng: words[: round(0.8 * len(words))]),
    "10% of words dropped": dropped(0.1),
    "2% typos": typos(0.02),
    "sentences shuffled": shuffled,
    "cut to 60%": of_words(lambda words, rng: words[: round(0.6 * len(words))]),
    "25% of words dropped": dropped(0.25),
    "5% typos": typos(0.05),
}
TITLE = "title only"


def titles(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [clean(row[1], "news") for row in csv.reader(file)]


def planted(data: Path, train: Rows, cleaning: str) -> tuple[list[str], list[str], list[int]]:
    """(texts, kinds, the training row that each was made of)."""
    rng = random.Random("planted")
    texts, kinds, sources = [], [], []
    every = titles(data / "train.csv")
    for kind in (*KINDS, TITLE):
        for row in rng.sample(range(len(train.texts)), PLANTED):
            made = every[row] if kind == TITLE else KINDS[kind](train.texts[row], rng)
            texts.append(clean(made, cleaning))  # type: ignore[arg-type]
            kinds.append(kind)
            sources.append(row)
    return texts, kinds, sources


def found_pairs(texts: DistinctTexts, near: NearTexts) -> set[tuple[int, int]]:
    pairs = zip(near.one.tolist(), near.two.tolist(), strict=True)
    return {tuple(sorted(pair)) for pair in pairs}  # type: ignore[misc]


def recall(data: Path, train: Rows, cleaning: str) -> dict[str, dict[str, float]]:
    texts, kinds, sources = planted(data, train, cleaning)
    both = texts_of({"train": Rows([*train.texts, *texts], [0] * (len(train.texts) + len(texts)))})
    began_s = time.process_time()
    near = near_texts(both, is_quick=False, seed=0)
    took_s = time.process_time() - began_s
    pairs = found_pairs(both, near)
    hits: dict[str, list[bool]] = {kind: [] for kind in dict.fromkeys(kinds)}
    for at, (kind, source) in enumerate(zip(kinds, sources, strict=True)):
        one, two = both.text_of[source], both.text_of[len(train.texts) + at]
        hits[kind].append(bool(one == two) or (min(one, two), max(one, two)) in pairs)
    peer, peer_s = with_datasketch(train.texts, texts, sources)
    print(f"{len(both.first):,} texts: {took_s:.1f} s; datasketch {peer_s:.1f} s (CPU)")
    table = {}
    for at, (kind, hit) in enumerate(hits.items()):
        theirs = peer[at * PLANTED : (at + 1) * PLANTED]
        table[kind] = {"recall": sum(hit) / PLANTED, "datasketch": sum(theirs) / PLANTED}
        print(f"| {kind} | {table[kind]['recall']:.3f} | {table[kind]['datasketch']:.3f} |")
    return table


def with_datasketch(
    texts: Sequence[str], asked: Sequence[str], sources: Sequence[int]
) -> tuple[list[bool], float]:
    """Whether each is told with its source, and the CPU time."""
    from datasketch import MinHash, MinHashLSH

    began_s = time.process_time()

    def sketch(text: str) -> MinHash:
        made = MinHash()
        made.update_batch([word.encode() for word in set(text.split())])
        return made

    index = MinHashLSH()
    for row, text in enumerate(texts):
        index.insert(row, sketch(text))
    hits = [s in index.query(sketch(text)) for text, s in zip(asked, sources, strict=True)]
    return hits, time.process_time() - began_s


def judged(texts: DistinctTexts, near: NearTexts) -> None:
    """Of the pairs that were read, how many are called copies, and rightly so."""
    copies = near.grade == GRADES.index("copy")
    called = {
        tuple(sorted((int(a), int(b))))
        for a, b in zip(near.one[copies], near.two[copies], strict=True)
    }
    starts = dict(zip(texts.splits, texts.starts.tolist(), strict=False))
    right = wrong = 0
    with JUDGED.open(newline="") as file:
        for pair in csv.DictReader(file):
            one = texts.text_of[starts[pair["split"]] + int(pair["row"])]
            two = texts.text_of[starts[pair["other_split"]] + int(pair["other_row"])]
            if tuple(sorted((int(one), int(two)))) in called:
                right += pair["is_copy"] == "yes"
                wrong += pair["is_copy"] != "yes"
    print(f"grade copy: {right} right, {wrong} wrong of the pairs that were read")


def scale(data: Path) -> None:
    """In a child: as many rows as the full data set has, each with neighbours."""
    command = [sys.executable, __file__, "--data", str(data), "--as-child"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout.strip() or done.stderr[-2000:])


def as_child(train: Rows) -> None:
    rng = random.Random("scale")
    texts = list(train.texts)
    changes = [dropped(0.1), dropped(0.25), typos(0.02), typos(0.05)]
    while len(texts) < FULL_ROWS:
        row = rng.randrange(len(train.texts))
        # most of a full data set is no repeat: two halves of two rows are a new text
        other = train.texts[rng.randrange(len(train.texts))]
        half = train.texts[row].split()
        mixed = " ".join([*half[: len(half) // 2], *other.split()[len(other.split()) // 2 :]])
        texts.append(rng.choice(changes)(mixed, rng))
    rows = {"train": Rows(texts, [0] * len(texts))}
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    whole = texts_of(rows)  # type: ignore[arg-type]
    near = near_texts(whole, is_quick=False, seed=0)
    told = repeats(whole, near).found[0]
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(
        json.dumps(
            {
                "rows": len(texts),
                "wall_s": round(time.monotonic() - began_s, 1),
                "cpu_s": round(time.process_time() - began_cpu_s, 1),
                "peak_gb": round(peak_bytes / 1e9, 2),
                "pairs": len(near.one),
                "copies": told.copy_,
                "same_story": told.same_story,
            }
        )
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--skip-scale", action="store_true")
    parser.add_argument("--as-child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    found = datasets.find(str(given.data), Reading(test_share=0.0))
    train, test = datasets.read(found, "train"), datasets.read(found, "test")
    if given.as_child:
        as_child(train)
        return 0
    table = recall(given.data, train, found.cleaning)
    both = texts_of({"test": test, "train": train})
    judged(both, near_texts(both, is_quick=False, seed=0))
    raw = datasets.find(str(given.data), Reading(test_share=0.0, raw_text=True))
    kept = {split: datasets.read(raw, split) for split in ("test", "train")}
    whole = texts_of(kept)
    told = repeats(whole, near_texts(whole, is_quick=True, seed=0)).found
    print({(one.split, one.of): one.exact for one in told}, "exact repeats of the raw texts")
    if not given.skip_scale:
        scale(given.data)
    hard = ("cut to 60%", "25% of words dropped", "5% typos")
    least = {kind: 0.75 if kind in hard else 0.9 if kind == TITLE else 0.99 for kind in table}
    missed = [kind for kind, one in table.items() if one["recall"] < least[kind]]
    print("below the bar:", missed or "none", np.__version__)
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
