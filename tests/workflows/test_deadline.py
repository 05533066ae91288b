"""A session ends when the user says, or in time before the platform ends it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agnews_cli.host.detect import detect
from agnews_cli.workflows.hours.deadline import session_left_s

HOUR_S = 3600.0


@pytest.mark.parametrize(
    ("old_h", "asked_s", "left_s", "is_ours"),
    [
        (10.5, None, 1.26 * HOUR_S, True),  # 12 h less its age and 2% of 12 h
        (10.5, 0.5 * HOUR_S, 0.5 * HOUR_S, False),
        (10.5, 5 * HOUR_S, 1.26 * HOUR_S, True),
        (13.0, None, 0.0, True),
    ],
)
def test_a_platforms_limit_and_a_users_wish(monkeypatch, old_h, asked_s, left_s, is_ours):
    began = datetime.now(UTC) - timedelta(hours=old_h)
    monkeypatch.setenv("AGNEWS_PLATFORM", "kaggle")
    monkeypatch.setenv("AGNEWS_SESSION_STARTED", began.isoformat())
    left, why = session_left_s(detect(), asked_s)
    assert left == pytest.approx(left_s, abs=5)
    assert (why is not None) == is_ours
    if why:
        assert "Kaggle ends one after 12 h" in why


def test_where_no_limit_is_known_nothing_ends_a_session(monkeypatch):
    monkeypatch.setenv("AGNEWS_PLATFORM", "local")
    assert session_left_s(detect(), None) == (None, None)
    assert session_left_s(detect(), 60.0) == (60.0, None)
