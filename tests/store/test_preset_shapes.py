"""Presets of several models: what they name is put in its place, and every mistake has its line."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from agnews_cli.core.graph.asked import (
    AnyPreset,
    Distilled,
    Ensemble,
    Single,
    cycles_of,
    identity,
    mapped,
    single_of,
    singles,
)
from agnews_cli.core.graph.shapes import graph_of
from agnews_cli.core.run.cost import like_news
from agnews_cli.core.run.work import Distillation, Stack, Train
from agnews_cli.errors import PresetInvalid, PresetOfSeveral, SettingInvalid
from agnews_cli.store.settings import preset_shapes, presets

HEAD = "summary: Mine.\norder: 1\n"
TWO = f"name: mine\ntier: ensemble\n{HEAD}members:\n  - preset: minilm\n  - preset: linear\n"
TAUGHT = (
    f"name: mine\ntier: distilled\n{HEAD}teacher:\n  preset: mpnet\nstudent:\n  preset: minilm\n"
)
DATA = like_news(1_000, 100)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGNEWS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def write(folder: Path, content: str, name: str = "mine.yaml") -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content, "utf-8")
    return str(folder / name)


def problems(folder: Path, content: str) -> list[str]:
    path = write(folder, content)
    with pytest.raises(PresetInvalid) as caught:
        preset_shapes.load(path)
    example = caught.value.advice.split("`")[1].removeprefix("agnews presets show ")
    assert f"tier: {preset_shapes.load(example).tier}\n" in content, "a complete one of its kind"
    return [line.removeprefix(f"  {path}:") for line in caught.value.message.split("\n")[1:]]


@pytest.mark.parametrize("page", ["ensembles.md", "distillation.md"])
def test_what_the_pages_show_can_be_copied(page: str, tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / page).read_text("utf-8")
    for block in text.split("```yaml\n")[1:]:
        assert len(singles(preset_shapes.load(write(tmp_path, block.split("```")[0])))) > 1


@pytest.mark.parametrize("name", presets.names())
def test_one_file_says_all_that_a_preset_means(name: str, tmp_path: Path) -> None:
    """As a run's folder keeps it, for a machine that has no preset of any of these names."""
    shape = preset_shapes.load(name)
    again = preset_shapes.load(write(tmp_path, preset_shapes.resolved_text(shape)))
    assert graph_of(again, DATA, 3) == graph_of(shape, DATA, 3)
    assert again.name == shape.name and again.tier == shape.tier
    text = (tmp_path / "mine.yaml").read_text()
    assert not any(isinstance(value, str) for value in _named(yaml.safe_load(text)))


def test_a_hundred_models_are_read_again_whole_and_quickly(tmp_path: Path) -> None:
    members = "".join(f"  - {{preset: minilm-lora, seed: {n}}}\n" for n in range(100))
    settings = ["training.ema=0.9", "training.token_masking=0.1", f"model.id=/{'a' * 500}"]
    path = write(tmp_path, f"name: big\ntier: ensemble\n{HEAD}members:\n{members}")
    each = preset_shapes.load(path)
    shape = mapped(each, lambda one: _set(one, settings))
    began_s = time.monotonic()
    again = preset_shapes.load(write(tmp_path, preset_shapes.resolved_text(shape), "whole.yaml"))
    graph = graph_of(again, DATA)
    for node in graph.nodes.values():
        if isinstance(node.work, Train):
            assert single_of(again, node.work).preset.training == node.work.recipe.training
    assert len(graph.nodes) == 202 and graph == graph_of(shape, DATA)
    assert time.monotonic() - began_s < 5, "half a second where nobody else computes"


def _set(one: Single, settings: list[str]) -> Single:
    return replace(one, preset=presets.with_settings(one.preset, settings))


@pytest.mark.parametrize("revision", ["12e34", "0123", "null", "1_000", "a: b", "é #"])
def test_a_text_stays_a_text(revision: str, tmp_path: Path) -> None:
    """Also where YAML would read another kind of value."""
    shape = changed("minilm", f"model.revision='{revision}'")
    again = preset_shapes.load(write(tmp_path, preset_shapes.resolved_text(shape)))
    assert again == shape and singles(again)[0].preset.model.revision == revision


def _named(data: object) -> list[object]:
    """All that stands under `preset`."""
    if isinstance(data, list):
        return [found for one in data for found in _named(one)]
    if not isinstance(data, dict):
        return []
    return [found for k, v in data.items() for found in ([v] if k == "preset" else []) + _named(v)]


def test_members_differ_by_what_the_file_says_of_them(tmp_path: Path) -> None:
    more = "  - preset: minilm\n    seed: 2\n    settings: [training.lr=1e-3, method.kind=lora]\n"
    shape = preset_shapes.load(write(tmp_path, TWO + more + "how: {kind: stack}\nfolds: 3\n"))
    assert isinstance(shape, Ensemble) and (shape.how, shape.folds) == (Stack(), 3)
    one, two, three = singles(shape)
    assert (one.name, one.seed, two.name) == ("minilm", 0, "linear")
    assert (three.seed, three.preset.training.lr) == (2, 1e-3)
    assert three.preset.method.kind == "lora" and one.preset.method.kind == "full"


def test_a_preset_may_name_presets_of_several_and_files_beside_it(tmp_path: Path) -> None:
    write(tmp_path, TWO.replace("mine", "inner"), "inner.yaml")
    outer = TWO.replace("preset: linear", "preset: ./inner.yaml\n    seed: 5").replace(
        "minilm", "mpnet"
    )
    shape = preset_shapes.load(write(tmp_path, outer))
    assert [(one.name, one.seed) for one in singles(shape)] == [
        *(("mpnet", 0), ("minilm", 5), ("linear", 5)),
    ]
    taught = TAUGHT.replace("mpnet", "./mine.yaml").replace("name: mine", "name: t")
    shape = preset_shapes.load(write(tmp_path, taught, "t.yaml"))
    assert isinstance(shape, Distilled) and isinstance(shape.teacher, Ensemble)
    assert shape.distillation == Distillation(alpha=0.3, temperature=5.0)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            TWO.replace("linear", "minlm"),
            "7: members.1.preset: there is no preset 'minlm' (did you",
        ),
        (
            TWO.replace("linear", "./gone.yaml"),
            "7: members.1.preset: there is no file './gone.yaml'",
        ),
        (TWO.replace("linear", "7"), "7: members.1.preset: should be a preset's name, a file or"),
        (TWO.replace("linear", "minilm"), "7: members.1: is members.0 once more: give it another"),
        (TWO + "    sed: 1\n", "8: members.1.sed: there is no such field (did you mean 'seed'"),
        (TWO + "    seed: -1\n", "8: members.1.seed: should be greater than or equal to 0"),
        (
            TWO.replace("minilm", "minilm\n    settings: [training.lr=5]"),
            "7: members.0.settings: training.lr=5: should be less than 1",
        ),
        (
            TWO + "    settings: [training.epochs=3]\n",
            "8: members.1.settings: training.epochs=3: a linear model does not read it",
        ),
        (TWO + "    snapshots: 3\n", "8: members.1.snapshots: a linear model does not read it"),
        (
            TWO + "    snapshots: 1\n",
            "8: members.1.snapshots: should be greater than or equal to 2",
        ),
        (
            TWO.replace("linear", "ensemble-cpu\n    snapshots: 3"),
            "8: members.1.snapshots: are of one training (ensemble-cpu is ensemble)",
        ),
        (TAUGHT + "  snapshots: 3\n", "9: student.snapshots: are members: of an ensemble alone"),
        (TWO + "how: {kind: avrage}\n", "8: how.kind: should be 'average'"),
        (TWO + "how: {kind: average, sharp: 1}\n", "8: how.sharp: there is no such field"),
        (TWO + "folds: 1\n", "8: folds: should be greater than or equal to 2"),
        (f"name: mine\ntier: ensemble\n{HEAD}members: []\n", "5: members: "),
        (f"name: mine\ntier: ensemble\n{HEAD}", "1: members: required"),
        (TWO + "student: {preset: minilm}\n", "8: student: there is no such field"),
        (TAUGHT + "distillation: {temperature: 0}\n", "9: distillation.temperature: should be gre"),
        (
            TAUGHT.replace("mpnet", "ensemble-cpu") + "distillation: {hidden: 1}\n",
            "9: distillation.hidden: ensemble-cpu: an ensemble has those of each member",
        ),
        (
            TAUGHT.replace("mpnet", "linear") + "distillation: {hidden: 1}\n",
            "9: distillation.hidden: linear: a linear model has none",
        ),
        (
            TAUGHT + "distillation: {hidden: 1}\nfolds: 3\n",
            "9: distillation.hidden: mpnet: with folds only its answers are asked",
        ),
        (TAUGHT + "distillation: {alpha: 1.5}\n", "9: distillation.alpha: should be less than or"),
        (
            TAUGHT.replace("minilm", "linear"),
            "8: student.preset: a linear model learns from labels",
        ),
        (
            TAUGHT.replace("minilm", "ensemble-cpu"),
            "8: student.preset: should be one model (ensemb",
        ),
        (
            TAUGHT.replace("minilm", "{name: x}"),
            "8: student.preset.model: required",
        ),
    ],
)
def test_every_mistake_has_its_place(tmp_path: Path, content: str, expected: str) -> None:
    assert problems(tmp_path, content)[0].startswith(expected)


def test_a_name_that_leads_back_to_itself(own_home: Path) -> None:
    folder = own_home / "presets" / "ensemble"
    write(folder, TWO.replace("mine", "one").replace("linear", "two"), "one.yaml")
    write(folder, TWO.replace("mine", "two").replace("linear", "one"), "two.yaml")
    with pytest.raises(
        PresetInvalid, match=r"members.1.preset: leads back to itself: one → two → o"
    ):
        preset_shapes.load("one")
    write(folder, TWO.replace("mine", "minilm"), "minilm.yaml")
    with pytest.raises(PresetInvalid, match="minilm → minilm"):
        preset_shapes.load("minilm")


def test_parts_of_parts_are_refused(tmp_path: Path) -> None:
    write(tmp_path, TWO.replace("mine", "inner") + "folds: 3\n", "inner.yaml")
    outer = TWO.replace("linear", "./inner.yaml")
    assert preset_shapes.load(write(tmp_path, outer))
    assert (
        "8: folds: inner trains without each of 3 parts"
        in problems(tmp_path, outer + "folds: 2")[0]
    )
    taught = TAUGHT.replace("mpnet", "./inner.yaml")
    assert "folds: inner trains" in problems(tmp_path, taught + "folds: 2")[0]


def test_doubling_again_and_again_ends(tmp_path: Path) -> None:
    for n in range(30):
        inner = "linear" if n == 0 else f"./p{n - 1}.yaml"
        members = f"  - preset: {inner}\n  - preset: {inner}\n    seed: {2**n % 2**31}\n"
        text = f"name: p{n}\ntier: ensemble\n{HEAD}members:\n{members}"
        write(tmp_path, text, f"p{n}.yaml")
    with pytest.raises(PresetInvalid, match="more than 400 models"):
        preset_shapes.load(str(tmp_path / "p29.yaml"))


# ---- --set --------------------------------------------------------------------------------------


def changed(name: str, *settings: str) -> AnyPreset:
    return preset_shapes.with_settings(preset_shapes.load(name), settings)


def test_a_setting_goes_to_every_model_that_has_the_field() -> None:
    found = changed("ensemble-cpu", "training.epochs=1", "how.kind=stack", "folds=3")
    assert isinstance(found, Ensemble) and (found.how, found.folds) == (Stack(), 3)
    assert {one.preset.training.epochs for one in singles(found) if one.name == "minilm"} == {1}
    plain = changed("ensemble-cpu")
    assert _linear(found) == _linear(plain), "whose result the setting does not change"
    taught = changed("minilm-from-mpnet", "distillation.temperature=3", "training.lr=1e-3")
    assert isinstance(taught, Distilled) and taught.distillation.temperature == 3
    assert {one.preset.training.lr for one in singles(taught)} == {1e-3}


def test_snapshots_are_a_schedule_of_one_model_whoever_says_so(tmp_path: Path) -> None:
    """In a file, or by --set in any order; and what is written down is read as the same."""
    text = TWO.replace("- preset: linear", "- preset: minilm\n    snapshots: 3")
    shape = preset_shapes.load(write(tmp_path, text))
    assert [cycles_of(one) for one in shape.members] == [0, 3]
    again = preset_shapes.load(write(tmp_path, preset_shapes.resolved_text(shape)))
    assert identity(again) == identity(shape)
    settings = ["training.snapshots=3", "training.schedule=cyclic"]
    for given in (settings, settings[::-1]):
        one = changed("minilm", *given)
        assert cycles_of(one) == 3 and identity(one) == identity(shape.members[1])
    back = preset_shapes.with_settings(one, ["training.schedule=linear"])
    assert identity(back) == identity(changed("minilm")), "what nothing reads is as usual"
    taught = TWO.replace("linear", "minilm-from-mpnet\n    snapshots: 4")
    (_, student) = preset_shapes.load(write(tmp_path, taught)).members
    assert cycles_of(student) == 4 and cycles_of(student.teacher) == 0


def _linear(shape: AnyPreset) -> Single:
    return next(one for one in singles(shape) if one.name == "linear")


@pytest.mark.parametrize(
    ("name", "setting", "reason"),
    [
        ("ensemble-cpu", "model.id=a/b", "the preset has several models"),
        (
            "ensemble-cpu",
            "method.rank=8",
            "method.kind is 'full', and only 'lora', 'qlora', 'dora' or",
        ),
        ("ensemble-cpu", "training.lr=5", "should be less than 1"),
        ("ensemble-cpu", "distillation.alpha=0.5", "there is no field 'distillation.alpha'"),
        ("ensemble-cpu", "how.kind=avrage", "should be 'average'"),
        ("minilm", "training.snapshots=3", "is read with schedule=cyclic alone"),
        ("minilm-from-mpnet", "distillation.temperature=0", "should be greater than 0"),
        ("linear", "training.epochs=3", "a linear model does not read it"),
    ],
)
def test_a_wrong_setting(name: str, setting: str, reason: str) -> None:
    with pytest.raises(SettingInvalid) as caught:
        changed(name, setting)
    assert reason in caught.value.message and setting in caught.value.message


def test_where_one_model_is_wanted_several_are_refused_in_words() -> None:
    with pytest.raises(PresetOfSeveral) as caught:
        presets.load("ensemble-cpu", action="--model")
    assert caught.value.message == (
        "'ensemble-cpu' is a preset of tier ensemble: --model takes a preset of one model."
    )


def test_what_a_linear_model_does_not_read_changes_no_id(tmp_path: Path) -> None:
    text = presets.text("linear")
    one = preset_shapes.load(write(tmp_path, text.replace("lr: 1e-4", "lr: 1e-3"), "linear.yaml"))
    assert graph_of(one, DATA) == graph_of(preset_shapes.load("linear"), DATA)
    weighed = text.replace("class_weights: auto", "class_weights: balanced")
    other = preset_shapes.load(write(tmp_path, weighed, "linear.yaml"))
    assert graph_of(other, DATA).place != graph_of(one, DATA).place
    found = problems(tmp_path, text.replace("class_weights: auto", "epochs: 5"))
    assert "training.epochs: a linear model does not read it" in found[0]


def test_a_small_network_learns_from_answers_alone(tmp_path: Path) -> None:
    """Its states are no model's: a teacher's hidden ones could not be compared with them."""
    taught = TAUGHT.replace("preset: minilm", "preset: textcnn")
    assert isinstance(preset_shapes.load(write(tmp_path, taught)), Distilled)
    [found] = problems(tmp_path, taught + "distillation: {hidden: 0.5}\n")
    assert "textcnn is a small network" in found
