"""The probe's child: what a device that fails, or computes wrongly, does to the report."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from agnews_cli.core.machine.probe import Device, ProbeReport  # noqa: E402
from agnews_cli.learn import probe_device  # noqa: E402

pytestmark = pytest.mark.train


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_device, "_tflops", lambda *_: 1.0)


def with_gpu(monkeypatch: pytest.MonkeyPatch, target: Any) -> None:
    gpu = Device(kind="cuda", name="Tesla P100", capability=(6, 0))
    monkeypatch.setattr(probe_device, "_gpus", lambda _: [(gpu, target, lambda: None)])


def test_a_device_that_fails_ends_nothing(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's meta device computes nothing: each precision fails in words, the CPU still works."""
    with_gpu(monkeypatch, torch.device("meta"))
    out = io.StringIO()
    report = probe_device.probe(out)
    gpu, cpu = report.devices
    assert [o.error is not None for o in gpu.operations] == [True] * 3
    assert all("meta" in str(o.error) and "\n" not in str(o.error) for o in gpu.operations)
    assert cpu.computes and report.state == "done"
    lines = [
        ProbeReport.model_validate_json(line, strict=True) for line in out.getvalue().splitlines()
    ]
    assert lines[-1] == report
    # Whoever reads knows what was being done, should it hang there.
    assert "fp16 on cuda 0 (Tesla P100)" in [line.stage for line in lines]
    assert all(line.state == "running" for line in lines[:-1])


@pytest.mark.parametrize("spoil", [lambda x: x * 1.5, lambda x: x * float("nan")])
def test_a_wrong_result_is_no_result(
    quick: None, monkeypatch: pytest.MonkeyPatch, spoil: Any
) -> None:
    real = probe_device._layer

    def layer(device: Any, dtype: Any) -> Any:
        found = real(device, dtype)
        return spoil(found) if dtype == torch.float16 else found

    monkeypatch.setattr(probe_device, "_layer", layer)
    (cpu,) = probe_device.probe(io.StringIO()).devices
    told = {o.precision: o.error for o in cpu.operations}
    assert told["fp32"] is None and told["bf16"] is None
    assert "wrong" in str(told["fp16"]) or "not finite" in str(told["fp16"])


def test_cuda_that_does_not_start_is_said_in_words(
    quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "The NVIDIA driver on your system is too old (found version 11040).\nPlease update."

    def init() -> None:
        raise RuntimeError(words)

    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "init", init)
    report = probe_device.probe(io.StringIO())
    assert report.cuda_error == f"RuntimeError: {words.splitlines()[0]}"
    assert [d.kind for d in report.devices] == ["cpu"] and report.state == "done"


def test_what_libraries_print_is_not_the_report() -> None:
    code = (
        "import os\n"
        "from agnews_cli.learn import probe_device as p\n"
        "out = p._own_output()\n"
        "print('a library greets you', flush=True)\n"
        "os.system('echo and so does a process')\n"
        "out.write('{}\\n'); out.flush()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "{}\n"
    assert "greets you" in done.stderr and "a process" in done.stderr
