"""Looks at data, machine and quota, and says what to do, each with the command that does it.

What fits, and what it takes, says the same code that `agnews auto` asks; figures of the data are
measured in a process of its own. Writes the cache alone.
"""

from __future__ import annotations

import importlib.util
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agnews_cli.core.advice.advise import advise
from agnews_cli.core.advice.measured import MeasuredData, ToMeasure
from agnews_cli.core.advice.seen import Advice, AdviceSeen, SeveralModels
from agnews_cli.core.graph.advice import gap_words
from agnews_cli.core.graph.asked import AnyPreset, Distilled, Ensemble, singles
from agnews_cli.core.run.cost import MOST_CPU_PARAMETERS
from agnews_cli.core.run.dataset import Dataset
from agnews_cli.core.run.method import Lora
from agnews_cli.core.run.needs import Needs
from agnews_cli.core.run.preset import Preset
from agnews_cli.core.run.request import Wish, arguments, written
from agnews_cli.errors import AgnewsError, HubUnreachable
from agnews_cli.host import figures
from agnews_cli.store.data import datasets
from agnews_cli.store.disk.home import cache
from agnews_cli.store.settings import catalogue, preset_shapes, presets
from agnews_cli.workflows.forecast.costs import Ground
from agnews_cli.workflows.planning import fit
from agnews_cli.workflows.train import auto, suited
from agnews_cli.workflows.train.plans import Plan
from agnews_cli.workflows.train.scene import Request, Scene
from agnews_cli.workflows.train.single import located
from agnews_cli.workflows.wizard import several

SCHEMA = "agnews.advice/1"
_ENCODER = "minilm"
"""The preset whose encoder says in how many directions texts vary."""
_NO_EXTRA = "what measures is not installed: pip install 'agnews-cli[train]'"


@dataclass(frozen=True, slots=True)
class Advised:
    """The advice, and what it rests on."""

    dataset: Dataset
    seen: AdviceSeen
    advice: tuple[Advice, ...]

    def as_json(self) -> dict[str, Any]:
        """Schema `agnews.advice/1` (docs/json.md)."""
        measured = self.seen.measured
        return {
            "schema": SCHEMA,
            "data": self.dataset.name,
            "rows": self.seen.rows,
            "class_rows": dict(zip(self.dataset.labels, self.seen.class_rows, strict=True)),
            "measured": None if measured is None else measured.model_dump(mode="json"),
            "why_not_measured": self.seen.why_not_measured,
            "advice": [one.as_json() for one in self.advice],
        }


def look(
    wish: Wish, *, is_quick: bool = False, say: Callable[[str], None] = lambda text: None
) -> Advised:
    """Raises what `agnews auto --dry-run` raises of such data. `is_quick`: measure nothing."""
    plan = auto.prepare(Request(wish, is_rehearsal=True))
    assert isinstance(plan, Plan)  # agnews chooses, and it chooses one model
    scene, preset = plan.scene, plan.preset
    dataset = scene.dataset
    measured, why_not = None, "nothing was measured, as asked"
    if not is_quick:
        say(f"Measuring {dataset.train.rows:,} rows, which takes up to two minutes …")
        measured, why_not = _measured(scene)
    memory, memory_name = _memory(preset)
    fitting = tuple(_fitting(scene))
    seen = AdviceSeen(
        class_rows=dataset.train.class_rows,
        measured=measured,
        why_not_measured=why_not,
        preset=preset,
        choice=tuple(one for one in plan.reasons if one.startswith(("preset ", "plan: "))),
        memory=memory,
        memory_name=memory_name,
        has_lora=preset.method.needs_weights
        and suited.why_not(preset.model_copy(update={"method": Lora()}), plan.model) is None,
        ensembles=tuple(_several(scene, one) for one in fitting if isinstance(one, Ensemble)),
        students=tuple(_several(scene, one) for one in fitting if isinstance(one, Distilled)),
        left_s=scene.session_s,
        command=_command(wish),
    )
    return Advised(dataset, seen, advise(seen))


def _command(wish: Wish) -> Callable[[str, Sequence[str]], str]:
    data = arguments(written(replace(wish, goal=Wish().goal)))

    def command(name: str, words: Sequence[str]) -> str:
        return shlex.join(("agnews", name, *data, *words))

    return command


def _measured(scene: Scene) -> tuple[MeasuredData | None, str]:
    """What was measured of the training rows, and why nothing was."""
    if importlib.util.find_spec("sklearn") is None:
        return None, _NO_EXTRA
    dataset, encoder, name = scene.dataset, None, ""
    if importlib.util.find_spec("torch") is not None:
        model = presets.load(_ENCODER)
        try:
            encoder, name = located(model, scene.hub).path_or_id, model.name
        except HubUnreachable:
            encoder = None
    kept = datasets.RowCache.of(cache()).rows(dataset).get("train")
    order = ToMeasure(
        rows=None if kept is None else str(kept),
        dataset=dataset if kept is None else None,
        classes=len(dataset.labels),
        encoder=encoder,
        encoder_name=name,
    )
    return figures.measure_data(order), ""


def _memory(preset: Preset) -> tuple[str, str]:
    """(whether it fits this machine's memory, what the catalogue calls its model), or nothing."""
    known = catalogue.load().by_id(preset.model.id)
    if known is None or not preset.method.needs_weights:
        return "", ""
    try:
        asked = fit.FitAsked(known.name, preset.method.kind, length=preset.training.max_length)
        return fit.look(asked).words(), known.name
    except AgnewsError:
        return "", ""


def _fitting(scene: Scene) -> Iterator[AnyPreset]:
    """Presets of several models whose every model can be had and is made for this machine, the
    preferred first."""
    device, needs = scene.platform.accelerator, Needs(catalogue.load())
    there: dict[str, bool] = {}

    def fits(preset: Preset) -> bool:
        if device.kind == "cpu" and preset.model.parameters > MOST_CPU_PARAMETERS:
            return False
        if not preset.method.needs_weights:
            return True
        need = needs.of(
            preset.model, preset.method, preset.training, device, scene.platform.memory_bytes
        )
        if need is not None and need.misfit is not None:
            return False
        try:
            model = located(preset, scene.hub)
        except HubUnreachable:
            return False
        return suited.why_not(preset, model) is None

    for shape in preset_shapes.load_all():
        if isinstance(shape, Ensemble | Distilled):
            every = {one.preset.name: one.preset for one in singles(shape)}
            for name, preset in every.items():
                if name not in there:
                    there[name] = fits(preset)
            if all(there[name] for name in every):
                yield shape


def _several(scene: Scene, shape: AnyPreset) -> SeveralModels:
    device = scene.platform.accelerator
    ground = Ground(scene.store, cpu=device)

    def known(preset: Preset, _: object) -> Any:
        return ground.known(preset)

    facts = (shape, scene.dataset, device, known)
    return SeveralModels(
        name=shape.name,
        summary=shape.summary,
        words=several.words(*facts, scene.platform.name),
        seconds=several.seconds(*facts),
        note=gap_words(shape).partition(": ")[2] if isinstance(shape, Distilled) else "",
    )
