"""The one predictor: evaluation asks the files, whatever their kind; and what it computes with."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file  # noqa: E402

from agnews_cli.core.run.combiner import Average  # noqa: E402
from agnews_cli.core.run.prediction import Member, Order  # noqa: E402
from agnews_cli.errors import ModelDamaged  # noqa: E402
from agnews_cli.learn import combiners, predictor  # noqa: E402
from agnews_cli.learn.loop.forward import least_tokens  # noqa: E402
from agnews_cli.learn.models import embedding  # noqa: E402
from agnews_cli.learn.models.model import load_encoder  # noqa: E402
from agnews_cli.learn.stages import predict  # noqa: E402
from agnews_cli.store.data import datasets  # noqa: E402
from tests import looking  # noqa: E402
from tests.learn import tiny  # noqa: E402


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A linear and a fine-tuned model, and a test split that nobody was asked about yet."""
    place = tmp_path_factory.mktemp("predictor")
    model = tiny.model_folder(place / "bert")
    data = place / "data"
    data.mkdir()
    tiny.csv_file(data / "train.csv", {"a": 60, "b": 60})
    tiny.csv_file(data / "test.csv", {"a": 10, "b": 10}, seed=1)
    recipe = tiny.preset(model, {"cross_validated_below": 0}, epochs=1)
    done = tiny.compete(place / "run", data, recipe)
    found = datasets.find(str(data))
    assert found.test is not None
    order = place / "test.json"
    looking.write(order, found)
    told = {"test": str(order), "test_rows": found.test.rows}
    done.setting.job = done.setting.job.model_copy(update=told)
    return done


def quiet(what: str, total: int):
    return lambda rows: None


def test_test_rows_are_asked_of_the_files_and_not_of_what_is_in_memory(trained):
    """So that a model which cannot be delivered as it was is never evaluated as if it could."""
    folder = trained.setting.folder
    before = predict.test_rows(trained, {"linear": 0.5, "tiny": 0.5}).each
    assert list(before) == ["linear", "tiny"]
    files = {
        "linear": [folder / "linear" / f"{view}.safetensors" for view in ("words", "characters")],
        "tiny": [folder / "model" / "model.safetensors"],
    }
    kept = {path: path.read_bytes() for paths in files.values() for path in paths}
    try:
        for path in kept:
            names = ("classifier.weight", "classifier.bias", "weights", "bias")
            zeroed = {
                name: torch.zeros_like(held) if name in names else held
                for name, held in load_file(path).items()
            }
            save_file(zeroed, path, metadata={"format": "pt"})
        after = predict.test_rows(trained, {"linear": 0.5, "tiny": 0.5}).each
    finally:
        for path, content in kept.items():
            path.write_bytes(content)
    for name in before:
        assert np.abs(before[name] - 0.5).max() > 0.01
        assert after[name] == pytest.approx(0.5)


def test_an_average_of_all_kinds_reads_texts_once_and_mixes_by_share(trained, tmp_path):
    rows, folder = trained.rows, trained.setting.folder
    encoder = load_encoder(trained.job.model_path)
    embedded = embedding.embed(encoder, rows.tokens.train, rows.pad_id, batch_tokens=64)
    head = embedding.EmbeddingHead.fit(embedded, rows.tokens.train.classes)
    head.save(tmp_path, encoder="owner/name", max_length=rows.training.max_length)
    rows.tokenizer.save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):  # as a run writes them
        (tmp_path / name).write_bytes((folder / "model" / name).read_bytes())
    order = Order(
        members=(
            Member(name="linear", kind="linear", folder=str(folder / "linear"), share=0.5),
            Member(name="tuned", kind="finetune", folder=str(folder / "model"), share=0.3),
            Member(name="frozen", kind="embedding", folder=str(tmp_path), share=0.2),
        ),
        labels=("a", "b"),
        max_length=rows.training.max_length,
        base=trained.job.model_path,
    )
    heard: list[str] = []

    def hear_of(what: str, total: int):
        heard.append(what)
        return lambda done: None

    opened, texts = predictor.open_delivery(order), rows.material.held_texts
    each = opened.each(texts, hear_of)
    assert heard == ["tokenising", "linear", "tuned", "frozen"]
    mixed = 0.5 * each["linear"] + 0.3 * each["tuned"] + 0.2 * each["frozen"]
    assert opened(texts) == pytest.approx(mixed)
    told: list[int] = []
    opened(texts, told.append)
    assert told == sorted(set(told)) and told[0] < len(texts) == told[-1]
    held = head.predict(
        embedding.embed(encoder, rows.tokens.validation, rows.pad_id, batch_tokens=4096)
    )
    assert each["frozen"] == pytest.approx(held)
    assert opened([]).shape == (0, 2)


def test_a_card_is_given_larger_passes_the_more_memory_it_has(monkeypatch):
    gib = 0

    def properties(device: object) -> SimpleNamespace:
        return SimpleNamespace(total_memory=gib * 2**30)

    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
    found = {}
    for gib in (0, 4, 15, 80):
        found[gib] = least_tokens(torch.device("cuda"))
    assert found == {0: 1024, 4: 4096, 15: 15 * 1024, 80: 16 * 1024}
    assert least_tokens(torch.device("cpu")) == 1024


@pytest.mark.parametrize("is_asked", [False, True])
def test_one_switch_of_the_preset_makes_torch_deterministic(tmp_path, monkeypatch, is_asked):
    import os

    from agnews_cli.learn.door.events import EventLog
    from agnews_cli.learn.stages import setting

    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    (tmp_path / "run").mkdir()
    recipe = tiny.preset(tmp_path / "bert", deterministic=is_asked, precision="fp32")
    data = tiny.csv_file(tmp_path / "d.csv", {"a": 6, "b": 6})
    log = EventLog(tmp_path / "run" / "events.jsonl", started_monotonic_s=0, writes=False)
    stop = tiny.Stop(tmp_path, None)
    try:
        setting.begin(tiny.order(tmp_path / "run", data, recipe), log, stop)  # type: ignore[arg-type]
        assert torch.are_deterministic_algorithms_enabled() == is_asked
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.backends.cudnn.deterministic == is_asked
        assert os.environ.get("CUBLAS_WORKSPACE_CONFIG") == (":4096:8" if is_asked else None)
        assert not torch.backends.cuda.cudnn_sdp_enabled()
    finally:
        os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
        torch.backends.cudnn.deterministic = False
        if is_asked:
            torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": "nosuch"}, "'nosuch' is not known"),
        ({"members": 3, "weights": [0.5, 0.25, 0.25]}, "joins 3 members"),
        ({"weights": [0.5, "x"]}, "could not convert"),
    ],
)
def test_a_combiner_that_does_not_fit_its_ensemble_is_one_clear_error(tmp_path, change, reason):
    said = np.full((2, 4, 2), 0.5)
    combiners.fit(Average(), said, np.array([0, 1, 0, 1])).write(tmp_path / "combiner")
    path = tmp_path / "combiner" / "combiner.json"
    part = Order(labels=("a", "b"), max_length=8)
    order = Order(
        labels=("a", "b"), max_length=1, parts=(part, part), combiner=str(tmp_path / "combiner")
    )
    predictor.open_delivery(order)  # as it was written
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelDamaged, match=reason):
        predictor.open_delivery(order)
