"""A session ends when the user says, or in time before the platform ends it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest


@pytest.mark.parametrize(
    ("old_h", "arguments", "said"),
    [
        (10.5, (), "is paused in 1 h 1"),
        (10.5, ("--session-hours", "0.5"), None),
        (10.5, ("--session-hours", "5"), "is paused in 1 h 1"),
        (13, (), "is paused in 0 s"),
    ],
)
def test_a_platforms_limit_and_a_users_wish(agnews, monkeypatch, old_h, arguments, said):
    began = datetime.now(UTC) - timedelta(hours=old_h)
    monkeypatch.setenv("AGNEWS_PLATFORM", "kaggle")
    monkeypatch.setenv("AGNEWS_SESSION_STARTED", began.isoformat())
    done = agnews("auto", "--dry-run", "--data", "sample:", "--preset", "minilm", *arguments)
    assert done.code == 0, done.err
    assert ("Kaggle ends one after 12 h" in done.out) == (said is not None)
    if said:
        assert said in " ".join(done.out.split())


def test_where_no_limit_is_known_nothing_ends_a_session(agnews, monkeypatch):
    monkeypatch.setenv("AGNEWS_PLATFORM", "local")
    done = agnews("auto", "--dry-run", "--data", "sample:", "--preset", "minilm")
    assert "session:" not in done.out
