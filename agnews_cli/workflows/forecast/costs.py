"""What a training costs: as runs in the store have measured it, else by the model of cost.

Reads runs and writes nothing; asked again after a session, it counts what that session did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agnews_cli.core.machine import accelerator
from agnews_cli.core.plan import cost, graphs
from agnews_cli.core.run.preset import Preset
from agnews_cli.core.text import strict_json
from agnews_cli.store.disk import files
from agnews_cli.store.settings import strict_yaml
from agnews_cli.store.settings.strict_yaml import Refused

if TYPE_CHECKING:
    from agnews_cli.store.run.runs import RunFolder
    from agnews_cli.store.settings.offers import DeviceSpeed

_TAIL_BYTES = 64 * 1024
_MOST_BYTES = 1_000_000
_MOST_EXAMPLES_PER_S = 1e9
_MOST_CPU_PARAMETERS = 30_000_000
"""Larger models are not sent to a CPU: that takes weeks, and memory that nobody checked."""
_MOST_RUNS = 500
"""Of those of one preset the newest: each takes some milliseconds to read."""


@dataclass(frozen=True, slots=True)
class MeasuredCosts:
    """What runs of this preset in the store have shown."""

    examples_per_s: dict[str, float]
    done: dict[int, float]
    """Share of the training on AG News that each seed has behind it; runs on other data do not
    count."""
    by_run: dict[str, float]
    """The same of each run."""
    source: str

    @classmethod
    def read(cls, store: Path, preset: Preset) -> MeasuredCosts:
        """A run that put another model into the preset tells nothing of this one."""
        if not store.is_dir():
            return cls({}, {}, {}, "")
        from agnews_cli.store.run import runs

        speeds: dict[str, float] = {}
        done: dict[int, float] = {}
        by_run: dict[str, float] = {}
        sources = []
        named = [f for f in runs.list_runs(store) if f.id.rpartition("-")[0] == preset.name]
        for folder in named[:_MOST_RUNS]:
            if not _has_model(folder, preset):
                continue
            kind, speed, share = _progress(folder)
            if speed and kind not in speeds:  # the newest run counts
                speeds[kind] = speed
                sources.append(f"{speed:,.0f} examples a second on {kind} in run {folder.id}")
            by_run[folder.id] = share
            order = folder.order()
            if order and order["data"] is None and order["limit_train"] is None:
                done[order["seed"]] = max(done.get(order["seed"], 0.0), share)
        return cls(speeds, done, by_run, "; ".join(sources))


def _has_model(folder: RunFolder, preset: Preset) -> bool:
    """Whether the run trains the preset's model; so it is taken where nothing says otherwise."""
    try:
        found = strict_yaml.read(folder.preset, follows=False).data["model"]["id"]
    except (OSError, Refused, LookupError, TypeError):
        return True
    return bool(found == preset.model.id)


def _progress(folder: RunFolder) -> tuple[str, float, float]:
    """(kind of device, examples a second, share saved) of a run; 0 where it is not known."""
    from agnews_cli.store.run.events import Events

    environment, outcome = _object(folder.environment), _object(folder.outcome)
    device = str(environment.get("accelerator") or "cpu")
    kind = accelerator.model(device)
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


def training(
    preset: Preset,
    rows: int,
    devices: Mapping[str, DeviceSpeed],
    examples_per_s: Mapping[str, float],
) -> graphs.Cost:
    """For `rows` of a training split; a kind of device whose speed is not known is left out."""
    tflops = {kind: device.tflops for kind, device in devices.items()}
    made = cost.training(preset, rows, tflops, examples_per_s)
    if preset.model.parameters > _MOST_CPU_PARAMETERS and "cpu" not in examples_per_s:
        made = replace(made, step_s={k: s for k, s in made.step_s.items() if k != "cpu"})
    return made


def reason(
    preset: Preset,
    training: graphs.Cost,
    devices: Mapping[str, DeviceSpeed],
    measured: MeasuredCosts,
) -> str:
    """How many steps, and how it is known what one takes."""
    steps = f"{training.steps:,} steps of {preset.training.batch_tokens:,} tokens"
    if measured.examples_per_s:
        return f"cost of {preset.name}: {steps}, at the measured speed: {measured.source}"
    shown = ", ".join(
        f"{kind} {device.tflops:g} TFLOP/s ({device.source}, {device.as_of})"
        for kind, device in devices.items()
        if kind in training.step_s
    )
    millions = preset.model.parameters / 1e6
    return (
        f"cost of {preset.name}: {steps}, not measured yet but modelled from {millions:,.0f} M "
        f"parameters; {shown}"
    )
