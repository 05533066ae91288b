"""Learning from a teacher's answers beside the labels (Hinton et al. 2015, arXiv 1503.02531):

    alpha · loss(labels, s) + (1 − alpha) · T² · KL(teacher at T ‖ student at T)
    + hidden · (1 − cos(teacher's hidden states, student's))     in `step`

Both answer at the temperature T; T² gives the teacher's gradients the size that the labels' have
(their 2). A row without a label has its teacher's part alone, whole. Class weights and label
smoothing are the labels' and change nothing of the teacher's part.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from agnews_cli.core.run.work import Distillation
from agnews_cli.learn.figures import blend
from agnews_cli.learn.kinds.loss import Loss, Targets


@dataclass(frozen=True, slots=True)
class Taught:
    """What a teacher says, as logits, (rows, classes) float32."""

    how: Distillation
    logits: NDArray[np.float32]
    """Of all rows that are learned from, those without labels last."""
    held: NDArray[np.float32] | None = None
    """Of the rows that validate; None: it says nothing of them."""
    hidden: NDArray[np.float16] | None = None
    """Its hidden states, (rows, width), of the rows of `logits`; None: none are to be matched."""


def distilled(
    labels: Loss, taught: Taught | None, classes: NDArray[np.int64]
) -> DistilledLoss | None:
    """The loss of rows with these classes, -1 where there is none; None without a teacher."""
    return None if taught is None else DistilledLoss(labels, taught.how, bool((classes < 0).any()))


@dataclass(slots=True)
class DistilledLoss:
    """The loss of labels and a teacher, and how far the student lies from it: a `Loss`."""

    labels: Loss
    """Of rows with labels."""
    how: Distillation
    has_unlabelled: bool
    _seen: torch.Tensor | None = field(default=None, init=False)
    """Sum of the divergences of rows, and how many; kept on the device."""

    def __call__(self, logits: torch.Tensor, targets: Targets) -> torch.Tensor:
        assert targets.teacher is not None
        alpha, t, teacher = self.how.alpha, self.how.temperature, targets.teacher.to(logits.dtype)
        self._see(logits.detach(), teacher, targets.weights)
        apart = divergences(teacher, logits, t)
        if not self.has_unlabelled:
            return alpha * self.labels(logits, targets) + (1 - alpha) * t**2 * targets.summed(apart)
        is_labelled = targets.classes >= 0
        counts = is_labelled.to(apart.dtype) * (1 if targets.weights is None else targets.weights)
        known = replace(targets, classes=targets.classes.clamp(min=0), weights=counts)
        of_labels = self.labels(logits, known)
        share = 1 - alpha * is_labelled.to(apart.dtype)
        return alpha * of_labels + t**2 * targets.summed(share * apart)

    def _see(
        self, logits: torch.Tensor, teacher: torch.Tensor, weights: torch.Tensor | None
    ) -> None:
        apart = divergences(teacher, logits, 1.0)
        counts = torch.ones_like(apart) if weights is None else (weights > 0).to(apart.dtype)
        seen = torch.stack([(apart * counts).sum(), counts.sum()])
        self._seen = seen if self._seen is None else self._seen + seen

    def apart(self) -> float | None:
        """KL(teacher ‖ student) as both answer, nats a row, since it was last asked; None: no row.

        Of this process's rows.
        """
        if self._seen is None:
            return None
        apart, rows = self._seen.tolist()
        self._seen = None
        return float(apart / rows)


def divergences(teacher: torch.Tensor, student: torch.Tensor, t: float) -> torch.Tensor:
    """KL(teacher ‖ student) of each row at temperature `t`, (rows,); both are logits."""
    one, two = F.log_softmax(teacher / t, -1), F.log_softmax(student / t, -1)
    return (one.exp() * (one - two)).sum(-1)  # XLA has no gradient of F.kl_div


def divergence(teacher: NDArray[np.float32], answers: NDArray[np.floating]) -> float:
    """Mean KL(teacher ‖ student) in nats a row, of its logits and what the student answers."""
    said = blend.softmax(teacher.astype(np.float64))
    tiny = np.finfo(np.float64).tiny
    logs = np.log(np.maximum(said, tiny)) - np.log(np.maximum(answers.astype(np.float64), tiny))
    return float((said * logs).sum(1).mean())
