"""Secrets out of text: known values and everything that has a secret's shape."""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "<secret>"
_LEAST_LETTERS = 8  # shorter values are words that ordinary text contains
_SHAPES = tuple(
    (re.compile(pattern), rest)
    for pattern, rest in (
        (r"\bhf_[A-Za-z0-9]{20,}", ""),
        (r"\bKGAT_[A-Za-z0-9]{16,}", ""),
        (r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", ""),
        (r"\bgh[pousr]_[A-Za-z0-9]{30,}", ""),
        (r"(?i)\b((?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}", r"\1"),
        (r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@'\"]+@", r"\1"),  # URL user-info
        (
            r"(?i)([\"']?\b[\w-]*(?:token|secret|password|passwd|api_?key|access_?key|credential"
            r"|signature)[\w-]*[\"']?\s*[=:]\s*[\"']?)(?!<secret>)[^\s\"'&,;}]{8,}",
            r"\1",
        ),
        (r"(?i)([\"']key[\"']\s*:\s*[\"'])[0-9a-f]{32}", r"\1"),  # kaggle.json
    )
)


def redact(text: str, values: Iterable[str] = ()) -> str:
    """`text` with each of `values`, and what looks like a token, key or password, replaced."""
    for value in sorted({v for v in values if len(v) >= _LEAST_LETTERS}, key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    for shape, before in _SHAPES:
        text = shape.sub(before + HIDDEN + ("@" if before and "://" in shape.pattern else ""), text)
    return text
