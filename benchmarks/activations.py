"""What autograd keeps of a block of each family: read from it, and written into the catalogue.

Models of two and of three blocks with many small shapes pass a batch forwards; the tensors that
autograd keeps are counted (`saved_tensors_hooks`), and their bytes are explained by non-negative
least squares as so many bytes a token times the width of states, of heads, of the feed-forward, a
pair of tokens in each head, and so on (`core/run/activations.KeptActivations`). The worst residual
is printed.

A GPU is imitated: its dropout keeps a mask of bytes, and its attention keeps what torch's fused
kernel on the CPU keeps, without dropout of scores. Nobody has set that beside a GPU yet.

Usage: python benchmarks/activations.py [FAMILY …] [--write]
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import itertools
import random
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import nnls
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification

from agnews_cli.core.run.activations import KeptActivations, Sizes
from agnews_cli.core.run.catalogue import CatalogueModel
from agnews_cli.learn.models import dropout
from agnews_cli.store.settings import catalogue

FOLDER = Path(__file__).parents[1] / "presets" / "catalogue"
WORDS, CLASSES, SHAPES = 99, 4, 14
OUTSIDE = ("hidden", "mask", "once", "each_text")
TOWER = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
         "intermediate_size": 16, "image_size": 28}  # fmt: skip


class _Dropped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, p: float) -> torch.Tensor:
        mask = torch.rand(x.shape) > p
        ctx.save_for_backward(mask)
        return x * mask

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient * ctx.saved_tensors[0], None


class GpuDropout(nn.Module):
    """Keeps what a GPU's keeps: a byte an element."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept: torch.Tensor = _Dropped.apply(x, self.p) if self.training and self.p else x
        return kept


def small(model: CatalogueModel, shape: dict[str, int]) -> CatalogueModel:
    listed = model.entry.model_copy(update={"shape": model.shape.model_copy(update=shape)})
    return CatalogueModel(model.name, listed, model.family)


def narrowed(model: CatalogueModel) -> CatalogueModel:
    """With a small window where attention has one: what is kept grows with it alike."""
    if model.family.window is None:
        return model
    config = model.family.config | {"attention_window": 16}
    own = model.family.model_copy(update={"window": 16, "config": config})
    return CatalogueModel(model.name, model.entry, own)


def classifier(model: CatalogueModel, *, on_cpu: bool) -> Any:
    """Of random weights, as `learn.models.model.load_classifier` makes one."""
    own = model.config()
    if "vision_config" in own:
        own["vision_config"] = {**own["vision_config"], **TOWER}
    config = AutoConfig.for_model(model.family.model_type, **own)
    config.num_labels, config.pad_token_id = CLASSES, 0
    if not on_cpu and model.family.attention == "sdpa":  # fused attention keeps no mask of scores
        for name in ("attention_probs_dropout_prob", "attention_dropout"):
            if hasattr(config, name):
                setattr(config, name, 0.0)
    wanted = dropout.register() if on_cpu else model.family.attention
    torch.manual_seed(0)
    try:
        asked = copy.deepcopy(config)  # it is left as asked where that fails
        built = AutoModelForSequenceClassification.from_config(asked, attn_implementation=wanted)
    except (ValueError, KeyError):
        built = AutoModelForSequenceClassification.from_config(config)
    if on_cpu and not getattr(built, "_supports_attention_backend", False):
        built.config._attn_implementation = "eager"
    if on_cpu:
        dropout.replace_dropout(built)
        return built.train()
    for parent in list(built.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Dropout):
                setattr(parent, name, GpuDropout(child.p))
    return built.train()


def batch(texts: int, length: int) -> dict[str, torch.Tensor]:
    """Each text ends with the one end that T5 wants; the first is padded."""
    ids = torch.randint(5, WORDS - 5, (texts, length))
    ids[:, -1] = 1
    ids[0, -2:] = torch.tensor([1, 0])
    return {"input_ids": ids, "attention_mask": ids.ne(0).long()}


def kept_bytes(model: Any, texts: int, length: int, *, is_half: bool, is_trained: bool) -> int:
    """Without weights and autocast's copies of them."""
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    weights = {tuple(w.shape) for w in model.parameters() if w.dim() == 2}
    weights |= {shape[::-1] for shape in weights}
    kept: dict[int, tuple[int, torch.Tensor]] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        is_copy = tensor.dtype == torch.bfloat16 and tuple(tensor.shape) in weights
        if storage.data_ptr() not in own and not (is_copy and len(tensor) != texts * length):
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)  # alive: its place stays its own
        return tensor

    for weight in model.parameters():
        weight.requires_grad_(is_trained)
    hooks = [
        module.register_forward_hook(lambda _, __, out: out.requires_grad_(True))
        for module in model.modules()
        if not is_trained and isinstance(module, nn.Embedding) and module.num_embeddings == WORDS
    ]
    half = torch.autocast("cpu", torch.bfloat16) if is_half else contextlib.nullcontext()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), half:
        model(**batch(texts, length))
    for hook in hooks:
        hook.remove()
    return sum(size for size, _ in kept.values())


def shapes(model: CatalogueModel) -> Iterator[tuple[dict[str, int], int, int]]:
    """Of a small model, and texts and their length."""
    draw = random.Random(1)
    window = model.family.window
    # Of a head a part is turned, which must be even.
    widths = [10, 20, 30] if "partial_rotary_factor" in model.family.config else [8, 16, 24]
    has_own_heads = "head_dim" in model.family.config_names or model.shape.head_dim is not None
    for _ in range(SHAPES):
        heads, width = draw.choice([2, 4, 6]), draw.choice(widths)
        shape = {"hidden": heads * width, "heads": heads, "vocabulary": WORDS, "positions": 1100}
        shape["intermediate"] = draw.choice([40, 88, 136, 200])
        if model.shape.kv_heads:
            shape["kv_heads"] = min(model.shape.kv_heads, draw.choice([1, 2]))
        if has_own_heads:
            shape["head_dim"] = draw.choice([8, 16, 24, 32])
        if "embedding" in model.family.config_names:
            shape["embedding"] = shape["hidden"]
        if window:
            yield shape, draw.choice([1, 2, 3]), draw.choice([2, 3, 5]) * window
        else:
            yield shape, draw.choice([2, 3, 5]), draw.choice([12, 20, 33, 47])


def explained(
    sizes: list[Sizes], measured: list[float], names: tuple[str, ...]
) -> tuple[dict[str, float], float]:
    """Bytes by what they grow with; and the worst residual, of the whole."""
    alone = [KeptActivations.model_validate({name: 1}) for name in names]
    table = np.array([[one.bytes_of(of) for one in alone] for of in sizes], float)
    whole = np.maximum(np.array(measured, float), 1)
    found, _ = nnls(table / whole[:, None], np.ones(len(whole)))
    found = np.where(found < 0.4, 0, np.round(found, 1))
    residual = np.abs(table @ found - whole) / whole
    return {n: float(c) for n, c in zip(names, found, strict=True) if c}, float(residual.max())


def sizes_of(model: CatalogueModel, texts: int, length: int) -> Sizes:
    return Sizes(
        model.shape.hidden, model.shape.heads, model.width("heads"), model.width("kv"),
        model.shape.intermediate, texts, length, model.family.window or length,
    )  # fmt: skip


def family(model: CatalogueModel) -> dict[str, dict[str, dict[str, float]]]:
    """Of each world: trained, frozen, outside."""
    has_own = "head_dim" in model.family.config_names or model.shape.head_dim is not None
    names = tuple(
        name
        for name in KeptActivations.model_fields
        if not (name == "heads" and not has_own) and not (name == "kv" and not model.shape.kv_heads)
    )
    found: dict[str, dict[str, dict[str, float]]] = {}
    for place, is_half in itertools.product(("cpu", "gpu"), (False, True)):
        sizes, trained, frozen, outside = [], [], [], []
        for shape, texts, length in shapes(model):
            two, three = (small(model, {**shape, "layers": n}) for n in (2, 3))
            each = [classifier(one, on_cpu=place == "cpu") for one in (two, three)]
            at: dict[str, Any] = {"texts": texts, "length": length, "is_half": is_half}
            less, more = (kept_bytes(one, is_trained=True, **at) for one in each)
            trained.append(more - less)
            outside.append(less - 2 * (more - less))
            less, more = (kept_bytes(one, is_trained=False, **at) for one in each)
            frozen.append(more - less)
            sizes.append(sizes_of(two, texts, length))
        world = f"{place}-{'half' if is_half else 'fp32'}"
        found[world], said = {}, []
        parts = (
            ("trained", trained, names),
            ("frozen", frozen, names),
            ("outside", outside, OUTSIDE),
        )
        for what, measured, of in parts:
            found[world][what], residual = explained(sizes, measured, of)
            said.append(f"{what} within {residual:.1%}")
        print(f"{model.family.family:16}{world}  {', '.join(said)}", flush=True)
    return found


def lines(found: dict[str, dict[str, dict[str, float]]]) -> str:
    text = ["activations:"]
    for world, parts in found.items():
        text.append(f"  {world}:")
        for what, figures in parts.items():
            shown = ", ".join(f"{name}: {value:g}" for name, value in figures.items())
            text.append(f"    {what}: {{{shown}}}")
    return "\n".join(text) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("families", nargs="*")
    parser.add_argument("--write", action="store_true", help="into the catalogue")
    asked = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    first: dict[str, CatalogueModel] = {}
    for model in catalogue.load().models.values():
        first.setdefault(model.family.family, model)
    for name, model in first.items():
        if asked.families and name not in asked.families:
            continue
        text = lines(family(narrowed(model)))
        if not asked.write:
            print(text)
            continue
        path = FOLDER / f"{name}.yaml"
        before = re.sub(r"^activations:\n(?: .*\n)+", "", path.read_text("utf-8"), flags=re.M)
        path.write_text(before.replace("\ntargets:", f"\n{text}targets:", 1), "utf-8")


if __name__ == "__main__":
    main()
