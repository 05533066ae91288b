"""A model is asked about rows, and what it says is kept by the digest of their texts.

Rows are asked about in chunks whose bounds are a function of the rows alone, and no chunk has a say
in another's answers: so one that goes on from a checkpoint, which holds whole chunks, says what
one that was never stopped says, bit for bit.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from numpy.typing import NDArray

from agnews_cli.core.run.job import EvaluateJob, Outcome, PredictJob
from agnews_cli.core.run.state import RunState
from agnews_cli.errors import CannotWrite, TeacherHasNoHidden
from agnews_cli.learn import predictor
from agnews_cli.learn.combine import logits
from agnews_cli.learn.combine.logits import Logits
from agnews_cli.learn.door.events import EventLog, StopFlag, StopRequested
from agnews_cli.learn.door.notes import Notes
from agnews_cli.learn.predictor import Means, OpenedDelivery
from agnews_cli.learn.stages import asked_rows, machine, savers
from agnews_cli.learn.stages.asked_rows import AskedRows
from agnews_cli.learn.state import fingerprint
from agnews_cli.learn.state.saving import Saver, changes
from agnews_cli.learn.state.snapshot import Misfit, Snapshot
from agnews_cli.store.disk import files, space
from agnews_cli.store.model import delivered
from agnews_cli.store.model.delivered import Delivered, digests_of
from agnews_cli.store.run.checkpoints import Why

NAME = "predictions"
"""Of the checkpoints; their step is how many rows are done."""
CHUNK_ROWS = 512
_REPORT_EVERY_S = 1.0
_WIDEST = 1 << 15
"""Of hidden states; the widest models of today have half of it."""


def about_rows(job: PredictJob, log: EventLog, stop: StopFlag) -> Outcome:
    """Write `predictions/<of>`, or say how far it came.

    Raises what finding and opening the model raises, TeacherUnfit where it does not fit the data,
    and what reading the rows raises; TeacherHasNoHidden where hidden states are wanted of what has
    none.
    """
    accelerator, _ = machine.take(job, log, wanted="fp32")
    told = Notes(log)
    model = delivered.at(Path(job.model))
    log("phase", name="reading")
    rows = asked_rows.read(job, model, stop, told)
    asking = Asking(job, accelerator, model, rows, log, stop)
    log("phase", name=f"asking {model.name} about {len(rows.texts):,} rows")
    if not asking.run():
        return Outcome(
            state=RunState.PAUSED if stop.is_deadline else RunState.INTERRUPTED,
            step=asking.done,
            total_steps=len(rows.texts),
            tuning=NAME,
        )
    if accelerator.is_main_process:
        _write(job, rows, asking)
    accelerator.wait_for_everyone()
    total = len(rows.texts)
    notes = tuple(told.kept)
    return Outcome(
        state=RunState.COMPLETED, done=job.nodes, step=total, total_steps=total, notes=notes
    )


def _write(job: PredictJob, rows: AskedRows, asking: Asking) -> None:
    path = Path(job.folder) / "predictions" / f"{job.of}.safetensors"
    kept = Logits(job.dataset.labels, rows.digests, rows.classes, asking.answers, {})
    kept = replace(kept, hidden=asking.hidden)
    if not logits.write(path, kept):
        most = space.size(logits.MOST_BYTES)
        raise CannotWrite(path=path, reason=f"it would be larger than {most}")
    files.sync_all(Path(job.folder))


@dataclass(slots=True)
class Asking:
    """`run` asks about all rows; `answers` then holds logits, (rows, classes), in the data's order
    of classes, and `hidden` the model's hidden states, (rows, width), where they are wanted."""

    job: PredictJob | EvaluateJob
    accelerator: Accelerator
    model: Delivered
    rows: AskedRows
    log: EventLog
    stop: StopFlag
    name: str = NAME
    """Of its checkpoints."""
    batch_tokens: int = Means().batch_tokens
    done: int = 0
    """Rows that are answered."""
    answers: NDArray[np.float32] = field(init=False)
    hidden: NDArray[np.float16] | None = None
    _saver: Saver = field(init=False)
    _saved: int = 0
    _chunk_s: float = 0.0
    _began_s: float = 0.0
    _begun_at: int = 0
    _told_s: float = 0.0
    _told: int = 0

    @property
    def has_hidden(self) -> bool:
        """Whether the model's hidden states are wanted too."""
        return isinstance(self.job, PredictJob) and self.job.has_hidden

    def __post_init__(self) -> None:
        shape = (len(self.rows.texts), len(self.job.dataset.labels))
        self.answers = np.empty(shape, dtype=np.float32)

    def run(self) -> bool:
        """Ask about what is left; False where it was interrupted, and then it is saved."""
        now = self._fingerprint()
        facts = (self.job, self.name, now, self.accelerator, self.log)
        self._saver = savers.of(*facts, every_s=self.job.save_every_s)
        self._resume(now)
        total = len(self.rows.texts)
        self._saver.expect(self.answers.nbytes)
        self.stop.reserve_s = self._saver.reserve_s
        if self.done < total:
            order = delivered.order_of(self.model, lambda base: self.job.bases[base.id])
            opened = predictor.open_delivery(order, self._means())
            if self.has_hidden and not opened.has_hidden:
                reason = "it is not one transformer"
                raise TeacherHasNoHidden(
                    teacher=self.model.name, student="its student", reason=reason
                )
            self._began_s = self._told_s = time.monotonic()
            self._begun_at = self.done
            while self.done < total:
                is_late = self.stop.left_s < self._chunk_s
                if self._agreed(self.stop.is_set or is_late) or not self._ask(opened):
                    self._save("final")
                    return False
                is_due = self.done < total and self._saver.is_due(left_s=self.stop.left_s)
                if self._agreed(is_due):
                    self._save("interval")
        self._saver.finish()
        return True

    def _ask(self, opened: OpenedDelivery) -> bool:
        """About one chunk; False where a stop came before its end, and nothing of it counts."""
        start, began_s = self.done, time.monotonic()
        texts = self.rows.to_model[start : start + CHUNK_ROWS]
        try:
            said = self._said(opened, texts)
        except StopRequested:
            return False
        self.answers[start : start + len(texts)] = logits.log(said)[:, self.rows.columns]
        self.done += len(texts)
        self._chunk_s = time.monotonic() - began_s
        self._report(self.done)
        return True

    def _said(self, opened: OpenedDelivery, texts: Sequence[str]) -> NDArray[np.floating]:
        start = self.done
        if not self.has_hidden:
            return opened(texts, lambda rows: self._report(start + rows))
        said, inside = opened.with_hidden(texts, lambda rows: self._report(start + rows))
        if self.hidden is None:
            self.hidden = np.empty((len(self.answers), inside.shape[1]), dtype=np.float16)
        self.hidden[start : start + len(texts)] = inside
        return said

    def _means(self) -> Means:
        """Of several processes each must be there for the others until a chunk's end."""
        is_alone = self.accelerator.num_processes == 1
        check: Callable[[], None] = self.stop.check if is_alone else lambda: None
        return Means(self.batch_tokens, processes=self.accelerator, check=check)

    def _agreed(self, mine: bool) -> bool:
        """Whether the first process says so: all must take the same way."""
        answer: list[Any] = [mine]
        broadcast_object_list(answer)
        return bool(answer[0])

    def _report(self, rows: int) -> None:
        now_s, total = time.monotonic(), len(self.rows.texts)
        is_last = rows == total and self._told < total
        if now_s - self._told_s < _REPORT_EVERY_S and not is_last:
            return
        self._told_s, self._told = now_s, rows
        per_s = max(1, rows - self._begun_at) / max(1e-9, now_s - self._began_s)
        self.log(
            "progress",
            candidate=self.name,
            step=rows,
            total_steps=total,
            examples=rows,
            examples_per_s=round(per_s, 2),
            loss=None,
            lr=None,
            epoch=None,
            teacher_kl=None,
            left_s=round((total - rows) / per_s, 1),
        )

    # ---- checkpoints -----------------------------------------------------------------------------

    def _save(self, why: Why) -> None:
        """All processes come here; the first one writes, and waits for a last one to be whole."""
        if self.accelerator.is_main_process and self.done > self._saved:
            answers = {"answers": torch.from_numpy(self.answers[: self.done].copy())}
            if self.hidden is not None:
                answers["hidden"] = torch.from_numpy(self.hidden[: self.done].copy())
            snapshot = Snapshot({"answers": answers}, {"rows": len(self.rows.texts)})
            self._saver.save(snapshot, why, step=self.done, wait=why == "final")
            self._saved = self.done
            self.stop.reserve_s = self._saver.reserve_s
        if why == "final":
            self._saver.finish()
        while why == "final" and self._saver.has_failed:  # three failures in a row raise
            self._saved = 0
            self._save(why)

    def _resume(self, now: dict[str, str]) -> None:
        """To the newest checkpoint that fits, and say so; one of other libraries is passed over,
        for asking again costs less than a training."""
        widest = _WIDEST if self.has_hidden else 0
        most_bytes = self.answers.nbytes + 2 * len(self.answers) * widest + (1 << 20)
        try:
            found = self._saver.newest(most_bytes=most_bytes)
            if found is None:
                return
            saved, tensors = found
            changed = changes(saved.manifest.fingerprint, now)
            others = sorted(set(changed) - fingerprint.MACHINE)
            if others:
                raise Misfit(f"{', '.join(others)} changed")
            answers = tensors["answers"]["answers"].numpy()
            if answers.shape != (saved.manifest.step, self.answers.shape[1]):
                raise Misfit(f"{saved.id} holds {answers.shape}")
            inside = tensors["answers"]["hidden"].numpy() if self.has_hidden else None
            if inside is not None and (inside.ndim, len(inside)) != (2, len(answers)):
                raise Misfit(f"{saved.id} holds hidden states of {inside.shape}")
        except (Misfit, KeyError) as error:
            self.log("warning", text=f"what is saved is not used, all rows are asked anew: {error}")
            return
        for name, (before, after) in changed.items():
            self.log("warning", text=f"resumed not bit for bit: {name} was {before}, is {after}")
        self.answers[: len(answers)] = answers
        if inside is not None:
            self.hidden = np.empty((len(self.answers), inside.shape[1]), dtype=np.float16)
            self.hidden[: len(inside)] = inside
        self.done = self._saved = len(answers)
        self.log(
            "resumed",
            candidate=self.name,
            checkpoint=saved.id,
            step=self.done,
            total_steps=len(self.rows.texts),
            changed=sorted(changed),
        )

    def _fingerprint(self) -> dict[str, str]:
        """What must be the same for the answers to be."""
        model = hashlib.sha256(repr(tuple(_content(self.model))).encode())
        rows = hashlib.sha256(self.rows.digests.tobytes())
        rows.update(repr(self.rows.columns).encode())
        found = fingerprint.take(self.accelerator, "fp32")
        return found | {"model": model.hexdigest()[:16], "rows": rows.hexdigest()[:16]}


def _content(model: Delivered) -> Iterator[object]:
    """All that decides what a model answers, its parts' too."""
    yield model.labels, model.max_length
    if not model.long_texts.is_usual:
        yield model.long_texts
    for member in model.members:
        yield member.name, member.share, digests_of(Path(member.folder))
    for part in model.parts:
        yield from _content(part)
    if model.combiner is not None:
        yield digests_of(model.combiner)
