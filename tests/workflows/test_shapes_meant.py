"""What --preset, --model and --set mean, of whatever tier, with the advice for students."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, get_args

import pytest

from agnews_cli.core.graph.advice import few_rows
from agnews_cli.core.graph.asked import AnyPreset, Distilled, Single, singles, with_unlabelled
from agnews_cli.core.graph.shapes import graph_of
from agnews_cli.core.machine.accelerator import Accelerator
from agnews_cli.core.run.choose import choose, nearest
from agnews_cli.core.run.cost import like_news
from agnews_cli.core.run.request import Goal
from agnews_cli.errors import ModelUnsuitable, PresetOfSeveral
from agnews_cli.store.settings import preset_shapes, presets
from agnews_cli.workflows.train import recipe

EMBEDDED = "sentence-transformers/all-MiniLM-L6-v2"


def meant(**asked: Any) -> tuple[AnyPreset | None, str]:
    options: dict[str, Any] = {"model": None, "preset": None, "settings": ()} | asked
    shape, why = recipe.shape(**options, hub=lambda: False, timeout_s=0.1)
    return shape, "\n".join(why)


def test_one_function_answers_for_every_tier() -> None:
    assert meant() == (None, "")
    one, why = meant(preset="minilm")
    assert isinstance(one, Single) and why == "preset minilm: as asked"
    assert meant(model=EMBEDDED)[0] == one
    several, why = meant(preset="minilm-from-ensemble", settings=("training.epochs=1",))
    assert isinstance(several, Distilled)
    assert "as asked: 4 x minilm, linear" in why
    assert {s.preset.training.epochs for s in singles(several) if s.name == "minilm"} == {1}


def test_a_model_is_for_a_preset_of_one_tuned_model() -> None:
    with pytest.raises(PresetOfSeveral, match="tier ensemble: --model takes a preset of one"):
        meant(model=EMBEDDED, preset="ensemble-cpu")
    with pytest.raises(ModelUnsuitable, match="preset linear trains no pretrained model"):
        meant(model=EMBEDDED, preset="linear")


def test_a_folder_is_known_by_its_content_wherever_it_lies(tmp_path: Path) -> None:
    """Also as a member: a graph that goes on elsewhere has the same ids."""
    ids = []
    for place in ("here", "there"):
        folder = tmp_path / place / "base"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        file = tmp_path / place / "mine.yaml"
        file.write_text(
            "name: mine\ntier: ensemble\nsummary: s\norder: 1\nmembers:\n"
            f"  - preset: minilm\n    settings: [model.id={folder}]\n  - preset: linear\n"
        )
        shape, _ = meant(preset=str(file))
        assert shape is not None and singles(shape)[0].weights
        ids.append(graph_of(shape, like_news(1_000, 100)).target)
        shutil.rmtree(tmp_path / place)
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("minilm-from-mpnet", (), "distillation: mpnet has 4.8 times the weights of minilm; 2 to"),
        ("minilm-from-minilm", (), "1.0 times the weights of minilm, so it hardly becomes smaller"),
        ("minilm-from-mpnet", ("distillation.temperature=20",), "warning: temperature 20; 3 to 10"),
        (
            "minilm-from-mpnet",
            ("distillation.alpha=1",),
            "warning: alpha 1, the labels' share; 0.1",
        ),
        ("minilm-from-mpnet", (), "distillation: temperature 5; 3 to 10 are advised, from 5"),
    ],
)
def test_advice_for_students_has_its_source(
    name: str, settings: tuple[str, ...], said: str
) -> None:
    _, why = meant(preset=name, settings=settings)
    line = next(line for line in why.splitlines() if said in line)
    assert "arXiv" in line


def test_with_few_rows_texts_without_labels_are_advised() -> None:
    shape = preset_shapes.load("minilm-from-ensemble")
    (said,) = few_rows(shape, 999)
    assert "999 training rows" in said and "--unlabelled FILE" in said
    assert few_rows(shape, 1_000) == () == few_rows(with_unlabelled(shape), 999)
    assert few_rows(preset_shapes.load("ensemble-cpu"), 999) == (), "it has no student"
    assert few_rows(preset_shapes.load("minilm-from-mpnet"), 999) == (), "one model teaches well"


def test_too_wide_a_gap_is_warned_of_and_a_model_between_mends_it(tmp_path: Path) -> None:
    wide = "name: w\ntier: distilled\nsummary: s\norder: 1\nteacher: {preset: TEACHER}\n" + (
        "student: {preset: minilm}\n"
    )
    (tmp_path / "w.yaml").write_text(wide.replace("TEACHER", "roberta-large"))
    why = meant(preset=str(tmp_path / "w.yaml"))[1]
    assert "warning: roberta-large has 15.6 times" in why and "a distilled preset can be" in why
    middle = wide.replace("TEACHER", "roberta-large").replace("minilm", "mpnet")
    (tmp_path / "m.yaml").write_text(middle.replace("name: w", "name: m"))
    (tmp_path / "w.yaml").write_text(wide.replace("TEACHER", "./m.yaml"))
    assert "warning" not in meant(preset=str(tmp_path / "w.yaml"))[1]
    assert preset_shapes.load(str(tmp_path / "w.yaml")).tier == "distilled"


@pytest.mark.parametrize("goal", get_args(Goal))
def test_the_linear_model_is_chosen_by_nobody_but_who_names_it(goal: Goal) -> None:
    cpu = Accelerator("cpu", "CPU")
    found = choose(presets.load_all(), cpu, goal, why_unavailable=lambda preset: None)
    assert found.preset is not None and found.preset.name.startswith("minilm")
    only = choose([presets.load("linear")], cpu, goal, why_unavailable=lambda preset: None)
    assert only.preset is None and "name it" in only.passed_over[0].reason
    assert nearest(presets.load_all(), 1_000_000, is_decoder=False).name.startswith("minilm")
