"""Secrets out of texts: by value where it is known, by shape where it is not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

HIDDEN = "[hidden]"

_LEAST_LENGTH = 8  # a shorter value would hide ordinary words
_NAMES = re.compile(
    r"(?i)token|secret|passw|credential|authorization|api_?key|access_?key|private_?key|_key$|^key$"
)
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
    """`text` without `secrets`, and without what has the shape of one."""
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) >= _LEAST_LENGTH:
            text = text.replace(secret, HIDDEN)
    for shape in _SHAPES:
        text = shape.sub(HIDDEN, text)
    return text


def secrets_in(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Values of variables whose names say that they are secret, and passwords inside addresses."""
    found = [value for name, value in environment.items() if _NAMES.search(name)]
    for value in environment.values():
        found += re.findall(r"://[^/\s:@]*:([^/\s@]+)@", value)
    return tuple(value.strip() for value in found if len(value.strip()) >= _LEAST_LENGTH)
