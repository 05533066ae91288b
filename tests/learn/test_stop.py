"""Why a worker stops: somebody asked, or the session's end is near."""

import signal
import time

import pytest

from agnews_cli.learn.events import StopFlag, StopRequested


@pytest.fixture(autouse=True)
def own_signals():
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_what_would_not_fit_is_given_up_for_the_end_and_not_for_a_user():
    """Seen: 95 s of session, a validation that did not fit, a quick last save: exit 130, not 75."""
    stop = StopFlag(end_monotonic_s=time.monotonic() + 60)
    assert not stop.is_set
    assert stop.is_deadline


def test_a_signal_is_a_users_wish_even_at_the_end():
    stop = StopFlag(end_monotonic_s=time.monotonic() - 1)
    assert stop.is_deadline
    signal.raise_signal(signal.SIGTERM)
    assert not stop.is_deadline
    with pytest.raises(StopRequested):
        stop.check()


def test_without_an_end_only_somebody_can_have_asked():
    stop = StopFlag()
    assert not stop.is_deadline
    assert stop.left_s == float("inf")
