"""--model, --epochs, --lr and --batch-size: the settings they stand for, and what is refused."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agnews_cli.core.run.preset import Preset
from agnews_cli.core.run.training_options import as_settings
from agnews_cli.errors import (
    FileMissing,
    HubRefused,
    HubUnreachable,
    MethodUnsuited,
    ModelBringsCode,
    ModelUnsuitable,
    SetTwice,
)
from agnews_cli.store.model import models
from agnews_cli.store.model.model_facts import trainable_kinds
from agnews_cli.store.model.models import Resolved
from agnews_cli.store.settings import presets, requests
from agnews_cli.workflows.train import auto, replay
from agnews_cli.workflows.train.auto import Request
from agnews_cli.workflows.train.recipe import recipe

BERT = {"model_type": "bert", "architectures": ["BertModel"]}
LLAMA = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}


def made(folder: Path, config: dict[str, Any], *, shapes: tuple[tuple[int, ...], ...]) -> Path:
    """A model as far as one looks before loading: configuration, tokenizer, a header of weights."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    tensors = {f"t{k}": {"dtype": "F32", "shape": shape} for k, shape in enumerate(shapes)}
    header = json.dumps({"__metadata__": {"format": "pt"}, **tensors}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    return folder


def found(
    model: str | Path | None, preset: str | None = None, *settings: str, hub: bool = False
) -> tuple[Preset, str]:
    text = None if model is None else str(model)
    chosen, why = recipe(text, preset, settings, hub=lambda: hub, timeout_s=2.0)
    assert chosen is not None
    return chosen, " ".join(why)


def test_a_model_that_a_preset_names_is_that_preset() -> None:
    preset, why = found("FacebookAI/roberta-base")
    assert preset == presets.load("roberta-base")
    assert "roberta-base" in why
    assert found("sentence-transformers/all-MiniLM-L6-v2")[0].name == "minilm"
    assert found("microsoft/DeBERTa-v3-base")[0].name == "deberta-v3-base"


def test_another_model_gets_the_recipe_nearest_to_it_and_is_the_settings_that_are_said(
    tmp_path: Path,
) -> None:
    small = made(tmp_path / "small", BERT, shapes=((30_000, 384), (384,)))
    large = made(tmp_path / "large", BERT, shapes=((60_000, 2_000),))
    decoder = made(tmp_path / "decoder", LLAMA, shapes=((50_000, 5_000),))
    preset, why = found(small, None, "training.epochs=1")
    assert preset.name == "minilm"
    assert preset.model.parameters == 30_000 * 384 + 384
    assert preset.model.embedded is None, "the embedded package holds another model"
    assert found(large)[0].name == "roberta-base", "of 125 M, the nearest to 120 M"
    assert found(decoder)[0].name == "gemma-3-270m-lora"
    assert "in no preset" in why and "bert" in why
    said = [word for word in why.split() if word.startswith("model.")]
    same = presets.with_settings(presets.load("minilm"), [*said, "training.epochs=1"])
    assert same == preset, "so the run's id is the same too"
    assert found(small, "mpnet")[0].name == "mpnet", "the recipe that is named"


NO_MODEL = {
    "a kind without text": (BERT | {"model_type": "vit"}, "of the kind 'vit'"),
    "code of its own": (
        BERT | {"model_type": "mine", "auto_map": {"AutoModel": "x.Y"}},
        "and that is never run",
    ),
    "no kind": ({"architectures": ["BertModel"]}, "names no model_type"),
}


@pytest.mark.parametrize("name", NO_MODEL)
def test_an_architecture_that_cannot_be_trained_is_refused_at_once(
    name: str, tmp_path: Path
) -> None:
    pytest.importorskip("transformers")
    config, reason = NO_MODEL[name]
    with pytest.raises((ModelUnsuitable, ModelBringsCode)) as caught:
        found(made(tmp_path / "m", config, shapes=((8, 8),)))
    assert reason in caught.value.message
    assert caught.value.advice


def test_a_method_that_does_nothing_for_a_model_is_refused_before_it_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the catalogue, by a folder's settings, and for a member of an ensemble."""
    monkeypatch.setenv("AGNEWS_HOME", str(tmp_path / "home"))
    folder = made(tmp_path / "m", LLAMA, shapes=((8, 8),))
    ensemble = tmp_path / "both.yaml"
    ensemble.write_text(
        "name: both\ntier: ensemble\nsummary: x\norder: 1\nmembers:\n  - preset: minilm\n"
        "  - {preset: modernbert-base, settings: [method=bitfit]}\n"
    )
    monkeypatch.setattr(models, "resolve", lambda model, **_: Resolved(model.id, "hub", ""))
    of_folder = (f"model.id={folder}", "model.embedded=", "method=bitfit")
    for preset, settings in (
        ("modernbert-base", ("method=bitfit",)),
        (str(ensemble), ()),
        ("minilm", of_folder),
    ):
        if settings == of_folder:
            monkeypatch.undo()
        asked = Request.of(data="sample:", preset=preset, settings=settings)
        with pytest.raises(MethodUnsuited, match=r"does nothing for .*: its layers have no biases"):
            auto.prepare(asked)


def test_a_folder_that_holds_no_whole_model_is_refused(tmp_path: Path) -> None:
    folder = made(tmp_path / "m", BERT, shapes=((8, 8),))
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelUnsuitable, match="no tokenizer"):
        found(folder)
    (folder / "vocab.txt").write_text("a")
    (folder / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(ModelUnsuitable, match=r"model\.safetensors cannot be read"):
        found(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelUnsuitable, match="no weights"):
        found(folder)
    (folder / "pytorch_model.bin").write_bytes(bytes(400))
    assert found(folder)[0].model.parameters == 100
    with pytest.raises(FileMissing):
        found(tmp_path / "none")
    with pytest.raises(HubUnreachable):
        found("who/knows")


def test_the_kinds_are_those_of_the_transformers_that_is_installed() -> None:
    pytest.importorskip("transformers")
    assert {"bert", "modernbert", "deberta-v2", "llama", "qwen3", "mpnet"} <= trainable_kinds()
    assert not {"vit", "whisper", "clip"} & trainable_kinds()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, dict[str, Any]]]:
    """Records of models by id, as the hub answers for them."""
    import huggingface_hub.constants

    records: dict[str, dict[str, Any]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            id_ = self.path.partition("?")[0].removeprefix("/api/models/")
            body = json.dumps(records.get(id_, {"error": "Repository not found"})).encode()
            self.send_response(200 if id_ in records else 404)
            if id_ not in records:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield records
    server.shutdown()
    server.server_close()


def test_the_hub_is_asked_for_a_models_record_alone(hub: dict[str, dict[str, Any]]) -> None:
    record = {"siblings": [], "cardData": {"license": "mit"}, "config": BERT}
    weights = {"parameters": {"F32": 110_000_000}, "total": 110_000_000}
    hub["google/bert-base"] = record | {"id": "google/bert-base", "safetensors": weights}
    preset, _ = found("google/bert-base", hub=True)
    assert preset.name == "mpnet"
    assert (preset.model.parameters, preset.model.licence) == (110_000_000, "mit")
    bare = [{"rfilename": "pytorch_model.bin", "size": 400_000_000}]
    hub["old/bert"] = record | {"id": "old/bert", "siblings": bare}
    assert found("old/bert", hub=True)[0].model.parameters == 100_000_000
    hub["who/picture"] = record | {"id": "who/picture", "config": {"model_type": "vit"}}
    with pytest.raises(ModelUnsuitable):
        found("who/picture", hub=True)
    with pytest.raises(HubRefused):
        found("who/knows", hub=True)


def test_plain_options_are_settings() -> None:
    asked = as_settings(["training.warmup=0"], epochs=3, lr=1e-4, batch_size=32)
    assert asked == (
        "training.warmup=0",
        "training.epochs=3",
        "training.lr=0.0001",
        "training.batch_tokens=2048",
    )
    by_hand = ["training.warmup=0", "training.epochs=3", "training.lr=1e-4"]
    mine = presets.with_settings(presets.load("minilm"), asked)
    assert mine == presets.with_settings(
        presets.load("minilm"), [*by_hand, "training.batch_tokens=2048"]
    )
    assert mine.training.least_steps == 0, "as with --set training.epochs"
    same = as_settings(["training.epochs=3.0"], epochs=3, lr=None, batch_size=None)
    assert same == ("training.epochs=3.0",)
    with pytest.raises(SetTwice, match=r"training\.epochs"):
        as_settings(["training.epochs=4"], epochs=3, lr=None, batch_size=None)
    with pytest.raises(SetTwice, match=r"model\.id"):
        found("a/b", None, "model.id=c/d")


def test_they_come_from_a_file_too_and_those_typed_win(
    tmp_path: Path, parsed: Callable[..., Request]
) -> None:
    file = tmp_path / "asked.yaml"
    file.write_text(
        "schema: agnews.request/1\ndata: mine.csv\nmodel: a/b\nepochs: 3\nlr: 1e-4\nbatch_size: 8\n"
    )
    whole = parsed("--config", str(file))
    assert (whole.wish.data, whole.wish.model) == ("mine.csv", "a/b")
    assert whole.wish.changes == (
        "training.epochs=3.0",
        "training.lr=0.0001",
        "training.batch_tokens=512",
    )
    typed = parsed("other.csv", "--config", str(file), "--epochs", "2", "--model", "c/d")
    assert (typed.wish.data, typed.wish.model) == ("other.csv", "c/d")
    assert typed.wish.changes[0] == "training.epochs=2.0"
    again = tmp_path / "again.yaml"
    requests.save(again, replay.asked(whole))
    assert parsed("--config", str(again)) == whole


def test_the_word_without_an_option_is_the_data(parsed: Callable[..., Request]) -> None:
    assert parsed("a b.csv") == parsed("--data", "a b.csv") == parsed("a b.csv", "--data=a b.csv")
    assert parsed("--seed", "3", "sample:").wish.data == "sample:"
    assert parsed().wish.data is None


def test_a_model_is_named_as_people_call_it(
    hub: dict[str, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset, why = found("RoBERTa base")
    assert preset == found("FacebookAI/roberta-base")[0], "one run, however it is typed"
    assert "RoBERTa base is FacebookAI/roberta-base, by the catalogue" in why
    weights = {"parameters": {"F32": 885_000_000}, "total": 885_000_000}
    meant = "microsoft/deberta-v2-xlarge"
    hub[meant] = {"id": meant, "config": {"model_type": "deberta-v2"}, "safetensors": weights}
    preset, why = found("DeBERTa-v3-XLarge", hub=True)
    assert preset.model.id == meant
    assert "no xlarge of v3 was published; deberta-v2-xlarge is meant" in why
    monkeypatch.chdir(tmp_path)
    made(tmp_path / "roberta-base", BERT, shapes=((30_000, 384),))
    assert found("roberta-base")[0].model.id == "roberta-base", "a folder is what it says"
