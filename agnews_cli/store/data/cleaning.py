"""Texts as a model should see them: markup taken out where it is markup, and nothing else.

How a data set's texts are cleaned is decided once, from its first rows (`kind_of_texts`), kept with
the run, and the same for every text in training and in prediction.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from typing import Final

from agnews_cli.core.run.dataset import Cleaning

VERSION: Final = 2
"""Raise when `clean` changes: tokens cached from the old texts are then not used."""

# AG News lost the & of its entities: "Messier #39;s", "  quot;I am". A space stands in its place.
_LOST = re.compile(r"(?:^|\s)(#\d{2,5}|quot|amp|lt|gt|nbsp|apos|hellip|[mn]dash|[lr][sd]quo);")
_NAMES = (
    "a|b|big|blockquote|br|center|cite|code|dd|div|dl|dt|em|font|h[1-6]|hr|i|img|li|nobr|ol|p|pre|s|"
    "small|span|strong|sub|sup|table|tbody|td|th|tr|tt|u|ul"
)
_TAG = re.compile(rf"</?(?:{_NAMES})(?:\s[^<>]*)?/?>", re.IGNORECASE)
# Attributes as HTML has them, so that `x<s , y>` is none.
_ATTRIBUTES = r"(?:\s+[\w:-]+(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s\"'<>=]+))?)*\s*/?"
_WELL_FORMED = re.compile(rf"<(/?)({_NAMES}){_ATTRIBUTES}>", re.IGNORECASE)
# These need no end, and are no names in any program.
_ALONE = frozenset({"br", "hr", "img"})

# What prose hardly has: braces, calls, operators, line ends with a semicolon, directives.
_CODE = re.compile(
    r"[{}]|\w\(\)|[;{]\s*(?:\n|$)|=>|->|::|==|!=|&&|\|\||^\s*(?:#include|import \w|from \w+ import|"
    r"def \w+\(|class \w+[:({]|function\b|return\b|SELECT\b)",
    re.MULTILINE,
)
_SAMPLE_ROWS = 500
_SAMPLE_CHARACTERS = 2000
_CODE_SHARE = 0.3
_LOST_SHARE = 0.01


def kind_of_texts(texts: Sequence[str]) -> Cleaning:
    """How texts such as these are to be cleaned; the first 500 decide."""
    seen = [text[:_SAMPLE_CHARACTERS] for text in texts[:_SAMPLE_ROWS]]
    if not seen:
        return "markup"
    if sum(_CODE.search(text) is not None for text in seen) > _CODE_SHARE * len(seen):
        return "none"
    lost = sum(_LOST.search(text) is not None for text in seen)
    return "news" if lost > max(1, _LOST_SHARE * len(seen)) else "markup"


def clean(text: str, kind: Cleaning = "markup") -> str:
    r"""`text` as a model should see it.

    *none*: as it is, without white space around it. *markup*: entities are decoded once; HTML tags
    that are well formed and have their partner, or need none, are taken out, so that `vector<i>`
    and the ticker in `<TXN.N>` stay; runs of white space become one space. *news*: besides, what
    AG News lost is repaired: entities without their `&` (` #39;`, ` quot;`) and `\`, its line
    break, which becomes a space (`\$` a `$`).
    """
    return _CLEANERS[kind](text)


def _news(text: str) -> str:
    if ";" in text:
        text = html.unescape(_LOST.sub(r"&\1;", text))
    if "\\" in text:
        text = text.replace("\\$", "$").replace("\\", " ")
    if "<" in text:
        text = _TAG.sub(" ", text)
    return " ".join(text.split())


def _markup(text: str) -> str:
    if "&" in text:
        text = html.unescape(text)
    if "<" in text:
        text = _without_tags(text)
    return " ".join(text.split())


def _without_tags(text: str) -> str:
    found = list(_WELL_FORMED.finditer(text))
    opened = {tag[2].lower() for tag in found if not tag[1]}
    closed = {tag[2].lower() for tag in found if tag[1]}
    partnered = (opened & closed) | _ALONE

    def without(tag: re.Match[str]) -> str:
        name, before = tag[2].lower(), text[max(0, tag.start() - 1) : tag.start()]
        # An old page's paragraph has no end; a type parameter follows its type's name.
        is_open_paragraph = name in {"p", "li"} and not before.isalnum()
        return " " if name in partnered or is_open_paragraph else tag[0]

    return _WELL_FORMED.sub(without, text)


_CLEANERS: dict[Cleaning, Callable[[str], str]] = {
    "none": str.strip,
    "markup": _markup,
    "news": _news,
}
