"""Virtual tokens: positions of every text whose states are trained.

A text gets as many filler tokens as there are virtual ones; where the model makes states of them,
the trained ones are put in their place: behind the word embeddings (`prompt`), or before each block
(`prefix`). So they go through attention masks, positions and pooling of any architecture, where
PEFT's prompts come without tokens, and a decoder that is given padded texts would answer from the
padding; and its prefixes lie in the cache of keys and values, which encoders do not read.

They stand behind the first token where the model pools that one, before the two last of XLNet,
which is padded on the left and pools the last, and else before the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from agnews_cli.core.run.anatomy import blocks
from agnews_cli.errors import MethodUnsuited
from agnews_cli.learn.adapters import places
from agnews_cli.learn.adapters.vectors import Vectors

_FILLED = {"attention_mask": 1, "token_type_ids": 0}
"""What a model may be told of each token, and what it is told of virtual ones."""
_TIME_FIRST = {"xlnet"}
_POOLS_LAST = {"t5", "mt5", "umt5"}
"""Beside decoders, which have a `score` for each token."""


def attach(model: Any, vectors: nn.Module, count: int) -> None:
    """Put `count` virtual tokens into every text; `vectors` is what is trained, and becomes the
    model's part `virtual`."""
    model.add_module("virtual", vectors)
    model.register_forward_pre_hook(_Widen(count), with_kwargs=True)
    model.register_forward_hook(_Narrow(count), prepend=True)


def prompts(model: Any, method: Any) -> None:
    """Prompts as they are when they are no longer trained, whatever made them; their vectors are
    still to be loaded."""
    width = model.get_input_embeddings().weight.shape[1]
    attach(model, Vectors(torch.zeros(method.tokens, width)), method.tokens)
    at_words(model, method.tokens)


def at_words(model: Any, count: int) -> None:
    """`model.virtual()`, (count, width of embeddings), take their place behind the embeddings."""
    words = model.get_input_embeddings().weight
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding) and module.weight is words:  # T5 has one for each half
            module.register_forward_hook(_Put(model, count, shift=_shift(name)).behind)


def _shift(name: str) -> int:
    """T5's decoder reads the text once more, one place later."""
    return int("decoder" in name.split("."))


def at_blocks(model: Any, count: int, new: Sequence[str]) -> list[str]:
    """`model.virtual(number)`, (count, hidden), take their place before each block; returns the
    blocks. Raises MethodUnsuited where none is found."""
    names = blocks(list(places.linear(model, new)))
    if not names:
        reason = "its layers are not known"
        raise MethodUnsuited(model=model.config.model_type, method="prefix", reason=reason)
    for number, name in enumerate(names):
        hook = _Put(model, count, shift=_shift(name), number=number)
        model.get_submodule(name).register_forward_pre_hook(hook.before, with_kwargs=True)
    return names


def facts_of(model: Any, blocks: Sequence[str] = ()) -> dict[str, Any]:
    """What whoever opens the files without us must know: where in a text the virtual tokens begin
    (from its end where that is negative), what fills their places, and which axis of states is the
    text's."""
    found = {"start": _start(model), "filler": _filler(model.config), "axis": _axis(model)}
    return found | ({"blocks": list(blocks)} if blocks else {})


def _start(model: Any) -> int:
    if model.config.model_type == "xlnet":
        return -2
    return 0 if model.config.model_type in _POOLS_LAST or hasattr(model, "score") else 1


def _axis(model: Any) -> int:
    return 0 if model.config.model_type in _TIME_FIRST else 1


def _at(model: Any, length: int) -> int:
    """Where they begin in a text of `length` tokens, without them."""
    return _start(model) % max(length, 1)


def _filler(config: Any) -> int:
    """The number of a token that means nothing to the model, as padding and ends do."""
    names = ("pad_token_id", "eos_token_id", "bos_token_id", "cls_token_id", "sep_token_id")
    taken = {getattr(config, name, None) for name in (*names, "decoder_start_token_id")}
    lists = (set(one) for one in taken if isinstance(one, list | tuple))
    return next(number for number in range(64) if number not in taken.union(*lists))


class _Widen:
    """Filler tokens are put into what the model is called with."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __call__(self, model: Any, args: Any, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        ids, count = given["input_ids"], self._count
        at = _at(model, ids.shape[1])
        found = given | {"input_ids": _wider(ids, at, count, _filler(model.config))}
        for name, value in _FILLED.items():
            if given.get(name) is not None:
                found[name] = _wider(given[name], at, count, value)
        return args, found


class _Narrow:
    """The states of virtual tokens are taken out of what the model answers."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __call__(self, model: Any, args: Any, answer: Any) -> Any:
        states = getattr(answer, "hidden_states", None)
        if states is not None:
            count = self._count
            at = _at(model, states[0].shape[1] - count)
            cut = (torch.cat([one[:, :at], one[:, at + count :]], 1) for one in states)
            answer.hidden_states = tuple(cut)
        return answer


class _Put:
    """Trained states in the place of those of virtual tokens."""

    def __init__(self, model: Any, count: int, *, shift: int, number: int | None = None) -> None:
        self._model = model
        self._count, self._shift, self._number = count, shift, number

    def behind(self, module: Any, args: Any, states: torch.Tensor) -> torch.Tensor:
        return self._put(states)

    def before(self, module: Any, args: Any, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        if args:
            return (self._put(args[0]), *args[1:]), given
        return args, given | {"hidden_states": self._put(given["hidden_states"])}

    def _put(self, states: torch.Tensor) -> torch.Tensor:
        axis = _axis(self._model)
        length, rows = states.shape[axis], states.shape[1 - axis]
        at = _at(self._model, length - self._count) + self._shift
        vectors = self._model.virtual(self._number).to(states.dtype).unsqueeze(1 - axis)
        vectors = vectors.expand(*((-1, rows) if axis == 0 else (rows, -1)), -1)
        after = at + self._count
        parts = [states.narrow(axis, 0, at), vectors, states.narrow(axis, after, length - after)]
        return torch.cat(parts, axis)


def _wider(given: torch.Tensor, at: int, count: int, value: int) -> torch.Tensor:
    filled = given.new_full((given.shape[0], count), value)
    return torch.cat([given[:, :at], filled, given[:, at:]], 1)
