"""Which of torch's kernels compute: those for batches of ever new shapes, or that repeat."""

from __future__ import annotations

import os

import torch

_WORKSPACE = ":4096:8"
"""What cuBLAS needs to add in one order: eight buffers of 4 MiB (NVIDIA, cuBLAS 12, 2.1.4)."""


def settle(*, deterministic: bool = False) -> None:
    """For this process; before the first product on a GPU.

    cuDNN's attention is off: it is planned anew for every shape of a batch, and the batches here
    have many (15 shapes cost an H200 4.4 s, and 0.2 s without it). What that changes in a whole
    training is unmeasured.

    `deterministic`: two trainings on one card give the same bits, which atomic additions do not. An
    operation that cannot raises RuntimeError. What that costs in time is unmeasured.
    """
    torch.backends.cuda.enable_cudnn_sdp(False)
    if deterministic:
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", _WORKSPACE)
