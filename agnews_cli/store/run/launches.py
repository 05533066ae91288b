"""Launches on this disk: `<home>/launches/<id>.json`, each whole or as it was.

One command at a time looks after a launch (`held`), and one at a time begins a session anywhere
(`beginning`), so that two never both see a free place. Both locks end with the process that has
them.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from agnews_cli.core.launching.record import LaunchRecord
from agnews_cli.errors import LaunchBusy, LaunchRecordDamaged
from agnews_cli.store.disk import files, private
from agnews_cli.store.disk.home import home
from agnews_cli.store.disk.space import refusal

_MOST_BYTES = 4_000_000


class Launches:
    """All of this user's launches."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or home() / "launches"

    def read(self, launch: str) -> LaunchRecord | None:
        """None where there is none. Raises LaunchRecordDamaged."""
        path = self._path(launch)
        try:
            return LaunchRecord.model_validate_json(files.read_plain(path, _MOST_BYTES))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LaunchRecordDamaged(path=path, reason=error.strerror or error) from error
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            reason = f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}"
            raise LaunchRecordDamaged(path=path, reason=reason) from error

    def every(self) -> tuple[LaunchRecord, ...]:
        """By name. Raises LaunchRecordDamaged: what one of them runs is then not known."""
        if not self.folder.is_dir():
            return ()
        names = sorted(path.stem for path in self.folder.glob("*.json"))
        return tuple(found for name in names if (found := self.read(name)) is not None)

    def write(self, record: LaunchRecord) -> None:
        """On the disk when this returns. Raises CannotWrite or NoDiskSpace."""
        files.write_text_atomically(self._path(record.id), record.model_dump_json(indent=1) + "\n")

    @contextmanager
    def held(self, launch: str) -> Iterator[None]:
        """Within, this command alone looks after the launch. Raises LaunchBusy."""
        with self._locked(launch, waits=False):
            yield

    @contextmanager
    def beginning(self) -> Iterator[None]:
        """Within, nobody else decides whether a session may begin; others wait."""
        with self._locked("", waits=True):
            yield

    def work_folder(self, launch: str) -> Path:
        """For what is sent and what has come; it can be made again."""
        return self.folder / f"{launch}.work"

    @contextmanager
    def _locked(self, name: str, *, waits: bool) -> Iterator[None]:
        path = self.folder / f"{name}.lock"
        try:
            private.make_folder(self.folder)
            lock = private.appending(path)
        except OSError as error:
            raise refusal(path, error, 0) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
            except BlockingIOError:
                raise LaunchBusy(launch=name) from None
            yield

    def _path(self, launch: str) -> Path:
        return self.folder / f"{launch}.json"
