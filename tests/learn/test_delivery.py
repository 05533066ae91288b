"""Delivered parts that no end-to-end run shows: rare architectures, embeddings, repeated rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")

from transformers import AutoModelForSequenceClassification  # noqa: E402

from agnews_cli.core.run import recipes  # noqa: E402
from agnews_cli.core.run.dataset import Rows  # noqa: E402
from agnews_cli.core.run.prediction import Member, Order  # noqa: E402
from agnews_cli.errors import ModelBringsCode  # noqa: E402
from agnews_cli.learn.models import embedding  # noqa: E402
from agnews_cli.learn.models.model import (  # noqa: E402
    load_classifier,
    load_config,
    load_delivery,
    load_encoder,
    load_tokenizer,
    save_delivery,
    save_tokenizer,
)
from agnews_cli.learn.predictor import Means, open_delivery  # noqa: E402
from agnews_cli.learn.rows import overlap  # noqa: E402
from agnews_cli.learn.rows.tokens import tokenise  # noqa: E402
from agnews_cli.store.settings import presets  # noqa: E402
from tests import tiny  # noqa: E402


def test_an_adapter_holds_what_its_base_model_does_not_have(tmp_path):
    """DeBERTa's pooler is as new as the head: whoever loads the base model draws another one."""
    from peft import PeftModel
    from safetensors.torch import load_file, save_file

    base = tiny.make(tmp_path / "base")
    known = load_file(base / "model.safetensors")
    kept = {name: held for name, held in known.items() if "pooler" not in name}
    save_file(kept, base / "model.safetensors", metadata={"format": "pt"})
    preset = presets.load("minilm-lora")
    tokenizer = load_tokenizer(str(base))
    labels = ["a", "b", "c"]
    model = load_classifier(
        str(base), preset, labels, pad_id=tokenizer.pad_token_id, seed=3, on_cpu=True
    )
    for name, held in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(held)
    batch = tokenizer(["goal team", "the bank"], return_tensors="pt", padding=True)
    expected = model.eval()(**batch).logits
    save_delivery(model, tokenizer, preset, tmp_path / "out", labels)
    merged = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").eval()
    assert torch.allclose(merged(**batch).logits, expected, atol=1e-5)
    torch.manual_seed(8)
    other = AutoModelForSequenceClassification.from_pretrained(base, num_labels=3)
    again = PeftModel.from_pretrained(other, tmp_path / "out" / "adapter").eval()
    assert torch.allclose(again(**batch).logits, expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["mpnet", "distilbert", "deberta-v2"])
@pytest.mark.parametrize("method", ["lora", "full"])
def test_files_answer_as_the_model_that_was_evaluated_did(tmp_path, kind, method):
    """Other architectures: without attention by plug-in, or with two layers in the head."""
    from transformers import AutoConfig, AutoModel

    base = tiny.make(tmp_path / "base")
    sizes = {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 64,
    }  # fmt: skip
    if kind == "distilbert":
        sizes = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64}
    config = AutoConfig.for_model(
        kind, vocab_size=len(tiny.WORDS) + 5, max_position_embeddings=64, pad_token_id=0, **sizes
    )
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(base)
    preset = presets.with_settings(presets.load("minilm-lora"), (f"method.kind={method}",))
    tokenizer = load_tokenizer(str(base))
    model = load_classifier(str(base), preset, ["a", "b", "c"], pad_id=0, seed=3, on_cpu=True)
    for name, held in model.named_parameters():
        if "lora_B" in name or "weight" in name:
            torch.nn.init.normal_(held, std=0.2)
    batch = tokenizer(["goal", "the bank of a star and rain"], return_tensors="pt", padding=True)
    del batch["token_type_ids"]
    expected = model.eval()(**batch).logits
    save_delivery(model, tokenizer, preset, tmp_path / "out", ["a", "b", "c"])
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").eval()
    assert torch.allclose(again(**batch).logits, expected, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_lines_for_embeddings_give_what_the_embedding_member_gives(
    tmp_path, monkeypatch, dtype
):
    from transformers import AutoModel

    base = tiny.make(tmp_path / "base")
    texts = [text for text, _ in tiny.rows(3, 6)]
    classes = np.asarray([0, 1, 2] * 6)
    tokenizer = load_tokenizer(str(base))
    tokens = tokenise(Rows(texts, classes), tokenizer, 12)
    encoder = embedding.in_type(AutoModel.from_pretrained(base), dtype)
    embedded = embedding.embed(encoder, tokens, tokenizer.pad_token_id, batch_tokens=64)
    head = embedding.EmbeddingHead.fit(embedded, classes, dtype)
    head.save(tmp_path, encoder="owner/name", max_length=12)
    save_tokenizer(tokenizer, 12, tmp_path)
    (tmp_path / "agnews.json").write_text('{"labels": ["a", "b", "c"]}')
    code = recipes.average([("embedding", ".", 1.0)], base=str(base), is_alone=True)
    names: dict = {}
    monkeypatch.chdir(tmp_path)
    exec(code.replace('["your text"]', repr(texts)), names)
    near = 1e-5 if dtype == "float32" else 2e-2  # in bf16 the width of a batch shows
    assert names["probabilities"] == pytest.approx(head.predict(embedded), abs=near)
    member = Member(name="e", kind="embedding", folder=str(tmp_path))
    order = Order(members=(member,), labels=("a", "b", "c"), max_length=12, base=str(base))
    asked, exact = open_delivery(order)(texts), open_delivery(order, Means(is_exact=True))(texts)
    assert asked == pytest.approx(head.predict(embedded), abs=near)
    assert (asked == exact).all() == (dtype == "float32")


def test_texts_are_the_same_when_their_letters_and_digits_are():
    seen = overlap.hashes(["Oil rises to $50 - Reuters", "Éclair, 2 for 1", "!!!", "\ud800 x"])
    given = ["OIL RISES TO 50 (reuters)", "éclair 2 for 1", "!!!", "???", "Oil rises to $51", "¡!"]
    assert overlap.are_in(given, seen).tolist() == [True, True, True, False, False, False]


@pytest.mark.parametrize("settings", ["config.json", "tokenizer_config.json"])
def test_no_loader_takes_a_model_that_brings_code(tmp_path, settings):
    """Whichever is called first: from a folder, or from the hub's answers."""
    base = tiny.make(tmp_path / "base")
    facts = json.loads((base / settings).read_text())
    nested = facts | {"text_config": {"auto_map": {"AutoModel": "evil.Model"}}}
    (base / settings).write_text(json.dumps(nested))
    preset = presets.load("minilm")
    loaders = (
        load_tokenizer,
        load_config,
        load_encoder,
        lambda path: load_classifier(path, preset, ["a", "b"], pad_id=0, seed=0, on_cpu=True),
        lambda path: load_delivery(Path(path), None),
    )
    for load in loaders:
        with pytest.raises(ModelBringsCode, match="auto_map"):
            load(str(base))
