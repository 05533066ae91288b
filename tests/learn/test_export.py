"""A delivery in another form: it answers as the model does, whatever the batch, or is refused.

CI exports a few families and methods; the slow tests all that the registries have.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from agnews_cli.core.run.export import ToExport  # noqa: E402
from agnews_cli.core.run.long_texts import CUT  # noqa: E402
from agnews_cli.core.run.prediction import Member, Order  # noqa: E402
from agnews_cli.errors import (  # noqa: E402
    ExportDiffers,
    ExportLoses,
    ExportUnverified,
    FormUnfit,
    ModelDamaged,
    NotExportable,
)
from agnews_cli.learn import methods, predictor  # noqa: E402
from agnews_cli.learn.combine import logits  # noqa: E402
from agnews_cli.learn.combine.logits import Logits  # noqa: E402
from agnews_cli.learn.door import test_lock as door  # noqa: E402
from agnews_cli.learn.door.notes import Notes  # noqa: E402
from agnews_cli.learn.graphs import quantise, runtime, trace  # noqa: E402
from agnews_cli.learn.graphs import write as graphs  # noqa: E402
from agnews_cli.learn.kinds.combiner import Fitted  # noqa: E402
from agnews_cli.learn.kinds.registry import modules  # noqa: E402
from agnews_cli.learn.models import embedding  # noqa: E402
from agnews_cli.learn.models.model import (  # noqa: E402
    load_classifier,
    load_encoder,
    save_delivery,
)
from agnews_cli.learn.stages import cards, export  # noqa: E402
from agnews_cli.store.model import delivered  # noqa: E402
from agnews_cli.store.run import test_lock  # noqa: E402
from tests.learn import families as shrunk  # noqa: E402
from tests.learn import tiny  # noqa: E402

LABELS = ("a", "b", "c")
LONG = " ".join(tiny.WORDS) + " w1" * 60
TEXTS = ["w1", "w0 w9 w3", LONG, "nothing of it is known", "w8 w9"]
KINDS = ("linear", "embedding", "finetune")


class Nobody:
    """Asks for no stop."""

    def check(self) -> None: ...


def exported(model: Path, target: Path, form: str = "onnx", **order: Any) -> Any:
    asked = ToExport(model=str(model), form=form, target=str(target), **order)  # type: ignore[arg-type]
    told = Notes(lambda kind, **data: None)  # type: ignore[arg-type]
    return export.make(asked, Nobody(), told)  # type: ignore[arg-type]


def opened(folder: Path, base: Path | None = None) -> Any:
    order = delivered.order_of(delivered.at(folder), lambda found: str(base))
    return predictor.open_delivery(order)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run of a tiny BERT, beside a linear model and embeddings; the first is delivered."""
    place = tmp_path_factory.mktemp("export")
    model = tiny.model_folder(place / "bert")
    (place / "data").mkdir()
    tiny.csv_file(place / "data" / "train.csv", {"a": 60, "b": 60}, signal=0.9)
    recipe = tiny.preset(model, {"cross_validated_below": 0}, epochs=5, lr=2e-2, max_length=16)
    done = tiny.compete(place / "run", place / "data", recipe, candidates=("linear", "finetune"))
    job = done.setting.job
    freeze(done, place / "run" / "embedding")
    (place / "run" / "job.json").write_text(job.model_dump_json())
    (place / "run" / "preset.yaml").write_text(recipe.model_dump_json())
    for kind in KINDS:
        folder = place / "run" / ("model" if kind == "finetune" else kind)
        facts = cards.model_facts(job, kind, CUT) | {"files": delivered.digests_of(folder)}
        (folder / "agnews.json").write_text(json.dumps(facts))
    deliver(place / "run", job.dataset, {"model": 1.0})
    return place / "run"


def freeze(done: Any, folder: Path) -> None:
    """Embeddings of the base model with a head, as a run under a budget writes them."""
    rows = done.rows
    encoder = load_encoder(done.job.model_path)
    embedded = embedding.embed(encoder, rows.tokens.train, rows.pad_id, batch_tokens=64)
    head = embedding.EmbeddingHead.fit(embedded, rows.tokens.train.classes)
    head.save(folder, encoder="owner/name", max_length=16)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((folder.parent / "model" / name).read_bytes())


def deliver(folder: Path, dataset: Any, shares: dict[str, float]) -> None:
    members = [
        {"name": name, "kind": "finetune" if name == "model" else name, "folder": name, "share": s}
        for name, s in shares.items()
    ]
    delivered.write(folder, dataset, max_length=16, members=members)


@pytest.fixture
def average(run, tmp_path) -> Path:
    """The same run, as if all three were delivered."""
    folder = shutil.copytree(run, tmp_path / "average")
    dataset = delivered.at(folder)
    deliver(folder, dataset, {"linear": 0.25, "embedding": 0.25, "model": 0.5})
    return folder


def test_what_does_not_cut_long_texts_is_refused(run, tmp_path):
    """A graph's tokenizer cuts, so that long texts would be answered otherwise."""
    place = tmp_path / "run"
    shutil.copytree(run, place)
    facts = json.loads((place / "delivery.json").read_text())
    facts |= {"long_texts": {"how": "windows", "overlap": 3, "most_windows": 4}}
    (place / "delivery.json").write_text(json.dumps(facts))
    with pytest.raises(NotExportable, match="does not cut long texts"):
        exported(place, tmp_path / "out")


# ---- it answers as the model does ---------------------------------------------------------------


def test_a_run_is_exported_and_verified_on_the_rows_that_validated_it(run, tmp_path):
    found = exported(run, tmp_path / "out")
    assert (found.verified.are, found.verified.rows) == ("validation", 40)
    assert found.verified.most_apart < 1e-5 and found.verified.flips == 0
    assert found.verified.comparison.differences[0].accuracy.value == 0
    said = opened(tmp_path / "out")(TEXTS)
    assert said == pytest.approx(opened(run)(TEXTS), abs=1e-5)
    assert np.ptp(said[:, 0]) > 0.01, "texts are told apart"
    facts = json.loads((tmp_path / "out" / "agnews.json").read_text())
    assert (facts["kind"], facts["max_length"], facts["labels"]) == ("onnx", 16, ["a", "b"])
    assert set(facts["files"]) == {"model.onnx", "tokenizer.json"}
    record = json.loads((tmp_path / "out" / "export.json").read_text())
    assert record["verified"]["rows"] == 40


def test_int8_answers_about_each_text_alone(run, tmp_path):
    found = exported(run, tmp_path / "out", "onnx-int8")
    assert 0 < found.verified.most_apart < 0.1
    model = opened(tmp_path / "out")
    assert model(TEXTS[:2])[0].tolist() == model([TEXTS[0]])[0].tolist()
    assert model([*TEXTS, *reversed(TEXTS)])[-1].tolist() == model([TEXTS[0]])[0].tolist()
    kinds = {node.op_type for node in onnx.load(tmp_path / "out" / "model.onnx").graph.node}
    assert {"MatMulInteger", "QAttention"} <= kinds


def test_openvino_answers_alike(run, tmp_path):
    pytest.importorskip("openvino")
    assert exported(run, tmp_path / "out", "openvino").verified.most_apart < 1e-5
    assert opened(tmp_path / "out")(TEXTS) == pytest.approx(opened(run)(TEXTS), abs=1e-5)


def test_an_average_is_exported_member_by_member_with_its_shares(average, tmp_path):
    (needed,) = delivered.bases_of(delivered.at(average))
    base = Path(json.loads((average / "job.json").read_text())["model_path"])
    found = exported(average, tmp_path / "out", bases={needed.id: str(base)})
    assert found.members == 3 and found.verified.most_apart < 1e-5
    written = delivered.at(tmp_path / "out")
    assert [(m.kind, m.share) for m in written.members] == [
        ("linear", 0.25),
        ("onnx", 0.25),
        ("onnx", 0.5),
    ]
    assert written.base is None
    assert opened(tmp_path / "out")(TEXTS) == pytest.approx(opened(average, base)(TEXTS), abs=1e-5)


def test_an_ensemble_is_exported_as_one_folder_with_its_combiner(run, average, tmp_path):
    whole = tmp_path / "ensemble"
    found = delivered.at(run)
    for number, source in enumerate((run, average), 1):
        shutil.copytree(source, whole / "members" / str(number))
    fitted = Fitted(kind="weighted", members=2, classes=2, weights=(0.3, 0.7))
    fitted.write(whole / "combiner")
    names = ["members/1", "members/2"]
    delivered.write(whole, found, max_length=16, parts=names, combiner="combiner")
    (whole / "members" / "2" / "preset.yaml").write_bytes((average / "preset.yaml").read_bytes())
    base = Path(json.loads((run / "job.json").read_text())["model_path"])
    (needed,) = delivered.bases_of(delivered.at(whole))
    report = exported(
        whole, tmp_path / "out", bases={needed.id: str(base)}, file=str(given(tmp_path))
    )
    assert report.members == 4 and report.verified.most_apart < 1e-5
    assert opened(tmp_path / "out")(TEXTS) == pytest.approx(opened(whole, base)(TEXTS), abs=1e-5)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "('onnx', 'members/1', 0.3)" in card and "def linear" in card


# ---- families and methods -----------------------------------------------------------------------

NOT_TRACED = {"longformer", "mixtral"}


def batches(family: str) -> Any:
    """Shapes other than the one that was traced."""
    for rows, length in ((1, 2), (3, 3), (5, 40), (2, 17)):
        ids = torch.randint(5, 45, (rows, length), generator=torch.Generator().manual_seed(length))
        mask = torch.ones_like(ids)
        for row in range(1, rows):
            end = max(1, length - 1 - 2 * row)
            ids[row, end:], mask[row, end:] = shrunk.PAD, 0
        if family == "t5":  # which reads a text's answer at its end
            ids[torch.arange(rows), mask.sum(1) - 1] = 1
        yield ids, mask


def family_traced(family: str, place: Path) -> float:
    """The largest difference of a probability in any batch."""
    base = shrunk.make(place / "base", family)
    preset = tiny.preset(base)
    model = load_classifier(
        str(base), preset, LABELS, pad_id=shrunk.PAD, seed=3, on_cpu=False
    ).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.05 * torch.randn(weight.shape))
    model.config.use_cache = False
    (place / "graph").mkdir()
    trace.write(model, place / "graph", {})
    run, classes, is_alone = runtime._onnx(place / "graph")
    assert (classes, is_alone) == (3, False)
    apart = 0.0
    for ids, mask in batches(family):
        with torch.no_grad():
            before = torch.softmax(model(input_ids=ids, attention_mask=mask).logits, -1)
        after = torch.softmax(torch.from_numpy(run(ids.numpy(), mask.numpy())), -1)
        apart = max(apart, float((before - after).abs().max()))
    return apart


@pytest.mark.parametrize("family", ["llama"])
def test_a_family_answers_alike_in_batches_of_any_shape(tmp_path, family):
    assert family_traced(family, tmp_path) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("family", [f for f in shrunk.SIZES if f not in NOT_TRACED])
def test_every_family_but_two_answers_alike(tmp_path, family):
    assert family_traced(family, tmp_path) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(NOT_TRACED))
def test_these_two_are_known_not_to_export(tmp_path, family):
    with pytest.raises(Exception, match=r"histc|out of data bounds"):
        family_traced(family, tmp_path)


def method_exported(name: str, place: Path) -> float:
    """Of a model as if it had been trained by it, delivered and exported."""
    base, folder = tiny.model_folder(place / "base"), place / "model"
    preset = tiny.preset(base).model_copy(update={"method": tiny.method(name)})
    preset = preset.model_copy(
        update={"training": preset.training.model_copy(update={"max_length": 16})}
    )
    model: Any = load_classifier(str(base), preset, LABELS, pad_id=0, seed=3, on_cpu=True)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(0.1 * torch.randn(weight.shape))
    methods.of(preset.method).merge(model)
    folder.mkdir()
    (folder / "labels.json").write_text(json.dumps(LABELS))
    save_delivery(model, tiny.tokenizer(base), preset, folder, LABELS)
    found = delivered.at(folder)
    order = delivered.order_of(found, lambda one: str(base))
    (place / "out").mkdir()
    graphs.write(found.members[0], order, "onnx", place / "out")
    member = Member(name="out", kind="onnx", folder=str(place / "out"))
    again = predictor.open_delivery(Order(members=(member,), labels=LABELS, max_length=16))
    return float(np.abs(again(TEXTS) - predictor.open_delivery(order)(TEXTS)).max())


@pytest.mark.parametrize("name", ["lora"])
def test_what_a_method_delivers_is_exported(tmp_path, name):
    assert method_exported(name, tmp_path) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", list(modules(methods)))
def test_what_every_method_delivers_is_exported(tmp_path, name):
    assert method_exported(name, tmp_path) < 1e-5


# ---- what is refused ----------------------------------------------------------------------------


def given(folder: Path, labels: tuple[str, str] = ("a", "b")) -> Path:
    """A file of rows that look like those of training."""
    lines = [f"w{n % 8 + 8 * (n % 2)} w{n % 3},{labels[n % 2]}" for n in range(20)]
    path = folder / "given.csv"
    path.write_text("\n".join(["text,label", *lines]))
    return path


def test_what_answers_without_torch_already_is_said_to(run, tmp_path):
    linear = run / "linear"
    with pytest.raises(NotExportable, match="linear model, which answers without torch"):
        exported(linear, tmp_path / "out", file=str(given(tmp_path)))
    exported(run, tmp_path / "one")
    with pytest.raises(NotExportable, match="exported already"):
        exported(tmp_path / "one", tmp_path / "two", file=str(given(tmp_path)))


def test_without_rows_nothing_counts(run, tmp_path):
    alone = shutil.copytree(run / "model", tmp_path / "elsewhere")
    with pytest.raises(ExportUnverified, match="no run of ours") as caught:
        exported(alone, tmp_path / "out")
    assert f"agnews export {alone} --to onnx --data FILE" in caught.value.advice
    moved = shutil.copytree(run, tmp_path / "moved")
    job = (run / "job.json").read_text().replace(str(run.parent / "data"), "/gone")
    (moved / "job.json").write_text(job)
    with pytest.raises(ExportUnverified, match="/gone"):
        exported(moved, tmp_path / "out")
    assert exported(moved, tmp_path / "out", file=str(given(tmp_path))).verified.rows == 20


def test_rows_without_labels_verify_what_can_be(run, tmp_path):
    found = exported(run, tmp_path / "a", "onnx-int8", file=str(given(tmp_path, ("x", "y"))))
    assert found.verified.comparison is None
    assert any("not measured" in note for note in found.notes)


def test_test_rows_are_for_evaluations_alone(run, tmp_path):
    tested = shutil.copytree(run, tmp_path / "run")
    texts = [line.split(",")[0] for line in given(tmp_path).read_text().splitlines()[1:]]
    answers = np.full((20, 2), 0.5)
    (tested / "predictions").mkdir(exist_ok=True)
    kept = Logits.of(("a", "b"), texts, np.zeros(20, dtype=int), answers, {})
    logits.write(tested / "predictions" / "test.safetensors", kept)
    with pytest.raises(ExportUnverified, match="test rows"):
        exported(tested, tmp_path / "out", file=str(tmp_path / "given.csv"))
    shutil.rmtree(tested / "predictions")
    job = json.loads((tested / "job.json").read_text())
    job["locked"] = [test_lock.digest(str(tmp_path / "given.csv"))]
    (tested / "job.json").write_text(json.dumps(job))
    try:
        with pytest.raises(ExportUnverified, match="test rows"):
            exported(tested, tmp_path / "out", file=str(tmp_path / "given.csv"))
    finally:
        door._LOCK.places, door._LOCK.touched = (), []


def changed(path: Path, by: float) -> None:
    """Add to the head's bias, as a faulty export would."""
    graph = onnx.load(path)
    for one in graph.graph.initializer:
        if one.name.endswith("classifier.bias"):
            bias = onnx.numpy_helper.to_array(one) + np.asarray([by, -by], dtype=np.float32)
            one.CopyFrom(onnx.numpy_helper.from_array(bias, one.name))
    onnx.save(graph, path)


def test_an_export_that_differs_is_refused(run, tmp_path, monkeypatch):
    write = trace.write

    def faulty(model: Any, folder: Path, facts: Any) -> None:
        write(model, folder, facts)
        changed(folder / "model.onnx", 0.1)

    monkeypatch.setattr(trace, "write", faulty)
    with pytest.raises(ExportDiffers, match=r"by up to .*, more than 1e-04"):
        exported(run, tmp_path / "out")


def test_int8_that_loses_too_much_is_refused(run, tmp_path, monkeypatch):
    to_int8 = quantise.to_int8

    def faulty(source: Path, target: Path, *facts: Any) -> None:
        to_int8(source, target, *facts)
        changed(target / "model.onnx", 50.0)

    monkeypatch.setattr(quantise, "to_int8", faulty)
    with pytest.raises(ExportLoses, match=r"loses \d\d.* surely more than 0\.3") as caught:
        exported(run, tmp_path / "out", "onnx-int8")
    assert "--to onnx" in caught.value.advice


def test_what_cannot_be_traced_is_refused_with_the_reason(run, tmp_path, monkeypatch):
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("Exporting the operator 'aten::histc' is not supported\nand more")

    monkeypatch.setattr(torch.onnx, "export", fails)
    with pytest.raises(FormUnfit, match=r"\(bert\) cannot be written as onnx: .*histc.*supported"):
        exported(run, tmp_path / "out")


def test_a_damaged_graph_is_named(run, tmp_path):
    exported(run, tmp_path / "out")
    path = tmp_path / "out" / "model.onnx"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelDamaged, match=r"model\.onnx.*SHA-256"):
        opened(tmp_path / "out")
    facts = json.loads((tmp_path / "out" / "agnews.json").read_text())
    (tmp_path / "out" / "agnews.json").write_text(json.dumps(facts | {"files": {}}))
    with pytest.raises(ModelDamaged):
        opened(tmp_path / "out")


def test_large_weights_lie_beside_the_graph(run, tmp_path):
    folder = tmp_path / "large"
    folder.mkdir()
    member = delivered.at(run).members[0]
    order = delivered.order_of(delivered.at(run), lambda found: found.id)
    model, _ = graphs._finetuned(Path(member.folder), order)
    trace.write(model, folder, {runtime.FORM: "onnx"}, most_bytes=1000)
    assert {p.name for p in folder.iterdir()} == {"model.onnx", "model.onnx.data"}
    ids = np.full((2, 5), 7, dtype=np.int64)
    before = runtime._onnx(folder)[0](ids, np.ones_like(ids))
    (tmp_path / "int8").mkdir()
    quantise.to_int8(folder, tmp_path / "int8", {runtime.FORM: "onnx-int8"})
    run_, _, is_alone = runtime._onnx(tmp_path / "int8")
    assert is_alone and run_(ids, np.ones_like(ids)) == pytest.approx(before, abs=0.2)
