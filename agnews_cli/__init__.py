"""Train text classifiers on free GPUs and CPUs, one command from data to a usable model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from agnews_cli.loaded import LoadedModel

__version__ = "0.1.0"


def load(run: str | Path = "latest", *, store: str | Path | None = None) -> LoadedModel:
    """The model of a run: an id, its beginning, `latest`, a run's folder or a delivered model's.

    `store`: the folder for runs, where it is not the usual one. Raises RunUnknown, RunUnfinished,
    NotAModel or ModelNotReadable, each an `agnews_cli.errors.AgnewsError` with `message` and
    `advice`. Nothing heavy is imported here: the model runs in a process of its own.
    """
    from agnews_cli import loaded

    return loaded.load(run, store)


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext agnews_cli` in a notebook: from then on there are `%agnews …` and `%%agnews`."""
    from agnews_cli.cli.magic import register

    register(shell)
