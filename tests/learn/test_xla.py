"""Training by XLA, on the host's CPU: PJRT_DEVICE=CPU, where torch_xla is installed.

Not part of CI: torch_xla wants a torch of its own. The README has the commands.
"""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
pytest.importorskip("torch_xla")
if os.environ.get("PJRT_DEVICE") != "CPU":
    pytest.skip("needs PJRT_DEVICE=CPU", allow_module_level=True)

from accelerate.state import AcceleratorState, GradientState, PartialState  # noqa: E402
from torch_xla.debug import metrics  # noqa: E402
from transformers import (  # noqa: E402
    AutoModelForSequenceClassification,
    BertForSequenceClassification,
)

from agnews_cli.core.machine.accelerator import tpu  # noqa: E402
from agnews_cli.core.run import on_tpu  # noqa: E402
from agnews_cli.host import launch  # noqa: E402
from agnews_cli.learn import methods, optimizers, options  # noqa: E402
from agnews_cli.learn.door.xla import place  # noqa: E402
from agnews_cli.learn.kinds.registry import modules  # noqa: E402
from agnews_cli.learn.loop import forward, step  # noqa: E402
from agnews_cli.learn.rows.shapes import Shapes  # noqa: E402
from agnews_cli.learn.rows.tokens import Tokens  # noqa: E402
from tests.learn import families, test_resume, tiny  # noqa: E402
from tests.learn.test_resume import Run, Variant, assert_same  # noqa: E402

FLAT = Variant({"lr": 1e-3}, p_dropout=0.0, is_fast_dropout=False)
DRAWN = replace(FLAT, p_dropout=0.1)


@pytest.fixture(autouse=True)
def own_device() -> Iterator[None]:
    """accelerate takes one device in a process; each run here has its own."""
    yield
    forget_device()


def forget_device() -> None:
    for state in (AcceleratorState, PartialState, GradientState):
        state._reset_state()


def run(variant: Variant, folder: Path, *, on_cpu: bool = False, stop_at: int | None = None) -> Run:
    forget_device()
    return Run(variant, folder, stop_at, on_cpu=on_cpu).finish()


def compiled() -> int:
    found = metrics.metric_data("CompileTime")
    return 0 if found is None else found[0]


WAYS = {
    "plain": {},
    "distilled, rows without labels": {"unlabelled": 40},
    "windows, class weights": {
        "has_windows": True,
        "training": {"lr": 1e-3, "class_weights": "balanced"},
    },
}
REFUSED = {"mixup", "contrastive", "swa", "adamw_8bit", "qlora"}
WAYS |= {
    f"option {name}": {"training": {"lr": 1e-3} | one.EXAMPLE}
    for name, one in modules(options).items()
    if name not in REFUSED | {"freelb"}  # which draws where it starts on the device
}
WAYS |= {
    f"optimizer {name}": {"training": {"lr": 1e-3, "optimizer": name}}
    for name in modules(optimizers)
    if name not in REFUSED | {"adamw"}
}
WAYS |= {
    f"method {name}": {"method": tiny.method(name)}
    for name in modules(methods)
    if name not in REFUSED | {"full"}
}


@pytest.mark.parametrize("changes", WAYS.values(), ids=WAYS)
def test_it_trains_to_the_same_losses_as_the_cpu(changes, tmp_path: Path) -> None:
    """Also that texts which fill a pass up count for nothing: the CPU has none."""
    variant = replace(FLAT, **changes)
    there = run(variant, tmp_path / "xla")
    assert there.tuning.accelerator.device.type == "xla"
    here = run(variant, tmp_path / "cpu", on_cpu=True)
    losses = [[step.loss for step in one.trace] for one in (there, here)]
    assert len(losses[0]) == len(losses[1]) >= 20
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert [step.rows for step in there.trace] == [step.rows for step in here.trace]
    assert there.tuning.position.lowest_loss == pytest.approx(
        here.tuning.position.lowest_loss, rel=1e-4
    )


@pytest.mark.parametrize("option", [{}, {"r_drop": 1.0}, {"micro_batch_tokens": 64}, {"ema": 0.9}])
def test_stopped_and_gone_on_with_it_is_the_same_bit_for_bit(option, tmp_path: Path) -> None:
    variant = replace(DRAWN, training=DRAWN.training | option)
    straight = run(variant, tmp_path / "straight")
    cut = straight.tuning.position.step // 2
    first = run(variant, tmp_path / "cut", stop_at=cut)
    second = run(variant, tmp_path / "cut")
    assert second.trace[0].step == cut + 1
    assert_same(straight, second, [*first.trace, *second.trace], str(option))


def test_programs_are_compiled_once_for_each_shape(tmp_path: Path, monkeypatch) -> None:
    """A pass of training has one for each shape, one of validation too, and a step's end has two:
    the first makes the optimizer's moments. 100 steps then compile nothing that 25 have not."""

    def of_many_lengths(rows: int, seed: int, *_: int, **__: bool) -> Tokens:
        rng = np.random.default_rng(seed)
        offsets = np.concatenate([[0], np.cumsum(rng.integers(3, 33, rows))]).astype(np.int64)
        ids = rng.integers(3, 60, offsets[-1]).astype(np.int32)
        return Tokens(ids, offsets, rng.integers(0, 3, rows))

    def counting(owner, name: str, shape_of) -> tuple[list[int], set[tuple[int, ...]]]:
        """How many programs each call of a function compiled, and the shapes that it was given."""
        real, compiles, shapes = getattr(owner, name), [], set()

        def counted(*given, **named):
            before = compiled()
            found = real(*given, **named)
            compiles.append(compiled() - before)
            shapes.add(shape_of(*given))
            return found

        monkeypatch.setattr(owner, name, counted)
        return compiles, shapes

    monkeypatch.setattr(test_resume, "tokens", of_many_lengths)
    _, shapes = counting(Shapes, "padded", lambda shapes, batch, pad_id: (
        shapes.texts(length := shapes.length(batch["input_ids"].shape[1])), length
    ))  # fmt: skip
    of_passes, _ = counting(step.Stepper, "_gradients", lambda *_: ())
    of_validation, _ = counting(forward, "_fitting", lambda *_: ())
    counts = []
    for epochs in (1, 4):
        metrics.clear_all()
        variant = replace(DRAWN, training=DRAWN.training | {"epochs": epochs})
        done = run(variant, tmp_path / str(epochs))
        counts.append((done.tuning.position.step, compiled()))
    (few, once), (many, again) = counts
    trained = {(4, 32), (8, 16)}
    assert many > 3 * few and again == 0
    assert trained < shapes
    assert sum(of_passes) == len(trained)
    assert sum(of_validation) == len(shapes - trained)
    assert once <= len(shapes) + 3  # a step's end, first and later; gradients, once zero


def test_a_launched_job_delivers_what_any_other_does(tmp_path: Path) -> None:
    base, folder = tiny.model_folder(tmp_path / "base"), tmp_path / "tiny-0123456789"
    data = tiny.csv_file(tmp_path / "rows.csv", {"sun": 120, "sea": 120})
    folder.mkdir()
    asked = tiny.order(folder, data, tiny.preset(base, lr=1e-3, epochs=2), candidates=("finetune",))
    (folder / "job.json").write_text(asked.model_dump_json())
    log = folder / "worker.log"
    worker = launch.start(folder / "job.json", log, tpu("v5e-8"), processes=1, cpu_count=1)
    try:
        ended = time.monotonic() + 300
        while worker.poll() is None and time.monotonic() < ended:
            time.sleep(0.2)
    finally:
        worker.close()
    outcome = json.loads((folder / "outcome.json").read_text())
    assert (worker.poll(), outcome["state"]) == (0, "completed"), log.read_text()
    machine = json.loads((folder / "environment.json").read_text())
    assert (machine["device"], machine["precision"]) == ("xla", "bf16")
    loaded = BertForSequenceClassification.from_pretrained(folder / "model")
    assert all(weight.isfinite().all() for weight in loaded.parameters())


@pytest.mark.parametrize("family", sorted(set(families.FAMILIES) - set(on_tpu.UNSUITED)))
def test_each_family_has_the_losses_and_gradients_of_the_cpu(family: str, tmp_path: Path) -> None:
    import torch_xla

    folder = families.make(tmp_path / family, family)
    one = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3).eval()
    other = copy.deepcopy(one)
    place(other, torch_xla.device())
    asked = {"labels": torch.tensor([0, 1, 2, 0])} | families.batch(family)
    losses = []
    for model in (one, other):
        device = next(model.parameters()).device
        loss = model(**{name: tensor.to(device) for name, tensor in asked.items()}).loss
        loss.backward()
        torch_xla.sync()
        losses.append(float(loss.detach()))
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    theirs = dict(other.named_parameters())
    for name, weight in one.named_parameters():
        grad = theirs[name].grad
        assert (grad is None) == (weight.grad is None), name
        if grad is not None:
            assert torch.allclose(grad.cpu(), weight.grad, rtol=1e-3, atol=1e-5), name
