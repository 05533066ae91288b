"""Peak memory of fine-tuning, from the catalogue's facts alone, with its parts.

Of one device, and of one training step in its steady state, from the second on:

    weights + optimizer + max(kept + passing [+ gradients], gradients + outside) + copies + own

What autograd keeps of a forward pass is there as a whole when it ends, and goes block by block as
gradients come; so the highest point is at one of the two ends. Gradients are there at both where a
step takes several passes. `benchmarks/memory.py` sets the figures beside measured ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from agnews_cli.core.run.activations import USUAL, Activations, Sizes, World
from agnews_cli.core.run.anatomy import is_forward_out
from agnews_cli.core.run.catalogue import CatalogueModel
from agnews_cli.core.run.method import (
    Dora,
    Houlsby,
    Ia3,
    Lora,
    Method,
    Pfeiffer,
    Qlora,
    Vera,
)

Place = Literal["cpu", "gpu"]
Computed = Literal["fp32", "fp16", "bf16"]

_FP32, _HALF = 4, 2
_COPIES = 4
"""Of what is trained: weights, two moments and the best weights (`learn/loop/state`)."""
_QUANTISED_BELOW = 2.0
"""Bytes a frozen weight: less are quantised, which linear layers alone are."""
_STATE_BYTES = {"adamw": 8.0, "lamb": 8.0, "adamw_8bit": 2.1, "adafactor": 0.1}
"""What an optimizer keeps of a trained weight (`learn/optimizers`)."""
_CONTEXT_BYTES = {"cpu": 450_000_000, "gpu": 600_000_000}
"""On a CPU the process before there is a model: Python, torch, transformers (440 to 500 MB on
Linux, 2026-11-29). Of a GPU the CUDA context and cuBLAS' workspace, which others tell of as 0.3 to
0.6 GB; nobody measured it here."""
_ARENA_SHARE = {"cpu": 0.01, "gpu": 0.10}
"""Of what comes and goes: more that the allocator holds. Of a GPU it is a guess on the safe side.
"""
USABLE_SHARE: dict[Place, float] = {"cpu": 0.8, "gpu": 0.95}
"""Of a device's memory: the rest is the system's, and what nobody predicts."""


@dataclass(frozen=True, slots=True)
class Setup:
    """One training: what decides its memory beside the model."""

    method: Method
    texts: int
    """In one pass on one device."""
    length: int
    """Tokens of each text, padding included."""
    place: Place
    precision: Computed = "fp32"
    checkpointing: bool = False
    devices: int = 1
    passes: int = 1
    """In which one step is taken on a device."""
    optimizer: str = "adamw"
    classes: int = 4
    saves: bool = True
    """Whether checkpoints are written and the best weights kept, as in every run."""

    @property
    def world(self) -> World:
        is_half = self.precision != "fp32"
        if self.place == "cpu":
            return "cpu-half" if is_half else "cpu-fp32"
        return "gpu-half" if is_half else "gpu-fp32"


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on one device, at the highest point of a step."""

    weights: int
    gradients: int
    """Of those that are there at that point."""
    optimizer: int
    activations: int
    """Kept for the backward pass, copies of weights in half precision among them."""
    workspace: int
    """What comes and goes within a block, and what the allocator holds besides."""
    copies: int
    """On a CPU, whose memory they share: a checkpoint while it is written, and the best weights."""
    context: int
    """The device's own."""

    @property
    def peak_bytes(self) -> int:
        return (
            self.weights
            + self.gradients
            + self.optimizer
            + self.activations
            + self.workspace
            + self.copies
            + self.context
        )


def predict(model: CatalogueModel, setup: Setup) -> Memory:
    """The memory of a training on each of its devices."""
    anatomy = model.anatomy(setup.classes)
    trained = min(anatomy.parameters, setup.method.trained_parameters(anatomy))
    weights = _FP32 * trained + _frozen_bytes(model, setup.method, anatomy.parameters - trained)
    gradients = _FP32 * trained * (2 if setup.devices > 1 else 1)  # and what is sent to the others
    optimizer = _STATE_BYTES[setup.optimizer] * trained
    kept, outside, passing = _passes(model, setup)
    arena = _ARENA_SHARE[setup.place]
    held = gradients if setup.passes > 1 else 0.0
    forward = Memory(
        weights=round(weights),
        gradients=round(held),
        optimizer=round(optimizer),
        activations=round(kept),
        workspace=round(passing + arena * (kept + passing)),
        copies=_COPIES * _FP32 * trained if setup.saves and setup.place == "cpu" else 0,
        context=_CONTEXT_BYTES[setup.place],
    )
    backward = replace(
        forward,
        gradients=round(gradients),
        activations=round(outside),
        workspace=round(arena * (outside + gradients)),
    )
    return max(forward, backward, key=lambda memory: memory.peak_bytes)


def most_texts(model: CatalogueModel, setup: Setup, limit_bytes: float) -> int:
    """The largest number of texts in a pass with which it fits; 0: none does."""
    fits = 0
    step = 1 << 16
    while step:
        tried = replace(setup, texts=fits + step)
        if predict(model, tried).peak_bytes <= limit_bytes:
            fits += step
        else:
            step //= 2
    return fits


def _frozen_bytes(model: CatalogueModel, method: Method, frozen: int) -> float:
    """Quantised are linear layers below the head alone."""
    if method.frozen_weight_bytes >= _QUANTISED_BELOW:
        return method.frozen_weight_bytes * frozen
    small = min(frozen, model.linear_parameters)
    return method.frozen_weight_bytes * small + _FP32 * (frozen - small)


def _passes(model: CatalogueModel, setup: Setup) -> tuple[float, float, float]:
    """Bytes kept at the end of the forward pass, those of them outside of blocks, and what comes
    and goes beside them."""
    found = model.family.activations.get(setup.world, USUAL)
    sizes = sizes_of(model, setup)
    block = _block_bytes(model, setup, found, sizes)
    outside = found.outside.bytes_of(sizes)
    blocks = model.shape.layers
    kept = outside + blocks * block + _copies(model, setup)
    passing = _passing(setup, found, sizes)
    if setup.checkpointing and model.family.has_checkpointing:
        # The input of each block is kept, and one block at a time as if nothing were spared.
        inputs = blocks * _FP32 * sizes.texts * sizes.length * sizes.hidden
        kept = outside + inputs + block + _copies(model, setup) / blocks
    return kept, outside, passing + _dequantised(model, setup)


def sizes_of(model: CatalogueModel, setup: Setup) -> Sizes:
    """With the virtual tokens and the padding that the model itself adds."""
    length, window = setup.length + setup.method.virtual_tokens, model.family.window
    if window is not None:  # padded to whole windows
        length = window * math.ceil(length / window)
    return Sizes(
        hidden=model.shape.hidden,
        heads=model.shape.heads,
        head_width=model.width("heads"),
        kv_width=model.width("kv"),
        intermediate=model.shape.intermediate,
        texts=setup.texts,
        length=length,
        window=window or length,
    )


def _block_bytes(model: CatalogueModel, setup: Setup, found: Activations, sizes: Sizes) -> float:
    if setup.method.kind == "full":
        return found.trained.bytes_of(sizes)
    added = sum(_added(setup, name, inner, outer) for name, inner, outer in model.block())
    return found.frozen.bytes_of(sizes) + added * sizes.texts * sizes.length


def _added(setup: Setup, layer: str, inner: int, outer: int) -> float:
    """Bytes a token that a method keeps at one linear layer, beside what a frozen one keeps."""
    own = _FP32 if setup.precision == "fp32" else _HALF
    mask = _FP32 if setup.place == "cpu" else 1
    match setup.method:
        case Lora() | Qlora() | Dora() | Vera() if setup.method.adapts(layer):
            # Its input after dropout, the mask, and what is between the two matrices.
            dropped = own + mask if setup.method.dropout else own
            return dropped * inner + own * setup.method.rank
        case Houlsby() | Pfeiffer() if _has_bottleneck(setup.method, layer):
            # What comes in, and what is between, before and after its function.
            return own * (outer + 2 * setup.method.width(outer))
        case Ia3():
            return own * outer  # what is scaled, where it is: a little too much
        case _:
            return 0.0


def _has_bottleneck(method: Houlsby | Pfeiffer, layer: str) -> bool:
    if isinstance(method, Houlsby):
        return method.adapts(layer)
    return is_forward_out(layer)


def _copies(model: CatalogueModel, setup: Setup) -> float:
    """Weights in half precision, which autocast keeps for a pass; quantised ones have none."""
    is_quantised = setup.method.frozen_weight_bytes < _QUANTISED_BELOW
    if setup.precision == "fp32" or is_quantised:
        return 0.0
    return _HALF * model.linear_parameters


def _dequantised(model: CatalogueModel, setup: Setup) -> float:
    """A quantised layer is multiplied in half precision or more, one at a time."""
    if setup.method.frozen_weight_bytes >= _QUANTISED_BELOW:
        return 0.0
    own = _FP32 if setup.precision == "fp32" else _HALF
    return own * max(i * o for _, i, o in model.block())


def _passing(setup: Setup, found: Activations, sizes: Sizes) -> float:
    """What a block's backward pass makes and drops, beyond what it lets go meanwhile: gradients of
    its widest tensor and of its states, or of its scores where they are kept."""
    tokens = sizes.texts * sizes.length
    each = _FP32 if setup.method.kind == "full" else 2 * _FP32  # inputs were not there to let go
    scores = _FP32 * sizes.window * sizes.heads if found.trained.scores >= 1 else 0
    if setup.precision != "fp32":  # in half precision, and again in full
        return tokens * max(max(each, 6) * (sizes.intermediate + sizes.hidden), 2 * scores)
    return tokens * max(each * (sizes.intermediate + sizes.hidden), scores)
