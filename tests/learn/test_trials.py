"""What a report asks of a model that it opens: changed texts, pairs by rule, and a look inside."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("sklearn")

from agnews_cli.core.report.trials import ToTry  # noqa: E402
from agnews_cli.core.run.prediction import Member, Order  # noqa: E402
from agnews_cli.learn.models.linear import Linear  # noqa: E402
from agnews_cli.learn.trials import changes, pairs  # noqa: E402
from agnews_cli.learn.trials.inside import _words  # noqa: E402
from agnews_cli.learn.try_model import tried  # noqa: E402
from tests import finished_runs as finished  # noqa: E402

TEXT = "The striker Maria Lopez scored 3 goals in Bergen. Her team, coached by Ada Berg, won. Yes."


@pytest.mark.parametrize("way", changes.WAYS, ids=lambda way: way.name)
def test_each_way_changes_a_text_alike_whatever_stands_beside_it(way: changes.TextChange) -> None:
    (alone,), both = changes.changed(way, [TEXT], 1), changes.changed(way, ["Other", TEXT], 1)
    assert alone != TEXT and both[1] == alone and alone.strip()
    for odd in ("", " ", "a", "one", "é" * 500, "1 2", "\U0001f600 \U0001f600", "a\u0301b"):
        changes.changed(way, [odd], 1)  # nothing is too odd


def test_characters_change_a_tenth_of_the_words_and_their_letters_by_one() -> None:
    text = " ".join(["letters"] * 40)
    for name, length in (("letters exchanged", 7), ("letters missing", 6), ("slips of the key", 7)):
        way = next(way for way in changes.WAYS if way.name == name)
        words = changes.changed(way, [text], 0)[0].split()
        other = [word for word in words if word != "letters"]
        assert len(words) == 40 and 1 <= len(other) <= 4  # two equal letters may change places
        assert all(len(word) == length for word in other)


def test_words_that_speak_for_a_class_are_found_and_exchanged() -> None:
    texts = [f"goal match team number {n}" for n in range(20)]
    texts += [f"shares profit market number {n}" for n in range(20)]
    classes = np.repeat([0, 1], 20)
    words = pairs.telling_words(texts, classes, 2)
    assert set(words[0]) == {"goal", "match", "team"}
    assert set(words[1]) == {"shares", "profit", "market"}
    found = pairs.exchanged("Goal of the match by a team", 0, words, random.Random(0))
    assert found is not None and found[1] == 1
    assert not set(words[0]) & set(found[0].lower().split()) and found[0][0].isupper()
    assert pairs.exchanged("a match only", 0, words, random.Random(0)) is None


def test_names_are_those_of_another_text_of_the_class() -> None:
    texts = ["they met Maria Lopez there", "they met Ada Berg there", "he saw Chicago once"]
    found = pairs.other_names(texts, np.asarray([0, 0, 1]), seed=0)
    assert found == ["they met Ada Berg there", "they met Maria Lopez there", "he saw Chicago once"]


def test_tokens_become_whole_words_with_the_sum_of_their_weights() -> None:
    places = [(0, 0), (0, 3), (3, 7), (8, 11), (0, 0)]
    assert _words("strikers win", places, [9.0, 0.25, 0.5, -1.0, 9.0]) == [
        ("strikers", 0.75),
        ("win", -1.0),
    ]


# ---- a model ------------------------------------------------------------------------------------

LABELS = ("sport", "money")


def rows(count: int, seed: int) -> tuple[list[str], list[int]]:
    rng = random.Random(seed)
    sides = (["goal", "match", "team", "player"], ["shares", "profit", "market", "bank"])
    classes = [n % 2 for n in range(count)]
    texts = [
        " ".join([*rng.choices(sides[c], k=4), "said", f"on day {n}"])
        for n, c in enumerate(classes)
    ]
    return texts, classes


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> ToTry:
    """A linear model that knows sport from money, and a run that validated on 60 rows."""
    place = tmp_path_factory.mktemp("tried")
    folder = place / "rows"
    folder.mkdir()
    (texts, classes), (held, known) = rows(120, 0), rows(60, 1)
    for split, these, numbers in (("train", texts, classes), ("validation", held, known)):
        lines = [f"{text},{LABELS[n]}" for text, n in zip(these, numbers, strict=True)]
        (folder / f"{split}.csv").write_text("\n".join(["text,label", *lines, ""]))
    from agnews_cli.store.data import datasets

    data = datasets.find(str(folder))
    unsure = [1 - n if at < 6 else n for at, n in enumerate(known)]  # else it is as sure as can be
    model = Linear.fit(texts, np.asarray(classes), held, np.asarray(unsure), count=2, seed=0)
    (place / "linear").mkdir()
    model.save(place / "linear")
    said = finished.said(0, held, 1.0, labels=LABELS, classes=np.asarray(known))
    run = finished.make(place / "runs", "good-0123456789", validation=said, of=folder)
    facts = data.without_test.model_dump_json()
    run.job.write_text(f'{{"dataset": {facts}}}')
    member = Member(name="linear", kind="linear", folder=str(place / "linear"))
    order = Order(members=(member,), labels=LABELS, max_length=8)
    return ToTry(order=order, folder=str(run.path), changes_texts=True, looks_inside=True, rows=40)


def test_a_model_of_words_falls_where_its_words_do(asked: ToTry) -> None:
    found = tried(asked)
    assert (found.rows, found.accuracy) == (40, 1.0)
    by_name = {one.name: one for one in found.changed}
    assert by_name["words exchanged"].drop.value == by_name["capitals"].drop.value == 0
    assert "other names" not in by_name  # there are none to change
    for one in found.changed:
        assert one.drop.low <= one.drop.value <= one.drop.high and 0 <= one.p <= 1
        assert one.before - one.after == pytest.approx(one.drop.value)
    assert found.exchanged is not None
    assert found.exchanged.rows == 40 and found.exchanged.moved == found.exchanged.left == 1.0
    for one in found.looked_at:
        best = max(one.pieces, key=lambda piece: piece.weight)
        assert best.weight == 1 and best.text in "goal match team player shares profit market bank"
        assert one.answer == one.label and one.how == "leaving out each word"
    assert found.speed.one_text_s > 0 and found.speed.memory_bytes > 1 << 20
    assert tried(asked).model_dump(exclude={"speed", "seconds"}) == found.model_dump(
        exclude={"speed", "seconds"}
    )


def test_rows_whose_data_are_gone_are_one_clear_error(asked: ToTry, tmp_path: Path) -> None:
    from agnews_cli.errors import AgnewsError

    run = finished.make(
        tmp_path / "runs", "good-0123456789", validation=finished.said(0, ["a", "b"], 1.0)
    )
    with pytest.raises(AgnewsError, match="good-0123456789"):
        tried(asked.model_copy(update={"folder": str(run.path)}))


@pytest.mark.train
def test_gradients_name_the_word_that_the_answer_rests_on(tmp_path: Path) -> None:
    """A model whose logit is a weighted sum of embeddings: there gradient × input is exact."""
    torch = pytest.importorskip("torch")
    from agnews_cli.learn.trials import inside

    vocabulary = {"goal": 0, "the": 1, "profit": 2}

    class Bag(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = torch.nn.Embedding(3, 2)
            self.words.weight.data = torch.tensor([[3.0, 0.0], [0.1, 0.1], [0.0, 2.0]])

        def get_input_embeddings(self):
            return self.words

        def forward(self, inputs_embeds, **rest):
            return type("Said", (), {"logits": inputs_embeds.sum(1)})

    class Tokenizer:
        def __call__(self, text, **rest):
            words, at, places = text.split(" "), 0, []
            for word in words:
                places.append((at, at + len(word)))
                at += len(word) + 1
            return {
                "input_ids": torch.tensor([[vocabulary[word] for word in words]]),
                "offset_mapping": torch.tensor([places]),
            }

    order = Order(
        members=(Member(name="bag", kind="finetune", folder="x"),), labels=LABELS, max_length=8
    )
    import agnews_cli.learn.models.model as loading

    before = loading.load_delivery
    loading.load_delivery = lambda folder, base: (Bag(), Tokenizer())
    try:
        (found,) = inside.Inside(order, lambda texts: None)(["goal the profit"], ["sport"])
    finally:
        loading.load_delivery = before
    assert (found.answer, found.how, found.of) == ("sport", "gradient × input", "bag")
    weights = {piece.text: round(piece.weight, 4) for piece in found.pieces}
    assert weights == {"goal": 1.0, "the": round(0.1 / 3, 4), "profit": 0.0}
