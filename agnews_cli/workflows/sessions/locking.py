"""Before a session: what is known of its test rows is brought together, and its look named."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from agnews_cli.core.run import looks
from agnews_cli.core.run.job import TestOrder
from agnews_cli.core.run.looks import LookOrder
from agnews_cli.store.disk import files
from agnews_cli.store.run import test_lock
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.workflows.runs import known_stores

_MOST_BYTES = 16_000_000


def prepared(order: TestOrder, folder: RunFolder, *, is_made_anew: bool) -> TestOrder:
    """The order with its look named; its store then knows these rows, and all looks at them that
    any store of this machine knows of. Raises CannotWrite or NoDiskSpace.

    `is_made_anew`: whether a model that was looked at is made another time (`--fresh`): that is
    another look. Where it was stopped before it looked, it still is.
    """
    store = Path(order.store)
    seen = looks.sighting(order.dataset, datetime.now(UTC))
    if seen is not None:
        test_lock.see(store, seen)
    test_lock.gather(store, known_stores.known(store))
    taken = test_lock.times(store, order.look)
    time = max(1, taken, _before(order.look, folder))
    if is_made_anew:
        time = taken + 1
    return order.model_copy(update={"look": order.look.model_copy(update={"time": time})})


def _before(look: LookOrder, folder: RunFolder) -> int:
    """Which time it was that the last session here was told of; 0 where none was."""
    try:
        told = files.read_plain(folder.test_order, _MOST_BYTES)
        last = TestOrder.model_validate_json(told).look
    except (OSError, ValueError):
        return 0
    return last.time if (last.test, last.evaluation) == (look.test, look.evaluation) else 0
