"""Frozen sentence embeddings with a linear head: what a transformer tells in seconds.

Mean pooling over tokens, unit length (Reimers and Gurevych 2019), from the preset's own encoder.
The head is linear discriminant analysis with a shrunken covariance (Ledoit and Wolf 2004): of the
linear heads tried it is the most often right and, averaged with counted words, adds the most
(benchmarks/RESULTS.md).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from agnews_cli.learn.figures import blend
from agnews_cli.learn.models.hidden import mean_over_tokens, of_length_1
from agnews_cli.learn.rows.batches import by_length
from agnews_cli.learn.rows.tokens import Tokens

DType = Literal["float32", "bfloat16"]


def embed(
    encoder: Any,
    tokens: Tokens,
    pad_id: int,
    *,
    batch_tokens: int,
    check: Callable[[], None] = lambda: None,
    told: Callable[[int], None] = lambda rows: None,
) -> NDArray[np.float32]:
    """Unit-length mean-pooled embeddings, (rows, hidden); of a row's windows their mean, of unit
    length again. `told` hears how many rows are done."""
    out = np.empty((len(tokens.lengths), encoder.config.hidden_size), dtype=np.float32)
    done = 0
    encoder.eval()
    with torch.inference_mode():
        for passages in by_length(tokens.lengths, batch_tokens=batch_tokens):
            check()
            batch = tokens.batch(passages, pad_id)
            hidden = encoder(**batch).last_hidden_state.float()
            mean = mean_over_tokens(hidden, batch["attention_mask"])
            out[passages] = torch.nn.functional.normalize(mean, dim=-1).numpy()
            done += tokens.rows_begun(passages)
            told(done)
    return out if tokens.first is None else of_length_1(tokens.pooled(out, "mean"))


def in_type(encoder: Any, dtype: DType) -> Any:
    """The encoder, its weights in that type."""
    return encoder.to(getattr(torch, dtype))


class EmbeddingHead:
    """A linear classifier of embeddings. `dtype`: of the encoder that it was fitted on, and that it
    is asked with, on whatever machine. weights: (hidden, classes); bias: (classes,)."""

    def __init__(
        self, weights: NDArray[np.float32], bias: NDArray[np.float32], dtype: DType = "float32"
    ) -> None:
        self.weights, self.bias, self.dtype = weights, bias, dtype

    @classmethod
    def fit(
        cls,
        embeddings: NDArray[np.float32],
        classes: NDArray[np.int64],
        dtype: DType = "float32",
    ) -> EmbeddingHead:
        """Embeddings (rows, hidden) and classes (rows,), each class with a row and one with two.

        It is far too sure of itself until it is `calibrated`: a text's dimensions are not
        normal, as the method takes them to be.
        """
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        model.fit(embeddings.astype(np.float64), classes)
        weights, bias = model.coef_.T, model.intercept_
        if weights.shape[1] == 1:
            weights, bias = np.hstack([0 * weights, weights]), np.concatenate([0 * bias, bias])
        arrays = np.ascontiguousarray(weights, np.float32), np.asarray(bias, np.float32)
        return cls(*arrays, dtype)

    def calibrated(
        self, embeddings: NDArray[np.float32], classes: NDArray[np.int64]
    ) -> tuple[EmbeddingHead, float]:
        """The same with the temperature that suits rows it has not seen built in, and that."""
        t = blend.temperature(self._scores(embeddings), classes)
        return EmbeddingHead(self.weights / np.float32(t), self.bias / np.float32(t), self.dtype), t

    def predict(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Class probabilities, (rows, classes)."""
        return blend.softmax(self._scores(embeddings)).astype(np.float32)

    def _scores(self, embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
        return (embeddings @ self.weights + self.bias).astype(np.float64)

    def save(self, folder: Path, *, encoder: str, max_length: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"weights": self.weights, "bias": self.bias}, folder / "head.safetensors")
        facts = {"encoder": encoder, "max_length": max_length, "dtype": self.dtype}
        (folder / "head.json").write_text(json.dumps(facts), "utf-8")

    @classmethod
    def load(cls, folder: Path) -> EmbeddingHead:
        arrays = load_file(folder / "head.safetensors")
        facts = json.loads((folder / "head.json").read_text("utf-8"))
        is_half = facts.get("dtype") == "bfloat16"  # older ones do not say it
        return cls(arrays["weights"], arrays["bias"], "bfloat16" if is_half else "float32")
