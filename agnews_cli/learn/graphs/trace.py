"""A torch model becomes `model.onnx`: from token ids and mask to logits, for any batch and length.

By tracing (torch's exporter of before `torch.export`): of 13 families of encoders and decoders both
exporters write all, this one in 0.5 s where the other takes 10 to 100 (benchmarks/RESULTS.md). What
a trace cannot follow, a branch on the numbers, shows when the file is verified on rows of many
shapes, as every export is.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from agnews_cli.learn.graphs.runtime import INPUTS, ONNX, OUTPUT

_OPSET = 18
_MOST_BYTES = 1_500_000_000
"""Of weights in the file itself: none may reach 2 GiB (protobuf); more lie beside it."""
_DATA = "model.onnx.data"


class _Logits(nn.Module):
    """A classifier of transformers, as a function of two tensors."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits


def write(
    model: Any, folder: Path, facts: Mapping[str, str], *, most_bytes: int = _MOST_BYTES
) -> None:
    """`model.onnx`, and `model.onnx.data` where there are more than `most_bytes` of weights.

    `model`: with a `logits` in what it answers; `facts`: kept as the file's metadata. Raises what
    torch says of what it cannot trace.
    """
    import onnx

    ids, mask = _texts(model.config)
    axes = {name: {0: "batch", 1: "length"} for name in INPUTS} | {OUTPUT: {0: "batch"}}
    weights = sum(one.numel() * one.element_size() for one in model.parameters())
    path = folder / ONNX
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # of what tracing cannot follow; the file is verified
        torch.onnx.export(
            _Logits(model).eval(),
            (ids, mask),
            str(path),
            input_names=list(INPUTS),
            output_names=[OUTPUT],
            dynamic_axes=axes,
            opset_version=_OPSET,
            dynamo=False,
        )
    written = onnx.load(str(path))
    for left in folder.iterdir():  # above 2 GiB torch writes a file for each weight
        if left.is_file():
            left.unlink()
    onnx.helper.set_model_props(written, dict(facts))
    is_large = weights > most_bytes
    onnx.save_model(
        written, str(path), save_as_external_data=is_large, all_tensors_to_one_file=True,
        location=_DATA if is_large else None,
    )  # fmt: skip


def _texts(config: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Two texts of two lengths, each with one end, where T5 reads its answer; of words that the
    model has."""
    words = int(config.get_text_config().vocab_size)
    ids = torch.arange(5, 12).repeat(2, 1) % words
    mask = torch.ones_like(ids)
    ids[1, 4:], mask[1, 4:] = getattr(config, "pad_token_id", None) or 0, 0
    end = getattr(config, "eos_token_id", None)
    if isinstance(end, int) and end < words:
        ids[0, 6], ids[1, 3] = end, end
    return ids, mask
