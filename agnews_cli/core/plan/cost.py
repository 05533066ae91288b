"""What a training costs before it was measured: 6 x parameters x tokens, over a device's speed.

6 is 2 for the forward and 4 for the backward pass (Kaplan et al. 2020, arXiv 2001.08361, 2.1).
LoRA needs no gradients of the frozen weights: 4. Activation checkpointing repeats the forward pass:
2 more. Some options pass each row twice. Padding is inside `batch_tokens`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from agnews_cli.core.plan.graphs import Cost
from agnews_cli.core.run.choose import training_bytes
from agnews_cli.core.run.preset import Preset

TOKENS_PER_ROW = 64
"""What a row takes in a batch: AG News has 52 tokens, batches are padded."""


def rows_per_step(preset: Preset, tokens_per_row: float = TOKENS_PER_ROW) -> float:
    tokens = min(float(tokens_per_row), float(preset.training.max_length))
    return max(1.0, preset.training.batch_tokens / tokens)


def steps(preset: Preset, rows: int, tokens_per_row: float = TOKENS_PER_ROW) -> int:
    """Optimizer steps of the whole training, without early stopping."""
    an_epoch = rows / rows_per_step(preset, tokens_per_row)
    epochs = preset.training.of_steps(an_epoch).epochs
    return max(1, math.ceil(preset.data.trained(rows) / rows * an_epoch * epochs))


def step_flops(preset: Preset) -> float:
    passes = 6.0 if preset.method.kind == "full" else 4.0
    if preset.training.gradient_checkpointing:
        passes += 2.0
    passes *= preset.training.passes_in_an_epoch
    return passes * preset.model.parameters * preset.training.batch_tokens


def training(
    preset: Preset,
    rows: int,
    tflops: Mapping[str, float],
    examples_per_s: Mapping[str, float] | None = None,
) -> Cost:
    """`tflops` by kind of device; `examples_per_s`, where a run measured it, goes first."""
    measured = examples_per_s or {}
    step_s = {kind: step_flops(preset) / (speed * 1e12) for kind, speed in tflops.items()}
    step_s |= {kind: rows_per_step(preset) / speed for kind, speed in measured.items() if speed > 0}
    return Cost(steps(preset, rows), step_s, memory_bytes=training_bytes(preset))
