"""Names that records can hold: JSON and YAML are Unicode, file names are bytes."""

from __future__ import annotations

import os
from pathlib import Path

from agnews_cli.errors import NotUnicode


def local(given: str | Path) -> Path:
    """A path as typed, `~` as the user's home; `~name` is a file's where no user is called so."""
    path = Path(given)
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def require_unicode(*paths: str | Path | None) -> None:
    """Raises NotUnicode for a name that no record holds, before anything is done with it."""
    for path in paths:
        raw = os.fsencode(path or "")
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError:
            shown = raw.decode("utf-8", "backslashreplace")
            raise NotUnicode(path=shown, quoted=f"$'{''.join(map(_quoted, raw))}'") from None


def _quoted(byte: int) -> str:
    """As bash reads it between $' and '."""
    is_plain = 32 <= byte < 127 and byte not in b"'\\"
    return chr(byte) if is_plain else f"\\x{byte:02x}"
