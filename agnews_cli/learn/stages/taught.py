"""What a teacher said of a job's rows, found in its files by the digest of their clean texts.

Its tokenizer, its batches and the order of its rows may be others. A file called `validation` was
said by models that had not seen its rows, and one called `unlabelled` is of texts whose labels
nobody saw; any other file may be of rows that its teacher learned, so that none of those may
validate the student.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.job import TrainJob
from agnews_cli.core.run.work import VALIDATION
from agnews_cli.errors import (
    TeacherHasNoHidden,
    TeacherLabelsDiffer,
    TeacherOfOtherWidth,
    TeacherSawValidation,
    TeacherSilent,
    TeacherTwice,
)
from agnews_cli.learn.combine import logits
from agnews_cli.learn.door.notes import Notes
from agnews_cli.learn.loop.distil import Taught
from agnews_cli.learn.rows.batches import Indices
from agnews_cli.learn.rows.material import Material

Digests = NDArray[np.void]
"""(rows,): the digest of each row, to be compared and sorted."""
_UNSEEN, _UNLABELLED = PurePosixPath(VALIDATION).name, "unlabelled"


@dataclass(frozen=True, slots=True)
class Teacher:
    """Its logits, (rows, classes), of the rows of a material."""

    job: TrainJob
    train: NDArray[np.float32]
    unlabelled: NDArray[np.float32]
    held: NDArray[np.float32] | None
    """None where it says nothing of the rows that validate."""
    hidden: NDArray[np.float16] | None = None
    """Its hidden states, (rows, width), of those that train and then of those without labels; None
    where the student is not told them."""

    @property
    def whole(self) -> Taught:
        """For a fine-tuning on all rows."""
        rows = np.concatenate([self.train, self.unlabelled])
        return Taught(self.job.distillation, rows, self.held, self.hidden)

    def fold(self, inside: Indices, outside: Indices) -> Taught:
        """For one that is trained on the rows `inside`."""
        rows, hidden = np.concatenate([self.train[inside], self.unlabelled]), self.hidden
        if hidden is not None:
            hidden = np.concatenate([hidden[inside], hidden[len(self.train) :]])
        return Taught(self.job.distillation, rows, self.train[outside], hidden)

    def require_width(self, own: int) -> None:
        """Raises TeacherOfOtherWidth unless a student of this width can be told hidden states."""
        if self.hidden is not None and self.hidden.shape[1] != own:
            raise TeacherOfOtherWidth(
                teacher=self.job.teacher[0],
                theirs=self.hidden.shape[1],
                student=self.job.preset.name,
                own=own,
            )


def read(job: TrainJob, material: Material, told: Notes) -> Teacher:
    """What the job's teacher said.

    Raises CannotRead, TeacherLabelsDiffer, TeacherTwice, TeacherSilent, TeacherSawValidation or
    TeacherHasNoHidden.
    """
    # Two teachers at once would each take a share of what the labels have.
    assert not job.preset.training.linear_teacher
    said = [_Said.read(path, job.dataset.labels) for path in job.teacher]
    train, new = _digests(material.texts), _digests(material.unlabelled_texts)
    held = _digests(material.held_texts)
    _refuse_seen(said, train, held, material, told)
    # A text without a label may be one that has a label elsewhere: there it counts, and not here.
    every = _Said.joined([one.only(new) if one.stem == _UNLABELLED else one for one in said])
    every.require_once(np.concatenate([train, new, held]))
    rows = every.of(train, "training rows")
    unlabelled = every.of(new, "rows without labels") if len(new) else rows[:0]
    of_held = every.of(held) if np.isin(held, every.rows).all() else None
    hidden = _hidden(job, said, np.concatenate([train, new])) if job.distillation.hidden else None
    return Teacher(job, rows, unlabelled, of_held, hidden)


def _hidden(job: TrainJob, said: Sequence[_Said], wanted: Digests) -> NDArray[np.float16]:
    """(rows, width). Raises TeacherHasNoHidden."""
    inside = [one for one in said if one.hidden is not None]
    rows = np.concatenate([one.rows for one in inside] or [wanted[:0]])
    if not np.isin(wanted, rows).all():
        reason = "its files hold answers alone"
        student = job.preset.name
        raise TeacherHasNoHidden(teacher=job.teacher[0], student=student, reason=reason)
    states = np.concatenate([one.hidden for one in inside if one.hidden is not None])
    return states[_first(rows, wanted)]


def _first(rows: Digests, wanted: Digests) -> Indices:
    """Where each that is wanted stands; of one that stands twice the first."""
    texts, first = np.unique(rows, return_index=True)
    return np.asarray(first[np.searchsorted(texts, wanted)])


def _refuse_seen(
    said: Sequence[_Said], train: Digests, held: Digests, material: Material, told: Notes
) -> None:
    """Raises TeacherSawValidation."""
    of_training = [one for one in said if one.is_of_training]
    if material.fold is not None and of_training:
        told.warn(
            "every row validates by turns, and the teacher was trained on all: the figures of "
            "validation are better than those of new texts will be"
        )
        return
    for one in of_training:
        seen = np.isin(held, one.rows) & ~np.isin(held, train)  # a text may stand in both
        if seen.any():
            raise TeacherSawValidation(path=one.path, seen=int(seen.sum()), rows=len(held))


@dataclass(frozen=True, slots=True)
class _Said:
    path: str
    rows: Digests
    logits: NDArray[np.float32]
    hidden: NDArray[np.float16] | None = None

    @classmethod
    def read(cls, path: str, labels: Sequence[str]) -> _Said:
        kept = logits.read(Path(path))
        if sorted(kept.labels) != sorted(labels):
            theirs, ours = (", ".join(names[:8]) for names in (kept.labels, labels))
            raise TeacherLabelsDiffer(path=path, theirs=theirs, ours=ours)
        columns = [kept.labels.index(label) for label in labels]
        rows = logits.as_values(kept.rows)
        return cls(path, rows, kept.delivered[:, columns], kept.hidden)

    @classmethod
    def joined(cls, said: Sequence[_Said]) -> _Said:
        rows = np.concatenate([one.rows for one in said])
        return cls(", ".join(o.path for o in said), rows, np.concatenate([o.logits for o in said]))

    @property
    def stem(self) -> str:
        return Path(self.path).stem

    @property
    def is_of_training(self) -> bool:
        return self.stem not in (_UNSEEN, _UNLABELLED)

    def only(self, rows: Digests) -> _Said:
        """What it says of these rows."""
        chosen = np.isin(self.rows, rows)
        return _Said(self.path, self.rows[chosen], self.logits[chosen])

    def require_once(self, wanted: Digests) -> None:
        """Raises TeacherTwice where a text is there more often than among the rows `wanted`."""
        texts, times = np.unique(self.rows, return_counts=True)
        known, most = np.unique(wanted, return_counts=True)
        at = np.searchsorted(known, texts).clip(max=len(known) - 1)
        allowed = np.where(known[at] == texts, most[at], 1)
        twice = int((times > allowed).sum())
        if twice:
            raise TeacherTwice(path=self.path, rows=twice)

    def of(self, wanted: Digests, what: str = "rows") -> NDArray[np.float32]:
        """Its logits of these rows, in their order; of a text that it has twice the first.

        Raises TeacherSilent.
        """
        missing = int((~np.isin(wanted, self.rows)).sum())
        if missing:
            raise TeacherSilent(path=self.path, missing=missing, rows=len(wanted), what=what)
        return np.ascontiguousarray(self.logits[_first(self.rows, wanted)])


def _digests(texts: Sequence[str]) -> Digests:
    return logits.as_values(logits.digests(texts))
