"""Figures of what is delivered and of each member, on the rows that validate and the test rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agnews_cli.core.run.evaluation import Evaluation
from agnews_cli.core.run.work import TEST, VALIDATION
from agnews_cli.learn.combine import logits
from agnews_cli.learn.combine.logits import Logits
from agnews_cli.learn.figures import blend, latency
from agnews_cli.learn.figures.evaluate import evaluate
from agnews_cli.learn.rows import overlap
from agnews_cli.learn.stages import snapshots
from agnews_cli.learn.stages.combine import Shares
from agnews_cli.learn.stages.contest import Competition
from agnews_cli.learn.stages.predict import Answered
from agnews_cli.learn.stages.predictions_file import write_predictions
from agnews_cli.learn.stages.trained import Probabilities
from agnews_cli.store.disk import space


@dataclass(frozen=True, slots=True)
class Judged:
    """`whole`: of what is delivered; `members`: of each by itself."""

    whole: Evaluation
    members: dict[str, Evaluation]


def on_validation(contest: Competition, shares: Shares) -> Judged:
    """On the rows that also chose: the figures are marked so."""
    labels, classes = contest.setting.labels, contest.rows.held_classes

    def of(probabilities: Probabilities) -> Evaluation:
        held = evaluate(probabilities, classes, labels, chose=True)
        return Evaluation(labels=tuple(labels), validation=held)

    each = {c.facts.name: c.validation for c in contest.contenders}
    mixed, held = blend.mix(each, shares), contest.rows.material
    _keep(contest, VALIDATION, Logits.of(labels, held.held_texts, classes, mixed, each))
    return Judged(of(mixed), {name: of(each[name]) for name in each if name in shares})


def on_test(contest: Competition, shares: Shares, judged: Judged, answered: Answered) -> Judged:
    """The same with what was said of the test rows, which is written to `predictions.csv`."""
    setting, rows, labels = contest.setting, answered.rows, contest.setting.labels
    setting.log("phase", name="comparing and writing figures")
    classes, known = np.asarray(rows.classes), overlap.are_in(rows.texts, contest.rows.seen())
    mixed = blend.mix(answered.each, shares)
    held_out = {"held_out_of": answered.held_out_of}
    test = evaluate(mixed, classes, labels, rows.texts, is_in_training=known)
    members = dict(judged.members)
    for name, answers in answered.each.items():
        own = evaluate(answers, classes, labels, is_in_training=known)
        own = own.model_copy(update=held_out)
        members[name] = members[name].model_copy(update={"test": own, "look": answered.look})
    latency.write(setting.folder, answered.latency)
    write_predictions(setting.folder, rows.classes, labels, mixed, answered.each)
    _keep(contest, TEST, Logits.of(labels, rows.texts, classes, mixed, answered.each))
    snapshots.keep_test(contest, rows, answered.snapshots)
    test = test.model_copy(update=held_out)
    whole = judged.whole.model_copy(update={"test": test, "look": answered.look})
    return Judged(whole, members)


def _keep(contest: Competition, part: str, said: Logits) -> None:
    """What was said of rows, for ensembles and comparisons; of very many it is not kept."""
    if not logits.write(contest.setting.folder / f"{part}.safetensors", said):
        most = space.size(logits.MOST_BYTES)
        contest.setting.told.note(f"{part} is not kept: it would be larger than {most}")
