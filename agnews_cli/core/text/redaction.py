"""Secrets out of texts that are shown: by value where it is known, by shape where it is not.

Never out of what is read back: there a word that is hidden is a word that is lost.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus, unquote

HIDDEN = "[hidden]"

_LEAST_LENGTH = 6  # a shorter value would hide ordinary words
_LONG = 12
_NAMES = re.compile(
    r"(?i)token|secret|passw|credential|authorization|api_?key|access_?key|private_?key|kaggle_key"
)
_MAYBE = re.compile(r"(?i)_key$|^key$")  # or what a partition or a sort goes by
_WORD = r"(?:[a-z]{1,15}|[A-Z]{1,15}|[A-Z][a-z]{1,14})"
_WORDS = re.compile(rf"{_WORD}(?:[-_./: ]{_WORD})*")
_NAME = re.compile(rf"[~./]*{_WORD}(?:[-_./: ]+{_WORD}|[-_./: ]?\d{{1,4}}(?!\w))*/?")
_SHAPES = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?<=://)[^/\s@'\"]+(?=@)",  # user and password of a URL
        r"(?i)(?<=bearer )(?=\S*[\d._=-])[\w.~+/=-]{8,}",  # "the bearer certificate" stays
        r"(?i)(?<=basic )(?=\S*[\d+/=])[\w+/=-]{8,}",
        r"\bhf_[A-Za-z0-9]{8,}",
        r"\bgh[pousr]_[A-Za-z0-9]{16,}",
        r"\bgithub_pat_\w{20,}",
        r"\bKGAT_\w{8,}",
        r"\bsk-[\w-]{16,}",
        r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}",
        # In a query, a JSON object or an assignment, where the name says what the value is.
        r"(?i)(?<=[?&])(?:[\w-]*(?:token|signature|secret|password|credential|key))=[^&\s'\"]+",
        r"(?i)(?<=\"key\":\")[^\"]{8,}|(?<=\"key\": \")[^\"]{8,}",
        r"(?i)\b[\w-]*(?:token|secret|passwd|password|api_?key|access_?key)[\"']?\s*[=:]\s*"
        r"[\"']?[^\s,;'\"&}]{8,}",
    )
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without `secrets`, however they are written in it, and without what looks like one."""
    known = tuple(sorted({secret for secret in secrets if len(secret) >= _LEAST_LENGTH}))
    if known:
        text = _pattern(known).sub(HIDDEN, text)
    for shape in _SHAPES:
        text = shape.sub(HIDDEN, text)
    return text


def redact_prose(value: Any, secrets: Iterable[str] = ()) -> Any:
    """A JSON value whose prose is redacted; names, paths and numbers in it stay as they are."""
    if isinstance(value, str):
        return redact(value, secrets if re.search(r"\s", value) else ())
    if isinstance(value, Mapping):
        return {key: redact_prose(item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_prose(item, secrets) for item in value]
    return value


def secrets_in(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Values of variables whose names say that they are secret, and passwords inside addresses.

    What is short, a word or a name is none: to hide it would hide it everywhere else too.
    """
    found: list[str] = []
    for name, value in environment.items():
        if _NAMES.search(name):
            found += filter(_is_secret, _lines(value))
        elif _MAYBE.search(name):
            found += (line for line in _lines(value) if _is_secret(line) and not _is_name(line))
        for password in re.findall(r"://[^/\s:@]*:([^/\s@]+)@", value):
            found += filter(_is_secret, {password, unquote(password)})
    return tuple(found)


def _lines(value: str) -> Iterator[str]:
    """The value and, since texts are shown line by line, each of its lines."""
    yield from dict.fromkeys(line.strip() for line in (value, *value.splitlines()))


def _is_secret(value: str) -> bool:
    is_word = bool(_WORDS.fullmatch(value)) and len(value) < _LONG
    is_number = value.isdecimal() and len(value) < _LONG
    return len(value) >= _LEAST_LENGTH and not is_word and not is_number


def _is_name(value: str) -> bool:
    return bool(_NAME.fullmatch(value))


@lru_cache(maxsize=8)
def _pattern(secrets: tuple[str, ...]) -> re.Pattern[str]:
    forms = {form for secret in secrets for form in _forms(secret) if len(form) >= _LEAST_LENGTH}
    return re.compile("|".join(map(re.escape, sorted(forms, key=len, reverse=True))))


def _forms(secret: str) -> Iterator[str]:
    """How a secret may be written in a text: as it is, quoted, escaped, encoded."""
    raw = secret.encode("utf-8", "surrogateescape")
    yield from (secret, repr(secret)[1:-1], repr(raw)[2:-1], html.escape(secret))
    for is_ascii in (True, False):
        once = json.dumps(secret, ensure_ascii=is_ascii)[1:-1]
        yield from (once, once.replace("/", "\\/"), json.dumps(once)[1:-1])
    for quoted in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
        yield quoted
        yield re.sub(r"%..", lambda found: found[0].lower(), quoted)
    yield secret.replace("'", "'\"'\"'")  # within a shell's single quotes
    yield secret.replace("'", "'\\''")
    yield re.sub(r"([^\w@%+=:,./-])", r"\\\1", secret)
    yield raw.hex()
    for shift in range(3):  # wherever it begins in what was encoded, as after `user:`
        coded = base64.b64encode(bytes(shift) + raw).decode()
        whole = coded[(0, 2, 3)[shift] : 8 * (shift + len(raw)) // 6]
        yield from (whole, whole.translate(str.maketrans("+/", "-_")))
