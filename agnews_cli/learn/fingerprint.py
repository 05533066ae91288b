"""What must be the same for a resumed run to equal a straight one, bit for bit."""

from __future__ import annotations

import platform
from importlib import metadata

import torch
from accelerate import Accelerator

import agnews_cli

MACHINE = frozenset({"device", "processor", "threads", "processes", "precision"})
"""May change from session to session: the batches and their order stay, rounding does not."""

_LIBRARIES = ("torch", "transformers", "tokenizers", "peft", "accelerate", "numpy")


def take(accelerator: Accelerator, precision: str) -> dict[str, str]:
    """Code, libraries and machine class, by name."""
    on_cuda = accelerator.device.type == "cuda"
    facts = {
        "agnews": agnews_cli.__version__,
        "device": torch.cuda.get_device_name() if on_cuda else accelerator.device.type,
        "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        "threads": str(torch.get_num_threads()),
        "processes": str(accelerator.num_processes),
        "precision": precision,
    }
    return facts | {name: metadata.version(name) for name in _LIBRARIES}
