"""Entry point for prediction: texts in a JSON Lines file in, probabilities out, one line each."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agnews_cli.core.dataset import Rows
from agnews_cli.learn import blend, embedding
from agnews_cli.learn.batches import by_length
from agnews_cli.learn.data import tokenise
from agnews_cli.learn.linear import Linear
from agnews_cli.learn.model import load_delivery, load_tokenizer

_BATCH_TOKENS = 4096


def probabilities(run: Path, texts: list[str], base: str | None) -> NDArray[np.floating]:
    """Class probabilities of what `run` delivered, (texts, classes). `base`: the model's folder."""
    delivery = json.loads((run / "delivery.json").read_text("utf-8"))
    length = delivery["max_length"]
    parts: dict[str, NDArray[np.floating]] = {}
    for member in delivery["members"]:
        folder = run / member["folder"]
        predict = {"linear": _linear, "embedding": _embedding, "finetune": _finetuned}
        parts[member["name"]] = predict[member["kind"]](folder, texts, length, base)
    return blend.mix(parts, {m["name"]: m["share"] for m in delivery["members"]})


def _linear(folder: Path, texts: list[str], length: int, base: str | None) -> Any:
    return Linear.load(folder).predict(texts)


def _embedding(folder: Path, texts: list[str], length: int, base: str | None) -> Any:
    from transformers import AutoModel

    tokenizer = load_tokenizer(str(folder))
    tokens = tokenise(Rows(texts, [0] * len(texts)), tokenizer, length)
    encoder = AutoModel.from_pretrained(base, dtype=torch.float32)
    head = embedding.EmbeddingHead.load(folder)
    return head.predict(
        embedding.embed(encoder, tokens, tokenizer.pad_token_id, batch_tokens=_BATCH_TOKENS)
    )


def _finetuned(folder: Path, texts: list[str], length: int, base: str | None) -> Any:
    model, tokenizer = load_delivery(folder, base)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device)
    tokens = tokenise(Rows(texts, [0] * len(texts)), tokenizer, length)
    out = np.empty((len(texts), model.config.num_labels), dtype=np.float32)
    with torch.inference_mode():
        for rows in by_length(tokens.lengths, batch_tokens=_BATCH_TOKENS):
            batch = tokens.batch(rows, tokenizer.pad_token_id)
            del batch["labels"]
            logits = model(**{k: v.to(device) for k, v in batch.items()}).logits.float()
            out[rows] = torch.softmax(logits, -1).cpu().numpy()
    return out


def main(argv: list[str]) -> None:
    """RUN_FOLDER BASE_MODEL TEXTS.jsonl OUT.jsonl"""
    run, base, source, sink = argv[1:]
    texts = [json.loads(line) for line in Path(source).read_text("utf-8").splitlines()]
    lines = [json.dumps([float(p) for p in row]) for row in probabilities(Path(run), texts, base)]
    Path(sink).write_text("".join(line + "\n" for line in lines), "utf-8")


if __name__ == "__main__":
    main(sys.argv)
