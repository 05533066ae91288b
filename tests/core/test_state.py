"""A run's states: every step is in the table, and what is not there is refused."""

from __future__ import annotations

from itertools import product

import pytest
from pydantic import ValidationError

from agnews_cli.core.run.job import Outcome
from agnews_cli.core.run.state import ENDED, TRANSITIONS, RunState, after

NEVER = [
    (old, new)
    for old, new in product(RunState, RunState)
    if old != new and new not in TRANSITIONS[old]
]


@pytest.mark.parametrize(("old", "new"), NEVER, ids=lambda state: str(state))
def test_a_step_that_is_not_in_the_table_is_refused(old: RunState, new: RunState) -> None:
    with pytest.raises(ValueError, match=f"{old} does not become {new}"):
        after(old, new)


def test_every_state_can_be_reached_and_left() -> None:
    reached = {RunState.PENDING, RunState.UNFINISHED}
    while more := {new for old in reached for new in TRANSITIONS[old]} - reached:
        reached |= more
    assert reached == set(RunState) == set(TRANSITIONS)
    assert all(TRANSITIONS.values())


@pytest.mark.parametrize("state", RunState)
def test_a_worker_ends_in_an_end_and_no_other_way(state: RunState) -> None:
    if state in ENDED:
        assert Outcome.model_validate_json(f'{{"state": "{state}"}}').state is state
    else:
        with pytest.raises(ValidationError):
            Outcome(state=state)
