"""What every error is."""

from __future__ import annotations

import inspect
import shlex
import string
from typing import Any, ClassVar


class _Words(string.Formatter):
    """What `str.format` does; and `{path!q}` is one word of a command, as a shell reads it."""

    def convert_field(self, value: Any, conversion: Any) -> Any:
        return (
            shlex.quote(str(value))
            if conversion == "q"
            else super().convert_field(value, conversion)
        )


_WORDS = _Words()


class AgnewsError(Exception):
    """{message}"""

    exit_code: ClassVar[int] = 1
    hint: ClassVar[str] = ""
    word: ClassVar[str] = "error"
    """What stands before the message; `stopped` where nothing went wrong."""

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        template = inspect.cleandoc(type(self).__doc__ or "{message}")
        self.message = template.format(**facts)
        self.advice = str(facts.get("hint") or _WORDS.format(self.hint, **facts))
        super().__init__(self.message)


class ReportedError(AgnewsError):
    """{message}"""

    # An error that another process already put into words; it keeps its exit code.
    def __init__(self, message: str, hint: str, exit_code: int, kind: str) -> None:
        super().__init__(message=message, hint=hint)
        self.exit_code = exit_code  # type: ignore[misc]
        self.kind = kind


class InternalError(AgnewsError):
    """agnews met an error of its own: {what}"""

    hint = "The details are in {log}; please report them with the command you typed."
