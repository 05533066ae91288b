"""Training options, one module each (`learn.kinds.option`); an option is added by a file here."""

from __future__ import annotations

import sys

from agnews_cli.learn.kinds.option import Option, Start
from agnews_cli.learn.kinds.registry import modules


def begin(start: Start) -> dict[str, Option]:
    """The options that are on, by name."""
    begun = {name: each.begin(start) for name, each in modules(sys.modules[__name__]).items()}
    return {name: option for name, option in begun.items() if option is not None}
