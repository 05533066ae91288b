"""SemHash beside `agnews check` on the planted near repeats of `repeats.py`.

SemHash calls texts duplicates whose embeddings have a cosine over 0.9, its default. Its own encoder
(minishlab/potion-base-8M) is on the hub; here MiniLM takes its place, which is larger and slower
and knows whole sentences. A planted row counts as found where it is filtered as a duplicate of the
row that it was made of. Besides: how many real test rows it calls duplicates of training rows.

    pip install semhash && python benchmarks/semhash_peer.py --data DIR
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from semhash import SemHash

from agnews_cli.core.run.dataset import Reading, Rows
from agnews_cli.learn.models.embedding import embed
from agnews_cli.learn.models.model import load_encoder, load_tokenizer
from agnews_cli.learn.rows.tokens import tokenise
from agnews_cli.store.data import datasets
from agnews_cli.store.model import models
from agnews_cli.store.settings import presets
from benchmarks import repeats

EACH = 100
"""Planted rows of each kind that are asked about."""


class MiniLm:
    """An encoder as SemHash takes one."""

    def __init__(self) -> None:
        preset = presets.load("minilm")
        place = models.of_preset(preset, hub=lambda: False, endpoint="", timeout_s=1.0).path_or_id
        self._tokenizer, self._encoder = load_tokenizer(place), load_encoder(place)

    def encode(self, inputs: Sequence[str], **_: Any) -> NDArray[np.float32]:
        tokens = tokenise(Rows(list(inputs), [0] * len(inputs)), self._tokenizer, 128)
        pad_id = int(self._tokenizer.pad_token_id)
        return embed(self._encoder, tokens, pad_id, batch_tokens=8_192)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args()
    found = datasets.find(str(given.data), Reading(test_share=0.0))
    train, test = datasets.read(found, "train"), datasets.read(found, "test")
    texts, kinds, sources = repeats.planted(given.data, train, found.cleaning)
    chosen = [at for at in range(len(texts)) if at % repeats.PLANTED < EACH]
    began_s = time.process_time()
    index = SemHash.from_records(records=list(train.texts), model=MiniLm())
    told = {
        one.record: one.duplicate_of
        for one in index.deduplicate([texts[n] for n in chosen]).filtered
    }
    print(
        f"{len(train.texts):,} + {len(chosen):,} texts: {time.process_time() - began_s:.0f} s CPU"
    )
    hits: dict[str, list[bool]] = defaultdict(list)
    for at in chosen:
        hits[kinds[at]].append(told.get(texts[at]) == train.texts[sources[at]])
    for kind, each in hits.items():
        print(f"| {kind} | {np.mean(each):.3f} |")
    real = index.deduplicate(list(test.texts)[:2_000]).filtered
    print(f"{len(real)} of 2,000 real test rows are duplicates of training rows, for example")
    for one in sorted(real, key=lambda one: one.score)[:6]:
        print(f"  {one.score:.3f} {one.record[:90]!r}\n        {one.duplicate_of[:90]!r}")


if __name__ == "__main__":
    main()
