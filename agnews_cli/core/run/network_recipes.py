"""Python that uses a delivered network (`core.run.network`): plain torch and its tokenizer. For
cards and docs/delivered.md; executed as it stands by tests/learn/test_networks.py."""

from __future__ import annotations

IMPORTS: tuple[str, ...] = (
    "import safetensors.torch",
    "import torch",
    "from torch.nn.functional import conv1d, embedding, linear, pad, relu",
    "from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence",
    "from transformers import AutoTokenizer",
)
_WHOLE = """
def finetune(folder, texts):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    facts = json.load(open(f"{folder}/network.json", encoding="utf-8"))["network"]
    weights = safetensors.torch.load_file(f"{folder}/model.safetensors")
    batch = tokenizer(texts, truncation=True, padding=True, return_tensors="pt")
    mask = batch["attention_mask"]
    words = embedding(batch["input_ids"], weights["words.weight"]) * mask[:, :, None]
STATES
    logits = linear(found, weights["classifier.weight"], weights["classifier.bias"])
    return torch.softmax(logits, -1).detach().numpy()
"""
_STATES = {
    "cnn": """    parts = []
    for width in facts["widths"]:
        name = f"convolution{width}"
        padded = pad(words.transpose(1, 2), ((width - 1) // 2, width // 2))
        states = relu(conv1d(padded, weights[f"{name}.weight"], weights[f"{name}.bias"]))
        parts.append((states * mask[:, None, :]).amax(2))
    found = torch.cat(parts, 1)""",
    "bilstm": """    lstm = torch.nn.LSTM(
        words.shape[2], facts["width"], batch_first=True, bidirectional=True)
    lstm.load_state_dict({name.removeprefix("lstm."): one for name, one in weights.items()
                          if name.startswith("lstm.")})
    packed = pack_padded_sequence(words, mask.sum(1), batch_first=True, enforce_sorted=False)
    states, _ = pad_packed_sequence(
        lstm(packed)[0], batch_first=True, padding_value=-float("inf"))
    found = states.amax(1)""",
}


def finetune(kind: str) -> str:
    """The function that answers with a network of this kind."""
    return _WHOLE.replace("STATES", _STATES[kind])
