"""Entry point of the torch world: `accelerate launch -m agnews_cli.learn.worker JOB [MARK]`.

Reads the Job, trains, evaluates once on the test split, writes the results and, last of all, the
Outcome. Whatever goes wrong is put into words here; the other side never sees a traceback.

Of several processes the first writes. Another one says only what it failed of, since all fail then;
one that lost the others to their death says nothing, and the launcher ends the rest.
"""

from __future__ import annotations

import errno
import importlib
import mmap
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from agnews_cli import start
from agnews_cli.core.run.job import (
    AnyJob,
    CombineJob,
    EvaluateJob,
    ExportJob,
    Failure,
    Job,
    Outcome,
    PredictJob,
    TrainJob,
)
from agnews_cli.core.run.state import RunState
from agnews_cli.errors import (
    AgnewsError,
    CannotRead,
    CannotWrite,
    InternalError,
    NoDiskSpace,
    NotDeterministic,
    OutOfMemory,
)
from agnews_cli.learn.door import test_lock
from agnews_cli.learn.door.budget import TimeBudget
from agnews_cli.learn.door.events import EventLog, StopFlag, StopRequested, WithoutSecrets
from agnews_cli.learn.door.memory import is_of_memory
from agnews_cli.store.disk import space
from agnews_cli.store.disk.files import write_text_atomically
from agnews_cli.store.run import leases
from agnews_cli.store.settings.secrets import hidden

# What a disk that fails is called, also by libraries that wrap the error in one of their own.
_BROKEN_DISK = (
    "Input/output error",
    "Read-only file system",
    "Transport endpoint is not connected",
)
_BACKENDS = ("gloo", "nccl")
_ROOM_BYTES = 16 << 20


def main(argv: list[str]) -> None:
    """Do the job in the file named on the command line; a mark after it is for others to see."""
    sys.stdout, sys.stderr = WithoutSecrets(sys.stdout), WithoutSecrets(sys.stderr)  # the log file
    job = TypeAdapter(AnyJob).validate_json(Path(argv[1]).read_text("utf-8"))
    stop = StopFlag(job.session_end)
    if job.parent_pid is not None:
        stop.ask_without(job.parent_pid)
    is_main = int(os.environ.get("RANK", "0")) == 0
    log = EventLog(
        Path(job.folder) / "events.jsonl",
        started_monotonic_s=job.started_monotonic_s,
        writes=is_main,
    )
    outcome = ended(job, stop, lambda: _work(job, log, stop))
    outcome = outcome.model_copy(update={"writer": job.writer})
    path = Path(job.folder) / "outcome.json"
    if (is_main or outcome.state == RunState.FAILED) and not _is_ended_by_another(job, path):
        log("ended", state=outcome.state)
        write_text_atomically(path, outcome.model_dump_json(indent=2))


def _is_ended_by_another(job: Job, path: Path) -> bool:
    """Whether a later session took the run over and has written how it ended."""
    with suppress(CannotRead):
        return path.exists() and leases.newest_token(Path(job.folder)) > job.token
    return False


def ended(job: Job, stop: StopFlag, work: Callable[[], Outcome]) -> Outcome:
    """How `work` ended, whatever it raised; some memory is kept back until then, to say it with."""
    with mmap.mmap(-1, _ROOM_BYTES) as room:  # address space only, while nobody writes to it
        try:
            return work()
        except StopRequested:
            if job.budget.is_over(time.monotonic()):
                reason = "it ended before there was a model"
                return _failed(TimeBudget.of(job, stop).too_short(reason))
            return Outcome(state=RunState.PAUSED if stop.is_deadline else RunState.INTERRUPTED)
        except Exception as error:
            room.close()
            if _is_loss_of_others(error):
                raise
            if isinstance(error, AgnewsError):
                return _failed(error)
            traceback.print_exc()
            return _failed(_in_words(error, job))


def _is_loss_of_others(error: Exception) -> bool:
    """Whether a message to this worker's other processes failed: one of them has ended."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or not isinstance(error, RuntimeError):
        return False
    distributed = sys.modules.get("torch.distributed")
    is_said = any(word in str(error).lower() for word in _BACKENDS)
    return is_said or (distributed is not None and isinstance(error, distributed.DistError))


def _failed(error: AgnewsError) -> Outcome:
    failure = Failure(
        kind=type(error).__name__,
        message=hidden(error.message),
        hint=hidden(error.advice),
        exit_code=error.exit_code,
    )
    return Outcome(state=RunState.FAILED, failure=failure)


def _in_words(error: Exception, job: Job) -> AgnewsError:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or "No space left" in text or "unexpected pos" in text:
        place = space.fullest(_named(error), (job.folder, job.cache, tempfile.gettempdir()))
        return NoDiskSpace(path=place, free=space.size(space.free_bytes(place)), needed="more")
    broken = next((words for words in _BROKEN_DISK if words in text), None)
    if broken is not None:
        return CannotWrite(path=_named(error) or job.folder, reason=broken)
    if "does not have a deterministic implementation" in text:
        return NotDeterministic(reason=text.partition(" does not")[0])
    if is_of_memory(error) or "alloc" in text.lower():
        return OutOfMemory(reason=text, suggestion=max(128, _pass_tokens(job) // 2))
    return InternalError(
        what=f"{type(error).__name__}: {text}", log=Path(job.folder) / "worker.log"
    )


def _pass_tokens(job: Job) -> int:
    """Tokens in one forward pass."""
    if not isinstance(job, TrainJob):
        return 4096
    return job.preset.training.micro_batch_tokens or job.preset.training.batch_tokens


def _named(error: Exception) -> str | None:
    """The file that the system names; libraries that write through a handle name none."""
    name = getattr(error, "filename", None)
    return os.fsdecode(name) if isinstance(name, str | bytes) else None


def _work(job: AnyJob, log: EventLog, stop: StopFlag) -> Outcome:
    log("started", pid=os.getpid(), world=int(os.environ.get("WORLD_SIZE", "1")))
    stop.check()
    test_lock.lock(job)
    carry_out = _stage(job)
    start.is_over()
    return carry_out(job, log, stop)


def _stage(job: AnyJob) -> Callable[[Any, EventLog, StopFlag], Outcome]:
    """What does such a job; torch is imported here, if it needs torch, while a start lasts."""
    match job:
        case TrainJob():
            from agnews_cli.learn.stages import whole

            if not job.is_light:
                importlib.import_module("agnews_cli.learn.stages.finetuned")
            return whole.train
        case CombineJob():
            from agnews_cli.learn.stages import join

            return join.make
        case PredictJob():
            from agnews_cli.learn.stages import ask

            return ask.about_rows
        case EvaluateJob():
            from agnews_cli.learn.stages import judge

            return judge.of_finished
        case ExportJob():
            from agnews_cli.learn.stages import export_run

            return export_run.make


if __name__ == "__main__":
    main(sys.argv)
