"""A delivery in another form: it answers as the model does, in any batch, and without torch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from agnews_cli.core.run.export import Form, ToExport  # noqa: E402
from agnews_cli.errors import NotExportable  # noqa: E402
from agnews_cli.learn import predictor  # noqa: E402
from agnews_cli.learn.door.notes import Notes  # noqa: E402
from agnews_cli.learn.stages import combine, deliver, evaluate, export  # noqa: E402
from agnews_cli.store.model import delivered  # noqa: E402
from tests.learn import tiny  # noqa: E402

TEXTS = ["w1", "w0 w9 w3", " ".join(tiny.WORDS) + " w1" * 60, "nothing of it is known", "w8 w9"]


class Nobody:
    """Asks for no stop."""

    def check(self) -> None: ...


def finished(place: Path, method: str = "full", **job: Any) -> Path:
    """The folder of a run of a tiny BERT that has delivered."""
    model = tiny.model_folder(place / "bert")
    data = place / "data"
    data.mkdir()
    tiny.csv_file(data / "train.csv", {"a": 60, "b": 60}, signal=0.9)
    recipe = tiny.preset(model, {"cross_validated_below": 0}, epochs=1, max_length=16)
    recipe = recipe.model_copy(update={"method": tiny.method(method)})
    run = place / "run"
    done = tiny.compete(run, data, recipe, **job)
    shares = combine.choose(done)
    evaluate.on_validation(done, shares)
    deliver.write_delivery(done)
    told = done.setting.job
    (run / "job.json").write_text(told.model_dump_json())
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.mktemp("export"), "lora", candidates=("finetune",))


def exported(model: Path, target: Path, form: Form = "onnx", **order: Any) -> Any:
    asked = ToExport(model=str(model), form=form, target=str(target), **order)
    return export.make(asked, Nobody(), Notes(lambda kind, **data: None))  # type: ignore[arg-type]


def test_what_does_not_cut_long_texts_is_refused(run, tmp_path):
    """A graph's tokenizer cuts, so that long texts would be answered otherwise."""
    place = tmp_path / "run"
    shutil.copytree(run, place)
    facts = json.loads((place / "delivery.json").read_text())
    facts |= {"long_texts": {"how": "windows", "overlap": 3, "most_windows": 4}}
    (place / "delivery.json").write_text(json.dumps(facts))
    with pytest.raises(NotExportable, match="does not cut long texts"):
        exported(place, tmp_path / "out")


def answers(folder: Path, texts: list[str] = TEXTS) -> Any:
    order = delivered.order_of(delivered.at(folder), lambda base: base.id)
    return predictor.open_delivery(order)(texts)


def test_it_answers_as_the_model_does_and_cuts_where_training_did(run, tmp_path):
    found = exported(run, tmp_path / "out")
    assert found.verified.rows == 60 or found.verified.rows > 10
    assert found.verified.most_apart < 1e-5
    assert found.verified.comparison.differences[0].accuracy.value == 0
    assert answers(tmp_path / "out") == pytest.approx(answers(run), abs=1e-5)
    assert json.loads((tmp_path / "out" / "agnews.json").read_text())["max_length"] == 16
