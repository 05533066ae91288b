"""`agnews auto`: from nothing to a trained, evaluated, usable classifier, on whatever machine.

`prepare` looks and decides, and writes nothing but the cache; `carry_out` does what was decided.
"""

from __future__ import annotations

from collections.abc import Callable

from agnews_cli.core.run.job import Event
from agnews_cli.errors import Interrupted
from agnews_cli.workflows.train import single
from agnews_cli.workflows.train.plans import Plan
from agnews_cli.workflows.train.recipe import recipe
from agnews_cli.workflows.train.result import Result
from agnews_cli.workflows.train.scene import HUB_TIMEOUT_S, Request, asked_once, look, require_sense


def prepare(request: Request, *, show: Callable[[Event], None] | None = None) -> Plan:
    """Look at machine, data and presets, and decide. `show` hears of reading.

    Writes to the cache alone.
    """
    chosen, wish, hub = require_sense(request), request.wish, asked_once()
    try:
        given, why = recipe(wish.model, wish.preset, wish.changes, hub=hub, timeout_s=HUB_TIMEOUT_S)
        return single.prepare(look(request, chosen, hub, show), given, why)
    except KeyboardInterrupt:
        raise Interrupted(kept="nothing was begun", next="") from None


def carry_out(plan: Plan, *, show: Callable[[Event], None]) -> Result:
    """Train and evaluate as planned; what is finished already is recognised."""
    return single.carry_out(plan, show=show)
