"""`agnews compare`: finished runs on the same rows, and one clear line for what cannot be."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("safetensors")

from agnews_cli.core.graph.shapes import Distilled, Finished, Single, graph_of  # noqa: E402
from agnews_cli.core.run.comparison import AnswersOf, ToCompare  # noqa: E402
from agnews_cli.core.run.cost import like_news  # noqa: E402
from agnews_cli.learn.figures.blend import log_loss  # noqa: E402
from agnews_cli.store.run import parts  # noqa: E402
from agnews_cli.store.run.runs import RunFolder  # noqa: E402
from agnews_cli.store.settings import presets  # noqa: E402
from agnews_cli.workflows.runs.compare import compare, of_student  # noqa: E402
from tests import finished_runs as finished  # noqa: E402

GOOD, FAIR, POOR = (f"{name}-0123456789" for name in ("good", "fair", "poor"))
TEST = finished.texts("test", 200)
HELD = finished.texts("validation", 60)


def run(store: Path, name: str, right: float, seed: int = 0, **changes: Any) -> RunFolder:
    facts = {
        "validation": finished.said(seed, HELD, right), "test": finished.said(seed, TEST, right)
    } | changes  # fmt: skip
    return finished.make(store, name, **facts)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for seed, (name, right) in enumerate({GOOD: 0.9, FAIR: 0.88, POOR: 0.6}.items()):
        run(tmp_path / "agnews-runs", name, right, seed)
    return tmp_path / "agnews-runs"


def test_runs_are_compared_with_the_best_in_pairs_and_corrected(store: Path, agnews: Any) -> None:
    done = agnews("compare", POOR, GOOD[:6], store / FAIR, "--json")
    found = done.json
    assert done.code == 0 and (found["rows"], found["looks"], found["on"]) == (200, 3, "test")
    assert [m["name"] for m in found["models"]] == [GOOD, FAIR, POOR] and found["against"] == GOOD
    assert [m["accuracy"]["value"] for m in found["models"]] == [0.9, 0.88, 0.6]
    said = finished.said(0, TEST, 0.9)
    true = np.arange(200) % 2
    loss = log_loss(np.exp(said.delivered.astype(float)), true)
    assert found["models"][0]["loss"] == pytest.approx(loss, abs=1e-5)
    by_name = {d["one"]: d for d in found["differences"]}
    assert by_name[POOR]["p_holm"] < 0.001 < 0.2 < by_name[FAIR]["p_holm"]
    assert by_name[FAIR]["p"] <= by_name[FAIR]["p_holm"]
    shown = agnews("compare", POOR, GOOD, FAIR)
    assert "may be chance" in shown.out and "differ" in shown.out and "3 looks" in shown.out


def test_against_another_run_and_on_the_rows_that_validated(store: Path) -> None:
    found = compare([GOOD, FAIR], store, on="validation", against=POOR)
    assert found.comparison.against == POOR and found.comparison.rows == 60
    assert {d.one for d in found.comparison.differences} == {GOOD, FAIR} and found.looks is None


def test_two_runs_that_say_the_same_are_no_error(store: Path) -> None:
    run(store, "same-0123456789", 0.9)
    (apart,) = compare([GOOD, "same"], store).comparison.differences
    assert (apart.accuracy.value, apart.p) == (0, 1)


def test_a_student_stands_beside_its_teacher_where_both_have_test_rows(store: Path) -> None:
    found = of_student(RunFolder(store / FAIR), GOOD)
    assert found is not None and {m.name for m in found.comparison.models} == {FAIR, GOOD}
    (store / GOOD / "predictions" / "test.safetensors").unlink()
    assert of_student(RunFolder(store / FAIR), GOOD) is None


@pytest.mark.parametrize("is_there", [True, False], ids=["in the graph", "there before"])
def test_a_student_is_shown_beside_its_teacher_later_too(
    is_there: bool, tmp_path: Path, agnews: Any
) -> None:
    """Whether its teacher was trained for it or is a run that was there."""
    store, one = tmp_path / "agnews-runs", Single(presets.load("minilm"))
    teacher = Single(presets.load("mpnet")) if is_there else Finished(GOOD)
    graph = graph_of(Distilled("small", teacher, one), like_news(1_000, 200))
    student = graph.place
    (asked,) = (node for node in graph.nodes.values() if node.work.kind == "predict")
    taught_by = asked.work.model.run
    for seed, name in enumerate((taught_by, student)):
        finished.delivered(run(store, name, 0.9 - seed / 10, seed))
    parts.write(RunFolder(store / student), graph)
    assert parts.teacher_of(RunFolder(store / student)) == taught_by
    assert parts.teacher_of(RunFolder(store / taught_by)) is None
    shown = agnews("runs", "show", student)
    assert shown.code == 0 and f"Points of accuracy above {taught_by}" in shown.out, shown.err
    assert "Less" not in agnews("runs", "show", taught_by).out


def _no_test(store: Path) -> RunFolder:
    return run(store, "other-0123456789", 0.9, 7, test=None)


def _other_rows(store: Path) -> RunFolder:
    return run(store, "other-0123456789", 0.9, test=finished.said(0, TEST[1:], 0.9))


def _other_labels(store: Path) -> RunFolder:
    said = finished.said(0, TEST, 0.9, labels=("a", "b"))
    return run(store, "other-0123456789", 0.9, test=said)


def _damaged(store: Path) -> RunFolder:
    made = run(store, "other-0123456789", 0.9)
    path = made.path / "predictions" / "test.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    return made


WRONG: dict[str, tuple[Callable[[Path], Any], list[str], int, str, str]] = {
    "no test rows": (_no_test, [GOOD, "other"], 2, "nothing that it said of the test rows",
                     "--on validation"),
    "other rows": (_other_rows, [GOOD, "other"], 65, "1 of the 200 rows", "same rows"),
    "other labels": (_other_labels, [GOOD, "other"], 65, "other labels: a, b", "same data"),
    "unfinished": (lambda s: run(s, "other-0123456789", 0.9, state=""), [GOOD, "other"], 2,
                   "has delivered no model", "agnews resume other-0123456789"),
    "the same twice": (lambda s: None, [GOOD, GOOD[:5]], 2, f"{GOOD} is named twice", "once"),
    "one alone": (lambda s: None, [GOOD], 2, "compared with nothing", f"agnews compare {GOOD}"),
    "unknown": (lambda s: None, [GOOD, "por"], 2, "No run 'por'", "agnews runs"),
    "a damaged file": (_damaged, [GOOD, "other"], 66, "test.safetensors", "Train the run again"),
    "another split": (lambda s: None, [GOOD, FAIR, "--on", "tests"], 2, "did you mean 'test'", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_compared_is_one_clear_line(store: Path, agnews: Any, name: str) -> None:
    make, words, code, message, hint = WRONG[name]
    make(store)
    done = agnews("compare", *words)
    assert done.code == code and message in " ".join(done.err.split()), done.err
    assert hint in done.err and "Traceback" not in done.err and not done.out


def test_the_process_that_compares_never_imports_torch(store: Path) -> None:
    """What asks it never imports NumPy: a contract of imports says so."""
    told = tuple(
        AnswersOf(name=n, files=(str(store / n / "predictions/test.safetensors"),))
        for n in (GOOD, POOR)
    )
    code = (
        "import sys, json, runpy\n"
        f"sys.argv = ['x', {ToCompare(models=told).model_dump_json()!r}]\n"
        "try: runpy.run_module('agnews_cli.learn.compare_runs', run_name='__main__')\n"
        "except SystemExit as end: assert not end.code\n"
        "print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    answer, modules = map(json.loads, done.stdout.splitlines())
    assert answer["rows"] == 200
    assert not {"torch", "transformers", "accelerate", "sklearn"} & set(modules)
