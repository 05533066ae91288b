"""INT8 of a graph: weights once, what flows between layers as it comes (dynamic quantisation).

A scale for each output channel, and 7 of the 8 bits of a weight (`reduce_range`): with all 8 the
products of two bytes overflow the 16 bits that x86 without VNNI adds them in, so that the folder
would answer worse on another machine than on the one that verified it. On one with VNNI it costs no
time (onnxruntime.ai/docs/performance/model-optimizations/quantization.html; benchmarks/RESULTS.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agnews_cli.learn.graphs.runtime import ONNX

_FUSED = {"bert", "roberta", "xlm-roberta", "electra", "distilbert"}
"""Families, by transformers' model type, whose attention ONNX Runtime knows as one operation."""
_FLOAT = 1
"""onnx.TensorProto.FLOAT: what flows out of operations that only ONNX Runtime knows."""


def to_int8(source: Path, target: Path, facts: Mapping[str, str], config: Any = None) -> None:
    """`model.onnx` of the folder `source` in INT8, in the folder `target`; `facts` as `trace.write`
    has them. Where the weights lie beside the one, so do those of the other.

    `config`: the model's; with it the graph in `source` may become another, which says the same.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    is_large = len(list(source.iterdir())) > 1
    if getattr(config, "model_type", "") in _FUSED and not is_large:
        _fuse(source / ONNX, config)
    quantize_dynamic(
        source / ONNX,
        target / ONNX,
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        use_external_data_format=is_large,
        extra_options={"DefaultTensorType": _FLOAT},
    )
    written = onnx.load(str(target / ONNX), load_external_data=False)
    onnx.helper.set_model_props(written, dict(facts))
    (target / ONNX).write_bytes(written.SerializeToString())


def _fuse(path: Path, config: Any) -> None:
    """Attention, normalisation and activation as one operation each: a sixth less time in INT8."""
    from onnxruntime.transformers import optimizer

    found = optimizer.optimize_model(
        str(path),
        model_type="bert",
        num_heads=config.num_attention_heads,
        hidden_size=config.hidden_size,
        opt_level=0,
    )
    found.save_model_to_file(str(path))
