"""The exactness matrix: stopped at a step and gone on with equals never stopped, bit for bit.

Every variant is cut at every step by the slow test, and at some by the one that runs in CI.
AGNEWS_TEST_SEED chooses other weights, data and cuts.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")

from accelerate import Accelerator  # noqa: E402
from transformers import BertConfig, BertForSequenceClassification  # noqa: E402

from agnews_cli.core.run.method import Full, Method  # noqa: E402
from agnews_cli.core.run.preset import Training  # noqa: E402
from agnews_cli.core.run.work import Distillation  # noqa: E402
from agnews_cli.learn import losses, methods, optimizers, options, schedules  # noqa: E402
from agnews_cli.learn.door.events import EventLog, StopRequested  # noqa: E402
from agnews_cli.learn.kinds.registry import modules  # noqa: E402
from agnews_cli.learn.loop.distil import Taught  # noqa: E402
from agnews_cli.learn.loop.position import StepTrace  # noqa: E402
from agnews_cli.learn.loop.train import FineTuning  # noqa: E402
from agnews_cli.learn.models import dropout, layers  # noqa: E402
from agnews_cli.learn.rows.tokens import Tokens  # noqa: E402
from agnews_cli.learn.state.saving import Saver  # noqa: E402
from agnews_cli.learn.state.snapshot import on_host, optimizer_tensors, weights  # noqa: E402
from agnews_cli.store.run.checkpoints import Checkpoints  # noqa: E402
from tests.learn import tiny  # noqa: E402

SEED = int(os.environ.get("AGNEWS_TEST_SEED", "0").partition(":")[0])
BASE = {"lr": 1e-3, "epochs": 3, "batch_tokens": 128, "evaluations_per_epoch": 2, "patience": 99}


@dataclass(frozen=True)
class Variant:
    training: dict = field(default_factory=dict)
    method: Method = field(default_factory=Full)
    p_dropout: float = 0.1
    is_fast_dropout: bool = True
    words: int = 60
    unlabelled: int | None = None
    """Learned from a teacher too, who says so many rows more than have a label."""
    hidden: float = 0.0
    """How much its hidden states count."""
    has_windows: bool = False
    """Whether rows are read in windows, one to three of them."""


VARIANTS = {
    "plain": Variant(p_dropout=0.0),
    "torch's dropout": Variant(is_fast_dropout=False),
    "accumulation": Variant({"micro_batch_tokens": 40}),
    "uneven accumulation": Variant({"micro_batch_tokens": 75}),
    "early stop": Variant({"lr": 0.05, "patience": 2, "evaluations_per_epoch": 6}),
    "cycles": Variant({"schedule": "cyclic", "snapshots": 3, "patience": 1, "ema": 0.9}),
    "teacher": Variant({"linear_teacher": 0.5, "r_drop": 1.0}),
    "distilled": Variant({"r_drop": 1.0, "micro_batch_tokens": 75, "ema": 0.9}, unlabelled=0),
    "distilled, rows without labels": Variant({"class_weights": "balanced"}, unlabelled=40),
    "hidden states": Variant({"r_drop": 1.0, "micro_batch_tokens": 75}, unlabelled=40, hidden=0.5),
    "windows": Variant({"r_drop": 1.0, "micro_batch_tokens": 75, "ema": 0.9}, has_windows=True),
    "windows, distilled": Variant({"curriculum": "length"}, unlabelled=40, has_windows=True),
    "class weights": Variant({"class_weights": "balanced"}),
    "rates by layer, frozen layers": Variant({"layer_decay": 0.8, "frozen_layers": 1}),
}
VARIANTS |= {f"option {name}": Variant(each.EXAMPLE) for name, each in modules(options).items()}
VARIANTS |= {f"loss {name}": Variant(each.EXAMPLE) for name, each in modules(losses).items()}
VARIANTS |= {  # with so many words that their embeddings' moments take 8 bits where that is asked
    f"optimizer {name}": Variant({"optimizer": name}, words=300)
    for name in modules(optimizers)
    if name != Training(lr=1e-3).optimizer
}
VARIANTS |= {
    f"schedule {name}": Variant(each.EXAMPLE)
    for name, each in modules(schedules).items()
    if name != Training(lr=1e-3).schedule
}
VARIANTS |= {f"method {name}": Variant(method=tiny.method(name)) for name in modules(methods)}
VARIANTS |= {
    "qlora, 8 bits of state": Variant({"optimizer": "adamw_8bit"}, method=tiny.method("qlora")),
    "virtual tokens, attacked": Variant(
        {"freelb": 0.5, "attack_steps": 2, "contrastive": 0.2}, method=tiny.method("prompt")
    ),
}


class StopAt:
    """A stop that is asked for while step `step` is done; its validation is not begun."""

    def __init__(self, step: int | None) -> None:
        self.step, self.reserve_s, self.is_set = step, 0.0, False
        self.left_s = float("inf")

    def see(self, step: int) -> None:
        self.is_set = self.is_set or step == self.step

    def check(self) -> None:
        if self.is_set:
            raise StopRequested


def tokens(rows: int, seed: int, unlabelled: int = 0, *, has_windows: bool = False) -> Tokens:
    rng = np.random.default_rng([SEED, seed])
    first = None
    if has_windows:
        counts = np.random.default_rng([SEED, seed, 1]).integers(1, 4, rows)
        first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    lengths = rng.integers(3, 14, rows if first is None else first[-1])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = rng.integers(3, 60, offsets[-1]).astype(np.int32)
    classes = rng.integers(0, 3, rows)
    classes[rows - unlabelled :] = -1
    return Tokens(ids, offsets, classes, first=first)


def taught(variant: Variant) -> Taught | None:
    if variant.unlabelled is None:
        return None
    rng = np.random.default_rng(3)
    logits, held = (rng.normal(size=(n, 3)).astype(np.float32) for n in (150, 40))
    how = Distillation(alpha=0.3, temperature=2.0, hidden=variant.hidden)
    inside = rng.normal(size=(150, 16)).astype(np.float16) if variant.hidden else None
    return Taught(how, logits, held, inside)


class Run:
    """One fine-tuning of a tiny BERT, on the real loop, checkpoints and generators."""

    def __init__(
        self, variant: Variant, folder: Path, stop_at: int | None = None, *, on_cpu: bool = True
    ) -> None:
        self.trace: list[StepTrace] = []
        self.stop = StopAt(stop_at)
        torch.manual_seed(7 + SEED)
        config = BertConfig(
            vocab_size=variant.words, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=32, max_position_embeddings=32, num_labels=3,
            hidden_dropout_prob=variant.p_dropout, attention_probs_dropout_prob=variant.p_dropout,
        )  # fmt: skip
        if variant.is_fast_dropout:
            config._attn_implementation = dropout.register()
        model = tiny.applied(BertForSequenceClassification(config), variant.method, folder / "base")
        layers.freeze(model, variant.training.get("frozen_layers"), "tiny")
        if variant.is_fast_dropout:
            dropout.replace_dropout(model)
        folder.mkdir(parents=True, exist_ok=True)
        log = EventLog(folder / "events.jsonl", started_monotonic_s=0, writes=False)
        self.saver = Saver(
            Checkpoints(folder / "checkpoints"), run="tiny-0123456789", candidate="tiny", token=1,
            writer="abcd", fingerprint={}, lifetime_s=1e9, every_s=1e9, log=log,
        )  # fmt: skip
        teach = self._teach if variant.training.get("linear_teacher") else None
        self.tuning = FineTuning(
            name="tiny", model=model, accelerator=Accelerator(cpu=on_cpu),
            training=Training(**(BASE | variant.training)), precision="fp32",
            tokens=tokens(150, 1, variant.unlabelled or 0, has_windows=variant.has_windows),
            validation=tokens(40, 2, has_windows=variant.has_windows), taught=taught(variant),
             pad_id=0, mask_id=1, classes=3, seed=SEED, log=log,
            stop=self.stop, saver=self.saver, trace=self._see, soft_targets=teach,
        )  # fmt: skip

    def _teach(self):
        """Another answer once something is saved: a run that goes on must not ask again."""
        rng = np.random.default_rng(len(self.saver._checkpoints.all()))
        return rng.dirichlet(np.ones(3), 150).astype(np.float32)

    def _see(self, step: StepTrace) -> None:
        self.trace.append(step)
        self.stop.see(step.step)

    def finish(self) -> Run:
        self.tuning.resume()
        self.tuning.run(end_monotonic_s=None)
        return self

    def state(self) -> dict[str, torch.Tensor]:
        """All that the next step, or the user, would see; generators are in the last save."""
        optimizer = getattr(self.tuning.optimizer, "optimizer", self.tuning.optimizer)
        model = self.tuning.bare_model
        parts = {"w": weights(model), "o": optimizer_tensors(model, optimizer)}
        _, tensors = self.saver.newest()
        kept = self.tuning.state.snapshots.items()
        parts |= {f"of cycle {number}": found for number, found in kept}
        parts |= {f"saved {name}": found for name, found in tensors.items()}
        return {f"{p} {n}": t for p, part in parts.items() for n, t in on_host(part).items()}


def assert_same(straight: Run, resumed: Run, trace: list[StepTrace], what: str) -> None:
    assert trace == straight.trace, what
    assert resumed.tuning.position == straight.tuning.position, what
    one, two = straight.state(), resumed.state()
    assert one.keys() == two.keys(), what
    different = [name for name in one if not torch.equal(one[name], two[name])]
    assert not different, f"{what}: {different[:5]}"


def assert_exact(variant: Variant, straight: Run, folder: Path, cuts: list[int]) -> None:
    """Stopped once at each of `cuts`, in processes' worth of objects of their own."""
    trace: list[StepTrace] = []
    for cut in [*cuts, None]:
        run = Run(variant, folder, stop_at=cut)
        # A stranger's draws between two sessions change nothing.
        torch.rand(3), np.random.rand(3), random.random()
        run.finish()
        trace += run.trace
    assert_same(straight, run, trace, f"cut at {cuts}")


@pytest.fixture
def straight(tmp_path):
    return lambda variant: Run(variant, tmp_path / "straight").finish()


@pytest.mark.parametrize("name", VARIANTS)
def test_some_cuts_are_exact(name, straight, tmp_path):
    """In one run: whatever a cut changes is seen in the steps after it.

    Two epochs and six cuts, for there are many variants; the slow test has all.
    """
    variant = VARIANTS[name]
    variant = replace(variant, training={"epochs": 2} | variant.training)
    whole = straight(variant)
    steps = len(whole.trace)
    assert steps > 20 or whole.tuning.position.stopped_early
    assert whole.tuning.position.stopped_early == (name == "early stop")
    rng = random.Random(f"{name}{SEED}")
    validated = whole.tuning.position.best_step
    cuts = {1, validated, steps - 1, steps, *rng.sample(range(2, steps - 1), 2)}
    assert_exact(variant, whole, tmp_path / "cut", sorted(cuts))


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_every_cut_is_exact(name, straight, tmp_path):
    """Each step of some 40 as the cut, and 20 runs with one to five cuts; `-rP` shows how many."""
    variant = VARIANTS[name]
    variant = replace(variant, training=variant.training | {"epochs": 4})
    whole = straight(variant)
    steps = len(whole.trace)
    for cut in range(1, steps + 1):
        assert_exact(variant, whole, tmp_path / str(cut), [cut])
    rng = random.Random(f"{name}{SEED}")
    for number in range(20):
        cuts = sorted(rng.sample(range(1, steps), rng.randrange(1, 6)))
        assert_exact(variant, whole, tmp_path / f"random {number}", cuts)
    print(f"{name}: {steps} single cuts and 20 runs with several, all the same")


def test_each_cycle_leaves_its_weights_as_they_were_judged(straight, tmp_path):
    """Patience ends nothing; the averaged weights are those that are kept; and the last ones are
    those of the end."""
    whole = straight(VARIANTS["cycles"])
    kept, steps = whole.tuning.state.snapshots, len(whole.trace)
    assert sorted(kept) == [1, 2, 3] and not whole.tuning.position.stopped_early
    assert whole.tuning.position.validations_without_gain > 1
    _, saved = whole.saver.newest()
    for cycle, weights_then in kept.items():
        assert all(torch.equal(saved[f"snapshot-{cycle}"][n], t) for n, t in weights_then.items())
    average = whole.tuning.state.options["ema"].state()
    assert all(torch.equal(kept[3][name], tensor) for name, tensor in average.items())
    assert any(not torch.equal(kept[1][name], kept[3][name]) for name in average)
    first = Run(VARIANTS["cycles"], tmp_path / "first", stop_at=-(-steps // 3)).finish()
    held = first.tuning.state.options["ema"].state()
    assert all(torch.equal(kept[1][name], tensor) for name, tensor in held.items())


def test_a_finished_run_is_not_trained_further(straight, tmp_path):
    whole = straight(VARIANTS["early stop"])
    again = Run(VARIANTS["early stop"], tmp_path / "straight").finish()
    assert not again.trace
    assert again.tuning.position == whole.tuning.position


def test_what_does_not_fit_is_refused_and_changes_nothing(straight, tmp_path):
    from agnews_cli.learn.state.snapshot import Misfit

    straight(VARIANTS["plain"])
    other = Run(VARIANTS["method lora"], tmp_path / "straight")
    before = on_host(weights(other.tuning.bare_model))
    with pytest.raises(Misfit, match="missing"):
        other.tuning.resume()
    after = weights(other.tuning.bare_model)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert other.tuning.position.step == 0


def test_three_failed_saves_in_a_row_stop_the_run_and_one_does_not(tmp_path):
    from agnews_cli.errors import CannotSave
    from agnews_cli.store.disk import files

    run = Run(VARIANTS["plain"], tmp_path / "failing")
    run.saver._every_s = 1e-9  # save at every step
    failures = 0

    def fail(operation: str, path: Path) -> None:
        nonlocal failures
        if operation == "fsync" and failures < most:
            failures += 1
            raise OSError(28, "No space left on device")

    most = 2
    with files.observed(fail):
        run.finish()
    assert run.tuning.position.is_over
    most, failures = 99, 0
    run = Run(VARIANTS["plain"], tmp_path / "failing for good")
    run.saver._every_s = 1e-9
    with files.observed(fail), pytest.raises(CannotSave, match="3 checkpoints in a row"):
        run.finish()


def test_a_last_save_that_fails_is_tried_again_and_costs_no_finished_model(tmp_path):
    """Paused: until it is whole, or has failed three times. Over: what is trained is delivered."""
    from agnews_cli.errors import CannotSave
    from agnews_cli.store.disk import files

    failures = 0

    def fail(operation: str, path: Path) -> None:
        nonlocal failures
        if operation == "fsync" and failures < most:
            failures += 1
            raise OSError(5, "Input/output error")

    for stop_at, most in ((10, 2), (10, 99), (None, 2), (None, 99)):
        failures = 0
        run = Run(VARIANTS["plain"], tmp_path / f"{stop_at} {most}", stop_at=stop_at)
        is_lost = stop_at is not None and most == 99
        with files.observed(fail):
            if is_lost:
                with pytest.raises(CannotSave, match="3 checkpoints in a row"):
                    run.finish()
            else:
                run.finish()
        position = run.tuning.position
        assert position.interrupted == (stop_at is not None)
        found = run.saver.newest()
        assert (found is None) == (most == 99)
        assert found is None or found[0].manifest.step == position.step


def test_a_loss_that_is_not_finite_is_never_saved_and_the_best_model_is_kept(tmp_path):
    from agnews_cli.errors import NonFiniteLoss

    run = Run(VARIANTS["plain"], tmp_path / "broken")
    run.saver._every_s = 1e-9  # save at every step

    def poison(step: StepTrace) -> None:
        if step.step == 20:
            next(iter(run.tuning.bare_model.parameters())).data.fill_(float("nan"))

    run.tuning.trace = poison
    with pytest.raises(NonFiniteLoss, match=r"the model of step .* is kept"):
        run.finish()
    assert all(torch.isfinite(t).all() for t in weights(run.tuning.bare_model).values())
    run.saver.finish()
    _, tensors = run.saver.newest()
    assert all(torch.isfinite(t).all() for t in tensors["weights"].values())
