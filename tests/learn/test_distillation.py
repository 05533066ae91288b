"""A student's loss: its formula and gradients, what of it is the labels' and what its teacher's."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")

from pydantic import ValidationError  # noqa: E402

from agnews_cli.core.run.preset import Training  # noqa: E402
from agnews_cli.core.run.work import Distillation  # noqa: E402
from agnews_cli.learn import losses  # noqa: E402
from agnews_cli.learn.kinds.loss import Loss, Targets  # noqa: E402
from agnews_cli.learn.kinds.registry import modules  # noqa: E402
from agnews_cli.learn.loop.distil import DistilledLoss, Taught, divergence  # noqa: E402
from agnews_cli.learn.models import hidden  # noqa: E402
from tests.learn import test_resume  # noqa: E402
from tests.learn.test_resume import Run, Variant  # noqa: E402

CLASSES = torch.tensor([0, 2, 1, 2, 0])
SOME = torch.tensor([0, -1, 1, -1, 0])
LOGITS, TEACHER = (
    2 * torch.randn(5, 3, generator=torch.Generator().manual_seed(n)).double() for n in (2, 3)
)
NAMES = list(modules(losses))


def labels_alone(name: str = "cross_entropy", **training: Any) -> Loss:
    fields = {"class_weights": "balanced", "lr": 1e-3} | modules(losses)[name].EXAMPLE | training
    return losses.begin(Training.model_validate(fields), CLASSES.numpy(), 3)


def distilled(alpha: float, temperature: float, labels: Loss, *, unlabelled: bool = False) -> Loss:
    how = Distillation(alpha=alpha, temperature=temperature)
    return DistilledLoss(labels, how, unlabelled)


def test_it_is_the_formula_of_hinton_vinyals_and_dean():
    teacher, student = (torch.softmax(logits / 4.0, -1) for logits in (TEACHER, LOGITS))
    kl = (teacher * (teacher / student).log()).sum()
    labels = labels_alone()
    expected = 0.3 * labels(LOGITS, Targets(CLASSES)) + 0.7 * 4.0**2 * kl
    found = distilled(0.3, 4.0, labels)(LOGITS, Targets(CLASSES, teacher=TEACHER))
    assert found.item() == pytest.approx(expected.item())


@pytest.mark.parametrize("classes", [CLASSES, SOME], ids=["all labelled", "some"])
@pytest.mark.parametrize(("alpha", "temperature"), [(0.0, 5.0), (0.3, 1.0), (0.5, 20.0), (1.0, 2)])
@pytest.mark.parametrize("name", NAMES)
def test_its_gradient_is_that_of_finite_differences(name, alpha, temperature, classes):
    loss = distilled(alpha, temperature, labels_alone(name), unlabelled=classes is SOME)
    targets, logits = Targets(classes, teacher=TEACHER), LOGITS.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, targets), (logits,))


@pytest.mark.parametrize("name", NAMES)
def test_a_row_without_a_label_has_its_teachers_part_whole(name):
    """The others are as they are without it; and sums over parts are the sum of all."""
    labels, is_known = labels_alone(name), SOME >= 0
    mixed = distilled(0.3, 2.0, labels, unlabelled=True)
    whole = Targets(SOME, teacher=TEACHER)
    known = distilled(0.3, 2.0, labels)(LOGITS[is_known], whole.of(is_known))
    unknown = distilled(0.0, 2.0, labels)(
        LOGITS[~is_known], Targets(CLASSES, teacher=TEACHER).of(~is_known)
    )
    assert mixed(LOGITS, whole).item() == pytest.approx((known + unknown).item())
    parts = [mixed(LOGITS[rows], whole.of(rows)).item() for rows in torch.arange(5).split(2)]
    assert sum(parts) == pytest.approx(mixed(LOGITS, whole).item())
    none = torch.tensor([1, 3])
    assert torch.isfinite(mixed(LOGITS[none], whole.of(none)))


def test_who_says_what_its_teacher_says_has_nothing_to_learn_from_it():
    loss = distilled(0.0, 5.0, labels_alone())
    logits = (TEACHER + 3.0).requires_grad_()  # the same answers
    loss(logits, Targets(CLASSES, teacher=TEACHER)).backward()
    assert logits.grad.abs().max() < 1e-12
    assert loss.apart() == pytest.approx(0.0, abs=1e-12)
    assert loss.apart() is None, "it is asked of what came since"
    answers = torch.softmax(LOGITS, -1).numpy()
    loss(LOGITS, Targets(CLASSES, teacher=TEACHER))
    assert loss.apart() == pytest.approx(divergence(TEACHER.numpy(), answers))


NONSENSE = [
    {"alpha": -0.1},
    {"alpha": 1.1},
    {"hidden": -1.0},
    {"temperature": 0.0},
    {"temperature": -5.0},
    {"temperature": float("nan")},
]


@pytest.mark.parametrize("wrong", NONSENSE)
def test_numbers_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValidationError):
        Distillation(**wrong)


def test_labels_alone_are_plain_training_bit_for_bit(tmp_path, monkeypatch):
    """alpha = 1, with all options at once: each step's loss, and all weights."""
    options = {"r_drop": 1.0, "fgm": 0.5, "ema": 0.9, "label_smoothing": 0.1, "epochs": 1}
    options |= {"class_weights": "balanced", "micro_batch_tokens": 75}

    def of(alpha: float | None) -> Run:
        monkeypatch.setattr(test_resume, "taught", lambda variant: alpha and teacher(alpha))
        return Run(Variant(options), tmp_path / str(alpha)).finish()

    plain, alone, learned = of(None), of(1.0), of(0.5)
    assert alone.trace == plain.trace
    one, two = plain.state(), alone.state()
    assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)
    assert learned.trace != plain.trace


@pytest.mark.parametrize("width", [2, 16])
def test_hidden_states_are_pulled_to_the_teacher_s_direction(width):
    """1 − cos: nothing where they point alike, whatever their length; its gradient is right."""
    generator = torch.Generator().manual_seed(4)
    one, two = (torch.randn(5, width, generator=generator).double() for _ in range(2))
    assert hidden.distances(3 * one, one).abs().max() < 1e-6
    assert hidden.distances(-one, one) == pytest.approx(2 * np.ones(5), abs=1e-6)
    cos = (one * two).sum(1) / (one.norm(dim=1) * two.norm(dim=1))
    assert hidden.distances(one, two).numpy() == pytest.approx((1 - cos).numpy(), abs=1e-6)
    states = torch.randn(5, 7, width, generator=generator).double()
    mask = torch.arange(7) < torch.tensor([[7], [3], [1], [5], [2]])
    mean = hidden.mean_over_tokens(states, mask.long())
    for row, length in enumerate((7, 3, 1, 5, 2)):
        assert torch.allclose(mean[row], states[row, :length].mean(0)), "padding is no token"


def test_without_weight_hidden_states_change_nothing_bit_for_bit(tmp_path, monkeypatch):
    options = {"r_drop": 1.0, "fgm": 0.5, "epochs": 1, "micro_batch_tokens": 75}
    given = np.random.default_rng(5).normal(size=(150, 16)).astype(np.float16)

    def of(weight: float | None) -> Run:
        rng = np.random.default_rng(3)
        how = Distillation(alpha=0.5, hidden=weight or 0.0)
        logits = rng.normal(size=(150, 3)).astype(np.float32)
        said = Taught(how, logits, hidden=None if weight is None else given)
        monkeypatch.setattr(test_resume, "taught", lambda variant: said)
        return Run(Variant(options), tmp_path / str(weight)).finish()

    without, off, on = of(None), of(0.0), of(1.0)
    assert off.trace == without.trace and on.trace != without.trace
    one, two = without.state(), off.state()
    assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def teacher(alpha: float) -> Taught:
    rng = np.random.default_rng(3)
    return Taught(Distillation(alpha=alpha), rng.normal(size=(150, 3)).astype(np.float32))
