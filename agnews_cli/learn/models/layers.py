"""Which layer of a model a weight belongs to: counted from the words up, for rates and freezing."""

from __future__ import annotations

from torch import nn

from agnews_cli.errors import ValueWrong


def count(model: nn.Module) -> int:
    """How many layers lie between the words and the head; 0 where none is found."""
    return len(_stack(model)[1])


def depths(model: nn.Module) -> dict[str, int]:
    """The layer of each parameter, by name: 0 for the embeddings, 1 for the lowest layer, and one
    above the highest for all that comes after: the last norm, a pooler, the head.
    """
    prefix, stack = _stack(model)
    top = len(stack) + 1
    found: dict[str, int] = {}
    is_before = bool(len(stack))
    for name, _ in model.named_parameters():
        if name.startswith(prefix) and len(stack):
            is_before = False
            found[name] = 1 + int(name[len(prefix) :].partition(".")[0])
        else:  # ALBERT, ELECTRA: what maps embeddings to the layers' width goes with them
            found[name] = 0 if is_before or "embed" in name else top
    return found


def freeze(model: nn.Module, layers: int | None, name: str) -> None:
    """The embeddings and so many of the lowest layers are trained no more; None: all are.

    Raises ValueWrong where the model, called `name`, has no such layer.
    """
    if layers is None:
        return
    there = count(model)
    if layers > there or not there:
        raise ValueWrong(
            name="training.frozen_layers",
            given=f" is {layers}",
            expected=f"at most {there}, the layers of {name}",
            hint=f"The most: --set training.frozen_layers={there}",
        )
    below = depths(model)
    for parameter, weight in model.named_parameters():
        if below[parameter] <= layers:
            weight.requires_grad_(False)


def _stack(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """The list of layers that holds most of the weights, and what its parameters' names begin with.

    A list in a list (the experts of a layer) holds fewer than the one around it.
    """
    prefix, best, most = "", nn.ModuleList(), 0
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList):
            weights = sum(weight.numel() for weight in module.parameters())
            if weights > most:
                prefix, best, most = f"{name}.", module, weights
    return prefix, best
