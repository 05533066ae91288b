"""Ways of changing a text that people would still read alike: each a function of text and chance.

Characters as in Belinkov and Bisk 2018 (arXiv 1711.02173), words and sentences as in CheckList
(Ribeiro et al. 2020, arXiv 2005.04118) and its forerunners (Naik et al. 2018, arXiv 1806.00692).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from agnews_cli.core.report.trials import Level

Change = Callable[[str, random.Random], str]

SHARE = 0.1
"""Of the words that are changed; at least one."""
_LEAST_LETTERS = 4
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_BESIDE = {
    letter: row[max(0, at - 1) : at] + row[at + 1 : at + 2]
    for row in _ROWS
    for at, letter in enumerate(row)
}
_NEUTRAL = "It was reported on Tuesday."


@dataclass(frozen=True, slots=True)
class TextChange:
    level: Level
    name: str
    what: str
    change: Change


def _of_words(change: Callable[[str, random.Random], str]) -> Change:
    """`change` for a tenth of the longer words."""

    def changed(text: str, rng: random.Random) -> str:
        words = text.split(" ")
        fit = [n for n, word in enumerate(words) if len(word) >= _LEAST_LETTERS and word.isalpha()]
        for at in rng.sample(fit, min(len(fit), max(1, round(SHARE * len(words))))):
            words[at] = change(words[at], rng)
        return " ".join(words)

    return changed


def _exchanged_letters(word: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word) - 2)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _missing_letter(word: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word) - 1)
    return word[:at] + word[at + 1 :]


def _slip(word: str, rng: random.Random) -> str:
    at = rng.randrange(len(word))
    beside = _BESIDE.get(word[at].lower(), "")
    return word[:at] + (rng.choice(beside) if beside else word[at]) + word[at + 1 :]


def _missing_words(text: str, rng: random.Random) -> str:
    words = text.split(" ")
    gone = set(
        rng.sample(range(len(words)), min(len(words) - 1, max(1, round(SHARE * len(words)))))
    )
    return " ".join(word for at, word in enumerate(words) if at not in gone)


def _exchanged_words(text: str, rng: random.Random) -> str:
    words = text.split(" ")
    if len(words) < 2:
        return text
    for _ in range(max(1, round(SHARE * len(words)))):
        at = rng.randrange(len(words) - 1)
        words[at], words[at + 1] = words[at + 1], words[at]
    return " ".join(words)


def _other_numbers(text: str, rng: random.Random) -> str:
    def other(found: re.Match[str]) -> str:
        return rng.choice([digit for digit in "123456789" if digit != found[0]])

    return re.sub(r"[0-9]", other, text)


def _sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.!?])\s+", text.strip())


def _half(text: str, rng: random.Random) -> str:
    words = text.split(" ")
    return " ".join(words[: max(1, len(words) // 2)])


def _backwards(text: str, rng: random.Random) -> str:
    return " ".join(reversed(_sentences(text)))


WAYS = (
    TextChange(
        "characters", "letters exchanged", "in a tenth of the words", _of_words(_exchanged_letters)
    ),
    TextChange(
        "characters", "letters missing", "in a tenth of the words", _of_words(_missing_letter)
    ),
    TextChange("characters", "slips of the key", "in a tenth of the words", _of_words(_slip)),
    TextChange("characters", "small letters", "all of them", lambda text, rng: text.lower()),
    TextChange("characters", "capitals", "all of them", lambda text, rng: text.upper()),
    TextChange("words", "words missing", "a tenth", _missing_words),
    TextChange("words", "words exchanged", "with their neighbours, a tenth", _exchanged_words),
    TextChange("words", "other numbers", "every digit", _other_numbers),
    TextChange("sentences", "first half", "the rest is cut off", _half),
    TextChange(
        "sentences", "a sentence more", f"“{_NEUTRAL}”", lambda text, rng: f"{text} {_NEUTRAL}"
    ),
    TextChange("sentences", "sentences backwards", "the last one first", _backwards),
)


def changed(way: TextChange, texts: list[str], seed: int) -> list[str]:
    """Each text by itself: neither order nor number of others has a say."""
    return [way.change(text, random.Random(f"{seed} {way.name} {text}")) for text in texts]
