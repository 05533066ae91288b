"""The precision that the hardware really computes in, not the one it says it supports.

`torch.cuda.is_bf16_supported()` is True on a T4, by emulation that is slower than fp32; so the
compute capability decides. A CPU gains from bf16 where it multiplies in it: with AMX tiles, or with
the BF16 part of AVX-512 (MiniLM on a Zen CPU: 1.5 times as fast).
"""

from __future__ import annotations

import torch

from agnews_cli.core.run.preset import Precision


def resolve(asked: Precision, device: torch.device) -> tuple[str, str]:
    """(fp32, fp16 or bf16; the reason) for training on `device`."""
    if asked != "auto":
        return asked, "as asked"
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        if (major, minor) >= (8, 0):
            return "bf16", f"compute capability {major}.{minor} has bf16 units"
        if (major, minor) >= (7, 0):
            return "fp16", f"compute capability {major}.{minor} has fp16 units and no bf16 ones"
        return "fp32", f"compute capability {major}.{minor} has no fast half precision"
    if device.type == "cpu":
        if torch.cpu._is_amx_tile_supported():
            return "bf16", "the CPU has AMX tiles for bf16"
        if torch.cpu._is_avx512_bf16_supported():
            return "bf16", "the CPU multiplies bf16 in AVX-512"
    if device.type == "xla":
        return "bf16", "a TPU multiplies in bf16"
    return "fp32", f"{device.type} has no fast half precision"
