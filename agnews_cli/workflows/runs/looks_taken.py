"""How often the test rows of a run were looked at by now, in every store that is known here."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from agnews_cli.core.run.evaluation import Evaluation
from agnews_cli.core.run.looks import RecordedLook
from agnews_cli.store.run import test_lock
from agnews_cli.workflows.runs import known_stores


def recounted(evaluation: Evaluation, store: Path) -> Evaluation:
    """With the looks that others have taken since. `store`: the folder of its run."""
    if evaluation.look is None:
        return evaluation
    look = test_lock.recounted(evaluation.look, known_stores.known(store))
    return evaluation.model_copy(update={"look": look})


def of(evaluations: Iterable[Evaluation], store: Path) -> tuple[RecordedLook, ...]:
    """All looks at the test rows of these, the oldest first."""
    tests = dict.fromkeys(one.look.order.test for one in evaluations if one.look is not None)
    places = known_stores.known(store) if tests else ()
    found = [look for test in tests for look in test_lock.known(places, test)]
    return tuple(sorted(found, key=lambda one: (one.at, one.evaluation)))
