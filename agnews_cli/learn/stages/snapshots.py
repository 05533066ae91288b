"""What a cyclic training leaves besides its model: the models at its cycles' ends.

Each is a delivery in the run's folder: `snapshot-3/model` is the model, and what it said of rows
lies in `snapshot-3/predictions`, as a run's own does. An ensemble takes them as members.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.dataset import Rows
from agnews_cli.core.run.evaluation import Evaluation
from agnews_cli.core.run.job import Candidate
from agnews_cli.core.run.prediction import Member, Order
from agnews_cli.core.run.work import MODEL, TEST, VALIDATION
from agnews_cli.learn import predictor
from agnews_cli.learn.combine import logits
from agnews_cli.learn.combine.logits import Logits
from agnews_cli.learn.figures import blend
from agnews_cli.learn.figures.evaluate import evaluate
from agnews_cli.learn.predictor import Hear, Means, Reads
from agnews_cli.learn.rows.tokens import Tokens
from agnews_cli.learn.stages import cards
from agnews_cli.learn.stages.contest import Competition
from agnews_cli.store.model import delivered

_PRESET = "preset.yaml"
"""Of the run: what a delivery says of the pretrained model that it may need."""


def write_deliveries(contest: Competition) -> None:
    """What each said of the rows that validate, and `delivery.json`."""
    setting, rows = contest.setting, contest.rows
    for one in contest.snapshots:
        folder, held = setting.folder / one.name, rows.material
        said = one.validation
        _keep(folder, VALIDATION, setting.labels, held.held_texts, rows.held_classes, said)
        if (setting.folder / _PRESET).is_file():
            shutil.copyfile(setting.folder / _PRESET, folder / _PRESET)
        answers = {"name": one.name, "kind": "finetune", "folder": MODEL, "share": 1.0}
        delivered.write(folder, setting.job.dataset, **rows.read_facts, members=[answers])


def asked(
    contest: Competition,
    order: Order,
    rows: Rows,
    hear_of: Callable[[str, int], Hear],
    means: Means,
    read: dict[Reads, Tokens],
) -> dict[str, NDArray[np.floating]]:
    """What each says of the test rows; one is loaded at a time. `order`: of the run's model."""
    found: dict[str, NDArray[np.floating]] = {}
    for one in contest.snapshots:
        folder = str(contest.setting.folder / one.name / MODEL)
        member = Member(name=one.name, kind="finetune", folder=folder)
        opened = predictor.open_delivery(order.model_copy(update={"members": (member,)}), means)
        found |= opened.each(rows.texts, hear_of, read)
    return found


def keep_test(contest: Competition, rows: Rows, each: Mapping[str, NDArray[np.floating]]) -> None:
    """What each said of the test rows, in the folder of its own."""
    labels, classes = contest.setting.labels, np.asarray(rows.classes)
    for name, said in each.items():
        _keep(contest.setting.folder / name, TEST, labels, rows.texts, classes, said)


def write_cards(contest: Competition) -> None:
    """`agnews.json` and a card in each model's folder."""
    job, labels = contest.rows.as_trained, contest.setting.labels
    classes = contest.rows.held_classes
    for one in contest.snapshots:
        held = evaluate(one.validation, classes, labels, chose=True)
        facts = Candidate(
            name=one.name,
            kind="finetune",
            validation_accuracy=held.accuracy.value,
            validation_loss=blend.log_loss(one.validation, classes),
            seconds=0.0,
            weight=1.0,
        )
        evaluation = Evaluation(labels=tuple(labels), validation=held)
        member = cards.CardMember(facts, f"{one.name}/{MODEL}", evaluation)
        cards.write_member(job, member, contest.rows.what_was_read)


def _keep(
    folder: Path,
    part: str,
    labels: Sequence[str],
    texts: Sequence[str],
    classes: NDArray[np.integer],
    said: NDArray[np.floating],
) -> None:
    logits.write(folder / f"{part}.safetensors", Logits.of(labels, texts, classes, said, {}))
