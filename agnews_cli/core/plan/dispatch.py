"""From a choice to a schedule: the plan is lived through, event by event.

Time runs from event to event (a part ends, a session ends, quota returns, a place becomes free).
At each, the ready jobs are given to free cards, the most urgent first: where each would end
earliest, in an open session or a new one. A part runs until its job is done or its session must
end; what is left is ready again. So jobs are cut where sessions end, and nowhere else, but for

- a deadline `target_s`: a waiting job whose slack is used up takes the card of the running job with
  the most slack. This is the wrap-around rule of McNaughton (1959): three equal jobs on two cards
  take 1.5 times one, not twice;
- a job on a slow device moves to a free fast one when it ends earlier there.

How far a session may last is found anew at each event: all open sessions of a resource draw on one
quota, so each one opened brings the others' ends nearer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heapify, heapreplace

from agnews_cli.core.plan.instance import Task
from agnews_cli.core.plan.numbered import Numbered
from agnews_cli.core.plan.pool import Pool
from agnews_cli.core.plan.rules import Directive, Rules
from agnews_cli.core.plan.schedule import Booking, Part, Schedule

_EPS = 1e-6
_INF = math.inf


@dataclass(slots=True)
class _Run:
    """A part that is running: all steps that are left, as far as the session lasts."""

    job: int
    card: int
    begins_s: float
    first_step: int
    steps: int
    ends_s: float
    is_last: bool
    directive: Directive | None


@dataclass(slots=True)
class _Open:
    resource: int
    place: int
    begins_s: float
    cards: list[_Run | None]
    free_s: list[float]
    parts: list[Part] = field(default_factory=list)
    end_s: float = _INF


def _ends_s(session: _Open, now_s: float) -> float:
    """When a session ends, if nothing more is given to it."""
    return max((run.ends_s for run in session.cards if run is not None), default=now_s)


class Dispatch:
    def __init__(self, graph: Numbered, choice: Rules, give_up_s: float = _INF) -> None:
        self.graph, self.choice, self.give_up_s = graph, choice, give_up_s
        self.now_s = 0.0
        self.work = 0
        """Jobs looked at: what a dispatch costs."""
        gone = graph.unplaceable()
        self.left = [0 if i in gone else job.steps for i, job in enumerate(graph.jobs)]
        self.waits_for = [
            -1 if i in gone else sum(1 for j in before if j not in gone)
            for i, before in enumerate(graph.before)
        ]
        self.unfinished = sum(1 for i in range(len(graph.jobs)) if i not in gone)
        self.unplaced = tuple(graph.jobs[i].name for i in sorted(gone))
        self.ready = [i for i in range(len(graph.jobs)) if not self.waits_for[i]]
        self.since_s = [0.0] * len(graph.jobs)
        self.cuts = [0] * len(graph.jobs)
        self.begun = [0] * len(graph.jobs)
        """Parts of each job that were begun: the number of its next one."""
        self.runs_on: dict[int, tuple[_Open, _Run]] = {}
        self.open: list[_Open] = []
        self.closed: list[Booking] = []
        self.place_free_s = [
            [r.from_s] * min(r.sessions_at_once, choice.places[k])
            for k, r in enumerate(graph.resources)
        ]
        self.taken: list[set[int]] = [set() for _ in graph.resources]
        self.pools = [Pool(r.quota) if r.quota else None for r in graph.resources]
        self.home = [
            tuple(r for r in homes if (i, r) not in choice.banned) or homes
            for i, homes in enumerate(graph.home)
        ]
        self.quickest_s = [
            min((step_s[r] for r in homes), default=0.0)
            for step_s, homes in zip(graph.step_s, self.home, strict=True)
        ]

    def schedule(self) -> Schedule | None:
        """The whole schedule; None when it would end after `give_up_s`."""
        for _ in range(200 * len(self.graph.jobs) + 2000):
            self._assign()
            if not self.unfinished:
                for session in list(self.open):
                    self._close(session)
                self.closed.sort(key=lambda s: (s.begins_s, s.resource, s.place))
                return Schedule(tuple(self.closed), self.unplaced)
            next_s = self._next_s()
            if next_s == _INF or next_s > self.give_up_s:
                return None
            self._advance(next_s)
        return None

    # ---- time

    def _next_s(self) -> float:
        now, events = self.now_s + _EPS, [_INF]
        for session in self.open:
            events += [max(r.ends_s, now + _EPS) for r in session.cards if r is not None]
            events += [free for free in session.free_s if free > now]
        is_waiting = bool(self.ready)
        is_wanted = is_waiting or self._could_move()
        for r, pool in enumerate(self.pools):
            if pool is not None and (is_wanted or self.taken[r]):
                events.append(pool.ends_s)
                if r in self.choice.patient:
                    events.append(pool.late_s(len(self.taken[r]) + 1))
        coming = self._coming()
        if is_wanted or coming:
            events += [s for places in self.place_free_s for s in places]
        if self.choice.directives:
            events += [self._from_s(i) for i in self.ready]
        events += [shut.to_s for shut in self.choice.shut]
        if is_waiting and self.choice.target_s < _INF:
            events += [self._late_s(i) for i in self.ready]
        for i, ready_s, _ in coming:
            events += [ready_s - self.graph.resources[r].startup_s for r in self._homes(i)]
        return min(s for s in events if s > now)

    def _advance(self, to_s: float) -> None:
        for r, pool in enumerate(self.pools):
            if pool is not None:
                pool.advance(to_s, len(self.taken[r]))
        self.now_s = to_s
        for session in self.open:
            for card, run in enumerate(session.cards):
                if run is not None and run.ends_s <= to_s + _EPS:
                    self._finish(session, card, run)

    def _finish(self, session: _Open, card: int, run: _Run) -> None:
        job = self.graph.jobs[run.job]
        if run.steps:
            session.parts.append(
                Part(job.name, run.card, run.first_step, run.steps, run.begins_s, run.ends_s)
            )
            session.free_s[card] = run.ends_s
        else:
            self.begun[run.job] -= 1
        session.cards[card] = None
        del self.runs_on[run.job]
        self.left[run.job] -= run.steps
        self.since_s[run.job] = run.ends_s if run.steps else self.now_s
        if self.left[run.job]:
            self.ready.append(run.job)
            return
        self.unfinished -= 1
        for j in self.graph.after[run.job]:
            self.waits_for[j] -= 1
            if not self.waits_for[j]:
                self.ready.append(j)
                self.since_s[j] = run.ends_s

    # ---- how long a session may last

    def _limit_s(self, r: int, begins_s: float, *, of: _Open | None = None) -> float:
        """When a session of `r` must end: one that is open, or a new one where `of` is None."""
        cap_s = begins_s + self.graph.resources[r].session_s
        pool = self.pools[r]
        if pool is None:
            return cap_s
        if self.choice.first_come:
            others = [_ends_s(s, self.now_s) for s in self.open if s.resource == r and s is not of]
        else:
            others = [_INF] * (len(self.taken[r]) - (of is not None))
        return min(cap_s, pool.empty_s(self.now_s, others, cap_s))

    def _refit(self, r: int) -> None:
        """The open sessions of a resource draw on its quota together: fit their parts to it."""
        for session in self.open:
            if session.resource != r:
                continue
            session.end_s = self._limit_s(r, session.begins_s, of=session)
            for card, run in enumerate(session.cards):
                if run is None:
                    continue
                self._fit(session, run)
                if not run.steps:  # what is left of the quota is not enough for one step
                    self._finish(session, card, run)

    def _fit(self, session: _Open, run: _Run) -> None:
        job = self.graph.jobs[run.job]
        step_s = self.graph.step_s[run.job][session.resource]
        steps = self._steps(job, self.left[run.job], step_s, session.end_s - run.begins_s)
        if run.directive is not None and run.directive.steps is not None:
            steps = min(steps, run.directive.steps)
        run.steps, run.is_last = steps, steps == self.left[run.job]
        run.ends_s = run.begins_s + job.overhead_s + steps * step_s

    @staticmethod
    def _steps(job: Task, left: int, step_s: float, room_s: float) -> int:
        room_s -= job.overhead_s
        if room_s + _EPS >= left * step_s:
            return left
        if not job.is_divisible or room_s <= 0:
            return 0
        return int((room_s + _EPS) / step_s)

    # ---- giving work to cards

    def _assign(self, *, again: bool = True) -> None:
        if self.ready:
            # A session that is opened may end another's part: its job is then ready again.
            waiting, self.ready = sorted(self.ready, key=self._rank), []
            waiting = self._start_all(waiting)
            if self.choice.target_s < _INF:
                waiting = [i for i in waiting if not self._take_card(i)]
            self.ready += waiting
        self._move_to_faster()
        kept = self._expect()
        idle = [
            session
            for session in self.open
            if all(run is None for run in session.cards) and id(session) not in kept
        ]
        for session in idle:
            self._close(session)
        if idle and self.ready and again:  # a place became free
            self._assign(again=False)

    def _start_all(self, waiting: list[int]) -> list[int]:
        """Start what can be started, the first first; returns the jobs that go on waiting."""
        busy: list[list[tuple[float, float]]] = [[] for _ in self.graph.resources]
        for session in self.open:
            busy[session.resource] += [
                (run.ends_s, session.end_s) for run in session.cards if run is not None
            ]
        for queue in busy:
            heapify(queue)
        kept: list[int] = []
        is_full = self._is_full()
        for at, i in enumerate(waiting):
            if is_full:
                return kept + waiting[at:]
            if self._is_held(i):
                kept.append(i)
            elif self._start(i, busy):
                is_full = self._is_full()
            else:
                kept.append(i)
        return kept

    def _directive(self, i: int) -> Directive | None:
        """Of the next part of job `i`."""
        if not self.choice.directives:
            return None
        return self.choice.directives.get((i, self.begun[i]))

    def _homes(self, i: int) -> Sequence[int]:
        directive = self._directive(i)
        if directive is None or directive.resource is None:
            return self.home[i]
        return (directive.resource,)

    def _from_s(self, i: int) -> float:
        directive = self._directive(i)
        return 0.0 if directive is None else directive.from_s

    def _is_held(self, i: int) -> bool:
        return self._from_s(i) > self.now_s + _EPS

    def _is_full(self) -> bool:
        for session in self.open:
            if None in session.cards:
                return False
        return all(self._free_place(r) is None for r in range(len(self.pools)))

    def _rank(self, i: int) -> tuple[float, float]:
        graph = self.graph
        level_s = graph.tail_s[i] + self.left[i] / graph.jobs[i].steps * graph.shortest_s[i]
        late = 0.0 if self._late_s(i) <= self.now_s + _EPS else 1.0
        return late, -level_s * self.choice.urgency[i]

    def _late_s(self, i: int) -> float:
        """From when on a waiting job cannot meet the target any more."""
        target_s = self.choice.target_s
        if target_s == _INF:
            return _INF
        needed_s = self.left[i] * self.quickest_s[i] + self.graph.jobs[i].overhead_s
        return target_s - self.graph.tail_s[i] - needed_s

    def _end_if(
        self, i: int, r: int, begins_s: float, limit_s: float, left: int | None = None
    ) -> float:
        """When job `i` would end, begun at `begins_s` in a session that lasts to `limit_s`.

        `left`: its steps to do, where those are fewer than now.
        """
        job, resource = self.graph.jobs[i], self.graph.resources[r]
        step_s = self.graph.step_s[i][r]
        if left is None:
            left = self.left[i]
        steps = self._steps(job, left, step_s, limit_s - begins_s)
        if steps == left:
            return begins_s + job.overhead_s + left * step_s
        if not steps:
            return _INF
        left -= steps
        pool = self.pools[r]
        again_s = limit_s + resource.rest_s
        if pool is not None and limit_s < begins_s + resource.session_s - resource.startup_s - 1:
            again_s = max(again_s, pool.ends_s)
        room = self._steps(job, left, step_s, resource.longest_session_s - resource.startup_s)
        sessions = math.ceil(left / room) if room else 1
        each_s = resource.startup_s + job.overhead_s
        return again_s + sessions * each_s + (sessions - 1) * resource.rest_s + left * step_s

    def _start(self, i: int, busy: list[list[tuple[float, float]]]) -> bool:
        """Give job `i` to the card where it ends earliest, if that one is free now.

        `busy`: for each resource, when its busy cards will be free and their sessions end; a job
        that waits for one takes it from the list, so that the next sees it later.
        """
        self.work += 1
        now_s = self.now_s
        # (ends, rank of equals, resource, session or None, card or place, begins)
        best: tuple[float, int] = (_INF, -1)  # never ending is no place
        where: tuple[int, _Open | None, int, float] | None = None
        for r in self._homes(i):
            for session in self.open:
                if session.resource != r:
                    continue
                for card, run in enumerate(session.cards):
                    if run is None:
                        begins_s = max(session.free_s[card], now_s)
                        end_s = self._end_if(i, r, begins_s, session.end_s)
                        if (end_s, 0) < best:
                            best, where = (end_s, 0), (r, session, card, begins_s)
                fresh_s = self._fresh_s(session)
                if fresh_s is not None:
                    limit_s = self._limit_s(r, now_s, of=session)
                    end_s = self._end_if(i, r, fresh_s, limit_s)
                    if (end_s, 1) < best:
                        best, where = (end_s, 1), (r, session, -3, fresh_s)
            place = self._free_place(r)
            if place is not None and not (self.choice.saves and self._can_wait(i, r)):
                begins_s = now_s + self.graph.resources[r].startup_s
                limit_s = self._limit_s(r, now_s)
                end_s = self._end_if(i, r, begins_s, limit_s)
                if (end_s, 1) < best and end_s > limit_s + _EPS and self._is_early(r):
                    best, where = (end_s, 1), (r, None, -2, begins_s)
                elif (end_s, 1) < best and self._may_open(r):
                    best, where = (end_s, 1), (r, None, place, begins_s)
            if self.choice.waits and busy[r]:
                free_s, limit_s = busy[r][0]
                end_s = self._end_if(i, r, max(free_s, now_s), limit_s)
                if (end_s, 2) < best:
                    best, where = (end_s, 2), (r, None, -1, free_s)
        if where is None:
            return False
        r, at, number, begins_s = where
        if number == -2:
            return False
        if number == -3 and at is not None:
            place = at.place
            self._close(at)
            at, number = self._open(r, place), 0
        elif number == -1:
            heapreplace(busy[r], (best[0], busy[r][0][1]))
            return False
        if at is None:
            at, number = self._open(r, number), 0
        return self._run(i, at, number, begins_s)

    def _run(self, i: int, session: _Open, card: int, begins_s: float) -> bool:
        job = self.graph.jobs[i]
        done = job.steps - self.left[i]
        run = _Run(i, card, begins_s, done, 0, begins_s, False, self._directive(i))
        self._fit(session, run)
        if not run.steps:
            return False
        self.begun[i] += 1
        session.cards[card] = run
        self.runs_on[i] = (session, run)
        if self.choice.first_come and self.pools[session.resource] is not None:
            self._refit(session.resource)
        return True

    def _free_place(self, r: int) -> int | None:
        pool = self.pools[r]
        if pool is not None and pool.left_s <= _EPS:
            return None
        now_s = self.now_s + _EPS
        for shut in self.choice.shut:
            if shut.resource == r and shut.from_s <= now_s < shut.to_s:
                return None
        for place, free_s in enumerate(self.place_free_s[r]):
            if place not in self.taken[r] and free_s <= now_s:
                return place
        return None

    def _fresh_s(self, session: _Open) -> float | None:
        """When work could begin if an idle session were closed and another opened in its place."""
        resource = self.graph.resources[session.resource]
        if not self.choice.renews or resource.rest_s or not session.parts or any(session.cards):
            return None
        return self.now_s + resource.startup_s

    def _is_early(self, r: int) -> bool:
        pool = self.pools[r]
        if pool is None or r not in self.choice.patient:
            return False
        return self.now_s + _EPS < pool.late_s(len(self.taken[r]) + 1)

    def _may_open(self, r: int) -> bool:
        """Whether one more session, drawing on the same quota, leaves the running parts a step, and
        those that must not be cut their time."""
        pool = self.pools[r]
        if pool is None or self.choice.first_come:
            return True
        for session in self.open:
            if session.resource != r:
                continue
            cap_s = session.begins_s + self.graph.resources[r].session_s
            others = [_INF] * len(self.taken[r])
            limit_s = min(cap_s, pool.empty_s(self.now_s, others, cap_s))
            for run in session.cards:
                if run is None or run.ends_s <= limit_s + _EPS:
                    continue
                job = self.graph.jobs[run.job]
                step_s = self.graph.step_s[run.job][r]
                steps = self._steps(job, run.steps, step_s, limit_s - run.begins_s)
                if not steps or run.begins_s + job.overhead_s + steps * step_s < self.now_s:
                    return False
        return True

    def _can_wait(self, i: int, r: int) -> bool:
        """Whether an open session of `r` will have a card for `i` before `i` is late."""
        late_s = self._late_s(i)
        job = self.graph.jobs[i]
        needed_s = self.left[i] * self.graph.step_s[i][r] + job.overhead_s
        return any(
            run is not None
            and run.ends_s <= late_s + _EPS
            and run.ends_s + needed_s <= session.end_s + _EPS
            for session in self.open
            if session.resource == r
            for run in session.cards
        )

    def _open(self, r: int, place: int) -> _Open:
        resource = self.graph.resources[r]
        free_s = self.now_s + resource.startup_s
        session = _Open(r, place, self.now_s, [None] * resource.cards, [free_s] * resource.cards)
        self.open.append(session)
        self.taken[r].add(place)
        self._refit(r)
        return session

    def _close(self, session: _Open) -> None:
        r = session.resource
        self.open.remove(session)
        self.taken[r].discard(session.place)
        end_s = max((p.ends_s for p in session.parts), default=session.begins_s)
        pool = self.pools[r]
        if pool is not None:
            pool.give_back(end_s, self.now_s)
        if session.parts:
            resource = self.graph.resources[r]
            self.place_free_s[r][session.place] = end_s + resource.rest_s
            parts = tuple(sorted(session.parts, key=lambda p: (p.begins_s, p.card)))
            self.closed.append(
                Booking(resource.name, session.place, session.begins_s, end_s, parts)
            )
        self._refit(r)

    # ---- cutting

    def _take_card(self, i: int) -> bool:
        """A job that is late takes the card of the running one that is least so."""
        if self._late_s(i) > self.now_s + _EPS or self.cuts[i] > 3:
            return False
        best: tuple[float, _Open, int, _Run] | None = None
        for session in self.open:
            if session.resource not in self.home[i]:
                continue
            for card, run in enumerate(session.cards):
                if run is None or not self._may_cut(run, session):
                    continue
                job = self.graph.jobs[run.job]
                slack_s = self.choice.target_s - self.graph.tail_s[run.job] - run.ends_s
                slack_s -= job.overhead_s
                if slack_s > _EPS and (best is None or slack_s > best[0]):
                    best = (slack_s, session, card, run)
        if best is None:
            return False
        _, session, card, run = best
        begins_s = max(self._cut(session, card, run), self.since_s[i])
        return self._run(i, session, card, begins_s)

    def _may_cut(self, run: _Run, session: _Open) -> bool:
        job = self.graph.jobs[run.job]
        step_s = self.graph.step_s[run.job][session.resource]
        done_s = self.now_s - run.begins_s - job.overhead_s
        return job.is_divisible and self.cuts[run.job] < 3 and done_s + _EPS >= step_s

    def _cut(self, session: _Open, card: int, run: _Run) -> float:
        """End a running part after the last step that is saved by now; returns when that is."""
        job = self.graph.jobs[run.job]
        step_s = self.graph.step_s[run.job][session.resource]
        done_s = self.now_s - run.begins_s - job.overhead_s
        run.steps = min(run.steps, int((done_s + _EPS) / step_s))
        run.ends_s = run.begins_s + job.overhead_s + run.steps * step_s
        self.cuts[run.job] += 1
        self._finish(session, card, run)
        return run.ends_s

    def _could_move(self) -> bool:
        """Whether a job runs where it is not fastest."""
        return any(at.resource != self.home[i][0] for i, (at, _) in self.runs_on.items())

    def _move_to_faster(self) -> None:
        if self.ready or len(self.graph.resources) < 2:
            return
        for i in list(self.runs_on):
            if i not in self.runs_on:  # a session opened for another job has ended its part
                continue
            session, run = self.runs_on[i]
            if run.directive is not None or self._is_held(i) or not self._may_cut(run, session):
                continue
            here_s = self.graph.step_s[i][session.resource]
            faster = [r for r in self._homes(i) if self.graph.step_s[i][r] < here_s]
            if not faster:
                continue
            job = self.graph.jobs[i]
            done = int((self.now_s - run.begins_s - job.overhead_s + _EPS) / here_s)
            ends_s = run.ends_s if run.is_last else _INF
            self.left[i] -= done
            found = self._faster_card(i, faster, ends_s)
            self.left[i] += done
            if found is None:
                continue
            self._cut(session, session.cards.index(run), run)
            self.ready.remove(i)
            r, place, other, card, begins_s = found
            if other is None:
                other = self._open(r, place)
            if not self._run(i, other, card, begins_s):
                self.ready.append(i)

    def _faster_card(
        self, i: int, faster: Sequence[int], ends_s: float
    ) -> tuple[int, int, _Open | None, int, float] | None:
        found: tuple[int, int, _Open | None, int, float] | None = None
        for r in faster:
            for other in self.open:
                if other.resource != r:
                    continue
                for card, run in enumerate(other.cards):
                    begins_s = max(other.free_s[card], self.now_s)
                    if run is None:
                        end_s = self._end_if(i, r, begins_s, other.end_s)
                        if end_s < ends_s - _EPS:
                            ends_s, found = end_s, (r, other.place, other, card, begins_s)
            place = self._free_place(r)
            if place is not None and self._may_open(r):
                begins_s = self.now_s + self.graph.resources[r].startup_s
                end_s = self._end_if(i, r, begins_s, self._limit_s(r, self.now_s))
                if end_s < ends_s - _EPS:
                    ends_s, found = end_s, (r, place, None, 0, begins_s)
        return found

    # ---- what will be ready soon

    def _coming(self) -> list[tuple[int, float, int]]:
        """(job, when it will be ready, steps to do then) of those that wait for running parts,
        their own or their predecessors', and of those whose directive holds them."""
        found: list[tuple[int, float, int]] = []
        counts: dict[int, tuple[int, float]] = {}
        after = self.graph.after
        for i, (_, run) in self.runs_on.items():
            if not run.is_last:
                found.append((i, run.ends_s, self.left[i] - run.steps))
                continue
            for j in after[i]:
                count, ready_s = counts.get(j, (0, 0.0))
                counts[j] = (count + 1, max(ready_s, run.ends_s))
        for j, (count, ready_s) in counts.items():
            if count == self.waits_for[j]:
                found.append((j, ready_s, self.left[j]))
        if not self.choice.directives:
            return found
        found += [(i, self.now_s, self.left[i]) for i in self.ready if self._is_held(i)]
        return [(i, max(ready_s, self._from_s(i)), left) for i, ready_s, left in found]

    def _expect(self) -> set[int]:
        """Keep or open sessions for jobs that will be ready within one start-up.

        Where such a job would end earliest: on an idle card that is kept for it, or in a session
        that is opened so early that it has started by then.
        """
        kept: set[int] = set()
        for i, ready_s, left in sorted(self._coming(), key=lambda item: item[1]):
            if ready_s - self.now_s > self.graph.soon_s[i] + _EPS:
                continue
            best: tuple[float, int] = (_INF, -1)
            where: tuple[_Open | None, int, int] | None = None
            for r in self._homes(i):
                resource = self.graph.resources[r]
                is_soon = ready_s - self.now_s <= resource.startup_s + resource.rest_s + _EPS
                for session in self.open:
                    if not is_soon or session.resource != r or id(session) in kept:
                        continue
                    if None not in session.cards:
                        continue
                    begins_s = max(ready_s, *session.free_s)
                    end_s = self._end_if(i, r, begins_s, session.end_s, left)
                    if (end_s, 0) < best:
                        best, where = (end_s, 0), (session, r, 0)
                place = self._free_place(r)
                if place is None or self.choice.saves or not self._may_open(r):
                    continue
                begins_s = max(ready_s, self.now_s + resource.startup_s)
                limit_s = self._limit_s(r, begins_s - resource.startup_s)
                end_s = self._end_if(i, r, begins_s, limit_s, left)
                if (end_s, 1) < best and not (end_s > limit_s and self._is_early(r)):
                    best, where = (end_s, 1), (None, r, place)
            if where is None:
                continue
            at, r, place = where
            if at is None:
                if ready_s - self.graph.resources[r].startup_s > self.now_s + _EPS:
                    continue
                at = self._open(r, place)
            kept.add(id(at))
        return kept
