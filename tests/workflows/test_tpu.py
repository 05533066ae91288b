"""A TPU that computes trains on one of its chips, or says before anything begins why not."""

from __future__ import annotations

import pytest

from agnews_cli.core.machine.probe import Device, Operation, ProbeReport
from agnews_cli.errors import TpuUntrained, UsageError
from agnews_cli.host import probe
from agnews_cli.workflows.train import auto
from agnews_cli.workflows.train.auto import Request
from agnews_cli.workflows.train.plans import Plan
from agnews_cli.workflows.train.scene import SAMPLE

PASSED = ProbeReport(
    torch="2.9.0",
    xla="2.9.0",
    devices=(
        Device(kind="tpu", name="TPU", operations=(Operation(precision="fp32", tflops=9.0),)),
    ),
    stage="ended",
    state="done",
)


@pytest.fixture
def on_a_tpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of Kaggle, whose probe finds that it computes."""
    monkeypatch.setenv("AGNEWS_PLATFORM", "kaggle")
    monkeypatch.setenv("TPU_ACCELERATOR_TYPE", "v5e-8")
    monkeypatch.setattr(probe, "run", lambda *_: PASSED)


@pytest.mark.usefixtures("on_a_tpu")
def test_one_chip_of_it_trains_and_that_nobody_has_tried_it_is_said() -> None:
    plan = auto.prepare(Request.of(data=SAMPLE, preset="linear"))
    assert isinstance(plan, Plan)
    assert (plan.scene.platform.accelerator.kind, plan.scene.processes) == ("tpu", 1)
    assert sum("on no TPU yet" in reason for reason in plan.reasons) == 1


@pytest.mark.usefixtures("on_a_tpu")
def test_several_processes_are_refused_there() -> None:
    """They were started as several GPUs once."""
    with pytest.raises(UsageError) as caught:
        auto.prepare(Request.of(data=SAMPLE, preset="linear", processes=8))
    assert "--processes 8" in caught.value.message and "one chip" in caught.value.message


@pytest.mark.usefixtures("on_a_tpu")
@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("method.kind=qlora", "no kernels for a TPU"),
        ("training.optimizer=adamw_8bit", "no kernels for a TPU"),
        ("training.mixup=0.2", "rows of a pass"),
        ("training.contrastive=0.5", "rows of a pass"),
        ("training.swa=0.5", "XLA deletes"),
        ("model.id=xlnet/xlnet-base-cased", "XLNet"),
    ],
)
def test_what_does_not_train_there_is_refused_with_what_to_do_instead(
    setting: str, why: str
) -> None:
    with pytest.raises(TpuUntrained) as caught:
        auto.prepare(Request.of(data=SAMPLE, preset="minilm", settings=(setting,)))
    assert caught.value.message.startswith("TPU v5e: minilm does not train there: ")
    assert why in caught.value.message
    assert caught.value.exit_code == 78
    for way in ("GPU T4 x2", "PJRT_DEVICE=CPU agnews auto"):
        assert way in caught.value.advice


@pytest.mark.usefixtures("on_a_tpu")
def test_its_host_trains_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PJRT_DEVICE", "CPU")
    plan = auto.prepare(Request.of(data=SAMPLE, preset="linear"))
    assert plan.scene.platform.accelerator.kind == "cpu"
