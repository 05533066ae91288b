"""A cyclic training leaves a model of each cycle, and an ensemble takes them as its members."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")

from agnews_cli.core.run.job import CombineJob, CombineMember, TrainJob  # noqa: E402
from agnews_cli.core.run.work import Average  # noqa: E402
from agnews_cli.learn import predictor  # noqa: E402
from agnews_cli.learn.combine import logits  # noqa: E402
from agnews_cli.learn.door.events import EventLog  # noqa: E402
from agnews_cli.learn.worker import _work  # noqa: E402
from agnews_cli.store.data import datasets  # noqa: E402
from agnews_cli.store.model import delivered  # noqa: E402
from tests import looking  # noqa: E402
from tests.learn import tiny  # noqa: E402

NAMES = ("snapshot-1", "snapshot-2", "snapshot-3")


def work(job: TrainJob | CombineJob) -> None:
    folder = Path(job.folder)
    log = EventLog(folder / "events.jsonl", started_monotonic_s=0, writes=True)
    assert _work(job, log, tiny.Stop(folder, None)).state == "completed"  # type: ignore[arg-type]


def answers(folder: Path, texts: list[str]):
    found = delivered.at(folder)
    return predictor.open_delivery(delivered.order_of(found, lambda base: base.id))(texts)


@pytest.mark.parametrize(
    ("rows", "method"), [(240, "lora"), (40, "full")], ids=["held out", "by turns"]
)
def test_each_is_a_delivery_and_together_they_are_an_ensemble(rows, method, tmp_path):
    data, run = tmp_path / "data", tmp_path / "run"
    for folder in (data, run, tmp_path / "ensemble"):
        folder.mkdir()
    tiny.csv_file(data / "train.csv", {"a": rows // 2, "b": rows // 2}, signal=0.6)
    tiny.csv_file(data / "test.csv", {"a": 10, "b": 10}, signal=0.6, seed=5)
    cut = {"cross_validated_below": 200, "validation_rows_at_least": 40}
    recipe = tiny.preset(
        tiny.model_folder(tmp_path / "bert"),
        cut,
        epochs=3,
        schedule="cyclic",
        snapshots=3,
        precision="fp32",
    ).model_copy(update={"method": tiny.method(method)})
    found = datasets.find(str(data))
    looking.write(run / "test.json", found)
    job = tiny.order(run, data, recipe, candidates=("finetune",), dataset=found)
    work(job.model_copy(update={"test": str(run / "test.json"), "nodes": ("node",)}))

    texts = datasets.read(found, "test").texts
    said = {}
    for name in NAMES:
        tested, held = (
            logits.read(run / name / "predictions" / f"{part}.safetensors")
            for part in ("test", "validation")
        )
        own = logits.read(run / "predictions" / "validation.safetensors")
        assert np.array_equal(held.rows, own.rows) and np.array_equal(held.classes, own.classes)
        assert np.array_equal(tested.rows, logits.digests(texts))
        said[name] = answers(run / name, list(texts))
        assert np.exp(tested.delivered) == pytest.approx(said[name], abs=1e-5)
        assert answers(run / name / "model", list(texts)) == pytest.approx(said[name])
        assert (run / name / "model" / "README.md").is_file()
    assert not np.allclose(said["snapshot-1"], said["snapshot-3"], atol=1e-3)

    members = tuple(
        CombineMember(
            name=name,
            delivery=str(run / name),
            validation=(str(run / name / "predictions/validation.safetensors"),),
            test=str(run / name / "predictions/test.safetensors"),
        )
        for name in NAMES
    )
    facts = job.model_dump(include={"run", "cache", "dataset", "started_monotonic_s"})
    folder = tmp_path / "ensemble"
    work(CombineJob(**facts, folder=str(folder), how=Average(), members=members))
    assert answers(folder, list(texts)) == pytest.approx(np.mean([*said.values()], 0), abs=1e-5)
