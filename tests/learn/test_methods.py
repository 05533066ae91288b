"""Every method of the registry: what it trains, how much, and that its files answer as it did."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")

from transformers import AutoModelForSequenceClassification  # noqa: E402

from agnews_cli.core.run.method import Anatomy, Method  # noqa: E402
from agnews_cli.learn import methods  # noqa: E402
from agnews_cli.learn.kinds.registry import modules  # noqa: E402
from agnews_cli.learn.models.model import (  # noqa: E402
    load_classifier,
    load_tokenizer,
    save_delivery,
)
from tests import tiny as words  # noqa: E402
from tests.learn import tiny  # noqa: E402

LABELS = ("a", "b", "c")
NAMES = list(modules(methods))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return words.make(tmp_path_factory.mktemp("method") / "base")


class Made:
    """A model that a method trains, as if it had been trained: nothing of it is at its start."""

    def __init__(self, name: str, base: Any) -> None:
        self.method, self.tokenizer = tiny.method(name), load_tokenizer(str(base))
        self.preset = tiny.preset(base).model_copy(update={"method": self.method})
        pad_id = self.tokenizer.pad_token_id
        self.model: Any = load_classifier(
            str(base), self.preset, LABELS, pad_id=pad_id, seed=3, on_cpu=True
        )
        self.trained = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for weight in self.trained.values():
                weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
        texts = ["goal team", "the bank of a star and rain"]
        self.batch = self.tokenizer(texts, return_tensors="pt", padding=True)

    def logits(self, model: Any) -> Any:
        with torch.no_grad():
            return model.eval()(**self.batch).logits


def test_what_can_be_asked_for_can_be_done():
    union = [one for one in get_args(get_args(Method)[0]) if one.needs_weights]
    assert sorted(each().kind for each in union) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_files_answer_as_what_was_trained_did(base, tmp_path, name):
    """Those of the whole model, and those that the method writes beside."""
    made = Made(name, base)
    expected = made.logits(made.model)
    procedure = methods.of(made.method)
    procedure.merge(made.model)
    assert torch.allclose(made.logits(made.model), expected, atol=1e-5), "merged"
    save_delivery(made.model, made.tokenizer, made.preset, tmp_path, LABELS)
    whole = methods.open_folder(tmp_path)
    assert torch.allclose(made.logits(whole), expected, atol=1e-5)
    assert not hasattr(whole, "peft_config"), "the whole model needs no library of the method's"
    if procedure.beside is not None:
        beside = methods.open_folder(tmp_path / procedure.beside, str(base))
        assert torch.allclose(made.logits(beside), expected, atol=1e-5)
        # As others save an adapter: with the configuration of its base model, or of a trainer.
        (tmp_path / procedure.beside / "config.json").write_bytes(
            (tmp_path / "config.json").read_bytes()
        )
        again = methods.open_folder(tmp_path / procedure.beside, str(base))
        assert torch.allclose(made.logits(again), expected, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_it_trains_as_many_parameters_as_planning_says(base, name):
    made = Made(name, base)
    plain = AutoModelForSequenceClassification.from_pretrained(base, num_labels=len(LABELS))
    layers = {n: m for n, m in plain.named_modules() if isinstance(m, torch.nn.Linear)}
    head = layers.pop("classifier")
    anatomy = Anatomy(
        parameters=sum(p.numel() for p in plain.parameters()),
        linear=tuple((n, m.in_features, m.out_features) for n, m in layers.items()),
        new=sum(p.numel() for p in head.parameters()),
    )
    trained = sum(weight.numel() for weight in made.trained.values())
    assert trained == made.method.trained_parameters(anatomy)


@pytest.mark.parametrize("name", NAMES)
def test_a_gradient_reaches_all_that_is_trained_and_nothing_else(base, name):
    made = Made(name, base)
    logits = made.model.eval()(**made.batch).logits
    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 2])).backward()
    gradients = {n: p.grad for n, p in made.model.named_parameters()}
    reached = {n for n, g in gradients.items() if g is not None and g.abs().max() > 0}
    assert reached == set(made.trained)


def test_what_a_method_loads_with_reaches_the_loader(base, monkeypatch):
    """Before anything is loaded: a quantised model cannot be made of a loaded one."""
    from agnews_cli.learn.methods import full

    half = replace(full.PROCEDURE, load_options=lambda method: {"dtype": torch.bfloat16})
    assert {p.dtype for p in Made("full", base).model.parameters()} == {torch.float32}
    monkeypatch.setattr(full, "PROCEDURE", half)
    assert {p.dtype for p in Made("full", base).model.parameters()} == {torch.bfloat16}


def test_nobody_else_asks_which_method_it_is():
    room = Path(methods.__file__).parent
    words = ("peft_config", "PeftModel", "method.kind ==", "isinstance(method")
    for path in room.parent.rglob("*.py"):
        if room not in path.parents:
            assert not [word for word in words if word in path.read_text("utf-8")], path


def test_a_folder_that_no_method_wrote_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"adapter_config\.json or config\.json"):
        methods.open_folder(tmp_path)
