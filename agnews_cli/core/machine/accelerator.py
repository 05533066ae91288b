"""What computes, and what is known of each kind of it without asking a library.

Names prove nothing: a P100 says it is there and then runs nothing, a T4 says it has bf16 and
emulates it. Capability, the wheel's list of architectures and one real operation decide
(`core.machine.probe`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["cuda", "tpu", "mps", "cpu"]

FAST_BF16_CAPABILITY = (8, 0)
"""Below it bf16 is emulated: `torch.cuda.is_bf16_supported()` says True on a T4 (torch 2.15)."""
LEAST_CAPABILITY = (7, 5)
"""The oldest GPU that current PyTorch wheels run on (pytorch#190385)."""


@dataclass(frozen=True, slots=True)
class Accelerator:
    """What computes. With several devices: the least memory and capability among them."""

    kind: Kind
    name: str
    count: int = 1
    memory_bytes: int | None = None
    """Of one device; None where it shares the host's memory or is unknown."""
    capability: tuple[int, int] | None = None
    has_fast_bf16: bool | None = None
    """In hardware, not emulated; None is unknown."""
    driver: str | None = None
    hidden: int = 0
    """Further GPUs of this machine that CUDA_VISIBLE_DEVICES keeps from us."""


def together(devices: tuple[Accelerator, ...], hidden: int = 0) -> Accelerator:
    """Several GPUs as one Accelerator: what the weakest can do. Needs at least one."""
    memories = [d.memory_bytes for d in devices if d.memory_bytes is not None]
    capabilities = [d.capability for d in devices if d.capability is not None]
    capability = min(capabilities, default=None)
    return replace(
        devices[0],
        count=len(devices),
        memory_bytes=min(memories, default=None),
        capability=capability,
        has_fast_bf16=None if capability is None else capability >= FAST_BF16_CAPABILITY,
        hidden=hidden,
    )


_V5E_CHIP_BYTES = round(15.7 * 2**30)  # seen live on Kaggle, 2026-08
_SIZED_IN_CORES = frozenset({"v2", "v3", "v4", "v5p"})
"""Generations whose size counts cores, two to a chip; the others count chips."""


def tpu(accelerator_type: str) -> Accelerator:
    """The TPU that TPU_ACCELERATOR_TYPE names, such as `v5e-8`, `v5litepod-8`; `""` is unknown."""
    generation, _, size = accelerator_type.strip().rpartition("-")
    generation = generation.replace("v5litepod", "v5e")
    count = int(size) if size.isdecimal() else 1
    if generation in _SIZED_IN_CORES:
        count = max(1, count // 2)
    return Accelerator(
        kind="tpu",
        name=f"TPU {generation}".strip(),
        count=count,
        memory_bytes=_V5E_CHIP_BYTES if generation == "v5e" else None,
        has_fast_bf16=True,
    )


def short(name: str) -> str:
    """`Tesla T4` as people say it: `T4`."""
    return name.removeprefix("NVIDIA ").removeprefix("Tesla ")


_FORM = r"[- ](?:SXM\d*|PCIE|NVL|HBM\w*|\d+ ?GB)\b.*"
"""What follows a card's name: how it is plugged in, and its memory."""


def model(name: str) -> str:
    """The word for a card, whoever names it: `H100` of `NVIDIA H100 80GB HBM3` and `H100 PCIe`.

    So speeds that were measured on one are found for the other. `name`: as drivers give it.
    """
    import re

    return re.sub(_FORM, "", short(name.strip()).removeprefix("GeForce "), flags=re.IGNORECASE)


def device(found: Accelerator) -> str:
    """The word for what computes, wherever a speed is told or looked up: `cpu`, `T4`, `H100`."""
    return "cpu" if found.kind == "cpu" else model(found.name)


def dotted(capability: tuple[int, int]) -> str:
    """`7.5`"""
    return f"{capability[0]}.{capability[1]}"
