"""OpenVINO's own form of a graph: `model.xml` and, beside it, `model.bin`."""

from __future__ import annotations

from pathlib import Path

from agnews_cli.learn.graphs.runtime import ONNX, OPENVINO


def convert(source: Path, target: Path) -> None:
    """`model.onnx` of the folder `source`, in the folder `target`; weights stay fp32.

    By `read_model`: `openvino.convert_model` tells its makers of every call.
    """
    import openvino

    model = openvino.Core().read_model(str(source / ONNX))
    openvino.save_model(model, str(target / OPENVINO), compress_to_fp16=False)
