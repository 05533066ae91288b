"""Tells a tracker of a run: `python -m agnews_cli.learn.track ORDER`. Without torch.

It reads the run's events as they are appended, and ends when its standard input does: whoever
started it is done, or gone. It may be slow, fail or be killed: nobody waits for it, and what was
not told is told by the next session's.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from agnews_cli.core.run.state import RunState
from agnews_cli.core.run.tracking import Point, ToTrack, Tracked, TrackingNote, news, point
from agnews_cli.errors import AgnewsError
from agnews_cli.learn import trackers
from agnews_cli.learn.kinds.tracker import TrackerRun
from agnews_cli.store.run import tracked
from agnews_cli.store.run.events import Tail
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.settings.secrets import hidden

_POLL_S = 1.0
_REMEMBERED_S = 10.0
"""Between two writings of what was told."""
_NICE = 10
_MOST_WORDS = 300


class Say(Protocol):
    def __call__(self, text: str, *, is_warning: bool = False) -> None: ...


def main() -> None:
    order = ToTrack.model_validate_json(sys.argv[1])
    words = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # packages greet on standard output
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # its end is that of its standard input
    with suppress(OSError):
        os.nice(_NICE)

    def say(text: str, *, is_warning: bool = False) -> None:
        with suppress(OSError):  # nobody listens
            note = TrackingNote(text=hidden(text), is_warning=is_warning)
            print(note.model_dump_json(), file=words, flush=True)

    try:
        follow(order, _end_of_input(), say)
    except Exception as error:
        traceback.print_exc()
        what = f"{type(error).__name__}: {error}"[:_MOST_WORDS]
        say(f"--track {order.tracker}: {what}; the run goes on without it", is_warning=True)


def _end_of_input() -> threading.Event:
    over = threading.Event()

    def wait() -> None:
        with suppress(OSError):
            while os.read(0, 4096):
                pass
        over.set()

    threading.Thread(target=wait, daemon=True).start()
    return over


def follow(order: ToTrack, over: threading.Event, say: Say) -> None:
    """Tell the tracker of all that the run's events hold and will hold, until it is `over`.

    Raises whatever the tracker's package raises.
    """
    folder = RunFolder(Path(order.run))
    before = tracked.read(folder).get(order.tracker)
    is_same = before is not None and before.name == order.name
    Path(order.place).mkdir(parents=True, exist_ok=True)
    run = trackers.begin(order, dict(before.sent) if before and is_same else {})
    say(f"tracked by {order.tracker}: {run.where}")
    tail, remembered_s, is_last = Tail(folder.events), time.monotonic(), False
    while not is_last:
        is_last = over.wait(_POLL_S)  # first: what is there when it is over is read
        while points := _fresh(tail, run.sent):
            run.add(points)
        if is_last or time.monotonic() - remembered_s > _REMEMBERED_S:
            _remember(folder, order, run)
            remembered_s = time.monotonic()
    run.close(_figures(folder), is_completed=_is_completed(folder))


def _fresh(tail: Tail, sent: Mapping[str, int]) -> list[Point]:
    """The points of new events that were not told, in their order."""
    seen, found = dict(sent), []
    for event in tail.read():
        one = point(event)
        if one is not None and (new := news(one, seen)) is not None:
            found.append(new)
            seen |= dict.fromkeys(new.figures, new.step)
    return found


def _remember(folder: RunFolder, order: ToTrack, run: TrackerRun) -> None:
    with suppress(AgnewsError):  # a full disk: the next session asks the tracker, or repeats
        tracked.write(folder, order.tracker, Tracked(name=order.name, sent=dict(run.sent)))


def _is_completed(folder: RunFolder) -> bool:
    ended = folder.ended()
    return ended is not None and ended.state == RunState.COMPLETED


def _figures(folder: RunFolder) -> dict[str, float]:
    """Of the finished model: on the rows that validated it, and on the test rows."""
    evaluation = folder.evaluated() if _is_completed(folder) else None
    if evaluation is None:
        return {}
    parts = {"final_validation": evaluation.validation, "final_test": evaluation.test}
    return {
        f"{name}/{figure}": value
        for name, part in parts.items()
        if part is not None
        for figure, value in {
            "accuracy": part.accuracy.value,
            "macro_f1": part.macro_f1.value,
            "loss": part.loss,
            "calibration_error": part.calibration_error,
        }.items()
    }


if __name__ == "__main__":
    main()
