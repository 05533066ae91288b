"""What journals tell of a session is one truth, in whatever order and pieces it comes together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agnews_cli.core.hours.session import JournalEntry, Run, Session, Told, fold, whole

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
RUN = Run("r", "minilm", "ag_news", 1, "running", "/runs/r", NOW, NOW)
SESSION = Session(
    "s", 1, "r", "kaggle", "T4", "gpu", "m", 7, 0.0, NOW, NOW, 0.0
)  # fmt: skip
OPENED = JournalEntry("s", 1, "opened", NOW, whole(RUN, SESSION))
SPLIT = {"useful_s": 1.0, "redone_s": 0.0, "stalled_s": 0.0, "starting_s": 0.5, "idle_s": 0.0}


def entry(seq: int, kind: str, after_s: float, **data: Any) -> JournalEntry:
    return JournalEntry("s", seq, kind, NOW + timedelta(seconds=after_s), data)


def join(one: Told | None, other: Told | None) -> Told | None:
    if one is None or other is None:
        return one or other
    return one[0].join(other[0]), one[1].join(other[1])


def test_a_session_from_its_journal() -> None:
    told = fold(
        [
            OPENED,
            entry(2, "beat", 15, seconds=15.0),
            entry(3, "beat", -3600, seconds=30.0),  # the clock was set back
            entry(4, "run", 31, state="paused"),
            entry(5, "closed", 40, state="deadline", seconds=40.0, split=SPLIT),
        ]
    )
    assert told is not None
    run, session = told
    assert (session.seconds, session.state, session.seq) == (40, "deadline", 5)
    assert session.end_at == session.ended_at == NOW + timedelta(seconds=40)
    assert session.split is not None and session.split.starting_s == 0.5
    assert (run.state, run.updated_at) == ("paused", NOW + timedelta(seconds=31))


def test_without_its_beginning_it_is_nobodys() -> None:
    assert fold([entry(2, "beat", 15, seconds=15.0)]) is None
    assert fold([]) is None


ENTRIES = st.lists(
    st.one_of(
        st.builds(
            entry, st.integers(2, 9), st.just("beat"), st.integers(-99, 99),
            seconds=st.integers(0, 99).map(float),
        ),
        st.builds(
            entry, st.integers(2, 9), st.just("closed"), st.integers(0, 99),
            state=st.sampled_from(["died", "finished"]), seconds=st.integers(0, 99).map(float),
            split=st.sampled_from([None, SPLIT]),
        ),
        st.builds(
            entry, st.integers(2, 9), st.just("run"), st.integers(0, 99),
            state=st.sampled_from(["paused", "failed"]),
        ),
    ),
    max_size=12,
)  # fmt: skip


@given(ENTRIES, st.lists(st.integers(0, 2), max_size=12), st.randoms())
def test_pieces_in_any_order_are_one_truth(
    entries: list[JournalEntry], places: list[int], random: Any
) -> None:
    all_at_once = fold([OPENED, *entries])
    pieces: list[list[JournalEntry]] = [[OPENED], [OPENED], [OPENED]]
    for number, each in enumerate(entries):
        pieces[places[number] if number < len(places) else 0].append(each)
    told = [fold(piece) for piece in pieces]
    random.shuffle(told)
    together: Told | None = None
    for each_told in (*told, *told):  # again: nothing is counted twice
        together = join(together, each_told)
    assert together == all_at_once
    # a copy that says all at once is worth its entries
    assert together is not None
    copy = JournalEntry("s", together[1].seq, "whole", NOW, whole(*together))
    assert fold([copy]) == together
    assert fold([OPENED, copy, *entries]) == together
