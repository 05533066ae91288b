"""What of a text an answer rests on.

Of a fine-tuned model gradient × input (Shrikumar et al. 2016, arXiv 1605.01713): how the logit of
the answer would change with each word's embedding, times that embedding. Of any other how
the answer's log odds against the next class fall where a word is left out (Zeiler and Fergus 2014,
arXiv 1311.2901).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.report.trials import How, LookedAt, Piece
from agnews_cli.core.run.prediction import Member, Order

_MOST_WORDS = 120
_LEAST = 1e-12
Ask = Callable[[Sequence[str]], NDArray[np.floating]]


def looked_at(
    order: Order, ask: Ask, texts: Sequence[str], labels: Sequence[str]
) -> list[LookedAt]:
    """`ask`: the whole delivery."""
    found = _tuned(order)
    if found is None or not found[0].long_texts.is_usual:  # one pass would see another text
        return [
            _left_out(order, ask, text, label) for text, label in zip(texts, labels, strict=True)
        ]
    return _by_gradient(*found, texts, labels)


def _tuned(order: Order) -> tuple[Order, Member] | None:
    """The first fine-tuned model of a delivery."""
    for member in order.members:
        if member.kind == "finetune":
            return order, member
    return next((found for part in order.parts if (found := _tuned(part)) is not None), None)


def _by_gradient(
    order: Order, member: Member, texts: Sequence[str], labels: Sequence[str]
) -> list[LookedAt]:
    import torch

    from agnews_cli.learn.models.model import load_delivery

    model, tokenizer = load_delivery(Path(member.folder), order.base)
    model.eval()
    found = []
    for text, label in zip(texts, labels, strict=True):
        read = tokenizer(
            text,
            truncation=True,
            max_length=order.max_length,
            return_offsets_mapping=True,
            return_tensors="pt",
        )
        places = read.pop("offset_mapping")[0].tolist()
        embedded = model.get_input_embeddings()(read.pop("input_ids")).detach()
        embedded.requires_grad_()
        logits = model(inputs_embeds=embedded, **read).logits[0]
        answer = int(logits.argmax())
        logits[answer].backward()
        assert embedded.grad is not None
        each = (embedded.grad[0] * embedded.detach()[0]).sum(-1).tolist()
        shares = torch.softmax(logits.detach(), -1)
        words = _words(text, places, each)
        found.append(
            _told(
                words,
                label,
                order.labels[answer],
                float(shares[answer]),
                "gradient × input",
                member.name,
            )
        )
    return found


def _words(
    text: str, places: Sequence[Sequence[int]], each: Sequence[float]
) -> list[tuple[str, float]]:
    """Whole words, each with the sum of its tokens."""
    found = []
    for word in re.finditer(r"\S+", text):
        weights = [
            w
            for (a, b), w in zip(places, each, strict=True)
            if a < word.end() and b > word.start() and b > a
        ]
        if weights:
            found.append((word[0], sum(weights)))
    return found


def _left_out(order: Order, ask: Ask, text: str, label: str) -> LookedAt:
    words = text.split()[:_MOST_WORDS]
    without = [" ".join(words[:at] + words[at + 1 :]) for at in range(len(words))]
    said = ask([" ".join(words), *without])
    answer = int(said[0].argmax())
    odds = np.log(said[:, answer] + _LEAST) - np.log(np.delete(said, answer, 1).max(1) + _LEAST)
    drops = (odds[0] - odds[1:]).tolist()
    told = list(zip(words, drops, strict=True))
    how: How = "leaving out each word"
    return _told(
        told, label, order.labels[answer], float(said[0, answer]), how, "the delivered model"
    )


def _told(
    words: Sequence[tuple[str, float]],
    label: str,
    answer: str,
    probability: float,
    how: How,
    of: str,
) -> LookedAt:
    most = max((abs(weight) for _, weight in words), default=0.0) or 1.0
    pieces = tuple(Piece(text=word, weight=weight / most) for word, weight in words[:_MOST_WORDS])
    return LookedAt(
        pieces=pieces, label=label, answer=answer, probability=probability, how=how, of=of
    )
