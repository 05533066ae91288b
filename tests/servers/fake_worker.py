"""A worker that trains nothing: `FOLDER STEPS DELAY_S` — checkpoints and events as the real one.

It stops in good order on SIGTERM and at the job's session end, honours `save-now`, and writes a
delivered model when it is done.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from agnews_cli.core.run.job import Event, Outcome
from agnews_cli.store.run.checkpoints import Checkpoints, Draft
from agnews_cli.store.run.runs import SAVE_NOW


def main(path: str, steps: int, delay_s: float) -> None:
    job = json.loads(Path(path).read_text("utf-8"))
    folder, stopped = Path(job["folder"]), []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.append(1))

    def tell(kind: str, **data: object) -> None:
        event = Event(kind=kind, at="now", elapsed_s=0.0, data=data)  # type: ignore[arg-type]
        with (folder / "events.jsonl").open("a") as file:
            file.write(event.model_dump_json() + "\n")

    def save(step: int, why: str) -> None:
        draft = Draft(
            run=job["run"], candidate="m", step=step, parent=None, token=job["token"],
            writer=job["writer"], why=why, state={"step": step}, fingerprint={},
        )  # fmt: skip
        checkpoints = Checkpoints(folder / "checkpoints" / "m")
        checkpoints.save(draft, {"weights": random.Random(step).randbytes(20_000)})
        checkpoints.prune(keep=2)
        tell("saved", candidate="m", step=step, why=why, bytes=20_000, seconds=0.01)

    def outcome(state: str, step: int) -> Outcome:
        done = job["nodes"] if state == "completed" else ()
        return Outcome(
            state=state,
            writer=job["writer"],
            done=done,
            step=step,
            total_steps=steps,
            tuning="m",  # type: ignore[arg-type]
        )

    tell("started", pid=os.getpid(), world=1)
    newest, _ = Checkpoints(folder / "checkpoints" / "m").newest()
    first = newest.manifest.step if newest else 0
    end_s = job["session_end_monotonic_s"]
    for step in range(first + 1, steps + 1):
        time.sleep(delay_s)
        if (folder / SAVE_NOW).exists():
            (folder / SAVE_NOW).unlink()
            save(step, "asked")
        is_over = end_s is not None and time.monotonic() > end_s
        if stopped or is_over:
            save(step, "final")
            finish(folder, outcome("paused" if is_over else "interrupted", step))
            return
        if step % 5 == 0:
            save(step, "interval")
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "model.safetensors").write_bytes(random.Random(steps).randbytes(50_000))
    finish(folder, outcome("completed", steps))


def finish(folder: Path, outcome: Outcome) -> None:
    draft = folder / ".outcome"
    draft.write_text(outcome.model_dump_json())
    draft.replace(folder / "outcome.json")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
