"""What is lost where long texts are cut, without fine-tuning: MiniLM's frozen embeddings of made
texts that are cut, read by both ends or in windows, and a linear head on them.

Texts, classes and 128 tokens in a pass as in `long_ways.py`; the same rows each way. Prints the
accuracy, and the difference from cutting with a paired 95% interval.

    python benchmarks/long_frozen.py [--rows 400] [--test 300] [--model DIR] [--data DIR]
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

from long_texts import ROOT, write

from agnews_cli.core.run.preset import Training
from agnews_cli.learn.figures import paired
from agnews_cli.learn.models.embedding import EmbeddingHead, embed
from agnews_cli.learn.models.model import load_encoder, load_tokenizer
from agnews_cli.learn.rows.reading import ends_of
from agnews_cli.learn.rows.tokens import tokenise
from agnews_cli.store.data import datasets
from agnews_cli.store.model import models
from agnews_cli.store.settings import presets

LENGTH = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--test", type=int, default=300)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "ag_news")
    asked = parser.parse_args()
    source, rng = datasets.find(str(asked.data)), random.Random(0)
    place = str(
        asked.model or models.resolve(presets.load("minilm").model, hub=lambda: False).path_or_id
    )
    tokenizer, encoder = load_tokenizer(place), load_encoder(place)
    with tempfile.TemporaryDirectory(prefix="agnews-frozen-") as work:
        write(Path(work) / "train.csv", datasets.read(source, "train"), asked.rows, rng)
        write(Path(work) / "test.csv", datasets.read(source, "test"), asked.test, rng)
        made = datasets.find(work)
        parts = [datasets.read(made, split) for split in ("train", "test")]
    ends, right = ends_of(tokenizer), {}
    for way in ("cut", "head_tail", "windows"):
        began_s = time.monotonic()
        how = Training(lr=1e-3, long_texts=way).read_at(LENGTH, begin=ends.begin, end=ends.end)
        read = [tokenise(p, tokenizer, LENGTH, how=how).cut(LENGTH, ends, how) for p in parts]
        train, test = (
            embed(encoder, tokens, int(tokenizer.pad_token_id), batch_tokens=4096)
            for tokens in read
        )
        head = EmbeddingHead.fit(train, read[0].classes)
        right[way] = (head.predict(test).argmax(1) == read[1].classes).astype(int)
        apart = right[way] - right["cut"]
        low, high = paired.bootstrap(apart, seed=0)
        print(
            f"{way}: {right[way].mean():.1%} of {len(apart)} ({len(train)} to learn from); "
            f"{apart.mean():+.1%} [{low:+.1%}, {high:+.1%}] against cut, McNemar p "
            f"{paired.mcnemar(apart):.2g}; {len(read[1].lengths) / len(apart):.1f} passes a text, "
            f"{time.monotonic() - began_s:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
