"""What every work of one command is decided on: the machine, the data, the stores, the time."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import agnews_cli
from agnews_cli.core.machine.accelerator import Accelerator, Kind
from agnews_cli.core.machine.platform import Platform, describe
from agnews_cli.core.run import looks
from agnews_cli.core.run.allowance import bytes_within, rows_within
from agnews_cli.core.run.dataset import Dataset, Reading, Split
from agnews_cli.core.run.job import Event, ReaderLeft
from agnews_cli.core.run.request import FIELDS, SessionOptions, Wish, as_record, written
from agnews_cli.core.text import duration
from agnews_cli.errors import BudgetTooShort, LimitTooSmall, UsageError
from agnews_cli.host import network, probe
from agnews_cli.host.detect import detect
from agnews_cli.store.data import datasets
from agnews_cli.store.disk import names
from agnews_cli.store.disk.home import cache
from agnews_cli.store.remotes.remote import Remote
from agnews_cli.store.run import runs, test_lock
from agnews_cli.workflows.hours.deadline import session_left_s
from agnews_cli.workflows.runs import known_stores, stores
from agnews_cli.workflows.sessions import tracking
from agnews_cli.workflows.sessions.lasting import lasting
from agnews_cli.workflows.train import option_bounds

_HOME_DATASET = "fancyzhx/ag_news"
SAMPLE = "sample:"
"""Names the built-in sample as `data`, wherever the package lies."""
HUB_TIMEOUT_S = 5.0
RESULT_SCHEMA = "agnews.result/1"
_NO_TEST: tuple[Split, ...] = ("train", "validation", "unlabelled")
_CLOSING_S = 2.0  # from the last save to the end of this process
_LEAST_BUDGET_S = 30.0


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for; the defaults are what `agnews auto` alone means."""

    wish: Wish = Wish()  # noqa: RUF009
    session: SessionOptions = SessionOptions()  # noqa: RUF009
    is_rehearsal: bool = False
    """Nothing is to be written, not even what a probe found."""
    is_begun: bool = False
    """The run is there: whether it may go beyond limits was decided when it began."""
    started_monotonic_s: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, *, is_rehearsal: bool = False, **asked: Any) -> Request:
        """From fields of both by their names: `Request.of(data="reviews.csv", processes=2)`."""
        wish, session = (
            {one.name: asked.pop(one.name) for one in FIELDS[kind] if one.name in asked}
            for kind in (Wish, SessionOptions)
        )
        if asked:
            raise TypeError(f"nothing is called {', '.join(asked)}")
        return cls(Wish(**wish), SessionOptions(**session), is_rehearsal)


@dataclass(frozen=True, slots=True)
class Scene:
    """What was asked for, and what it meets."""

    request: Request
    hub: Callable[[], bool]
    """Whether the hub answers; asked once."""
    platform: Platform
    dataset: Dataset
    limit_train: int | None
    """How many training rows are used at most; None: all."""
    session_s: float | None
    """How long this session may last; the run is paused then."""
    store: Path
    remotes: tuple[Remote, ...]
    reasons: tuple[str, ...]
    is_lost_with_session: bool = False
    """Whether all that is saved lies on a disk that ends with the machine's session."""

    @property
    def wish(self) -> Wish:
        return self.request.wish

    @property
    def processes(self) -> int:
        """Of one training."""
        if self.request.session.processes:
            return self.request.session.processes
        device = self.platform.accelerator
        return max(1, 1 if device.kind == "cpu" else device.count)

    @property
    def order(self) -> dict[str, object]:
        """What `agnews resume` needs to ask for this again, on whatever machine."""
        data = self.wish.data
        if data is None and self.dataset.train.form.format != "hub":
            data = SAMPLE
        data, unlabelled = (
            str(Path(given).absolute()) if given is not None and Path(given).exists() else given
            for given in (data, self.wish.unlabelled)
        )
        return as_record(replace(self.wish, data=data, unlabelled=unlabelled))

    @property
    def of_any_job(self) -> dict[str, Any]:
        """The fields of any job: who watches it, when it must have ended, what is locked to it."""
        began_s, budget_s = self.request.started_monotonic_s, self.wish.budget_s
        return {
            "parent_pid": os.getpid(),
            "started_monotonic_s": began_s,
            "deadline_monotonic_s": budget_s and began_s + budget_s,
            "session_end_monotonic_s": self.session_s and began_s + self.session_s - _CLOSING_S,
            "locked": self._locked(),
        }

    def _locked(self) -> tuple[str, ...]:
        """The files that hold test rows and no others, named to nobody who does not know them."""
        data = self.dataset
        if data.test is None:
            return ()
        kept = datasets.RowCache.of(cache()).rows(data).get("test")
        others = [file for split in _NO_TEST if (file := data.file(split)) is not None]
        shared = {path for file in others for path in looks.files_of(file)}
        own = [path for path in looks.files_of(data.test) if path not in shared]
        return tuple(map(test_lock.digest, [*own, *([str(kept)] if kept else [])]))

    def as_json(self, run: str, state: str) -> dict[str, Any]:
        """What a result says of them (docs/json.md)."""
        device, data = self.platform.accelerator, self.dataset
        return {
            "schema": RESULT_SCHEMA,
            "version": agnews_cli.__version__,
            "run": run,
            "state": state,
            "platform": self.platform.name,
            "run_mode": self.platform.run_mode,
            "accelerator": {"kind": device.kind, "name": device.name, "count": device.count},
            "budget_s": self.wish.budget_s,
            "asked": written(self.wish),
            "data": {
                "name": data.name,
                "labels": list(data.labels),
                "train_rows": data.train.rows,
                "used_rows": min(self.limit_train or sys.maxsize, data.train.rows),
                "class_rows": dict(zip(data.labels, data.train.class_rows, strict=True)),
                "text_columns": list(data.text_columns),
                "label_column": data.label_column,
                "warnings": list(data.warnings),
                "test_rows": data.test.rows if data.test else None,
            },
            "store": str(self.store),
            "stores": [remote.address for remote in self.remotes],
            "folder": str(self.store / run),
            "is_lost_with_session": self.is_lost_with_session,
        }


Said = Callable[[Event], None]


def _one_chip(found: Accelerator, processes: int | None) -> Accelerator:
    """What trains of a TPU. Raises UsageError where more is asked for."""
    if processes is not None and processes > 1:
        raise UsageError(
            message=f"--processes {processes}: agnews trains on one chip of a TPU, in one process.",
            hint="Leave out --processes.",
        )
    return replace(found, count=1)


def look(
    request: Request, chosen: stores.Chosen, hub: Callable[[], bool], show: Said | None
) -> Scene:
    """Look at machine, data and stores. `show` hears of reading. Writes to the cache alone.

    Raises UsageError for several processes on a TPU, and what finding the data raises.
    """
    wish = request.wish
    remotes = stores.connect(chosen.remotes)
    told = datasets.nobody if show is None else _Telling(show, request.started_monotonic_s)
    dataset, reasons = find_data(wish, hub, told, reading=wish.reading)
    platform = detect()
    accelerator, notes = probe.usable(
        platform, processes=request.session.processes, remember=not request.is_rehearsal
    )
    if accelerator.kind == "tpu":
        accelerator = _one_chip(accelerator, request.session.processes)
    platform = replace(platform, accelerator=accelerator)
    reasons += [f"accelerator: {note}" for note in notes]
    session_s, why = session_left_s(platform, request.session.longest_s)
    reasons += [why] if why else []
    limit_train, too_many = rows_to_use(wish, dataset, platform.accelerator.kind)
    reasons += [too_many] if too_many else []
    store = names.local(chosen.folder or runs.default_store(platform.name)).absolute()
    names.require_unicode(store, cache())
    dataset = _with_change(dataset, store)
    stays = lasting(platform, store, remotes)
    reasons += [f"storage: {stays.text}"] if stays else []
    return Scene(
        request=request,
        hub=hub,
        platform=platform,
        dataset=dataset,
        limit_train=limit_train,
        session_s=session_s,
        store=store,
        remotes=remotes,
        reasons=(describe(platform), *reasons),
        is_lost_with_session=bool(stays and stays.is_lost),
    )


def _with_change(dataset: Dataset, store: Path) -> Dataset:
    """Warns where the test rows are not those that these data had when they were first seen."""
    seen = looks.sighting(dataset, datetime.now(UTC))
    told = "" if seen is None else test_lock.change(seen, known_stores.known(store))
    if not told:
        return dataset
    return dataset.model_copy(update={"warnings": (*dataset.warnings, told)})


def asked_once() -> Callable[[], bool]:
    """Whether the hub answers, found out at most once."""
    return _Once(lambda: network.hub_answers(HUB_TIMEOUT_S))


def require_sense(request: Request) -> stores.Chosen:
    """The stores that are meant. Raises OutOfRange, ValueWrong, SetTwice, BadStore, StoresInvalid,
    BudgetTooShort,
    and ExtraMissing of a tracker, for what can be told without looking at data or machine."""
    option_bounds.require_all(request.wish, request.session)
    tracking.require(request.session.track)
    wish = request.wish
    _ = wish.changes
    chosen = stores.choose(request.session.stores)
    names.require_unicode(wish.data, chosen.folder, wish.preset)
    if wish.budget_s is not None and wish.budget_s < _LEAST_BUDGET_S:
        raise BudgetTooShort(
            given=duration.show(wish.budget_s),
            reason="starting and evaluating alone take longer",
            least=f"{_LEAST_BUDGET_S:.0f}s",
        )
    return chosen


def rows_to_use(wish: Wish, dataset: Dataset, device: Kind) -> tuple[int | None, str]:
    """(how many training rows at most, why fewer than there are). Raises LimitTooSmall."""
    classes, there = len(dataset.labels), dataset.train.rows
    least = datasets.LEAST_ROWS * classes
    if wish.limit_train is not None and wish.limit_train < min(least, there):
        raise LimitTooSmall(given=wish.limit_train, classes=classes, least=least)
    if wish.budget_s is None:
        return wish.limit_train, ""
    within = max(rows_within(wish.budget_s, device), least)
    if within >= min(there, wish.limit_train or there):
        return wish.limit_train, ""
    budget = duration.show(wish.budget_s)
    return within, f"rows: {within:,} of {there:,}, as many as a budget of {budget} can use"


def find_data(
    wish: Wish, hub: Callable[[], bool], told: datasets.Told, *, reading: Reading
) -> tuple[Dataset, list[str]]:
    """The data that are meant, and why these."""
    if wish.data == SAMPLE:
        source, reasons = _sample(), ["data: the built-in sample"]
    elif wish.data is not None:
        source, reasons = wish.data, []
    elif importlib.util.find_spec("datasets") and hub():
        source, reasons = _HOME_DATASET, ["data: AG News from the hub, as no --data was given"]
    else:
        source = _sample()
        reasons = [
            f"no hub answers within {HUB_TIMEOUT_S:g} s: the built-in sample of 480 news items "
            "and the embedded model are used"
        ]
    most = None if wish.budget_s is None else bytes_within(wish.budget_s)
    rows = datasets.RowCache.of(cache())
    found = datasets.find(source, reading, bytes_at_most=most, told=told, cache=rows)
    reasons += [f"data: {note}" for note in found.notes]
    if rows.trouble:
        reasons.append(f"data: {rows.trouble}")
    return found, reasons


def _sample() -> str:
    return str(Path(agnews_cli.__file__).parent / "sample")


@dataclass(slots=True)
class _Telling:
    """Tells how far reading is, once a second, where it takes longer."""

    show: Callable[[Event], None]
    started_s: float
    _split: str = ""
    _began_s: float = 0.0
    _told_s: float = 0.0

    def __call__(self, split: str, rows: int) -> None:
        now_s = time.monotonic()
        if split != self._split:
            self._split, self._began_s, self._told_s = split, now_s, now_s
        if now_s - self._told_s < 1.0:
            return
        self._told_s = now_s
        per_s = rows / (now_s - self._began_s)
        facts = {"name": f"reading {split} rows", "done": rows, "per_s": round(per_s)}
        moment = datetime.now(UTC).isoformat()
        with suppress(ReaderLeft):  # who trains will hear of it
            self.show(Event(kind="work", at=moment, elapsed_s=now_s - self.started_s, data=facts))


class _Once:
    """Asks at most once."""

    def __init__(self, ask: Callable[[], bool]) -> None:
        self._ask, self._answer = ask, None

    def __call__(self) -> bool:
        if self._answer is None:
            self._answer = self._ask()  # type: ignore[assignment]
        return bool(self._answer)
