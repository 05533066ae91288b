"""Texts as sets of character 5-grams, and short sketches of these sets.

A 5-gram is a number of 24 bits: two different ones are the same number once in 16.8 million, which
moves the similarity of two texts of 250 characters by 0.00002. Sketches are MinHash (Broder 1997):
two have the same number at a place with the probability of the sets' Jaccard similarity.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from agnews_cli.core.text.same_text import spaced

GRAM = 5
PERMUTATIONS = 128
MOST_CHARACTERS = 4_000
"""Of a text; longer ones are compared by how they begin."""
_BITS = 24
_TEXTS_AT_ONCE = 500  # their 5-grams stay in the processor's cache
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]
"""The two texts of each pair, by number; the first is the smaller."""


@dataclass(frozen=True, slots=True)
class Shingles:
    """grams: ones, (texts, 2^24) sparse; sketches: (texts, PERMUTATIONS)."""

    grams: sparse.csr_array
    sketches: NDArray[np.uint32]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many different 5-grams each text has, (texts,)."""
        return np.diff(self.grams.indptr).astype(np.int64)


def shingles(texts: Iterable[str]) -> Shingles:
    """Of each text; one that is shorter than a 5-gram is filled up with spaces."""
    ids: list[NDArray[np.int32]] = []
    counts: list[NDArray[np.int64]] = []
    sketches: list[NDArray[np.uint32]] = []
    for part in _parts(texts):
        part_ids, part_counts = _sets(part)
        ids.append(part_ids)
        counts.append(part_counts)
        sketches.append(_sketches(part_ids, part_counts))
    ends = np.cumsum(np.concatenate([[0], *counts]), dtype=np.int64)
    indices = np.concatenate([np.empty(0, dtype=np.int32), *ids])
    ids.clear()
    grams = sparse.csr_array(
        (np.ones(len(indices), dtype=np.int16), indices, ends), shape=(len(ends) - 1, 1 << _BITS)
    )
    grams.has_canonical_format = True  # sorted, each once
    empty = np.empty((0, PERMUTATIONS), dtype=np.uint32)
    return Shingles(grams, np.concatenate([empty, *sketches]))


def _parts(texts: Iterable[str]) -> Iterator[Sequence[str]]:
    rest = (spaced(text[:MOST_CHARACTERS]).ljust(GRAM) for text in texts)
    while part := list(islice(rest, _TEXTS_AT_ONCE)):
        yield part


def _sets(texts: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """(5-grams of each text in turn, sorted and each once; how many each text has)."""
    data = "".join(texts).encode("utf-32-le", "surrogatepass")
    codes = np.frombuffer(data, dtype=np.uint32).astype(np.uint64)
    lengths = np.fromiter(map(len, texts), dtype=np.int64)
    whole = len(codes) - GRAM + 1
    mixed = np.zeros(whole, dtype=np.uint64)
    for place in range(GRAM):
        mixed = (mixed + codes[place : place + whole]) * _FACTOR
        mixed ^= mixed >> np.uint64(29)
    numbers = (mixed * _MIX) >> np.uint64(64 - _BITS)
    row = np.repeat(np.arange(len(texts), dtype=np.uint64), lengths)[:whole]
    inside = np.arange(whole) + GRAM <= np.repeat(np.cumsum(lengths), lengths)[:whole]
    keys = np.unique((row[inside] << np.uint64(_BITS)) | numbers[inside])
    counts = np.bincount((keys >> np.uint64(_BITS)).astype(np.int64), minlength=len(texts))
    return (keys & np.uint64((1 << _BITS) - 1)).astype(np.int32), counts.astype(np.int64)


def _permutations() -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    rng = np.random.Generator(np.random.PCG64(0x5EED))
    bits = rng.integers(0, 1 << 32, size=(2, PERMUTATIONS), dtype=np.uint32)
    return bits[0], bits[1] | np.uint32(1)  # odd factors permute


def _sketches(ids: NDArray[np.int32], counts: NDArray[np.int64]) -> NDArray[np.uint32]:
    mixed = ids.astype(np.uint32)
    for factor in (0x85EBCA6B, 0xC2B2AE35):  # MurmurHash3's last step
        mixed ^= mixed >> np.uint32(16)
        mixed *= np.uint32(factor)
    mixed ^= mixed >> np.uint32(16)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    found = np.empty((len(counts), PERMUTATIONS), dtype=np.uint32)
    for place, (mask, factor) in enumerate(zip(*_permutations(), strict=True)):
        found[:, place] = np.minimum.reduceat((mixed ^ mask) * factor, starts)
    return found


def pairs_of(keys: NDArray[np.int64]) -> Pairs:
    """Pairs from their keys, `pair_keys`."""
    return keys >> 32, keys & 0xFFFFFFFF


def pair_keys(one: NDArray[np.integer], two: NDArray[np.integer]) -> NDArray[np.int64]:
    """One number for each pair, whichever text comes first."""
    low, high = np.minimum(one, two).astype(np.int64), np.maximum(one, two).astype(np.int64)
    return (low << 32) | high
