"""Python that uses a delivered model; but for `load` nothing of ours is imported. For cards.

The lines are the documentation (docs/delivered.md) and are executed as they stand by
tests/end_to_end/test_delivered.py.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from agnews_cli.core.run import adapter_recipes, long_recipes, network_recipes
from agnews_cli.core.run.long_texts import CUT, LongTexts

_LINEAR = """
def linear(folder, texts):
    parts, views = [], {"words": ("word", (1, 2)), "characters": ("char_wb", (2, 5))}
    for view, (analyzer, ngrams) in views.items():
        if not os.path.exists(f"{folder}/{view}.json"):
            continue
        facts = json.load(open(f"{folder}/{view}.json", encoding="utf-8"))
        arrays = load_file(f"{folder}/{view}.safetensors")
        vectors = TfidfVectorizer(analyzer=analyzer, ngram_range=ngrams, sublinear_tf=True,
                                  vocabulary=facts["vocabulary"], dtype=np.float32)
        vectors.idf_ = arrays["idf"]
        scores = vectors.transform(texts) @ arrays["weights"] + arrays["bias"]
        parts.append(softmax(scores / facts["temperature"], axis=1))
    return np.mean(parts, axis=0)
"""
_FOREST = """
def forest(folder, texts):
    facts = json.load(open(f"{folder}/words.json", encoding="utf-8"))
    trees = load_file(f"{folder}/trees.safetensors")
    vectors = TfidfVectorizer(sublinear_tf=True, vocabulary=facts["vocabulary"], dtype=np.float32)
    vectors.idf_ = trees["idf"]
    words, parts = vectors.transform(texts).toarray(), []
    for root in trees["roots"]:
        node = np.full(len(texts), root)
        while (trees["left"][node] >= 0).any():
            value = words[np.arange(len(texts)), trees["feature"][node]]
            is_left = value <= trees["threshold"][node]
            step = np.where(is_left, trees["left"][node], trees["right"][node])
            node = np.where(step >= 0, step, node)
        parts.append(trees["share"][node])
    share = np.log(np.maximum(np.mean(parts, axis=0, dtype=np.float64), 1e-4))
    return softmax(share / facts["temperature"], axis=1)
"""
_FINETUNE = """
def finetune(folder, texts):
    classify = pipeline("text-classification", model=folder, truncation=True, top_k=None)
    found = [{each["label"]: each["score"] for each in row} for row in classify(texts)]
    return np.array([[row[label] for label in labels] for row in found])
"""
_FINETUNE_ON_BASE = """
def finetune(folder, texts):
BODY
    classify = pipeline("text-classification", model=model, truncation=True, top_k=None,
                        tokenizer=AutoTokenizer.from_pretrained(folder))
    found = [{each["label"]: each["score"] for each in row} for row in classify(texts)]
    return np.array([[row[label] for label in labels] for row in found])
"""
_EMBEDDING = """
def embedding(folder, texts):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    batch = tokenizer(texts, truncation=True, padding=True, return_tensors="pt")
    facts = json.load(open(f"{folder}/head.json", encoding="utf-8"))
    model = AutoModel.from_pretrained(base, dtype=facts.get("dtype", "float32")).eval()
    hidden = model(**batch).last_hidden_state.float().detach().numpy()
    mask = batch["attention_mask"].numpy()[:, :, None]
    mean = (hidden * mask).sum(1) / mask.sum(1)
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    head = load_file(f"{folder}/head.safetensors")
    return softmax(mean @ head["weights"] + head["bias"], axis=1)
"""
_ONNX = """
def onnx(folder, texts):
    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    session = onnxruntime.InferenceSession(f"{folder}/model.onnx")
    found = tokenizer.encode_batch(texts)
    ids, mask = [one.ids for one in found], [one.attention_mask for one in found]
    batch = {"input_ids": np.array(ids), "attention_mask": np.array(mask)}
    scores = np.exp(session.run(["logits"], batch)[0].astype(float))
    return scores / scores.sum(1, keepdims=True)
"""
_OPENVINO = """
def openvino(folder, texts):
    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    model = Core().compile_model(f"{folder}/model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = tokenizer.encode_batch(texts)
    ids, mask = [one.ids for one in found], [one.attention_mask for one in found]
    batch = {"input_ids": np.array(ids), "attention_mask": np.array(mask)}
    scores = np.exp(model(batch)["logits"].astype(float))
    return scores / scores.sum(1, keepdims=True)
"""
_FUNCTIONS = {
    "linear": _LINEAR,
    "forest": _FOREST,
    "finetune": _FINETUNE,
    "embedding": _EMBEDDING,
    "onnx": _ONNX,
    "openvino": _OPENVINO,
}
_COUNTED = (
    "from safetensors.numpy import load_file",
    "from scipy.special import softmax",
    "from sklearn.feature_extraction.text import TfidfVectorizer",
)
_IMPORTS = {
    "linear": _COUNTED,
    "forest": _COUNTED,
    "finetune": ("from transformers import pipeline",),
    "embedding": (
        "from safetensors.numpy import load_file",
        "from scipy.special import softmax",
        "from transformers import AutoModel, AutoTokenizer",
    ),
    "onnx": ("import onnxruntime", "from tokenizers import Tokenizer"),
    "openvino": ("from openvino import Core", "from tokenizers import Tokenizer"),
}


_ON_BASE = """tokenizer = AutoTokenizer.from_pretrained(folder)
classify = pipeline("text-classification", model=model, tokenizer=tokenizer, truncation=True)
print(classify(TEXT))
"""


def on_base(kind: str, folder: str, base: str, text: str = "your text") -> str | None:
    """As `pipeline`, for what a method left that needs its base model; None: it needs none."""
    lines = adapter_recipes.opened(kind, base, folder)
    if lines is None:
        return None
    more = "from transformers import AutoTokenizer, pipeline\nfrom transformers import "
    lines = lines.replace("from transformers import ", more, 1)
    return lines + _ON_BASE.replace("TEXT", _quoted(text))


def pipeline(folder: str, text: str = "your text") -> str:
    """Three lines for a folder with a Hugging Face model; a long text is cut as in training."""
    return (
        "from transformers import pipeline\n"
        f'classify = pipeline("text-classification", model={_quoted(folder)}, truncation=True)\n'
        f"print(classify({_quoted(text)}))\n"
    )


def graph(kind: str, text: str = "your text") -> str:
    """Ten lines for one exported model, in its folder, without torch and without agnews."""
    begin, answer = {
        "onnx": (
            "import onnxruntime",
            'logits = onnxruntime.InferenceSession("model.onnx").run(["logits"], batch)[0]\n',
        ),
        "openvino": (
            "from openvino import Core",
            'settings = {"INFERENCE_PRECISION_HINT": "f32"}\n'
            'logits = Core().compile_model("model.xml", "CPU", settings)(batch)["logits"]\n',
        ),
    }[kind]
    return (
        f"import json\nimport numpy as np\n{begin}\nfrom tokenizers import Tokenizer\n"
        'labels = json.load(open("agnews.json", encoding="utf-8"))["labels"]\n'
        f'found = Tokenizer.from_file("tokenizer.json").encode_batch([{_quoted(text)}])\n'
        'batch = {"input_ids": np.array([one.ids for one in found]),\n'
        '         "attention_mask": np.array([one.attention_mask for one in found])}\n'
        f"{answer}print([labels[k] for k in logits.argmax(1)])\n"
    )


def load(folder: str, text: str = "your text") -> str:
    """Three lines with agnews, for whatever a run delivered."""
    return (
        "from agnews_cli import load\n"
        f"model = load({_quoted(folder)})\n"
        f"print(model.predict([{_quoted(text)}]).labels)\n"
    )


def adapter(folder: str, base: str, classes: int, *, is_on_hub: bool) -> str:
    """The adapter on its base model. PEFT must be told how many classes the head has."""
    if is_on_hub:
        return (
            "from peft import AutoPeftModelForSequenceClassification\n"
            "model = AutoPeftModelForSequenceClassification.from_pretrained("
            f"{_quoted(folder)}, num_labels={classes})\n"
        )
    return (
        "from peft import PeftModel\n"
        "from transformers import AutoModelForSequenceClassification\n"
        f"folder = {_quoted(base)}  # of the base model, which is not on the hub\n"
        "base = AutoModelForSequenceClassification.from_pretrained("
        f"folder, num_labels={classes})\n"
        f"model = PeftModel.from_pretrained(base, {_quoted(folder)})\n"
    )


def average(
    members: Sequence[tuple[str, str, float]],
    *,
    base: str,
    is_alone: bool = False,
    is_listed: bool = False,
    temperature: float = 1.0,
    method: str = "full",
    long_texts: LongTexts = CUT,
    length: int = 0,
    network: str | None = None,
) -> str:
    """Plain Python for what a run delivers. members: (kind, folder, share) of each.

    `is_listed`: they stand in the lines, as no file lists all of them (an ensemble's, which lie in
    folders of their own). `is_alone`: one member's folder, without the run around it. `base`: the
    model that embeddings need, and what `method` left, by which the others were fine-tuned.
    `temperature`: of the average. `long_texts`: how fine-tuned members read a text of more than
    `length` tokens. `network`: the kind of those that are no model of transformers.
    """
    kinds = sorted({kind for kind, _, _ in members})
    functions, needed = _FUNCTIONS, {line for kind in kinds for line in _IMPORTS[kind]}
    adapted = adapter_recipes.body(method) if "finetune" in kinds else None
    if adapted is not None:
        functions = functions | {
            "finetune": _FINETUNE_ON_BASE.replace("BODY", textwrap.indent(adapted, "    ").rstrip())
        }
        needed |= {*adapter_recipes.imports(method), "from transformers import AutoTokenizer"}
    if "finetune" in kinds and not long_texts.is_usual:
        functions = functions | {"finetune": long_recipes.finetune(long_texts, length, adapted)}
        needed = needed - {*_IMPORTS["finetune"]} | {*long_recipes.IMPORTS}
    if "finetune" in kinds and network is not None:
        functions = functions | {"finetune": network_recipes.finetune(network)}
        needed = needed - {*_IMPORTS["finetune"]} | {*network_recipes.IMPORTS}
    imports = sorted(needed - {"import json"})
    first = ["import os"] if "linear" in kinds else []
    lines = ["import json", *first, "import numpy as np", *imports, ""]
    source = '"agnews.json"' if is_alone else '"delivery.json"'
    lines.append(f'facts = json.load(open({source}, encoding="utf-8"))')
    lines.append('labels = facts["labels"]')
    if "embedding" in kinds or adapted is not None:
        lines.append(f"base = {_quoted(base)}")
    code = "\n".join(lines) + "\n" + "".join(functions[kind] for kind in kinds)
    texts = 'texts = ["your text"]\n'
    if is_alone:
        last = f'probabilities = {members[0][0]}(".", texts)\n'
    else:
        kinds_of = ", ".join(f'"{kind}": {kind}' for kind in kinds)
        last = f"kinds = {{{kinds_of}}}\n"
        listed = "".join(f"    {(kind, folder, round(s, 6))!r},\n" for kind, folder, s in members)
        last += (
            f"members = [\n{listed}]\n"
            "probabilities = sum(share * kinds[kind](folder, texts) for kind, folder, share in "
            "members)\n"
            if is_listed
            else 'probabilities = sum(m["share"] * kinds[m["kind"]](m["folder"], texts)\n'
            '                    for m in facts["members"])\n'
        )
    if temperature != 1.0:
        last += f"probabilities = probabilities ** (1 / {temperature:.6g})\n"
        last += "probabilities /= probabilities.sum(1, keepdims=True)\n"
    return f"{code}\n{texts}{last}print([labels[k] for k in probabilities.argmax(1)])\n"


def _quoted(text: str) -> str:
    """As Python source, in double quotes where that says the same."""
    found = repr(text)
    return f'"{text}"' if found == f"'{text}'" and '"' not in text else found
