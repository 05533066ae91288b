"""Where in a loaded classifier a method finds its layers, and what of it is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import nn

from agnews_cli.core.run.anatomy import Anatomy, blocks
from agnews_cli.errors import MethodUnsuited

_UNREAD = {
    "xlnet": {"r_s_bias", "seg_embed", "mask_emb"},
    "gemma3": {"vision_tower", "multi_modal_projector"},
}
"""Parts of their names by which parameters are known that no classified text reaches: they get no
gradient, and an optimizer would keep nothing of them that a checkpoint could hold."""


def linear(model: Any, new: Sequence[str]) -> dict[str, nn.Linear]:
    """Linear layers by name that texts reach, but for the head and whatever else is `new`."""
    found = {name: one for name, one in model.named_modules() if isinstance(one, nn.Linear)}
    return {
        name: one
        for name, one in found.items()
        if not _is_in(name, new) and not _is_unread(model, name)
    }


def _is_unread(model: Any, name: str) -> bool:
    return bool(_UNREAD.get(model.config.model_type, set()) & set(name.split(".")))


def chosen(model: Any, new: Sequence[str], adapts: Callable[[str], bool], method: str) -> list[str]:
    """Names of the linear layers that a method adapts. Raises MethodUnsuited: there are none."""
    found = [name for name in linear(model, new) if adapts(name)]
    if not found:
        raise MethodUnsuited(
            model=model.config.model_type,
            method=method,
            reason="none of its layers is one that the method adapts",
        )
    return found


def biases(model: Any, new: Sequence[str]) -> Iterator[nn.Parameter]:
    """What is added to states, below the head."""
    for name, weight in model.named_parameters():
        is_one = name.rpartition(".")[2] == "bias" and not _is_unread(model, name)
        if is_one and not _is_in(name, new):
            yield weight


def freeze_unread(model: Any) -> None:
    """Call before a method is applied."""
    for name, weight in model.named_parameters():
        if _is_unread(model, name):
            weight.requires_grad_(False)


def train_only_new(model: nn.Module, new: Sequence[str]) -> None:
    """Freeze all but the head and what else is `new`."""
    for name, weight in model.named_parameters():
        weight.requires_grad_(_is_in(name, new))


def anatomy_of(model: Any, new: Sequence[str]) -> Anatomy:
    """Of a classifier before a method is applied, as planning describes it."""
    layers = linear(model, new)
    there = {
        name: weight.numel()
        for name, weight in model.named_parameters()
        if not _is_unread(model, name)
    }
    config = model.config.get_text_config()
    return Anatomy(
        parameters=sum(there.values()),
        linear=tuple((name, one.in_features, one.out_features) for name, one in layers.items()),
        new=sum(count for name, count in there.items() if _is_in(name, new)),
        biases=sum(weight.numel() for weight in biases(model, new)),
        embedding=model.get_input_embeddings().weight.shape[1],
        hidden=config.hidden_size,
        blocks=len(blocks(list(layers))),
    )


def _is_in(name: str, modules: Sequence[str]) -> bool:
    """Whether a module or a parameter is one of these modules, or in one."""
    return any(f"{name}.".startswith(f"{one}.") for one in modules)
