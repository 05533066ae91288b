"""Every method of the registry with every family of models: what it trains, how much, that the
model changes by it, and that its files answer as it did.

CI runs each method once and each family at least once; the slow test runs every pair.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")

from peft import PeftModel  # noqa: E402
from transformers import AutoModelForSequenceClassification  # noqa: E402

from agnews_cli.core.run import adapter_recipes  # noqa: E402
from agnews_cli.core.run.method import Method, Prompt  # noqa: E402
from agnews_cli.errors import MethodUnsuited, ModelDamaged, ValueWrong  # noqa: E402
from agnews_cli.learn import methods  # noqa: E402
from agnews_cli.learn.adapters import places  # noqa: E402
from agnews_cli.learn.kinds.registry import modules  # noqa: E402
from agnews_cli.learn.models.model import (  # noqa: E402
    load_classifier,
    load_tokenizer,
    save_delivery,
)
from agnews_cli.store.settings import catalogue  # noqa: E402
from tests import tiny as words  # noqa: E402
from tests.learn import families as shrunk  # noqa: E402
from tests.learn import tiny  # noqa: E402

LABELS = ("a", "b", "c")
NAMES = list(modules(methods))
ANSWERS = torch.tensor([0, 1, 2, 0])
IN_CI = [
    *(("bert", name) for name in NAMES),
    *(("roberta", "vera"), ("xlm-roberta", "lora"), ("electra", "prompt"), ("deberta-v2", "dora")),
    *(("mpnet", "ia3"), ("albert", "pfeiffer"), ("distilbert", "houlsby"), ("xlnet", "prefix")),
    *(("longformer", "p_tuning"), ("modernbert", "pfeiffer"), ("t5", "prefix"), ("phi", "bitfit")),
    *(("llama", "qlora"), ("mistral", "prefix"), ("qwen3", "prompt"), ("gemma3_text", "houlsby")),
    *(("phi3", "full"), ("falcon", "pfeiffer"), ("mixtral", "prefix"), ("mpt", "ia3")),
]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return words.make(tmp_path_factory.mktemp("method") / "base")


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """The shrunken model of a family."""
    room = tmp_path_factory.mktemp("families")
    made: dict[str, Path] = {}

    def of(family: str) -> Path:
        return made.setdefault(family, shrunk.make(room / family, family))

    return of


def load(name: str, base: Path) -> Any:
    preset = tiny.preset(base).model_copy(update={"method": tiny.method(name)})
    return load_classifier(str(base), preset, LABELS, pad_id=shrunk.PAD, seed=3, on_cpu=True)


def moved(model: Any, by: float = 0.1) -> dict[str, torch.nn.Parameter]:
    """As if it had been trained: nothing of it is at its start. Returns what is trained."""
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in trained.values():
            weight.add_(by * torch.randn(weight.shape, generator=generator))
    return trained


def logits(model: Any, batch: dict[str, Any]) -> Any:
    with torch.no_grad():
        return model.eval()(**batch).logits


def test_what_can_be_asked_for_can_be_done():
    union = [one for one in get_args(get_args(Method)[0]) if one.needs_weights]
    assert sorted(each.model_fields["kind"].default for each in union) == NAMES
    listed = {model.family.model_type for model in catalogue.load().models.values()}
    assert listed <= set(shrunk.FAMILIES)


# ---- every pair ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("family", "name"), IN_CI)
def test_a_method_trains_a_family(bases, tmp_path, family, name):
    pair(bases(family), tmp_path, family, name)


@pytest.mark.parametrize(
    ("family", "name"),
    [("modernbert", "bitfit"), ("xlnet", "houlsby"), ("mixtral", "pfeiffer"), ("mixtral", "ia3")],
)
def test_what_the_catalogue_refuses_finds_nothing_to_train(bases, family, name):
    assert catalogue.load().refusal(name, family)
    with pytest.raises(MethodUnsuited, match=f"method.kind={name} does nothing for {family}"):
        load(name, bases(family))


@pytest.mark.slow
@pytest.mark.parametrize(("family", "name"), [(f, n) for f in shrunk.FAMILIES for n in NAMES])
def test_every_method_trains_every_family_that_is_not_refused(bases, tmp_path, family, name):
    if catalogue.load().refusal(name, family) is None:
        pair(bases(family), tmp_path, family, name)


def pair(base: Path, folder: Path, family: str, name: str) -> None:
    model, batch = load(name, base), shrunk.batch(family)
    plain, new = as_loaded(base)
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    in_base = {n: f".{n}".replace(".modules_to_save.default", "") for n in trained}
    head = {n for n in trained if any(f".{one}." in in_base[n] for one in new)}
    assert head, "the head is always trained"
    expected = model_of(name).trained_parameters(places.anatomy_of(plain, new))
    assert sum(p.numel() for p in trained.values()) == expected

    before = logits(model, batch)
    steps(model, batch, [p for n, p in trained.items() if n not in head])
    assert (logits(model, batch) - before).abs().max() > 1e-4, "it changes what is answered"
    steps(model, batch, list(trained.values()))
    moved(model, 0.02)  # what would be too small a change to be missed in a file
    model.zero_grad()
    loss_of(model, batch).backward()
    reached = {n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert reached == set(trained) - unread_at_the_top(family, trained)

    after = logits(model, batch)
    alike = {"atol": 1e-4, "rtol": 1e-4}
    fewer = {n: t[2:, :9] for n, t in batch.items()}
    assert torch.allclose(logits(model, fewer), after[2:], **alike), "padding counts"
    procedure = methods.of(model_of(name))
    procedure.merge(model)
    assert torch.allclose(logits(model, batch), after, **alike), "merged"
    (folder / "labels.json").write_text('["a", "b", "c"]')
    procedure.save(model, folder, "base")
    ours, *others = opened(name, folder, base)
    assert torch.allclose(logits(ours, batch), after, **alike)
    for again in others:
        again.config.pad_token_id = shrunk.PAD
        assert torch.allclose(
            logits(again, shrunk.as_tokenizers_pad(family, batch)), after, **alike
        )


def model_of(name: str) -> Any:
    return tiny.method(name)


def as_loaded(base: Path) -> tuple[Any, list[str]]:
    """(the classifier before any method, names of modules that its weights do not have)."""
    plain, loaded = AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=len(LABELS), output_loading_info=True
    )
    return plain, sorted({name.rpartition(".")[0] for name in loaded["missing_keys"]})


def loss_of(model: Any, batch: dict[str, Any]) -> Any:
    return torch.nn.functional.cross_entropy(model.eval()(**batch).logits, ANSWERS)


def steps(model: Any, batch: dict[str, Any], weights: list[Any]) -> None:
    optimizer = torch.optim.AdamW(weights, lr=0.05)
    for _ in range(3):
        optimizer.zero_grad()
        loss_of(model, batch).backward()
        optimizer.step()


def unread_at_the_top(family: str, trained: Any) -> set[str]:
    """Longformer's answer is that of its first token, which attends by weights of its own: in the
    last layer nobody reads what the others would."""
    if family != "longformer":
        return set()
    own = ("self.query.", "self.key.", "self.value.")
    return {n for n in trained if ".layer.1." in n and any(one in n for one in own)}


def opened(name: str, folder: Path, base: Path) -> list[Any]:
    """Its files: by us, and by others' libraries alone, with the documented lines."""
    code = adapter_recipes.opened(name, str(base), str(folder))
    found = [methods.open_folder(folder, str(base))]
    found[0].config.pad_token_id = shrunk.PAD
    if code is not None:
        names: dict[str, Any] = {}
        exec(code, names)
        return [*found, names["model"]]
    found.append(AutoModelForSequenceClassification.from_pretrained(folder))
    if methods.of(model_of(name)).beside is not None:
        adapter = folder / methods.of(model_of(name)).beside
        bare = AutoModelForSequenceClassification.from_pretrained(base, num_labels=len(LABELS))
        found.append(PeftModel.from_pretrained(bare, adapter))
    return found


# ---- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["full", "lora", "qlora", "pfeiffer"])
def test_files_answer_as_what_was_trained_did(base, tmp_path, name):
    """With a tokenizer, as they are delivered; of an adapter also as others save it."""
    model, tokenizer = load(name, base), load_tokenizer(str(base))
    moved(model)
    texts = ["goal team", "the bank of a star and rain"]
    batch = tokenizer(texts, return_tensors="pt", padding=True)
    expected = logits(model, batch)
    preset = tiny.preset(base).model_copy(update={"method": model_of(name)})
    save_delivery(model, tokenizer, preset, tmp_path, LABELS)
    whole = methods.open_folder(tmp_path, str(base))
    assert torch.allclose(logits(whole, batch), expected, atol=1e-5)
    beside = methods.of(model_of(name)).beside
    if beside is not None:
        assert not hasattr(whole, "peft_config"), "the whole model needs no library of the method's"
        # As others save an adapter: with the configuration of its base model, or of a trainer.
        (tmp_path / beside / "config.json").write_bytes((tmp_path / "config.json").read_bytes())
        again = methods.open_folder(tmp_path / beside, str(base))
        assert torch.allclose(logits(again, batch), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["qlora", "houlsby", "prefix"])
def test_an_adapter_is_opened_on_no_other_base_model(bases, tmp_path, name):
    model = load(name, bases("bert"))
    (tmp_path / "labels.json").write_text('["a", "b", "c"]')
    methods.of(model_of(name)).save(model, tmp_path, "base")
    beside = shutil.copytree(bases("bert"), tmp_path / "beside")
    (beside / "consolidated.safetensors").write_bytes(b"which no loader reads")
    methods.open_folder(tmp_path, str(beside))
    other = shrunk.make(tmp_path / "other", "bert", seed=1)
    with pytest.raises(ModelDamaged, match="not those of base"):
        methods.open_folder(tmp_path, str(other))


def test_a_quantised_layer_takes_half_a_byte_a_weight(tmp_path):
    """Its scales included; embeddings, norms and the head are as they were."""
    from bitsandbytes.nn import Linear4bit

    base = shrunk.make(tmp_path, "llama", {"hidden_size": 256, "intermediate_size": 512})
    model = load("qlora", base)
    layers = {n: m for n, m in model.named_modules() if isinstance(m, Linear4bit)}
    assert len(layers) == 2 * 7 and not [n for n in layers if "score" in n]
    for layer in layers.values():
        state = layer.weight.quant_state
        stored = [layer.weight, *(t for t in state.as_dict(packed=False).values() if _is_many(t))]
        taken = sum(tensor.numel() * tensor.element_size() for tensor in stored)
        constant = sum(t.numel() * 4 for t in (state.code, state.state2.code))
        assert (taken - constant) / (layer.in_features * layer.out_features) <= 0.55
    assert model.get_base_model().model.embed_tokens.weight.dtype == torch.float32
    assert model_of("qlora").frozen_weight_bytes == pytest.approx(0.516, abs=0.001)


def _is_many(found: Any) -> bool:
    return isinstance(found, torch.Tensor) and found.numel() > 1


def test_what_a_method_loads_with_reaches_the_loader(base, monkeypatch):
    """Before anything is loaded: a quantised model cannot be made of a loaded one."""
    from agnews_cli.learn.methods import full

    half = replace(full.PROCEDURE, load_options=lambda method: {"dtype": torch.bfloat16})
    assert {p.dtype for p in load("full", base).parameters()} == {torch.float32}
    monkeypatch.setattr(full, "PROCEDURE", half)
    assert {p.dtype for p in load("full", base).parameters()} == {torch.bfloat16}


def test_nobody_else_asks_which_method_it_is():
    rooms = (Path(methods.__file__).parent, Path(places.__file__).parent)
    words = ("peft_config", "PeftModel", "method.kind ==", "isinstance(method")
    for path in rooms[0].parent.rglob("*.py"):
        if not set(rooms) & set(path.parents):
            assert not [word for word in words if word in path.read_text("utf-8")], path


def test_a_folder_that_no_method_wrote_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"adapter_config\.json or config\.json"):
        methods.open_folder(tmp_path)


@pytest.mark.parametrize("name", ["full", "lora", "prompt"])
def test_hidden_states_are_those_of_the_texts_tokens(bases, name):
    """Of virtual tokens there are none, and they stand where the text was given."""
    for family in ("bert", "xlnet"):
        model, batch = load(name, bases(family)), shrunk.batch(family)
        with torch.no_grad():
            whole = model.eval()(**batch, output_hidden_states=True).hidden_states[-1]
            short = {n: t[2:, :9] for n, t in batch.items()}
            alone = model(**short, output_hidden_states=True).hidden_states[-1]
        assert whole.shape[:2] == batch["input_ids"].shape
        assert torch.allclose(whole[2:, :9], alone, atol=1e-5)


def test_virtual_tokens_leave_room_for_the_text(tmp_path):
    """Of 64 positions; a text is cut to what is left, and nothing is left of a text by 60."""
    model = tiny.model_folder(tmp_path / "base")
    data = tiny.csv_file(tmp_path / "rows.csv", {"a": 30, "b": 30}, words=80)
    whole = {"epochs": 1, "max_length": 64, "yardstick": False}
    for count, expected in ((4, 60), (60, None)):
        recipe = tiny.preset(model, {"cross_validated_below": 0}, **whole).model_copy(
            update={"method": Prompt(tokens=count)}
        )
        run = partial(tiny.compete, tmp_path / str(count), data, recipe, candidates=("finetune",))
        if expected is None:
            with pytest.raises(
                ValueWrong, match=r"method\.tokens is 60: expected fewer than the 64"
            ):
                run()
        else:
            assert run().rows.training.max_length == expected
