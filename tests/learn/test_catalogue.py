"""Every model of the catalogue is what transformers builds from its shape, with the number of
weights that was published; and a small one of its kind classifies."""

from __future__ import annotations

from typing import get_args

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

import transformers  # noqa: E402
from transformers import AutoConfig, AutoModelForSequenceClassification  # noqa: E402

from agnews_cli.core.run.catalogue import CatalogueModel  # noqa: E402
from agnews_cli.core.run.method import Lora, Method  # noqa: E402
from agnews_cli.learn.adapters import places  # noqa: E402
from agnews_cli.store.settings import catalogue  # noqa: E402

MODELS = catalogue.load().models
FEW = {"minilm-l6", "modernbert-base", "gemma-3-270m"}
EVERY = [
    pytest.param(name, marks=() if name in FEW else pytest.mark.slow, id=name) for name in MODELS
]
FAMILIES = [
    pytest.param(family, marks=() if names & FEW else pytest.mark.slow, id=family)
    for family in sorted({m.family.family for m in MODELS.values()})
    for names in [{n for n, m in MODELS.items() if m.family.family == family}]
]
SMALL = {
    "layers": 2,
    "hidden": 64,
    "heads": 4,
    "kv_heads": 2,
    "head_dim": 16,
    "intermediate": 96,
    "vocabulary": 99,
    "positions": 64,
    "embedding": 64,
}


def built(model: CatalogueModel, kind: str, **more):
    with torch.device("meta"):
        config = AutoConfig.for_model(model.family.model_type, **model.config(), **more)
        return getattr(transformers, kind).from_config(config)


def weights(module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def small(model: CatalogueModel) -> CatalogueModel:
    """One of its kind."""
    own = {name: min(SMALL[name], size) for name, size in model.shape if size is not None}
    if model.family.model_type == "mpt":  # whose code knows no other
        own["intermediate"] = 4 * own["hidden"]
    shape = model.shape.model_copy(update=own)
    entry = model.entry.model_copy(update={"shape": shape})
    return CatalogueModel(model.name, entry, model.family)


def small_classifier(model: CatalogueModel):
    tower = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    own = small(model).config()
    if "vision_config" in own:
        own["vision_config"] |= tower | {"intermediate_size": 16, "image_size": 28}
    config = AutoConfig.for_model(model.family.model_type, **own)
    config.num_labels, config.pad_token_id = 4, 0
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_config(config)


@pytest.mark.parametrize("name", EVERY)
def test_a_model_has_the_weights_that_were_published(name: str):
    model = MODELS[name]
    base = built(model, "AutoModel")
    assert weights(base) == model.entry.parameters
    published = model.entry.published
    whole = base if published.of == "AutoModel" else built(model, published.of)
    off = weights(whole) / published.parameters - 1
    assert abs(off) < (0.01 if published.unlike is None else 0.07), f"{off:+.2%}"
    assert published.unlike is None or abs(off) > 0.01


@pytest.mark.parametrize("name", EVERY)
def test_a_classifier_has_the_weights_that_its_anatomy_says(name: str):
    model = MODELS[name]
    whole = weights(built(model, "AutoModelForSequenceClassification", num_labels=4))
    assert model.anatomy(4).parameters == pytest.approx(whole, rel=0.03)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_small_one_classifies(family: str):
    model = next(m for m in MODELS.values() if m.family.family == family)
    classifier = small_classifier(model)
    ids = torch.tensor([[5, 6, 7, 1], [5, 8, 1, 0]])  # T5 wants one end in each
    with torch.no_grad():
        logits = classifier(input_ids=ids, attention_mask=ids.ne(0).long()).logits
    assert logits.shape == (2, 4) and bool(logits.isfinite().all())
    assert classifier.supports_gradient_checkpointing == model.family.has_checkpointing
    uses = "sdpa" if classifier._supports_sdpa else "eager"
    assert uses == model.family.attention


@pytest.mark.parametrize("family", FAMILIES)
def test_methods_train_what_the_catalogue_says(family: str):
    """By the names that layers have here and in transformers, and their widths."""
    model = next(m for m in MODELS.values() if m.family.family == family)
    classifier = small_classifier(model)
    linear = [n for n, m in classifier.named_modules() if isinstance(m, torch.nn.Linear)]
    for name in model.family.linear:
        tail = name.removeprefix("encoder.").removeprefix("decoder.")
        assert any(layer.endswith(tail) for layer in linear), name
    inside = f"{classifier.base_model_prefix}."
    head = [n for n, _ in classifier.named_parameters() if not n.startswith(inside)]
    built = places.anatomy_of(classifier, sorted({name.rpartition(".")[0] for name in head}))
    told = small(model).anatomy(4)
    union = [one() for one in get_args(get_args(Method)[0]) if one.needs_weights]
    every = [*union, Lora(rank=4, targets=model.family.targets)]
    unknown = {"bitfit", "full"}  # of biases it knows nothing; all weights are counted above
    for method in every:
        if method.kind not in {*unknown, *model.family.refused}:
            found = method.trained_parameters(built)
            assert method.trained_parameters(told) == pytest.approx(found, rel=0.03), method.kind
