"""INT8 of a graph: weights once, what flows between layers as it comes (dynamic quantisation).

A scale for each output channel, and 7 of the 8 bits of a weight (`reduce_range`): with all 8 the
products of two bytes overflow the 16 bits that x86 without VNNI adds them in, so that the folder
would answer worse on another machine than on the one that verified it. On one with VNNI it costs no
time (onnxruntime.ai/docs/performance/model-optimizations/quantization.html; benchmarks/RESULTS.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from agnews_cli.learn.graphs.runtime import ONNX


def to_int8(source: Path, target: Path, facts: Mapping[str, str]) -> None:
    """`model.onnx` of the folder `source` in INT8, in the folder `target`; `facts` as `trace.write`
    has them. Where the weights lie beside the one, so do those of the other."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        source / ONNX,
        target / ONNX,
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        use_external_data_format=len(list(source.iterdir())) > 1,
    )
    written = onnx.load(str(target / ONNX), load_external_data=False)
    onnx.helper.set_model_props(written, dict(facts))
    (target / ONNX).write_bytes(written.SerializeToString())
