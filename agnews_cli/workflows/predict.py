"""Labels for new texts from a finished run; the model runs in a process of its own."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from agnews_cli.core.preset import Preset
from agnews_cli.errors import InternalError, RunUnfinished
from agnews_cli.host import network
from agnews_cli.store import models, presets, runs
from agnews_cli.store.data import datasets


@dataclass(frozen=True, slots=True)
class Prediction:
    """One text's label, and every class's probability in class order."""

    text: str
    label: str
    probabilities: dict[str, float]

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def predict(folder: runs.RunFolder, texts: Sequence[str]) -> tuple[Prediction, ...]:
    """Predictions in the texts' order."""
    delivery = folder.path / "delivery.json"
    if not delivery.exists():
        raise RunUnfinished(run=folder.id)
    facts = json.loads(delivery.read_text("utf-8"))
    labels = facts["labels"]
    base = _base(presets.load(str(folder.preset)), facts, folder)
    with tempfile.TemporaryDirectory(prefix="agnews-") as work:
        source, sink, log = (Path(work) / n for n in ("texts.jsonl", "out.jsonl", "log"))
        cleaned = [datasets.clean(text) for text in texts]
        source.write_text("".join(json.dumps(t) + "\n" for t in cleaned), "utf-8")
        command = ["-m", "agnews_cli.learn.predict", str(folder.path), base, str(source), str(sink)]
        with log.open("wb") as output:
            ended = subprocess.run(
                [sys.executable, *command], stdout=output, stderr=output, check=False
            )
        if ended.returncode:
            kept = folder.path / "predict.log"
            kept.write_bytes(log.read_bytes())
            raise InternalError(what=f"prediction ended with {ended.returncode}", log=kept)
        rows = [json.loads(line) for line in sink.read_text("utf-8").splitlines()]
    return tuple(
        _prediction(text, dict(zip(labels, row, strict=True)))
        for text, row in zip(texts, rows, strict=True)
    )


def _prediction(text: str, probabilities: dict[str, float]) -> Prediction:
    return Prediction(text, max(probabilities, key=probabilities.__getitem__), probabilities)


def _base(preset: Preset, delivery: dict[str, object], folder: runs.RunFolder) -> str:
    """Where the pretrained model is, for members that need it; "-" where none does."""
    members = delivery["members"]
    assert isinstance(members, list)
    needs = any(
        m["kind"] == "embedding" or (folder.path / m["folder"] / "adapter_config.json").exists()
        for m in members
    )
    if not needs:
        return "-"
    found = models.resolve(preset.model, hub=network.hub_answers, endpoint=network.endpoint())
    return found.path_or_id


def texts_in(path: str, text_columns: tuple[str, ...]) -> list[str]:
    """The texts of a file without need of labels."""
    return datasets.texts(path, text_columns=text_columns)


def write_csv(path: Path, predictions: Sequence[Prediction]) -> None:
    """A CSV with the text, its label and a column for each class's probability."""
    sheet = io.StringIO(newline="")
    writer = csv.writer(sheet)
    writer.writerow(["text", "label", *(f"p_{label}" for label in predictions[0].probabilities)])
    for each in predictions:
        shares = (f"{p:.6f}" for p in each.probabilities.values())
        writer.writerow([each.text, each.label, *shares])
    runs.write_text_atomically(path.expanduser().absolute(), sheet.getvalue())
