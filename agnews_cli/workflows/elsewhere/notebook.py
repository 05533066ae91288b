"""A ready notebook for Colab or Kaggle: installs, finds the store, trains, shows the result.

Every cell may be run again, and so may all of them: what is installed stays, a finished run is
recognised, an unfinished one goes on. What lies on this disk does not lie there: a preset's file is
written into the notebook, and data are found there by their name.
"""

from __future__ import annotations

import base64
import json
import lzma
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from agnews_cli.core.graph.asked import Single
from agnews_cli.errors import FileThere, UsageError
from agnews_cli.store.disk import outputs
from agnews_cli.store.settings import preset_shapes, presets
from agnews_cli.workflows.elsewhere import package

Place = Literal["colab", "kaggle"]
PLACES: Mapping[str, Place] = {"colab": "colab", "kaggle": "kaggle"}


@dataclass(frozen=True, slots=True)
class NotebookOrder:
    """What the notebook shall do, and where it is written."""

    place: Place
    path: Path
    preset: str | None = None
    arguments: tuple[str, ...] = ()
    """What follows `agnews auto` in it."""
    kaggle_user: str | None = None
    """Whose notebook it will be: then `kernel-metadata.json`, for `kaggle kernels push`, is written
    beside it."""
    session: BatchSession | None = None
    """It runs unattended on Kaggle, as a session of a launch."""


@dataclass(frozen=True, slots=True)
class BatchSession:
    """A session that nobody watches: its store is in its output, and it says how it ended."""

    launch: str
    number: int
    store: str
    """The name of the folder that is a store, here and in the outputs of sessions before."""
    report: str
    """The name of the file that says how it ended."""
    goes_on: bool
    """Whether there were sessions before that left something."""
    data: str = ""
    """What the data are called among the inputs; empty: as here."""


def write(order: NotebookOrder, *, force: bool) -> tuple[Path, ...]:
    """Write the notebook; the files written. Raises FileThere, PresetUnknown, CannotWrite."""
    if order.kaggle_user and order.place != "kaggle":
        raise UsageError(message="--kaggle-user is for a notebook that runs on Kaggle.")
    beside = order.path.with_name("kernel-metadata.json")
    for path in (order.path, beside) if order.kaggle_user else (order.path,):
        if path.exists() and not force:
            raise FileThere(path=path)
    texts = {order.path: json.dumps(notebook(order), indent=1, ensure_ascii=False) + "\n"}
    if order.kaggle_user:
        texts[beside] = json.dumps(_push_order(order), indent=2) + "\n"
    for path, text in texts.items():
        outputs.write(path, text)
    return tuple(texts)


def next_steps(order: NotebookOrder) -> tuple[str, ...]:
    """What is left to do with the notebook, in words."""
    data = _taken(order.arguments).data
    return (
        _OPEN[order.place],
        *([_BRING[order.place].format(data=data)] if data else []),
    )


def notebook(order: NotebookOrder) -> dict[str, Any]:
    """The notebook in nbformat 4.5. Raises PresetUnknown."""
    if order.preset is not None:
        preset_shapes.load(order.preset)
    session = order.session
    taken, extras = _taken(order.arguments, session.data if session else ""), _extras(order)
    source = package.source(extras)
    cells = [
        _cell("markdown", "about", _about(order, taken)),
        *_carried(source),
        _cell("code", "install", _INSTALL.replace("SOURCE", _where(source, extras))),
        _cell("code", "store", _store(order)),
        *taken.cells(order.place),
        *_trained(f"%agnews auto{_options(taken.arguments)}", session),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": metadata | _MACHINE[order.place],
        "cells": cells,
    }


def _about(order: NotebookOrder, taken: _Taken) -> str:
    if order.session is None:
        return _ABOUT[order.place] + taken.about(order.place)
    return _ABOUT_SESSION.format(launch=order.session.launch, number=order.session.number)


def _store(order: NotebookOrder) -> str:
    if order.session is not None:
        code = _STORE_OF_SESSION.replace("KEPT", repr(order.session.store))
        return code.replace("GOES_ON", str(order.session.goes_on))
    has_store = order.place == "colab" and "--store" in order.arguments
    return _STORE[order.place] if not has_store else "%agnews platform"


def _trained(command: str, session: BatchSession | None) -> list[dict[str, Any]]:
    if session is None:
        return [_cell("code", "train", command), _cell("code", "report", _REPORT)]
    facts = f'"launch": "{session.launch}", "session": {session.number}'
    code = _TRAIN_OF_SESSION.replace("REPORT", session.report).replace("FACTS", facts)
    return [_cell("code", "train", code.replace("COMMAND", command))]


def _cell(kind: str, name: str, text: str) -> dict[str, Any]:
    source = text.strip("\n").splitlines(keepends=True)
    cell: dict[str, Any] = {"cell_type": kind, "id": name, "metadata": {}, "source": source}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def _carried(source: package.PackageSource) -> list[dict[str, Any]]:
    """The package in a cell of its own, folded away where a front end can."""
    if not source.wheel:
        return []
    code = _PACKAGE.replace("FILE", source.file).replace("TEXT", _packed(source.wheel))
    cell = _cell("code", "package", code)
    folded = {"cellView": "form", "_kg_hide-input": True, "jupyter": {"source_hidden": True}}
    return [cell | {"metadata": folded}]


@cache
def _packed(wheel: bytes) -> str:
    text = base64.b64encode(lzma.compress(wheel)).decode()
    return "\n".join(text[at : at + 2000] for at in range(0, len(text), 2000))


def _where(source: package.PackageSource, extras: Sequence[str]) -> str:
    """Python for what is installed."""
    if source.requirement:
        return repr(source.requirement)
    return f"f'{{package()}}[{','.join(extras)}]'"


def _extras(order: NotebookOrder) -> tuple[str, ...]:
    """What training needs, and the tracker that is told of it."""
    track = dict(pairwise(order.arguments)).get("--track", "none")
    return (*package.TRAINING, *([] if track == "none" else [track]))


# ---- what lies on this disk ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Taken:
    """Arguments that hold on another machine, and what has to come along for that."""

    arguments: tuple[str, ...]
    data: str = ""
    """The name of a file or a folder."""
    preset: str = ""
    """The name of a file."""
    preset_text: str = ""

    def about(self, place: Place) -> str:
        return f"\n{_BRING[place].format(data=f'`{self.data}`')}\n" if self.data else ""

    def cells(self, place: Place) -> list[dict[str, Any]]:
        found = []
        if self.preset:
            found.append(_cell("code", "preset", f"%%writefile {self.preset}\n{self.preset_text}"))
        if self.data:
            code = _DATA.replace("NAME", repr(self.data)).replace("MISSING", _MISSING[place])
            found.append(_cell("code", "data", code))
        return found


def _taken(arguments: Sequence[str], there: str = "") -> _Taken:
    """`there`: what the data are called on that machine."""
    words, data, preset, text = list(arguments), "", "", ""
    for at, (option, value) in enumerate(pairwise(arguments), 1):
        if _is_there(value):
            continue
        if option == "--data" and Path(value).expanduser().exists():
            data = words[at] = there or Path(value).expanduser().absolute().name
        elif option == "--preset" and presets.is_own(value):
            text, preset = _carried_preset(value)
            words[at] = preset
    return _Taken(tuple(words), data, preset, text)


def _carried_preset(name: str) -> tuple[str, str]:
    """(its YAML, its file's name) for a machine that has none of the user's: with all that it
    extends and names."""
    shape = preset_shapes.load(name)
    is_whole = isinstance(shape, Single) and not presets.extends(name)
    text = presets.text(name) if is_whole else preset_shapes.resolved_text(shape)
    return text, f"{shape.name}.yaml"


def _is_there(path: str) -> bool:
    """Whether it is a path of a notebook's machine already."""
    return path.startswith(("/content/", "/kaggle/"))


def _options(arguments: Sequence[str]) -> str:
    words = "".join(f" {shlex.quote(word)}" for word in arguments)
    # IPython fills in {…} and $… in a magic's line.
    return words.replace("{", "{{").replace("}", "}}").replace("$", "$$")


def _push_order(order: NotebookOrder) -> dict[str, Any]:
    """For `kaggle kernels push` (kaggle 2.2.5, docs/kernels_metadata.md)."""
    title = order.path.stem
    return {
        "id": f"{order.kaggle_user}/{title}",
        "title": title,
        "code_file": order.path.name,
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

_ABOUT_SESSION = """\
# Session {number} of {launch}

Begun by `agnews launch kaggle`, which brings its output home and begins the next one.
"""

_OPEN: dict[Place, str] = {
    "colab": "Open it: colab.research.google.com, File > Upload notebook; then Runtime > Run all",
    "kaggle": "Open it: kaggle.com/code/new, File > Import Notebook; then Run All",
}
_BRING: dict[Place, str] = {
    "colab": "Your data, {data}, is asked for there where it is neither uploaded nor in Drive.",
    "kaggle": "Add your data, {data}, there first: Add Input > Upload > New Dataset.",
}

_PACKAGE = '''
#@title agnews itself, as it was where this notebook was written
import base64, lzma, pathlib, tempfile

PACKAGE = """
TEXT
"""


def package():
    wheel = pathlib.Path(tempfile.mkdtemp(), "FILE")
    wheel.write_bytes(lzma.decompress(base64.b64decode(PACKAGE)))
    return wheel
'''

_DATA = """\
# Your data: looked for here, in Drive and among the inputs.
import glob, pathlib

data = pathlib.Path(NAME)
if not data.exists():
    places = ("/content", "/content/drive/MyDrive", *glob.glob("/kaggle/input/**/", recursive=True))
    for there in (pathlib.Path(place, data.name) for place in places):
        if there.exists():
            data.unlink(missing_ok=True)  # a link from an earlier session
            data.symlink_to(there)
            break
    else:
        MISSING
"""
_MISSING: dict[Place, str] = {
    "colab": """\
from google.colab import files

        print(f"Choose {data} on your disk:")
        files.upload()
        if not data.exists():
            raise FileNotFoundError(f"{data}: upload it (Files, left), then run all again")""",
    "kaggle": """\
raise FileNotFoundError(f"{data}: add it (Add Input > Upload), and run all again")""",
}

_INSTALL = """\
# What the machine has of torch and its kin is pinned, so that nothing replaces it.
# AGNEWS_INSTALL names another source, such as a folder; with "no" nothing is installed.
import importlib, importlib.metadata, os, pathlib, subprocess, sys, tempfile

source = os.environ.get("AGNEWS_INSTALL") or SOURCE
if source != "no":
    kept = ("torch", "nvidia-", "triton", "transformers", "tokenizers", "numpy", "pandas", "jax")
    pins = pathlib.Path(tempfile.mkdtemp(), "agnews-constraints.txt")
    there = {d.name.lower(): d.version for d in importlib.metadata.distributions() if d.name}
    pins.write_text("".join(f"{n}=={v}\\n" for n, v in there.items() if n.startswith(kept)))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint", str(pins)]
    subprocess.run([*pip, source], check=True)
    importlib.invalidate_caches()
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

_STORE_OF_SESSION = """\
# What this session does is its output; what sessions before it did are its inputs.
import os, pathlib

inputs = pathlib.Path("/kaggle/input")
earlier = [str(path) for depth in range(1, 6) for path in inputs.glob("*/" * depth + KEPT)]
if GOES_ON and not earlier:
    raise FileNotFoundError("no session before is among the inputs: nothing is trained again")
stores = ["/tmp/agnews-runs", str(pathlib.Path("/kaggle/working", KEPT)), *earlier]
os.environ["AGNEWS_STORE"] = ",".join(stores)
%agnews platform
"""

_TRAIN_OF_SESSION = """\
# How it ended is read on the machine that started it.
import json, pathlib, time

import psutil

began_s = psutil.Process().create_time()
_exit_code = None
try:
    COMMAND
finally:
    ends = pathlib.Path("/tmp/agnews-runs").glob("*/outcome.json")
    last = max(ends, key=lambda path: path.stat().st_mtime, default=pathlib.Path("/"))
    said = {FACTS, "exit_code": _exit_code, "run": last.parent.name}
    said["lasted_s"] = time.time() - began_s
    pathlib.Path("/kaggle/working/REPORT").write_text(json.dumps(said))
"""

_REPORT = """\
is_finished = _exit_code == 0
%agnews runs
if is_finished:
    %agnews predict latest "The striker scored twice in extra time"
"""
