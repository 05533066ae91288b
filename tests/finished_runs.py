"""Finished runs without training: a folder each, with what their models said of rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from agnews_cli.core.run.evaluation import ClassFigures, Evaluation, Interval, SplitEvaluation
from agnews_cli.core.run.job import Outcome
from agnews_cli.core.run.request import Wish, as_record
from agnews_cli.learn.combine import logits
from agnews_cli.learn.combine.logits import Logits
from agnews_cli.store.data import datasets
from agnews_cli.store.run import runs, test_lock
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.settings import presets
from tests import looking

LABELS = ("sea", "sun")


def texts(split: str, rows: int = 40) -> list[str]:
    return [f"{split} text number {n}" for n in range(rows)]


def data(folder: Path, rows: int = 40, of: Sequence[str] = ("train", "validation", "test")) -> Path:
    """A folder with those splits; of each row of `texts` the class goes by turns."""
    folder.mkdir(parents=True, exist_ok=True)
    for split in of:
        lines = [f"{text},{LABELS[n % 2]}" for n, text in enumerate(texts(split, rows))]
        (folder / f"{split}.csv").write_text("\n".join(["text,label", *lines, ""]))
    return folder


def said(
    seed: int,
    of: Sequence[str],
    right: float,
    *,
    labels: Sequence[str] = LABELS,
    classes: Any = None,
) -> Logits:
    """Answers of which about so many are right; classes go by turns."""
    rng = np.random.default_rng(seed)
    true = np.arange(len(of)) % len(labels) if classes is None else classes
    hits = np.arange(len(of)) < round(right * len(of))
    rng.shuffle(hits)
    answers = np.where(hits, true, (true + 1) % len(labels))
    shares = rng.uniform(0.02, 0.3, (len(of), len(labels)))
    shares[np.arange(len(of)), answers] = 1.0
    return Logits.of(labels, of, true, shares / shares.sum(1, keepdims=True), {})


def make(
    store: Path,
    name: str,
    *,
    validation: Logits | None = None,
    test: Logits | None = None,
    state: str = "completed",
    of: Path | None = None,
) -> RunFolder:
    """`name`: its id. Its outcome is written where `state` says so. `of`: where its data are."""
    of = of or data(store.parent / "rows")
    found = runs.create(
        store, name, preset=presets.load("minilm"), dataset=datasets.find(str(of)), seed=0,
        now=datetime.now(UTC), order=as_record(Wish(data=str(of))),
    )  # fmt: skip
    for part, kept in (("validation", validation), ("test", test)):
        if kept is not None:
            logits.write(found.path / "predictions" / f"{part}.safetensors", kept)
    rows = 0 if test is None else len(test.classes)
    labels = LABELS if validation is None else validation.labels
    figures = evaluation(labels, rows)
    if rows:
        order = looking.look(datasets.find(str(of)), name)
        look = test_lock.take(store, order, datetime.now(UTC))
        figures = figures.model_copy(update={"look": look})
    found.evaluation.write_text(figures.model_dump_json())
    if state:
        found.outcome.write_text(Outcome(state=state, done=(name,)).model_dump_json())
    return found


def evaluation(labels: Sequence[str], test_rows: int) -> Evaluation:
    figure = Interval(value=0.5, low=0.4, high=0.6, method="wilson")
    split = SplitEvaluation(
        rows=4, accuracy=figure, macro_f1=figure, loss=0.1, calibration_error=0.1, confusion=(),
        classes=tuple(ClassFigures(label=n, precision=1, recall=1, f1=1, rows=2) for n in labels),
    )  # fmt: skip
    test = split.model_copy(update={"rows": test_rows}) if test_rows else None
    return Evaluation(labels=tuple(labels), validation=split, test=test)


def delivered(folder: RunFolder) -> RunFolder:
    """With a model of which nothing but its files is looked at."""
    model = folder.path / "linear"
    model.mkdir()
    (model / "weights.bin").write_bytes(folder.id.encode())
    facts = {
        "schema": "agnews.delivery/1", "labels": LABELS, "label_values": LABELS,
        "text_columns": ["text"], "label_column": "label", "max_length": 8,
        "members": [{"name": "linear", "kind": "linear", "folder": "linear", "share": 1.0}],
    }  # fmt: skip
    (folder.path / "delivery.json").write_text(json.dumps(facts))
    return folder
