"""Out of memory on the way: the step is done again in smaller passes, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")

from agnews_cli.errors import OneTextTooLarge, OutOfMemory  # noqa: E402
from agnews_cli.learn.loop import step  # noqa: E402
from agnews_cli.learn.loop.forward import Alone, predict  # noqa: E402
from tests.learn.test_resume import Run, Variant, assert_same, tokens  # noqa: E402

PLAIN = Variant({"epochs": 1}, p_dropout=0.0)
FROM_STEP = 6
REASONS = {
    "forward": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore"),
    "backward": RuntimeError("[enforce fail at alloc_cpu.cpp:75] DefaultCPUAllocator: not enough "
                             "memory: you tried to allocate 99 bytes."),
}  # fmt: skip


class Small(Run):
    """From step `FROM_STEP` on, no pass of more than `most` tokens fits."""

    def __init__(
        self, variant: Variant, folder: Path, *, most: int = 50, where: str = "forward", **more: Any
    ) -> None:
        super().__init__(variant, folder, **more)
        self.failed, self.warned = 0, []
        log, model = self.tuning.log, self.tuning.bare_model
        whole: Callable[..., Any] = model.forward

        def fail() -> None:
            self.failed += 1
            raise REASONS[where]

        def forward(input_ids: Any, **batch: Any) -> Any:
            is_full = self.tuning.position.step >= FROM_STEP and input_ids.numel() > most
            if not model.training or not is_full:
                return whole(input_ids=input_ids, **batch)
            if where == "forward":
                torch.rand(7)  # as the dropout of the layers that still fitted
                fail()
            answer = whole(input_ids=input_ids, **batch)
            answer.logits.register_hook(lambda gradient: fail())
            return answer

        model.forward = forward
        keep = lambda kind, **data: self.warned.append(data["text"]) if kind == "warning" else None  # noqa: E731
        self.tuning.log = lambda kind, **data: (keep(kind, **data), log(kind, **data))


@pytest.mark.parametrize("where", REASONS)
@pytest.mark.parametrize("training", [{}, {"r_drop": 1.0, "sam": 0.05}], ids=str)
def test_the_batch_stays_and_passes_are_halved(tmp_path, where, training):
    variant = replace(PLAIN, training=PLAIN.training | training)
    never = Run(variant, tmp_path / "never").finish()
    found = Small(variant, tmp_path / "small", where=where).finish()
    assert found.failed
    assert 25 <= found.tuning.position.pass_tokens <= 50
    assert [(one.rows, one.lr) for one in found.trace] == [
        (one.rows, one.lr) for one in never.trace
    ]
    losses = [[one.loss for one in run.trace] for run in (found, never)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert losses[0][:FROM_STEP] == losses[1][:FROM_STEP]
    assert len(found.warned) == found.failed
    said = found.warned[0]
    assert (
        said.startswith(f"tiny: out of memory at step {FROM_STEP + 1} with ") and "\n" not in said
    )
    assert f"at most {found.tuning.position.pass_tokens}" in found.warned[-1]


def test_a_resumed_run_goes_on_in_the_smaller_passes_bit_for_bit(tmp_path):
    variant = Variant({"epochs": 1, "r_drop": 1.0})
    straight = Small(variant, tmp_path / "straight").finish()
    assert straight.failed
    trace = []
    for cut in (FROM_STEP, FROM_STEP + 4, None):
        run = Small(variant, tmp_path / "cut", stop_at=cut).finish()
        trace += run.trace
        assert bool(run.failed) == (cut == FROM_STEP + 4)  # and is not run into again
    assert_same(straight, run, trace, "out of memory")


def test_dropout_is_drawn_as_if_the_pass_that_failed_had_not_been(tmp_path):
    """The smaller passes of the step draw what they draw where nothing failed before them."""
    variant = Variant({"epochs": 1})
    found = Small(variant, tmp_path / "found").finish()
    smaller = found.tuning.position.pass_tokens
    known = Run(variant, tmp_path / "known", stop_at=FROM_STEP).finish()
    known.tuning.position.pass_tokens = smaller
    known.stop.step, known.stop.is_set = None, False
    known.tuning.position.interrupted = False
    known.tuning.run(end_monotonic_s=None)
    assert known.trace == found.trace


def test_one_text_that_does_not_fit_ends_with_what_would_help(tmp_path):
    with pytest.raises(OneTextTooLarge) as caught:
        Small(PLAIN, tmp_path, most=2).finish()
    assert "with one text of " in caught.value.message
    for way in ("training.gradient_checkpointing=true", "method.kind=lora", "agnews presets ls"):
        assert way in caught.value.advice
    assert caught.value.exit_code == 70


def test_another_error_is_no_matter_of_memory(tmp_path, monkeypatch):
    monkeypatch.setitem(REASONS, "forward", RuntimeError("mat1 and mat2 cannot be multiplied"))
    run = Small(PLAIN, tmp_path)
    with pytest.raises(RuntimeError, match="mat1"):
        run.finish()
    assert run.failed == 1


def test_several_processes_end_with_the_setting_that_halves_passes(tmp_path):
    """One alone cannot do a step again: the others wait for its gradients."""
    run = Run(PLAIN, tmp_path)
    stepper = run.tuning._stepper
    accelerator = SimpleNamespace(num_processes=2)
    stepper.state = replace(stepper.state, accelerator=accelerator)
    stepper._passing = (8, 96)
    with pytest.raises(OutOfMemory) as caught:
        step.Stepper._halve(stepper, "CUDA out of memory")
    assert "training.micro_batch_tokens=48" in caught.value.advice


def test_predicting_goes_on_in_halves(tmp_path):
    model, rows = Run(PLAIN, tmp_path).tuning.bare_model, tokens(60, 5)
    facts = (rows, 0, Alone(torch.device("cpu")), 400)
    expected, whole = predict(model, *facts), model.forward

    def forward(input_ids: Any, **batch: Any) -> Any:
        if input_ids.numel() > 100:
            raise REASONS["forward"]
        return whole(input_ids=input_ids, **batch)

    model.forward = forward
    assert predict(model, *facts) == pytest.approx(expected, abs=1e-6)
