"""`agnews repro`: a run made again is the same bit for bit, and what is not is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
np = pytest.importorskip("numpy")

from safetensors.numpy import load_file, save_file  # noqa: E402

from agnews_cli.core.run.likeness import ToLiken  # noqa: E402
from agnews_cli.learn.liken_runs import likened  # noqa: E402
from tests import finished_runs as finished  # noqa: E402

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished.data(tmp_path_factory.mktemp("repro") / "rows", 60)


def test_a_run_is_made_again_bit_for_bit_and_what_is_changed_is_told(
    rows: Path, agnews: Any, tmp_path: Path
) -> None:
    store, again = tmp_path / "runs", tmp_path / "again"
    made = agnews("auto", "--data", rows, "--preset", "linear", "--store", store, "--json")
    assert made.code == 0, made.err
    run = made.json["run"]
    same = agnews("repro", run, "--store", store, "--into", again, "--json")
    assert same.code == 0 and same.json["exact"] is True, same.err
    assert same.json["files"] and same.json["rows"] == same.json["same_answers"] > 0
    assert (same.json["run"], same.json["changed"]) == (run, [])
    # What is finished there is not trained again; a weight that is another is found.
    weights = next((again / run / "linear").glob("*.safetensors"))
    arrays = load_file(weights)
    name = next(key for key, array in sorted(arrays.items()) if array.dtype.kind == "f")
    arrays[name] = arrays[name].copy()
    arrays[name].flat[0] += 0.5
    save_file(arrays, weights)
    facts = json.loads((again / run / "environment.json").read_text())
    (again / run / "environment.json").write_text(json.dumps(facts | {"threads": 96}))
    other = agnews("repro", run, "--store", store, "--into", again)
    assert other.code == 1 and "Not bit for bit: 1 of " in other.out
    assert "by 0.5 at most" in other.out and "threads: " in other.out and "96 now" in other.out
    # What would make another run is refused before anything is trained.
    with (rows / "train.csv").open("a") as file:
        file.write("one more row,sea\n")
    changed = agnews("repro", run, "--store", store, "--into", tmp_path / "third")
    assert changed.code == 78 and "makes it another run" in changed.err


def test_where_a_run_lies_it_is_not_made_again(agnews: Any, tmp_path: Path) -> None:
    run = finished.make(tmp_path / "runs", "good-0123456789")
    done = agnews("repro", run.id, "--store", run.path.parent, "--into", run.path.parent)
    assert done.code == 78 and "--into DIR" in done.err


def test_files_that_one_has_alone_and_answers_that_differ_are_told(tmp_path: Path) -> None:
    texts = finished.texts("validation", 50)
    one = finished.make(tmp_path / "a", "good-0123456789", validation=finished.said(0, texts, 0.9))
    two = finished.make(tmp_path / "b", "good-0123456789", validation=finished.said(1, texts, 0.9))
    (one.path / "model").mkdir()
    save_file({"w": np.ones(3, np.float32)}, one.path / "model" / "model.safetensors")
    found = likened(ToLiken(one=str(one.path), two=str(two.path)))
    assert found.missing == ("model/model.safetensors",) and not found.is_exact
    assert found.rows == 50 and 0 < (found.same_answers or 0) < 50 and found.most_probability
    assert "only one of both has model/model.safetensors" in found.words()
    shutil.copytree(one.path / "model", two.path / "model")
    save_file({"w": np.ones(4, np.float32)}, two.path / "model" / "model.safetensors")
    assert not likened(ToLiken(one=str(one.path), two=str(two.path))).files[0].equal
    itself = likened(ToLiken(one=str(one.path), two=str(one.path)))
    assert itself.is_exact and itself.words() == (
        "Equal, bit for bit: 3 weights, and the answers of 50 rows"
    )
