"""Tensors are streamed in the format of safetensors, byte for byte what the library writes."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")

DTYPES = (
    "bool", "uint8", "int8", "int16", "float16", "bfloat16", "int32", "float32", "float64", "int64",
)  # fmt: skip


def of_every_type() -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    dtypes = [getattr(torch, name) for name in DTYPES]
    found = {f"{at % 3}.{dtype}": (torch.randn(3, at + 1) * 9).to(dtype)
             for at, dtype in enumerate(dtypes)}  # fmt: skip
    return found | {
        "scalar": torch.tensor(3.5),
        "nothing": torch.zeros(0, 3),
        'é "quoted"|exp_avg': torch.arange(7),
    }


@pytest.mark.parametrize("tensors", [{}, of_every_type()], ids=["none", "all"])
def test_the_bytes_are_the_librarys(tensors):
    from safetensors.torch import load, save

    from agnews_cli.learn.state.serial import parts

    data = b"".join(parts(tensors))
    assert data == save(tensors)
    found = load(data)
    assert {n: (t.dtype, t.tolist()) for n, t in found.items()} == {
        n: (t.dtype, t.tolist()) for n, t in tensors.items()
    }


def test_the_tensors_are_not_copied():
    from agnews_cli.learn.state.serial import parts

    weights = torch.zeros(1000)
    _, memory = parts({"w": weights})
    weights[:] = 1.0
    assert memory == weights.numpy().tobytes()
