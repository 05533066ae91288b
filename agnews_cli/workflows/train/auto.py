"""`agnews auto`: from nothing to a trained, evaluated, usable classifier, on whatever machine.

`prepare` looks and decides, and writes nothing but the cache; `carry_out` does what was decided.
"""

from __future__ import annotations

from collections.abc import Callable

from agnews_cli.core.graph.asked import AnyPreset, Single, with_unlabelled
from agnews_cli.core.run.job import Event
from agnews_cli.errors import Interrupted, UsageError
from agnews_cli.workflows.train import campaign, single, suited, within_limits
from agnews_cli.workflows.train.plans import Campaign, Plan
from agnews_cli.workflows.train.recipe import given, shape
from agnews_cli.workflows.train.result import Result
from agnews_cli.workflows.train.scene import HUB_TIMEOUT_S, Request, asked_once, look, require_sense


def prepare(
    request: Request,
    *,
    show: Callable[[Event], None] | None = None,
    of: AnyPreset | None = None,
) -> Plan | Campaign:
    """Look at machine, data and presets, and decide. `show` hears of reading. `of`: what is meant,
    where no preset says it.

    Writes to the cache alone.
    """
    chosen, wish, hub = require_sense(request), request.wish, asked_once()
    try:
        if of is None:
            named = (wish.model, wish.preset, wish.changes)
            asked, why = shape(*named, hub=hub, timeout_s=HUB_TIMEOUT_S)
        else:
            asked, why = given(of, wish.changes)
        if wish.unlabelled is not None:
            asked = _with_unlabelled(asked)
        if asked is not None:
            why = (*why, *within_limits.require(asked, request, is_typed=of is None))
        scene = look(request, chosen, hub, show)
        if asked is None:
            return single.prepare(scene, None, why)
        suited.require_here(asked, scene.platform)
        if isinstance(asked, Single):
            return single.prepare(scene, asked.preset, why)
        return campaign.prepare(scene, asked, why)
    except KeyboardInterrupt:
        raise Interrupted(kept="nothing was begun", next="") from None


def carry_out(plan: Plan | Campaign, *, show: Callable[[Event], None]) -> Result:
    """Train and evaluate as planned; what is finished already is recognised."""
    if isinstance(plan, Campaign):
        return campaign.carry_out(plan, show=show)
    return single.carry_out(plan, show=show)


def _with_unlabelled(asked: AnyPreset | None) -> AnyPreset:
    """Its students learn from texts without labels too. Raises UsageError where there is none."""
    found = None if asked is None else with_unlabelled(asked)
    if found is None or found == asked:
        raise UsageError(
            message="--unlabelled is for a student, to whom a teacher says what the texts are.",
            hint="Name a preset of tier distilled; agnews presets ls shows them.",
        )
    return found
