"""Which candidates are delivered, and in which shares: chosen on the rows that validate."""

from __future__ import annotations

import shutil

import numpy as np

from agnews_cli.core.run.job import COUNTED
from agnews_cli.learn.figures import blend, choice
from agnews_cli.learn.stages.contest import Competition
from agnews_cli.learn.stages.trained import Probabilities

Shares = dict[str, float]
"""Of what is delivered, by name; they add up to 1."""


def choose(contest: Competition) -> Shares:
    """The same on every process; what is not delivered is removed but a model of counted
    words, which is small, and but all where training is traced."""
    setting = contest.setting
    shares = setting.agreed(_chosen(contest) if setting.is_main else {})
    for contender in contest.contenders:
        weight = shares.get(contender.facts.name, 0.0)
        contender.facts = contender.facts.model_copy(update={"weight": weight})
        is_kept = weight or contender.facts.kind in COUNTED or setting.job.trace
        if not is_kept and setting.is_main:
            shutil.rmtree(contender.folder, ignore_errors=True)
    return shares


def _chosen(contest: Competition) -> Shares:
    held, told = contest.rows.material, contest.setting.told
    classes = held.held_classes
    by_name = {c.facts.name: c.validation for c in contest.contenders}
    rows = f"the same {len(classes):,} validation rows"
    if held.fold is not None:
        rows = f"the same {len(classes):,} rows, asked of models that had not seen them"
    judge = choice.Judge(classes, contest.rows.class_weights, rows)
    tuned = [c.facts.name for c in contest.contenders if c.facts.kind not in COUNTED]
    plan = tuned[0] if tuned else contest.contenders[0].facts.name
    if contest.setting.job.blend:
        shares = judge.best_average(by_name)
    else:
        best = plan
        for name, probabilities in by_name.items():
            if judge.is_better(probabilities, by_name[best]):
                best = name
        shares = {best: 1.0}
    if len(shares) > 1:
        told.chose(judge.why_several(shares, by_name))
    else:
        told.chose(judge.why_one(next(iter(shares)), plan, by_name))
    _warn_of_silence(contest, blend.mix(by_name, shares))
    return shares


def _warn_of_silence(contest: Competition, probabilities: Probabilities) -> None:
    labels, rows = contest.setting.labels, contest.rows.material
    there = np.bincount(rows.classes, minlength=len(labels))
    silent = choice.never_answered(probabilities, rows.held_classes, labels)
    if not silent:
        return
    shown = ", ".join(
        f"{label!r} ({there[labels.index(label)]:,} training and {held:,} validation rows)"
        for label, held in silent[:5]
    )
    more = f" and {len(silent) - 5} more" if len(silent) > 5 else ""
    advice = "more rows of it would help"
    if contest.rows.class_weights is None:
        advice += ", or --set training.class_weights=balanced"
    contest.setting.told.warn(f"never answered on the validation rows: {shown}{more}; {advice}")
