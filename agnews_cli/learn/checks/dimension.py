"""In how many directions texts vary: the intrinsic dimension of their embeddings, by TwoNN."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.advice.measured import TextDimension
from agnews_cli.core.run.dataset import Rows
from agnews_cli.learn.rows.parts import limit_rows

MOST_TEXTS = 1_500
_LEAST_TEXTS = 50
_LENGTH = 64  # tokens
_BATCH_TOKENS = 8_192
_DIRECTIONS = 100
_KEPT = 0.9
"""The largest ratios are left out of the fit, as the paper advises: there the density changes."""


def two_nn(points: NDArray[np.floating]) -> float | None:
    """Intrinsic dimension of points, (points, width), all different: the slope through the origin
    of -log(1 - F(μ)) over log μ, where μ is how much further each point's second neighbour is than
    its first, and F its empirical distribution (Facco et al. 2017, arXiv 1803.06992). None where
    there are too few points."""
    count = len(points)
    if count < _LEAST_TEXTS:
        return None
    wide = points.astype(np.float64)
    norms = (wide**2).sum(1)
    squares = np.maximum(norms[:, None] + norms[None, :] - 2 * wide @ wide.T, 0.0)
    np.fill_diagonal(squares, np.inf)
    nearest = np.sqrt(np.partition(squares, 1, axis=1)[:, :2])
    nearest = nearest[nearest[:, 0] > 1e-6]  # the same text twice has no neighbourhood
    if len(nearest) < _LEAST_TEXTS:
        return None
    ratios = np.sort(np.log(nearest[:, 1] / nearest[:, 0]))
    kept = int(_KEPT * len(ratios))
    expected = -np.log1p(-np.arange(1, kept + 1) / len(ratios))
    spread = float(ratios[:kept] @ ratios[:kept])
    return float(ratios[:kept] @ expected) / spread if spread > 0 else None


def dimension(
    train: Rows, *, encoder: str | None, encoder_name: str, seed: int
) -> TextDimension | None:
    """Of sentence embeddings where there is an encoder; else of counted words, in at most a hundred
    directions. None where there are too few texts."""
    rows = limit_rows(np.asarray(train.classes), MOST_TEXTS, seed=seed)
    texts = sorted({train.texts[int(row)] for row in rows})
    if len(texts) < _LEAST_TEXTS:
        return None
    points = _embedded(texts, encoder) if encoder is not None else _counted(texts, seed)
    value = None if points is None else two_nn(points)
    if value is None:
        return None
    of = f"sentence embeddings of {encoder_name}" if encoder is not None else "TF-IDF of words"
    return TextDimension(value=value, of=of, texts=len(texts))


def _embedded(texts: list[str], encoder: str) -> NDArray[np.floating]:
    from agnews_cli.learn.models.embedding import embed
    from agnews_cli.learn.models.model import load_encoder, load_tokenizer
    from agnews_cli.learn.rows.tokens import tokenise

    tokenizer = load_tokenizer(encoder)
    tokens = tokenise(Rows(texts, [0] * len(texts)), tokenizer, _LENGTH)
    pad_id = int(tokenizer.pad_token_id)
    return embed(load_encoder(encoder), tokens, pad_id, batch_tokens=_BATCH_TOKENS)


def _counted(texts: list[str], seed: int) -> NDArray[np.floating] | None:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    try:
        words = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(texts)
    except ValueError:  # no word is in two texts
        return None
    width = min(_DIRECTIONS, words.shape[1] - 1)
    if width < 2:
        return None
    found: NDArray[np.floating] = TruncatedSVD(width, random_state=seed).fit_transform(words)
    return found
