"""`gather` over a fake NVML and fake cgroup trees, and once over the real machine."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agnews_cli.core.machine.markers import MARKER_PATHS
from agnews_cli.host import detect
from agnews_cli.host.detect import _cgroup_limits, _cpu, _disk_free_bytes, gather

GIB = 2**30


class Nvml:
    """The few calls of pynvml that are used; a device is (uuid, name, GiB, capability, slices)."""

    def __init__(self, *devices: Any, broken: str | None = None) -> None:
        self.devices, self.broken, self.shut = devices, broken, 0

    def nvmlInit(self) -> None:
        if self.broken:
            raise RuntimeError(self.broken)

    def nvmlShutdown(self) -> None:
        self.shut += 1

    def nvmlSystemGetDriverVersion(self) -> bytes:
        return b"580.82"

    def nvmlDeviceGetCount(self) -> int:
        return len(self.devices)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any:
        if self.devices[index] is None:
            raise RuntimeError("GPU is lost")
        return self.devices[index]

    def nvmlDeviceGetUUID(self, device: Any) -> str:
        return device[0]

    def nvmlDeviceGetName(self, device: Any) -> bytes:
        return device[1].encode()

    def nvmlDeviceGetMemoryInfo(self, device: Any) -> Any:
        if device[2] is None:
            raise RuntimeError("Not Supported")
        return SimpleNamespace(total=device[2] * GIB)

    def nvmlDeviceGetCudaComputeCapability(self, device: Any) -> tuple[int, int]:
        return device[3]

    def nvmlDeviceGetMigMode(self, device: Any) -> list[int]:
        if device[4] is None:
            raise RuntimeError("Not Supported")
        return [1, 1]

    def nvmlDeviceGetMaxMigDeviceCount(self, device: Any) -> int:
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, device: Any, index: int) -> Any:
        return device[4][index]


def t4(uuid: str = "GPU-a") -> Any:
    return (uuid, "Tesla T4", 15, (7, 5), None)


def a100(uuid: str = "GPU-b", slices: Any = None) -> Any:
    return (uuid, "NVIDIA A100", 40, (8, 0), slices)


def look(monkeypatch: pytest.MonkeyPatch, nvml: Nvml, visible: str | None = None) -> Any:
    monkeypatch.setitem(sys.modules, "pynvml", nvml)  # type: ignore[arg-type]
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    for name in ("TPU_ACCELERATOR_TYPE", "COLAB_TPU_1VM", "ISTPUVM", "PJRT_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    return gather(".")


def test_two_t4(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = Nvml(t4("GPU-a"), t4("GPU-b"))
    gpu = look(monkeypatch, nvml).accelerator
    assert (gpu.kind, gpu.name, gpu.count, gpu.memory_bytes) == ("cuda", "Tesla T4", 2, 15 * GIB)
    assert (gpu.capability, gpu.has_fast_bf16, gpu.driver) == ((7, 5), False, "580.82")
    assert nvml.shut == 1


@pytest.mark.parametrize(
    ("visible", "count"),
    [("0", 1), ("1,0", 2), ("", 0), ("-1", 0), ("0,-1,1", 1), ("0,0", 1), ("7", 0),
     ("GPU-a", 1), ("GPU-", 1), ("GPU-z", 0), (" 1 , 0 ", 2), ("NoDevFiles", 0)],
)  # fmt: skip
def test_visible(monkeypatch: pytest.MonkeyPatch, visible: str, count: int) -> None:
    found = look(monkeypatch, Nvml(t4("GPU-a"), t4("GPU-b")), visible)
    if count:
        assert (found.accelerator.kind, found.accelerator.count) == ("cuda", count)
        assert found.accelerator.hidden == 2 - count
    else:
        assert found.accelerator.kind == "cpu"
        assert "hides 2" in found.measured[0].finding


def test_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    slices = [("MIG-1", "NVIDIA A100 MIG 1g.5gb", 5, None, None)] * 2 + [None] * 5
    gpu = look(monkeypatch, Nvml(a100(slices=slices))).accelerator
    assert (gpu.count, gpu.memory_bytes, gpu.capability) == (1, 5 * GIB, (8, 0))
    assert gpu.has_fast_bf16 and gpu.hidden == 0


def test_a_lost_gpu_and_unknown_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = look(monkeypatch, Nvml(None, ("GPU-c", "NVIDIA GB10", None, (12, 1), None))).accelerator
    assert (gpu.count, gpu.memory_bytes, gpu.has_fast_bf16) == (1, None, True)


@pytest.mark.parametrize("nvml", [Nvml(), Nvml(None), Nvml(broken="Driver Not Loaded")])
def test_no_cuda(monkeypatch: pytest.MonkeyPatch, nvml: Nvml) -> None:
    found = look(monkeypatch, nvml)
    assert found.accelerator.kind == "cpu"
    assert found.measured[0].finding.startswith("no CUDA: ")


def test_no_pynvml(monkeypatch: pytest.MonkeyPatch) -> None:
    assert look(monkeypatch, None).accelerator.kind == "cpu"  # type: ignore[arg-type]


def test_mounts(tmp_path: Path) -> None:
    table = tmp_path / "mounts"
    table.write_text(
        "overlay / overlay rw 0 0\ndrive /content/drive fuse.drive rw,nosuid 0 0\nbroken\n"
    )
    assert detect._mounts(table) == {"/content/drive": "fuse.drive"}
    assert detect._mounts(tmp_path / "none") == {}


def test_the_network_is_asked_on_request_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    monkeypatch.setattr(detect.network, "hub_answers", lambda: not asked.append(1.0))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert gather(".").network is None and not asked
    found = gather(".", ask_network=True)
    assert found.network == "answers" and len(asked) == 1
    assert any(e.subject == "network" for e in found.measured)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert gather(".", ask_network=True).network == "off" and len(asked) == 1


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_cgroup_2(tmp_path: Path) -> None:
    root = write(tmp_path, {
        "proc/self/cgroup": "0::/a/b\n",
        "sys/fs/cgroup/a/memory.max": "1000\n",
        "sys/fs/cgroup/a/b/memory.max": "max\n",
        "sys/fs/cgroup/a/b/cpu.max": "150000 100000\n",
        "sys/fs/cgroup/cpu.max": "max 100000\n",
    })  # fmt: skip
    assert _cgroup_limits(root) == ([1.5], [1000])


def test_cgroup_1_inside_a_container(tmp_path: Path) -> None:
    root = write(tmp_path, {
        "proc/self/cgroup": "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n0::/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "2000\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    })  # fmt: skip
    assert _cgroup_limits(root) == ([], [2000])
    assert _cgroup_limits(tmp_path / "none") == ([], [])


def test_limits_cut_the_machine(tmp_path: Path) -> None:
    root = write(tmp_path, {
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/memory.max": "4096\n",
        "sys/fs/cgroup/cpu.max": "20000 100000\n",
    })  # fmt: skip
    cores, memory_bytes, evidence = detect._cpu_and_memory(root)
    assert (cores, memory_bytes) == (1, 4096)
    assert "cgroup" in evidence[-1].finding


def test_cpu(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("model name\t: Some CPU\nflags\t\t: sse amx_bf16\n")
    assert _cpu(info)[0].name == "Some CPU" and _cpu(info)[0].has_fast_bf16 is True
    info.write_text("model name\t: Old CPU\nflags\t\t: sse avx512_bf16\n")
    assert _cpu(info)[0].has_fast_bf16 is False
    assert _cpu(tmp_path / "none")[0].has_fast_bf16 is None


def test_disk(tmp_path: Path) -> None:
    free_bytes, (why,) = _disk_free_bytes(str(tmp_path / "not" / "yet"))
    assert (free_bytes or 0) > 0 and str(tmp_path) in why.finding
    file = tmp_path / "file"
    file.write_text("x")
    assert (_disk_free_bytes(str(file))[0] or 0) > 0


def test_the_real_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setattr(sys, "stdin", None)
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    found = gather(".")
    assert not found.stdin_isatty and not found.stdout_isatty and found.window is None
    assert "HF_TOKEN" not in found.surroundings.env
    assert found.surroundings.paths <= MARKER_PATHS
    assert found.network is None
    assert {e.subject for e in found.measured} == {"accelerator", "cpu", "memory", "disk"}
    assert found.cpu_count >= 1 and (found.memory_bytes or 0) > 10**8
