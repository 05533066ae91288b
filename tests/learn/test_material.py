"""Long texts, rare classes, unknown languages, little memory and little time: nothing is silent."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
pytest.importorskip("torch")

from agnews_cli.core.run.dataset import Rows  # noqa: E402
from agnews_cli.core.run.long_texts import CUT, LongTexts  # noqa: E402
from agnews_cli.core.run.preset import Training  # noqa: E402
from agnews_cli.errors import BudgetTooShort, TooLittleMemory, ValueWrong  # noqa: E402
from agnews_cli.learn.door import budget as budgets  # noqa: E402
from agnews_cli.learn.models.linear import Linear  # noqa: E402
from agnews_cli.learn.models.model import load_tokenizer  # noqa: E402
from agnews_cli.learn.rows import material  # noqa: E402
from agnews_cli.learn.rows.handicaps import long_texts, strange_language  # noqa: E402
from agnews_cli.learn.rows.reading import Ends, ends_of  # noqa: E402
from agnews_cli.learn.rows.tokens import cached_tokens, tokenise  # noqa: E402
from agnews_cli.learn.rows.weighing import weights_of  # noqa: E402
from agnews_cli.learn.stages import combine, in_time  # noqa: E402
from agnews_cli.learn.stages.in_time import InTime  # noqa: E402
from agnews_cli.store.data import datasets  # noqa: E402
from agnews_cli.store.model import models  # noqa: E402
from agnews_cli.store.settings import presets  # noqa: E402
from tests.learn import tiny  # noqa: E402

RUSSIAN = "Правительство объявило новые меры поддержки для сельских школ и больниц"
CHINESE = "政府周二宣布了对农村学校和医院的新支持措施并承诺明年继续投资"
ENGLISH = "The government announced new support for rural schools and hospitals on Tuesday"


@pytest.fixture(scope="module")
def minilm():
    return load_tokenizer(
        models.resolve(presets.load("minilm").model, hub=lambda: False).path_or_id
    )


@pytest.mark.parametrize(
    ("asked", "positions", "of_tokenizer", "read"),
    [
        (100_000, 512, 512, 512),
        (100_000, 514, 10**30, 512),  # RoBERTa's first position is 2
        (512, 128, 10**30, 128),
        (512, None, 256, 256),
        (64, 512, 512, 64),
    ],
)
def test_no_more_is_read_of_a_text_than_the_model_has_positions(
    asked, positions, of_tokenizer, read
):
    config = SimpleNamespace(max_position_embeddings=positions)
    tokenizer = SimpleNamespace(model_max_length=of_tokenizer)
    assert material.longest_of(tokenizer, config, asked) == read


def test_a_text_is_cut_as_transformers_cuts_it(minilm):
    texts = [" ".join(["rural", "schools"] * n) for n in (1, 4, 40)]
    found = tokenise(Rows(texts, [0, 1, 0]), minilm, 12)
    expected = minilm(texts, truncation=True, max_length=12)["input_ids"]
    for row, ids in enumerate(expected):
        assert found.ids[found.offsets[row] : found.offsets[row + 1]].tolist() == ids
    assert found.full.tolist() == [4, 10, 82]
    longer = tokenise(Rows(texts, [0, 1, 0]), minilm, 64).cut(12, ends_of(minilm))
    assert longer.ids.tolist() == found.ids.tolist()
    assert longer.offsets.tolist() == found.offsets.tolist()


@pytest.mark.parametrize(
    ("lengths", "kept"),
    [([60] * 96 + [900] * 4, 128), ([60] * 90 + [150] * 10, 192), ([200] * 100, 256),
     ([350] * 100, 384), ([2000] * 100, 512)],
)  # fmt: skip
def test_the_length_covers_nearly_all_texts_and_no_more(lengths, kept):
    assert material.length_for(np.asarray(lengths), 128, 512) == kept


def test_the_length_stays_within_what_was_asked_and_what_the_model_reads():
    long = np.full(50, 900)
    assert material.length_for(long, 128, 128) == 128  # --set training.max_length=128
    assert material.length_for(long, 128, 200) == 200  # a model of 200 positions
    assert material.length_for(long, 300, 200) == 200


def test_a_step_of_very_long_texts_holds_as_many_in_the_same_memory():
    training = Training(lr=1e-4)
    assert training.of_length(256).batch_tokens == 1024
    longer = training.of_length(512)
    assert (longer.max_length, longer.batch_tokens, longer.micro_batch_tokens) == (512, 2048, 1024)


def test_what_is_cut_is_said_with_its_share():
    def said(full: list[int], how: LongTexts = CUT) -> tuple[str, bool]:
        return long_texts(np.asarray(full), 128, Ends(1, 1), how)

    text, is_warning = said([100] * 62 + [300] * 38)
    assert text.startswith("38% of the training texts are longer than 128 tokens and are cut")
    assert "sees 63% of all tokens" in text
    assert is_warning
    assert said([100] * 99 + [300])[1] is False
    assert said([100, 90]) == ("no training text is longer than 128 tokens", False)
    ends = LongTexts(how="head_tail", first=32, last=96)
    assert "only their first 32 and last 96 are read" in said([300] * 4, ends)[0]
    all_of_them = LongTexts(how="windows", overlap=26, most_windows=3)
    assert said([300] * 4, all_of_them) == (
        "100% of the training texts are longer than 128 tokens and are read in windows; the model "
        "sees 100% of all tokens",
        False,
    )
    text, is_warning = said([300] * 8 + [400] * 2, all_of_them)
    assert "20% of all no further than 3 of them" in text and is_warning


def test_words_that_tell_classes_apart_late_in_a_text_are_read(tmp_path):
    """128 words say nothing; the model must see those after them, up to its 160 positions."""
    model = tiny.model_folder(tmp_path / "bert", positions=160)
    data = tiny.csv_file(tmp_path / "d.csv", {"a": 20, "b": 20}, words=14)
    lines = data.read_text().splitlines()
    filler = " ".join(tiny.WORDS[30:38] * 16)
    data.write_text("\n".join([lines[0], *(f"{filler} {line}" for line in lines[1:])]))
    recipe = tiny.preset(model, {"cross_validated_below": 0}, epochs=0.2)
    done = tiny.compete(tmp_path / "run", data, recipe)
    assert done.rows.training.max_length == 160
    said = (tmp_path / "run" / "events.jsonl").read_text()
    assert "160 of their tokens are kept" in said
    asked = presets.with_settings(recipe, ["training.max_length=128"])
    done = tiny.compete(tmp_path / "asked", data, asked)
    assert done.rows.training.max_length == 128
    assert any(
        "100% of the training texts are longer than 128" in n for n in done.setting.told.kept
    )
    asked = presets.with_settings(recipe, ["training.max_length=161"])
    with pytest.raises(ValueWrong, match="max_length is 161: expected at most 160, the tokens of"):
        tiny.compete(tmp_path / "too much", data, asked)


@pytest.mark.parametrize(("text", "is_strange"), [(ENGLISH, 0), (RUSSIAN, 1), (CHINESE, 1)])
def test_a_language_that_the_vocabulary_does_not_know_is_a_warning(minilm, text, is_strange):
    texts = [text] * 20
    tokens = tokenise(Rows(texts, [0] * 20), minilm, 128)
    found = strange_language(texts, tokens, minilm, "minilm")
    assert bool(found) == bool(is_strange)
    if found:
        named = found.split("--preset ")[1].split()[0]
        assert named in presets.names()
        assert "multilingual" in found


def test_the_linear_model_answers_a_rare_class():
    rng = np.random.default_rng(0)
    common, rare = [f"c{n}" for n in range(60)], [f"r{n}" for n in range(60)]

    def texts(of_class: int, rows: int) -> list[str]:
        mine, share = (common, 1.0) if of_class == 0 else (rare, 0.3)
        return [
            " ".join(str(rng.choice(mine if rng.random() < share else common)) for _ in range(12))
            for _ in range(rows)
        ]

    train = np.asarray([0] * 200 + [1] * 14)
    held, tested = np.asarray([0] * 60 + [1] * 6), np.asarray([1] * 100)
    kind = {
        "texts": texts(0, 200) + texts(1, 14), "classes": train,
        "validation_texts": texts(0, 60) + texts(1, 6), "validation_classes": held,
        "count": 2, "seed": 0,
    }  # fmt: skip
    asked = texts(1, 100)
    plain = Linear.fit(**kind).predict(asked).argmax(1)
    weighed = Linear.fit(**kind, weights=weights_of("auto", train, 2)).predict(asked).argmax(1)
    assert (weighed == tested).mean() > 0.6
    assert (weighed == tested).mean() >= (plain == tested).mean()


def test_a_class_without_a_row_is_never_answered_by_the_linear_model():
    texts = ["goal match", "stock bank"] * 20
    classes = np.asarray([0, 2] * 20)
    model = Linear.fit(texts, classes, texts, classes, count=3, seed=0)
    assert model.predict(["goal match", "stock bank"]).argmax(1).tolist() == [0, 2]
    assert model.predict(["goal match"])[0, 1] < 1e-6


def test_tokens_of_some_rows_are_not_taken_for_those_of_all(tmp_path):
    model = tiny.model_folder(tmp_path / "bert")
    dataset = datasets.find(str(tiny.csv_file(tmp_path / "d.csv", {"a": 30, "b": 30})))
    words = load_tokenizer(str(model))
    some = datasets.read(dataset, "train")
    some = Rows(some.texts[:20], some.classes[:20])
    few = cached_tokens(dataset, "train", words, 32, tmp_path / "c", rows=some, limit=20)
    assert len(few.classes) == 20
    assert len(cached_tokens(dataset, "train", words, 32, tmp_path / "c").classes) == 60
    assert len(cached_tokens(dataset, "train", words, 32, tmp_path / "c", limit=20).classes) == 20


def test_rows_that_cannot_fit_into_memory_are_refused_with_what_would(tmp_path, monkeypatch):
    model = tiny.model_folder(tmp_path / "bert")
    data = tiny.csv_file(tmp_path / "d.csv", {"a": 3000, "b": 3000})
    monkeypatch.setattr(material, "available_bytes", lambda: 1_500_000)
    with pytest.raises(TooLittleMemory, match="5,400 rows need about") as caught:
        tiny.compete(tmp_path / "run", data, tiny.preset(model))
    assert "--limit-train 2000" in caught.value.advice
    assert caught.value.exit_code == 70


class Free:
    def check(self) -> None: ...


def test_reading_that_would_outlast_the_budget_says_what_would_suffice(monkeypatch):
    now = time.monotonic()
    budget = budgets.TimeBudget(Free(), given_s=30.0, started_s=now)
    moment = [now]
    monkeypatch.setattr(budgets.time, "monotonic", lambda: moment[0])
    budget.require("reading the training rows", done=1, total=1000)
    moment[0] += 4
    with pytest.raises(BudgetTooShort) as caught:
        budget.require("reading the training rows", done=10, total=1000)
    assert "reading the training rows alone takes about 6 min" in caught.value.message
    assert "--budget 420s" in caught.value.advice
    assert caught.value.exit_code == 2


def test_a_budget_delivers_the_linear_model_where_nothing_else_fits(tmp_path):
    model = tiny.model_folder(tmp_path / "bert")
    data = tiny.csv_file(tmp_path / "d.csv", {"a": 40, "b": 40})
    now_s = time.monotonic()
    done = tiny.compete(
        tmp_path / "run", data, tiny.preset(model), blend=True,
        started_monotonic_s=now_s - 100, deadline_monotonic_s=now_s + 3.05,
    )  # fmt: skip
    assert [c.facts.name for c in done.contenders] == ["linear"]
    assert combine.choose(done) == {"linear": 1.0}
    why = ("no time for a fine-tuned model", "of an epoch in the time left")
    assert any(words in text for text in done.setting.told.kept for words in why)


def test_a_budget_in_which_no_model_fits_says_so(tmp_path, monkeypatch):
    """Seen on a busy machine: an IndexError, where no linear model was wanted."""
    model = tiny.model_folder(tmp_path / "bert")
    data = tiny.csv_file(tmp_path / "d.csv", {"a": 40, "b": 40})
    monkeypatch.setattr(InTime, "passes", lambda *_: 0.01)
    now_s = time.monotonic()
    with pytest.raises(BudgetTooShort, match="no model could be trained by then"):
        tiny.compete(
            tmp_path / "run", data, tiny.preset(model), blend=True, candidates=("finetune",),
            started_monotonic_s=now_s, deadline_monotonic_s=now_s + 60,
        )  # fmt: skip


def test_where_nothing_is_fine_tuned_in_time_frozen_embeddings_are_fitted(tmp_path, monkeypatch):
    model = tiny.model_folder(tmp_path / "bert")
    data = tiny.csv_file(tmp_path / "d.csv", {"a": 40, "b": 40})
    monkeypatch.setattr(InTime, "passes", lambda *_: 0.01)
    now_s = time.monotonic()
    done = tiny.compete(
        tmp_path / "run", data, tiny.preset(model), blend=True,
        candidates=("linear", "finetune", "embedding"),
        started_monotonic_s=now_s, deadline_monotonic_s=now_s + 60,
    )  # fmt: skip
    assert [c.facts.kind for c in done.contenders] == ["linear", "embedding"]
    head = json.loads((done.contenders[1].folder / "head.json").read_text("utf-8"))
    assert head["dtype"] == {"bf16": "bfloat16"}.get(done.setting.precision, "float32")


@pytest.mark.parametrize(("row_s", "fewest", "most"), [(1e-6, 128, 128), (0.05, 32, 48)])
def test_the_speed_of_a_slow_model_is_measured_on_few_rows(monkeypatch, row_s, fewest, most):
    """Measured on 128 rows each time, MPNet took half a minute of a budget of five on 2 cores."""
    rows = tokenise_numbers(400)
    asked, passed_s = [], [0.0]
    monkeypatch.setattr(in_time, "time", SimpleNamespace(monotonic=lambda: sum(passed_s)))

    def ask(tokens):
        asked.append(len(tokens.classes))
        passed_s.append(row_s * len(tokens.classes))

    prepared = SimpleNamespace(
        tokens=SimpleNamespace(validation=rows), setting=SimpleNamespace(agreed=lambda mine: mine)
    )
    found = InTime(prepared).row_s(ask)
    assert found == pytest.approx(row_s)
    assert fewest <= asked[-1] <= most


def tokenise_numbers(count):
    tokenizer = lambda texts, **_: {"input_ids": [[1, 2, 3]] * len(texts)}  # noqa: E731
    return tokenise(Rows(["a"] * count, [0] * count), tokenizer, 12)


def test_work_is_told_with_its_rate(tmp_path, monkeypatch):
    from agnews_cli.learn.door import notes
    from agnews_cli.learn.door.events import EventLog

    moment = [100.0]
    monkeypatch.setattr(notes.time, "monotonic", lambda: moment[0])
    log = EventLog(tmp_path / "e.jsonl", started_monotonic_s=0, writes=True)
    work = notes.Notes(log).work("reading training rows", 1000)
    for done in (0, 100, 200, 300):
        moment[0] += 0.75
        work(done)
    events = [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    assert [e["kind"] for e in events] == ["work"]
    assert events[0]["data"] == {
        "name": "reading training rows", "done": 200, "total": 1000, "per_s": 133.3, "left_s": 6.0
    }  # fmt: skip


def test_models_with_other_seeds_validate_on_the_same_rows(tmp_path):
    data = tiny.csv_file(tmp_path / "d.csv", {"a": 400, "b": 300})
    for rows, limit in (({}, None), ({"cross_validated_below": 9999}, None), ({}, 650)):
        held = []
        for seed, drawn in ((0, 0), (7, 0), (0, 7)):
            recipe = tiny.preset(tmp_path, rows | {"seed": drawn})
            found = tiny.rows(tmp_path, data, recipe, seed=seed, limit_train=limit)
            fold = [] if found.fold is None else found.fold.tolist()
            held.append((found.held_texts, found.texts, fold))
        assert held[0] == held[1]
        assert held[0] != held[2]


def kept_rows(tmp_path):
    """(rows as they are read, the file, the cache's files by split)."""
    data = tiny.csv_file(tmp_path / "d.csv", {"a": 30, "b": 30})
    cache = datasets.RowCache.of(tmp_path / "cache")
    files = {split: str(path) for split, path in cache_of(data, cache).items()}
    return data, files


def cache_of(data, cache):
    return cache.rows(datasets.find(str(data), cache=cache))


def test_every_process_maps_the_rows_and_none_parses_the_file(tmp_path, monkeypatch):
    data, files = kept_rows(tmp_path)
    recipe = tiny.preset(tiny.model_folder(tmp_path / "bert"))
    parsed = tiny.rows(tmp_path, data, recipe)

    def refuse(*_):
        raise AssertionError("the file was opened")

    monkeypatch.setattr(datasets, "reopened", refuse)
    mapped = tiny.rows(tmp_path, data, recipe, rows=files)
    assert list(mapped.texts) == list(parsed.texts)
    assert list(mapped.held_texts) == list(parsed.held_texts)
    assert np.array_equal(mapped.classes, parsed.classes)
    assert np.array_equal(mapped.held_classes, parsed.held_classes)


def test_damaged_rows_are_told_of_and_made_anew(tmp_path):
    data, files = kept_rows(tmp_path)
    path = Path(files["train"])
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    recipe = tiny.preset(tiny.model_folder(tmp_path / "bert"))
    read = tiny.rows(tmp_path, data, recipe, rows=files)
    assert len(read.texts) == 60  # of the file
    said = (tmp_path / "events.jsonl").read_text()
    assert "cannot be used (it is damaged)" in said and '"warning"' in said
    cache = datasets.RowCache.of(tmp_path / "cache")
    assert cache_of(data, cache)["train"].read_bytes() == content and not cache.is_known
