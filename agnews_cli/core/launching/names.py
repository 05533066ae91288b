"""What a launch and its sessions are called: by what was asked for, so that asking again is the
same.

A kernel's name follows from the launch and the session's number alone. A push that is repeated
after this machine died meets the name that is there, and is recognised instead of doubled.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

_LONGEST_LABEL = 24  # Kaggle's names have 50 characters at most
_OTHER = re.compile(r"[^a-z0-9]+")


def launch_id(label: str, facts: Mapping[str, object]) -> str:
    """`<label>-<10 hex digits of SHA-256>` of all that decides what is computed."""
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"{_plain(label)}-{hashlib.sha256(canonical.encode('ascii')).hexdigest()[:10]}"


def session_name(launch: str, number: int) -> str:
    """What the platform calls a session: `agnews-<launch>-s<number>`, its own slug."""
    return f"agnews-{launch}-s{number}"


def data_name(digest: str) -> str:
    """What the platform calls uploaded data: by their content, so that none are sent twice."""
    return f"agnews-data-{digest[:16]}"


def _plain(label: str) -> str:
    """Lower-case letters, digits and single dashes, as a title becomes a slug."""
    return _OTHER.sub("-", label.lower()).strip("-")[:_LONGEST_LABEL].strip("-") or "auto"
