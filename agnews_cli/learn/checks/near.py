"""Which texts are nearly the same: candidates by two indexes, then measured exactly.

What is alike as a whole is found by locality-sensitive hashing of MinHash sketches (Indyk and
Motwani 1998; Leskovec, Rajaraman, Ullman, *Mining of Massive Datasets*, 3.4): 32 bands of 4 numbers
find a pair of similarity s with the probability 1 - (1 - s^4)^32: 0.87 at 0.5, 0.99 at 0.6.

A title alone is little of the text that it stands above. What lies in another text is found by its
rarest 5-grams (prefix filter: Chaudhuri, Ganti, Kaushik 2006): of a set of which at most k may be
missing, m of the k + m rarest must be in the other text, so that none is overlooked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from agnews_cli.learn.checks.shingles import PERMUTATIONS, Pairs, Shingles, pair_keys, pairs_of

COPY, COPY_CONTAINED = 0.8, 0.9
STORY, STORY_CONTAINED, STORY_LEAST = 0.5, 0.7, 0.35
LEAST_GRAMS = 20
"""A shorter text may well lie in another by chance: `Oil prices rise`."""

_BANDS, _ROWS = 32, 4
_LEAST_ESTIMATE = 0.3
"""Three standard errors of a sketch of 128 numbers below the least similarity that counts."""
_NEIGHBOURS = 30
"""Of one bucket: in a heap of boilerplate each is compared with so many, not with all."""
_MORE = 3
"""Rare 5-grams that must be shared beyond the first: one rare name has several."""
_MOST_TEXTS = 500
"""What more texts have is no rare 5-gram."""
_TEXTS_AT_ONCE, _PAIRS_AT_ONCE = 1_000, 20_000
"""Short texts of few words share many 5-grams: of 4,000 the hits took a gigabyte."""


@dataclass(frozen=True, slots=True)
class NearPairs:
    """Texts that are copies or tell the same story, (pairs,) each."""

    one: NDArray[np.int64]
    two: NDArray[np.int64]
    similarity: NDArray[np.float64]
    contained: NDArray[np.float64]

    @property
    def is_copy(self) -> NDArray[np.bool_]:
        return (self.similarity >= COPY) | (self.contained >= COPY_CONTAINED)


def near_pairs(found: Shingles) -> NearPairs:
    """Every pair of texts that is at least the same story, as far as the indexes find it."""
    sizes = found.sizes
    one, two = pairs_of(np.union1d(_alike(found.sketches), _contained(found.grams, sizes)))
    shared = _shared(found.grams, one, two)
    similarity = shared / np.maximum(1, sizes[one] + sizes[two] - shared)
    shorter = np.minimum(sizes[one], sizes[two])
    contained = np.where(shorter >= LEAST_GRAMS, shared / np.maximum(1, shorter), 0.0)
    is_near = (
        (similarity >= STORY)
        | (contained >= COPY_CONTAINED)
        | ((contained >= STORY_CONTAINED) & (similarity >= STORY_LEAST))
    )
    return NearPairs(one[is_near], two[is_near], similarity[is_near], contained[is_near])


def _alike(sketches: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Keys of the pairs that share a band and whose sketches are alike."""
    found = np.empty(0, dtype=np.int64)
    for band in range(_BANDS):
        part = sketches[:, band * _ROWS : (band + 1) * _ROWS].astype(np.uint64)
        bucket = np.zeros(len(part), dtype=np.uint64)
        for number in part.T:
            bucket = (bucket ^ number) * np.uint64(0x9E3779B97F4A7C15)
            bucket ^= bucket >> np.uint64(31)
        found = np.union1d(found, np.concatenate([found[:0], *_neighbours(bucket)]))
    kept = []
    for some in _chunks(found):
        one, two = pairs_of(some)
        estimate = np.count_nonzero(sketches[one] == sketches[two], axis=1) / PERMUTATIONS
        kept.append(some[estimate >= _LEAST_ESTIMATE])
    return np.concatenate([found[:0], *kept])


def _neighbours(bucket: NDArray[np.uint64]) -> Iterator[NDArray[np.int64]]:
    order = np.argsort(bucket, kind="stable")
    there = bucket[order]
    for step in range(1, min(_NEIGHBOURS, len(order) - 1) + 1):
        same = np.flatnonzero(there[step:] == there[:-step])
        if not len(same):
            return
        yield pair_keys(order[same], order[same + step])


def _contained(grams: sparse.csr_array, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Keys of the pairs of which one may have nine tenths of the other."""
    texts_of = grams.T.tocsr()
    spread = np.diff(texts_of.indptr)
    missing = np.floor((1 - COPY_CONTAINED) * sizes + 1e-9).astype(np.int64)
    found = [np.empty(0, dtype=np.int64)]
    for begin in range(0, len(sizes), _TEXTS_AT_ONCE):
        part = grams[begin : begin + _TEXTS_AT_ONCE]
        here = slice(begin, begin + part.shape[0])
        rare, needed = _rarest(part, spread, missing[here] + 1 + _MORE, missing[here])
        hits = (rare @ texts_of).tocoo()
        row, other = hits.row.astype(np.int64), hits.col.astype(np.int64)
        long = sizes[here] >= LEAST_GRAMS
        is_candidate = (hits.data >= needed[row]) & long[row] & (row + begin != other)
        is_candidate &= sizes[row + begin] <= sizes[other]
        found.append(pair_keys(row[is_candidate] + begin, other[is_candidate]))
    return np.unique(np.concatenate(found))


def _rarest(
    part: sparse.csr_array,
    spread: NDArray[np.integer],
    wanted: NDArray[np.int64],
    missing: NDArray[np.int64],
) -> tuple[sparse.csr_array, NDArray[np.int64]]:
    """(the `wanted` rarest 5-grams of each text, how many of them another must have)."""
    count = part.shape[0]
    row = np.repeat(np.arange(count), np.diff(part.indptr))
    texts = spread[part.indices]
    order = np.lexsort((texts, row))
    is_taken = np.arange(len(row)) - part.indptr[row] < wanted[row]
    order, row = order[is_taken], row[is_taken]
    taken = np.bincount(row, minlength=count)
    is_common = texts[order] > _MOST_TEXTS
    common = np.bincount(row[is_common], minlength=count)
    used = ~is_common & (texts[order] > 1)  # what no other text has finds none
    data = np.ones(int(used.sum()), dtype=np.int16)
    rare = sparse.csr_array((data, (row[used], part.indices[order[used]])), shape=part.shape)
    return rare, np.maximum(1, taken - missing - common)


def _shared(
    grams: sparse.csr_array, one: NDArray[np.int64], two: NDArray[np.int64]
) -> NDArray[np.int64]:
    """How many 5-grams the two texts of each pair have in common, (pairs,)."""
    counts = [np.empty(0, dtype=np.int64)]
    for begin in range(0, len(one), _PAIRS_AT_ONCE):
        here = slice(begin, begin + _PAIRS_AT_ONCE)
        both = grams[one[here]].multiply(grams[two[here]])
        counts.append(np.asarray(both.sum(axis=1)).ravel().astype(np.int64))
    return np.concatenate(counts)


def _chunks(keys: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for begin in range(0, len(keys), _PAIRS_AT_ONCE):
        yield keys[begin : begin + _PAIRS_AT_ONCE]


__all__ = ["NearPairs", "Pairs", "near_pairs"]
