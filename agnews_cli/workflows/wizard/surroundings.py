"""What the wizard sees before it asks: the machine, labelled files nearby, presets, the store.

Looking is bounded: files are read whole only while they are small and time is left; of the others
the size is told. Nothing is written, except for a moment where a store is tried.
"""

from __future__ import annotations

import importlib.util
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

import agnews_cli
from agnews_cli.core.graph.asked import AnyPreset, Single
from agnews_cli.core.machine.accelerator import Accelerator
from agnews_cli.core.machine.platform import Platform, describe
from agnews_cli.core.run.cost import KnownSpeeds
from agnews_cli.core.run.dataset import Dataset, Reading, split_of
from agnews_cli.core.run.needs import Need, Needs
from agnews_cli.core.run.preset import NAMING, Preset
from agnews_cli.errors import AgnewsError, BadRow, HubUnreachable, NoLabelColumn, NoTextColumn
from agnews_cli.host import network
from agnews_cli.host.detect import detect
from agnews_cli.store.data import datasets, splits
from agnews_cli.store.disk import home
from agnews_cli.store.disk.names import local
from agnews_cli.store.disk.space import nearest_there
from agnews_cli.store.formats import tables
from agnews_cli.store.model import models
from agnews_cli.store.run import runs
from agnews_cli.store.settings import catalogue, preset_shapes
from agnews_cli.workflows.forecast.costs import Ground
from agnews_cli.workflows.train.scene import SAMPLE

HERE = "here"
_HUB_TIMEOUT_S = 5.0
_LOOKING_S = 3.0
_LARGEST_BYTES = 50_000_000
_MOST_SOURCES = 6
_DRIVE = "/content/drive/MyDrive"
_T4 = Accelerator("cuda", "Tesla T4", 1, 15 * 2**30, (7, 5), has_fast_bf16=False)


@dataclass(frozen=True, slots=True)
class DataLook:
    """A data set as far as it was read. `problem` says why it cannot be trained on as it is."""

    rows: int | None = None
    classes: int | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    """All of them with their first value, where one has still to be named."""
    missing: Literal["text", "label"] | None = None
    problem: str = ""
    note: str = ""
    data: Dataset | None = None
    """All that was found out."""

    @property
    def is_usable(self) -> bool:
        return not self.problem

    def words(self) -> str:
        """`1,200 rows, 3 classes`, or what is not known, or what is wrong."""
        if self.missing is not None:
            return f"its {self.missing} column must be named"
        if self.problem or self.rows is None:
            return self.problem or self.note
        return f"{self.rows:,} rows, {self.classes} classes"


@dataclass(frozen=True, slots=True)
class DataPlace:
    """Data that may be meant. `value` is what `--data` takes; None stands for no `--data`."""

    value: str | None
    title: str
    look: DataLook


@dataclass(frozen=True, slots=True)
class StorePlace:
    """A store that may be meant. `value` is what `--store` takes; None stands for no `--store`."""

    value: str | None
    title: str
    note: str


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a run may be trained. Another than this one is assumed, not seen."""

    name: str
    title: str
    note: str
    accelerator: Accelerator
    stores: tuple[StorePlace, ...]
    """The first is proposed."""


_ON_DRIVE = StorePlace(
    f"{_DRIVE}/agnews-runs", "Drive", "survives the session; Colab asks for leave"
)


def benchmarks(preset: Preset, device: Accelerator) -> KnownSpeeds:
    """No runs, and no device but those that our benchmarks name."""
    return KnownSpeeds(has_fast_bf16=bool(device.has_fast_bf16))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All that the questions are built from; the first machine is this one."""

    machines: tuple[Machine, ...]
    sources: tuple[DataPlace, ...]
    presets: tuple[Preset, ...]
    unavailable: Mapping[str, str]
    """Presets whose weights cannot be had on this machine, and why."""
    look: Callable[[str, tuple[str, ...], str | None], DataLook]
    """Data, text columns, label column → what is there."""
    store_problem: Callable[[str], str]
    """Why nothing can be written there; empty where it can."""
    file: str
    """Where the answers will be saved."""
    several: tuple[AnyPreset, ...] = ()
    """Presets of several models."""
    known: Callable[[Preset, Accelerator], KnownSpeeds] = benchmarks
    """What is known of a preset's speed on a machine."""
    need: Callable[[Preset, Accelerator], Need | None] = lambda preset, device: None
    """What its training takes of a machine's memory."""


def look_around(file: str, *, may_ask_hub: bool) -> Surroundings:
    """This machine and this folder. Takes as long as the hub's answer, at most a few seconds."""
    platform = detect()
    has_hub = may_ask_hub and network.hub_answers(_HUB_TIMEOUT_S)
    # Those for a platform or a goal name one of the others, among which the wizard chooses itself.
    shapes = [one for one in preset_shapes.load_all() if one.tier not in NAMING]
    every = tuple(one.preset for one in shapes if isinstance(one, Single))
    return Surroundings(
        machines=(_here(platform), *(m for m in _elsewhere() if m.name != platform.name)),
        sources=(*_nearby(Path()), *_built_in(has_hub)),
        presets=every,
        unavailable={p.name: why for p in every if (why := _why_unavailable(p, has_hub))},
        look=inspect,
        store_problem=_store_problem,
        file=file,
        several=tuple(one for one in shapes if not isinstance(one, Single)),
        known=_knowledge(runs.default_store(platform.name)),
        need=_need(Needs(catalogue.load())),
    )


def _need(needs: Needs) -> Callable[[Preset, Accelerator], Need | None]:
    return lambda one, device: needs.of(one.model, one.method, one.training, device)


def _knowledge(store: Path) -> Callable[[Preset, Accelerator], KnownSpeeds]:
    """From the runs of a store, read once for each kind of CPU."""

    @cache
    def ground(has_fast_bf16: bool) -> Ground:
        return Ground(store, cpu=Accelerator("cpu", "CPU", has_fast_bf16=has_fast_bf16))

    return lambda preset, device: ground(bool(device.has_fast_bf16)).known(preset)


# ---- machines -----------------------------------------------------------------------------------


def _here(platform: Platform) -> Machine:
    default = runs.default_store(platform.name)
    title = str(default) if platform.name == "kaggle" else "./agnews-runs"
    notes = (_free(default), platform.storage_hint)
    stores = [StorePlace(None, title, "; ".join(note for note in notes if note))]
    if platform.name == "colab" and Path(_DRIVE).is_dir():
        stores.insert(0, _ON_DRIVE)
    device = platform.accelerator
    each = "" if device.count == 1 else " each"
    memory = "" if device.memory_bytes is None else f", {device.memory_bytes / 1e9:.0f} GB{each}"
    return Machine(
        name=HERE,
        title="This machine",
        note=describe(platform).partition(", because")[0] + memory,
        accelerator=device,
        stores=tuple(stores),
    )


def _elsewhere() -> tuple[Machine, ...]:
    """What free GPUs are as a rule (October 2026); assumed, so the run looks again."""
    gone = StorePlace("agnews-runs", "./agnews-runs", "gone when the session ends")
    kept = StorePlace(None, "/kaggle/working/agnews-runs", "kept when a batch run ends")
    two = Accelerator("cuda", "Tesla T4", 2, _T4.memory_bytes, _T4.capability, has_fast_bf16=False)
    return (
        Machine("kaggle", "Kaggle", "2 × T4 of 16 GB, assumed", two, (kept,)),
        Machine("colab", "Colab", "1 × T4 of 16 GB, assumed", _T4, (_ON_DRIVE, gone)),
    )


def _free(path: Path) -> str:
    try:
        return f"{runs.size(shutil.disk_usage(nearest_there(path)).free)} free"
    except OSError:
        return "free space unknown"


def _store_problem(folder: str) -> str:
    try:
        runs.require_space(local(folder), 0)
    except AgnewsError as error:
        return error.message
    return ""


# ---- presets ------------------------------------------------------------------------------------


def _why_unavailable(preset: Preset, has_hub: bool) -> str:
    try:
        models.of_preset(preset, hub=lambda: has_hub)
    except HubUnreachable:
        return "its weights are on the hub, which does not answer"
    except AgnewsError as error:
        return error.message
    return ""


# ---- data ---------------------------------------------------------------------------------------


@cache
def inspect(data: str, text_columns: tuple[str, ...], label_column: str | None) -> DataLook:
    """Reads what lies on this disk; what is on the hub is read when the run begins."""
    if datasets.is_hub_id(data):
        return DataLook(note="on the hub, read when the run begins")
    try:
        reading = Reading(text_columns=text_columns, label_column=label_column)
        rows = datasets.RowCache.of(home.cache())  # the run that follows need not read them again
        found = datasets.find(data, reading, cache=rows)
    except (NoTextColumn, NoLabelColumn) as error:
        missing: Literal["text", "label"] = "text" if isinstance(error, NoTextColumn) else "label"
        return DataLook(columns=_columns(error), missing=missing, problem=error.message)
    except AgnewsError as error:
        return DataLook(problem=error.message)
    return DataLook(rows=found.train.rows, classes=len(found.labels), data=found)


def _columns(error: AgnewsError) -> Mapping[str, str]:
    table = tables.open_file(str(error.facts["path"]), is_header=lambda fields: False)
    first = next(iter(table.rows(range(len(table.columns)))), (0, ()))[1]
    if isinstance(first, BadRow):
        return {}
    return dict(zip(table.columns, map(str, first), strict=False))


def _built_in(has_hub: bool) -> tuple[DataPlace, ...]:
    folder = str(Path(agnews_cli.__file__).parent / "sample")
    sample = DataPlace(SAMPLE, "Built-in sample of news", inspect(folder, (), None))
    title = "AG News, from the hub"
    if has_hub and importlib.util.find_spec("datasets"):
        # Its published sizes; the run counts again.
        return DataPlace(None, title, DataLook(rows=120_000, classes=4)), sample
    why = "`datasets` is not installed" if has_hub else "no hub answers"
    return sample, DataPlace(
        None, title, DataLook(note=f"not here, where {why}: the sample instead")
    )


def _nearby(folder: Path) -> tuple[DataPlace, ...]:
    """Labelled files here and in folders here, the newest first; what cannot be used comes last."""
    began = time.monotonic()
    found: list[DataPlace] = []
    for path in _candidates(folder):
        if sum(source.look.is_usable for source in found) == _MOST_SOURCES:
            break
        size_bytes = path.stat().st_size if path.is_file() else 0
        look = DataLook(note=f"{runs.size(size_bytes)}, not read yet")
        if size_bytes <= _LARGEST_BYTES and time.monotonic() - began < _LOOKING_S:
            look = inspect(str(path), (), None)
        found.append(DataPlace(str(path), "This folder" if path == folder else str(path), look))
    return tuple(sorted(found, key=lambda source: not source.look.is_usable)[:_MOST_SOURCES])


def _candidates(folder: Path) -> Sequence[Path]:
    try:
        entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
        tabular = [p for p in entries if p.suffix.lower() in splits.TABULAR and p.is_file()]
        folders = [p for p in entries if p.is_dir() and _has_training_file(p)]
        is_split = _has_training_file(folder)
        files = [p for p in tabular if not (is_split and split_of(p.stem))]
        dated = sorted((*files, *folders), key=lambda p: (-p.stat().st_mtime, p.name))
        return [p for p in ([folder] if is_split else []) + dated if _is_unicode(p)]
    except OSError:
        return []


def _has_training_file(folder: Path) -> bool:
    try:
        names = [path for path in folder.iterdir() if path.suffix.lower() in splits.TABULAR]
    except OSError:
        return False
    return any(split_of(path.stem) == "train" for path in names)


def _is_unicode(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True
