"""Several runs for one result: a graph is carried out, one ready node after the other.

Each node is a run with a lease of its own, so that two machines, or two cards of one, work on a
graph by doing the same: take what is ready and free, and look again. What is done is known by its
name; the graph is made anew from what was asked and never stored.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from agnews_cli.core.graph import shapes
from agnews_cli.core.graph.advice import few_rows
from agnews_cli.core.graph.asked import AnyPreset, Single, mapped, single_of, singles
from agnews_cli.core.graph.graph import Graph, Node
from agnews_cli.core.machine.platform import Platform
from agnews_cli.core.run.job import Event, Job, ReaderLeft, TestOrder
from agnews_cli.core.run.state import RunState
from agnews_cli.core.run.work import (
    MODEL,
    VALIDATION,
    Combine,
    Evaluate,
    Export,
    Predict,
    RunId,
    RunOutput,
    Train,
    inputs,
)
from agnews_cli.errors import (
    AgnewsError,
    InternalError,
    Interrupted,
    PartsFailed,
    PartsPaused,
    ReportedError,
    RunBusy,
    RunMissing,
    SessionOver,
    UsageError,
    WorkerDied,
)
from agnews_cli.store.model.models import Resolved
from agnews_cli.store.run import leases, parts
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.settings import model_limits, preset_shapes
from agnews_cli.store.transfer import pulls
from agnews_cli.workflows.forecast.costs import Ground
from agnews_cli.workflows.forecast.outlook import of_parts
from agnews_cli.workflows.prediction.export import require_modules
from agnews_cli.workflows.runs import stores
from agnews_cli.workflows.sessions import session
from agnews_cli.workflows.sessions.couriers import Note
from agnews_cli.workflows.sessions.session import Lane
from agnews_cli.workflows.sessions.watch import AGAIN, resume_command, signals
from agnews_cli.workflows.train import jobs, matched, single, suited
from agnews_cli.workflows.train.plans import Campaign, Plan
from agnews_cli.workflows.train.result import Result, result_of
from agnews_cli.workflows.train.scene import Scene

_POLL_S = 2.0
_LOOK_S = 30.0
"""Between two looks into further stores while other machines are waited for."""

Show = Callable[[Event], None]


# ---- deciding -----------------------------------------------------------------------------------


def prepare(scene: Scene, shape: AnyPreset, why: Sequence[str] = ()) -> Campaign:
    """The graph of `shape`, and how each training of it is done here.

    Raises UsageError under a budget, HubUnreachable where a model is not to be had, LimitsInvalid,
    TeacherOfOtherWidth where hidden states cannot be matched, MethodUnsuited.
    """
    wish = scene.wish
    if wish.budget_s is not None:
        raise UsageError(
            message=f"--budget is the time of one model, and {shape.name} is several.",
            hint="Leave out --budget; --session-hours pauses in time, and agnews resume goes on.",
        )
    limits = model_limits.load()
    found: dict[str, Resolved] = {}

    def here(one: Single) -> Single:
        model = single.located(one.preset, scene.hub)
        suited.require(one.preset, model)
        placed = replace(one, preset=single.at_place(one.preset, model))
        found[placed.preset.model.id] = model
        return placed

    shape = mapped(shape, here)
    matched.require(shape, scene.store, found)
    whole = preset_shapes.resolved_text(shape)
    graph = shapes.graph_of(shape, scene.dataset, wish.seed, limit=wish.limit_train)
    on_cpu = scene.platform.accelerator.kind == "cpu"
    plans = {}
    for node in graph.nodes.values():
        if isinstance(node.work, Train):
            preset = single_of(shape, node.work).preset
            plans[node.id] = Plan(
                scene=scene,
                preset=preset,
                model=found[preset.model.id],
                graph=graph.part(node),
                candidates=single.candidates_of(preset, None, on_cpu=on_cpu)[0],
                reasons=(),
                teacher=tuple(jobs.path_of(scene.store, source) for source in node.work.teacher),
                teacher_held=tuple(
                    jobs.path_of(scene.store, model, VALIDATION)
                    for model in _asked_teachers(graph, node.work)
                ),
                whole=whole,
            )
    named = {s.preset.model.id for s in singles(shape) if s.preset.method.needs_weights}
    notes = (f"weights of {name}: {found[name].note}" for name in sorted(named))
    ground = Ground(scene.store, cpu=scene.platform.accelerator)
    ahead = of_parts(
        graph, singles(shape), scene.dataset, scene.platform, ground=ground, left_s=scene.session_s
    )
    few = few_rows(shape, scene.limit_train or scene.dataset.train.rows)
    reasons = (*scene.reasons, *why, *few, *notes, *ahead.reasons)
    return Campaign(scene, shape, graph, plans, whole, reasons, limits, ahead.slow)


def _asked_teachers(graph: Graph, work: Train) -> Iterator[RunOutput]:
    """The models that were asked about the rows that train; each has said what it thinks of those
    that validate when it was made."""
    for source in work.teacher:
        node = graph.nodes.get(source.run)
        asked = None if node is None else node.work
        if isinstance(asked, Predict) and asked.of == "train" and asked.model.part == MODEL:
            yield asked.model


# ---- doing --------------------------------------------------------------------------------------


def _titled(show: Show, title: str) -> Show:
    """Says of each event whose it is, where several are at work at once."""

    def shown(event: Event) -> None:
        key = {"phase": "name", "note": "text", "warning": "text"}.get(event.kind)
        if key is not None:
            data = event.data | {key: f"{title}: {event.data[key]}"}
            event = event.model_copy(update={"data": data})
        show(event)

    return shown


def _beside_parts(error: AgnewsError, title: str, done: int, count: int) -> AgnewsError:
    """What a session says of its end is of one part: the others are kept."""
    if done:
        here = error.message.replace("nothing is saved", f"nothing of {title} is saved")
        error.message = f"{here.rstrip('.')}; {done} of {count} parts are done and kept."
    return error


def carry_out(campaign: Campaign, *, show: Show) -> Result:
    """Do what is left of the graph, as far as this session lasts.

    Raises what one node's session does: Interrupted, SessionOver, ...; PartsFailed where parts
    failed and nothing else is left that can be done.
    """
    at_work = _AtWork(campaign, show)
    try:
        return at_work.to_the_end()
    except KeyboardInterrupt:  # outside of a node's own session
        raise Interrupted(
            kept=f"{len(at_work.done):,} of {len(campaign.graph.nodes):,} parts are done and kept",
            next=f"Go on with: {at_work.resume}",
        ) from None


@dataclass(slots=True)
class _AtWork:
    """One command at a graph."""

    campaign: Campaign
    show: Show
    done: set[RunId] = field(default_factory=set)
    failed: dict[RunId, AgnewsError] = field(default_factory=dict)
    busy: dict[RunId, str] = field(default_factory=dict)
    """Where others are at work."""
    looked_s: float = -1e9
    tried: set[RunId] = field(default_factory=set)
    """What this command did already."""
    at_work: set[RunId] = field(default_factory=set)
    """What lanes of this command are at."""
    elsewhere: dict[RunId, tuple[str, float]] = field(default_factory=dict)
    """What a further store shows to be at work on another machine: where, and until when that is
    believed."""
    redone: set[RunId] = field(default_factory=set)
    """With --fresh: the places where this command did all anew."""
    said: str = ""
    """What was said last of those who are waited for."""

    @property
    def graph(self) -> Graph:
        return self.campaign.graph

    @property
    def scene(self) -> Scene:
        return self.campaign.scene

    def to_the_end(self) -> Result:
        was_there = self.is_over()
        if was_there:
            return self.result(was_there=True)
        missing = sorted(self.graph.outside - self.done)
        if missing:
            raise RunMissing(run=missing[0], whole=self.campaign.run, store=self.scene.store)
        single.require_training_modules()
        for work in (one.work for one in self.graph.nodes.values()):
            if isinstance(work, Export):
                require_modules(work.form)
        self._write_down()
        lanes = self._lanes()
        if lanes > 1:
            self._side_by_side(lanes)
        while not self.is_over():
            node = self._next()
            if node is not None:
                self._do(node)
            elif self.busy:
                self._wait()
            else:
                raise self._stuck()
        return self.result(was_there=False)

    def _lanes(self) -> int:
        """How many parts are at work at once: as many as are asked for, else one for each GPU."""
        options, device = self.scene.request.session, self.scene.platform.accelerator
        if options.at_once is not None:
            return options.at_once
        return device.count if device.kind == "cuda" and options.processes is None else 1

    def _side_by_side(self, lanes: int) -> None:
        """As long as there is work for several, each in a thread with a share of the machine.

        Raises what a part's session raised, when the others have ended too.
        """
        lock, show, error = threading.Lock(), self.show, None

        def one_at_a_time(event: Event) -> None:
            with lock:
                show(event)

        self.show = one_at_a_time
        free = list(range(lanes))
        with signals() as received, ThreadPoolExecutor(lanes) as pool:
            working: dict[Future[None], int] = {}
            while True:
                self._look()
                while free and error is None and not received and (node := self._next()):
                    self.at_work.add(node.place)
                    number = free.pop(0)
                    working[pool.submit(self._in_lane, node, number, lanes, received)] = number
                if not working:
                    break
                over, _ = wait(working, timeout=_POLL_S, return_when=FIRST_COMPLETED)
                for future in over:
                    free.append(working.pop(future))
                    error = error or future.exception()
        self.show = show
        if error is not None:
            raise error
        if received:
            raise KeyboardInterrupt

    def _in_lane(self, node: Node, number: int, lanes: int, received: list[int]) -> None:
        platform = self.scene.platform
        on_gpu = platform.accelerator.kind == "cuda"
        mine = replace(
            platform,
            cpu_count=max(1, platform.cpu_count // lanes),
            accelerator=replace(platform.accelerator, count=1),
        )
        try:
            self._do(node, Lane(received, number if on_gpu else None), mine)
        finally:
            self.at_work.discard(node.place)

    def is_over(self) -> bool:
        """Whether the target is done, as the stores say now."""
        self._look()
        return self.graph.target in self.done

    def _look(self) -> None:
        """Find out what is done: in the folder, and now and then in further stores."""
        is_fresh = self.scene.request.session.fresh
        for place in dict.fromkeys(node.place for node in self.graph.nodes.values()):
            if is_fresh and place not in self.redone:
                continue
            self.done |= RunFolder(self.scene.store / place).done() & self.graph.nodes.keys()
        self.done |= {run for run in self.graph.outside if self._has(run)}
        if not self.scene.remotes or time.monotonic() - self.looked_s < _LOOK_S:
            return
        self.looked_s = time.monotonic()
        places = {node.place for node in self.graph.nodes.values()}
        with tempfile.TemporaryDirectory(prefix="agnews-look-") as work:
            seen, _ = stores.found_in(self.scene.remotes, Path(work))
        for one in seen:
            folder = RunFolder(self.scene.store / one.run)
            if one.run in self.graph.outside and not self._has(one.run):
                single.bring(self.scene, pulls.unpack_record(one, self.scene.store), self.show)
            elif one.run in places and one.state == RunState.COMPLETED and not folder.done():
                self._fetch(one.run)

    def _has(self, run: RunId) -> bool:
        return run in RunFolder(self.scene.store / run).done()

    def _fetch(self, run: RunId) -> None:
        """What another machine finished comes here whole."""
        node = self.graph.nodes[run]
        folder = jobs.created(self.campaign, node)
        single.bring(self.scene, folder, self.show)
        self.done |= folder.done() & self.graph.nodes.keys()

    def _next(self) -> Node | None:
        """What is ready and free; a place that others hold is passed over for now."""
        self.busy.clear()
        now = datetime.now(UTC)
        ready = self.graph.ready(self.done)
        for node in sorted(ready, key=lambda node: node.id in self.campaign.slow):
            if node.place in self.at_work:
                continue
            if node.place in self.failed or any(i in self.failed for i in inputs(node.work)):
                continue
            where = leases.holder(self.scene.store / node.place, now)
            if where is not None and not self.scene.request.session.takeover:
                self.busy[node.place] = where
                continue
            where, until_s = self.elsewhere.get(node.place, ("", 0.0))
            if time.monotonic() < until_s:
                self.busy[node.place] = where
                continue
            return node
        return None

    def _do(self, node: Node, lane: Lane | None = None, platform: Platform | None = None) -> None:
        """One part, on `platform`, this machine or a share of it. Raises what its session does."""
        scene = replace(self.scene, platform=platform or self.scene.platform)
        if node.id in self.tried:  # it ended well, and is not there
            raise InternalError(what=f"{node.id} is done and not found", log=node.place)
        self.tried.add(node.id)
        number, count = list(self.graph.nodes).index(node.id) + 1, len(self.graph.nodes)
        show = self.show if lane is None else _titled(self.show, node.title)
        self._tell(Note(f"part {number} of {count}, {node.title}: {node.place}"))
        self._tell(Note("starting", is_phase=True))
        try:
            match self.graph[node.place].work if node.place in self.graph.nodes else node.work:
                case Train():
                    plan = replace(self.campaign.plans[node.place], scene=scene)
                    single.carry_out(plan, show=show, lane=lane)
                case Combine() as work:
                    here = self.graph[node.place]
                    job, asked = jobs.combining(self.campaign, here, work, self.done)
                    self._session(job, scene, lane, show, test=asked)
                case Predict() as work:
                    self._session(jobs.predicting(self.campaign, node, work), scene, lane, show)
                case Evaluate() as work:
                    judged, asked = jobs.evaluating(self.campaign, node, work)
                    self._session(judged, scene, lane, show, test=asked)
                case Export() as work:
                    plan = self.campaign.plans[work.model.run]
                    made = single.job_of(plan, RunFolder(self.scene.store / work.model.run))
                    here = self.graph[node.place]
                    written, asked = jobs.exporting(self.campaign, here, work, made, self.done)
                    self._session(written, scene, lane, show, test=asked)
        except (Interrupted, SessionOver) as error:
            self._look()
            for said in (AGAIN, f"Go on with: {self._resume(node.place)}"):
                error.advice = error.advice.replace(said, f"Go on with: {self.resume}")
            raise _beside_parts(error, node.title, len(self.done), count) from None
        except RunBusy as error:  # somebody was quicker, or a further store shows a session
            self.tried.discard(node.id)
            where = str(error.facts.get("where", "another session"))
            self.elsewhere[node.place] = where, time.monotonic() + _LOOK_S
        except (ReportedError, WorkerDied) as error:
            self.failed[node.place] = error
            self._tell(Note(f"{node.title} failed: {error.message} Other parts go on.", True))
        else:
            self.redone.add(node.place)

    def _session(
        self,
        job: Job,
        scene: Scene,
        lane: Lane | None,
        show: Show,
        *,
        test: TestOrder | None = None,
    ) -> None:
        """One session of a node that is no training."""
        folder = RunFolder(Path(job.folder))
        if self.scene.remotes:
            single.bring(self.scene, folder, self.show)
        options = self.scene.request.session
        if folder.done() >= set(job.nodes) and not options.fresh:
            return
        session.train(
            job,
            folder,
            scene.platform,
            processes=1 if job.is_light else scene.processes,
            show=show,
            takeover=options.takeover,
            is_fresh=options.fresh,
            remotes=self.scene.remotes,
            test=test,
            lane=lane,
        )

    def _write_down(self) -> None:
        """The folder of the result, from which `agnews resume` knows what was asked for."""
        folder = jobs.created(self.campaign, self.graph[self.graph.place])
        parts.write(folder, self.graph)

    def _wait(self) -> None:
        """Others hold all that is ready: look again, as long as this session lasts."""
        end_s = self.scene.of_any_job["session_end_monotonic_s"]
        if end_s is not None and time.monotonic() > end_s:
            done, count = len(self.done), len(self.graph.nodes)
            raise PartsPaused(done=done, count=count, run=self.campaign.run, next=self.resume)
        place, where = next(iter(self.busy.items()))
        text = f"waiting for {place}, which {where} is at"
        if text != self.said:
            self.said = text
            self._tell(Note(text, is_phase=True))
        time.sleep(_POLL_S)

    def _stuck(self) -> AgnewsError:
        names = "\n".join(
            f"  {self.graph[run].title} ({run}): {error.message}"
            for run, error in self.failed.items()
        )
        run = self.campaign.run
        return PartsFailed(count=len(self.failed), names=names, run=run, next=self.resume)

    @property
    def resume(self) -> str:
        """What to type to go on with all of it."""
        return self._resume(self.graph.place)

    def _resume(self, place: str) -> str:
        return resume_command(RunFolder(self.scene.store / place), self.scene.remotes)

    def _tell(self, note: Note) -> None:
        with suppress(ReaderLeft):  # the watch will hear of it
            self.show(note.event(self.scene.request.started_monotonic_s))

    def result(self, *, was_there: bool) -> Result:
        folder = RunFolder(self.scene.store / self.graph.place)
        outcome = folder.ended()
        assert outcome is not None
        return result_of(self.campaign, folder, outcome, self.show, was_there=was_there)
