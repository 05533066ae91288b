"""What a tracker is: a module of `learn.trackers`, named by `--track`:

- `EXAMPLE`: variables of the environment under which it needs no network, `{place}` its folder, for
  the suite that tests every tracker;
- `begin(order, sent) -> TrackerRun`: its run, begun or gone on with. `sent`: the last step of each
  series that it is believed to have. Raises whatever its package raises.

Its package is imported in `begin`, and called like its module and its extra.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from agnews_cli.core.run.tracking import Point


class TrackerRun(Protocol):
    """One run of a tracker."""

    @property
    def sent(self) -> Mapping[str, int]:
        """The last step of each series that it has, as it says itself where it can."""
        ...

    @property
    def where(self) -> str:
        """Where to look, in words: an address or a command."""
        ...

    def add(self, points: Sequence[Point]) -> None:
        """Take points, in their order; kept when it returns, as far as the package says."""
        ...

    def close(self, figures: Mapping[str, float], *, is_completed: bool) -> None:
        """The session is over. `figures`: of the finished model, by name, where it is finished."""
        ...
