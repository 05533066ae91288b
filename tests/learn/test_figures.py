"""Figures against values worked out by hand or by another library."""

from __future__ import annotations

import pytest

np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")

from transformers import BertConfig, BertForSequenceClassification  # noqa: E402

from agnews_cli.core.run.preset import Training  # noqa: E402
from agnews_cli.learn import methods  # noqa: E402
from agnews_cli.learn.figures import blend  # noqa: E402
from agnews_cli.learn.figures.accuracy import calibration_error  # noqa: E402
from agnews_cli.learn.figures.evaluate import evaluate  # noqa: E402
from agnews_cli.learn.kinds.registry import modules  # noqa: E402
from agnews_cli.learn.loop.learning_rate import learning_rate  # noqa: E402
from agnews_cli.learn.loop.validate import is_worse  # noqa: E402
from agnews_cli.learn.models import dropout  # noqa: E402
from agnews_cli.learn.models.linear import Linear  # noqa: E402
from agnews_cli.learn.models.model import scale_head  # noqa: E402
from agnews_cli.learn.rows.parts import limit_rows, split_off  # noqa: E402
from tests.learn import tiny  # noqa: E402


def test_evaluation_of_a_known_case():
    probabilities = np.asarray([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]])
    found = evaluate(probabilities, np.asarray([0, 1, 1, 1]), ["no", "yes"], list("abcd"))
    assert found.accuracy.value == 0.75
    # Wilson interval of 3 of 4, from the formula (Wilson 1927) with z = 1.95996.
    assert found.accuracy.low == pytest.approx(0.3006, abs=1e-4)
    assert found.accuracy.high == pytest.approx(0.9544, abs=1e-4)
    assert found.confusion == ((1, 0), (1, 2))
    assert found.classes[1].recall == pytest.approx(2 / 3)
    assert [(m.row, m.predicted) for m in found.mistakes] == [(1, "no")]
    assert found.macro_f1.low <= found.macro_f1.value <= found.macro_f1.high


@pytest.mark.parametrize("count", [2, 3, 5])
def test_figures_are_scikit_learns_and_scipys(count: int) -> None:
    """Also of a class without a row, and of one that is never answered."""
    from scipy.stats import binomtest
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    rng = np.random.default_rng(count)
    classes, said = rng.integers(0, max(1, count - 1), 40), rng.dirichlet(np.ones(count), 40)
    said[:, 0] = 0
    found = evaluate(said, classes, [f"class {n}" for n in range(count)])
    predicted, numbers = said.argmax(1), list(range(count))
    assert np.array_equal(found.confusion, confusion_matrix(classes, predicted, labels=numbers))
    expected = precision_recall_fscore_support(
        classes, predicted, labels=numbers, zero_division=0.0
    )
    each = [(one.precision, one.recall, one.f1, one.rows) for one in found.classes]
    assert np.transpose(each) == pytest.approx(np.stack(expected))
    right = int((predicted == classes).sum())
    interval = binomtest(right, 40).proportion_ci(method="wilson")
    assert (found.accuracy.low, found.accuracy.high) == pytest.approx(tuple(interval))


def test_calibration_error_of_a_sure_fool_is_its_confidence():
    probabilities = np.tile([0.99, 0.01], (50, 1))
    assert calibration_error(probabilities, np.ones(50, dtype=int)) == pytest.approx(0.99)
    assert calibration_error(probabilities, np.zeros(50, dtype=int)) == pytest.approx(0.01)


def test_blend_takes_the_better_one_alone_and_mixes_two_that_help_each_other():
    classes = np.asarray([0, 1] * 50)
    good = np.where(classes[:, None] == [0, 1], 0.9, 0.1)
    assert blend.weights({"good": good, "bad": 1 - good}, classes) == {"good": 1.0}
    half = np.arange(100) < 50
    left = np.where(half[:, None], good, 0.5)
    right = np.where(half[:, None], 0.5, good)
    shares = blend.weights({"left": left, "right": right}, classes)
    assert shares == pytest.approx({"left": 0.5, "right": 0.5}, abs=0.01)


def test_a_handful_of_rows_hardly_moves_shares_and_many_find_the_likeliest():
    """What the rows were drawn by is 70% one and 30% the other."""
    rng = np.random.default_rng(0)
    one, other = rng.dirichlet(np.ones(3), (2, 4000))
    drawn = np.where(rng.random(4000)[:, None] < 0.7, one, other).cumsum(axis=1)
    classes = (rng.random(4000)[:, None] > drawn).sum(axis=1)
    found = [blend.weights({"a": one[:n], "b": other[:n]}, classes[:n])["a"] for n in (4, 4000)]
    assert abs(found[0] - 0.5) < 0.2
    assert found[1] == pytest.approx(0.7, abs=0.04)
    fair = {"a": one, "b": other}
    assert blend.weights(fair, classes, np.ones(3)) == pytest.approx(blend.weights(fair, classes))


def test_rows_of_a_class_that_counts_more_decide_more():
    classes = np.asarray([0] * 90 + [1] * 10)
    knows = [np.where(classes[:, None] == [c, c], [0.5, 0.5], 0.5) for c in (0, 1)]
    often, rare = knows
    often[:90], rare[90:] = [0.9, 0.1], [0.1, 0.9]
    both = {"often": often, "rare": rare}
    alike, weighed = (blend.weights(both, classes, w) for w in (None, np.asarray([1.0, 9.0])))
    assert alike["often"] > 0.7
    assert weighed == pytest.approx({"often": 0.5, "rare": 0.5}, abs=0.02)


def test_calibration_forgives_overconfidence_and_sharpens_nothing():
    classes = np.asarray([0, 1] * 50)
    honest = np.where(classes[:, None] == [0, 1], 0.8, 0.2)
    honest[:20] = honest[:20, ::-1]  # 20 of 100 are wrong: 80% sure is right
    boastful = np.where(honest > 0.5, 0.999, 0.001)
    assert blend.log_loss(boastful, classes) > 2 * blend.log_loss(honest, classes)
    assert blend.calibrated(boastful, classes) == pytest.approx(honest, abs=0.01)
    shy = np.where(honest > 0.5, 0.55, 0.45)
    assert blend.calibrated(shy, classes) == pytest.approx(shy, abs=1e-6)


def test_a_temperature_sharpens_what_is_right_more_often_than_it_is_sure():
    """MPNet after 60 steps: nine of ten rows right, and a loss as of one who hardly knows."""
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 4, 400)
    honest = rng.normal(0, 1.2, (400, 4)) + 3 * np.eye(4)[classes]
    t = blend.temperature(honest / 4, classes)
    assert t == pytest.approx(blend.temperature(honest, classes) / 4, rel=0.01)
    assert t < 0.5


@pytest.mark.parametrize("rows", [1, 5, 20, 100])
def test_few_rows_that_are_all_right_do_not_make_a_model_sure_of_all(rows):
    classes = np.arange(rows) % 4
    timid = np.eye(4)[classes] * 0.5
    t = blend.temperature(timid, classes)
    sure = blend.softmax(timid / t).max(axis=1)
    assert sure == pytest.approx((rows + 1) / (rows + 2), abs=0.002)  # Platt's count


def test_an_equal_later_validation_is_kept_and_a_worse_one_is_not():
    rng = np.random.default_rng(0)
    lowest = rng.exponential(0.3, 500)
    assert not is_worse(lowest + rng.normal(0.001, 0.2, 500), lowest)
    assert is_worse(lowest + rng.normal(0.03, 0.2, 500), lowest)
    assert not is_worse(lowest, lowest)
    assert is_worse(np.full(500, np.nan), lowest)  # weights that a step has spoilt


@pytest.mark.parametrize("kind", modules(methods))
def test_a_scaled_head_divides_the_logits_and_nothing_else(kind, tmp_path):
    config = BertConfig(
        vocab_size=60, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=32, num_labels=3,
    )  # fmt: skip
    model, method = BertForSequenceClassification(config), tiny.method(kind)
    net = tiny.applied(model, method, tmp_path).eval()
    ids = torch.arange(3, 13).view(2, 5)
    before = net(input_ids=ids).logits
    assert scale_head(net, 2.5, classes=3)
    assert torch.allclose(net(input_ids=ids).logits, before / 2.5, atol=1e-6)
    assert not scale_head(net, 1.0, classes=3)
    assert not scale_head(net, 2.5, classes=4)


def test_learning_rate_rises_then_falls_to_zero():
    training = Training(lr=1e-3, warmup=0.1)
    rates = [learning_rate(training, step, 100) for step in range(101)]
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == rates[10] == pytest.approx(1e-3)
    assert rates[55] == pytest.approx(5e-4)
    assert rates[100] == 0
    cosine = Training(lr=1e-3, warmup=0.1, schedule="cosine")
    assert learning_rate(cosine, 55, 100) == pytest.approx(5e-4)


@pytest.mark.parametrize("p", [0.1, 0.25, 0.5])
def test_dropout_mask_keeps_the_share_and_the_mean(p):
    torch.manual_seed(0)
    mask = dropout.keep_mask(torch.Size([1000, 999]), p, torch.float32)
    assert (mask == 0).float().mean().item() == pytest.approx(p, abs=0.003)
    assert mask.mean().item() == pytest.approx(1.0, abs=0.004)
    lanes = (mask.flatten()[: 999_000 // 4 * 4].view(-1, 4) == 0).float().mean(0)
    assert (lanes - p).abs().max() < 0.005


def test_dropout_comes_from_the_generator_whose_state_is_saved():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = dropout.keep_mask(torch.Size([64]), 0.5, torch.float32)
    torch.set_rng_state(state)
    assert torch.equal(first, dropout.keep_mask(torch.Size([64]), 0.5, torch.float32))
    assert not torch.equal(first, dropout.keep_mask(torch.Size([64]), 0.5, torch.float32))


def test_attention_with_dropout_averages_to_attention_without():
    module = torch.nn.Module()
    q, k, v = torch.randn(3, 2, 4, 10, 8).unbind(0)
    mask = torch.ones(2, 1, 10, 10, dtype=torch.bool)
    mask[:, :, :, 7:] = False
    exact, _ = dropout.attention(module, q, k, v, mask, dropout=0.0)
    drawn = [dropout.attention(module, q, k, v, mask, dropout=0.1)[0] for _ in range(800)]
    assert torch.stack(drawn).mean(0) == pytest.approx(exact.numpy(), abs=0.08)


def test_split_is_stratified_seeded_and_keeps_every_class_in_training():
    classes = [0] * 90 + [1] * 9 + [2]
    train, held = split_off(classes, share=0.2, seed=0)
    assert sorted([*train, *held]) == list(range(100))
    assert np.bincount(np.asarray(classes)[held], minlength=3).tolist() == [18, 2, 0]
    again = split_off(classes, share=0.2, seed=0)[1]
    other = split_off(classes, share=0.2, seed=1)[1]
    assert held.tolist() == again.tolist() != other.tolist()
    assert np.bincount(np.asarray(classes)[limit_rows(classes, 50, seed=0)]).tolist() == [45, 4, 1]


@pytest.mark.parametrize("count", [2, 3])
def test_linear_model_learns_and_predicts_the_same_after_loading(tmp_path, count):
    words = ["goal match team", "stock bank profit", "cell star atom"][:count]
    texts = [f"{word} number{i}" for i in range(20) for word in words]
    classes = np.asarray(list(range(count)) * 20)
    model = Linear.fit(texts, classes, texts, classes, count=count, seed=0)
    probabilities = model.predict(texts)
    assert (probabilities.argmax(1) == classes).all()
    assert probabilities.sum(1) == pytest.approx(np.ones(len(texts)), abs=1e-5)
    model.save(tmp_path)
    assert not list(tmp_path.glob("*.pkl"))
    assert Linear.load(tmp_path).predict(texts) == pytest.approx(probabilities, abs=1e-6)
