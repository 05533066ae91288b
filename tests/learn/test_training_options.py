"""What each training option and loss does to a step; that it resumes exactly is in test_resume."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")

from agnews_cli.core.run.preset import Training  # noqa: E402
from agnews_cli.learn import losses, options  # noqa: E402
from agnews_cli.learn.kinds.loss import Targets  # noqa: E402
from agnews_cli.learn.kinds.option import Option, Start  # noqa: E402
from agnews_cli.learn.kinds.registry import modules  # noqa: E402


def begun(name: str, model: torch.nn.Module | None = None, **training: object) -> Option:
    start = Start(Training(lr=1e-3, **training), model or torch.nn.Linear(2, 1), mask_id=1, seed=3)
    return options.begin(start)[name]


@pytest.mark.parametrize("name", modules(options))
def test_an_option_is_on_only_when_asked_for(name):
    fields = modules(options)[name].EXAMPLE
    assert options.begin(Start(Training(lr=1e-3), torch.nn.Linear(2, 1), 1, 3)) == {}
    assert all(
        getattr(Training(lr=1e-3, **fields), field) == value for field, value in fields.items()
    )


def test_balanced_weights_make_rare_classes_count_as_much_as_frequent_ones():
    classes = np.asarray([0] * 90 + [1] * 10)
    balanced = losses.begin(Training(lr=1e-3, class_weights="balanced"), classes, 2)
    plain = losses.begin(Training(lr=1e-3, class_weights="none"), classes, 2)
    logits, labels = torch.zeros(100, 2), torch.from_numpy(classes)
    whole = balanced(logits, Targets(labels))
    rare = balanced(logits[labels == 1], Targets(labels[labels == 1]))
    assert rare.item() == pytest.approx(whole.item() / 2)
    assert whole.item() == pytest.approx(plain(logits, Targets(labels)).item())


def test_r_drop_costs_nothing_where_both_passes_agree_and_more_the_further_they_part():
    option = begun("r_drop", r_drop=2.0)
    agreed = torch.tensor([[1.0, 0.0]]).repeat(2, 1)
    assert option.copies == 2
    assert option.loss(torch.tensor(1.0), agreed).item() == pytest.approx(0.5)
    parted = [
        option.loss(torch.tensor(1.0), torch.tensor([[1.0, 0.0], [1.0, x]])).item()
        for x in (0.5, 2)
    ]
    assert 0.5 < parted[0] < parted[1]


def test_masking_hides_its_share_differs_by_epoch_and_row_and_not_by_batch():
    def batch(rows: int) -> dict[str, torch.Tensor]:
        ids = torch.full((rows, 102), 7)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    masked, rows = begun("token_masking", token_masking=0.25).batch, np.arange(40)
    first = masked(batch(40), rows, 0)["input_ids"]
    assert (first == 1).float().mean().item() == pytest.approx(0.245, abs=0.02)
    assert (first[:, 0] == 7).all() and (first[:, -1] == 7).all()
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first, masked(batch(40), rows, 1)["input_ids"])
    alone = masked(batch(2), rows[10:12], 0)["input_ids"]
    assert torch.equal(alone, first[10:12])


def test_the_average_follows_the_weights_and_gives_them_back():
    net = torch.nn.Linear(2, 1)
    net.weight.data.fill_(0.0)
    average = begun("ema", net, ema=0.5)
    net.weight.data.fill_(8.0)
    for step in (100, 101):
        average.after_step(step)
    with average.judged():
        assert net.weight.data.tolist() == [[6.0, 6.0]]  # 8 - 8 / 2 / 2
    assert net.weight.data.tolist() == [[8.0, 8.0]]
    assert average.delivered()["weight"].tolist() == [[6.0, 6.0]]


class Words(torch.nn.Module):
    """Word embeddings and a sum: its gradient by an embedding is known."""

    def __init__(self) -> None:
        super().__init__()
        self.words = torch.nn.Embedding(9, 4)
        self.scale = torch.nn.Parameter(torch.ones(()))  # what is trained where words are frozen

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.words

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.scale * (self.words(ids) ** 2).sum((1, 2))


@pytest.mark.parametrize("is_frozen", [False, True])
def test_fgm_moves_each_row_by_its_norm_to_where_the_loss_is_higher(is_frozen):
    model, ids = Words(), torch.tensor([[1, 2, 3], [4, 5, 6]])
    model.words.weight.requires_grad_(not is_frozen)
    option, losses_seen = begun("fgm", model, fgm=0.5), []

    def one_pass() -> torch.Tensor:
        loss = model(ids)
        losses_seen.append(loss.detach())
        loss.sum().backward()
        return loss.sum()

    one_pass()
    alone = None if is_frozen else model.words.weight.grad.clone()
    option.after_backward(one_pass)
    before, after = losses_seen
    norm = model.words(ids).detach().norm(dim=(1, 2))
    assert torch.allclose(after, (norm + 0.5) ** 2)  # along the gradient of a square
    assert torch.allclose(before, model(ids).detach())  # and nothing is moved any more
    if alone is not None:
        assert (model.words.weight.grad.norm() > 2 * alone.norm()).item()  # gradients add up
