"""Tries again what may work a little later, with growing and random pauses."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from agnews_cli.errors import StoreBusy
from agnews_cli.store.remotes.remote import Entry, Promises, Remote

T = TypeVar("T")
_TRIES = 5
_LONGEST_PAUSE_S = 30.0


class Patient:
    """A remote whose transient failures are tried again; lasting ones are raised at once."""

    def __init__(
        self,
        remote: Remote,
        *,
        tries: int = _TRIES,
        sleep: Callable[[float], None] = time.sleep,
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        self._remote, self._tries, self._sleep, self._is_over = remote, tries, sleep, is_over

    @property
    def address(self) -> str:
        return self._remote.address

    @property
    def promises(self) -> Promises:
        return self._remote.promises

    def put(self, name: str, source: Path) -> None:
        self._again(lambda: self._remote.put(name, source))

    def create(self, name: str, data: bytes) -> bool:
        return self._again(lambda: self._remote.create(name, data))

    def get(self, name: str, target: Path, most_bytes: int) -> None:
        def once() -> None:
            target.unlink(missing_ok=True)
            self._remote.get(name, target, most_bytes)

        self._again(once)

    def list(self, prefix: str) -> tuple[Entry, ...]:
        return self._again(lambda: self._remote.list(prefix))

    def delete(self, name: str) -> None:
        self._again(lambda: self._remote.delete(name))

    def flush(self) -> None:
        self._again(self._remote.flush)

    def _again(self, call: Callable[[], T]) -> T:
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt
        from tenacity import wait_random_exponential as wait

        return Retrying(
            retry=retry_if_exception_type(StoreBusy),
            stop=lambda state: self._is_over() or stop_after_attempt(self._tries)(state),
            wait=wait(multiplier=0.5, max=_LONGEST_PAUSE_S),
            sleep=self._sleep,
            reraise=True,
        )(call)
