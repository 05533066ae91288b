"""What is trained at which rate, and what each optimizer of the registry keeps and does."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")

from transformers import AutoModelForSequenceClassification as Classifier  # noqa: E402
from transformers import BertConfig, DebertaV2Config, LlamaConfig, RobertaConfig  # noqa: E402

from agnews_cli.core.run.preset import Training  # noqa: E402
from agnews_cli.errors import ValueWrong  # noqa: E402
from agnews_cli.learn import optimizers  # noqa: E402
from agnews_cli.learn.kinds.registry import modules  # noqa: E402
from agnews_cli.learn.models import layers  # noqa: E402
from agnews_cli.learn.optimizers.lamb import Lamb  # noqa: E402
from agnews_cli.learn.state.snapshot import optimizer_tensors  # noqa: E402

_SMALL = {
    "vocab_size": 90, "hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2,
    "intermediate_size": 8, "max_position_embeddings": 16, "num_labels": 3,
}  # fmt: skip
CONFIGS = {
    "bert": (BertConfig, {}, "bert.embeddings.word_embeddings", "bert.encoder.layer"),
    "roberta": (RobertaConfig, {}, "roberta.embeddings.word_embeddings", "roberta.encoder.layer"),
    "deberta": (
        DebertaV2Config, {"relative_attention": True, "position_buckets": 4},
        "deberta.embeddings.word_embeddings", "deberta.encoder.layer",
    ),
    "llama": (LlamaConfig, {}, "model.embed_tokens", "model.layers"),
}  # fmt: skip


def small(name: str) -> tuple[torch.nn.Module, str, str]:
    kind, more, words, stack = CONFIGS[name]
    return Classifier.from_config(kind(**_SMALL | more)), words, stack


@pytest.mark.parametrize("name", CONFIGS)
def test_each_layer_has_its_share_of_the_rate_of_the_one_above(name):
    model, words, stack = small(name)
    names = {id(weight): each for each, weight in model.named_parameters()}
    built = optimizers.build(model, Training(lr=1e-3, layer_decay=0.5))
    shares = {
        names[id(weight)]: group[optimizers.RATE_SHARE]
        for group in built.param_groups
        for weight in group["params"]
    }
    assert shares.keys() == set(names.values())
    assert shares[f"{words}.weight"] == 0.5**4
    for each, share in shares.items():
        if each.startswith(stack):
            assert share == 0.5 ** (3 - int(each[len(stack) + 1]))
    assert {share for each, share in shares.items() if "score" in each or "class" in each} == {1.0}


def test_without_it_there_are_the_two_groups_of_ever():
    model, _, _ = small("bert")
    groups = optimizers.build(model, Training(lr=1e-3, weight_decay=0.1)).param_groups
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]
    matrices = [weight for weight in model.parameters() if weight.dim() > 1]
    assert [id(weight) for weight in groups[0]["params"]] == [id(weight) for weight in matrices]


@pytest.mark.parametrize("name", CONFIGS)
def test_the_words_and_the_lowest_layers_are_frozen_and_nothing_else(name):
    for count in (None, 0, 2):
        model, words, stack = small(name)
        layers.freeze(model, count, name)
        frozen = {each for each, weight in model.named_parameters() if not weight.requires_grad}
        below = {each for each in frozen if each.startswith(stack)}
        if count is None:
            assert not frozen
            continue
        assert f"{words}.weight" in frozen
        assert {int(each[len(stack) + 1]) for each in below} == set(range(count))
        assert all("embed" in each for each in frozen - below)


def test_more_layers_than_there_are_cannot_be_frozen():
    model, _, _ = small("bert")
    with pytest.raises(ValueWrong, match="at most 3, the layers of tiny"):
        layers.freeze(model, 4, "tiny")


@pytest.mark.parametrize("name", modules(optimizers))
def test_an_optimizer_keeps_what_it_says(name):
    """What it says is what a checkpoint is checked against."""
    net = torch.nn.Sequential(torch.nn.Embedding(300, 16), torch.nn.Linear(16, 3))
    training = Training(lr=1e-2, optimizer=name)
    built, before = optimizers.build(net, training), net[1].weight.detach().clone()
    net(torch.arange(300)).square().sum().backward()
    built.step()
    assert not torch.equal(net[1].weight, before)
    found = optimizer_tensors(net, built)
    for weight, parameter in net.named_parameters():
        kept = optimizers.kept(training)(parameter)
        there = {n.partition("|")[2]: t for n, t in found.items() if n.startswith(f"{weight}|")}
        assert {n: tuple(t.shape) for n, t in there.items()} == {
            n: () if shape is int else shape for n, shape in kept.items()
        }


def test_eight_bits_are_eight_bits():
    net = torch.nn.Embedding(300, 16)
    built = optimizers.build(net, Training(lr=1e-2, optimizer="adamw_8bit"))
    net(torch.arange(300)).square().sum().backward()
    built.step()
    moments = optimizer_tensors(net, built)
    assert moments["weight|state1"].dtype == moments["weight|state2"].dtype == torch.uint8


def test_a_step_of_lamb_is_as_long_as_its_rate_of_the_weights():
    """Algorithm 2: the step's norm is the rate times that of the layer, whatever the gradient's."""
    for scale in (1e-3, 1e3):
        torch.manual_seed(0)
        weight = torch.nn.Parameter(torch.randn(4, 5))
        before = weight.detach().clone()
        built = Lamb([{"params": [weight], "weight_decay": 0.1}], 0.01)
        weight.grad = scale * torch.randn(4, 5)
        direction = weight.grad / (weight.grad.abs() + 1e-6) + 0.1 * before
        built.step()
        moved = before - weight.detach()
        assert moved.norm().item() == pytest.approx(0.01 * before.norm().item(), rel=1e-4)
        assert torch.allclose(moved / moved.norm(), direction / direction.norm(), atol=1e-4)
