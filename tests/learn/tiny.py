"""A whole competition in this process: a tiny BERT of its own, real rows, checkpoints and files."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from pydantic import TypeAdapter
from transformers import BertConfig, BertModel, BertTokenizerFast

from agnews_cli.core.run.job import TrainJob
from agnews_cli.core.run.method import Method
from agnews_cli.core.run.preset import Preset
from agnews_cli.learn import methods
from agnews_cli.learn.door.budget import TimeBudget
from agnews_cli.learn.door.events import EventLog, StopRequested
from agnews_cli.learn.door.notes import Notes
from agnews_cli.learn.kinds import registry
from agnews_cli.learn.rows import material
from agnews_cli.learn.stages.contest import Competition
from agnews_cli.learn.stages.setting import Setting
from agnews_cli.store.data import datasets

WORDS = [f"w{n}" for n in range(40)]


def model_folder(folder: Path, *, positions: int = 64) -> Path:
    vocabulary = {word: n for n, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=positions,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def method(name: str) -> Method:
    """The example of a method in the registry."""
    fields = {"kind": name} | registry.modules(methods)[name].EXAMPLE
    return TypeAdapter(Method).validate_python(fields)


def applied(model: Any, of: Method, folder: Path) -> Any:
    """A BERT that the method trains; from `folder`, where it must be loaded in its own way."""
    procedure = methods.of(of)
    options = procedure.load_options(of)
    if options:
        model.save_pretrained(folder)
        model = type(model).from_pretrained(folder, **options)
    return procedure.apply(model, of, ["classifier"])


def csv_file(
    path: Path, rows: dict[str, int], *, words: int = 6, signal: float = 1.0, seed: int = 0
) -> Path:
    """Texts of a class are made of words of its own, or of any where `signal` is below 1."""
    rng, lines = random.Random(seed), []
    of_class = {label: WORDS[n * 8 : n * 8 + 8] for n, label in enumerate(rows)}
    for label, count in rows.items():
        for _ in range(count):
            own = of_class[label]
            said = [rng.choice(own if rng.random() < signal else WORDS) for _ in range(words)]
            lines.append(f"{' '.join(said)},{label}")
    rng.shuffle(lines)
    path.write_text("\n".join(["text,label", *lines]))
    return path


def preset(model: Path, data: dict[str, Any] | None = None, **training: Any) -> Preset:
    recipe = {"lr": 1e-2, "epochs": 2, "batch_tokens": 64, "least_steps": 0} | training
    return Preset.model_validate(
        {
            "name": "tiny", "tier": "encoder", "summary": "", "order": 1,
            "model": {"id": str(model), "parameters": 10_000, "licence": "mit"},
            "training": recipe, "data": data or {},
        }
    )  # fmt: skip


class Stop:
    """Asks for a stop once so many steps are in the trace."""

    def __init__(self, folder: Path, after: int | None) -> None:
        self._trace, self._after = folder / "trace.jsonl", after
        self.reserve_s, self.left_s, self.is_deadline = 0.0, float("inf"), False

    @property
    def is_set(self) -> bool:
        if self._after is None or not self._trace.exists():
            return False
        return len(self._trace.read_text().splitlines()) >= self._after

    def check(self) -> None:
        if self.is_set:
            raise StopRequested


def order(folder: Path, data: Path, recipe: Preset, **job: Any) -> TrainJob:
    """What `compete` is asked to do."""
    facts = {"seed": 0, "started_monotonic_s": 0.0, "candidates": ("linear", "finetune")}
    facts |= {"dataset": datasets.find(str(data))} | job
    return TrainJob(
        run="tiny-0123456789", folder=str(folder), cache=str(folder.parent / "cache"),
        preset=recipe, model_path=recipe.model.id, trace=True,
        token=1, writer="abcd", save_every_s=1e9, **facts,
    )  # fmt: skip


def rows(folder: Path, data: Path, recipe: Preset, **job: Any) -> material.Material:
    """The rows that it trains and validates on."""
    asked, stop = order(folder, data, recipe, **job), Stop(folder, None)
    log = EventLog(folder / "events.jsonl", started_monotonic_s=0, writes=True)
    budget, told = TimeBudget.of(asked, stop), Notes(log)  # type: ignore[arg-type]
    return material.read(asked.dataset, asked.choice, asked.rows, budget, told)


def compete(
    folder: Path, data: Path, recipe: Preset, *, stop_after: int | None = None, **job: Any
) -> Competition:
    """Run it in `folder`, to its end or until `stop_after` steps are traced; not yet chosen."""
    folder.mkdir(parents=True, exist_ok=True)
    log = EventLog(folder / "events.jsonl", started_monotonic_s=0, writes=True)
    stop = Stop(folder, stop_after)
    asked = order(folder, data, recipe, **job)
    found = Competition(Setting(asked, Accelerator(cpu=True), "fp32", log, stop))  # type: ignore[arg-type]
    try:
        found.run()
    except StopRequested:
        found.is_interrupted = True
    return found


def tokenizer(folder: Path) -> BertTokenizerFast:
    """That of `model_folder`."""
    return BertTokenizerFast.from_pretrained(folder)
