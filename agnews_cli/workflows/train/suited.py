"""Whether a method trains a model of its kind at all: said before anything of it is downloaded."""

from __future__ import annotations

from agnews_cli.core.run.preset import Preset
from agnews_cli.errors import MethodUnsuited
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
