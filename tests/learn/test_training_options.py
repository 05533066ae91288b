"""What each training option and loss does to a step; that it resumes exactly is in test_resume."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")

from agnews_cli.core.run.preset import Training  # noqa: E402
from agnews_cli.learn import losses, options  # noqa: E402
from agnews_cli.learn.kinds.loss import Targets  # noqa: E402
from agnews_cli.learn.kinds.option import Option, Start  # noqa: E402
from agnews_cli.learn.kinds.registry import modules  # noqa: E402
from agnews_cli.learn.models.head import Pooled  # noqa: E402
from agnews_cli.learn.options import contrastive  # noqa: E402
from agnews_cli.learn.rows.batches import Order, batches_from, epoch_batches  # noqa: E402
from tests.learn.test_resume import Run, Variant  # noqa: E402

TARGETS = Targets(torch.zeros(2, dtype=torch.int64))


def begun(name: str, model: torch.nn.Module | None = None, **training: object) -> Option:
    start = started(Training(lr=1e-3, **training), model)
    return options.begin(start)[name]


def started(training: Training, model: torch.nn.Module | None = None) -> Start:
    return Start(training, model or torch.nn.Linear(2, 1), 1, 3, np.asarray([5, 3, 9, 7]))


@pytest.mark.parametrize("name", modules(options))
def test_an_option_is_on_only_when_asked_for(name):
    fields = modules(options)[name].EXAMPLE
    assert options.begin(started(Training(lr=1e-3))) == {}
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
    assert option.loss(torch.tensor(1.0), agreed, TARGETS).item() == pytest.approx(0.5)
    parted = [
        option.loss(torch.tensor(1.0), torch.tensor([[1.0, 0.0], [1.0, x]]), TARGETS).item()
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
        average.after_step(step, 200)
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
        self.embedded = self.words(ids)
        return self.scale * (self.embedded**2).sum((1, 2))


def passes_of(model: Words, ids: torch.Tensor) -> tuple[Callable[[], torch.Tensor], list]:
    """A pass forwards and backwards, and what the words' embeddings were in each that was made."""
    seen: list[torch.Tensor] = []

    def one_pass() -> torch.Tensor:
        loss = model(ids)
        seen.append(model.embedded.detach())
        loss.sum().backward()
        return loss.sum()

    return one_pass, seen


IDS = torch.tensor([[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize("is_frozen", [False, True])
def test_fgm_moves_each_row_by_its_norm_to_where_the_loss_is_higher(is_frozen):
    model = Words()
    model.words.weight.requires_grad_(not is_frozen)
    option = begun("fgm", model, fgm=0.5)
    one_pass, seen = passes_of(model, IDS)
    one_pass()
    alone = None if is_frozen else model.words.weight.grad.clone()
    option.after_backward(one_pass)
    before, after = (each.norm(dim=(1, 2)) for each in seen)
    assert torch.allclose(after, before + 0.5)  # along the gradient of a square
    with torch.no_grad():
        assert torch.equal(model.words(IDS), seen[0])  # and nothing is moved any more
    if alone is not None:
        assert (model.words.weight.grad.norm() > 2 * alone.norm()).item()  # gradients add up


@pytest.mark.parametrize("is_frozen", [False, True])
def test_pgd_climbs_to_the_edge_of_its_ball_and_its_last_step_alone_counts(is_frozen):
    of: dict[str, Words] = {}
    for name, fields in {"pgd": {"pgd": 0.5, "attack_steps": 4}, "fgm": {"fgm": 0.5}}.items():
        torch.manual_seed(5)
        model = of[name] = Words()
        model.words.weight.requires_grad_(not is_frozen)
        option = begun(name, model, **fields)
        one_pass, seen = passes_of(model, IDS)
        one_pass()
        option.after_backward(one_pass)
        moved = [(each - seen[0]).norm(dim=(1, 2)) for each in seen[1:]]
        assert len(moved) == fields.get("attack_steps", 1)
        assert torch.allclose(moved[-1], torch.tensor(0.5), atol=1e-5)
        assert torch.allclose(moved[0], torch.tensor(0.3125 if name == "pgd" else 0.5), atol=1e-5)
    for one, two in zip(of["pgd"].parameters(), of["fgm"].parameters(), strict=True):
        assert (one.grad is None) == (two.grad is None)  # both end at one place, here
        assert one.grad is None or torch.allclose(one.grad, two.grad, rtol=1e-4)


def test_freelb_begins_at_random_climbs_within_its_ball_and_leaves_padding_alone():
    model = Words()
    option = begun("freelb", model, freelb=0.5, attack_steps=4)
    one_pass, seen = passes_of(model, IDS)
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    option.batch({"attention_mask": mask}, np.arange(2), 0)
    one_pass()
    option.after_backward(one_pass)
    with torch.no_grad():
        moves = [each - model.words(IDS) for each in seen]
    assert len(moves) == 4 and option.pass_weight == 0.25
    assert all((move.norm(dim=(1, 2)) <= 0.5 * (1 + 1e-5)).all() for move in moves)
    assert 0 < moves[0].abs().max() <= 0.5 / 8**0.5 and not moves[0][1, 2].any()
    losses_seen = [(each**2).sum() for each in seen]
    assert losses_seen == sorted(losses_seen)


def test_sam_takes_the_gradient_where_its_radius_leads_and_puts_the_weights_back():
    net = torch.nn.Linear(2, 2)
    option, before, seen = begun("sam", net, sam=0.2), [], []
    before = [weight.detach().clone() for weight in net.parameters()]

    def gradients() -> torch.Tensor:
        seen.append([weight.detach().clone() for weight in net.parameters()])
        loss = sum((weight**2).sum() for weight in net.parameters())
        loss.backward()
        return loss.detach()

    loss = option.gradients(gradients)
    assert loss == sum((weight**2).sum() for weight in before)
    moved = torch.cat([(two - one).flatten() for one, two in zip(*seen, strict=True)])
    assert moved.norm().item() == pytest.approx(0.2)
    for weight, one, there in zip(net.parameters(), before, seen[1], strict=True):
        assert torch.equal(weight, one)
        assert torch.allclose(weight.grad, 2 * there)  # of the second pass alone


def test_swa_is_the_mean_of_the_last_share_and_nothing_before_it():
    net = torch.nn.Linear(1, 1)
    average = begun("swa", net, swa=0.5)
    for step in range(10):
        net.weight.data.fill_(float(step))
        with average.judged():
            early = net.weight.item() == step
        average.after_step(step, 10)
        assert early == (step <= 5)
        assert (average.delivered() is None) == (step < 5)
    assert average.delivered()["weight"].item() == pytest.approx(7.0)  # of 5 to 9
    with average.judged():
        assert net.weight.item() == pytest.approx(7.0)
    assert net.weight.item() == 9


def test_focal_counts_a_row_by_how_wrong_it_is():
    logits, labels = torch.tensor([[3.0, 0.0], [0.0, 3.0]]), torch.tensor([0, 0])
    focal = losses.begin(Training(lr=1e-3, loss="focal", focal_gamma=2.0), labels.numpy(), 2)
    for row in range(2):
        one = slice(row, row + 1)
        entropy = torch.nn.functional.cross_entropy(logits[one], labels[one])
        share = (1 - torch.exp(-entropy)) ** 2
        assert focal(logits[one], Targets(labels[one])).item() == pytest.approx(
            (share * entropy).item()
        )


def test_contrast_is_gunels_and_rows_without_friends_add_nothing():
    states = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    classes = torch.tensor([0, 0, 0, 1, -1, -1])
    one = states / states.norm(dim=1, keepdim=True)
    expected = 0.0
    for i in range(3):
        others = sum(math.exp(float(one[i] @ one[k]) / 0.3) for k in range(6) if k != i)
        friends = [j for j in range(3) if j != i]
        for j in friends:
            expected -= math.log(math.exp(float(one[i] @ one[j]) / 0.3) / others) / len(friends)
    found = contrastive.contrast(states, classes, 0.3).sum()
    assert found.item() == pytest.approx(expected, rel=1e-4)
    for rows in (slice(3, 5), slice(3, 4)):  # and a batch of one row
        given = states[rows].clone().requires_grad_()
        alone = contrastive.contrast(given, classes[rows], 0.3).sum()
        alone.backward()
        assert alone.item() == 0 and not given.grad.any()


class Decoder(torch.nn.Module):
    """Each token has logits; a text's are those of its last one."""

    def __init__(self) -> None:
        super().__init__()
        self.score = torch.nn.Linear(4, 2)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.score(hidden)


@pytest.mark.parametrize("padding", ["right", "left"])
def test_what_is_pooled_of_a_decoder_is_its_last_token(padding):
    model, hidden = Decoder(), torch.randn(2, 3, 4)
    mask = torch.tensor([[1, 1, 1], [1, 1, 0] if padding == "right" else [0, 1, 1]])
    pooled = Pooled(model)
    model(torch.cat([hidden, 2 * hidden]))  # of two copies
    last = torch.stack([hidden[0, 2], hidden[1, 1 if padding == "right" else 2]])
    assert torch.equal(pooled.states(mask), torch.cat([last, 2 * last]))


@pytest.mark.parametrize("copies", [1, 2])
def test_mixup_learns_mixed_states_and_both_targets_in_the_same_shares(copies):
    option, rows = begun("mixup", mixup=0.4), np.asarray([7, 1, 5])
    plain = losses.begin(Training(lr=1e-3), np.asarray([0, 1, 2]), 3)
    logits = torch.randn(3, 3, generator=torch.Generator().manual_seed(2)).repeat(copies, 1)
    targets = Targets(torch.tensor([0, 1, 2])).repeated(copies)
    seen: list[tuple[torch.Tensor, Targets]] = []

    def loss(given: torch.Tensor, of: Targets) -> torch.Tensor:
        seen.append((given, of))
        return plain(given, of)

    mixed = option.criterion(loss)
    option.batch({}, rows, 4)
    found = mixed(logits, targets)
    (both, mine), (_, other) = seen
    one, two = (torch.nn.functional.one_hot(t.classes, 3).float() for t in (mine, other))
    share = float(((both - logits[other.classes]) / (logits - logits[other.classes])).nanmedian())
    soft = share * one + (1 - share) * two
    assert 0 < share < 1
    assert found.item() == pytest.approx(plain(both, Targets(mine.classes, soft)).item(), rel=1e-4)
    again = begun("mixup", mixup=0.4)
    again.batch({}, rows, 4)
    assert torch.equal(again.criterion(plain)(logits, targets), found)
    again.batch({}, rows, 5)
    assert not torch.equal(again.criterion(plain)(logits, targets), found)


def test_multi_sample_dropout_is_the_mean_of_losses_behind_as_many_masks():
    torch.manual_seed(1)
    net, states = torch.nn.Linear(64, 2), torch.ones(2, 64)
    targets, each = Targets(torch.tensor([0, 1])), []

    def loss(logits: torch.Tensor, of: Targets) -> torch.Tensor:
        each.append(torch.nn.functional.cross_entropy(logits, of.classes, reduction="sum"))
        return each[-1]

    option = begun("multi_sample_dropout", net, multi_sample_dropout=5, sample_dropout=0.3)
    option.batch({"attention_mask": torch.ones(2, 3)}, np.arange(2), 0)
    found = option.criterion(loss)(net(states), targets)
    assert len(each) == 5 and len({one.item() for one in each}) == 5
    assert found.item() == pytest.approx(sum(one.item() for one in each) / 5)


def test_a_curriculum_begins_with_short_texts_and_later_epochs_are_as_ever():
    lengths = np.random.default_rng(0).integers(3, 60, 400)
    start = Start(Training(lr=1e-3, curriculum="length"), torch.nn.Linear(2, 1), 1, 3, lengths)
    order = options.begin(start)["curriculum"].order

    def batches(order: Order, epoch: int) -> list[np.ndarray]:
        given = {"seed": 3, "epoch": epoch, "position": 0, "batch_tokens": 256}
        walk = batches_from(lengths, order=order, **given)
        count = len(epoch_batches(lengths, seed=3, epoch=epoch, batch_tokens=256))
        return [next(walk)[2] for _ in range(count)]

    def as_ever(batches: list[np.ndarray], epoch: int) -> list[np.ndarray]:
        return batches

    first, plain = batches(order, 0), batches(as_ever, 0)
    longest = [lengths[rows].max() for rows in first]
    assert longest == sorted(longest) != [lengths[rows].max() for rows in plain]
    assert sorted(map(tuple, first)) == sorted(map(tuple, plain))
    later = zip(batches(order, 1), batches(as_ever, 1), strict=True)
    assert all(np.array_equal(one, two) for one, two in later)


EVERY_WAY = {name: each.EXAMPLE for name, each in modules(options).items()} | {
    "none": {},
    "twice, attacked, moved": {"r_drop": 1.0, "freelb": 0.5, "sam": 0.1, "attack_steps": 2},
}


@pytest.mark.parametrize("name", EVERY_WAY)
def test_rows_pass_as_often_as_is_planned(name, tmp_path):
    """Plan and budgets reckon with it."""
    run, passed = Run(Variant(EVERY_WAY[name]), tmp_path, stop_at=1), 0

    def count(module: torch.nn.Module, given: tuple, named: dict) -> None:
        nonlocal passed
        passed += len(named["input_ids"]) * module.training

    run.tuning.bare_model.register_forward_pre_hook(count, with_kwargs=True)
    run.finish()
    assert passed == run.tuning.position.examples * run.tuning.training.passes_in_an_epoch > 0
