"""All that training needs to go on exactly: copied to the host in one pause, put back whole.

Tensors go into blobs: `weights` (what is trained, and buffers), `optimizer`, `generators` (of every
process), `best` (the weights that validated best) and the state of each option that has one. The
rest is JSON. Nothing is pickled.
Restoring checks every name and shape first: it happens as a whole or not at all.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from agnews_cli.learn.door import xla

Tensors = dict[str, torch.Tensor]
Kept = tuple[int, ...] | type[int]
"""The shape of a tensor that an optimizer keeps of a parameter; or that it keeps a whole number."""


_OF_DEVICES = ("cuda", "xla")


class Misfit(Exception):
    """What was saved does not fit what is to be trained; the message says where."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Copies on the host, by blob; and the state as JSON."""

    tensors: dict[str, Tensors]
    state: dict[str, Any]
    pause_s: float = 0.0
    """How long training stood still for the copies."""


def weights(model: nn.Module) -> Tensors:
    """What training changes, by name: trained parameters and persistent buffers. Not copied."""
    trained = {name: p.data for name, p in model.named_parameters() if p.requires_grad}
    kept = set(model.state_dict().keys())
    return trained | {name: b for name, b in model.named_buffers() if name in kept}


def on_host(tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """Copies that training no longer touches."""
    return {
        name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()
    }


def are_finite(tensors: Mapping[str, torch.Tensor]) -> bool:
    """Whether no number is NaN or infinite. Both show in the extremes, found in one pass."""
    extremes = (torch.stack(torch.aminmax(t)) for t in tensors.values() if t.numel())
    return all(bool(torch.isfinite(pair).all()) for pair in extremes)


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> Tensors:
    """The optimizer's moments and counts as `parameter|key`."""
    names = {id(p): name for name, p in model.named_parameters()}
    return {
        f"{names[id(p)]}|{key}": torch.as_tensor(value)
        for p, facts in optimizer.state.items()
        for key, value in facts.items()
    }


def generator_tensors() -> Tensors:
    """States of this process's generators: torch (CPU, CUDA, XLA), NumPy, Python."""
    version, words, gauss = random.getstate()
    if gauss is not None or version != 3:  # nothing here draws Gaussians from Python's generator
        random.seed(random.getrandbits(64))
        _, words, _ = random.getstate()
    numpy_state = np.random.get_state(legacy=False)
    assert isinstance(numpy_state, dict)
    found = {
        "torch": torch.get_rng_state(),
        "python": torch.tensor(words, dtype=torch.int64),
        "numpy": torch.from_numpy(
            np.append(numpy_state["state"]["key"], numpy_state["state"]["pos"]).astype(np.int64)
        ),
    }
    if torch.cuda.is_available():
        found["cuda"] = torch.cuda.get_rng_state()
    if (state := xla.generator()) is not None:
        found["xla"] = torch.tensor(state, dtype=torch.int64)
    return found


def restore_weights(model: nn.Module, saved: Tensors, what: str = "weights") -> None:
    """Put `saved` into the model; raises Misfit, and nothing changed, where it does not fit."""
    current = weights(model)
    _check(what, current, saved)
    with torch.no_grad():
        for name, tensor in saved.items():
            current[name].copy_(tensor)


def restore_optimizer(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    saved: Tensors,
    kept: Callable[[torch.Tensor], Mapping[str, Kept]],
) -> None:
    """`kept`: `optimizers.kept`.

    Raises Misfit when `saved` names other parameters, or has other shapes.
    """
    by_name: dict[str, Tensors] = {}
    for key, tensor in saved.items():
        name, _, field = key.partition("|")
        by_name.setdefault(name, {})[field] = tensor
    names = {id(p): name for name, p in model.named_parameters()}
    ordered = {names[id(p)]: p for group in optimizer.param_groups for p in group["params"]}
    if by_name and set(by_name) != set(ordered):
        raise Misfit(f"optimizer: {_difference(set(ordered), set(by_name))}")
    for name, fields in by_name.items():
        expected = kept(ordered[name])
        if set(fields) != set(expected):
            raise Misfit(f"optimizer: {name} has {sorted(fields)}, not {sorted(expected)}")
        for field, tensor in fields.items():
            wanted = expected[field]
            shape = wanted if isinstance(wanted, tuple) else ()
            if tuple(tensor.shape) != shape:
                found = f"{tuple(tensor.shape)} instead of {shape}"
                raise Misfit(f"optimizer: {name}|{field} has the shape {found}")
    whole = optimizer.state_dict()
    whole["state"] = {
        at: {
            field: tensor if isinstance(kept(ordered[name])[field], tuple) else int(tensor)
            for field, tensor in by_name[name].items()
        }
        for at, name in enumerate(ordered)
        if name in by_name
    }
    optimizer.load_state_dict(whole)


def restore_generators(saved: Tensors) -> None:
    """The counterpart of `generator_tensors`. A device's state is left where there is no such one.

    Raises Misfit where there are no such states.
    """
    for name, current in generator_tensors().items():
        found = saved.get(name)
        if name not in _OF_DEVICES and (found is None or found.shape != current.shape):
            raise Misfit(f"generators: {name} is {'missing' if found is None else found.shape}")
        if found is not None and found.dtype != current.dtype:
            raise Misfit(f"generators: {name} is {found.dtype}, not {current.dtype}")
    try:
        words = tuple(int(word) for word in saved["python"])
        key, position = saved["numpy"][:-1].numpy().astype(np.uint32), int(saved["numpy"][-1])
        if not 0 <= position <= len(key):  # NumPy itself would read beyond its memory
            raise ValueError(f"position {position}")
        torch.set_rng_state(saved["torch"])
        if "cuda" in saved and torch.cuda.is_available():
            torch.cuda.set_rng_state(saved["cuda"])
        if "xla" in saved:
            xla.restore_generator(int(saved["xla"]))
        random.setstate((3, words, None))
        np.random.set_state(("MT19937", key, position, 0, 0.0))
    except (KeyError, IndexError, ValueError, TypeError, OverflowError, RuntimeError) as error:
        raise Misfit(f"generators: {error!r}") from error


def _check(what: str, current: Tensors, saved: Tensors) -> None:
    if set(current) != set(saved):
        raise Misfit(f"{what}: {_difference(set(current), set(saved))}")
    for name, tensor in saved.items():
        if tensor.shape != current[name].shape:
            shapes = f"{tuple(tensor.shape)} instead of {tuple(current[name].shape)}"
            raise Misfit(f"{what}: {name} has the shape {shapes}")


def _difference(expected: set[str], found: set[str]) -> str:
    missing, extra = sorted(expected - found), sorted(found - expected)
    return f"{len(missing)} missing {missing[:2]}, {len(extra)} unknown {extra[:2]}"
