"""Where a session's time went: five parts that always add up to the whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agnews_cli.core.hours.accounting import account
from agnews_cli.core.hours.session import Split
from agnews_cli.core.run.job import Event

OPENED = datetime(2026, 11, 25, 8, tzinfo=UTC)


def line(kind: str, at_s: float, opened: datetime = OPENED, **data: Any) -> Event:
    at = opened + timedelta(seconds=at_s)
    # elapsed counts from the command's start, 7 s before the ledger's session
    return Event(kind=kind, at=at.isoformat(), elapsed_s=at_s + 7, data=data)  # type: ignore[arg-type]


def first_session(opened: datetime = OPENED) -> list[Event]:
    return [
        line("started", 2, opened, pid=1),
        line("phase", 3, opened, name="tokenising"),
        line("phase", 10, opened, name="linear model"),
        line("candidate", 14, opened, name="linear"),
        line("phase", 14, opened, name="loading the model"),
        line("phase", 20, opened, name="fine-tuning"),
        line("progress", 30, opened, candidate="minilm", step=10),
        line("saved", 31, opened, step=10, why="interval", seconds=0.8, pause_s=0.25),
        line("progress", 60, opened, candidate="minilm", step=40),
    ]


def test_a_session_that_was_killed() -> None:
    split = account(first_session(), OPENED, 62.0)
    assert split.starting_s == pytest.approx(16)
    assert split.stalled_s == pytest.approx(0.25)
    assert split.useful_s == pytest.approx(4 + 42 - 0.25)  # it was at work until it died
    assert (split.redone_s, split.idle_s) == (0, 0)


def test_a_session_that_redoes_what_was_not_saved() -> None:
    again = OPENED + timedelta(hours=1)
    lines = [
        *first_session(),
        line("started", 1, again, pid=2),
        line("phase", 1, again, name="tokenising"),
        line("phase", 3, again, name="linear model"),
        line("candidate", 7, again, name="linear"),
        line("phase", 7, again, name="loading the model"),
        line("phase", 9, again, name="fine-tuning"),
        line("resumed", 10, again, candidate="minilm", step=10),
        line("progress", 20, again, candidate="minilm", step=20),
        line("progress", 60, again, candidate="minilm", step=60),
        line("saved", 62, again, step=60, why="final", seconds=2.0),
        line("phase", 62, again, name="evaluating on the test split"),
        line("ended", 70, again, state="completed"),
    ]
    split = account(lines, again, 75.0)
    assert split.whole_s == pytest.approx(75)
    # the linear model again (4 s), steps 10 to 20, and half of the steps 20 to 60
    assert split.redone_s == pytest.approx(4 + 10 + 20)
    assert split.stalled_s == pytest.approx(2)
    assert split.starting_s == pytest.approx(3 + 2)
    assert split.idle_s == pytest.approx(5)
    assert split.useful_s == pytest.approx(1 + 20 + 2 + 8 - 2)
    # the first session's own account does not change by what came after
    assert account(lines, OPENED, 62.0) == account(first_session(), OPENED, 62.0)


def test_a_run_begun_anew_redoes_all_it_had() -> None:
    again = OPENED + timedelta(hours=1)
    lines = [
        *first_session(),
        line("started", 0, again, pid=2),
        line("phase", 0, again, name="fine-tuning"),
        line("progress", 40, again, candidate="minilm", step=40),
        line("progress", 50, again, candidate="minilm", step=50),
    ]
    split = account(lines, again, 50.0)
    assert (split.redone_s, split.useful_s) == (pytest.approx(40), pytest.approx(10))


def test_without_events_all_of_it_was_starting() -> None:
    assert account([], OPENED, 9.0) == Split(starting_s=9.0)
    assert account(first_session(OPENED - timedelta(hours=1)), OPENED, 9.0) == Split(starting_s=9.0)


KINDS = ["started", "phase", "progress", "candidate", "saved", "resumed", "ended", "note", "work"]
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.floats(-50, 500),
        st.integers(0, 60),
        st.sampled_from(["tokenising", "loading the model", "fine-tuning", "a", "b"]),
    ),
    max_size=40,
)


@given(EVENTS, st.floats(0, 400))
def test_the_parts_add_up_whatever_the_events_say(events: list[Any], whole_s: float) -> None:
    lines = [
        line(kind, at_s, step=step, name=name, candidate=name, why="final", seconds=step, pause_s=1)
        for kind, at_s, step, name in events
    ]
    split = account(lines, OPENED, whole_s)
    assert split.whole_s == pytest.approx(whole_s, rel=1e-6, abs=1e-6)
    assert min(split.useful_s, split.redone_s, split.stalled_s, split.starting_s) >= 0
    assert split.idle_s >= 0
