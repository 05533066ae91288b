"""66: something named is not there."""

from __future__ import annotations

from agnews_cli.errors.base import AgnewsError


class FileMissing(AgnewsError):
    """{path}: no such file or folder."""

    exit_code = 66
    hint = "Check the path."


class CannotRead(AgnewsError):
    """Cannot read {path}: {reason}."""

    exit_code = 66
    hint = "Check its permissions: ls -l {path!q}"


class NothingToResume(AgnewsError):
    """There is no unfinished run in {store}."""

    exit_code = 66
    hint = "Begin one: agnews auto; or name another store: agnews resume --store DIR"
