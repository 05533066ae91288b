"""Small networks on word embeddings go through the same loop as any classifier: exact resume, the
predictor, files that plain torch opens by the documented lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")

from pydantic import TypeAdapter  # noqa: E402

from agnews_cli.core.run import recipes  # noqa: E402
from agnews_cli.core.run.network import Network  # noqa: E402
from agnews_cli.learn import networks  # noqa: E402
from agnews_cli.learn.kinds.registry import modules  # noqa: E402
from agnews_cli.learn.models.model import (  # noqa: E402
    load_classifier,
    load_delivery,
    load_tokenizer,
    save_delivery,
)
from tests.learn import tiny  # noqa: E402

NAMES = list(modules(networks))
LABELS = ("a", "b", "c")
TEXTS = ["w1 w2 w3 w9 w17 w8 w3", "w5 w6", "w20"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.model_folder(tmp_path_factory.mktemp("network") / "base")


def preset(name: str, base: Path, **training: Any) -> Any:
    fields = {"kind": name} | modules(networks)[name].EXAMPLE
    asked = TypeAdapter(Network).validate_python(fields)
    by_turns = {"cross_validated_below": 0}
    return tiny.preset(base, by_turns, **training).model_copy(update={"network": asked})


def load(name: str, base: Path, seed: int = 3) -> Any:
    facts = (str(base), preset(name, base), LABELS)
    return load_classifier(*facts, pad_id=0, seed=seed, on_cpu=True)


def logits(model: Any, batch: dict[str, Any]) -> Any:
    with torch.no_grad():
        return model.eval()(**batch).logits


def test_what_can_be_asked_for_is_there() -> None:
    kinds = [one.model_fields["kind"].default for one in get_args(get_args(Network)[0])]
    assert sorted(kinds) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_all_of_it_is_trained_and_drawn_by_the_seed(name: str, base: Path) -> None:
    model, again, other = load(name, base), load(name, base), load(name, base, seed=4)
    batch = load_tokenizer(str(base))(TEXTS, return_tensors="pt", padding=True)
    assert torch.equal(logits(model, batch), logits(again, batch))
    assert not torch.equal(logits(model, batch), logits(other, batch))
    torch.nn.functional.cross_entropy(model(**batch).logits, torch.tensor([0, 1, 2])).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("name", NAMES)
def test_padding_counts_on_neither_side(name: str, base: Path) -> None:
    model, tokenizer = load(name, base), load_tokenizer(str(base))
    alone = [logits(model, tokenizer([text], return_tensors="pt")) for text in TEXTS]
    for side in ("right", "left"):
        tokenizer.padding_side = side
        batch = tokenizer(TEXTS, return_tensors="pt", padding="max_length", max_length=20)
        assert torch.allclose(logits(model, batch), torch.cat(alone), atol=1e-6), side
    answer = model(**batch, output_hidden_states=True)
    assert answer.hidden_states[-1].shape[:2] == batch["input_ids"].shape


@pytest.mark.parametrize("name", NAMES)
def test_its_files_answer_as_it_did_by_us_and_by_the_documented_lines(
    name: str, base: Path, tmp_path: Path
) -> None:
    model, tokenizer = load(name, base), load_tokenizer(str(base))
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    batch = tokenizer(TEXTS, return_tensors="pt", padding=True)
    expected = logits(model, batch)
    save_delivery(model, tokenizer, preset(name, base), tmp_path, LABELS)
    opened, read = load_delivery(tmp_path, None)
    again = read(TEXTS, return_tensors="pt", padding=True)
    assert torch.allclose(logits(opened, again), expected, atol=1e-6)
    (tmp_path / "agnews.json").write_text(json.dumps({"labels": LABELS}))
    code = recipes.average([("finetune", ".", 1.0)], base="", is_alone=True, network=name)
    names: dict[str, Any] = {}
    code = code.replace('open("agnews.json"', f'open("{tmp_path}/agnews.json"')
    exec(code.replace('finetune(".", texts)', f'finetune("{tmp_path}", {TEXTS!r})'), names)
    assert np.allclose(names["probabilities"], torch.softmax(expected, -1).numpy(), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_stopped_and_gone_on_with_it_equals_never_stopped(
    name: str, base: Path, tmp_path: Path
) -> None:
    """With dropout, R-Drop, an attack on its words and an average of its weights."""
    data = tiny.csv_file(tmp_path / "train.csv", {"a": 40, "b": 40, "c": 40})
    recipe = preset(name, base, r_drop=1.0, fgm=0.1, ema=0.9, lr=5e-2, epochs=3)
    facts = {"candidates": ("finetune",)}
    straight = tiny.compete(tmp_path / "straight", data, recipe, **facts)
    cut = tmp_path / "cut"
    assert tiny.compete(cut, data, recipe, stop_after=5, **facts).is_interrupted
    resumed = tiny.compete(cut, data, recipe, **facts)
    traces = [(folder / "trace.jsonl").read_text() for folder in (tmp_path / "straight", cut)]
    assert traces[0] == traces[1] and len(traces[0].splitlines()) > 6
    one, two = straight.contenders[0], resumed.contenders[0]
    assert np.array_equal(one.validation, two.validation)
    assert one.facts.validation_accuracy > 0.8
    for file in one.folder.glob("*.safetensors"):
        assert file.read_bytes() == (two.folder / file.name).read_bytes()
