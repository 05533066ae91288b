"""F4, F5, F7, F8 for the token cache: what is damaged is made again, and never trained on."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
pytest.importorskip("torch")

from agnews_cli.learn.rows import tokens  # noqa: E402
from agnews_cli.store.data import datasets  # noqa: E402
from tests.crash.faults import SEED, tiers  # noqa: E402
from tests.crash.test_damage import (  # noqa: E402
    emptied,
    flipped,
    lengthened,
    shifted,
    truncated,
    zeroed,
)


class Words:
    """A tokenizer that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def get_vocab(self) -> dict[str, int]:
        return {"a": 1}

    def __call__(self, texts: list[str], **_: object) -> dict[str, list[list[int]]]:
        self.asked += 1
        return {"input_ids": [[1, *range(len(text.split())), 2] for text in texts]}


@pytest.fixture
def dataset(tmp_path):
    rows = [f"{n % 2},{'word ' * (n % 9 + 1)}" for n in range(60)]
    (tmp_path / "data.csv").write_text("\n".join(["label,text", *rows]))
    return datasets.find(str(tmp_path / "data.csv"))


def arrays(found: tokens.Tokens) -> list[list[int]]:
    return [array.tolist() for array in (found.ids, found.offsets, found.classes)]


@tiers(60, 600)
def test_a_damaged_cache_is_made_again(tmp_path, dataset, tries):
    words, cache = Words(), tmp_path / "cache"
    good = arrays(tokens.cached_tokens(dataset, "train", words, 32, cache))
    assert arrays(tokens.cached_tokens(dataset, "train", words, 32, cache)) == good
    assert words.asked == 1
    for number in range(tries):
        rng = random.Random(f"tokens {SEED} {number}")
        path = rng.choice(sorted(p for p in cache.rglob("*") if p.is_file()))
        before = path.read_bytes()
        change = rng.choice([truncated, emptied, flipped, zeroed, lengthened, shifted, None])
        after = before if change is None else change(bytearray(before), rng)
        path.unlink() if change is None else path.write_bytes(after)
        asked = words.asked
        found = tokens.cached_tokens(dataset, "train", words, 32, cache)
        assert arrays(found) == good, (number, path.name, change)
        is_harmless = change is not None and (after == before or path.name == "meta.json")
        assert is_harmless or words.asked == asked + 1, (number, path.name, change)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_full_disk_leaves_no_half_cache_and_the_tokens_all_the_same(
    tmp_path, dataset, monkeypatch, at
):
    save, calls = np.save, 0

    def full(path: Path, array: object) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            Path(path).write_bytes(b"torn")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(path, array)

    monkeypatch.setattr(tokens.np, "save", full)
    warned: list[str] = []
    cache = tmp_path / "cache"
    found = tokens.cached_tokens(dataset, "train", Words(), 32, cache, warn=warned.append)
    assert str(cache) in warned[0]
    assert "No space left" in warned[0]
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    monkeypatch.undo()
    assert arrays(tokens.cached_tokens(dataset, "train", Words(), 32, cache)) == arrays(found)
