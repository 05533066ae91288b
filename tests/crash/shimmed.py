"""Runs under the LD_PRELOAD shim: one act on the store in a fork, with a fault at its n-th call.

Reads one JSON order a line, writes one JSON answer a line: {"acks": [...], "status": ...}.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from agnews_cli.errors import AgnewsError, CannotWrite
from agnews_cli.store.disk import files
from agnews_cli.store.hours.ledger import Ledger
from tests.crash.subjects import NOW, SUBJECTS

Ack = Callable[[str], None]


def ledger(folder: Path, ack: Ack) -> None:
    """Every acknowledged line is a row, or a change of one, that must be there."""
    with Ledger(folder / "ledger.db") as book:
        for number in range(2):
            now = NOW + timedelta(minutes=number)
            run = f"r-{number}"
            book.record_run(
                run, preset="p", dataset="d", seed=1, folder="f", now=now, state="running"
            )
            ack(f"run {run}")
            session = book.open_session(run, platform="local", accelerator="cpu", now=now)
            ack(f"session {session}")
            for beat in (20, 40):
                book.beat(session, now + timedelta(seconds=beat))
                ack(f"seconds {session} {beat}")
            book.close_session(session, "finished", now + timedelta(seconds=60))
            ack(f"seconds {session} 60")
            book.set_state(run, "completed", now + timedelta(seconds=60))
            ack(f"completed {run}")


def delivery(folder: Path, ack: Ack) -> None:
    """As a worker ends: a library writes the model, all is synced, and the outcome says so."""
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        save_file({"w": np.arange(5000.0)}, folder / "model.safetensors")
    except SafetensorError as error:  # it wraps what the system said
        raise CannotWrite(path=folder, reason=error) from error
    files.sync_all(folder)
    files.write_text_atomically(folder / "outcome.json", "completed")
    ack("done")


def act(name: str, folder: Path, ack: Ack) -> None:
    if name == "ledger":
        ledger(folder, ack)
    elif name == "delivery":
        delivery(folder, ack)
    else:
        SUBJECTS[name].act(folder)
        ack("done")


def answer(shim: ctypes.CDLL, order: dict) -> dict:
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        ack = lambda text: os.write(write, f"{text}\n".encode())  # noqa: E731
        code = 1
        try:
            shim.shim_arm(
                order["folder"].encode(), order["n"], order["action"], order["errno"],
                int(order["lasting"]), int(order["reads"]),
            )  # fmt: skip
            act(order["name"], Path(order["folder"]), ack)
            code = 0
        except AgnewsError as error:
            shim.shim_arm(b"", 0, 0, 0, 0, 0)
            ack(f"error {type(error).__name__} {error.message}")
            code = error.exit_code
        except BaseException:
            shim.shim_arm(b"", 0, 0, 0, 0, 0)
            ack("traceback " + traceback.format_exc().replace("\n", " | "))
        finally:
            os.write(write, f"seen {shim.shim_seen()}\n".encode())
            os._exit(code)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        acks = pipe.read().decode().splitlines()
    _, status = os.waitpid(pid, 0)
    return {"acks": acks, "status": os.waitstatus_to_exitcode(status)}


def main() -> None:
    import psutil  # noqa: F401  # before the forks

    with suppress(ImportError):
        import safetensors.numpy  # noqa: F401
    with tempfile.TemporaryDirectory() as folder:  # what is loaded at first use, each fork has
        ledger(Path(folder), lambda text: None)
    gc.freeze()  # no fork copies pages only to look for what is garbage

    shim = ctypes.CDLL(sys.argv[1])
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(shim, json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
