"""What XLA wants to be told: a program is what was asked since the last `sync`, compiled once for
each shape (pytorch.org/xla, *PyTorch/XLA overview*)."""

from __future__ import annotations

import sys
from typing import Any

import torch

_ATTENTION = "sdpa_always_masked"
"""PyTorch's, with a mask also where it hides nothing. transformers looks into each mask whether it
can do without: that waits for the device, and makes two programs of each shape."""


def is_xla(device: torch.device) -> bool:
    return device.type == "xla"


def place(model: Any, device: torch.device) -> None:
    """Onto XLA's device. Weights that are one stay one; of a decoder no cache is kept, whose slices
    XLA refuses (`Value out of range`, torch_xla 2.9), and a mask is a mask (`_ATTENTION`)."""
    from transformers import PreTrainedModel

    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    is_pretrained = isinstance(inner, PreTrainedModel)
    if is_pretrained:
        inner.config.use_cache = False
        if inner.config._attn_implementation == "sdpa":
            inner.set_attn_implementation(_attention())
    model.to(device)
    if is_pretrained:
        inner.tie_weights()


def _attention() -> str:
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

    def mask(*given: Any, **named: Any) -> Any:
        never = {"allow_is_bidirectional_skip": False, "allow_is_causal_skip": False}
        return sdpa_mask(*given, **named | never)

    AttentionInterface.register(_ATTENTION, sdpa_attention_forward)
    AttentionMaskInterface.register(_ATTENTION, mask)
    return _ATTENTION


def sync(device: torch.device) -> None:
    """The program ends here, and runs."""
    if is_xla(device):
        import torch_xla

        torch_xla.sync()


def zero_on(device: torch.device) -> torch.Tensor:
    """(1,): what adds up there. For XLA it is sent, and has a dimension: else it would be part of
    the program that first adds to it, and adding to what is there another one."""
    return torch.zeros(1).to(device) if is_xla(device) else torch.zeros(1, device=device)


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
