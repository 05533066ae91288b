"""The secrets that this process could leak: values of the environment and of clients' logins.

They are only ever read to be recognised and hidden; clients find their logins by themselves.
"""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from agnews_cli.core.redaction import redact

_NAME = re.compile(
    r"TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|API_?KEY|ACCESS_?KEY|KAGGLE_KEY", re.I
)
_MOST_BYTES = 10_000


def hidden(text: object) -> str:
    """`text` without secrets: for messages, logs and records."""
    return redact(str(text), known())


def known() -> tuple[str, ...]:
    """Secret values of the environment, and those that clients keep in the user's home."""
    values = [value for name, value in os.environ.items() if _NAME.search(name)]
    home = Path.home()
    hub = Path(os.environ.get("HF_HOME", home / ".cache" / "huggingface"))
    for path in (hub / "token", home / ".kaggle" / "access_token"):
        with suppress(OSError, UnicodeDecodeError):
            values.append(path.read_text("utf-8")[:_MOST_BYTES].strip())
    with suppress(OSError, ValueError, AttributeError):
        text = (home / ".kaggle" / "kaggle.json").read_text("utf-8")[:_MOST_BYTES]
        values.append(str(json.loads(text).get("key", "")))
    return tuple(value for value in values if value and not Path(value).exists())


class _Guarded:
    """A text stream that hides secrets, line by line as they are written."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(hidden(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def guard_output() -> None:
    """From now on this process's standard streams carry no secrets."""
    sys.stdout = _Guarded(sys.stdout)
    sys.stderr = _Guarded(sys.stderr)
