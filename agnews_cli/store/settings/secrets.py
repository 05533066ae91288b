"""The secrets that this process could leak: values of the environment and of clients' logins.

They are only ever read to be recognised and hidden; clients find their logins by themselves.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from agnews_cli.core.text.redaction import redact, secrets_in

_MOST_BYTES = 10_000


def hidden(text: object) -> str:
    """`text` without secrets: for messages, logs and records."""
    return redact(str(text), known())


def known() -> tuple[str, ...]:
    """Secret values of the environment, and those that clients keep in the user's home."""
    values = list(secrets_in(os.environ))
    with suppress(RuntimeError):  # a user without a home, as in some containers
        values += _stored(Path.home())
    return tuple(value for value in values if value and not _is_there(value))


def _stored(home: Path) -> list[str]:
    values = []
    hub = Path(os.environ.get("HF_HOME", home / ".cache" / "huggingface"))
    for path in (hub / "token", home / ".kaggle" / "access_token"):
        with suppress(OSError, UnicodeDecodeError):
            values.append(path.read_text("utf-8")[:_MOST_BYTES].strip())
    with suppress(OSError, ValueError, AttributeError):
        text = (home / ".kaggle" / "kaggle.json").read_text("utf-8")[:_MOST_BYTES]
        values.append(str(json.loads(text).get("key", "")))
    return values


def _is_there(value: str) -> bool:
    """Whether it is a file's path, such as that of credentials, and no secret itself."""
    try:
        return Path(value).exists()
    except (OSError, ValueError):  # far too long for a name, as many tokens are
        return False
