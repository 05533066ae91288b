"""`environment.json`: with what a run was made."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from agnews_cli.host.detect import detect
from agnews_cli.store.disk.files import write_text_atomically

_LIBRARIES = ("torch", "transformers", "accelerate", "peft", "scikit-learn", "numpy", "agnews-cli")


def threads() -> int:
    """With how many this process computes: what it was started with."""
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


def cpu() -> str:
    """What this process computes on, where that is no GPU."""
    return f"{detect().accelerator.name}, {threads()} threads"


def write(folder: Path, computed: Mapping[str, object]) -> None:
    """`computed`: on what, and how. Raises CannotWrite or NoDiskSpace."""
    facts: dict[str, object] = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "threads": threads(),
        **computed,
    }
    for name in _LIBRARIES:
        try:
            facts[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            facts[name] = None
    write_text_atomically(folder / "environment.json", json.dumps(facts, indent=2))
