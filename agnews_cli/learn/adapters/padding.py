"""Models that read the last place of a row: XLNet's classifier, which is padded on the left.

Rows are padded on the right here. Such a model gets them turned, so that each text ends the row, as
whoever loads its files with its own tokenizer has them; other models are left alone.
"""

from __future__ import annotations

from typing import Any

import torch

_LEFT = {"xlnet"}
_TURNED = ("input_ids", "attention_mask", "token_type_ids")


def settle(model: Any) -> None:
    """Call when a classifier is loaded, before anything is added to it."""
    if model.config.model_type in _LEFT:
        # PEFT passes by what is hooked to the whole; virtual tokens come before the base.
        for module in (model, model.base_model):
            turned = _Turned()
            module.register_forward_pre_hook(turned.inputs, with_kwargs=True)
            module.register_forward_hook(turned.states)


class _Turned:
    """Of one module: what it is given is turned, and its hidden states turned back."""

    def __init__(self) -> None:
        self._back: torch.Tensor | None = None

    def inputs(self, module: Any, args: Any, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        found = given | ({"input_ids": args[0]} if args else {})
        mask = found.get("attention_mask")
        self._back = None
        if mask is None or bool(mask[:, -1].all()):
            return args, given
        missing = torch.where(mask[:, -1].bool(), 0, mask.shape[1] - mask.sum(1)).unsqueeze(1)
        places = torch.arange(mask.shape[1], device=mask.device)
        self._back = (places + missing) % mask.shape[1]
        turn = (places - missing) % mask.shape[1]
        turned = {n: t.gather(1, turn) if n in _TURNED else t for n, t in found.items()}
        return args[1:], turned

    def states(self, module: Any, args: Any, answer: Any) -> Any:
        states, back = getattr(answer, "hidden_states", None), self._back
        if states is not None and back is not None:
            at = back.unsqueeze(-1)
            answer.hidden_states = tuple(one.gather(1, at.expand_as(one)) for one in states)
        return answer
