"""Runs one real operation in each precision on each device: `python -m … SECONDS [PARENT]`.

Standard output gets the whole Report anew, one JSON object a line, after every step; so whoever
reads knows how far it came when a device hangs or kills the process. Ends with the process PARENT,
and after SECONDS in any case.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import metadata
from typing import Any, TextIO

from agnews_cli.core.machine.probe import PRECISIONS, Device, Operation, Precision, ProbeReport
from agnews_cli.host.children import end_with

_REPEAT_S = 0.1
_LEAST_S = 0.05  # of one product: below it the call is measured rather than the device
_SIZES = (256, 512, 1024, 2048, 4096, 8192)
# How far loss and gradient may be from those in fp64, relative to the largest.
_TOLERANCE: dict[Precision, float] = {"fp32": 1e-2, "fp16": 5e-2, "bf16": 2e-1}


def main(argv: list[str]) -> None:
    """Probe everything within the given seconds."""
    if len(argv) > 2:
        end_with(int(argv[2]))
    faulthandler.dump_traceback_later(float(argv[1]), exit=True)
    probe(_own_output())


def _own_output() -> TextIO:
    """Standard output for the report alone; what libraries print goes to standard error."""
    kept = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return kept


def probe(out: TextIO) -> ProbeReport:
    """Look at torch, then at each device; writes after every step."""
    report = ProbeReport()

    def step(**facts: Any) -> None:
        nonlocal report
        report = report.model_copy(update=facts)
        out.write(report.model_dump_json() + "\n")
        out.flush()

    step(stage="importing torch")
    try:
        import torch
    except Exception as error:
        step(error=_words(error), state="done")
        return report
    step(
        stage="starting CUDA",
        torch=str(torch.__version__),
        cuda=torch.version.cuda,
        arch_list=tuple(torch.cuda.get_arch_list()) if torch.version.cuda else (),
    )
    cuda_error = _cuda_error()
    step(stage="starting XLA", cuda_error=cuda_error, **_xla())
    done: tuple[Device, ...] = ()
    for device, target, wait in [*_gpus(cuda_error), *_others(report.xla, step), _cpu()]:
        for precision in PRECISIONS:
            where = f"{precision} on {device.kind} {device.index} ({device.name})"
            step(stage=where, devices=(*done, device))
            ran = _operation(target, precision, wait)
            device = device.model_copy(update={"operations": (*device.operations, ran)})
        done = (*done, device)
    step(stage="ended", devices=done, state="done")
    return report


_Found = tuple[Device, Any, Callable[[], None]]
"""The device, what torch takes for it, and how to wait for it."""


def _cuda_error() -> str | None:
    """Why CUDA does not start; None where it does and where this torch knows no CUDA."""
    import torch

    if torch.version.cuda is None:
        return None
    try:
        torch.cuda.init()
    except Exception as error:
        return _words(error)
    return None


def _gpus(cuda_error: str | None) -> list[_Found]:
    import torch

    if torch.version.cuda is None or cuda_error is not None:
        return []
    found: list[_Found] = []
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        device = Device(
            kind="cuda",
            index=index,
            name=facts.name,
            memory_bytes=facts.total_memory,
            free_bytes=_free_bytes(index),
            capability=(facts.major, facts.minor),
            claims_bf16=torch.cuda.is_bf16_supported(),
        )
        target = torch.device("cuda", index)
        found.append((device, target, partial(torch.cuda.synchronize, target)))
    return found


def _free_bytes(index: int) -> int | None:
    import torch

    try:
        return int(torch.cuda.mem_get_info(index)[0])
    except Exception:  # the first call that needs a working device
        return None


def _xla() -> dict[str, str | None]:
    try:
        return {"xla": metadata.version("torch_xla")}
    except metadata.PackageNotFoundError:
        return {"xla": None}


def _others(xla: str | None, step: Callable[..., None]) -> list[_Found]:
    """The TPU and Apple's GPU."""
    import torch

    if xla is not None:
        try:
            import torch_xla

            device = Device(kind="tpu", name="TPU")
            return [(device, torch_xla.device(), lambda: torch_xla.sync(wait=True))]
        except Exception as error:
            step(xla_error=_words(error))
    if torch.backends.mps.is_available():
        device = Device(kind="mps", name="Apple GPU")
        return [(device, torch.device("mps"), torch.mps.synchronize)]
    return []


def _cpu() -> _Found:
    import torch

    return Device(kind="cpu", name="CPU"), torch.device("cpu"), lambda: None


def _operation(target: Any, precision: Precision, wait: Callable[[], None]) -> Operation:
    import torch

    types = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    try:
        wrong = _difference(target, types[precision], precision, wait)
        if wrong is not None:
            return Operation(precision=precision, error=wrong)
        return Operation(precision=precision, tflops=_tflops(target, types[precision], wait))
    except Exception as error:
        return Operation(precision=precision, error=_words(error))


def _layer(device: Any, dtype: Any) -> Any:
    """Loss and gradient of one layer of what training uses, always on the same numbers."""
    import torch
    from torch.nn import functional

    drawn = torch.Generator().manual_seed(0)
    table = torch.randn(64, 32, generator=drawn, dtype=torch.float64)
    weight = torch.randn(32, 8, generator=drawn, dtype=torch.float64) / 32**0.5
    rows = torch.arange(48) % 64
    classes = torch.arange(48) % 8
    table, weight = (t.to(device=device, dtype=dtype) for t in (table, weight))
    weight.requires_grad_()
    hidden = functional.layer_norm(functional.gelu(table[rows.to(device)]), (32,))
    loss = functional.cross_entropy(hidden @ weight, classes.to(device))
    loss.backward()
    assert weight.grad is not None
    return torch.cat([loss.detach().reshape(1), weight.grad.reshape(-1)])


def _difference(
    target: Any, dtype: Any, precision: Precision, wait: Callable[[], None]
) -> str | None:
    """How the device's result differs from the CPU's in fp64; None where it is right."""
    import torch

    right = _layer("cpu", torch.float64)
    found = _layer(target, dtype)
    wait()
    found = found.to("cpu").double()
    if not torch.isfinite(found).all():
        return "the result is not finite"
    off = float((found - right).abs().max() / right.abs().max())
    return f"the result is wrong by {off:.0%}" if off > _TOLERANCE[precision] else None


def _tflops(target: Any, dtype: Any, wait: Callable[[], None]) -> float | None:
    """Of the fastest product of square matrices, large enough to be seen, small enough for
    seconds. The fastest, since others may use the machine too."""
    import torch

    best: float | None = None
    for size in _SIZES:
        try:
            a = torch.ones(size, size, device=target, dtype=dtype)
            _ = a @ a
            wait()
            fastest_s = _fastest_s(partial(torch.matmul, a, a), wait)
        except RuntimeError:  # no memory for this size: the last one tells
            break
        best = max(best or 0.0, 2 * size**3 / fastest_s / 1e12)
        if fastest_s >= _LEAST_S:
            break
    return best


def _fastest_s(call: Callable[[], Any], wait: Callable[[], None]) -> float:
    times_s: list[float] = []
    ends_s = time.perf_counter() + _REPEAT_S
    while not times_s or (time.perf_counter() < ends_s and len(times_s) < 100):
        begun_s = time.perf_counter()
        _ = call()
        wait()
        times_s.append(time.perf_counter() - begun_s)
    return min(times_s)


def _words(error: BaseException) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0] if text else 'no message'}"


if __name__ == "__main__":
    main(sys.argv)
