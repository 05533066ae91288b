"""Entry point of the torch world: `accelerate launch -m agnews_cli.learn.worker JOB [MARK]`.

Reads the Job, trains, evaluates once on the test split, writes the results and, last of all, the
Outcome. Whatever goes wrong is put into words here; the other side never sees a traceback.

Of several processes the first writes. Another one says only what it failed of, since all fail then;
one that lost the others to their death says nothing, and the launcher ends the rest.
"""

from __future__ import annotations

import csv
import errno
import json
import mmap
import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.dataset import Rows
from agnews_cli.core.run.evaluation import Evaluation
from agnews_cli.core.run.job import Failure, Job, Outcome, TestOrder
from agnews_cli.core.run.state import RunState
from agnews_cli.core.run.work import TEST, VALIDATION
from agnews_cli.errors import (
    AgnewsError,
    BudgetTooShort,
    CannotRead,
    CannotWrite,
    InternalError,
    NoDiskSpace,
    OutOfMemory,
)
from agnews_cli.learn.door.budget import OutOfTime, TimeBudget
from agnews_cli.learn.door.events import EventLog, StopFlag, StopRequested, WithoutSecrets
from agnews_cli.store.disk import files, space
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
# Of the test split under a budget: reading and tokenising a row, and what is asked in any case.
_READ_ROW_S, _LEAST_TEST_ROWS, _SURELY = 3e-4, 200, 0.9
_LATE_S = 10.0
"""So much after the budget's end evaluating is given up."""
_LIBRARIES = ("torch", "transformers", "accelerate", "peft", "scikit-learn", "numpy", "agnews-cli")


def main(argv: list[str]) -> None:
    """Do the job in the file named on the command line; a mark after it is for others to see."""
    sys.stdout, sys.stderr = WithoutSecrets(sys.stdout), WithoutSecrets(sys.stderr)  # the log file
    job = Job.model_validate_json(Path(argv[1]).read_text("utf-8"))
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
    if isinstance(error, MemoryError) or "out of memory" in text.lower() or "alloc" in text.lower():
        tokens = job.preset.training.micro_batch_tokens or job.preset.training.batch_tokens
        return OutOfMemory(reason=text, suggestion=max(128, tokens // 2))
    return InternalError(
        what=f"{type(error).__name__}: {text}", log=Path(job.folder) / "worker.log"
    )


def _named(error: Exception) -> str | None:
    """The file that the system names; libraries that write through a handle name none."""
    name = getattr(error, "filename", None)
    return os.fsdecode(name) if isinstance(name, str | bytes) else None


def _work(job: Job, log: EventLog, stop: StopFlag) -> Outcome:
    log("started", pid=os.getpid(), world=int(os.environ.get("WORLD_SIZE", "1")))
    import torch
    from accelerate import Accelerator, PartialState
    from accelerate.utils import parse_flag_from_env

    from agnews_cli.learn.combine.logits import Logits
    from agnews_cli.learn.figures import blend
    from agnews_cli.learn.figures.evaluate import evaluate
    from agnews_cli.learn.models import precision
    from agnews_cli.learn.rows import overlap
    from agnews_cli.learn.stages import cards
    from agnews_cli.learn.stages.compete import Competition

    stop.check()
    # Whoever asks first decides how the processes find each other: without this word, not at all.
    state = PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))
    chosen, reason = precision.resolve(job.preset.training.precision, state.device)
    accelerator = Accelerator(mixed_precision="no" if chosen == "fp32" else chosen)
    log("note", text=f"computing in {chosen}: {reason}")
    _write_environment(job, accelerator, chosen)
    competition = Competition(job, accelerator, chosen, log, stop)
    labels = job.dataset.labels
    try:
        competition.run()
    except StopRequested:
        competition.is_interrupted = True
    done = competition.contenders
    if competition.is_interrupted:
        at = competition.position
        return Outcome(
            state=RunState.PAUSED if stop.is_deadline else RunState.INTERRUPTED,
            step=at.step if at else 0,
            total_steps=at.total_steps if at else 0,
            tuning=competition.tuning if at and at.interrupted else "",
            model_step=competition.model_step,
            candidates=tuple(c.facts for c in done),
        )

    shares = competition.choose()
    result: Evaluation | None = None
    if accelerator.is_main_process:
        mixed = blend.mix({c.facts.name: c.validation for c in done}, shares)
        held = evaluate(mixed, competition.held_classes, labels, chose=True)
        result = Evaluation(labels=labels, validation=held)
        _write_delivery(job, competition)
        each = {c.facts.name: c.validation for c in done}
        said = Logits.of(labels, competition.held_texts, competition.held_classes, mixed, each)
        _keep(job, VALIDATION, said, competition)
    members = {c.facts.name: competition.alone(c) for c in done if c.facts.name in shares}
    if job.test is not None:
        log("phase", name="evaluating on the test split")
        found = _asked_of_test(job, competition, shares)
        if found is not None and result is not None:
            log("phase", name="comparing and writing figures")
            rows, each, of = found
            mixed = blend.mix(each, shares)
            classes, known = (
                np.asarray(rows.classes),
                overlap.are_in(rows.texts, competition.seen()),
            )
            test = evaluate(mixed, classes, labels, rows.texts, is_in_training=known)
            test = test.model_copy(update={"held_out_of": of})
            result = result.model_copy(update={"test": test})
            for name, answers in each.items():
                own = evaluate(answers, classes, labels, is_in_training=known)
                own = own.model_copy(update={"held_out_of": of})
                members[name] = members[name].model_copy(update={"test": own})
            _write_predictions(Path(job.folder), rows, labels, mixed, each)
            _keep(job, TEST, Logits.of(labels, rows.texts, classes, mixed, each), competition)
    if result is not None:
        text = result.model_dump_json(indent=2)
        write_text_atomically(Path(job.folder) / "evaluation.json", text)
        delivered = [
            cards.CardMember(c.facts, c.folder.name, members[c.facts.name])
            for c in done
            if c.facts.name in shares
        ]
        rows_trained = competition.trained_rows
        cards.write(competition.as_trained, delivered, result, trained_rows=rows_trained)
        files.sync_all(Path(job.folder))  # the outcome says that all this is there
    if torch.distributed.is_initialized():
        accelerator.wait_for_everyone()
    return Outcome(
        state=RunState.COMPLETED,
        done=job.nodes,
        candidates=tuple(c.facts for c in done),
        why=competition.told.why,
        notes=tuple(competition.told.kept),
    )


def _asked_of_test(
    job: Job, competition: Any, shares: dict[str, float]
) -> tuple[Rows, dict[str, NDArray[np.floating]], int] | None:
    """The test rows, what each delivered candidate says of them, and of how many training rows they
    were held out; None without the time for it.

    Nothing before this knows where they lie: the order that says it is opened here.
    Of more rows than there is time for, some are drawn, the same share of each class.
    """
    from agnews_cli.learn.rows.material import read_rows
    from agnews_cli.learn.rows.tokens import tokenise

    assert job.test is not None
    order = TestOrder.model_validate_json(Path(job.test).read_text("utf-8"))
    file, budget, told = order.dataset.test, competition.budget, competition.told
    assert file is not None
    delivered = [c for c in competition.contenders if c.facts.name in shares]
    limit: int | None = None
    if budget.end_s is not None:
        row_s = _READ_ROW_S + sum(c.row_s for c in delivered)
        in_time = max(_LEAST_TEST_ROWS, int(_SURELY * budget.left_s / row_s))
        limit = in_time if in_time < file.rows else None

    def hear_of(name: str, total: int) -> Callable[[int], None]:
        work = told.work(name, total)

        def hear(done: int) -> None:
            work(done)
            if budget.left_s < -_LATE_S:
                raise OutOfTime

        return hear

    try:
        rows = read_rows(order.dataset, "test", limit, job.rows_seed, budget, told, kept=order.rows)
        if limit is not None:
            told.decided(
                f"{len(rows.texts):,} of {file.rows:,} test rows are evaluated, the same share of "
                "each class: the budget leaves time for no more"
            )
        tokens = None
        if any(c.facts.kind != "linear" for c in delivered):
            hear = hear_of("tokenising test rows", len(rows.texts))
            length = competition.training.max_length
            tokens = tokenise(rows, competition.tokenizer, length, told=hear)
        began_s = time.monotonic()
        each = {}
        for one in delivered:
            hear = hear_of(f"evaluating {one.facts.name} on test rows", len(rows.texts))
            each[one.facts.name] = one.predict(rows, tokens, hear)
    except (OutOfTime, BudgetTooShort):
        told.warn("the budget left no time for the test split: only validation was evaluated")
        return None
    took_s = time.monotonic() - began_s
    told.note(f"predicted {len(rows.texts)} test rows in {took_s:.1f} s")
    return rows, each, sum(file.draw.class_rows) if file.draw else 0


def _write_delivery(job: Job, competition: Any) -> None:
    members = [
        {
            "name": c.facts.name,
            "kind": c.facts.kind,
            "folder": c.folder.name,
            "share": c.facts.weight,
        }
        for c in competition.contenders
        if c.facts.weight
    ]
    facts = {
        "schema": "agnews.delivery/1",
        "labels": list(job.dataset.labels),
        "label_values": list(job.dataset.label_values),
        "text_columns": list(job.dataset.text_columns),
        "label_column": job.dataset.label_column,
        "id_column": job.dataset.id_column,
        "cleaning": job.dataset.cleaning,
        "max_length": competition.training.max_length,
        "members": members,
    }
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    write_text_atomically(Path(job.folder) / "delivery.json", text)


def _keep(job: Job, part: str, said: Any, competition: Any) -> None:
    """What was said of rows, for ensembles and comparisons; of very many it is not kept."""
    from agnews_cli.learn.combine import logits

    if not logits.write(Path(job.folder) / f"{part}.safetensors", said):
        most = space.size(logits.MOST_BYTES)
        competition.told.note(f"{part} is not kept: it would be larger than {most}")


def _write_predictions(
    folder: Path,
    rows: Rows,
    labels: tuple[str, ...],
    mixed: NDArray[np.floating],
    each: dict[str, NDArray[np.floating]],
) -> None:
    """`predictions.csv` for what is delivered, and one file for each member of an average."""
    files = {"predictions.csv": mixed}
    if len(each) > 1:
        files |= {f"predictions-{name}.csv": part for name, part in each.items()}
    for name, probabilities in files.items():
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["row", "label", "predicted", *(f"p_{label}" for label in labels)])
            for row, scores in enumerate(probabilities):
                true, guess = labels[rows.classes[row]], labels[int(scores.argmax())]
                writer.writerow([row, true, guess, *(f"{p:.7f}" for p in scores)])


def _write_environment(job: Job, accelerator: Any, precision: str) -> None:
    import torch

    if not accelerator.is_main_process:
        return
    facts: dict[str, object] = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "device": accelerator.device.type,
        "processes": accelerator.num_processes,
        "precision": precision,
        "threads": torch.get_num_threads(),
    }
    if accelerator.device.type == "cuda":
        facts["accelerator"] = torch.cuda.get_device_name()
    for name in _LIBRARIES:
        try:
            facts[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            facts[name] = None
    write_text_atomically(Path(job.folder) / "environment.json", json.dumps(facts, indent=2))


if __name__ == "__main__":
    main(sys.argv)
