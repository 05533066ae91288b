"""The catalogue as it is read: names as people write them, own entries, mistakes with a line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agnews_cli.core.run.method import Full, Lora
from agnews_cli.errors import CatalogueInvalid, ModelUnknown
from agnews_cli.store.settings import catalogue, presets
from agnews_cli.workflows.machine import base_models

SHIPPED = catalogue.load()
OWN = """\
models:
  my-roberta:
    id: me/my-roberta
    shape: {layers: 12, hidden: 768, heads: 12, intermediate: 3072, vocabulary: 50_265}
    parameters: 124_645_632
    published: {parameters: 125_000_000}
"""


def mine(home: Path, name: str, text: str) -> Path:
    path = home / "data" / "presets" / "catalogue" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def like_ours(name: str, family: str = "roberta") -> str:
    path = next(p for n, p in catalogue._files().items() if n == family)
    before = path.read_text("utf-8").partition("models:\n")[0]
    return before.replace(f"family: {family}", f"family: {name}")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("Llama 2 7B", "llama-2-7b"),
        ("Mixtral 8×7B", "mixtral-8x7b"),
        ("microsoft/DeBERTa-v3-base", "deberta-v3-base"),
        ("all-MiniLM-L6-v2", "minilm-l6"),
    ],
)
def test_a_model_is_found_by_what_people_call_it(typed: str, meant: str):
    found, note = SHIPPED.find(typed)
    assert found is SHIPPED.models[meant] and note == ""


def test_a_name_that_does_not_exist_answers_with_the_model_that_is_meant():
    known = base_models.named("DeBERTa-v3-XLarge")
    assert known.model.name == "deberta-v2-xlarge"
    assert "no xlarge of v3 was published; deberta-v2-xlarge is meant" in known.notes[0]
    with pytest.raises(ModelUnknown, match="did you mean 'falcon-40b'"):
        base_models.named("falcon40b")


def test_every_name_that_is_meant_leads_to_a_model():
    for model in SHIPPED.models.values():
        for name, meant in model.family.meant.items():
            assert name not in SHIPPED.models and meant.model in SHIPPED.models


def test_a_family_that_transformers_dropped_says_so_and_names_the_nearest(monkeypatch):
    kinds = {m.family.model_type for m in SHIPPED.models.values()}
    monkeypatch.setattr(base_models, "trainable_kinds", lambda: frozenset(kinds - {"xlnet"}))
    (note,) = base_models.named("xlnet-large").notes
    assert "no text classifier of the kind 'xlnet'" in note
    assert "the nearest that it has is roberta-large" in note
    assert base_models.named("roberta-large").notes == ()


def test_one_entry_adds_a_model(own_home: Path):
    mine(own_home, "mine", like_ours("mine") + OWN)
    model = base_models.named("me/my-roberta").model
    assert model.anatomy(4).parameters == SHIPPED.models["roberta-base"].anatomy(4).parameters


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (like_ours("mine") + OWN.replace("12,", "0,", 1), "layers: should be greater than 0"),
        (like_ours("mine") + OWN.replace("hidden", "width"), "there is no such field"),
        (like_ours("mine") + OWN.replace("my-roberta:", "My Roberta:", 1), "should match pattern"),
        (like_ours("mine").replace("hidden -> heads", "hidden => heads") + OWN, "match pattern"),
        (like_ours("other") + OWN, "family: should be the file's name, 'mine' (found 'other')"),
        (like_ours("mine") + OWN.replace("my-roberta", "roberta-base"), "is in .*roberta.yaml too"),
        ("- 1\n", "should be fields and values"),
    ],
)
def test_a_mistake_is_told_with_its_line(own_home: Path, text: str, problem: str):
    path = mine(own_home, "mine", text)
    with pytest.raises(CatalogueInvalid, match=r"mine.yaml:\d+: ") as found:
        catalogue.load()
    assert found.value.exit_code == 78 and str(path) in str(found.value)

    assert re.search(problem.replace("(", r"\(").replace(")", r"\)"), str(found.value))


def test_what_presets_say_of_their_models_is_what_the_catalogue_says():
    tuned = [p for p in presets.load_all() if p.tier in ("encoder", "llm")]
    tuned = [p for p in tuned if p.method.needs_weights]
    assert len(tuned) > 10
    for preset in tuned:
        known = SHIPPED.by_id(preset.model.id)
        assert known is not None, preset.model.id
        assert preset.model.parameters == pytest.approx(known.entry.parameters, rel=0.03)
        assert preset.model.licence == known.licence


def test_what_autograd_keeps_is_known_of_every_family():
    for model in SHIPPED.models.values():
        assert len(model.family.activations) == 4, model.family.family


def test_methods_count_by_the_catalogue():
    mini = SHIPPED.models["minilm-l6"].anatomy(4)
    assert Full().trained_parameters(mini) == 22_713_216 + 4 * 385
    of_layer = 4 * (384 + 384) + 2 * (384 + 1536)
    pooler = 384 + 384
    assert Lora(rank=1).trained_parameters(mini) == 6 * of_layer + pooler + 4 * 385


def test_the_families_around_a_model_are_its_own_and_all_where_it_is_not_listed(
    own_home: Path,
):
    for model in SHIPPED.models.values():
        found = catalogue.around([model.entry.id.upper()])
        assert found.by_id(model.entry.id) == model
        assert len(found.models) < len(SHIPPED.models)
    assert catalogue.around(["me/own", "microsoft/deberta-v3-base"]).models == SHIPPED.models
    broken = mine(own_home, "other", "models: [microsoft/deberta-v3-base")
    with pytest.raises(CatalogueInvalid, match=re.escape(str(broken))):
        catalogue.around(["microsoft/deberta-v3-base"])
