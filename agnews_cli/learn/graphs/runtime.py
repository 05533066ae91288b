"""A model that was exported answers: ONNX Runtime or OpenVINO, `tokenizers` and NumPy; no torch.

On the CPU. A folder holds the graph, from `input_ids` and `attention_mask`, (texts, tokens) int64,
to `logits`, (texts, classes); and `tokenizer.json`, which cuts and pads as the model wants it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from agnews_cli.errors import ExtraMissing
from agnews_cli.learn.figures.blend import softmax
from agnews_cli.learn.rows.batches import by_length

Kind = Literal["onnx", "openvino"]
INPUTS = ("input_ids", "attention_mask")
OUTPUT = "logits"
ONNX, OPENVINO = "model.onnx", "model.xml"
TOKENIZER = "tokenizer.json"
FORM = "agnews.form"
"""What the form is called in the metadata of `model.onnx`."""
_BATCH_TOKENS = 1024
_CHUNK_TEXTS = 2000

Numbers = NDArray[np.int64]
Run = Callable[[Numbers, Numbers], NDArray[np.float32]]
"""(token ids, attention mask), (texts, tokens) each: logits, (texts, classes)."""


@dataclass(frozen=True, slots=True)
class LoadedGraph:
    """An exported model, loaded."""

    run: Run
    classes: int
    tokenizer: Any
    pad_id: int
    is_alone: bool
    """Whether each text is asked about by itself: INT8 scales the numbers of a whole batch by its
    largest, so that a text's answer would hang on its neighbours."""

    def __call__(
        self,
        texts: Sequence[str],
        told: Callable[[int], None] = lambda rows: None,
        check: Callable[[], None] = lambda: None,
    ) -> NDArray[np.float32]:
        """Class probabilities, (texts, classes). `told` hears how many rows are done."""
        ids: list[list[int]] = []
        for start in range(0, len(texts), _CHUNK_TEXTS):
            check()
            chunk = list(texts[start : start + _CHUNK_TEXTS])
            ids += [found.ids for found in self.tokenizer.encode_batch_fast(chunk)]
        lengths = np.asarray([len(one) for one in ids], dtype=np.int64)
        out = np.empty((len(texts), self.classes), dtype=np.float32)
        done = 0
        for rows in by_length(lengths, batch_tokens=1 if self.is_alone else _BATCH_TOKENS):
            check()
            out[rows] = softmax(self._logits([ids[row] for row in rows]).astype(np.float64))
            done += len(rows)
            told(done)
        return out

    def _logits(self, ids: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        longest = max(map(len, ids))
        padded = np.full((len(ids), longest), self.pad_id, dtype=np.int64)
        mask = np.zeros((len(ids), longest), dtype=np.int64)
        for at, one in enumerate(ids):
            padded[at, : len(one)] = one
            mask[at, : len(one)] = 1
        return self.run(padded, mask)


def load(folder: Path, kind: Kind) -> LoadedGraph:
    """What lies in a folder. Raises ExtraMissing, and what the library says of a damaged file."""
    run, classes, is_alone = (_onnx if kind == "onnx" else _openvino)(folder)
    tokenizer = _imported("tokenizers", "export").Tokenizer.from_file(str(folder / TOKENIZER))
    padding = tokenizer.padding
    if not padding:
        raise ValueError(f"{TOKENIZER} does not say what it pads with")
    tokenizer.no_padding()  # texts are put beside others of their length first
    return LoadedGraph(run, classes, tokenizer, int(padding["pad_id"]), is_alone)


def _onnx(folder: Path) -> tuple[Run, int, bool]:
    runtime = _imported("onnxruntime", "export")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = _threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # what goes wrong is raised
    session = runtime.InferenceSession(
        str(folder / ONNX), options, providers=["CPUExecutionProvider"]
    )

    def run(ids: Numbers, mask: Numbers) -> NDArray[np.float32]:
        found: NDArray[np.float32] = session.run(
            [OUTPUT], dict(zip(INPUTS, (ids, mask), strict=True))
        )[0]
        return found

    facts = session.get_modelmeta().custom_metadata_map
    return run, int(session.get_outputs()[0].shape[-1]), facts.get(FORM) == "onnx-int8"


def _openvino(folder: Path) -> tuple[Run, int, bool]:
    runtime = _imported("openvino", "openvino")
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",  # else BF16 where the CPU has it
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": _threads(),
    }
    model = runtime.Core().compile_model(str(folder / OPENVINO), "CPU", settings)
    request = model.create_infer_request()

    def run(ids: Numbers, mask: Numbers) -> NDArray[np.float32]:
        found = request.infer(dict(zip(INPUTS, (ids, mask), strict=True)))
        answered: NDArray[np.float32] = found[OUTPUT].copy()
        return answered

    return run, int(model.output(OUTPUT).get_partial_shape()[-1].get_length()), False


def _threads() -> int:
    """As many as whoever started this process says."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdecimal() and int(given) else len(os.sched_getaffinity(0))


def _imported(module: str, extra: str) -> Any:
    """Raises ExtraMissing."""
    from importlib import import_module

    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ExtraMissing(extra=extra, module=error.name) from None
