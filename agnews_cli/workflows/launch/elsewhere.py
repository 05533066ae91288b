"""What a machine that is rented runs: a shell that installs agnews and trains.

Of such machines nothing is sent but a command: data and presets have to be where it finds them.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from agnews_cli.errors import CannotLaunch
from agnews_cli.store.settings import presets
from agnews_cli.workflows.elsewhere import package
from agnews_cli.workflows.launch.wished import LaunchWish
from agnews_cli.workflows.train.scene import Request

RUNS = "/tmp/agnews-runs"


def require_reachable(wish: LaunchWish, request: Request) -> None:
    """Raises CannotLaunch for what lies on this disk alone."""
    if wish.data is not None:
        reason, hint = f"{wish.data} lies on this disk alone", "Name a data set of the hub: --data"
        raise CannotLaunch(reason=reason, hint=f"{hint} owner/name")
    preset = request.wish.preset
    if preset is not None and presets.is_own(preset):
        reason = f"the preset {Path(preset).name} lies on this disk alone"
        raise CannotLaunch(reason=reason, hint="Name a built-in one, and change it with --set.")


def installed(requirement: str | None) -> str:
    """What pip installs there. Raises CannotLaunch where this agnews comes from a folder."""
    found = requirement or package.source().requirement
    if not found:
        reason = "this agnews was installed from a folder, which that machine does not have"
        hint = "Say what pip installs there: --package 'agnews-cli[train] @ git+https://…'"
        raise CannotLaunch(reason=reason, hint=hint)
    return found


def setup(requirement: str) -> str:
    return f"pip install --quiet {shlex.quote(requirement)}"


def train(words: Sequence[str]) -> str:
    return shlex.join(["agnews", "auto", "--store", RUNS, *words])
