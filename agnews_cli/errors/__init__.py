"""One tree of errors. A class's docstring is its message; a hint names the next command.

Raise with the facts the message names: `raise FileMissing(path="x.csv")`. The command line
catches `AgnewsError` at one boundary and exits with its code; `docs/exit-codes.md` is generated
from this room. Codes follow sysexits.h where it has one.
"""

from __future__ import annotations

from agnews_cli.errors.base import *  # noqa: F403
from agnews_cli.errors.command_line import *  # noqa: F403
from agnews_cli.errors.configuration import *  # noqa: F403
from agnews_cli.errors.data import *  # noqa: F403
from agnews_cli.errors.disk import *  # noqa: F403
from agnews_cli.errors.exporting import *  # noqa: F403
from agnews_cli.errors.launching import *  # noqa: F403
from agnews_cli.errors.missing import *  # noqa: F403
from agnews_cli.errors.paused import *  # noqa: F403
from agnews_cli.errors.services import *  # noqa: F403
from agnews_cli.errors.stopped import *  # noqa: F403
from agnews_cli.errors.training import *  # noqa: F403
