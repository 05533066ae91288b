"""What a model said of rows, kept beside it: by what combiners, teachers and comparisons read.

`predictions/validation.safetensors` in a run's folder (and `predictions/test.safetensors` once it
was evaluated) holds these arrays, read with NumPy alone:

- `rows` (rows, 16) uint8: the first 16 bytes of the SHA-256 of each row's clean text, in UTF-8.
  Rows are told by it and not by their number, so that tokenizers, files and machines may differ.
- `classes` (rows,) int32: the true class; -1, in all rows, where it is not known.
- `logits` (rows, classes) float32: of what is delivered. The logarithm of its probabilities, which
  softmax turns back into them, whatever was averaged or divided to get them.
- `logits.NAME` (rows, classes) float32: the same of each candidate, delivered or not.
- `hidden` (rows, width) float16, of a teacher whose student is to resemble it: its last hidden
  states, their mean over a text's tokens, of length 1.

`labels` are the class names, in class order, as JSON in the header.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from agnews_cli.core.text import strict_json
from agnews_cli.errors import CannotRead
from agnews_cli.store.disk import files

MOST_BYTES = 1 << 30
"""Of one file: a million rows of 100 classes and a candidate. What is larger is not kept."""
UNKNOWN = -1
"""The class of a row whose label is not known."""
_DIGEST_BYTES = 16
_DELIVERED, _HIDDEN = "logits", "hidden"
_LEAST = 1e-12  # so that the surest answer has a logarithm


@dataclass(frozen=True, slots=True)
class Logits:
    """`delivered` and `each`, by candidate: (rows, classes) float32; `rows`: (rows, 16) uint8;
    `classes`: (rows,) int32."""

    labels: tuple[str, ...]
    rows: NDArray[np.uint8]
    classes: NDArray[np.int32]
    delivered: NDArray[np.float32]
    each: Mapping[str, NDArray[np.float32]]
    hidden: NDArray[np.float16] | None = None
    """(rows, width)"""

    @classmethod
    def of(
        cls,
        labels: Sequence[str],
        texts: Sequence[str],
        classes: NDArray[np.integer],
        delivered: NDArray[np.floating],
        each: Mapping[str, NDArray[np.floating]],
    ) -> Logits:
        """From clean texts and probabilities, (rows, classes)."""
        logs = {name: log(probabilities) for name, probabilities in each.items()}
        true = np.asarray(classes, dtype=np.int32)
        return cls(tuple(labels), digests(texts), true, log(delivered), logs)


def log(probabilities: NDArray[np.floating]) -> NDArray[np.float32]:
    """Logits that softmax turns back into the probabilities."""
    return np.log(probabilities.astype(np.float64) + _LEAST).astype(np.float32)


def digests(texts: Sequence[str]) -> NDArray[np.uint8]:
    """(texts, 16) uint8"""
    found = b"".join(hashlib.sha256(t.encode()).digest()[:_DIGEST_BYTES] for t in texts)
    return np.frombuffer(found, dtype=np.uint8).reshape(-1, _DIGEST_BYTES)


def as_values(rows: NDArray[np.uint8]) -> NDArray[np.void]:
    """Digests, (rows, 16) uint8, as one value a row, which can be compared and sorted."""
    return np.ascontiguousarray(rows).view(f"V{_DIGEST_BYTES}").reshape(-1)


def write(path: Path, kept: Logits) -> bool:
    """Write them; False, and no file, where they are larger than `MOST_BYTES`."""
    arrays: dict[str, NDArray[Any]] = {"rows": kept.rows, "classes": kept.classes}
    arrays[_DELIVERED] = kept.delivered
    arrays |= {f"{_DELIVERED}.{name}": logits for name, logits in kept.each.items()}
    arrays |= {} if kept.hidden is None else {_HIDDEN: kept.hidden}
    path.unlink(missing_ok=True)
    if sum(array.nbytes for array in arrays.values()) > MOST_BYTES:
        return False
    path.parent.mkdir(exist_ok=True)
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    path.write_bytes(save(whole, {"labels": json.dumps(kept.labels)}))
    return True


def read(path: Path) -> Logits:
    """Raises CannotRead where it is not there, or not what `write` writes."""
    try:
        with files.plain(path, follows=True) as known:  # no pipe is waited for
            if os.fstat(known.fileno()).st_size > MOST_BYTES + (1 << 20):
                raise ValueError("it is larger than any that agnews writes")
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            labels = _labels((file.metadata() or {})["labels"])
        found = Logits(
            labels,
            arrays.pop("rows"),
            arrays.pop("classes"),
            arrays.pop(_DELIVERED),
            hidden=arrays.pop(_HIDDEN, None),
            each={name.removeprefix(f"{_DELIVERED}."): logits for name, logits in arrays.items()},
        )
        _require(found)
        return found
    except (OSError, SafetensorError, ValueError, LookupError, TypeError, AttributeError) as error:
        reason = error if str(error) else type(error).__name__
        raise CannotRead(
            path=path, reason=reason, hint="Train the run again, or pull it."
        ) from error


def _labels(text: str) -> tuple[str, ...]:
    """Class names, as JSON. Raises ValueError."""
    found = strict_json.parse(text)
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise ValueError("its labels are no list of names")
    if len(set(found)) < len(found):
        raise ValueError("two of its classes have one name")
    return tuple(found)


def _require(found: Logits) -> None:
    """Raises ValueError for arrays that do not belong together, or that hold no numbers."""
    count = len(found.classes)
    shapes: dict[str, tuple[NDArray[Any], type, tuple[int, ...]]] = {}
    shapes["rows"] = (found.rows, np.uint8, (count, _DIGEST_BYTES))
    shapes["classes"] = (found.classes, np.int32, (count,))
    for name, logits in {"": found.delivered, **found.each}.items():
        shapes[f"logits {name}"] = (logits, np.float32, (count, len(found.labels)))
        if not np.isfinite(logits).all():
            raise ValueError(f"the logits {name} are not all numbers")
    if found.hidden is not None:
        width = found.hidden.shape[-1]
        shapes[_HIDDEN] = (found.hidden, np.float16, (count, width))
        if not np.isfinite(found.hidden).all():
            raise ValueError("the hidden states are not all numbers")
    for name, (array, kind, shape) in shapes.items():
        if array.dtype != kind or array.shape != shape:
            raise ValueError(f"{name.strip()}: {array.dtype} {array.shape} is not {shape}")
    has_labels = bool((found.classes != UNKNOWN).any())
    if has_labels and not 0 <= found.classes.min() <= found.classes.max() < len(found.labels):
        raise ValueError("a class is none of the labels")
