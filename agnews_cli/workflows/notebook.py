"""A ready notebook for Colab or Kaggle: installs, finds the store, trains, shows the result.

Every cell may be run again, and so may all of them: what is installed stays, a finished run is
recognised, an unfinished one goes on.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import agnews_cli
from agnews_cli.errors import FileThere, UsageError
from agnews_cli.store import presets
from agnews_cli.store.runs import write_text_atomically

Place = Literal["colab", "kaggle"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What the notebook shall do, and where it is written."""

    place: Place
    path: Path
    preset: str | None = None
    arguments: tuple[str, ...] = ()
    """What follows `agnews auto` in it."""
    kaggle_user: str | None = None
    """Whose notebook it will be: then `kernel-metadata.json`, for `kaggle kernels push`, is written
    beside it."""


def write(wish: Wish, *, force: bool) -> tuple[Path, ...]:
    """Write the notebook; the files written. Raises FileThere, PresetUnknown, CannotWrite."""
    if wish.kaggle_user and wish.place != "kaggle":
        raise UsageError(message="--kaggle-user is for a notebook that runs on Kaggle.")
    texts = {wish.path: json.dumps(notebook(wish), indent=1, ensure_ascii=False) + "\n"}
    if wish.kaggle_user:
        beside = wish.path.with_name("kernel-metadata.json")
        texts[beside] = json.dumps(_push_order(wish), indent=2) + "\n"
    for path in texts:
        if path.exists() and not force:
            raise FileThere(path=path)
    for path, text in texts.items():
        write_text_atomically(path, text)
    return tuple(texts)


def notebook(wish: Wish) -> dict[str, Any]:
    """The notebook in nbformat 4.5. Raises PresetUnknown."""
    if wish.preset is not None:
        presets.load(wish.preset)
    cells = [
        _cell("markdown", "about", _ABOUT[wish.place]),
        _cell("code", "install", _INSTALL.replace("VERSION", agnews_cli.__version__)),
        _cell("code", "store", _STORE[wish.place]),
        _cell("code", "train", f"%agnews auto{_options(wish)}"),
        _cell("code", "report", _REPORT),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": metadata | _MACHINE[wish.place],
        "cells": cells,
    }


def _cell(kind: str, name: str, text: str) -> dict[str, Any]:
    source = text.strip("\n").splitlines(keepends=True)
    cell: dict[str, Any] = {"cell_type": kind, "id": name, "metadata": {}, "source": source}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def _options(wish: Wish) -> str:
    words = "".join(f" {shlex.quote(word)}" for word in wish.arguments)
    # IPython fills in {…} and $… in a magic's line.
    return words.replace("{", "{{").replace("}", "}}").replace("$", "$$")


def _push_order(wish: Wish) -> dict[str, Any]:
    """For `kaggle kernels push` (kaggle 2.2.5, docs/kernels_metadata.md)."""
    title = wish.path.stem
    return {
        "id": f"{wish.kaggle_user}/{title}",
        "title": title,
        "code_file": wish.path.name,
        "language": "python",
        "kernel_type": "notebook",
        "is_private": True,
        "enable_gpu": True,
        "enable_internet": True,
        "machine_shape": "NvidiaTeslaT4",
        "dataset_sources": [],
        "kernel_sources": [],
    }


_MACHINE: dict[Place, dict[str, Any]] = {
    "colab": {"accelerator": "GPU", "colab": {"gpuType": "T4", "provenance": []}},
    "kaggle": {
        "kaggle": {
            "accelerator": "nvidiaTeslaT4",
            "isGpuEnabled": True,
            "isInternetEnabled": True,
            "language": "python",
            "sourceType": "notebook",
            "dataSources": [],
        }
    },
}

_AGAIN = """\
**Run all**, now and after every disconnection: what is done is recognised, and training goes on
where it was saved. The stop button saves first.
"""
_ABOUT: dict[Place, str] = {
    "colab": f"""\
# Train a text classifier with agnews

{_AGAIN}
Runs are kept in Google Drive, so Colab asks for leave to use it. Secrets named `HF_TOKEN` or
`KAGGLE_API_TOKEN` (the key on the left) are passed on when you grant them.
""",
    "kaggle": f"""\
# Train a text classifier with agnews

{_AGAIN}
Best run with **Save Version**: the run is then kept as this notebook's output, also when its time
is up. To go on, add that output as an input of this notebook (Add Input) and save a version again.
""",
}

_INSTALL = """\
# What the machine has of torch and its kin is pinned, so that nothing replaces it.
# AGNEWS_INSTALL names another source, such as a folder; with "no" nothing is installed.
import importlib.metadata, os, pathlib, subprocess, sys, tempfile

source = os.environ.get("AGNEWS_INSTALL", "agnews-cli[train,embedded]>=VERSION")
if source != "no":
    kept = ("torch", "nvidia-", "triton", "transformers", "tokenizers", "numpy", "pandas", "jax")
    pins = pathlib.Path(tempfile.gettempdir(), "agnews-constraints.txt")
    there = {d.name.lower(): d.version for d in importlib.metadata.distributions() if d.name}
    pins.write_text("".join(f"{n}=={v}\\n" for n, v in there.items() if n.startswith(kept)))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint", str(pins)]
    subprocess.run([*pip, source], check=True)
%load_ext agnews_cli
"""

_STORE: dict[Place, str] = {
    "colab": """\
# Where runs are kept beyond this machine; set AGNEWS_STORE before for another store.
import os

os.environ.setdefault("AGNEWS_STORE", "drive")
%agnews platform
""",
    "kaggle": """\
# An earlier version's output, attached as an input, is where the run goes on.
import pathlib, shutil

store = pathlib.Path("agnews-runs")
if not store.exists():
    inputs = pathlib.Path("/kaggle/input")
    earlier = [path for depth in range(1, 5) for path in inputs.glob("*/" * depth + store.name)]
    for path in sorted(earlier, key=lambda found: found.stat().st_mtime):
        shutil.copytree(path, store, copy_function=shutil.copyfile, dirs_exist_ok=True)
%agnews platform
""",
}

_REPORT = """\
is_finished = _exit_code == 0
%agnews runs
if is_finished:
    %agnews predict latest "The striker scored twice in extra time"
"""
