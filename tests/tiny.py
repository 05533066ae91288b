"""A BERT of two small layers, made here: it loads like any other and trains within a second."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

# fmt: off
WORDS = [
    "goal", "match", "team", "stock", "bank", "profit", "cell", "star", "atom", "vote", "law",
    "court", "song", "film", "stage", "rain", "wind", "snow", "bread", "soup", "rice", "train",
    "road", "bridge", "school", "exam", "pupil", "river", "lake", "sea", "paint", "wall", "roof",
    "shirt", "coat", "shoe", "horse", "cow", "sheep", "king", "queen", "crown",
    "the", "of", "a", "and", "in",
]
# fmt: on


def make(folder: Path) -> Path:
    """A pretrained model in `folder`, with a tokenizer of whole words."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    numbers = {word: number for number, word in enumerate(vocabulary)}
    BertTokenizerFast(vocab=numbers, model_max_length=512).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    return folder


def rows(classes: int, each: int, *, first: str = "topic 0") -> list[tuple[str, str]]:
    """(text, label): three words of the vocabulary belong to a class. `first`: a label's name.

    The first row of each class is the same whatever `each` is; the others differ.
    """
    names = [first, *(f"topic {k}" for k in range(1, classes))]
    return [
        (
            f"the {WORDS[3 * k]} of a {WORDS[3 * k + 1 + i % 2]} and {i * each or 'one'}",
            names[k],
        )
        for i in range(each)
        for k in range(classes)
    ]


def write(path: Path, found: Iterable[tuple[str, str]]) -> None:
    """A CSV of texts and labels."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *found])
