"""`agnews auto`: from nothing to a trained, evaluated, usable classifier, on whatever machine.

`prepare` looks and decides, and writes nothing but the cache; `carry_out` does what was decided.
"""

from __future__ import annotations

from collections.abc import Callable

from agnews_cli.core.graph.asked import Distilled, Ensemble, Single, with_unlabelled
from agnews_cli.core.run.job import Event
from agnews_cli.core.run.request import Wish
from agnews_cli.errors import Interrupted, UsageError
from agnews_cli.store.settings import preset_shapes
from agnews_cli.workflows.train import campaign, single
from agnews_cli.workflows.train.plans import Campaign, Plan
from agnews_cli.workflows.train.recipe import recipe
from agnews_cli.workflows.train.result import Result
from agnews_cli.workflows.train.scene import HUB_TIMEOUT_S, Request, asked_once, look, require_sense


def prepare(request: Request, *, show: Callable[[Event], None] | None = None) -> Plan | Campaign:
    """Look at machine, data and presets, and decide. `show` hears of reading.

    Writes to the cache alone.
    """
    chosen, wish, hub = require_sense(request), request.wish, asked_once()
    try:
        shape = composed(wish)
        if shape is not None:
            return campaign.prepare(look(request, chosen, hub, show), shape)
        if wish.unlabelled is not None:
            raise _no_student()
        given, why = recipe(wish.model, wish.preset, wish.changes, hub=hub, timeout_s=HUB_TIMEOUT_S)
        return single.prepare(look(request, chosen, hub, show), given, why)
    except KeyboardInterrupt:
        raise Interrupted(kept="nothing was begun", next="") from None


def carry_out(plan: Plan | Campaign, *, show: Callable[[Event], None]) -> Result:
    """Train and evaluate as planned; what is finished already is recognised."""
    if isinstance(plan, Campaign):
        return campaign.carry_out(plan, show=show)
    return single.carry_out(plan, show=show)


def composed(wish: Wish) -> Ensemble | Distilled | None:
    """What is meant where the preset names several models; None where it is one, or is to be
    chosen. Raises UsageError, PresetUnknown, PresetInvalid, SettingInvalid."""
    if wish.preset is None:
        return None
    shape = preset_shapes.load(wish.preset)
    if isinstance(shape, Single):
        return None
    if wish.model is not None:
        raise UsageError(
            message=f"--model names one model, and {shape.name} is several.",
            hint="Name another preset, or write one of your own: agnews presets show "
            f"{shape.name} > mine.yaml",
        )
    changed = preset_shapes.with_settings(shape, wish.changes)
    if wish.unlabelled is not None:
        alone, changed = changed, with_unlabelled(changed)
        if changed == alone:
            raise _no_student()
    assert not isinstance(changed, Single)
    return changed


def _no_student() -> UsageError:
    return UsageError(
        message="--unlabelled is for a student, to whom a teacher says what the texts are.",
        hint="Name a preset of tier distilled; agnews presets ls shows them.",
    )
