"""Every tracker, with its real package and without a network: one run over all sessions."""

from __future__ import annotations

import shutil
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.train
pytest.importorskip("numpy")

from agnews_cli.core.run.evaluation import Evaluation  # noqa: E402
from agnews_cli.core.run.job import Event, Outcome  # noqa: E402
from agnews_cli.core.run.tracking import ToTrack  # noqa: E402
from agnews_cli.learn import track, trackers  # noqa: E402
from agnews_cli.learn.kinds.registry import modules  # noqa: E402
from tests.core.evaluations import evaluation  # noqa: E402

Told = dict[str, list[tuple[int, float]]]
"""(step, value) of each series, in the order of the tracker's own file or table."""


def of_tensorboard(place: Path, name: str) -> Told:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    found = EventAccumulator(str(place / "tensorboard" / name), {"tensors": 0})
    found.Reload()
    return {
        tag: [(e.step, float(tensor_util.make_ndarray(e.tensor_proto))) for e in found.Tensors(tag)]
        for tag in found.Tags()["tensors"]
        if tag != "settings"
    }


def of_mlflow(place: Path, name: str) -> Told:
    from mlflow.tracking import MlflowClient

    client = MlflowClient()
    (experiment,) = client.search_experiments(filter_string="name = 'agnews'")
    (run,) = client.search_runs([experiment.experiment_id], f"tags.`agnews.run` = '{name}'")
    assert run.data.params["training.lr"] == "0.1"
    return {
        series: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, series)]
        for series in run.data.metrics
    }


def of_wandb(place: Path, name: str) -> Told:
    """In the order in which `wandb sync` sends them: files of a run by their start."""
    import json

    from wandb.proto.wandb_internal_pb2 import Record

    found: Told = {}
    for path in sorted(place.glob(f"wandb/offline-run-*-{name}/*.wandb")):
        for data in logged(path.read_bytes()):
            record = Record.FromString(data)
            if record.WhichOneof("record_type") == "run":
                assert record.run.run_id == name
            if record.WhichOneof("record_type") == "history":
                row = {
                    i.key or "/".join(i.nested_key): json.loads(i.value_json)
                    for i in record.history.item
                }
                for series, value in row.items():
                    if not series.startswith("_") and not series.endswith("/step"):
                        step = row[f"{series.partition('/')[0]}/step"]
                        found.setdefault(series, []).append((step, value))
    return found


def logged(data: bytes) -> Iterator[bytes]:
    """The records of a file of Weights & Biases: LevelDB's log format behind seven bytes."""
    at, part = 7, b""
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + 7])
        part += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):
            yield part
            part = b""


READERS: dict[str, Callable[[Path, str], Told]] = {
    "mlflow": of_mlflow,
    "tensorboard": of_tensorboard,
    "wandb": of_wandb,
}


def told(folder: Path, steps: range, *, resumed_at: int | None = None) -> None:
    events = [("session", {"token": 1}), ("phase", {"name": "training"})]
    if resumed_at is not None:
        facts = {"checkpoint": "m", "total_steps": 20, "changed": []}
        events.append(("resumed", {"candidate": "finetune", "step": resumed_at} | facts))
    for step in steps:
        facts = {"step": step, "total_steps": 20, "examples": step, "left_s": 1.0}
        facts |= {"loss": 1 / step, "lr": 0.1, "epoch": 0, "examples_per_s": 9.0}
        events.append(("progress", {"candidate": "finetune", "teacher_kl": None} | facts))
        if step % 5 == 0:
            figures = {"loss": 0.5, "accuracy": step / 100, "best": True, "seconds": 0.1}
            events.append(("validated", {"candidate": "finetune", "step": step} | figures))
    rows = {"step": 7, "total_steps": 9, "loss": None, "lr": None}
    events.append(("progress", {"candidate": "predictions"} | rows))
    with (folder / "events.jsonl").open("a") as file:
        for kind, data in events:
            event = Event(kind=kind, at="2026-11-28T10:00:00+00:00", elapsed_s=1.0, data=data)
            file.write(event.model_dump_json() + "\n")


def session(tracker: str, folder: Path, place: Path, name: str = "minilm-0123") -> list[str]:
    """What is said of a session that is over."""
    order = ToTrack(
        tracker=tracker, name=name, run=str(folder), place=str(place),
        settings={"training.lr": 0.1, "seed": 0},
    )  # fmt: skip
    over, said = threading.Event(), []
    over.set()
    if tracker == "wandb":
        time.sleep(1.0)  # its folders are named by the second
    track.follow(order, over, lambda text, **_: said.append(text))
    return said


@pytest.fixture(params=sorted(modules(trackers)))
def tracker(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    module = modules(trackers)[request.param]
    pytest.importorskip(request.param)
    for name in ("WANDB_API_KEY", "WANDB_MODE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    for name, value in module.EXAMPLE.items():
        monkeypatch.setenv(name, value.format(place=tmp_path / "server"))
    (tmp_path / "server").mkdir()
    return request.param


def read_to(step: int, tracker: str, place: Path) -> Told:
    """What it has of the run up to this step; some write it by a process of their own, later."""
    give_up_s = time.monotonic() + 20
    while True:
        found = READERS[tracker](place, "minilm-0123")
        if found["finetune/loss"][-1][0] >= step or time.monotonic() > give_up_s:
            return found
        time.sleep(0.2)


def test_one_run_over_all_sessions_and_machines_and_no_step_twice(tracker: str, tmp_path: Path):
    here, there = tmp_path / "here" / "minilm-0123", tmp_path / "there" / "minilm-0123"
    here.mkdir(parents=True)
    told(here, range(1, 14))  # killed at step 13; a checkpoint has step 9
    place = tmp_path / "here" / "tracking"
    session(tracker, here, place)
    told(here, range(10, 17), resumed_at=9)
    assert tracker in " ".join(session(tracker, here, place))
    found = read_to(16, tracker, place)
    assert found["finetune/loss"] == [(s, pytest.approx(1 / s)) for s in range(1, 17)]
    assert [step for step, _ in found["finetune/validation_accuracy"]] == [5, 10, 15]
    assert not any("predictions" in series for series in found)

    shutil.copytree(here, there)  # what a record carries to another machine
    told(there, range(16, 21), resumed_at=15)
    (there / "outcome.json").write_text(Outcome(state="completed").model_dump_json())
    done: Evaluation = evaluation(((3, 1), (0, 4)), None)
    (there / "evaluation.json").write_text(done.model_dump_json())
    other = place if tracker == "wandb" else tmp_path / "there" / "tracking"
    session(tracker, there, other)
    found = read_to(20, tracker, other)
    assert found["finetune/loss"] == [(s, pytest.approx(1 / s)) for s in range(1, 21)]
    if tracker != "wandb":  # whose summary is no history
        accuracy = done.validation.accuracy.value
        assert found["final_validation/accuracy"] == [(0, pytest.approx(accuracy))]
