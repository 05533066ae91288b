"""What work costs here: by the model of cost (`core.run.cost`), from what runs in the store have
measured and from what is taken for granted of devices.

Reads runs and writes nothing; asked again after a session, it counts what that session did.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agnews_cli.core.graph.graph import Graph
from agnews_cli.core.graph.shapes import Single
from agnews_cli.core.machine import accelerator
from agnews_cli.core.machine.accelerator import Accelerator
from agnews_cli.core.run.cost import Cost, Costs, KnownSpeeds, Rated
from agnews_cli.core.run.dataset import Dataset
from agnews_cli.core.run.needs import Needs
from agnews_cli.core.run.preset import Model, Preset
from agnews_cli.core.run.rows import trainings
from agnews_cli.core.run.work import Recipe, RunId, Train
from agnews_cli.core.text import strict_json
from agnews_cli.store.disk import files
from agnews_cli.store.settings import catalogue, offers, strict_yaml
from agnews_cli.store.settings.strict_yaml import Refused

if TYPE_CHECKING:
    from agnews_cli.store.run.runs import RunFolder

_TAIL_BYTES = 64 * 1024
_MOST_BYTES = 1_000_000
_MOST_EXAMPLES_PER_S = 1e9
_MOST_RUNS = 500
"""The newest: each takes some milliseconds to read."""


@dataclass(frozen=True, slots=True)
class MeasuredCosts:
    """What runs of this preset in the store have shown."""

    examples_per_s: dict[str, float]
    source: str
    load_s: float | None = None
    save_s: float | None = None

    @classmethod
    def read(cls, store: Path, preset: Preset) -> MeasuredCosts:
        """A run that put another model into the preset tells nothing of this one, and one that only
        asks a model nothing of training it."""
        speeds: dict[str, float] = {}
        sources = []
        load_s = save_s = None
        named = (folder for folder in _folders(store) if _is_called(folder, preset.name))
        for folder in islice(named, _MOST_RUNS):
            if not _trains(folder, preset):
                continue
            told = _told(folder)
            if told.examples_per_s and told.device not in speeds:  # the newest run counts
                kind, speed = told.device, told.examples_per_s
                speeds[kind] = speed
                sources.append(f"{speed:,.0f} examples a second on {kind} in run {folder.id}")
            load_s, save_s = load_s or told.load_s, save_s or told.save_s
        return cls(speeds, "; ".join(sources), load_s, save_s)


@dataclass(slots=True)
class Ground:
    """What costs rest on: a store's runs, devices' speeds, and the device that is meant by `cpu`.

    `devices`: by word; None takes what agnews assumes.
    """

    store: Path
    devices: Mapping[str, Rated] | None = None
    cpu: Accelerator | None = None
    _measured: dict[str, MeasuredCosts] = field(default_factory=dict)

    def measured(self, preset: Preset) -> MeasuredCosts:
        """Read once."""
        key = f"{preset.name} {preset.model.id}"
        if key not in self._measured:
            self._measured[key] = MeasuredCosts.read(self.store, preset)
        return self._measured[key]

    def known(self, preset: Preset) -> KnownSpeeds:
        if self.devices is None:
            self.devices = offers.assumed().devices
        measured = self.measured(preset)
        has_fast_bf16 = self.cpu is not None and bool(self.cpu.has_fast_bf16)
        return KnownSpeeds(
            self.devices,
            measured.examples_per_s,
            measured.source,
            has_fast_bf16,
            measured.load_s,
            measured.save_s,
        )

    def costs(self, graph: Graph, data: Dataset, singles: Sequence[Single]) -> Costs:
        """The cost of each node; `singles`: all models of the graph."""
        models = {Recipe.of(s.preset, s.weights).weights: s.preset.model for s in singles}
        known = {Recipe.of(s.preset, s.weights): self.known(s.preset) for s in singles}
        works = {run: node.work for run, node in graph.nodes.items()}
        return Costs(data, models, known.__getitem__, works.get, memory_of(models.values()))

    def progress(self, wanted: Graph, data: Dataset) -> dict[RunId, float]:
        """The share of each run of a graph that is behind it."""
        found: dict[RunId, float] = {}
        if not self.store.is_dir():
            return found
        from agnews_cli.store.run.runs import RunFolder

        for place in {node.place for node in wanted.nodes.values()}:
            folder = RunFolder(self.store / place)
            if folder.created_at() is None:
                continue
            ended = folder.ended()
            if ended is not None and ended.state == "completed":
                found |= dict.fromkeys((folder.id, *ended.done), 1.0)
            else:
                node = wanted.nodes.get(folder.id)
                work = node.work if node is not None else None
                each = trainings(work.rows, data) if isinstance(work, Train) else (1,)
                found[folder.id] = min(_told(folder).share_of(each), _UNFINISHED)
        return found


def memory_of(models: Iterable[Model]) -> Callable[[Recipe, Model], int]:
    """The peak memory of training one of these, by the catalogue. Raises CatalogueInvalid."""
    needs = Needs(catalogue.around([model.id for model in models]))
    return lambda recipe, model: needs.peak_bytes(model, recipe.method, recipe.training)


_UNFINISHED = 0.999
"""Of a run that has not ended, whatever it says of itself."""


def data_of_nobody(store: Path) -> Dataset | None:
    """The data that a run in the store took because none were named, all of them; the newest's."""
    for folder in _folders(store)[:_MOST_RUNS]:
        order = folder.order()
        if order is not None and order.data is None and order.limit_train is None:
            try:
                from agnews_cli.core.run.job import TrainJob

                text = files.read_plain(folder.job, _MOST_BYTES)
                return TrainJob.model_validate_json(text).dataset
            except (OSError, ValueError):
                continue
    return None


def _folders(store: Path) -> tuple[RunFolder, ...]:
    if not store.is_dir():
        return ()
    from agnews_cli.store.run import runs

    return runs.list_runs(store)


def _is_called(folder: RunFolder, name: str) -> bool:
    """Whether its preset may be of that name. The run's own name, which is there, comes first."""
    return folder.id.rpartition("-")[0] == name or folder.preset_name() == name


def _trains(folder: RunFolder, preset: Preset) -> bool:
    """Whether the run trains the preset's model; so it is taken where nothing can be read. What
    asks a model has the preset of all that it is for, and no model of its own."""
    try:
        data = strict_yaml.read(folder.preset, follows=False).data
    except (OSError, Refused):
        return True
    try:
        return bool((data["name"], data["model"]["id"]) == (preset.name, preset.model.id))
    except (LookupError, TypeError):
        return False


@dataclass(frozen=True, slots=True)
class _Told:
    """What a run's last events say of it; `saved` of `total` steps of the training `candidate`."""

    device: str
    is_completed: bool
    examples_per_s: float = 0.0
    load_s: float | None = None
    save_s: float | None = None
    candidate: str = ""
    saved: int = 0
    total: int = 0

    def share_of(self, rows: Sequence[int]) -> float:
        """The share that is saved, of trainings of so many rows, one after the other: those of the
        folds, if there are any, and then the last."""
        if self.is_completed:
            return 1.0
        if not self.total:
            return 0.0
        fold = _FOLD.search(self.candidate)
        now = min(int(fold[1]), len(rows)) - 1 if fold else len(rows) - 1
        done = sum(rows[:now]) + rows[now] * min(1.0, self.saved / self.total)
        return float(done / sum(rows))


_FOLD: Final = re.compile(r"-fold([1-9]\d{0,3})$")
_STARTS_S = 5.0
"""From the launch of a worker's process to its first event."""


def _told(folder: RunFolder) -> _Told:
    from agnews_cli.store.run.events import Events

    environment, outcome = _object(folder.environment), _object(folder.outcome)
    found = _Told(
        accelerator.model(str(environment.get("accelerator") or "cpu")),
        outcome.get("state") == "completed",
    )
    started_s = None
    for event in Events(folder.events, _TAIL_BYTES):
        with suppress(LookupError, TypeError, ValueError, OverflowError):
            if event.kind == "started":
                started_s = event.elapsed_s
            elif event.kind in ("progress", "resumed"):
                found = _at(found, event.data)
                if started_s is not None and event.kind == "progress":
                    took_s = event.elapsed_s - started_s + _STARTS_S
                    found = replace(found, load_s=_bounded(found.load_s, took_s))
                    started_s = None
            elif event.kind == "saved":
                found = _at(found, event.data)
                found = replace(found, saved=max(found.saved, int(event.data["step"])))
                found = replace(found, save_s=_bounded(found.save_s, event.data["cost_s"]))
    return found


def _bounded(most_s: float | None, took_s: Any) -> float:
    """The longer one; what no start and no save takes counts as an hour."""
    return max(most_s or 0.0, min(max(0.0, float(took_s)), 3600.0))


def _at(found: _Told, data: Mapping[str, Any]) -> _Told:
    """Raises TypeError or ValueError for what no worker tells."""
    candidate = str(data.get("candidate", found.candidate))
    if candidate == "predictions":
        return found
    if candidate != found.candidate:
        found = replace(found, candidate=candidate, saved=0, total=0)
    if "total_steps" in data:
        found = replace(found, total=int(data["total_steps"]))
    if 0 < (speed := float(data.get("examples_per_s") or 0.0)) < _MOST_EXAMPLES_PER_S:
        found = replace(found, examples_per_s=speed)
    return found


def _object(path: Path) -> dict[str, Any]:
    try:
        return strict_json.mapping(files.read_plain(path, _MOST_BYTES))
    except (OSError, ValueError):
        return {}


def reason(preset: Preset, cost: Cost, ground: Ground) -> str:
    """How many steps, and how it is known what one takes."""
    if not preset.method.needs_weights:
        return f"cost of {preset.name}: it is fitted on the CPU, {cost.paces['cpu'].words()}"
    steps = f"{cost.steps:,} steps of {preset.training.batch_tokens:,} tokens"
    measured = ground.measured(preset)
    if measured.examples_per_s:
        return f"cost of {preset.name}: {steps}, at the measured speed: {measured.source}"
    devices = ground.devices or {}
    shown = ", ".join(
        f"{device} as measured on {pace.machine} ({pace.source}, {pace.as_of})"
        if pace.how == "benchmark"
        else f"{device} {devices[device].tflops:g} TFLOP/s ({pace.source}, {pace.as_of})"
        for device, pace in cost.paces.items()
    )
    millions = preset.model.parameters / 1e6
    return (
        f"cost of {preset.name}: {steps}, not measured yet but modelled from {millions:,.0f} M "
        f"parameters; {shown}"
    )
