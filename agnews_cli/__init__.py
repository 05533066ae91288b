"""Train text classifiers on free GPUs and CPUs, one command from data to a usable model."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext agnews_cli` in a notebook: from then on there are `%agnews …` and `%%agnews`."""
    from agnews_cli.cli.magic import register

    register(shell)
