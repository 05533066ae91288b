"""What must be the same for a resumed run to equal a straight one, bit for bit."""

from __future__ import annotations

import hashlib
import platform
from importlib import metadata

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import nn

import agnews_cli
from agnews_cli.learn.rows.tokens import Tokens

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


def of_material(train: Tokens, validation: Tokens | None, model: nn.Module) -> dict[str, str]:
    """The tokens that are trained on, and the weights that training does not change."""
    digest = hashlib.sha256()
    for tokens in (train, validation) if validation is not None else (train,):
        for array in (tokens.ids, tokens.offsets, tokens.classes):
            digest.update(array.tobytes())
        if tokens.first is not None:
            digest.update(tokens.first.tobytes())
    facts = {"tokens": digest.hexdigest()[:16]}
    frozen = [(n, p.detach()) for n, p in model.named_parameters() if not p.requires_grad]
    if frozen:
        digest = hashlib.sha256()
        for name, tensor in frozen:
            # A sum, not a hash: it costs one pass at the memory's speed, and another model has
            # other sums.
            total = int(tensor.reshape(-1).view(torch.uint8).to(torch.int64).sum())
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} {total}\n".encode())
        facts["frozen weights"] = digest.hexdigest()[:16]
    return facts


def of_teacher(
    logits: NDArray[np.float32], hidden: NDArray[np.float16] | None = None
) -> dict[str, str]:
    """What a teacher says of the rows that are learned from, and its hidden states."""
    digest = hashlib.sha256(logits.tobytes())
    if hidden is not None:
        digest.update(hidden.tobytes())
    return {"teacher": digest.hexdigest()[:16]}
