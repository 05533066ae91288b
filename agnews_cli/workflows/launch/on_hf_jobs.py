"""`agnews launch hf-jobs`: what is asked for, as jobs of Hugging Face, within paid hours."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from agnews_cli.core.launching.record import LaunchedSession, LaunchRecord
from agnews_cli.core.launching.rules import Hours
from agnews_cli.host.launcher import SessionOrder
from agnews_cli.host.launchers import hf_jobs
from agnews_cli.store.run.launches import Launches
from agnews_cli.workflows.launch import books, elsewhere, wished
from agnews_cli.workflows.launch.plans import LaunchPlan, utc_now
from agnews_cli.workflows.train.scene import Request

PLATFORM = "hf-jobs"
IMAGE = "pytorch/pytorch:2.8.0-cuda12.8-cudnn9-runtime"
_AT_ONCE = 2


def prepare(
    request: Request,
    *,
    flavor: str,
    hours_s: float,
    image: str = IMAGE,
    requirement: str | None = None,
    typed: Sequence[str] = (),
    once: bool = False,
    now: Callable[[], datetime] = utc_now,
) -> LaunchPlan:
    """`hours_s`: what all sessions together may take. Begins nothing.

    Raises LoginRefused, LauncherClientMissing, LaunchHeld, CannotLaunch, and what `auto` says of
    its words.
    """
    wish = wished.of(request, PLATFORM)
    elsewhere.require_reachable(wish, request)
    package = elsewhere.installed(requirement)
    again = f"agnews launch hf-jobs {shlex.join(typed)}"
    api, owner = hf_jobs.connect(again)
    store = f"hf://{owner}/agnews-{wish.id}"
    launcher = hf_jobs.HfJobs(owner, image, store, lambda order: _command(order, package), api)
    session, longest_s = request.session, request.session.session_s
    return LaunchPlan(
        record=LaunchRecord(
            id=wish.id,
            platform=PLATFORM,
            owner=owner,
            accelerator=flavor,
            resource=launcher.resource(flavor),
            words=(*wish.words, "--store", store),
            store=str(wish.store),
        ),
        launcher=launcher,
        hours=lambda under_way, at: hours_of(wish.id, hours_s, at),
        cap_s=hours_s,
        at_once=_AT_ONCE,
        again=again,
        longest_s=longest_s,
        ends_at=now() + timedelta(seconds=session.until_s) if session.until_s else None,
        once=once,
        now=now,
    )


def hours_of(launch: str, hours_s: float, now: datetime) -> Hours:
    """What is left of the hours that the launch may take."""
    record = Launches().read(launch)
    took_s = sum(_took_s(each) for each in (record.sessions if record else ()))
    return Hours(free_s=max(0.0, hours_s - took_s), cap_s=hours_s)


def _took_s(session: LaunchedSession) -> float:
    return books.lasted_s(session, None) if session.stage == "home" else session.most_s


def _command(order: SessionOrder, package: str) -> tuple[str, ...]:
    """Bash: install, train, and say how it ended, which is then no failure of the job."""
    said = (
        "import json, pathlib, sys; "
        f"ends = pathlib.Path({elsewhere.RUNS!r}).glob('*/outcome.json'); "
        "last = max(ends, key=lambda p: p.stat().st_mtime, default=pathlib.Path('/')); "
        "facts = {'exit_code': int(sys.argv[1]), 'run': last.parent.name}; "
        f"print({hf_jobs.SAID!r} + json.dumps(facts))"
    )
    lines = (
        f"{elsewhere.setup(package)} && {elsewhere.train(order.words)}",
        f"python -c {shlex.quote(said)} $?",
    )
    return ("bash", "-c", "\n".join(lines))
