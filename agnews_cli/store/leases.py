"""Who may write a run: a lease with a fencing number, so that two sessions never train one run.

`leases/<number>.json` is created exclusively and never overwritten by another session; the highest
number owns the run. The owner beats by rewriting its own file. A lease is over when it was
released, when its process on this machine is gone, or when it has not beaten for `STALE_S`: unknown
is not dead, so another machine's lease is waited for. Whoever finds a higher number than its own
has been fenced off and stops writing.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agnews_cli.errors import RunBusy
from agnews_cli.store import files
from agnews_cli.store.processes import start_ticks

STALE_S = 600.0
_NAME = re.compile(r"\d{6}\.json")


@dataclass(slots=True)
class Lease:
    """This session's right to write the run in `folder`. `note` says whose lease was taken over."""

    folder: Path
    token: int
    writer: str
    note: str = ""

    def beat(self, now: datetime) -> None:
        """Still alive."""
        self._write(now, is_open=True)

    def release(self, now: datetime) -> None:
        """Done: the next session need not wait."""
        self._write(now, is_open=False)

    def _write(self, now: datetime, *, is_open: bool) -> None:
        files.write_text_atomically(_path(self.folder, self.token), text(self.writer, now, is_open))


def claim(folder: Path, now: datetime, *, takeover: bool = False, above: int = 0) -> Lease:
    """The lease of the run in `folder`, its number higher than `above`.

    Raises RunBusy while another session holds it, CannotWrite, NoDiskSpace or CannotRead.
    """
    files.make_folder(_leases(folder))
    writer = secrets.token_hex(4)
    while True:
        last, note = newest_token(folder), ""
        held = _read(_path(folder, last)) if last else None
        if held is not None and held["open"]:
            age_s = (now - datetime.fromisoformat(held["beat_at"])).total_seconds()
            is_here = held["host"] == _host()
            if not (is_gone(held) or takeover or (age_s > STALE_S and not is_here)):
                where = f"process {held['pid']} of this machine" if is_here else held["host"]
                raise RunBusy(run=folder.name, where=where, beat=held["beat_at"])
            why = "asked to" if takeover else "long silent"
            why = "its process is gone" if is_gone(held) else why
            note = f"taken over from session {last} on {held['host']}: {why}"
        token = max(last, above) + 1
        if not files.write_exclusively(_path(folder, token), text(writer, now, True)):
            continue  # another session was faster: look at its lease
        return Lease(folder, token, writer, note)


def is_held(folder: Path, now: datetime) -> bool:
    """Whether a session that lives, or may live, holds the run."""
    last = newest_token(folder)
    held = _read(_path(folder, last)) if last else None
    if held is None or not held["open"] or is_gone(held):
        return False
    age_s = (now - datetime.fromisoformat(held["beat_at"])).total_seconds()
    return held["host"] == _host() or age_s <= STALE_S


def newest_token(folder: Path) -> int:
    """The highest fencing number given out; 0 before the first. Raises CannotRead."""
    names = (name for name in files.names(_leases(folder)) if _NAME.fullmatch(name))
    return max((int(name[:6]) for name in names), default=0)


def _leases(folder: Path) -> Path:
    return folder / "leases"


def _path(folder: Path, token: int) -> Path:
    return _leases(folder) / f"{token:06d}.json"


def text(writer: str, now: datetime, is_open: bool) -> str:
    """A lease's content, as JSON."""
    facts = {"writer": writer, "host": _host(), "pid": os.getpid(), "born": _born(os.getpid())}
    beat = now.astimezone(UTC).isoformat(timespec="seconds")
    return json.dumps(facts | {"beat_at": beat, "open": is_open})


def _read(path: Path) -> dict[str, Any] | None:
    """None for a torn, missing or senseless lease: its writer died while claiming."""
    try:
        facts = json.loads(path.read_text("utf-8"))
        has_zone = datetime.fromisoformat(facts["beat_at"]).tzinfo is not None
        is_sound = isinstance(facts["host"], str) and 0 < facts["pid"] < 1 << 31
        is_sound = is_sound and isinstance(facts["open"], bool) and facts["born"] is not None
        return facts if has_zone and is_sound else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def is_gone(held: dict[str, Any]) -> bool:
    """Whether its process was of this machine and is no more; other machines' are unknown."""
    return bool(held["host"] == _host()) and not _is_alive(held)


def _host() -> str:
    return socket.gethostname()


def _born(pid: int) -> str:
    """When a process began: the machine's start, and ticks since then.

    Empty for a process that is gone; where there is no /proc, in seconds by the system's clock.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
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
