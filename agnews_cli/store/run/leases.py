"""Who may write a run: a lease with a fencing number, so that two sessions never train one run.

`leases/<number>.json` is created exclusively and never overwritten by another session; the highest
number owns the run. The owner beats by rewriting its own file. A lease is over when it was
released, when its process is known to be gone, or when it has not beaten for `STALE_S`: unknown is
not dead, so a lease of another machine is waited for, and so is one of another container or of
another start of this machine. Whoever finds a higher number than its own has been fenced off and
stops writing. A lease that makes no sense, or whose number no session can have counted up to, is
passed over.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agnews_cli.core.saving import fencing
from agnews_cli.core.text import strict_json
from agnews_cli.errors import RunBusy, TooManySessions
from agnews_cli.store.disk import files
from agnews_cli.store.disk.processes import boot_id, pid_namespace, start_ticks

STALE_S = 600.0
_NAME = re.compile(r"[0-9]{6}\.json")
_MOST_BYTES = 10_000
_LONGEST_HOST = 255
_AHEAD = timedelta(days=20 * 366)
"""A beat later than this comes of no clock that was set wrong, and would be waited for for ever."""


@dataclass(slots=True)
class Lease:
    """This session's right to write the run in `folder`. `note` says whose lease was taken over,
    `warning` which object among the leases is none."""

    folder: Path
    token: int
    writer: str
    note: str = ""
    warning: str = ""

    def beat(self, now: datetime) -> None:
        """Still alive."""
        self._write(now, is_open=True)

    def release(self, now: datetime) -> None:
        """Done: the next session need not wait."""
        self._write(now, is_open=False)

    def _write(self, now: datetime, *, is_open: bool) -> None:
        files.write_text_atomically(_path(self.folder, self.token), text(self.writer, now, is_open))


def busy(folder: Path, where: str, beat: str) -> RunBusy:
    """The refusal of a run that is trained there, with the command that takes it over."""
    return RunBusy(run=folder.name, where=where, beat=beat, again=shlex.quote(str(folder)))


def claim(folder: Path, now: datetime, *, takeover: bool = False, above: int = 0) -> Lease:
    """The lease of the run in `folder`, its number higher than `above`.

    Raises RunBusy while another session holds it, TooManySessions, CannotWrite, NoDiskSpace or
    CannotRead.
    """
    files.make_folder(_leases(folder))
    writer = secrets.token_hex(4)
    while True:
        last = newest_token(folder)
        note = ""
        held = _read(_path(folder, last), now) if last else None
        if held is not None and held["open"]:
            age_s = (now - datetime.fromisoformat(held["beat_at"])).total_seconds()
            if not (is_gone(held) or takeover or (age_s > STALE_S and not is_here(held))):
                raise busy(folder, whereabouts(held), held["beat_at"])
            why = "asked to" if takeover else "long silent"
            why = "its process is gone" if is_gone(held) else why
            note = f"taken over from session {last} on {held['host']}: {why}"
        token = max(last, above) + 1
        if token > fencing.MOST:
            raise TooManySessions(run=folder.name, folder=_leases(folder))
        if files.write_exclusively(_path(folder, token), text(writer, now, True)):
            return Lease(folder, token, writer, note, _passed_over(folder, last, now))
        if newest_token(folder) < token:  # what lies there is no session's
            above = token


def _passed_over(folder: Path, last: int, now: datetime) -> str:
    """Names an object beside the leases that is none, or the `last` one where it makes no sense."""
    newest = newest_token(folder)
    for name in filter(_NAME.fullmatch, files.names(_leases(folder))):
        if (number := int(name[:6])) > newest:
            return f"leases/{name} is passed over: {fencing.why_not(number)}"
        if number == last and _read(_leases(folder) / name, now) is None:
            return f"leases/{name} is passed over: it is no lease"
    return ""


def is_held(folder: Path, now: datetime) -> bool:
    """Whether a session that lives, or may live, holds the run."""
    return holder(folder, now) is not None


def holder(folder: Path, now: datetime) -> str | None:
    """Where that session is, in words; None where there is none."""
    last = newest_token(folder)
    held = _read(_path(folder, last), now) if last else None
    if held is None or not held["open"] or is_gone(held):
        return None
    age_s = (now - datetime.fromisoformat(held["beat_at"])).total_seconds()
    return whereabouts(held) if is_here(held) or age_s <= STALE_S else None


def newest_token(folder: Path) -> int:
    """The highest fencing number given out; 0 before the first. Raises CannotRead."""
    names = (name for name in files.names(_leases(folder)) if _NAME.fullmatch(name))
    return fencing.newest(int(name[:6]) for name in names)


def _leases(folder: Path) -> Path:
    return folder / "leases"


def _path(folder: Path, token: int) -> Path:
    return _leases(folder) / f"{token:06d}.json"


def text(writer: str, now: datetime, is_open: bool) -> str:
    """A lease's content, as JSON."""
    facts = {
        "writer": writer,
        "host": _host(),
        "pid": os.getpid(),
        "born": _born(os.getpid()),
        "namespace": pid_namespace(),
    }
    beat = now.astimezone(UTC).isoformat(timespec="seconds")
    return json.dumps(facts | {"beat_at": beat, "open": is_open})


def _read(path: Path, now: datetime) -> dict[str, Any] | None:
    """None for a torn, missing or senseless lease: its writer died while claiming."""
    try:
        return parse(files.read_plain(path, _MOST_BYTES), now)
    except OSError:
        return None


def is_here(held: dict[str, Any]) -> bool:
    """Whether its process number means something here: one machine, start and PID namespace.

    A lease from before namespaces were noted is one of the namespace that a machine begins with.
    """
    boot = str(held.get("born", "")).rpartition(" ")[0]
    place = (held.get("host"), boot, held.get("namespace", ""))
    return place == (_host(), boot_id(), pid_namespace())


def parse(data: bytes, now: datetime) -> dict[str, Any] | None:
    """A lease's content; None where it makes no sense."""
    try:
        facts = strict_json.mapping(data)
        beat_at = datetime.fromisoformat(facts["beat_at"])
        is_sound = (
            beat_at.tzinfo is not None
            and beat_at - now < _AHEAD
            and isinstance(facts["host"], str)
            and len(facts["host"]) <= _LONGEST_HOST
            and (strict_json.whole(facts["pid"], most=(1 << 31) - 1) or 0) > 0
            and isinstance(facts["open"], bool)
            and isinstance(facts["born"], str)
        )
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
    return facts if is_sound else None


def is_gone(held: dict[str, Any]) -> bool:
    """Whether its process was one of here and is no more; of others nothing is known."""
    return is_here(held) and not _is_alive(held)


def whereabouts(held: dict[str, Any]) -> str:
    """Where its session is, in words."""
    if is_here(held):
        return f"process {held['pid']} of this machine"
    host = str(held["host"])
    return host if host != _host() else f"another container, or start, of {host}"


def _host() -> str:
    return socket.gethostname()


def _born(pid: int) -> str:
    """When a process began: the machine's start, and ticks since then.

    Empty for a process that is gone; where there is no /proc, in seconds by the system's clock.
    """
    boot = boot_id()
    if not boot:
        import psutil

        try:
            return str(psutil.Process(pid).create_time())
        except psutil.Error:
            return ""
    ticks = start_ticks(pid)
    return f"{boot} {ticks}" if ticks else ""


def _is_alive(held: dict[str, Any]) -> bool:
    """Whether that very process lives: a number that was given again has another birth."""
    return _born(int(held["pid"])) == str(held["born"])
