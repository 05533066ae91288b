"""The guards of training, in the order in which they speak; a new one is a function and a line.

A finding says what was seen, and what would help. The thresholds are rules of thumb;
`benchmarks/overfitting.py` measures how often those of overfitting are right.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import fmean
from typing import Final

from agnews_cli.core.guards import guard
from agnews_cli.core.guards.guard import Guard
from agnews_cli.core.guards.training_facts import TrainingSeen, TuningFacts, Validated
from agnews_cli.core.machine.finding import Finding

OVERFITTING: Final = "overfitting"
"""The check that findings about learning by heart are of."""
_GAP, _SURE = 0.10, 2.0
"""Points of accuracy between training and validation rows, and standard errors of that."""
_LOSS_GAP, _LOSS_TIMES = 0.3, 3.0
_RISE, _RISE_NATS = 1.25, 0.1
"""Of the validation loss over its lowest, while that of training rows fell on."""
_STILL_VALIDATIONS, _STILL = 4, 0.01
_EXPLODED, _VANISHED = 100.0, 1e-6
"""Gradient norms: times what they are clipped to, and nothing at all."""
_FLAT_RANK = 0.25
_TEACHER_TIMES, _TEACHER_NATS = 1.5, 0.05
_MORE = (
    "More labelled rows, or fewer passes: --epochs 3; also --set training.token_masking=0.1, "
    "--set training.r_drop=2, or a preset with LoRA"
)


def accuracy_gap(seen: TrainingSeen) -> Iterator[Finding]:
    """The rows that were trained on are known far better than others, beyond chance."""
    tuning = seen.tuning
    at = None if tuning is None else tuning.delivered
    if tuning is None or at is None:
        return
    gap = at.train_accuracy - at.accuracy
    pairs = ((at.train_accuracy, tuning.sampled_rows), (at.accuracy, tuning.held_rows))
    error = math.sqrt(sum(share * (1 - share) / max(1, rows) for share, rows in pairs))
    if gap > _GAP and gap > _SURE * error:
        yield Finding(
            OVERFITTING,
            "know",
            f"{tuning.name} has {at.train_accuracy:.1%} of the rows right that it was trained on, "
            f"and {at.accuracy:.1%} of the others",
            _MORE,
        )


def loss_gap(seen: TrainingSeen) -> Iterator[Finding]:
    """It is far surer of the rows that it was trained on."""
    tuning = seen.tuning
    at = None if tuning is None else tuning.delivered
    if tuning is None or at is None:
        return
    apart = at.raw_loss - at.train_loss
    if apart > _LOSS_GAP and at.raw_loss > _LOSS_TIMES * at.train_loss:
        yield Finding(
            OVERFITTING,
            "know",
            f"{tuning.name} loses {at.train_loss:.2f} nats on rows that it was trained on, and "
            f"{at.raw_loss:.2f} on others",
            "--set training.label_smoothing=0.1; its probabilities are cooled in any case",
        )


def divergence(seen: TrainingSeen) -> Iterator[Finding]:
    """The validation loss rose again while training rows were learnt on."""
    tuning = seen.tuning
    if tuning is None or len(tuning.validated) < 2:
        return
    lowest = min(tuning.validated, key=lambda one: one.raw_loss)
    last = tuning.validated[-1]
    rose = last.raw_loss > _RISE * lowest.raw_loss and last.raw_loss - lowest.raw_loss > _RISE_NATS
    if rose and last.train_loss < lowest.train_loss:
        stop = "; it was stopped early" if tuning.has_stopped_early else ""
        yield Finding(
            OVERFITTING,
            "know",
            f"{tuning.name}: after step {lowest.step} the validation loss rose from "
            f"{lowest.raw_loss:.2f} to {last.raw_loss:.2f}, and that of training rows fell{stop}",
            _mend_of_late(tuning, lowest),
        )


def _mend_of_late(tuning: TuningFacts, lowest: Validated) -> str:
    share = lowest.step / max(1, tuning.total_steps)
    kept = tuning.delivered
    said = f"the weights of step {kept.step} are delivered; " if kept is not None else ""
    return f"{said}{share:.0%} of the steps would do: fewer --epochs"


def plateau(seen: TrainingSeen) -> Iterator[Finding]:
    """The last validations brought nothing, neither better nor worse."""
    tuning = seen.tuning
    if tuning is None or len(tuning.validated) <= 2 * _STILL_VALIDATIONS:
        return
    before = tuning.validated[:-_STILL_VALIDATIONS]
    late = tuning.validated[-_STILL_VALIDATIONS:]
    lowest = min(one.raw_loss for one in before)
    is_still = all(abs(one.raw_loss - lowest) <= _STILL * lowest for one in late)
    if is_still and max(one.accuracy for one in late) <= max(one.accuracy for one in before):
        yield Finding(
            "plateau",
            "know",
            f"{tuning.name}: the last {_STILL_VALIDATIONS} validations brought nothing",
            "Fewer --epochs take less time for the same",
        )


def gradients(seen: TrainingSeen) -> Iterator[Finding]:
    """They exploded, or vanished."""
    tuning = seen.tuning
    if tuning is None:
        return
    most = [
        one.gradient_norm_most for one in tuning.validated if one.gradient_norm_most is not None
    ]
    means = [one.gradient_norm for one in tuning.validated if one.gradient_norm is not None]
    if most and max(most) > _EXPLODED * tuning.clip_norm:
        yield Finding(
            "gradients",
            "know",
            f"{tuning.name}: a gradient had the norm {max(most):,.0f}, and was cut to "
            f"{tuning.clip_norm:g}",
            "A smaller rate (--lr), or a longer rise (--set training.warmup=0.2)",
        )
    if means and fmean(means) < _VANISHED:
        yield Finding(
            "gradients",
            "know",
            f"{tuning.name}: gradients have the norm {fmean(means):.1g}, so that it learns nothing",
            "--set training.precision=fp32",
        )


def update_rank(seen: TrainingSeen) -> Iterator[Finding]:
    """Updates use few of the directions that they have (LoRA)."""
    tuning = seen.tuning
    at = None if tuning is None else tuning.delivered
    if tuning is None or at is None or at.update_rank is None or not tuning.rank:
        return
    if tuning.rank >= 4 and at.update_rank < _FLAT_RANK * tuning.rank:
        enough = 2 ** math.ceil(math.log2(2 * at.update_rank))
        yield Finding(
            "update rank",
            "know",
            f"{tuning.name}: updates of rank {tuning.rank} use {at.update_rank:.1f} directions",
            f"--set method.rank={enough} trains less and is likely to reach the same",
        )


def teacher(seen: TrainingSeen) -> Iterator[Finding]:
    """A student that came near its teacher and left it again."""
    tuning = seen.tuning
    if tuning is None:
        return
    apart = [one.teacher_kl for one in tuning.validated if one.teacher_kl is not None]
    if len(apart) > 1 and apart[-1] > max(_TEACHER_TIMES * min(apart), min(apart) + _TEACHER_NATS):
        yield Finding(
            "teacher",
            "know",
            f"{tuning.name} was {min(apart):.3f} nats a row from its teacher, and ended "
            f"{apart[-1]:.3f} from it",
            "A lower --alpha, by which the labels count less, or fewer --epochs",
        )


def diversity(seen: TrainingSeen) -> Iterator[Finding]:
    """Members of an ensemble that err alike."""
    if seen.diversity is not None:
        yield from seen.diversity.findings(seen.limits)


TRAINING_GUARDS: Final = (
    Guard("accuracy gap", 2, accuracy_gap),
    Guard("loss gap", 2, loss_gap),
    Guard("divergence", 2, divergence),
    Guard("plateau", 2, plateau),
    Guard("gradients", 2, gradients),
    Guard("update rank", 2, update_rank),
    Guard("teacher", 2, teacher),
    Guard("diversity", 2, diversity),
)


def findings(seen: TrainingSeen) -> tuple[Finding, ...]:
    """What every guard says, but for what is as it should be."""
    return tuple(f for f in guard.findings(TRAINING_GUARDS, seen) if f.level != "good")
