"""What presets of several models cost on a machine: hours, and sessions of its platform."""

from __future__ import annotations

import math
from collections.abc import Callable

from agnews_cli.core.graph.asked import AnyPreset, singles
from agnews_cli.core.graph.shapes import graph_of
from agnews_cli.core.machine import accelerator
from agnews_cli.core.machine.accelerator import Accelerator
from agnews_cli.core.run.cost import Costs, KnownSpeeds
from agnews_cli.core.run.dataset import Dataset
from agnews_cli.core.run.preset import Preset
from agnews_cli.core.run.work import Train
from agnews_cli.core.text import duration
from agnews_cli.store.settings import limits


def words(
    shape: AnyPreset,
    data: Dataset | None,
    device: Accelerator,
    known: Callable[[Preset, Accelerator], KnownSpeeds],
    platform: str,
) -> str:
    """`5 models, about 6 h, 1 session`; without what is not known."""
    every = singles(shape)
    said = [f"{len(every)} model{'s' if len(every) > 1 else ''}"]
    total_s = None if data is None else seconds(shape, data, device, known)
    if total_s is not None:
        said.append(f"about {duration.show(total_s)} by the model of cost")
        found = limits.load(platform)
        limit = found.limit("gpu") if found else None
        if limit is not None and limit.session_hours is not None:
            sessions = math.ceil(total_s / 3600 / limit.session_hours.value)
            said.append(f"{sessions} session{'s' if sessions > 1 else ''}")
    return ", ".join(said)


def seconds(
    shape: AnyPreset,
    data: Dataset,
    device: Accelerator,
    known: Callable[[Preset, Accelerator], KnownSpeeds],
) -> float | None:
    """All work of it, on as many cards as there are; None where nobody knows how long a part is."""
    graph, every = graph_of(shape, data), singles(shape)
    works = {run: node.work for run, node in graph.nodes.items()}
    speeds = {one.recipe: known(one.preset, device) for one in every}
    models = {one.recipe.weights: one.preset.model for one in every}
    costs = Costs(data, models, speeds.__getitem__, works.get)  # no memory is asked
    kind, total_s = accelerator.device(device), 0.0
    for work in works.values():
        cost = costs(work)
        is_tuned = isinstance(work, Train) and work.recipe.method.needs_weights
        pace = cost.takes(kind) or (None if is_tuned else cost.takes("cpu"))
        if pace is None:
            return None
        total_s += pace.seconds + cost.load_s
    return total_s / max(1, device.count)
