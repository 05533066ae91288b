"""129, 130, 143: stopped from outside."""

from __future__ import annotations

from agnews_cli.errors.base import AgnewsError


class Interrupted(AgnewsError):
    """Interrupted; {kept}."""

    word = "stopped"
    exit_code = 130
    hint = "{next}"


class ReaderGone(Interrupted):
    """The terminal, notebook or program that read this command is gone; {kept}."""

    exit_code = 129


class Terminated(Interrupted):
    """The system or another program asked this command to end; {kept}."""

    exit_code = 143
