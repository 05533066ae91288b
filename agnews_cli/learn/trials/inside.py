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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.looked_at import How, LookedAt, Piece
from agnews_cli.core.run.prediction import Member, Order

_MOST_WORDS = 120
_LEAST = 1e-12
Ask = Callable[[Sequence[str]], NDArray[np.floating]]


class Inside:
    """Of one delivery, which `ask` asks; a fine-tuned model is loaded once, when it is needed."""

    def __init__(self, order: Order, ask: Ask) -> None:
        self._order, self._ask = order, ask
        found = _tuned(order)
        # With other ways of reading long texts one pass would see another text.
        self._tuned = found if found is not None and found[0].long_texts.is_usual else None
        self._loaded: tuple[Any, Any] | None = None

    def __call__(self, texts: Sequence[str], labels: Sequence[str]) -> list[LookedAt]:
        """`labels`: the true ones, "" where they are not known."""
        if self._tuned is None:
            return [
                _left_out(self._order, self._ask, text, label)
                for text, label in zip(texts, labels, strict=True)
            ]
        order, member = self._tuned
        if self._loaded is None:
            from agnews_cli.learn.models.model import load_delivery

            self._loaded = load_delivery(Path(member.folder), order.base)
        return _by_gradient(self._loaded, order, member, texts, labels)


def _tuned(order: Order) -> tuple[Order, Member] | None:
    """The first fine-tuned model of a delivery."""
    for member in order.members:
        if member.kind == "finetune":
            return order, member
    return next((found for part in order.parts if (found := _tuned(part)) is not None), None)


def _by_gradient(
    loaded: tuple[Any, Any],
    order: Order,
    member: Member,
    texts: Sequence[str],
    labels: Sequence[str],
) -> list[LookedAt]:
    import torch

    model, tokenizer = loaded
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
