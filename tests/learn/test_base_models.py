"""Base models as people bring them with --model."""

from __future__ import annotations

from pathlib import Path

import pytest

from agnews_cli.store.settings import presets

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")


@pytest.mark.parametrize(("preset", "classes"), [("minilm", 3), ("minilm-lora", 4)])
def test_a_classifier_of_other_classes_is_a_base_whose_head_is_trained(
    tmp_path: Path, preset: str, classes: int
):
    """Somebody's classifier, of another number of classes, or of as many that mean others."""
    from transformers import BertConfig, BertForSequenceClassification

    from agnews_cli.learn.models.model import load_classifier

    config = BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, num_labels=classes,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    model = load_classifier(
        str(tmp_path), presets.load(preset), list("abcd"), pad_id=0, seed=0, on_cpu=True
    )
    head = {n: p for n, p in model.named_parameters() if "classifier" in n and p.requires_grad}
    assert sorted(tuple(p.shape) for p in head.values()) == [(4,), (4, 16)]
