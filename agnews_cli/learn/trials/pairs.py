"""Pairs of texts that a rule makes: names that should not matter, and words that should.

After contrast sets (Gardner et al. 2020, arXiv 2004.02709), which people write: a rule knows only
which words stand in which class, so that its pairs read badly and tell only on what a model rests.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MOST_WORDS = 60
"""Of each class."""
_LEAST_TEXTS, _LEAST_EXCHANGED = 3, 2
_WORD = re.compile(r"[^\W\d_]{3,}")
_NAME = re.compile(r"(?<=[a-z,;] )[A-Z][a-z]{2,}(?: [A-Z][a-z]{2,})*")
"""Within a sentence, one word or several."""


def telling_words(
    texts: Sequence[str], classes: NDArray[np.int64], count: int
) -> list[dict[str, float]]:
    """Of each class the words that speak for it most, by log odds with a prior of what all classes
    have (Monroe, Colaresi, Quinn 2008, 3.5), in standard errors."""
    seen = [Counter[str]() for _ in range(count)]
    for text, number in zip(texts, classes, strict=True):
        seen[number].update(set(_WORD.findall(text.lower())))
    whole: Counter[str] = sum(seen, Counter())
    known = {word: n for word, n in whole.items() if n >= _LEAST_TEXTS}
    prior_all = sum(known.values())
    found = []
    for number in range(count):
        mine, rest = seen[number], whole - seen[number]
        mine_all, rest_all = sum(mine[w] for w in known), sum(rest[w] for w in known)
        scores = {}
        for word, prior in known.items():
            a, b = mine[word] + prior, rest[word] + prior
            odds = np.log(a / (mine_all + prior_all - a)) - np.log(b / (rest_all + prior_all - b))
            scores[word] = float(odds / np.sqrt(1 / a + 1 / b))
        best = sorted(scores, key=lambda word: (-scores[word], word))[:MOST_WORDS]
        found.append({word: scores[word] for word in best if scores[word] > 0})
    return found


def exchanged(
    text: str, own: int, words: Sequence[dict[str, float]], rng: random.Random
) -> tuple[str, int] | None:
    """The text with the words of its class replaced by another class's, and that class; None where
    it has too few of them."""
    other = rng.choice([n for n in range(len(words)) if n != own])
    theirs = [word for word in words[other] if word not in words[own]]
    count = 0

    def replaced(found: re.Match[str]) -> str:
        nonlocal count
        if found[0].lower() not in words[own] or not theirs:
            return found[0]
        count += 1
        word = rng.choice(theirs)
        return word.capitalize() if found[0][0].isupper() else word

    changed = _WORD.sub(replaced, text)
    return (changed, other) if count >= _LEAST_EXCHANGED else None


def other_names(texts: Sequence[str], classes: NDArray[np.int64], seed: int) -> list[str]:
    """Each with the names of another text of its class, where both have some."""
    names = [_NAME.findall(text) for text in texts]

    def renamed(row: int, text: str) -> str:
        rng = random.Random(f"{seed} names {text}")
        alike = np.flatnonzero(classes == classes[row]).tolist()
        others = [name for at in alike for name in names[at] if name not in names[row]]
        return _NAME.sub(lambda _: rng.choice(others), text) if others else text

    return [renamed(row, text) for row, text in enumerate(texts)]
