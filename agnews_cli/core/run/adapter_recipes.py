"""Python that opens what a method leaves that cannot be merged into its base model: plain torch,
transformers and PEFT, nothing of ours. For cards and docs/methods.md.

The lines are executed as they stand by tests/learn/test_methods.py.
"""

from __future__ import annotations

import json

from agnews_cli.core.run.method import Qlora

_LOADED = """labels = json.load(open(f"{folder}/labels.json", encoding="utf-8"))
model = AutoModelForSequenceClassification.from_pretrained(
    base, num_labels=len(labels), id2label=dict(enumerate(labels)), dtype=torch.float32"""
_QLORA = f""",
    quantization_config=BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        llm_int8_skip_modules={list(Qlora.kept_out)!r}))
for module in model.modules():
    module.support_avx512bf16_for_cpu = False  # its scales would be rounded
model = PeftModel.from_pretrained(model, folder).eval()
"""
_OWN = """)
tensors = safetensors.torch.load_file(f"{folder}/adapter.safetensors")
model.load_state_dict(tensors, strict=False)  # the head
"""
_BOTTLENECK = """
def adapted(name):
    down, b, up, c = (tensors[f"{name}.adapter.{part}"]
                      for part in ("down.weight", "down.bias", "up.weight", "up.bias"))
    add = lambda x: linear(ACTIVATION(linear(x, down, b)), up, c)
    HOOK
    return hook

for name in {key.partition(".adapter.")[0] for key in tensors if ".adapter." in key}:
    model.get_submodule(name).register_forward_hook(adapted(name))
model.eval()
"""
_AFTER = "hook = lambda module, given, x: x + add(x)"
_AFTER_FORWARD = """def hook(module, given, x):
        if isinstance(module, torch.nn.LayerNorm):
            return module.forward(given[0] + add(x))
        return (x[0] + add(x[0]), *x[1:]) if isinstance(x, tuple) else x + add(x)"""
_VIRTUAL = """
facts = json.load(open(f"{folder}/method.json", encoding="utf-8"))["virtual"]
vectors, axis = tensors["virtual.tokens"], facts["axis"]
count, fill = vectors.shape[-2], {"input_ids": facts["filler"], "attention_mask": 1}

def widened(model, given, asked):
    at = facts["start"] % asked["input_ids"].shape[1]
    return given, {
        name: torch.cat([x[:, :at], x.new_full((len(x), count), fill[name]), x[:, at:]], 1)
        for name, x in asked.items() if name in fill}

def put(vectors, states, name):
    at = facts["start"] % (states.shape[axis] - count) + ("decoder" in name.split("."))
    states = states.clone()
    states.narrow(axis, at, count).copy_(vectors.unsqueeze(1 - axis))
    return states

model.register_forward_pre_hook(widened, with_kwargs=True)
"""
_WORDS = """words = model.get_input_embeddings().weight
for name, module in model.named_modules():
    if isinstance(module, torch.nn.Embedding) and module.weight is words:
        module.register_forward_hook(lambda module, given, x, name=name: put(vectors, x, name))
model.eval()
"""
_BLOCKS = """for vector, name in zip(vectors, facts["blocks"]):
    model.get_submodule(name).register_forward_pre_hook(
        lambda module, given, v=vector, name=name: (put(v, given[0], name), *given[1:]))
model.eval()
"""
_FILES = "import safetensors.torch"
_MORE = {
    "qlora": ("from peft import PeftModel",),
    "houlsby": (_FILES, "from torch.nn.functional import linear, silu"),
    "pfeiffer": (_FILES, "from torch.nn.functional import linear, relu"),
}


def imports(kind: str) -> tuple[str, ...]:
    """What the lines of `body` need."""
    names = "AutoModelForSequenceClassification"
    names += ", BitsAndBytesConfig" if kind == "qlora" else ""
    more = _MORE.get(kind, (_FILES,))
    return ("import json", "import torch", *more, f"from transformers import {names}")


def body(kind: str) -> str | None:
    """Lines that make `model` of what the method `kind` left in `folder`, on `base`, the base
    model's id or folder; None where that is a whole model."""
    found = _BODIES.get(kind)
    return None if found is None else _LOADED + found


def opened(kind: str, base: str, folder: str) -> str | None:
    """The same, complete."""
    lines = body(kind)
    if lines is None:
        return None
    places = f"base, folder = {json.dumps(base, ensure_ascii=False)}, {json.dumps(folder)}"
    return "\n".join(imports(kind)) + f"\n\n{places}\n{lines}"


_BODIES = {
    "qlora": _QLORA,
    "houlsby": _OWN + _BOTTLENECK.replace("ACTIVATION", "silu").replace("HOOK", _AFTER),
    "pfeiffer": _OWN + _BOTTLENECK.replace("ACTIVATION", "relu").replace("HOOK", _AFTER_FORWARD),
    "prompt": _OWN + _VIRTUAL + _WORDS,
    "p_tuning": _OWN + _VIRTUAL + _WORDS,
    "prefix": _OWN + _VIRTUAL + _BLOCKS,
}
