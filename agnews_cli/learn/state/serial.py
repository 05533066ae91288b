"""Tensors in the safetensors format, streamed.

The library's own `save` copies everything into one buffer while it holds the interpreter's lock, so
that training stands still meanwhile. Here the header alone is made and the tensors follow as they
lie in memory; byte for byte it is what the library would write, and the library reads it.
The format: https://github.com/huggingface/safetensors#format (0.8)
"""

from __future__ import annotations

import json

import torch

from agnews_cli.learn.state.snapshot import Tensors
from agnews_cli.store.disk.files import Part

_ALIGNMENT = 8
_TYPES = {  # in the library's order: the widest first, so that every tensor lies aligned
    torch.int64: "I64",
    torch.float64: "F64",
    torch.float32: "F32",
    torch.int32: "I32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_RANKS = {dtype: rank for rank, dtype in enumerate(_TYPES)}


def parts(tensors: Tensors) -> tuple[Part, ...]:
    """The parts of a safetensors file: its header, then the tensors' own memory, not copied.

    The tensors must lie in the host's memory, contiguously, and stay as they are until the parts
    are used up. Raises KeyError for a type of number that no model here has.
    """
    names = sorted(tensors, key=lambda name: (_RANKS[tensors[name].dtype], name))
    header, begin = {}, 0
    for name in names:
        tensor = tensors[name]
        end = begin + tensor.nbytes
        header[name] = {
            "dtype": _TYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
        begin = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    found: list[Part] = [len(text).to_bytes(8, "little") + text]
    found += [_memory(tensors[name]) for name in names if tensors[name].numel()]
    return tuple(found)


def _memory(tensor: torch.Tensor) -> memoryview:
    return memoryview(tensor.view(-1).view(torch.uint8).numpy())
