"""Peak memory of fine-tuning on the CPU: as `core/run/memory` predicts it, beside what is measured.

Each configuration trains two steps by the real loop (`learn/loop`) in a process of its own: the
model has its true shape and random weights, the rows have equal lengths. Measured is the largest
resident size while it trains (`VmHWM`, reset before the first step), less what was resident before
the model was made and after a step of a tiny one; so `context` is left out of what is predicted.
glibc returns what is freed at once (MALLOC_MMAP_THRESHOLD_, MALLOC_TRIM_THRESHOLD_), so that the
figure is what was in use and not what an allocator still held. Checkpoints and the best weights,
which a run keeps besides, are in neither.

Beside both stands what `accelerate estimate-memory` says for training with Adam (the largest of its
parts; accelerate 1.15, `commands/estimate.py`), which knows no batch and no method.

Usage: python benchmarks/memory.py [--only N,N] [--json FILE]
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import statistics
import sys
import time
import warnings
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from activations import batch, classifier, small
from pydantic import TypeAdapter

from agnews_cli.core.run.catalogue import CatalogueModel
from agnews_cli.core.run.memory import Setup, predict
from agnews_cli.core.run.method import Method
from agnews_cli.core.run.preset import Training
from agnews_cli.learn import methods
from agnews_cli.learn.door.events import EventLog, StopFlag
from agnews_cli.learn.loop.train import FineTuning
from agnews_cli.learn.models import dropout
from agnews_cli.learn.rows.tokens import Tokens
from agnews_cli.store.settings import catalogue

BARS = (0.10, 0.20)
"""Of the relative error: the median, the worst."""
CLASSES, STEPS = 4, 2
CONFIGURATIONS: tuple[tuple[str, str, str, int, int, str], ...] = (
    # model, method, precision, texts in a pass, tokens of each, and c: checkpointing, 2: two passes
    ("minilm-l6", "full", "fp32", 16, 64, ""),
    ("minilm-l6", "full", "fp32", 32, 128, ""),
    ("minilm-l6", "full", "bf16", 32, 128, ""),
    ("minilm-l6", "full", "fp32", 4, 512, ""),
    ("minilm-l6", "full", "fp32", 32, 128, "c"),
    ("minilm-l6", "lora", "fp32", 32, 128, ""),
    ("minilm-l6", "lora", "bf16", 16, 128, ""),
    ("minilm-l12", "full", "fp32", 8, 128, ""),
    ("all-mpnet-base-v2", "full", "fp32", 8, 64, ""),
    ("all-mpnet-base-v2", "full", "fp32", 4, 128, ""),
    ("all-mpnet-base-v2", "full", "bf16", 8, 128, ""),
    ("all-mpnet-base-v2", "lora", "fp32", 8, 128, ""),
    ("all-mpnet-base-v2", "lora", "bf16", 4, 256, ""),
    ("roberta-base", "full", "fp32", 4, 128, "c"),
    ("roberta-base", "lora", "fp32", 4, 128, "c"),
    ("distilroberta", "full", "fp32", 4, 128, "2"),
    ("electra-small", "full", "fp32", 16, 128, ""),
    ("electra-small", "full", "fp32", 8, 256, "c"),
    ("ettin-32m", "full", "fp32", 4, 256, ""),
    ("ettin-32m", "lora", "bf16", 4, 256, ""),
    ("deberta-v3-xsmall", "full", "fp32", 4, 128, ""),
    ("deberta-v3-xsmall", "lora", "fp32", 2, 256, ""),
    ("gemma-3-270m", "lora", "fp32", 4, 128, ""),
    ("gemma-3-270m", "lora", "bf16", 4, 128, "c"),
)
SMALL = {"kv_heads": 1, "head_dim": 16, "embedding": 64}
_SETTLED = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


def method_of(kind: str) -> Method:
    return TypeAdapter(Method).validate_python({"kind": kind})


def setup_of(row: tuple[str, str, str, int, int, str]) -> Setup:
    _, kind, precision, texts, length, how = row
    return Setup(
        method=method_of(kind),
        texts=texts,
        length=length,
        place="cpu",
        precision=precision,  # type: ignore[arg-type]
        checkpointing="c" in how,
        passes=2 if "2" in how else 1,
        classes=CLASSES,
        saves=False,
    )


# ---- in the child -------------------------------------------------------------------------------


def resident(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def warm_up(model: CatalogueModel, setup: Setup) -> None:
    """A step of a tiny model of its kind: what the libraries load and keep is there after it."""
    shape = {"layers": 1, "hidden": 64, "heads": 4, "vocabulary": 99, "intermediate": 96}
    own = {name: size for name, size in SMALL.items() if getattr(model.shape, name)}
    tiny = methods.of(setup.method).apply(
        classifier(small(model, shape | own), on_cpu=True), setup.method, ["classifier", "score"]
    )
    optimizer = torch.optim.AdamW([w for w in tiny.parameters() if w.requires_grad], fused=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=setup.precision != "fp32"):
        tiny(**batch(4, 32)).logits.float().sum().backward()
    optimizer.step()
    del tiny, optimizer
    gc.collect()


def train(number: int, answers: Connection) -> None:
    """The steps; sends bytes."""
    warnings.filterwarnings("ignore")
    row = CONFIGURATIONS[number]
    setup, model = setup_of(row), catalogue.load().models[row[0]]
    mixed = "no" if setup.precision == "fp32" else setup.precision
    accelerator = Accelerator(mixed_precision=mixed, cpu=True)
    warm_up(model, setup)
    before = resident("VmRSS")
    bare = classifier(model, on_cpu=True)
    if setup.checkpointing:
        bare.gradient_checkpointing_enable()
    inside = f"{bare.base_model_prefix}."
    head = [name for name, _ in bare.named_parameters() if not name.startswith(inside)]
    new = sorted({name.rpartition(".")[0] for name in head})
    trained = methods.of(setup.method).apply(bare, setup.method, new)
    dropout.replace_dropout(trained)
    texts, length = setup.texts, setup.length
    rows = texts * setup.passes
    draw = np.random.default_rng(0)
    ids = draw.integers(5, 90, size=rows * length, dtype=np.int32)
    tokens = Tokens(
        ids, np.arange(rows + 1, dtype=np.int64) * length, np.arange(rows, dtype=np.int64) % CLASSES
    )
    training = Training(
        epochs=STEPS,
        lr=1e-4,
        batch_tokens=rows * length,
        micro_batch_tokens=texts * length,
        max_length=length,
        least_steps=0,
        class_weights="none",
        gradient_checkpointing=setup.checkpointing,
    )
    log = EventLog(Path(os.devnull), started_monotonic_s=time.monotonic(), writes=False)
    tuning = FineTuning(
        name="measured",
        model=trained,
        accelerator=accelerator,
        training=training,
        precision=setup.precision,
        tokens=tokens,
        validation=None,
        pad_id=0,
        mask_id=3,
        classes=CLASSES,
        seed=0,
        log=log,
        stop=StopFlag(),
    )
    Path("/proc/self/clear_refs").write_text("5")
    at = tuning.run(end_monotonic_s=None)
    assert at.step == STEPS, at
    count = sum(weight.numel() for weight in trained.parameters())
    answers.send({"measured": resident("VmHWM") - before, "parameters": count})


# ---- in the parent ------------------------------------------------------------------------------


def accelerate_says(parameters: int, precision: str) -> int:
    """Its `estimate_training_usage`: 4 copies in fp32; in half precision 2 of moments."""
    return 4 * parameters * (4 if precision == "fp32" else 2)


def measured(number: int) -> dict[str, Any]:
    """By a child that is forked from a process in which everything is imported and nothing ran."""
    theirs, ours = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=train, args=(number, ours))
    child.start()
    ours.close()
    try:
        found: dict[str, Any] = theirs.recv()
    except EOFError:
        sys.exit(f"configuration {number} ended without an answer")
    child.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="numbers of configurations")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    parser.add_argument("--measured", type=Path, help="such a file: what is in it is not measured")
    asked = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in _SETTLED.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | _SETTLED)
    models = catalogue.load().models
    numbers = [int(n) for n in asked.only.split(",") if n] or range(len(CONFIGURATIONS))
    before = {}
    if asked.measured:
        before = {one["number"]: one for one in json.loads(asked.measured.read_text())}
    found = []
    print("| model | method | in | batch | how | predicted | measured | error | accelerate |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for number in numbers:
        row = CONFIGURATIONS[number]
        said = predict(models[row[0]], setup_of(row))
        predicted = said.peak_bytes - said.context
        real = before.get(number) or measured(number)
        error = predicted / real["measured"] - 1
        theirs = accelerate_says(real["parameters"], row[2])
        found.append({"number": number, "predicted": predicted, "accelerate": theirs} | real)
        if asked.json:
            asked.json.write_text(json.dumps(found))
        how = {"c": "checkpointing", "2": "2 passes"}.get(row[5], "")
        shown = [f"{size / 1e6:,.0f} MB" for size in (predicted, real["measured"], theirs)]
        print(
            f"| {row[0]} | {row[1]} | {row[2]} | {row[3]} x {row[4]} | {how} | {shown[0]} | "
            f"{shown[1]} | {error:+.0%} | {shown[2]} |",
            flush=True,
        )
    errors = [abs(one["predicted"] / one["measured"] - 1) for one in found]
    others = [abs(one["accelerate"] / one["measured"] - 1) for one in found]
    print(f"error: median {statistics.median(errors):.1%}, worst {max(errors):.1%}", end="; ")
    print(f"accelerate's: median {statistics.median(others):.0%}, worst {max(others):.0%}")
    sys.exit(statistics.median(errors) > BARS[0] or max(errors) > BARS[1])


if __name__ == "__main__":
    main()
