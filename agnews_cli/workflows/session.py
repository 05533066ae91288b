"""One session of a run: ledger row first, worker launched, events shown, row closed whatever comes.

SIGINT, SIGTERM and SIGHUP ask the worker to stop in good order; a second one ends it at once.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from agnews_cli.core.job import Event, Job, Outcome
from agnews_cli.core.platform import Platform
from agnews_cli.errors import Interrupted, ReportedError, WorkerDied
from agnews_cli.host import launch
from agnews_cli.store.runs import RunFolder, write_text_atomically

_POLL_S = 0.1
_BEAT_S = 15.0
_LATE_S = 20.0  # past its deadline by so much, the worker is ended
_GRACE_S = 60.0  # to save what there is after a stop was asked for

Show = Callable[[Event], None]


def train(
    job: Job, folder: RunFolder, platform: Platform, *, processes: int, show: Show
) -> Outcome:
    """Run the worker on `job` to its outcome.

    Raises Interrupted, WorkerDied, and what the worker itself put into words.
    """
    from agnews_cli.store.ledger import Ledger, RunState, SessionEnd

    for stale in (folder.events, folder.outcome, folder.evaluation, folder.predictions):
        stale.unlink(missing_ok=True)
    write_text_atomically(folder.job, job.model_dump_json(indent=2))
    with Ledger() as ledger:
        ledger.record_run(
            job.run,
            preset=job.preset.name,
            dataset=job.dataset.name,
            seed=job.seed,
            folder=str(folder.path),
            now=_now(),
            state="running",
        )
        device = platform.accelerator
        session = ledger.open_session(
            job.run, platform=platform.name, accelerator=device.name, now=_now()
        )
        how: SessionEnd = "error"
        state: RunState = "failed"
        try:
            outcome = _watch(job, folder, platform, processes, show, _beater(ledger, session))
            if outcome.state == "completed":
                how, state = "finished", "completed"
            elif outcome.state == "interrupted":
                how, state = "interrupted", "interrupted"
        except Interrupted:
            how, state = "interrupted", "interrupted"
            raise
        finally:
            ledger.close_session(session, how, _now())
            ledger.set_state(job.run, state, _now())
    if outcome.state == "interrupted":
        raise _interrupted(folder)
    if outcome.failure is not None:
        failure = outcome.failure
        raise ReportedError(failure.message, failure.hint, failure.exit_code, failure.kind)
    return outcome


def _watch(
    job: Job,
    folder: RunFolder,
    platform: Platform,
    processes: int,
    show: Show,
    beat: Callable[[], None],
) -> Outcome:
    worker = launch.start(
        folder.job,
        folder.log,
        platform.accelerator,
        processes=processes,
        cpu_count=platform.cpu_count,
    )
    tail = Tail(folder.events)
    pid: int | None = None
    asked_s: float | None = None
    with _signals() as received:
        answered = 0
        try:
            while True:
                code = worker.poll()
                for event in tail.read():
                    if event.kind == "started":
                        pid = int(event.data["pid"])
                    show(event)
                if folder.outcome.exists():
                    return Outcome.model_validate_json(folder.outcome.read_text("utf-8"))
                if code is not None:
                    if asked_s is not None:
                        raise _interrupted(folder)
                    raise WorkerDied(how=_how(code), log=folder.log)
                now_s = time.monotonic()
                if len(received) > answered:
                    answered = len(received)
                    if asked_s is not None:
                        raise _interrupted(folder)
                    asked_s = now_s
                    worker.ask_to_stop(pid)
                late_s = job.deadline_monotonic_s and now_s - job.deadline_monotonic_s
                if late_s is not None and late_s > _LATE_S and asked_s is None:
                    asked_s = now_s
                    worker.ask_to_stop(pid)
                if asked_s is not None and now_s - asked_s > _GRACE_S:
                    raise _interrupted(folder)
                beat()
                time.sleep(_POLL_S)
        finally:
            worker.close()


def _interrupted(folder: RunFolder) -> Interrupted:
    has_model = (folder.model / "config.json").exists() or (
        folder.model / "adapter_config.json"
    ).exists()
    kept = f"the model so far is in {folder.model}" if has_model else "no model was trained yet"
    return Interrupted(kept=kept, next="The same command trains this run again.")


def _how(code: int) -> str:
    if code < 0 or code > 128:
        number = -code if code < 0 else code - 128
        with suppress(ValueError):
            name = signal.Signals(number).name
            more = ", often the system ending a process that used too much memory"
            return f"{name}{more if name == 'SIGKILL' else ''}"
    return f"exit code {code}"


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collects stop signals instead of dying from them; handlers are put back after."""
    received: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    try:
        before = {n: signal.signal(n, lambda number, _: received.append(number)) for n in numbers}
    except ValueError:  # not the main thread: somebody else owns the signals
        yield received
        return
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _beater(ledger: object, session: int) -> Callable[[], None]:
    from agnews_cli.store.ledger import Ledger

    assert isinstance(ledger, Ledger)
    last_s = time.monotonic()

    def beat() -> None:
        nonlocal last_s
        if time.monotonic() - last_s >= _BEAT_S:
            last_s = time.monotonic()
            ledger.beat(session, _now())

    return beat


class Tail:
    """Whole lines appended to a file since the last `read`."""

    def __init__(self, path: Path) -> None:
        self._path, self._at = path, 0

    def read(self) -> Iterator[Event]:
        """New events; a line still being written waits for the next call."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._at)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._at += len(whole)
        for line in whole.splitlines():
            yield Event.model_validate_json(line)


def _now() -> datetime:
    return datetime.now(UTC)
