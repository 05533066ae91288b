"""Leases in remote stores: the same fencing numbers as in the run's folder, across machines.

`RUN/leases/<number>.json` is created exclusively where the store can: of two sessions one wins.
Elsewhere `RUN/leases/<number>-<writer>-<sign>.json` only tells: names are unique, so two sessions
that claim at once do not disturb each other, see one another in the next listing, and the one with
the lower (number, writer) stops. Signs of life are new objects, since objects never change.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from agnews_cli.core.saving import fencing
from agnews_cli.core.saving.checkpoint import Key
from agnews_cli.core.text import strict_json
from agnews_cli.errors import AgnewsError, Fenced
from agnews_cli.store.disk import files
from agnews_cli.store.remotes.remote import Entry, Remote
from agnews_cli.store.run import leases
from agnews_cli.store.transfer import parcels

STALE_S = 1800.0
BEAT_S = 600.0
_NAME = re.compile(r"([0-9]{6})(?:-([a-z0-9]{4,16})-([0-9]{6}))?\.json")
_MOST_BYTES = 10_000


@dataclass(frozen=True, slots=True, order=True)
class LeaseSign:
    """A lease object's name: number, writer (empty for an exclusive claim) and sign of life."""

    token: int
    writer: str
    number: int
    name: str

    @classmethod
    def parse(cls, name: str) -> LeaseSign | None:
        match = _NAME.fullmatch(PurePosixPath(name).name)
        if match is None or PurePosixPath(name).parent.name != "leases":
            return None
        return cls(int(match[1]), match[2] or "", int(match[3] or 0), name)


def newest_token(entries: tuple[Entry, ...]) -> int:
    """The highest fencing number in a run's listing, of leases and of checkpoints."""
    return fencing.newest(_tokens(entries))


def passed_over(entries: tuple[Entry, ...]) -> tuple[str, str] | None:
    """An object whose number no session can have, and why; None where all are sound."""
    newest = newest_token(entries)
    for entry in entries:
        for number in _tokens((entry,)):
            if number > newest:
                return entry.name, fencing.why_not(number)
    return None


def _tokens(entries: tuple[Entry, ...]) -> list[int]:
    found = [sign.token for entry in entries if (sign := LeaseSign.parse(entry.name))]
    keys = [Key.parse(PurePosixPath(entry.name).name) for entry in entries]
    return [*found, *(key.token for key in keys if key is not None)]


def require_free(
    remote: Remote, folder: Path, entries: tuple[Entry, ...], now: datetime, work: Path
) -> None:
    """Raises RunBusy while a session elsewhere shows signs of life; `folder`: of the run, here."""
    signs = sorted(sign for entry in entries if (sign := LeaseSign.parse(entry.name)))
    newest = fencing.newest(sign.token for sign in signs)
    for sign in sorted(signs, key=lambda s: s.number, reverse=True):
        if sign.token != newest:
            continue
        try:
            held = leases.parse(parcels.read_small(remote, sign.name, work, _MOST_BYTES), now)
        except AgnewsError:
            continue
        if held is None:
            continue
        age_s = (now - datetime.fromisoformat(held["beat_at"])).total_seconds()
        if leases.is_gone(held) or not held["open"] or age_s > STALE_S:
            return
        raise leases.busy(folder, f"{held['host']}, as {remote.address} says", held["beat_at"])


class Claim:
    """One session's lease in one store."""

    def __init__(self, remote: Remote, run: str, token: int, writer: str, work: Path) -> None:
        self._remote, self._run, self._work = remote, run, work
        self.token, self.writer = token, writer
        self._number = 0
        self._signs: list[str] = []
        self.is_made = False

    def make(self, now: datetime) -> None:
        """Claim the run. Raises Fenced where another session was faster, or StoreTrouble."""
        if not self._remote.promises.beats:  # what tells of a session here are its checkpoints
            self.is_made = True
            return
        if self._remote.promises.is_exclusive:
            name = f"{self._run}/leases/{self.token:06d}.json"
            data = leases.text(self.writer, now, True).encode()
            if not self._remote.create(name, data) and not self._is_mine(name):
                raise Fenced(newest=self.token, token=self.token)
            self.is_made = True
            return
        self.beat(now)
        self.is_made = True

    def beat(self, now: datetime, *, is_open: bool = True) -> None:
        """A sign of life; the ones before it go. Raises StoreTrouble."""
        if not self._remote.promises.beats:
            return
        self._number += 1
        name = f"{self._run}/leases/{self.token:06d}-{self.writer}-{self._number:06d}.json"
        path = self._work / f"lease-{self.writer}"
        path.unlink(missing_ok=True)
        files.write_new(path, [leases.text(self.writer, now, is_open).encode()])
        self._remote.put(name, path)
        while self._signs:
            self._remote.delete(self._signs.pop())
        self._signs.append(name)
        self._remote.flush()

    def release(self, now: datetime) -> None:
        """Done: the next session need not wait."""
        self.beat(now, is_open=False)

    def require_mine(self, entries: tuple[Entry, ...]) -> None:
        """Raises Fenced when another session has claimed the run since."""
        newest = fencing.newest(_tokens(entries), above=self.token)
        for entry in entries:
            sign = LeaseSign.parse(entry.name)
            if sign is None or not sign.writer or sign.token > newest:
                continue
            if (sign.token, sign.writer) > (self.token, self.writer):
                raise Fenced(newest=sign.token, token=self.token)
        if newest > self.token:
            raise Fenced(newest=newest, token=self.token)

    def _is_mine(self, name: str) -> bool:
        """An answer may get lost: the try before may have made it."""
        try:
            data = parcels.read_small(self._remote, name, self._work, _MOST_BYTES)
            return bool(strict_json.mapping(data)["writer"] == self.writer)
        except (AgnewsError, ValueError, KeyError):
            return False
