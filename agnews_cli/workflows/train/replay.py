"""A Request written down: as the keys of a file, and as the command line that says the same.

Both hold only what differs from the defaults of `agnews auto`, under the names of its options.
"""

from __future__ import annotations

import shlex
from typing import Any

from agnews_cli.core.run import request as asking
from agnews_cli.workflows.train.scene import Request


def asked(request: Request) -> dict[str, Any]:
    """The keys and values of the request's file (store/settings/requests)."""
    return asking.written(request.wish, request.session)


def arguments(request: Request) -> tuple[str, ...]:
    """What follows `agnews auto` on the command line that says the same."""
    return asking.arguments(asked(request))


def command(request: Request) -> str:
    """`agnews auto …`, quoted for a shell."""
    return shlex.join(("agnews", "auto", *arguments(request)))
