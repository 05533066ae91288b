"""Texts that mean the same in other words, by sentence embeddings. This alone here needs torch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.dataset import Rows
from agnews_cli.learn.checks.repeats import GRADES, DistinctTexts, NearTexts, compared
from agnews_cli.learn.checks.shingles import pair_keys, pairs_of

LEAST_COSINE = 0.98
_LENGTH = 128  # tokens
_BATCH_TOKENS = 8_192
_AT_ONCE = 2_048


def with_meanings(texts: DistinctTexts, near: NearTexts, encoder: str, *, seed: int) -> NearTexts:
    """`near`, and besides the pairs that it does not have. `encoder`: a folder, or a hub id."""
    from agnews_cli.learn.models.embedding import embed
    from agnews_cli.learn.models.model import load_encoder, load_tokenizer
    from agnews_cli.learn.rows.tokens import tokenise

    chosen = compared(texts, seed)
    tokenizer = load_tokenizer(encoder)
    rows = Rows([texts.text(int(texts.first[at])) for at in chosen], [0] * len(chosen))
    tokens = tokenise(rows, tokenizer, _LENGTH)
    pad_id = int(tokenizer.pad_token_id)
    unit = embed(load_encoder(encoder), tokens, pad_id, batch_tokens=_BATCH_TOKENS)
    one, two, cosine = alike(unit)
    one, two = chosen[one], chosen[two]
    is_new = ~np.isin(pair_keys(one, two), pair_keys(near.one, near.two))
    grade = np.full(int(is_new.sum()), GRADES.index("same meaning"), dtype=np.int8)
    return replace(
        near,
        one=np.concatenate([near.one, one[is_new]]),
        two=np.concatenate([near.two, two[is_new]]),
        similarity=np.concatenate([near.similarity, cosine[is_new]]),
        contained=np.concatenate([near.contained, np.zeros(len(grade))]),
        grade=np.concatenate([near.grade, grade]),
        compared=len(chosen),
    )


def alike(
    unit: NDArray[np.float32],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """The pairs of rows whose cosine is above `LEAST_COSINE`, and it. unit: (rows, width)."""
    keys = [np.empty(0, dtype=np.int64)]
    cosines = [np.empty(0, dtype=np.float64)]
    for begin in range(0, len(unit), _AT_ONCE):
        product = unit[begin : begin + _AT_ONCE] @ unit[begin:].T
        row, other = np.nonzero(product > LEAST_COSINE)
        later = other > row
        keys.append(pair_keys(row[later] + begin, other[later] + begin))
        cosines.append(product[row[later], other[later]].astype(np.float64))
    return *pairs_of(np.concatenate(keys)), np.concatenate(cosines)
