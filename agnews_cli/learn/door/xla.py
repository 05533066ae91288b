"""What XLA wants to be told: a program is what was asked since the last `sync`, compiled once for
each shape (pytorch.org/xla, *PyTorch/XLA overview*)."""

from __future__ import annotations

import sys
from typing import Any

import torch


def is_xla(device: torch.device) -> bool:
    return device.type == "xla"


def place(model: Any, device: torch.device) -> None:
    """Onto XLA's device. Weights that are one stay one; of a decoder no cache is kept, whose slices
    XLA refuses (`Value out of range`, torch_xla 2.9)."""
    from transformers import PreTrainedModel

    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    is_pretrained = isinstance(inner, PreTrainedModel)
    if is_pretrained:
        inner.config.use_cache = False
    model.to(device)
    if is_pretrained:
        inner.tie_weights()


def sync(device: torch.device) -> None:
    """The program ends here, and runs."""
    if is_xla(device):
        import torch_xla

        torch_xla.sync()


def generator() -> int | None:
    """The state of its random numbers, 64 bits with a sign; None where it does not compute."""
    model = _model()
    if model is None:
        return None
    state = int(model.get_rng_state())
    return state - 2**64 if state >= 2**63 else state


def restore_generator(state: int) -> None:
    """Nothing happens where it does not compute."""
    model = _model()
    if model is not None:
        model.set_rng_state(state % 2**64)


def _model() -> Any:
    """Its module for devices, where accelerate has taken one of them."""
    from accelerate.state import AcceleratorState, is_initialized

    if not is_initialized() or not is_xla(AcceleratorState().device):
        return None
    return sys.modules["torch_xla.core.xla_model"]
