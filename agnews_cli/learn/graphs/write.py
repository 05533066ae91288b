"""A member of a delivery, loaded by torch, becomes a folder that answers without it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from agnews_cli.core.run.export import Form
from agnews_cli.core.run.prediction import Member, Order
from agnews_cli.errors import AgnewsError, FormUnfit, NotExportable
from agnews_cli.learn.graphs import openvino, quantise, trace
from agnews_cli.learn.graphs.runtime import FORM, TOKENIZER


def write(member: Member, order: Order, form: Form, target: Path) -> None:
    """Graph and tokenizer into the folder `target`. Raises NotExportable, FormUnfit, and what
    loading the member raises."""
    model, tokenizer = LOADERS[member.kind](Path(member.folder), order)
    reader = _tokenizer(tokenizer, order.max_length, Path(member.folder))
    facts = {FORM: form}
    with tempfile.TemporaryDirectory(dir=target, prefix=".graph-") as place:
        first = target if form == "onnx" else Path(place)
        try:
            trace.write(model, first, facts)
            if form == "onnx-int8":
                quantise.to_int8(first, target, facts, model.config)
            elif form == "openvino":
                openvino.convert(first, target)
        except (AgnewsError, MemoryError, OSError):
            raise
        except Exception as error:
            kind = getattr(model.config, "model_type", type(model).__name__)
            raise unfit(member.folder, kind, form, error) from error
    reader.save(str(target / TOKENIZER))


def unfit(path: str, architecture: str, form: Form, error: Exception) -> FormUnfit:
    """In the first line of what a library said."""
    said = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = (said[0] if said else type(error).__name__).rstrip(".")
    return FormUnfit(path=path, architecture=architecture, form=form, reason=reason[:300])


def _tokenizer(tokenizer: Any, max_length: int, source: Path) -> Any:
    """So that whoever loads it alone cuts and pads as training did: the end of a text is cut, its
    last special tokens stay."""
    from tokenizers import Tokenizer

    inner = getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(inner, Tokenizer):
        reason = f"its tokenizer ({type(tokenizer).__name__}) is none of the library tokenizers"
        raise NotExportable(path=source, reason=reason)
    found = Tokenizer.from_str(inner.to_str())
    found.enable_truncation(max_length, direction="right")
    found.enable_padding(
        direction="right", pad_id=int(tokenizer.pad_token_id), pad_token=str(tokenizer.pad_token)
    )
    return found


# ---- what is traced -----------------------------------------------------------------------------


def _finetuned(folder: Path, order: Order) -> tuple[Any, Any]:
    from agnews_cli.learn.models.model import load_delivery

    model, tokenizer = load_delivery(folder, order.base)
    if not _unpack(model) and hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()  # an adapter: its update goes into the weights
    model.config.pad_token_id = tokenizer.pad_token_id
    model.config.use_cache = False
    _plain_attention(model)
    return model.eval(), tokenizer


def _plain_attention(model: Any) -> None:
    """A fifth fewer operations than torch's own attention is traced to; others are left as they
    are."""
    with suppress(ValueError, AttributeError):
        model.set_attn_implementation("eager")


def _unpack(model: nn.Module) -> bool:
    """Put layers of floats in the place of those of 4 bits; whether there were any. An adapter over
    them stays beside: PEFT would pack again what it merges."""
    found = [
        (path, name, layer)
        for path, module in model.named_modules()
        for name, layer in module.named_children()
        if type(layer).__module__.startswith("bitsandbytes.")
    ]
    for path, name, packed in found:
        from bitsandbytes.functional import dequantize_4bit

        layer: Any = packed
        weight = dequantize_4bit(layer.weight.data, layer.weight.quant_state).float()
        plain = nn.Linear(weight.shape[1], weight.shape[0], bias=layer.bias is not None)
        plain.weight.data = weight
        if layer.bias is not None:
            plain.bias.data = layer.bias.data.float()
        setattr(model.get_submodule(path), name, plain)
    return bool(found)


class _Embedding(nn.Module):
    """The frozen encoder, the mean over a text's tokens at length 1, and the head, in one."""

    def __init__(self, encoder: Any, weights: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__()
        self.encoder, self.config = encoder, encoder.config
        self.register_buffer("weights", weights)
        self.register_buffer("bias", bias)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        from agnews_cli.learn.models.hidden import mean_over_tokens

        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mean = torch.nn.functional.normalize(mean_over_tokens(states, attention_mask), dim=-1)
        return SimpleNamespace(logits=mean @ self.weights + self.bias)


def _embedding(folder: Path, order: Order) -> tuple[Any, Any]:
    from agnews_cli.learn.models.embedding import EmbeddingHead
    from agnews_cli.learn.models.model import load_encoder, load_tokenizer

    assert order.base is not None
    head = EmbeddingHead.load(folder)
    arrays = (torch.from_numpy(head.weights), torch.from_numpy(head.bias))
    encoder = load_encoder(order.base)
    _plain_attention(encoder)
    return _Embedding(encoder, *arrays).eval(), load_tokenizer(str(folder))


LOADERS: dict[str, Callable[[Path, Order], tuple[Any, Any]]] = {
    "finetune": _finetuned,
    "embedding": _embedding,
}
"""By the kind of member, what torch traces, and its tokenizer; other kinds are no transformers."""
