"""Python by which a fine-tuned model answers texts that it does not cut, without agnews.

For cards and docs/long-texts.md; executed as they stand by tests/end_to_end/test_delivered.py.
"""

from __future__ import annotations

import textwrap

from agnews_cli.core.run.long_texts import LongTexts

_OPENED = "model = AutoModelForSequenceClassification.from_pretrained(folder).eval()"
_HEAD_TAIL = """ids = tokenizer(text)["input_ids"]
if len(ids) > {length}:
    ids = ids[:{first}] + ids[-{last}:]
ids = torch.tensor([ids])
mask = torch.ones_like(ids)
"""
_WINDOWS = """windows = tokenizer(text, truncation=True, stride={overlap}, padding=True,
                    return_overflowing_tokens=True, return_tensors="pt")
ids, mask = (windows[name][:{most_windows}] for name in ("input_ids", "attention_mask"))
"""
_READ = {"head_tail": _HEAD_TAIL, "windows": _WINDOWS}
_FINETUNE = """
def finetune(folder, texts):
OPENED
    tokenizer = AutoTokenizer.from_pretrained(folder)
    found = []
    for text in texts:
READ
        with torch.no_grad():
            logits = model(input_ids=ids, attention_mask=mask).logits.POOLED(0)
        found.append(torch.softmax(logits, -1).numpy())
    return np.array(found)
"""
IMPORTS = (
    "import torch",
    "from transformers import AutoModelForSequenceClassification, AutoTokenizer",
)


def finetune(how: LongTexts, length: int, opened: str | None) -> str:
    """The function `finetune(folder, texts)` of a card. `opened`: lines that make `model` of the
    folder where it is none by itself."""
    read = _READ[how.how].format(length=length, **how.model_dump())
    code = _FINETUNE.replace("OPENED", textwrap.indent(opened or _OPENED, " " * 4).rstrip())
    code = code.replace("READ", textwrap.indent(read, " " * 8).rstrip())
    return code.replace("POOLED", "amax" if how.pooling == "max" else "mean")
