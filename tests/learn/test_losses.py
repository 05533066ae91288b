"""Every loss of the registry: its gradient is that of its value, and soft targets mean what they
say."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402

from agnews_cli.core.run.preset import Training  # noqa: E402
from agnews_cli.learn import losses  # noqa: E402
from agnews_cli.learn.kinds.loss import Loss, Targets  # noqa: E402
from agnews_cli.learn.kinds.registry import modules  # noqa: E402

CLASSES = torch.tensor([0, 2, 1, 2, 0])
SOFT = torch.softmax(torch.randn(5, 3, generator=torch.Generator().manual_seed(1)).double(), -1)
LOGITS = 2 * torch.randn(5, 3, generator=torch.Generator().manual_seed(2)).double()
TARGETS = {
    "labels": Targets(CLASSES),
    "soft": Targets(CLASSES, SOFT),
}
NAMES = list(modules(losses))


def begun(name: str, **training: object) -> Loss:
    fields = modules(losses)[name].EXAMPLE | {"lr": 1e-3} | training
    return losses.begin(Training.model_validate(fields), CLASSES.numpy(), 3)


@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("name", NAMES)
def test_its_gradient_is_that_of_finite_differences(name, targets):
    loss = begun(name)
    logits = LOGITS.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, TARGETS[targets]), (logits,))


@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("name", NAMES)
def test_it_is_summed_over_the_rows(name, targets):
    """So that micro-batches and processes add up to one."""
    loss, whole = begun(name), TARGETS[targets]
    parts = [loss(LOGITS[rows], whole.of(rows)) for rows in torch.arange(5).split(2)]
    assert sum(parts).item() == pytest.approx(loss(LOGITS, whole).item())


@pytest.mark.parametrize("name", NAMES)
def test_soft_targets_that_are_sure_are_labels(name):
    loss, sure = begun(name), torch.eye(3, dtype=torch.float64)[CLASSES]
    assert loss(LOGITS, Targets(CLASSES, sure)).item() == pytest.approx(
        loss(LOGITS, Targets(CLASSES)).item()
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("targets", ["labels", "soft"])
def test_cross_entropy_is_torchs(targets, smoothing):
    loss = begun("cross_entropy", label_smoothing=smoothing)
    given = TARGETS[targets]
    wanted = given.classes if given.soft is None else given.soft
    expected = F.cross_entropy(LOGITS, wanted, reduction="sum", label_smoothing=smoothing)
    assert torch.equal(loss(LOGITS, given), expected)


@pytest.mark.parametrize("targets", TARGETS)
def test_focal_without_gamma_is_cross_entropy_smoothed_and_weighed_alike(targets):
    fields = {"label_smoothing": 0.1, "class_weights": "balanced"}
    focal, plain = begun("focal", focal_gamma=0.0, **fields), begun("cross_entropy", **fields)
    expected = plain(LOGITS, TARGETS[targets]).item()
    assert focal(LOGITS, TARGETS[targets]).item() == pytest.approx(expected)


def test_targets_go_with_their_rows():
    rows = torch.tensor([3, 0])
    part = Targets(CLASSES, SOFT, LOGITS).of(rows).repeated(2)
    assert part.classes.tolist() == [2, 0, 2, 0]
    assert torch.equal(part.soft, torch.cat([SOFT[rows]] * 2))
    assert torch.equal(part.teacher, torch.cat([LOGITS[rows]] * 2))
