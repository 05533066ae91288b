"""The probe with real children: torch on this CPU, and children that hang, die and babble."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agnews_cli.core.machine.accelerator import Accelerator
from agnews_cli.core.machine.platform import Platform
from agnews_cli.core.machine.probe import Device, Operation, ProbeReport
from agnews_cli.host import probe

CPU = Accelerator("cpu", "Some CPU")
T4 = Accelerator("cuda", "Tesla T4", 1, 16 * 10**9, (7, 5), False, "580.82")
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
WORKS = tuple(Operation(precision=p, tflops=1.0) for p in ("fp32", "fp16", "bf16"))
GOOD = ProbeReport(
    torch="2.11.0+cu128",
    cuda="12.8",
    arch_list=("sm_75",),
    devices=(Device(kind="cuda", name="Tesla T4", capability=(7, 5), operations=WORKS),),
    state="done",
)


def machine(accelerator: Accelerator) -> Platform:
    return Platform("local", "terminal", accelerator, 2, None, None, None, "assumed", ())


def child(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


@pytest.mark.train
def test_the_real_child_computes_on_this_cpu() -> None:
    pytest.importorskip("torch")
    found = probe.verdict(machine(CPU), timeout_s=300, remember=False)
    assert found.report.state == "done" and found.report.torch
    (cpu,) = (d for d in found.report.devices if d.kind == "cpu")
    assert [o.precision for o in cpu.operations] == ["fp32", "fp16", "bf16"]
    assert cpu.computes and (cpu.tflops("fp32") or 0) > 0
    assert not any(f.level == "mend" for f in found.findings), found.findings
    assert found.accelerator == CPU


@pytest.mark.train
def test_a_gpu_that_torch_does_not_see_is_found_by_the_real_child() -> None:
    """NVML says T4, this torch sees none: what a CPU build beside a GPU is."""
    pytest.importorskip("torch")
    accelerator, notes = probe.usable(machine(T4), remember=False, timeout_s=300)
    assert accelerator.kind == "cpu"
    assert any("T4" in note and "pip install" in note for note in notes) or "Restart" in notes[0]


def test_a_cpu_is_believed_without_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "run", lambda *_: pytest.fail("a child was started"))
    assert probe.usable(machine(CPU)) == (CPU, ())


def test_a_child_that_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    beat = tmp_path / "beat"
    grandchild = f"import time\nwhile True: open({str(beat)!r}, 'w').close(); time.sleep(0.05)"
    code = (
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', {grandchild!r}])\n"
        """print('{"torch": "2.13.0", "stage": "fp32 on cuda 0"}', flush=True)\n"""
        """print('{"torch": "2.13', end='', flush=True)\n"""
        "time.sleep(600)"
    )
    begun_s = time.monotonic()
    found = probe.run(T4, 3.0, child(code))
    assert time.monotonic() - begun_s < 20
    assert (found.state, found.torch, found.stage) == ("timed out", "2.13.0", "fp32 on cuda 0")
    time.sleep(0.3)
    last = beat.stat().st_mtime_ns
    time.sleep(0.3)
    assert beat.stat().st_mtime_ns == last


def test_what_leaves_the_childs_group_cannot_hold_us_up(tmp_path: Path) -> None:
    """A daemon that keeps the pipe open: it is left behind, with what was said before."""
    pid = tmp_path / "pid"
    daemon = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    code = (
        "import subprocess, sys, time\n"
        """print('{"torch": "2.13.0", "stage": "starting XLA"}', flush=True)\n"""
        f"subprocess.Popen([sys.executable, '-c', {daemon!r}], start_new_session=True)\n"
        "time.sleep(600)"
    )
    begun_s = time.monotonic()
    found = probe.run(T4, 3.0, child(code))
    assert time.monotonic() - begun_s < 30
    assert (found.state, found.stage) == ("timed out", "starting XLA")
    if pid.exists():
        os.kill(int(pid.read_text()), 9)


def test_how_a_child_died_is_said() -> None:
    died = probe.run(T4, 60.0, child("import os; os.kill(os.getpid(), 4)"))
    assert died.state == "died" and "SIGILL" in str(died.error)
    broken = probe.run(T4, 60.0, child("raise OSError('libcudart.so.12: cannot open')"))
    assert "libcudart" in str(broken.error) and "exit code 1" in str(broken.error)
    silent = probe.run(T4, 60.0, child("print('not JSON'); print('{\"torch\": 3}')"))
    assert silent.state == "died" and silent.torch is None


def test_the_child_sees_no_misleading_tpu_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TPU_PROCESS_ADDRESSES", "local")
    code = (
        "import os, json\n"
        "stage = os.environ.get('TPU_PROCESS_ADDRESSES', '-')\n"
        "print(json.dumps({'state': 'done', 'stage': stage}))"
    )
    assert probe.run(Accelerator("tpu", "TPU v5e", 8), 60.0, child(code)).stage == "-"
    assert probe.run(T4, 60.0, child(code)).stage == "local"


class Runs:
    """Stands for the child; counts how often it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, report: ProbeReport = GOOD) -> None:
        self.report, self.count = report, 0
        monkeypatch.setattr(probe, "run", self)
        monkeypatch.setattr(probe, "_version", lambda package: {"torch": "2.11.0"}.get(package))

    def __call__(self, believed: Accelerator, timeout_s: float) -> ProbeReport:
        self.count += 1
        return self.report


def ask(accelerator: Accelerator = T4, now: datetime = NOW) -> probe.Verdict:
    return probe.verdict(machine(accelerator), now=now)


def test_a_probe_is_remembered_for_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Runs(monkeypatch)
    assert ask().report == ask(now=NOW + timedelta(hours=23)).report == GOOD
    assert runs.count == 1
    assert ask(now=NOW + timedelta(hours=23)).probed_at == NOW
    ask(now=NOW + timedelta(hours=25))
    assert runs.count == 2
    ask(now=NOW - timedelta(hours=5))  # the clock was set back: nothing is known of that time
    assert runs.count == 3


def test_another_torch_driver_or_device_is_probed_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Runs(monkeypatch)
    ask()
    ask(Accelerator("cuda", "Tesla T4", 1, 16 * 10**9, (7, 5), False, "590.1"))
    ask(Accelerator("cuda", "Tesla T4", 2, 16 * 10**9, (7, 5), False, "580.82"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    ask()
    monkeypatch.setattr(probe, "_version", lambda package: "2.12.0")
    ask()
    assert runs.count == 5


@pytest.mark.parametrize("state", ["timed out", "died"])
def test_what_came_to_no_end_is_not_remembered(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    runs = Runs(monkeypatch, GOOD.model_copy(update={"state": state}))
    ask(), ask()
    assert runs.count == 2


def test_a_damaged_or_unwritable_memory_costs_a_probe_and_no_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs = Runs(monkeypatch)
    ask()
    (kept,) = (Path(os.environ["AGNEWS_CACHE"]) / "probe").iterdir()
    kept.write_text('{"probed_at": "2026-11-25T12:00:00Z", "report": {"torch": 3}}')
    assert ask().report == GOOD and runs.count == 2
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AGNEWS_CACHE", str(tmp_path / "file" / "cache"))
    assert ask().report == GOOD and runs.count == 3


def test_nothing_is_written_when_asked_not_to(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Runs(monkeypatch)
    for _ in range(2):
        accelerator, notes = probe.usable(machine(T4), remember=False)
    assert accelerator.kind == "cuda" and any("bf16 is emulated" in note for note in notes)
    assert runs.count == 2
    assert not Path(os.environ["AGNEWS_CACHE"]).exists()


def test_without_torch_there_is_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_version", lambda package: None)
    monkeypatch.setattr(probe.children, "start", lambda *_, **__: pytest.fail("a child"))
    found = probe.verdict(machine(T4), remember=False)
    assert [f.check for f in found.findings] == ["torch"]
