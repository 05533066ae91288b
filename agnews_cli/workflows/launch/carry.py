"""Carrying out a launch: one session after the other, until its plan or the quota ends.

Everything that is done elsewhere is written down here before; whenever this process dies, the same
command finds what it began. The order of a beginning: the name is known not to be there, the
session is in the record, its hours are in the ledger, it is asked to begin. Waiting holds nothing.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from agnews_cli.core.hours.quota import hours
from agnews_cli.core.launching import rules
from agnews_cli.core.launching.answers import Begun, Looked
from agnews_cli.core.launching.names import session_name
from agnews_cli.core.launching.record import LaunchedSession, LaunchRecord
from agnews_cli.core.launching.rules import Begin, End, Hold
from agnews_cli.core.text import duration
from agnews_cli.errors import (
    AgnewsError,
    BeginRefused,
    CannotLaunch,
    HoursSpent,
    Interrupted,
    LaunchHeld,
    LoginRefused,
    SessionFailed,
    SessionMissing,
    SessionOverdue,
    SessionRuns,
    SessionStopped,
    SessionUnknown,
    StoreTrouble,
)
from agnews_cli.host.launcher import SessionOrder, SessionOutput
from agnews_cli.workflows.launch import books, homecoming
from agnews_cli.workflows.launch.plans import LaunchPlan, LaunchResult, Say

_PAUSED = 75
_OF_A_SESSION = ("accelerator", "resource", "store", "words", "data")
_LOG_LINES = 3


def carry_out(plan: LaunchPlan, say: Say) -> LaunchResult:
    """Raises what ends a launch before its plan does (`errors/launching`); what runs, runs on."""
    try:
        with plan.launches.held(plan.record.id):
            at_work = _AtWork(plan, say, plan.launches.read(plan.record.id) or plan.record)
            at_work.require_same()
            while True:
                wait_s = at_work.step()
                if isinstance(wait_s, LaunchResult):
                    return wait_s
                if plan.once and wait_s:
                    raise at_work.looked_once()
                plan.sleep(wait_s)
    except KeyboardInterrupt:
        kept = "what was begun runs on, and is found again"
        raise Interrupted(kept=kept, next=f"Go on with: {plan.again}") from None


@dataclass(slots=True)
class _AtWork:
    """One command at a launch."""

    plan: LaunchPlan
    say: Say
    record: LaunchRecord
    silent_since: dict[str, datetime] = field(default_factory=dict)
    """Since when the platform has not said what must be known, by what it was asked."""
    said: str = ""
    """What was said last."""

    # ---- one step -------------------------------------------------------------------------------

    def step(self) -> float | LaunchResult:
        """Do what is due; how many seconds nothing is."""
        session = self.record.open
        if session is None:
            self._end(rules.after(self.record))
            newest = self.record.newest
            if newest is not None and newest.end == "finished":
                return LaunchResult(self.record, newest.message)
        elif session.stage == "over":
            return self._bring_home(session)
        name = session.name if session else session_name(self.record.id, self.record.next_number)
        looked, now = self.plan.launcher.look(name), self.plan.now()
        if looked.is_forbidden:
            raise self._login_refused(looked.message or f"status {looked.code}")
        if looked.state == "unknown":
            return self._silence("look", name, looked.message or f"status {looked.code}")
        self.silent_since.pop("look", None)
        if looked.state == "missing":
            return self._missing(session, looked, now)
        if session is None:  # of a command whose record is lost, or from another machine
            session = self.record.session(self.plan.cap_s, now)
            self._put(session)
            books.book(self.record, session)
        return self._heard(rules.heard(session, looked, now, self.plan.waits), now)

    def _heard(self, session: LaunchedSession, now: datetime) -> float:
        self._put(session)
        if session.stage == "over":
            return 0.0
        if rules.is_overdue(session, now):
            raise SessionOverdue(
                name=session.name,
                platform=self.plan.launcher.title,
                most=hours(session.most_s),
                url=session.url,
                launch=self.record.id,
            )
        self._say(f"{session.name} runs on {self.plan.launcher.title}: {session.url}")
        return self.plan.waits.look_s

    def _missing(self, session: LaunchedSession | None, looked: Looked, now: datetime) -> float:
        if session is not None and session.stage == "alive":
            return self._heard_missing(rules.heard(session, looked, now, self.plan.waits))
        if rules.may_try(session, looked, now, self.plan.waits):
            return self._begin(session)
        assert session is not None  # else it may be tried
        self._say(f"{session.name} was asked to begin, and is not there yet")
        return self.plan.waits.look_s

    def _heard_missing(self, session: LaunchedSession) -> float:
        """Of one that was there: its list may be late, so it is looked at again."""
        self._put(session)
        return 0.0 if session.stage == "over" else self.plan.waits.look_s

    def _silence(self, asked: str, name: str, reason: str, wait_s: float | None = None) -> float:
        """Unknown is neither dead nor alive: wait, and do nothing."""
        now = self.plan.now()
        silent_s = (now - self.silent_since.setdefault(asked, now)).total_seconds()
        if silent_s >= self.plan.waits.patience_s or self.plan.once:
            raise SessionUnknown(
                platform=self.plan.launcher.title,
                waited=f"for {duration.show(silent_s)}" if silent_s >= 1 else "now",
                name=name,
                reason=reason.rstrip("."),
                next=self.plan.again,
            )
        self._say(f"{self.plan.launcher.title} does not say how {name} stands: {reason}")
        return wait_s or self.plan.waits.look_s

    # ---- beginning ------------------------------------------------------------------------------

    def _begin(self, earlier: LaunchedSession | None) -> float:
        """Begin a session that is known not to be there. `earlier`: a try that failed."""
        waits = self._wait_for_data()
        if waits:
            return waits
        with self.plan.launches.beginning():
            found = self._may_begin()
            if isinstance(found, Begin):
                now = self.plan.now()
                session = self.record.session(found.most_s, now)
                if earlier is not None:
                    books.settle(self.record, earlier, 0.0)
                self._put(session)
                books.book(self.record, session)
        if isinstance(found, Hold):
            return self._hold(found)
        if isinstance(found, End):
            self._end(found)
            return 0.0
        kept = hours(session.most_s)
        self._say(f"beginning {session.name}: at most {kept}, booked in the ledger")
        return self._begun(session, self.plan.launcher.begin(self._order(session)))

    def _begun(self, session: LaunchedSession, begun: Begun) -> float:
        if begun.verdict == "unknown":
            return self._silence("begin", session.name, begun.error)
        if begun.verdict == "begun":
            self.silent_since.pop("begin", None)
            self._put(session.changed(stage="alive", url=begun.url))
            return self.plan.waits.look_s
        if begun.is_doubtful and self.plan.launcher.look(session.name).state != "missing":
            return self.plan.waits.look_s  # said to be wrong, and there all the same
        self._forget(session)
        if begun.is_full:
            return self._hold(Hold(f"{self.plan.launcher.title} says: {begun.error}"))
        if begun.verdict == "later":
            return self._silence("begin", session.name, begun.error, begun.after_s)
        if begun.code == 401:
            raise self._login_refused(begun.error)
        title, again = self.plan.launcher.title, self.plan.again
        if begun.is_spent:
            raise HoursSpent(platform=title, why=begun.error, next=again)
        raise BeginRefused(platform=title, name=session.name, reason=begun.error, next=again)

    def _wait_for_data(self) -> float:
        why = self.plan.ready(self._order(self.record.session(rules.LEAST_S, self.plan.now())))
        return self._hold(Hold(why)) if why else 0.0

    def _may_begin(self) -> Begin | Hold | End:
        asked_s = self.plan.asked_s()
        if asked_s is not None and self.plan.ends_at and asked_s < rules.LEAST_S:
            return End("spent", "the time that was given for it is over")
        others = self._others()
        return rules.may_begin(
            self.plan.hours(others, self.plan.now()),
            others=[each.name for each in others],
            at_once=self.plan.at_once,
            asked_s=asked_s,
        )

    def _others(self) -> list[LaunchedSession]:
        """Sessions of other launches of this account that are not known to be over.

        Nobody may be looking after them: where there are too many, they are looked at here.
        """
        found = [
            each.open
            for each in self.plan.launches.every()
            if each.open and each.id != self.record.id and each.open.stage in ("tried", "alive")
            if (each.platform, each.owner) == (self.record.platform, self.record.owner)
        ]
        if len(found) < self.plan.at_once:
            return found
        now, look = self.plan.now(), self.plan.launcher.look
        return [s for s in found if not rules.is_over(s, look(s.name), now, self.plan.waits)]

    def _order(self, session: LaunchedSession) -> SessionOrder:
        record, folder = self.record, self._folder("sent")
        return SessionOrder(
            name=session.name,
            folder=folder,
            words=(*record.words, "--session-hours", _hours(rules.training_s(session.most_s))),
            launch=record.id,
            number=session.number,
            most_s=session.most_s,
            accelerator=record.accelerator,
            sources=record.sources,
            data=record.data,
        )

    def _forget(self, session: LaunchedSession) -> None:
        """It did not begin, and cost nothing."""
        books.settle(self.record, session, 0.0)
        kept = tuple(each for each in self.record.sessions if each.number != session.number)
        self._write(self.record.model_copy(update={"sessions": kept}))

    # ---- the end of a session -------------------------------------------------------------------

    def _bring_home(self, session: LaunchedSession) -> float:
        if session.end == "missing":
            self._close(session, books.lasted_s(session, None))
            return 0.0
        try:
            output = self.plan.launcher.output(session.name, self._folder("came"))
        except StoreTrouble as error:
            return self._no_output(session, error.message)
        store = Path(self.record.store)
        home = homecoming.bring(output.store, store) if output.store else homecoming.Homecoming()
        for problem in home.problems:
            self.say(problem)
        session = _ended(session, output, home).changed(has=home.has)
        self._close(session, books.lasted_s(session, output.report.get("lasted_s")))
        shutil.rmtree(self.plan.launches.work_folder(self.record.id), ignore_errors=True)
        return 0.0

    def _no_output(self, session: LaunchedSession, why: str) -> float:
        """It was deleted since, or its output will come later."""
        looked, now = self.plan.launcher.look(session.name), self.plan.now()
        if looked.is_forbidden:
            raise self._login_refused(looked.message)
        if looked.state != "missing":
            return self._silence("output", session.name, why)
        gone = rules.over_and_missing(session, now, self.plan.waits)
        self._put(gone)
        return 0.0 if gone.end == "missing" else self.plan.waits.look_s

    def _close(self, session: LaunchedSession, lasted_s: float) -> None:
        books.settle(self.record, session, lasted_s)
        self._put(session.changed(stage="home"))
        what = {"finished": "is done", "paused": "paused in time, and there is more to do"}
        end = what.get(session.end, f"ended: {session.end}")
        self._say(f"{session.name} {end}; it lasted {hours(lasted_s)}")

    # ---- the end of the launch ------------------------------------------------------------------

    def _end(self, end: End | None) -> None:
        """Raises what ends the launch, unless it is its plan's end."""
        if end is None or end.kind == "done":
            return
        title, again = self.plan.launcher.title, self.plan.again
        if end.kind == "spent":
            raise HoursSpent(platform=title, why=end.why, next=again)
        last = self.record.newest
        assert last is not None  # only a session ends so
        facts = {"name": last.name, "platform": title, "next": again}
        self._put(last.changed(is_told=True))
        if end.kind == "missing":
            raise SessionMissing(**facts)
        why = end.why or "it gives no reason"
        if end.kind == "stopped":
            raise SessionStopped(**facts, reason=why)
        raise SessionFailed(**facts, reason=why, url=last.url)

    def looked_once(self) -> AgnewsError:
        """Why a command that waits for nothing has not come to the end."""
        session, title = self.record.open, self.plan.launcher.title
        if session is None:
            return LaunchHeld(why=self.said, next=self.plan.again)
        return SessionRuns(name=session.name, platform=title, next=self.plan.again)

    def _hold(self, hold: Hold) -> float:
        self._say(f"waiting: {hold.why}")
        return self.plan.waits.look_s

    def require_same(self) -> None:
        """Raises CannotLaunch where the record is of another account."""
        plan = self.plan.record
        if self.record.owner != plan.owner:
            reason = f"its sessions are {self.record.owner}'s, and the login is {plan.owner}'s"
            hint = f"Log in as {self.record.owner}; agnews uses no second account."
            raise CannotLaunch(reason=reason, hint=hint)
        # The same wish; what may differ from one session to the next is as it was typed last.
        fresh = {name: getattr(plan, name) for name in _OF_A_SESSION}
        self._write(self.record.model_copy(update=fresh))

    def _login_refused(self, reason: str) -> LoginRefused:
        title = self.plan.launcher.title
        hint = f"Log in again, then: {self.plan.again}"
        return LoginRefused(platform=title, reason=reason, login=hint)

    # ---- on the disk ----------------------------------------------------------------------------

    def _put(self, session: LaunchedSession) -> None:
        changed = self.record.put(session)
        if changed != self.record:
            self._write(changed)

    def _write(self, record: LaunchRecord) -> None:
        self.plan.launches.write(record)
        self.record = record

    def _folder(self, name: str) -> Path:
        """An empty folder for what is sent or has come."""
        folder = self.plan.launches.work_folder(self.record.id) / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def _say(self, text: str) -> None:
        """What was said last is not said again."""
        if text != self.said:
            self.said = text
            self.say(text)


def _ended(
    session: LaunchedSession, output: SessionOutput, home: homecoming.Homecoming
) -> LaunchedSession:
    """How it ended, as it says itself; the platform's word where it says nothing."""
    code, run = output.report.get("exit_code"), output.report.get("run")
    if code == 0 and run in home.done:
        return session.changed(end="finished", message=run)
    if code == _PAUSED:
        return session.changed(end="paused")
    if code == 0:
        return session.changed(end="failed", message=f"its result {run} did not come whole")
    if session.end == "stopped":
        return session
    said = [line.strip() for line in output.log.splitlines() if line.strip()]
    told = [line for line in said if line.startswith(("error", "Error"))] or said
    words = " / ".join(told[-_LOG_LINES:])[:500]
    message = session.message or words or "it does not say how it ended"
    return session.changed(end="failed", message=message)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.4f}"
