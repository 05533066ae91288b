"""What a probe of the devices reported, and what follows from it.

The child (`learn.probe_device`) runs one real operation in each precision on each device and writes
a Report. `judge` turns it into findings, `settle` into the accelerator that really computes; both
are pure, so each trap is a row of a test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict

from agnews_cli.core.machine.accelerator import (
    FAST_BF16_CAPABILITY,
    Accelerator,
    Kind,
    dotted,
    short,
    together,
)
from agnews_cli.core.machine.finding import Finding

Precision = Literal["fp32", "fp16", "bf16"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "bf16")
_NO_KERNELS = "no kernel image"
_STRICT = ConfigDict(extra="forbid", frozen=True)


class Operation(BaseModel):
    """One real operation: forward and backward of a small layer, then a matrix product."""

    model_config = _STRICT

    precision: Precision
    error: str | None = None
    """None where it computed, and rightly."""
    tflops: float | None = None
    """Of the matrix product; rough."""


class Device(BaseModel):
    """What torch says of a device, and what it did."""

    model_config = _STRICT

    kind: Kind
    index: int = 0
    name: str
    memory_bytes: int | None = None
    free_bytes: int | None = None
    capability: tuple[int, int] | None = None
    claims_bf16: bool | None = None
    """What `torch.cuda.is_bf16_supported()` says; True on a T4, by emulation."""
    operations: tuple[Operation, ...] = ()

    @property
    def computes(self) -> bool:
        """Whether it did the operation in fp32, which training always needs."""
        return any(o.precision == "fp32" and o.error is None for o in self.operations)

    def tflops(self, precision: Precision) -> float | None:
        return next((o.tflops for o in self.operations if o.precision == precision), None)


class ProbeReport(BaseModel):
    """What the child wrote until it ended, was stopped or died."""

    model_config = _STRICT

    torch: str | None = None
    """Its version; None where it is not installed or does not start."""
    error: str | None = None
    """Why torch does not start, or how the child died."""
    cuda: str | None = None
    """The CUDA version that this torch was built for."""
    arch_list: tuple[str, ...] = ()
    """The architectures that it has kernels for."""
    cuda_error: str | None = None
    xla: str | None = None
    """The version of torch_xla."""
    xla_error: str | None = None
    devices: tuple[Device, ...] = ()
    stage: str = "starting"
    """What was being done when it ended."""
    state: Literal["running", "done", "timed out", "died"] = "running"
    """Only a child that came to its end wrote `done`."""


def has_kernels(capability: tuple[int, int], arch_list: tuple[str, ...]) -> bool:
    """Whether a wheel built for `arch_list` runs on a GPU of `capability`.

    Binaries (sm_) run on the same major version from their minor version on, those with an `a` on
    their own alone; PTX (compute_) runs on all that is newer.
    """
    for name in arch_list:
        found = re.fullmatch(r"(sm|compute)_(\d+)(\d)([a-z]?)", name)
        if found is None:
            continue
        built = (int(found[2]), int(found[3]))
        if built == capability:
            return True
        if found[4] == "a":
            continue
        if found[1] == "compute" and built <= capability:
            return True
        if found[1] == "sm" and built[0] == capability[0] and built[1] <= capability[1]:
            return True
    return False


def settle(report: ProbeReport, believed: Accelerator) -> Accelerator:
    """The accelerator that computed; `believed` unchanged where the probe came to no end."""
    if report.state != "done" or report.torch is None:
        return believed
    computing = [device for device in report.devices if device.computes]
    gpus = tuple(
        Accelerator(
            kind="cuda",
            name=device.name,
            memory_bytes=device.memory_bytes,
            capability=device.capability,
            driver=believed.driver,
        )
        for device in computing
        if device.kind == "cuda"
    )
    if gpus:
        return together(gpus, believed.hidden)
    for device in computing:
        if device.kind in {"tpu", "mps"}:
            return believed if believed.kind == device.kind else _alone(device)
    if believed.kind == "cpu":
        return believed
    return next((_alone(d) for d in computing if d.kind == "cpu"), Accelerator("cpu", "CPU"))


def _alone(device: Device) -> Accelerator:
    return Accelerator(device.kind, device.name, memory_bytes=device.memory_bytes)


# ---- Judging -------------------------------------------------------------------------------------


def judge(
    report: ProbeReport,
    believed: Accelerator,
    *,
    platform: str = "local",
    processes: int | None = None,
) -> tuple[Finding, ...]:
    """What the report means for training. `believed` is what NVML and the environment said;
    `processes` how many will train, None for one on each device."""
    return (
        *_torch(report, believed),
        *_gpus(report, believed, platform),
        *_idle(report, believed, platform, processes),
        *_tpu(report, believed, platform),
        *_mps(report),
        *_good(report),
    )


def _torch(report: ProbeReport, believed: Accelerator) -> Iterator[Finding]:
    hard: Literal["mend", "know"] = "know" if believed.kind == "cpu" else "mend"
    if report.state == "timed out":
        yield Finding(
            "probe",
            hard,
            f"the probe did not end in time, it hung at: {report.stage}",
            "Run it again when the machine is quiet: agnews platform --probe. If it hangs "
            "again, restart the session: the device does not answer.",
        )
    elif report.error is not None:
        yield Finding(
            "torch",
            "mend",
            f"torch {report.torch or ''} fails at: {report.stage}: {report.error}".replace(
                "torch  ", "torch "
            ),
            "pip install --force-reinstall 'agnews-cli[train]'   (on Colab and Kaggle: restart "
            "the session instead, so that the image's own torch is back)",
        )
    elif report.torch is None:
        yield Finding(
            "torch",
            hard,
            "torch is not installed: this machine can plan and watch, not train",
            "pip install 'agnews-cli[train]'",
        )


def _gpus(report: ProbeReport, believed: Accelerator, platform: str) -> Iterator[Finding]:
    gpus = [device for device in report.devices if device.kind == "cuda"]
    if believed.kind == "cuda" and not gpus and report.torch is not None and report.error is None:
        if report.state == "done":
            yield _no_cuda(report, believed)
        return
    for gpu in gpus:
        where = f"GPU {gpu.index} ({gpu.name})"
        failed = [o for o in gpu.operations if o.error is not None]
        if any(_NO_KERNELS in str(o.error) for o in failed) or (
            failed
            and gpu.capability is not None
            and report.arch_list
            and not has_kernels(gpu.capability, report.arch_list)
        ):
            yield _no_kernels(gpu, report, platform)
        elif failed:
            words = "; ".join(f"{o.precision}: {o.error}" for o in failed)
            others = [str(g.index) for g in gpus if g.computes]
            yield Finding(
                "gpu-fails",
                "know" if gpu.computes else "mend",
                f"{where} fails in {words}",
                f"Leave it out: export CUDA_VISIBLE_DEVICES={','.join(others)}"
                if others and not gpu.computes
                else "Restart the session; if it stays so, take another machine.",
            )
        if _is_bf16_emulated(gpu):
            yield _emulated(gpu)
        if gpu.free_bytes is not None and gpu.memory_bytes:
            taken = gpu.memory_bytes - gpu.free_bytes
            if taken > gpu.memory_bytes / 2:
                yield Finding(
                    "gpu-busy",
                    "know",
                    f"{taken / 1e9:.1f} of {gpu.memory_bytes / 1e9:.1f} GB of {where} are taken "
                    "by another process",
                    "See which: nvidia-smi. A notebook's own kernel lets go when it restarts.",
                )


def _no_cuda(report: ProbeReport, believed: Accelerator) -> Finding:
    error = report.cuda_error or ""
    name = short(believed.name)
    if report.cuda is None:
        return Finding(
            "cpu-torch",
            "mend",
            f"torch {report.torch} is built without CUDA, so the {name} stays idle",
            "pip install --force-reinstall torch   (on Colab and Kaggle: restart the session, "
            "so that the image's own torch is back)",
        )
    if "driver" in error.lower() and ("too old" in error or "insufficient" in error):
        return Finding(
            "driver-too-old",
            "mend",
            f"driver {believed.driver or 'unknown'} is too old for torch {report.torch} "
            f"(CUDA {report.cuda}): the {name} cannot be used",
            "Update the NVIDIA driver (on Ubuntu: sudo ubuntu-drivers install) and restart, or "
            "install a torch built for an older CUDA; nvidia-smi shows the newest it takes.",
        )
    return Finding(
        "cuda-fails",
        "mend",
        f"CUDA does not start, the {name} cannot be used: {error or 'torch sees no device'}",
        "Restart the session; outside a notebook, see whether nvidia-smi answers.",
    )


def _no_kernels(gpu: Device, report: ProbeReport, platform: str) -> Finding:
    built = ", ".join(report.arch_list) or "other architectures"
    capability = "unknown" if gpu.capability is None else dotted(gpu.capability)
    return Finding(
        "no-kernels",
        "mend",
        f"{gpu.name} (capability {capability}): torch {report.torch} has no kernels for it "
        f"(only {built}); the first operation fails",
        "Session options > Accelerator > GPU T4 x2, then start again"
        if platform == "kaggle"
        else "Take a machine with a T4 or newer, or train on the CPU: "
        "CUDA_VISIBLE_DEVICES='' agnews auto",
    )


def _is_bf16_emulated(gpu: Device) -> bool:
    is_old = gpu.capability is not None and gpu.capability < FAST_BF16_CAPABILITY
    works = any(o.precision == "bf16" and o.error is None for o in gpu.operations)
    return is_old and (works or gpu.claims_bf16 is True) and gpu.computes


def _emulated(gpu: Device) -> Finding:
    bf16, fp16 = gpu.tflops("bf16"), gpu.tflops("fp16")
    speeds = f" ({bf16:.1f} TFLOP/s, fp16 {fp16:.1f})" if bf16 and fp16 else ""
    claim = ", though torch says it is supported" if gpu.claims_bf16 else ""
    return Finding(
        "bf16-emulated",
        "know",
        f"bf16 is emulated on GPU {gpu.index} ({gpu.name}){speeds}{claim}; agnews trains in fp16",
        "Nothing to do for agnews; elsewhere set fp16 and not bf16.",
    )


def _idle(
    report: ProbeReport, believed: Accelerator, platform: str, processes: int | None
) -> Iterator[Finding]:
    free = "; on Kaggle a second card costs no quota" if platform == "kaggle" else ""
    name = short(believed.name)
    if believed.hidden:
        yield Finding(
            "idle-gpu",
            "know",
            f"{believed.hidden} more GPU(s) of this machine stay idle: CUDA_VISIBLE_DEVICES "
            f"hides them{free}",
            "unset CUDA_VISIBLE_DEVICES",
        )
    computing = [d for d in report.devices if d.kind == "cuda" and d.computes]
    if processes is not None and processes < len(computing):
        yield Finding(
            "idle-gpu",
            "know",
            f"{processes} process on {len(computing)} × {short(computing[0].name)}: "
            f"{len(computing) - processes} stays idle{free}",
            f"Leave --processes out, or give --processes {len(computing)}",
        )
    seen = sum(d.kind == "cuda" for d in report.devices)
    if believed.kind == "cuda" and 0 < seen < believed.count:
        yield Finding(
            "idle-gpu",
            "know",
            f"torch sees {seen} of {believed.count} × {name}: the others stay idle",
            "Restart the session; nvidia-smi shows which are lost.",
        )


def instead_of_tpu(platform: str) -> str:
    """What to do where a TPU cannot train it; ends with a command."""
    places = {
        "kaggle": "Session options > Accelerator > GPU T4 x2, then start again",
        "colab": "Runtime > Change runtime type > T4 GPU, then start again",
    }
    elsewhere = places.get(platform, "Take a machine with a GPU")
    return f"{elsewhere}; or train on this machine's CPU: PJRT_DEVICE=CPU agnews auto"


def _tpu(report: ProbeReport, believed: Accelerator, platform: str) -> Iterator[Finding]:
    if believed.kind != "tpu" or report.torch is None:
        return
    if report.xla is None:
        wanted = ".".join(report.torch.split("+")[0].split(".")[:2])
        yield Finding(
            "no-torch-xla",
            "mend",
            f"{believed.name}: torch {report.torch} has no torch_xla beside it and cannot use "
            "the TPU; training would run on the host's CPU while the TPU's quota is spent",
            f"pip install 'torch-xla=={wanted}.*'",
        )
    elif report.xla_error is not None:
        yield Finding(
            "tpu-fails",
            "mend",
            f"{believed.name} does not start under torch_xla {report.xla}: {report.xla_error}",
            "unset TPU_PROCESS_ADDRESSES CLOUD_TPU_TASK_ID, then restart the session",
        )
    elif any(device.kind == "tpu" and device.computes for device in report.devices):
        yield Finding(
            "tpu-untried",
            "know",
            f"{believed.name} computes: one of its chips trains, by XLA, which agnews has done on "
            "XLA's CPU alone, on no TPU yet",
            f"Where it goes wrong: {instead_of_tpu(platform)}",
        )


def _mps(report: ProbeReport) -> Iterator[Finding]:
    if any(device.kind == "mps" and device.computes for device in report.devices):
        yield Finding(
            "mps-fallback",
            "good",
            "operations that Apple's GPU lacks are computed on the CPU in training, which they "
            "would end otherwise (PYTORCH_ENABLE_MPS_FALLBACK=1)",
        )


def _good(report: ProbeReport) -> Iterator[Finding]:
    groups: dict[tuple[Kind, str], list[Device]] = {}
    for device in report.devices:
        if device.computes:
            groups.setdefault((device.kind, device.name), []).append(device)
    for (_, name), devices in groups.items():
        speeds = [f"{p} {t:.2g}" for p in PRECISIONS if (t := devices[0].tflops(p)) is not None]
        many = f"{len(devices)} × " if len(devices) > 1 else ""
        speed = f": {', '.join(speeds)} TFLOP/s" if speeds else ""
        yield Finding("device", "good", f"{many}{name} computes{speed}")
