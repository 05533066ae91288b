"""What is measured of data before training, beside plain definitions of it."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("sklearn")

from agnews_cli.core.run.dataset import Rows  # noqa: E402
from agnews_cli.core.text.same_text import spaced  # noqa: E402
from agnews_cli.learn.checks import giveaways, meanings, repeats, shift, suspects  # noqa: E402
from agnews_cli.learn.checks.near import near_pairs  # noqa: E402
from agnews_cli.learn.checks.shingles import shingles  # noqa: E402

RNG = random.Random("checks")
WORDS = [
    "".join(RNG.choices("abcdefghijklmnopqrstuvwxyz", k=RNG.randint(3, 9))) for _ in range(900)
]


def article(rng: random.Random, words: int = 40) -> str:
    return " ".join(rng.choices(WORDS, k=words))


def grams(text: str) -> set[str]:
    plain = spaced(text).ljust(5)
    return {plain[at : at + 5] for at in range(len(plain) - 4)}


def dropped(share: float) -> Callable[[str], str]:
    return lambda text: " ".join(w for w in text.split() if RNG.random() >= share)


def test_pairs_are_those_that_the_definition_names_with_its_similarity():
    texts = [article(RNG) for _ in range(60)]
    texts += [dropped(share)(texts[n]) for n, share in enumerate([0.03, 0.1, 0.2, 0.3, 0.5] * 4)]
    texts += [" ".join(texts[n].split()[:7]) for n in range(20, 30)]  # titles
    texts += [" ".join(texts[n].split()[5:30]) for n in range(30, 40)]  # cuts
    found = near_pairs(shingles(texts))
    told = {
        (int(a), int(b)): (s, c)
        for a, b, s, c in zip(found.one, found.two, found.similarity, found.contained, strict=True)
    }
    sets = list(map(grams, texts))
    expected = {}
    for one in range(len(texts)):
        for two in range(one + 1, len(texts)):
            shared = len(sets[one] & sets[two])
            similarity = shared / len(sets[one] | sets[two])
            contained = shared / min(len(sets[one]), len(sets[two]))
            if similarity >= 0.6 or contained >= 0.9:  # below, the index may overlook one
                expected[one, two] = (similarity, contained)
    assert len(expected) >= 30 and expected.keys() <= told.keys()
    assert {pair for pair, (s, c) in told.items() if s < 0.35 and c < 0.9} == set()
    for pair, figures in expected.items():
        assert told[pair] == pytest.approx(figures, abs=0.01)
    copies = {(int(a), int(b)) for a, b in zip(found.one, found.two, strict=True)}
    assert all((n, 60 + 20 + n - 20) in copies for n in range(20, 30)), "titles"


def test_a_heap_of_boilerplate_and_texts_without_letters_are_no_trouble():
    heap = [f"Your order {n} has been sent and will arrive soon, thank you" for n in range(400)]
    found = near_pairs(shingles([*heap, "", "!", "a", "日本", "?", ":)", ":("]))
    assert len(found.one) > 400 and max(found.two.max(), found.one.max()) < 400
    assert len(near_pairs(shingles([])).one) == 0


def rows(*pairs: tuple[str, int]) -> Rows:
    return Rows([text for text, _ in pairs], [label for _, label in pairs])


ONE, TWO, THREE, FOUR = (article(random.Random(n)) for n in range(4))


def test_a_text_is_kept_where_it_judges_and_a_contradiction_nowhere():
    texts = repeats.texts_of(
        {
            "train": rows(
                (ONE, 0),  # 0: stands in the test split
                (TWO, 0),
                (TWO.upper() + "!", 0),  # 2: the same again
                (THREE, 1),  # 3: with two labels
                (THREE, 0),  # 4
                (FOUR, 1),
                (FOUR, 1),  # 6: the same again
                (FOUR, 0),  # 7: against two
                (TWO + " and more", 0),  # 8: a copy
            ),
            "validation": rows((ONE, 0), (article(RNG), 1)),
            "test": rows((ONE, 0), (ONE, 0)),
        }
    )
    near = repeats.near_texts(texts, is_quick=False, seed=0)
    gone = {(one.split, one.row) for one in repeats.removals(texts, near)}
    assert gone == {("train", n) for n in (0, 2, 3, 4, 6, 7, 8)} | {("validation", 0)}
    told = repeats.repeats(texts, near)
    by = {(one.split, one.of): one for one in told.found}
    assert (by["train", "test"].exact, by["train", "test"].of_rows) == (1, 2)
    assert (by["train", "train"].exact, by["train", "train"].copy_) == (4, 1)
    assert by["validation", "test"].exact == by["train", "validation"].exact == 1
    assert (told.conflicts.texts, told.conflicts.rows, told.conflicts.unavoidable) == (2, 5, 2)
    assert by["train", "train"].examples[0].other.split == "train"


def test_suspects_are_the_rows_that_the_definition_counts_elsewhere():
    said = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.1, 0.9], [0.3, 0.7], [0.55, 0.45]])
    labels = np.array([0, 0, 0, 1, 1, 1])
    # means of their own labels: 0: (0.9 + 0.8 + 0.2) / 3 = 0.633, 1: (0.9 + 0.7 + 0.45) / 3 = 0.683
    assert suspects.confident(said, labels).tolist() == [0, 0, 1, 1, 1, -1]
    assert suspects.margins(said, labels).argmin() == 2


def test_wrong_labels_are_the_likeliest_suspects():
    rng = random.Random(0)
    halves = WORDS[:450], WORDS[450:]
    halves = halves[0][:40], halves[1][:40]
    made = [(" ".join(rng.choices(halves[n % 2], k=12)), n % 2) for n in range(200)]
    wrong = {10, 51, 120}
    found = suspects.suspects(
        rows(*((t, 1 - c if n in wrong else c) for n, (t, c) in enumerate(made))), count=2, seed=0
    )
    assert {one.place.row for one in found.rows[:3]} == wrong and found.asked == 200


def test_what_is_drawn_alike_is_alike_and_what_is_not_is_told():
    rng = random.Random(3)
    train = rows(*((article(rng, 20), n % 2) for n in range(600)))
    alike = shift.shift("test", rows(*((article(rng, 20), n % 2) for n in range(300))), train,
                        count=2, seed=0)  # fmt: skip
    other = shift.shift(
        "test",
        rows(*((article(rng, 35) + " unheard of", n % 5 == 0) for n in range(300))),
        train,
        count=2,
        seed=0,
    )
    assert alike is not None and other is not None
    assert alike.label_p > 0.5 and alike.length_effect < 0.1 and alike.told_apart < 0.6
    assert other.label_effect > 0.2 and other.length_effect > 0.5 and other.told_apart > 0.9
    assert {"unheard", "of"} <= set(other.words) and other.unseen > alike.unseen
    assert shift.shift("test", rows(("a", 0)), train, count=2, seed=0) is None


def test_a_word_that_says_the_label_is_told():
    rng = random.Random(4)
    made = rows(*((f"{'SPORT' if n % 2 else 'x'} {article(rng, 8)}", n % 2) for n in range(100)))
    (found,) = giveaways.giveaways(made, count=2, seed=0)
    assert (found.word, found.label, found.coverage, found.precision) == ("SPORT", 1, 1.0, 1.0)
    assert giveaways.giveaways(rows(("a b", 0), ("c d", 1)), count=2, seed=0) == ()


def test_meanings_are_compared_across_blocks(monkeypatch):
    monkeypatch.setattr(meanings, "_AT_ONCE", 3)
    unit = np.eye(8, dtype=np.float32)
    unit[7], unit[5] = unit[1], unit[4]
    one, two, cosine = meanings.alike(unit)
    assert set(zip(one.tolist(), two.tolist(), strict=True)) == {(1, 7), (4, 5)}
    assert cosine.tolist() == [1, 1]


def test_where_memory_is_short_test_texts_are_compared_before_training_texts(monkeypatch):
    train = [article(RNG) for _ in range(50)]
    held = [article(RNG) for _ in range(10)]
    rows = {
        "train": Rows(texts=train, classes=[0] * 50),
        "test": Rows(texts=[*held, dropped(0.02)(train[0])], classes=[0] * 11),
    }
    texts = repeats.texts_of(rows)
    monkeypatch.setattr(repeats, "LEAST_COMPARED_CHARACTERS", sum(map(len, [*held, *train[:20]])))
    monkeypatch.setattr(repeats, "MOST_BYTES", 0)
    chosen = repeats.compared(texts, 0)
    assert set(range(11)) <= set(chosen.tolist()), "the test split's texts are numbered first"
    assert 11 < len(chosen) < len(texts.first)
    monkeypatch.undo()
    assert len(repeats.compared(texts, 0)) == len(texts.first)
    assert repeats.most_characters(texts) > 40_000_000
