"""`agnews check` on three data sets of other shapes than AG News, made here: what it calls copies.

- *entities*: 14 classes, a title and a sentence or three of an encyclopaedia, as DBpedia has them;
- *tickets*: 10 classes, the largest with 400 times the rows of the smallest, one short text;
- *pairs*: two text columns, two questions, and whether they ask the same.

Rows are made of templates and words; the generator knows which rows repeat which. Planted are exact
repeats, copies (case, signs, a cut end, a prefix), leaks between splits and texts with two labels.
Besides there are rows that look alike and are none: stubs of one template about other places and
beetles, orders of other numbers, questions that differ by one phrase. A pair that is called a copy,
or exact, and was not planted is a false one, and each is printed to be read.

    python benchmarks/other_shapes.py [--rows 6000] [--write DIR]
"""

from __future__ import annotations

import argparse
import csv
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "ou", "ia")
CODAS = ("", "", "n", "r", "l", "s", "m", "nd", "rk", "th", "x")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ONSETS = _words("b br c ch d dr f fl g gl h j k kl l m n p pr r s sh sl st t tr v w z")
NOUNS = _words("""
    bridge tunnel harvest market river library engine archive garden museum harbour theatre orchard
    quarry chapel factory academy clinic stadium workshop lighthouse cathedral reservoir canal
    vineyard monastery observatory laboratory warehouse terminal plantation courthouse mill foundry
    brewery gallery""")
ADJECTIVES = _words("""
    northern old coastal narrow public private royal historic modern rural deep shallow early late
    small large eastern distant steep quiet busy ancient recent local national remote famous obscure
    painted wooden stone iron municipal former central independent regional""")
VERBS = _words("""
    opened closed moved expanded merged survived hosted trained supplied inspired replaced protected
    restored flooded burned recovered published recorded toured competed""")
FIELDS = _words("""
    astronomy logistics botany weaving law music chemistry navigation archaeology finance ceramics
    surgery printing forestry acoustics cartography translation metallurgy pottery cinema""")
KINDS = _words("""
    Company School Artist Athlete Politician Transport Building River Village Animal Plant Album
    Film Book""")
QUEUES = _words("billing login shipping refund outage upgrade privacy partner invoice legal")


@dataclass(slots=True)
class Shape:
    """Rows of each split, (texts, label, key); rows with one key say the same."""

    name: str
    columns: tuple[str, ...]
    train: list[tuple[tuple[str, ...], str, int]] = field(default_factory=list)
    test: list[tuple[tuple[str, ...], str, int]] = field(default_factory=list)
    conflicts: int = 0
    """Planted texts that stand with two labels."""

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for split in ("train", "test"):
            with (folder / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow((*self.columns, "label"))
                writer.writerows((*texts, label) for texts, label, _ in getattr(self, split))


class Words:
    """Names and phrases of a seed."""

    def __init__(self, seed: str) -> None:
        self.rng = random.Random(seed)

    def name(self, syllables: int = 2) -> str:
        of = (self.rng.choice(ONSETS) + self.rng.choice(VOWELS) for _ in range(syllables))
        return ("".join(of) + self.rng.choice(CODAS)).capitalize()

    def person(self) -> str:
        return f"{self.name()} {self.name(3)}"

    def year(self) -> int:
        return self.rng.randint(1801, 2019)

    def phrase(self) -> str:
        r = self.rng
        return f"{r.choice(ADJECTIVES)} {r.choice(NOUNS)}"

    def clause(self) -> str:
        """One of some hundred thousand."""
        r = self.rng
        return r.choice(
            (
                f"the {self.phrase()} {r.choice(VERBS)} in {self.year()} near {self.name()}",
                f"it {r.choice(VERBS)} the {self.phrase()} of {self.name()} with {self.person()}",
                f"{self.person()} {r.choice(VERBS)} its {self.phrase()} for {r.choice(FIELDS)}",
                f"known for {r.choice(FIELDS)} and {r.choice(FIELDS)}, it {r.choice(VERBS)} "
                f"the {self.phrase()}",
            )
        )

    def sentences(self, least: int, most: int) -> str:
        found = (self.clause() for _ in range(self.rng.randint(least, most)))
        return " ".join(f"{one[0].upper()}{one[1:]}." for one in found)


def entity(w: Words, kind: str) -> tuple[str, str]:
    title, r = w.name(3), w.rng
    if kind == "Village" and r.random() < 0.7:  # a stub as thousands are, of one template
        return title, (
            f"{title} is a village in the administrative district of Gmina {w.name()}, within "
            f"{w.name()} County, in {r.choice(('northern', 'southern', 'eastern', 'western'))} "
            f"Poland. It lies approximately {r.randint(2, 40)} kilometres north of {w.name()} and "
            f"{r.randint(2, 90)} km east of the regional capital {w.name()}."
        )
    if kind == "Animal" and r.random() < 0.7:
        return f"{title} {w.name(3).lower()}", (
            f"{title} {w.name(3).lower()} is a species of beetle in the family {w.name(3)}idae. It "
            f"was described by {w.name()} in {w.year()}."
        )
    what = kind.lower() if r.random() < 0.8 else f"{r.choice(ADJECTIVES)} one"
    first = f"{title}, a {what} of {w.name()}, is known since {w.year()} by {w.person()}."
    return f"{title} {w.name()}", f"{first} {w.sentences(1, 3)}"


def ticket(w: Words, queue: str) -> tuple[str]:
    r = w.rng
    opening = r.choice(
        (
            f"My {queue} is wrong since {w.year()}, writes {w.person()}",
            f"Hello, {w.clause()} and now {queue} fails",
            f"How do I change the {queue} of {w.person()}?",
            f"Where is the {queue} of order {r.randint(100_000, 999_999)}?",
        )
    )
    return (f"{opening} {w.sentences(0, 2)}".strip(),)


def pair(w: Words, label: str) -> tuple[str, str]:
    r, name = w.rng, w.person()
    one, topic = w.phrase(), r.choice(FIELDS)
    first = r.choice(
        (
            f"How did the {one} of {name} change {topic}?",
            f"What is the best {one} to learn {topic} from {name}?",
            f"Why was {name} at the {one} in {w.year()}?",
            f"Can a {one} be used for {topic} near {w.name()}?",
        )
    )
    if label == "same":
        return first, r.choice(
            (
                f"In what way was {topic} or the {one} changed, and by {name}?",
                f"I would like to know about {name}, {topic} and the {one}; who can tell?",
            )
        )
    if r.random() < 0.3:  # one word that matters
        return first, first.replace(one, w.phrase())
    return first, f"Does {w.person()} know why {w.clause()}?"


def changed(w: Words, texts: tuple[str, ...]) -> tuple[str, ...]:
    """The same said with small differences, in the last text."""
    *before, last = texts
    how: tuple[Callable[[str], str], ...] = (
        lambda t: t.upper(),
        lambda t: t.replace(",", " ,").replace(".", " ."),
        lambda t: t[: int(len(t) * 0.93)],
        lambda t: f"(PR) {t}",
    )
    return (*before, w.rng.choice(how)(last))


def planted(w: Words, made: Shape, labels: list[str], rows: int) -> None:
    """A hundredth of the rows each: exact repeats, copies, leaks; a few texts with two labels."""
    number = max(4, rows // 100)
    long = [row for row in made.train if sum(map(len, row[0])) > 90]
    for texts, label, key in w.rng.sample(long, number):
        made.train.append((texts, label, key))
    for texts, label, key in w.rng.sample(long, number):
        made.train.append((changed(w, texts), label, key))
    for n, (texts, label, key) in enumerate(w.rng.sample(long, number)):
        made.test.append((texts if n % 2 else changed(w, texts), label, key))
    made.conflicts = 4
    for texts, label, key in w.rng.sample(long, made.conflicts):
        other = w.rng.choice([one for one in labels if one != label])
        made.train.append((texts, other, key))
    w.rng.shuffle(made.train)
    w.rng.shuffle(made.test)


def entities(rows: int) -> Shape:
    w, made = Words("entities"), Shape("entities", ("title", "abstract"))
    for n in range(rows + rows // 5):
        kind = KINDS[n % len(KINDS)]
        (made.test if n >= rows else made.train).append((entity(w, kind), kind, n))
    planted(w, made, KINDS, rows)
    return made


def tickets(rows: int) -> Shape:
    w, made = Words("tickets"), Shape("tickets", ("text",))
    sizes = [max(8, int(rows * 0.5 ** (n + 1))) for n in range(len(QUEUES))]
    key = 0
    for queue, size in zip(QUEUES, sizes, strict=True):
        for n in range(size + max(3, size // 5)):
            (made.test if n >= size else made.train).append((ticket(w, queue), queue, key))
            key += 1
    planted(w, made, QUEUES, rows)
    return made


def pairs(rows: int) -> Shape:
    w, made = Words("pairs"), Shape("pairs", ("question1", "question2"))
    for n in range(rows + rows // 5):
        label = "same" if n % 3 == 0 else "other"
        (made.test if n >= rows else made.train).append((pair(w, label), label, n))
    planted(w, made, ["same", "other"], rows)
    return made


SHAPES: dict[str, Callable[[int], Shape]] = {
    "entities": entities, "tickets": tickets, "pairs": pairs,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Judged:
    """What was told of a shape's rows, beside what is known."""

    told: Counter[str]
    """Pairs by grade."""
    false: tuple[tuple[str, str, str, float], ...]
    """(grade, text, text, similarity) of pairs called exact or a copy that are none."""
    repeated: int
    """Rows that repeat an earlier one."""
    missed: tuple[str, ...]
    """Such rows that nothing tells of."""


def judged(made: Shape) -> Judged:
    """By the finder itself, on all rows of both splits."""
    import numpy as np

    from agnews_cli.core.run.dataset import Rows
    from agnews_cli.learn.checks import repeats

    parts = {
        split: Rows(
            ["\n".join(texts) for texts, _, _ in getattr(made, split)],
            [0] * len(getattr(made, split)),
        )
        for split in ("train", "test")
    }
    keys = np.array([key for split in ("test", "train") for _, _, key in getattr(made, split)])
    texts = repeats.texts_of(parts)
    near = repeats.near_texts(texts, is_quick=False, seed=0)
    told, false, found = Counter[str](), [], set()
    groups: dict[int, list[int]] = {}
    for row, text in enumerate(texts.text_of.tolist()):
        groups.setdefault(text, []).append(row)

    def say(grade: str, one: int, two: int, similarity: float) -> None:
        told[grade] += 1
        if keys[one] == keys[two]:
            found.update((one, two))
        elif grade != "same story":
            false.append((grade, texts.text(one), texts.text(two), similarity))

    for rows in groups.values():
        for again in rows[1:]:
            say("exact", rows[0], again, 1.0)
    facts = zip(near.one.tolist(), near.two.tolist(), near.grade, near.similarity, strict=True)
    for one, two, grade, similarity in facts:
        say(repeats.GRADES[grade], groups[one][0], groups[two][0], float(similarity))
        if keys[groups[one][0]] == keys[groups[two][0]]:
            found.update((*groups[one], *groups[two]))
    count = Counter(keys.tolist())
    repeated = [row for row, key in enumerate(keys.tolist()) if count[key] > 1]
    missed = tuple(texts.text(row) for row in repeated if row not in found)
    return Judged(told, tuple(false), len(repeated), missed)


def main() -> None:
    from agnews_cli.core.run.request import Wish
    from agnews_cli.workflows.check.check import check

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=6_000)
    parser.add_argument("--write", type=Path, help="keep the data there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for name, make in SHAPES.items():
            made = make(given.rows)
            told = judged(made)
            print(
                f"\n## {name}: {len(made.train):,} and {len(made.test):,} rows, {dict(told.told)}"
            )
            print(f"{len(told.false)} false; {len(told.missed)} of {told.repeated} missed")
            for grade, one, two, similarity in told.false[:10]:
                print(f"  false {grade} {similarity:.2f}\n    {one!r}\n    {two!r}")
            for text in told.missed[:5]:
                print(f"  missed {text!r}")
            folder = (given.write or Path(scratch)) / name
            made.write(folder)
            columns = made.columns if len(made.columns) > 1 else ()
            for finding in check(Wish(data=str(folder), text_columns=columns)).findings:
                print(f"  {finding.level:4} {finding.check}: {finding.text[:300]}")


if __name__ == "__main__":
    main()
