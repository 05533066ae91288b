"""Ctrl-C is answered at once, whatever the command is at: reading, downloading, training, sending.

Python's own handlers wait until the main thread is between two of its instructions, which a call
into a library may put off for seconds. The number of each signal goes into a pipe all the same.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress

_ANSWER = "Stopping in good order. Stop again to end it at once."
_AGAIN = "Ending it at once."
_SHORT = "Stopping."
_SOON_S = 0.15  # a command that has ended by then needs no answer
_BURST_S = 1.0  # notebooks send several signals for one press
_SAID_S = 2.0

kept = ""
"""What a stop has cost of which nobody hears who knows better; empty: not said yet."""

_writer: int | None = None


def answer() -> None:
    """From now on; a second Ctrl-C ends what does not collect its signals itself.

    Called again where a library (a prompt's event loop) may have taken the pipe's place.
    """
    global _writer
    if threading.current_thread() is not threading.main_thread():
        return  # somebody else owns the signals
    if _writer is None:
        reader, _writer = os.pipe()
        os.set_blocking(_writer, False)
        threading.Thread(target=_listen, args=(reader,), name="stopping", daemon=True).start()
    signal.set_wakeup_fd(_writer, warn_on_full_buffer=False)


def _listen(reader: int) -> None:
    from agnews_cli.host.notebook import IS_SAID

    first_s = said_s = -1e9
    while numbers := os.read(reader, 64):
        if signal.SIGINT not in numbers:
            continue
        now_s = time.monotonic()
        is_free = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if is_free and _BURST_S < now_s - first_s < 60.0:
            os._exit(128 + signal.SIGINT)  # the first was not heard yet
        first_s = now_s
        if now_s - said_s > _SAID_S and not os.environ.get(IS_SAID):
            answer, said_s = _AGAIN if said_s > 0 else _ANSWER, now_s
            time.sleep(_SOON_S)
            with suppress(Exception):  # words alone
                _say(_SHORT if signal.getsignal(signal.SIGINT) == signal.SIG_IGN else answer)


def _say(text: str) -> None:
    output = sys.modules.get("agnews_cli.cli.output")
    if output is not None and output.showing is not None:
        output.showing.say(text)
        return
    from agnews_cli.cli.sink import Stream

    Stream(sys.stderr).line(text)
