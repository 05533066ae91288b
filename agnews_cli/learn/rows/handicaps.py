"""What makes a model worse than it need be and would stay silent: texts cut, a language unknown."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.long_texts import LongTexts
from agnews_cli.learn.rows.reading import Ends, reach
from agnews_cli.learn.rows.tokens import Tokens

_ASKED_TEXTS = 1000
_MOST_CHARACTERS = 2000  # of a text that is asked about its script
_TOO_MANY_UNKNOWN = 0.05
_TOO_MANY_PIECES = 2.5
"""A word: English takes 1.2 to 1.5, German and French around 2 with an English vocabulary."""
_TOO_MANY_PIECES_A_LETTER = 0.8
"""Elsewhere: a vocabulary that knows the script needs 0.2 (Cyrillic) to 0.7 (Chinese)."""
_SILENT_SHARE = 0.05


def long_texts(
    full: NDArray[np.int64], length: int, ends: Ends, how: LongTexts
) -> tuple[str, bool]:
    """(how many texts are longer than `length` tokens and what is done about it, whether that is a
    warning: much is not read); full: tokens of each, (rows,)."""
    share = float(np.mean(full > length))
    if not share:
        return f"no training text is longer than {length} tokens", False
    count = f"{share:.0%}" if share >= 0.005 else f"{int((full > length).sum())}"
    text = f"{count} of the training texts are longer than {length} tokens and"
    most, is_lossy = length, share > _SILENT_SHARE
    match how.how:
        case "cut":
            text += " are cut"
        case "head_tail":
            text += f" only their first {how.first} and last {how.last} are read"
        case "windows":
            most = reach(length, ends, how)
            lost = float(np.mean(full > most))
            is_lossy = lost > _SILENT_SHARE
            text += " are read in windows"
            if lost:
                shown = f"{lost:.0%}" if lost >= 0.005 else f"{int((full > most).sum())}"
                text += f", {shown} of all no further than {how.most_windows} of them"
    seen = float(np.minimum(full, most).sum() / full.sum())
    return f"{text}; the model sees {seen:.0%} of all tokens", is_lossy


def strange_language(texts: Sequence[str], tokens: Tokens, tokenizer: Any, name: str) -> str | None:
    """What to say where the vocabulary of `name` does not know the texts' words; else None."""
    rows = np.random.default_rng(0).permutation(len(texts))[:_ASKED_TEXTS]
    latin, other, words, pieces, unknown = 0, 0, 0, 0, 0
    specials = len(tokenizer("")["input_ids"])
    for row in rows:
        text = texts[int(row)]
        ids = tokens.ids[tokens.offsets[row] : tokens.offsets[row + 1]]
        whole = len(ids) if tokens.full is None else int(tokens.full[row])
        pieces += whole - specials
        words += len(text.split())
        if tokenizer.unk_token_id is not None:
            unknown += int((ids == tokenizer.unk_token_id).sum()) * whole // max(1, len(ids))
        in_latin, elsewhere = _letters(text[:_MOST_CHARACTERS])
        scale = len(text) / max(1, min(len(text), _MOST_CHARACTERS))
        latin, other = latin + round(in_latin * scale), other + round(elsewhere * scale)
    if not pieces or not latin + other:
        return None
    unknown_share = unknown / pieces
    is_latin = latin >= other
    each = pieces / max(1, words) if is_latin else pieces / (latin + other)
    most = _TOO_MANY_PIECES if is_latin else _TOO_MANY_PIECES_A_LETTER
    if unknown_share <= _TOO_MANY_UNKNOWN and each <= most:
        return None
    what = f"{each:.1f} pieces a word" if is_latin else f"{each:.2g} pieces a letter"
    return (
        f"{name} hardly knows the language of these texts: {what}, {unknown_share:.0%} of them "
        "unknown; a multilingual model fits better, such as --preset qwen3-0.6b-lora or, on a CPU, "
        "--model intfloat/multilingual-e5-small (linear models are not concerned)"
    )


def _letters(text: str) -> tuple[int, int]:
    """(Latin letters, other letters)."""
    if text.isascii():
        return sum(map(str.isalpha, text)), 0
    latin = other = 0
    for sign in text:
        if sign.isalpha():
            is_latin = sign.isascii() or unicodedata.name(sign, "").startswith("LATIN")
            latin, other = latin + is_latin, other + (not is_latin)
    return latin, other
