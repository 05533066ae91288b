"""Signs of life beside a run: a thread of its own, so that nothing else holds them up."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, suppress
from datetime import UTC, datetime

from agnews_cli.errors import AgnewsError
from agnews_cli.store.run import leases

_BEAT_S = 15.0


class Heart:
    """Beats for one session's lease, and for its hours in the ledger."""

    def __init__(self, session: str, lease: leases.Lease) -> None:
        self._session, self._lease = session, lease
        self._opened_s = time.monotonic()
        self._over, self._beating = threading.Event(), threading.Lock()
        threading.Thread(target=self._run, name="heart", daemon=True).start()

    def stop(self) -> None:
        """The lease is not written after this. A beat that waits for the ledger is not waited
        for: to a session that was closed it does nothing."""
        self._over.set()
        with self._beating:
            pass

    def _run(self) -> None:
        from agnews_cli.store.hours.ledger import Ledger

        ledger: Ledger | None = None
        with ExitStack() as stack:
            while not self._over.wait(_BEAT_S):
                with self._beating, suppress(AgnewsError):  # a missed beat is no reason to stop
                    if not self._over.is_set():
                        self._lease.beat(_now())
                with suppress(AgnewsError):
                    if ledger is None:  # a connection is for one thread
                        ledger = stack.enter_context(Ledger())
                    held_s = time.monotonic() - self._opened_s
                    ledger.beat(self._session, held_s=held_s, now=_now())


def _now() -> datetime:
    return datetime.now(UTC)
