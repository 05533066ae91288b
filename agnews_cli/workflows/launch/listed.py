"""`agnews launch ls` and `cancel`: the launches that are kept here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agnews_cli.core.hours.quota import hours
from agnews_cli.core.launching.record import LaunchRecord
from agnews_cli.core.text.spelling import nearest
from agnews_cli.errors import CannotLaunch, LaunchUnknown, SessionUnknown
from agnews_cli.host import kaggle_client
from agnews_cli.host.launcher import Launcher
from agnews_cli.host.launchers import hf_jobs, kaggle
from agnews_cli.store.run.launches import Launches
from agnews_cli.workflows.launch import books, on_hf_jobs
from agnews_cli.workflows.launch.plans import as_json, utc_now


@dataclass(frozen=True, slots=True)
class LaunchLine:
    """One launch."""

    record: LaunchRecord

    @property
    def state(self) -> str:
        return str(as_json(self.record)["state"])

    @property
    def booked(self) -> str:
        """The hours of its sessions, at most."""
        return hours(sum(each.most_s for each in self.record.sessions))


def every() -> tuple[LaunchLine, ...]:
    """Raises LaunchRecordDamaged."""
    return tuple(LaunchLine(record) for record in Launches().every())


def cancel(launch: str, *, is_sure: bool) -> dict[str, Any]:
    """End the session of a launch that is under way.

    Raises LaunchUnknown, LaunchBusy, CannotLaunch or SessionUnknown.
    """
    launches = Launches()
    record = launches.read(launch)
    if record is None:
        names = [each.id for each in launches.every()]
        raise LaunchUnknown(name=launch, near=nearest(launch, names))
    with launches.held(launch):
        session = record.open
        if session is None or session.stage == "over":
            raise CannotLaunch(reason="no session of it runs", hint="agnews launch ls shows them.")
        launcher = _launcher(record)
        if not is_sure:
            done = "deletes" if record.platform == "kaggle" else "stops"
            reason = f"{launcher.title} {done} {session.name} with all that only it has"
            hint = (
                f"To do that: agnews launch cancel {launch} --yes. To stop it only: {session.url}"
            )
            raise CannotLaunch(reason=reason, hint=hint)
        heard, now = launcher.cancel(session.name), utc_now()
        if heard.state not in ("missing", "stopped"):
            again, title = f"agnews launch cancel {launch} --yes", launcher.title
            raise SessionUnknown(
                platform=title, waited="now", name=session.name, reason=heard.message, next=again
            )
        over = session.changed(stage="home", end="stopped", ended_at=now, is_told=True)
        books.settle(record, over, books.lasted_s(over, None))
        record = record.put(over)
        launches.write(record)
    return as_json(record)


def _launcher(record: LaunchRecord) -> Launcher:
    again = f"agnews launch cancel {record.id}"
    if record.platform == on_hf_jobs.PLATFORM:
        api, owner = hf_jobs.connect(again)
        return hf_jobs.HfJobs(owner, "", "", lambda order: (), api)
    ask = kaggle_client.ask
    return kaggle.Kaggle(kaggle.account(ask, again), lambda order: {}, ask)
