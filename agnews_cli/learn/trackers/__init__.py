"""Trackers, one module each (`learn.kinds.tracker`), named by `--track`."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from agnews_cli.core.run.tracking import ToTrack
from agnews_cli.learn.kinds.registry import modules
from agnews_cli.learn.kinds.tracker import TrackerRun


def begin(order: ToTrack, sent: Mapping[str, int]) -> TrackerRun:
    """Raises whatever the tracker's package raises."""
    found: TrackerRun = modules(sys.modules[__name__])[order.tracker].begin(order, sent)
    return found
