"""What work costs here: by the model of cost (`core.run.cost`), from what runs in the store have
measured and from what is taken for granted of devices.

Reads runs and writes nothing; asked again after a session, it counts what that session did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agnews_cli.core.graph.graph import Graph
from agnews_cli.core.graph.shapes import Single
from agnews_cli.core.machine import accelerator
from agnews_cli.core.machine.accelerator import Accelerator
from agnews_cli.core.run.cost import Cost, Costs, KnownSpeeds, Rated
from agnews_cli.core.run.dataset import Dataset
from agnews_cli.core.run.preset import Preset
from agnews_cli.core.run.work import Recipe, RunId
from agnews_cli.core.text import strict_json
from agnews_cli.store.disk import files
from agnews_cli.store.settings import offers, strict_yaml
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

    @classmethod
    def read(cls, store: Path, preset: Preset) -> MeasuredCosts:
        """A run that put another model into the preset tells nothing of this one, and one that only
        asks a model nothing of training it."""
        speeds: dict[str, float] = {}
        sources = []
        named = (folder for folder in _folders(store) if _is_called(folder, preset.name))
        for folder in islice(named, _MOST_RUNS):
            if not _trains(folder, preset):
                continue
            kind, speed, _ = _progress(folder)
            if speed and kind not in speeds:  # the newest run counts
                speeds[kind] = speed
                sources.append(f"{speed:,.0f} examples a second on {kind} in run {folder.id}")
        return cls(speeds, "; ".join(sources))


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
        return KnownSpeeds(self.devices, measured.examples_per_s, measured.source, has_fast_bf16)

    def costs(self, graph: Graph, data: Dataset, singles: Sequence[Single]) -> Costs:
        """The cost of each node; `singles`: all models of the graph."""
        models = {Recipe.of(s.preset, s.weights).weights: s.preset.model for s in singles}
        known = {Recipe.of(s.preset, s.weights): self.known(s.preset) for s in singles}
        works = {run: node.work for run, node in graph.nodes.items()}
        return Costs(data, models, known.__getitem__, works.get)

    def progress(self, wanted: Graph) -> dict[RunId, float]:
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
                found[folder.id] = min(_progress(folder)[2], _UNFINISHED)
        return found


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


def _progress(folder: RunFolder) -> tuple[str, float, float]:
    """(kind of device, examples a second, share saved) of a run; 0 where it is not known."""
    from agnews_cli.store.run.events import Events

    environment, outcome = _object(folder.environment), _object(folder.outcome)
    kind = accelerator.model(str(environment.get("accelerator") or "cpu"))
    speed, saved, total = 0.0, 0, 0
    for event in Events(folder.events, _TAIL_BYTES):
        data = event.data
        try:
            if event.kind == "progress":
                speed, total = float(data["examples_per_s"]), int(data["total_steps"])
                speed = speed if 0 < speed < _MOST_EXAMPLES_PER_S else 0.0
            elif event.kind == "saved":
                saved = max(saved, int(data["step"]))
        except (LookupError, TypeError, ValueError, OverflowError):
            continue
    share = 1.0 if outcome.get("state") == "completed" else saved / total if total else 0.0
    return kind, speed, min(1.0, share)


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
