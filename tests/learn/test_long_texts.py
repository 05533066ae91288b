"""Texts longer than a pass: cut, by both ends or in windows, from training to the delivery."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")

from agnews_cli.core.run.dataset import Rows  # noqa: E402
from agnews_cli.core.run.preset import Training  # noqa: E402
from agnews_cli.learn import losses, options, predictor  # noqa: E402
from agnews_cli.learn.kinds.loss import Targets  # noqa: E402
from agnews_cli.learn.kinds.option import Start  # noqa: E402
from agnews_cli.learn.loop.distil import Taught, distilled  # noqa: E402
from agnews_cli.learn.loop.forward import Alone, predict, predict_with_hidden  # noqa: E402
from agnews_cli.learn.models.model import load_tokenizer  # noqa: E402
from agnews_cli.learn.rows.reading import ends_of  # noqa: E402
from agnews_cli.learn.rows.tokens import Tokens, tokenise  # noqa: E402
from agnews_cli.learn.stages import combine, deliver, evaluate  # noqa: E402
from agnews_cli.store.model import delivered  # noqa: E402
from tests.learn import tiny  # noqa: E402

LENGTH = 16
WAYS = ("cut", "head_tail", "windows")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.model_folder(tmp_path_factory.mktemp("model") / "bert")


@pytest.fixture(scope="module")
def tokenizer(model: Path) -> Any:
    return load_tokenizer(str(model))


def texts_of(lengths: list[int]) -> list[str]:
    rng = random.Random(3)
    return [" ".join(rng.choice(tiny.WORDS) for _ in range(length)) for length in lengths]


def passages(tokens: Tokens) -> list[list[int]]:
    spans = zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)
    return [tokens.ids[start:end].tolist() for start, end in spans]


def read(texts: list[str], tokenizer: Any, length: int = LENGTH, **training: Any) -> Tokens:
    """As a fine-tuning reads them: what the longest passes need is kept, then cut to `length`."""
    ends, recipe = ends_of(tokenizer), Training(lr=1e-3, **training)
    longest, how = (recipe.read_at(n, begin=ends.begin, end=ends.end) for n in (40, length))
    rows = Rows(texts, [n % 2 for n in range(len(texts))])
    return tokenise(rows, tokenizer, 40, how=longest).cut(length, ends, how)


# ---- which tokens -------------------------------------------------------------------------------


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
def test_windows_are_those_of_the_tokenizer(tokenizer, overlap):
    texts = texts_of([5, 14, 15, 25, 26, 60, 200])
    found = read(texts, tokenizer, long_texts="windows", window_overlap=overlap, most_windows=9)
    expected = [
        tokenizer(
            text, truncation=True, max_length=LENGTH, stride=int(14 * overlap),
            return_overflowing_tokens=True,
        )["input_ids"]
        for text in texts
    ]  # fmt: skip
    each = [windows if isinstance(windows[0], list) else [windows] for windows in expected]
    assert passages(found) == [window for windows in each for window in windows[:9]]
    assert np.diff(found.first).tolist() == [len(windows[:9]) for windows in each]
    assert found.full.tolist() == [7, 16, 17, 27, 28, 62, 202]


def test_head_tail_keeps_both_ends_in_the_shares_of_sun_et_al(tokenizer):
    whole = tokenizer(texts_of([90])[0])["input_ids"]
    (found,) = passages(read(texts_of([90]), tokenizer, long_texts="head_tail"))
    assert found == whole[:4] + whole[-12:]  # [CLS] and 3 of 14, as 128 of 510
    at_512 = Training(lr=1e-3, long_texts="head_tail").read_at(512, begin=1, end=1)
    assert (at_512.first, at_512.last) == (129, 383)


@pytest.mark.parametrize("way", WAYS)
def test_a_text_that_fits_is_read_as_ever(tokenizer, way):
    short = read(texts_of([3, 14]), tokenizer, long_texts=way)
    assert short.first is None and short.weights is None and short.row_of is None
    assert passages(short) == tokenizer(texts_of([3, 14]))["input_ids"]


def test_rows_are_taken_and_joined_with_their_windows(tokenizer):
    texts = texts_of([5, 30, 60, 9])
    whole = read(texts, tokenizer, long_texts="windows", window_pooling="max")
    some = whole.take(np.asarray([2, 0]))
    assert passages(some) == passages(read([texts[2], texts[0]], tokenizer, long_texts="windows"))
    assert some.classes.tolist() == [0, 0] and some.pooling == "max"
    joined = some.plus(read([texts[3]], tokenizer, long_texts="windows"))  # itself no window
    assert len(joined.row_of) == len(joined.lengths) and joined.row_of[-1] == 2
    assert joined.pooling == "max"


# ---- each row weighs once -----------------------------------------------------------------------


def test_a_rows_windows_count_together_as_much_as_any_other_row(tokenizer):
    tokens = read(texts_of([5, 30, 60]), tokenizer, long_texts="windows")
    each = [tokens.weights[tokens.row_of == row].sum() for row in range(3)]
    assert each == pytest.approx([each[0]] * 3)
    assert tokens.weights.mean() == pytest.approx(1)
    assert tokens.rows_begun(np.arange(len(tokens.lengths))) == 3


@pytest.mark.parametrize(
    "training",
    [{}, {"label_smoothing": 0.1}, {"loss": "focal"},  {"r_drop": 1.0},
     {"taught": True}],
    ids=str,
)  # fmt: skip
def test_every_loss_counts_a_row_by_its_weight(training):
    """A weight of 2 is a row that stands there twice, where rows have nothing to do with others."""
    rng, recipe = torch.Generator().manual_seed(0), dict(training)
    taught = recipe.pop("taught", False)
    recipe = Training(lr=1e-3, class_weights="none", **recipe)
    classes, teacher = torch.tensor([0, 1, 2]), torch.randn(3, 3, generator=rng)
    start = Start(recipe, tiny_classifier(), 1, 0, np.asarray([1, 1, 1]))
    begun = options.begin(start)
    loss = losses.begin(recipe, classes.numpy(), 3)
    if taught:
        from agnews_cli.core.run.work import Distillation

        how = Taught(Distillation(), teacher.numpy())
        loss = distilled(loss, how, np.asarray([0, -1, 2])) or loss
    copies = 2 if recipe.r_drop else 1
    logits = torch.randn(copies, 3, 3, generator=rng)

    def of(rows: list[int], weights: list[float] | None) -> float:
        targets = Targets(
            classes[rows] if not taught else torch.tensor([0, -1, 2])[rows],
            teacher=teacher[rows] if taught else None,
            weights=None if weights is None else torch.tensor(weights),
        ).repeated(copies)
        given = logits[:, rows].flatten(0, 1)
        found = loss(given, targets)
        for option in begun.values():
            found = option.loss(found, given, targets)
        return float(found)

    twice = of([0, 1, 2], [2.0, 1.0, 0.0])
    assert twice == pytest.approx(2 * of([0], [1.0]) + of([1], None), rel=1e-5)


def tiny_classifier() -> Any:
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=60, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64, num_labels=3,
    )  # fmt: skip
    torch.manual_seed(1)
    return BertForSequenceClassification(config).eval()


# ---- one answer of several windows --------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_one_answer_is_of_all_windows_of_a_row(tokenizer, pooling):
    texts, model = texts_of([5, 60, 30]), tiny_classifier()
    tokens = read(texts, tokenizer, long_texts="windows", window_pooling=pooling)
    said = predict(model, tokens, 0, Alone(torch.device("cpu")), 64, autocast=False)
    with torch.no_grad():
        for row, text in enumerate(texts):
            windows = tokenizer(
                text, truncation=True, max_length=LENGTH, stride=3, padding=True,
                return_overflowing_tokens=True, return_tensors="pt",
            )  # fmt: skip
            logits = model(windows["input_ids"], windows["attention_mask"]).logits
            one = logits.mean(0) if pooling == "mean" else logits.amax(0)
            assert said[row] == pytest.approx(torch.softmax(one, -1).numpy(), abs=1e-6)
    facts = (model, tokens, 0, Alone(torch.device("cpu")), 64)
    again, inside = predict_with_hidden(*facts, classes=3)
    assert again == pytest.approx(said, abs=1e-6)
    assert np.linalg.norm(inside, axis=1) == pytest.approx(1)


# ---- what is learnt -----------------------------------------------------------------------------


def write(path: Path, rows: int, *, words: int = 28) -> Path:
    """The last four words tell the class; what comes before is anything."""
    rng, lines = random.Random(1), []
    for number in range(rows):
        label = number % 2
        said = [rng.choice(tiny.WORDS[16:]) for _ in range(words)]
        said += [rng.choice(tiny.WORDS[2 * label : 2 * label + 2]) for _ in range(4)]
        lines.append(f"{' '.join(said)},{'ab'[label]}")
    path.write_text("\n".join(["text,label", *lines]))
    return path


def recipe_of(model: Path, way: str, **more: Any) -> Any:
    facts: dict[str, Any] = {"max_length": LENGTH, "longest": LENGTH, "long_texts": way}
    facts |= {"epochs": 8, "batch_tokens": 512, "patience": 99} | more
    return tiny.preset(model, {"cross_validated_below": 0}, **facts)


@pytest.mark.parametrize(
    ("way", "more"),
    [("cut", {}), ("head_tail", {}), ("windows", {}), ("windows", {"window_pooling": "max"})],
    ids=["cut", "head_tail", "windows", "largest of windows"],
)
def test_a_class_that_the_last_words_tell_is_learnt_unless_they_are_cut(tmp_path, model, way, more):
    data = write(tmp_path / "d.csv", 240)
    recipe = recipe_of(model, way, **more)
    done = tiny.compete(tmp_path / "run", data, recipe, candidates=("finetune",))
    (found,) = done.contenders
    accuracy = found.facts.validation_accuracy
    assert accuracy < 0.6 if way == "cut" else accuracy > 0.8
    validation = done.rows.tokens.validation
    assert len(found.validation) == len(validation.classes) == 80  # of rows, not of windows
    assert len(validation.lengths) == (240 if way == "windows" else 80)
    said = " ".join(done.setting.told.kept)
    assert "100% of the training texts are longer than 16 tokens" in said


@pytest.mark.parametrize("way", WAYS[1:])
def test_what_was_stopped_ends_as_what_was_not(tmp_path, model, way):
    data = write(tmp_path / "d.csv", 60)
    recipe = recipe_of(model, way, epochs=1)

    def compete(name: str, stop_after: int | None = None) -> Any:
        facts = {"candidates": ("finetune",), "stop_after": stop_after}
        return tiny.compete(tmp_path / name, data, recipe, **facts)

    straight = compete("straight")
    steps = (tmp_path / "straight" / "trace.jsonl").read_text()
    assert compete("stopped", len(steps.splitlines()) // 2).is_interrupted
    resumed = compete("stopped")
    assert (tmp_path / "stopped" / "trace.jsonl").read_text() == steps
    one, two = (done.contenders[0].validation for done in (straight, resumed))
    assert np.array_equal(one, two) and len(one) == len(straight.rows.held_classes)


def test_what_is_delivered_on_a_base_model_reads_windows_with_and_without_agnews(
    tmp_path, model, monkeypatch
):
    """Whole models: tests/end_to_end/test_delivered.py. A row has one answer, whoever asks."""
    data = tmp_path / "data"
    data.mkdir()
    write(data / "train.csv", 60)
    recipe = recipe_of(model, "windows", epochs=1)
    recipe = recipe.model_copy(update={"method": tiny.method("prompt")})
    run = tmp_path / "run"
    done = tiny.compete(run, data, recipe, candidates=("finetune",))
    combine.choose(done)
    judged = evaluate.on_validation(done, {done.contenders[0].facts.name: 1.0})
    deliver.write_delivery(done)
    deliver.write_figures(done, judged)
    texts, expected = done.rows.material.held_texts, done.contenders[0].validation
    (run / "job.json").write_text(done.setting.job.model_dump_json())
    (run / "preset.yaml").write_text(recipe.model_dump_json())
    order = delivered.order_of(delivered.at(run), lambda base: str(model))
    assert order.long_texts.how == "windows"
    opened = predictor.open_delivery(order)
    assert opened(texts) == pytest.approx(expected, abs=1e-6)
    card = (run / "README.md").read_text("utf-8")
    assert "- It reads a text in at most 16 windows of 16 tokens, 3 of which two" in card
    assert "100% of the training texts are longer than 16 tokens" in card
    code = card.split("```python\n")[1].split("```")[0].replace('["your text"]', "list(texts)")
    names: dict[str, Any] = {"texts": texts}
    monkeypatch.chdir(run)
    exec(code.replace('base = "bert"', f"base = {str(model)!r}"), names)
    assert names["probabilities"] == pytest.approx(expected, abs=1e-5)
