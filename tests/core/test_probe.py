"""`judge` and `settle` over constructed reports: each trap that costs quota has a row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from agnews_cli.core.machine.accelerator import Accelerator, tpu
from agnews_cli.core.machine.finding import must_mend
from agnews_cli.core.machine.probe import Device, Operation, ProbeReport, has_kernels, judge, settle

CPU = Accelerator("cpu", "Some CPU")
T4 = Accelerator("cuda", "Tesla T4", 1, 16 * 10**9, (7, 5), False, "580.82")
TWO_T4 = replace(T4, count=2)
P100 = Accelerator("cuda", "Tesla P100-PCIE-16GB", 1, 17 * 10**9, (6, 0), False, "580.82")
A100 = Accelerator("cuda", "NVIDIA A100-SXM4-40GB", 1, 42 * 10**9, (8, 0), True, "580.82")
# What torch 2.11.0+cu128 is built for, as the release notes say.
CU128 = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120")
NO_IMAGE = "AcceleratorError: CUDA error: no kernel image is available for execution on the device"


def did(fp32: Any, fp16: Any, bf16: Any) -> tuple[Operation, ...]:
    """Operations: a number is TFLOP/s, words are an error."""
    return tuple(
        Operation.model_validate({"precision": p, "tflops" if isinstance(v, float) else "error": v})
        for p, v in (("fp32", fp32), ("fp16", fp16), ("bf16", bf16))
    )


def gpu(believed: Accelerator, operations: tuple[Operation, ...], **more: Any) -> Device:
    facts = {
        "kind": "cuda",
        "name": believed.name,
        "memory_bytes": believed.memory_bytes,
        "free_bytes": believed.memory_bytes,
        "capability": believed.capability,
        "claims_bf16": True,
    }
    return Device(**(facts | {"operations": operations} | more))


HOST = Device(kind="cpu", name="CPU", operations=did(0.2, 0.01, 0.1))
T4_WORKS = did(4.1, 24.5, 2.2)


def report(*devices: Device, **more: Any) -> ProbeReport:
    facts = {"torch": "2.11.0+cu128", "cuda": "12.8", "arch_list": CU128, "state": "done"}
    return ProbeReport(**(facts | {"devices": (*devices, HOST)} | more))


@dataclass(frozen=True)
class Case:
    """What is found, must it be mended, what computes, and a word of what to do."""

    report: ProbeReport
    believed: Accelerator
    found: tuple[str, ...]
    must: bool
    kind: str
    says: str = ""
    platform: str = "local"
    processes: int | None = None


CASES = {
    "a T4 as it should be": Case(
        report(gpu(T4, T4_WORKS)), T4, ("bf16-emulated",), False, "cuda", "24.5"
    ),
    "bf16 emulated on a T4 that claims it": Case(
        report(gpu(T4, T4_WORKS)), T4, ("bf16-emulated",), False, "cuda", "torch says it is"
    ),
    "an A100 has it in hardware": Case(
        report(gpu(A100, did(14.0, 220.0, 215.0))), A100, (), False, "cuda"
    ),
    "P100 under today's wheels": Case(
        report(gpu(P100, did(NO_IMAGE, NO_IMAGE, NO_IMAGE))),
        P100, ("no-kernels",), True, "cpu", "T4 or newer",
    ),
    "P100 on Kaggle": Case(
        report(gpu(P100, did(NO_IMAGE, NO_IMAGE, NO_IMAGE), free_bytes=None)),
        P100, ("no-kernels",), True, "cpu", "GPU T4 x2", "kaggle",
    ),
    "no kernels, and another error in words": Case(
        report(gpu(P100, did("RuntimeError: CUBLAS_STATUS_ARCH_MISMATCH", "x", "x"))),
        P100, ("no-kernels",), True, "cpu", "sm_75",
    ),
    "an old GPU that a wheel of one's own supports": Case(
        report(gpu(P100, did(8.0, 16.0, 1.0)), arch_list=("sm_60",)),
        P100, ("bf16-emulated",), False, "cuda",
    ),
    "both T4 compute": Case(
        report(gpu(T4, T4_WORKS), gpu(T4, T4_WORKS, index=1)),
        TWO_T4, ("bf16-emulated", "bf16-emulated"), False, "cuda",
    ),
    "a second T4 that one process leaves idle": Case(
        report(gpu(T4, T4_WORKS), gpu(T4, T4_WORKS, index=1)),
        TWO_T4, ("bf16-emulated", "bf16-emulated", "idle-gpu"), False, "cuda", "--processes 2",
        "kaggle", 1,
    ),
    "a second T4 that a variable hides": Case(
        report(gpu(T4, T4_WORKS)), replace(T4, hidden=1),
        ("bf16-emulated", "idle-gpu"), False, "cuda", "unset CUDA_VISIBLE_DEVICES", "kaggle",
    ),
    "a second T4 that torch does not see": Case(
        report(gpu(T4, T4_WORKS)), TWO_T4, ("bf16-emulated", "idle-gpu"), False, "cuda", "1 of 2",
    ),
    "a second T4 that is broken": Case(
        report(gpu(T4, T4_WORKS), gpu(T4, did("RuntimeError: ECC", "x", "x"), index=1)),
        TWO_T4, ("bf16-emulated", "gpu-fails"), True, "cuda", "CUDA_VISIBLE_DEVICES=0",
    ),
    "half precision alone fails": Case(
        report(gpu(A100, did(14.0, "the result is wrong by 40%", 200.0))),
        A100, ("gpu-fails",), False, "cuda", "fp16: the result is wrong",
    ),
    "another process holds the memory": Case(
        report(gpu(A100, did(14.0, 220.0, 215.0), free_bytes=10**9)),
        A100, ("gpu-busy",), False, "cuda", "nvidia-smi",
    ),
    "a driver that is too old": Case(
        report(cuda_error="RuntimeError: The NVIDIA driver on your system is too old (found "
               "version 11040). Please update your GPU driver."),
        replace(T4, driver="470.82"), ("driver-too-old",), True, "cpu", "470.82",
    ),
    "a driver that is insufficient": Case(
        report(cuda_error="RuntimeError: CUDA driver version is insufficient for CUDA runtime "
               "version"), T4, ("driver-too-old",), True, "cpu", "CUDA 12.8",
    ),
    "CUDA does not start": Case(
        report(cuda_error="RuntimeError: CUDA unknown error"), T4, ("cuda-fails",), True, "cpu",
        "Restart",
    ),
    "a torch without CUDA beside a GPU": Case(
        report(torch="2.13.0+cpu", cuda=None, arch_list=()), T4, ("cpu-torch",), True, "cpu",
        "--force-reinstall torch",
    ),
    "a TPU image without torch_xla": Case(
        report(torch="2.8.0+cpu", cuda=None, arch_list=()), tpu("v5e-8"), ("no-torch-xla",), True,
        "cpu", "torch-xla==2.8.*",
    ),
    "a TPU that does not start": Case(
        report(xla="2.9.0", xla_error="RuntimeError: Expected 8 worker addresses, got 1"),
        tpu("v5e-8"), ("tpu-fails",), True, "cpu", "unset TPU_PROCESS_ADDRESSES",
    ),
    "a TPU that computes": Case(
        report(Device(kind="tpu", name="TPU", operations=did(9.0, 9.0, 90.0)), xla="2.9.0"),
        tpu("v5e-8"), ("tpu-untried",), False, "tpu", "PJRT_DEVICE=CPU agnews auto",
    ),
    "no torch on a laptop": Case(
        ProbeReport(state="done"), CPU, ("torch",), False, "cpu", "pip install 'agnews-cli[train]'",
    ),
    "no torch beside a GPU": Case(
        ProbeReport(state="done"), T4, ("torch",), True, "cuda", "[train]",
    ),
    "torch does not import": Case(
        ProbeReport(state="done", stage="importing torch", error="ImportError: libcudart.so.12"),
        T4, ("torch",), True, "cuda", "libcudart",
    ),
    "the child died": Case(
        report(state="died", error="the process was ended by SIGILL", stage="bf16 on cpu 0 (CPU)"),
        CPU, ("torch",), True, "cpu", "SIGILL",
    ),
    "the child hung on a GPU": Case(
        report(state="timed out", stage="fp32 on cuda 0 (Tesla T4)", devices=()),
        T4, ("probe",), True, "cuda", "fp32 on cuda 0",
    ),
    "the child was slow on a CPU": Case(
        report(state="timed out", stage="importing torch", torch=None, devices=()),
        CPU, ("probe",), False, "cpu", "importing torch",
    ),
    "a GPU that NVML could not name": Case(
        report(gpu(A100, did(14.0, 220.0, 215.0))), CPU, (), False, "cuda",
    ),
    "Apple's GPU": Case(
        report(Device(kind="mps", name="Apple GPU", operations=did(3.0, 4.0, 3.0)), cuda=None),
        Accelerator("mps", "Apple GPU"), (), False, "mps",
    ),
    "a CPU": Case(report(cuda=None, arch_list=()), CPU, (), False, "cpu"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_trap_is_found_with_what_to_do(name: str) -> None:
    case = CASES[name]
    found = judge(
        case.report, case.believed, platform=case.platform, processes=case.processes
    )  # fmt: skip
    wrong = [f for f in found if f.level != "good"]
    assert tuple(f.check for f in wrong) == case.found
    assert must_mend(found) == case.must
    assert settle(case.report, case.believed).kind == case.kind
    assert case.says in " ".join(f"{f.text} {f.mend}" for f in wrong)
    assert all(f.text and f.mend for f in wrong)


def test_good_devices_are_said_to_be_good() -> None:
    both = report(gpu(T4, T4_WORKS), gpu(T4, T4_WORKS, index=1))
    good = [f.text for f in judge(both, TWO_T4) if f.level == "good"]
    assert good[0] == "2 × Tesla T4 computes: fp32 4.1, fp16 24, bf16 2.2 TFLOP/s"
    assert good[1].startswith("CPU computes")


def test_of_a_tpu_each_platform_has_its_way_out_and_apple_s_gpu_its_fallback() -> None:
    device = Device(kind="tpu", name="TPU", operations=did(9.0, 9.0, 90.0))
    ways = {
        name: judge(report(device, xla="2.9.0"), tpu("v5e-8"), platform=name)[0].mend
        for name in ("kaggle", "colab", "local")
    }
    assert "GPU T4 x2" in ways["kaggle"] and "T4 GPU" in ways["colab"] and "a GPU" in ways["local"]
    apple = Device(kind="mps", name="Apple GPU", operations=did(3.0, 4.0, 3.0))
    said = judge(report(apple, cuda=None), Accelerator("mps", "Apple GPU"))
    assert "PYTORCH_ENABLE_MPS_FALLBACK=1" in " ".join(f.text for f in said if f.level == "good")


def test_on_kaggle_an_idle_card_costs_no_quota() -> None:
    hidden = judge(report(gpu(T4, T4_WORKS)), replace(T4, hidden=1), platform="kaggle")
    assert any("costs no quota" in f.text for f in hidden)
    assert not any("quota" in f.text for f in judge(report(), replace(T4, hidden=1)))


def test_what_settles_is_what_computed() -> None:
    broken = gpu(T4, did("RuntimeError: ECC", "x", "x"), index=1)
    one = settle(report(gpu(T4, T4_WORKS), broken), TWO_T4)
    assert (one.count, one.capability, one.has_fast_bf16, one.driver) == (
        1,
        (7, 5),
        False,
        "580.82",
    )
    two = settle(report(gpu(T4, T4_WORKS), gpu(T4, T4_WORKS, index=1)), replace(TWO_T4, hidden=1))
    assert (two.count, two.memory_bytes, two.hidden) == (2, 16 * 10**9, 1)
    assert settle(report(gpu(T4, T4_WORKS), state="timed out"), TWO_T4) == TWO_T4
    nothing = settle(report(devices=()), T4)
    assert nothing.kind == "cpu"


@pytest.mark.parametrize(
    ("capability", "arch_list", "expected"),
    [
        ((7, 5), CU128, True),
        ((6, 0), CU128, False),
        ((7, 0), CU128, False),
        ((8, 9), CU128, True),  # sm_86 runs on 8.9
        ((8, 9), ("sm_80",), True),
        ((8, 0), ("sm_86",), False),
        ((9, 0), ("sm_80",), False),
        ((9, 0), ("compute_80",), True),  # PTX is compiled for what is newer
        ((7, 5), ("compute_80",), False),
        ((9, 0), ("sm_90a",), True),
        ((10, 3), ("sm_100a",), False),
        ((12, 1), ("sm_120",), True),
        ((5, 2), ("sm_50", "sm_60"), True),
        ((7, 5), (), False),
        ((7, 5), ("gfx90a", "sm_", "nonsense"), False),
    ],
)
def test_kernels(capability: tuple[int, int], arch_list: tuple[str, ...], expected: bool) -> None:
    assert has_kernels(capability, arch_list) == expected
