"""Whether a method trains a model of its kind at all, and this machine any: said before anything of
it is downloaded."""

from __future__ import annotations

from agnews_cli.core.graph.asked import AnyPreset, singles
from agnews_cli.core.machine.platform import Platform
from agnews_cli.core.machine.probe import instead_of_tpu
from agnews_cli.core.run import on_tpu
from agnews_cli.core.run.preset import Preset
from agnews_cli.errors import MethodUnsuited, TpuUntrained
from agnews_cli.store.model import model_facts
from agnews_cli.store.model.models import Resolved
from agnews_cli.store.settings import catalogue
from agnews_cli.workflows.train.scene import HUB_TIMEOUT_S

_OF_ALL = ("full", "lora")
"""Methods that train every model."""


def require(preset: Preset, model: Resolved) -> None:
    """Raises MethodUnsuited."""
    reason = why_not(preset, model)
    if reason is not None:
        raise MethodUnsuited(model=preset.model.id, method=preset.method.kind, reason=reason)


def why_not(preset: Preset, model: Resolved) -> str | None:
    """None: nothing is known against it. `model`: where the weights are."""
    if preset.method.kind in _OF_ALL or not preset.method.needs_weights:
        return None
    known = catalogue.around([preset.model.id])
    listed = known.by_id(preset.model.id)
    if listed is not None:
        return listed.family.refused.get(preset.method.kind)
    kind = model_facts.family(model, timeout_s=HUB_TIMEOUT_S)
    return None if kind is None else known.refusal(preset.method.kind, kind)


def require_here(asked: AnyPreset, platform: Platform) -> None:
    """Raises TpuUntrained where one of its models does not train on this machine's TPU."""
    for one in singles(asked):
        reason = why_not_here(one.preset, platform)
        if reason is not None:
            facts = {"name": platform.accelerator.name, "preset": one.preset.name}
            raise TpuUntrained(**facts, reason=reason, next=instead_of_tpu(platform.name))


def why_not_here(preset: Preset, platform: Platform) -> str | None:
    """None: nothing is known against it; only a TPU has its reasons."""
    if platform.accelerator.kind != "tpu":
        return None
    listed = catalogue.around([preset.model.id]).by_id(preset.model.id)
    return on_tpu.refusal(preset, None if listed is None else listed.family.model_type)
