"""Entry point for prediction: chunks of texts come by a pipe, probabilities go back by another.

The messages are those of `core.run.prediction`. Nothing is written to the disk, and the process
ends with the command that started it, however that ends.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.evaluation import Interval
from agnews_cli.core.run.job import Failure
from agnews_cli.core.run.prediction import Answer, Figures, Member, Order, Texts
from agnews_cli.errors import AgnewsError, ModelDamaged, PredictionTooLarge
from agnews_cli.host.children import end_with

Predict = Callable[[Sequence[str], Callable[[int], None]], NDArray[np.floating]]
"""Texts, and who hears how many are done; class probabilities, (texts, classes)."""

_BATCH_TOKENS = 4096
_TOLD_EVERY_S = 0.5


# ---- the models ---------------------------------------------------------------------------------


def open_model(order: Order) -> Predict:
    """What predicts, loaded once. Raises ModelDamaged."""
    parts = {m.name: _member(m, order) for m in order.members}
    shares = {m.name: m.share for m in order.members}

    def predict(texts: Sequence[str], told: Callable[[int], None]) -> NDArray[np.floating]:
        from agnews_cli.learn.figures import blend

        if not texts:  # a chunk of nothing but bad rows
            return np.empty((0, len(order.labels)), dtype=np.float32)
        found: dict[str, NDArray[np.floating]] = {}
        for name, part in parts.items():
            before = len(found) * len(texts)
            found[name] = part(texts, lambda rows: told((before + rows) // len(parts)))  # noqa: B023
        mixed = blend.mix(found, shares)
        if not np.isfinite(mixed).all():
            where = order.members[0].folder
            raise ModelDamaged(path=where, reason="it answers with what is no number")
        return mixed

    return predict


def _member(member: Member, order: Order) -> Predict:
    folder = Path(member.folder)
    _require_whole(folder, member.digests)
    load = {"linear": _linear, "embedding": _embedding, "finetune": _finetuned}[member.kind]
    try:
        return load(folder, order)
    except (MemoryError, AgnewsError):
        raise
    except Exception as error:
        if _is_memory(error):
            raise
        raise _damage(folder, error) from error


def _require_whole(folder: Path, digests: Mapping[str, str]) -> None:
    """Raises ModelDamaged, naming the file, unless all is there as it was delivered."""
    for name, expected in digests.items():
        path = folder / name
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ModelDamaged(path=path, reason=error.strerror or error) from None
        if found != expected:
            raise ModelDamaged(path=path, reason="its SHA-256 is not that of what was delivered")


def _linear(folder: Path, order: Order) -> Predict:
    from agnews_cli.learn.models.linear import Linear

    model = Linear.load(folder)
    return lambda texts, told: model.predict(texts)


def _embedding(folder: Path, order: Order) -> Predict:
    from agnews_cli.learn.models import embedding
    from agnews_cli.learn.models.model import load_encoder, load_tokenizer

    tokenizer = load_tokenizer(str(folder))
    assert order.base is not None
    encoder = load_encoder(order.base)
    head = embedding.EmbeddingHead.load(folder)

    def predict(texts: Sequence[str], told: Callable[[int], None]) -> NDArray[np.floating]:
        tokens = _tokens(texts, tokenizer, order.max_length)
        pad_id = tokenizer.pad_token_id
        found = embedding.embed(encoder, tokens, pad_id, batch_tokens=_BATCH_TOKENS, told=told)
        return head.predict(found)

    return predict


def _finetuned(folder: Path, order: Order) -> Predict:
    import torch

    from agnews_cli.learn.models.model import load_delivery
    from agnews_cli.learn.rows.batches import by_length

    model, tokenizer = load_delivery(folder, order.base)
    if model.config.num_labels != len(order.labels):
        raise ValueError(f"{model.config.num_labels} classes instead of {len(order.labels)}")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device)

    def predict(texts: Sequence[str], told: Callable[[int], None]) -> NDArray[np.floating]:
        tokens = _tokens(texts, tokenizer, order.max_length)
        out = np.empty((len(texts), len(order.labels)), dtype=np.float32)
        done = 0
        with torch.inference_mode():
            for rows in by_length(tokens.lengths, batch_tokens=_BATCH_TOKENS):
                batch = tokens.batch(rows, tokenizer.pad_token_id)
                del batch["labels"]
                logits = model(**{k: v.to(device) for k, v in batch.items()}).logits.float()
                out[rows] = torch.softmax(logits, -1).cpu().numpy()
                done += len(rows)
                told(done)
        return out

    return predict


def _tokens(texts: Sequence[str], tokenizer: Any, max_length: int) -> Any:
    from agnews_cli.core.run.dataset import Rows
    from agnews_cli.learn.rows.tokens import tokenise

    return tokenise(Rows(texts, [0] * len(texts)), tokenizer, max_length)


# ---- what can go wrong --------------------------------------------------------------------------


def _damage(folder: Path, error: Exception) -> AgnewsError:
    """The error that names the file which cannot be read, else the folder."""
    from safetensors import safe_open

    for path in sorted(folder.glob("*")):
        try:
            if path.suffix == ".safetensors":
                with safe_open(path, framework="numpy") as tensors:
                    tensors.keys()
            elif path.suffix == ".json":
                json.loads(path.read_text("utf-8"))
        except Exception as why:
            return ModelDamaged(path=path, reason=_first_line(why))
    return ModelDamaged(path=folder, reason=_first_line(error))


def _first_line(error: Exception) -> str:
    said = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (said[0] if said else type(error).__name__).rstrip(".")


def _is_memory(error: BaseException) -> bool:
    words = ("out of memory", "can't allocate memory", "not enough memory", "unable to allocate")
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(word in said for word in words)


def _failure(error: BaseException) -> Answer:
    known = PredictionTooLarge(reason=_first_line(error)) if _is_memory(error) else error  # type: ignore[arg-type]
    if isinstance(known, AgnewsError):
        words = Failure(
            kind=type(known).__name__,
            message=known.message,
            hint=known.advice,
            exit_code=known.exit_code,
        )
        return Answer(kind="failure", failure=words)
    message = f"{type(error).__name__}: {error}"
    words = Failure(kind=type(error).__name__, message=message, hint="", exit_code=1)
    trace = "".join(traceback.format_exception(error))
    return Answer(kind="failure", failure=words, trace=trace)


# ---- the process --------------------------------------------------------------------------------


def read_messages(source: IO[bytes], inbox: queue.Queue[bytes]) -> None:
    """Put every line into `inbox`. It ends only with the command, and this process with it."""
    for line in source:
        inbox.put(line)
    os._exit(1)


def serve(inbox: queue.Queue[bytes], sink: IO[bytes]) -> None:
    """Load what the first line orders, and answer every chunk."""

    def say(answer: Answer, probabilities: bytes = b"") -> None:
        sink.write(answer.model_dump_json(exclude_defaults=True).encode() + b"\n" + probabilities)
        sink.flush()

    said_s = time.monotonic()

    def told(rows: int) -> None:
        nonlocal said_s
        if time.monotonic() - said_s >= _TOLD_EVERY_S:
            said_s = time.monotonic()
            say(Answer(kind="progress", rows=rows))

    try:
        order = Order.model_validate_json(inbox.get())
        predict = open_model(order)
        say(Answer(kind="progress"))
        marks = _Marks(order.labels)
        while not (chunk := Texts.model_validate_json(inbox.get())).is_end:
            found = np.ascontiguousarray(predict(chunk.texts, told), dtype=np.float32)
            marks.add(found, chunk.classes)
            say(Answer(kind="rows", rows=len(found)), found.tobytes())
        say(Answer(kind="end", figures=marks.figures()))
    except BrokenPipeError:
        os._exit(1)
    except BaseException as error:
        say(_failure(error))


class _Marks:
    """Answers and true classes, for the figures at the end: eight bytes a row."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._predicted: list[NDArray[np.int32]] = []
        self._classes: list[NDArray[np.int32]] = []

    def add(self, probabilities: NDArray[np.floating], classes: Sequence[int]) -> None:
        true = np.asarray(classes, dtype=np.int32)
        known = np.flatnonzero(true >= 0)
        if len(known):
            self._predicted.append(probabilities[known].argmax(1).astype(np.int32))
            self._classes.append(true[known])

    def figures(self) -> Figures | None:
        if not self._classes:
            return None
        from agnews_cli.learn.figures.evaluate import evaluate

        predicted, classes = np.concatenate(self._predicted), np.concatenate(self._classes)
        sure = np.eye(len(self._labels), dtype=np.int8)[predicted]
        found = evaluate(sure, classes.astype(np.int64), self._labels)  # type: ignore[arg-type]
        return Figures(
            rows=len(classes),
            right=int((predicted == classes).sum()),
            accuracy=Interval.model_validate(found.accuracy),
            macro_f1=Interval.model_validate(found.macro_f1),
        )


def main(argv: list[str]) -> None:
    """PARENT_PID"""
    # Libraries print and ask: what they would meet at 0 and 1 are not the messages.
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a stop is the command's to give
    end_with(int(argv[1]))  # where the system cannot, the end of standard input does it
    inbox: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=read_messages, args=(source, inbox), daemon=True).start()
    serve(inbox, sink)


if __name__ == "__main__":
    main(sys.argv)
