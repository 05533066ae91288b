"""Presets that extend others say what is different, and mean what a whole file would mean."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agnews_cli.core.graph.asked import AnyPreset, Ensemble, Single, singles
from agnews_cli.core.graph.shapes import graph_of
from agnews_cli.core.run.cost import like_news
from agnews_cli.core.run.method import Full, Lora
from agnews_cli.errors import PresetInvalid
from agnews_cli.store.settings import preset_shapes, presets, strict_yaml
from agnews_cli.store.settings.extended import MOST_ABOVE, _merged

DATA = like_news(1_000, 100)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGNEWS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def write(folder: Path, content: str, name: str = "mine.yaml") -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content, "utf-8")
    return str(folder / name)


def problems(path: str) -> list[str]:
    with pytest.raises(PresetInvalid) as caught:
        preset_shapes.load(path)
    return [line.strip() for line in caught.value.message.split("\n")[1:]]


def ids(shape: AnyPreset) -> tuple[str, ...]:
    return tuple(graph_of(shape, DATA).nodes)


@pytest.mark.parametrize("name", presets.names())
def test_what_extends_a_preset_and_says_no_more_is_the_same_run(name: str, tmp_path: Path) -> None:
    shape = preset_shapes.load(name)
    mine = preset_shapes.load(write(tmp_path, f"name: {name}\nextends: {name}\n"))
    assert ids(mine) == ids(shape) and mine == shape


def test_what_is_said_again_changes_no_id_and_what_is_different_does(tmp_path: Path) -> None:
    minilm = preset_shapes.load("minilm")
    again = (
        "name: minilm\nextends: minilm\ntraining: {lr: 1.5e-4, epochs: 4.0}\nmethod: {kind: full}"
    )
    assert ids(preset_shapes.load(write(tmp_path, again))) == ids(minilm)
    other = preset_shapes.load(write(tmp_path, again.replace("4.0", "3")))
    assert ids(other) != ids(minilm)
    set_ = preset_shapes.with_settings(minilm, ["training.epochs=3", "training.least_steps=60"])
    assert ids(other) == ids(set_), "as --set would have it"


def test_groups_are_laid_over_each_other_field_by_field(tmp_path: Path) -> None:
    write(tmp_path, "name: one\nextends: minilm-lora\nmethod: {rank: 4}\n", "one.yaml")
    mine = presets.load(
        write(tmp_path, "name: mine\nextends: ./one.yaml\ntraining: {lr: 1e-3}\ntier: platform\n")
    )
    lora = presets.load("minilm-lora")
    assert isinstance(mine.method, Lora) and isinstance(lora.method, Lora)
    assert mine.method == lora.method.model_copy(update={"rank": 4})
    assert mine.training == lora.training.model_copy(update={"lr": 1e-3})
    assert (mine.model, mine.tier) == (lora.model, "platform")


def test_another_kind_and_another_model_take_nothing_from_those_in_their_place(
    tmp_path: Path,
) -> None:
    """A revision or an embedding package belongs to one model, a rank to one method."""
    text = "name: mine\nextends: minilm-lora\nmethod: {kind: full}\n"
    assert presets.load(write(tmp_path, text)).method == Full()
    text = "name: mine\nextends: minilm\nmodel: {id: a/b, parameters: 7, licence: mit}\n"
    assert presets.load(write(tmp_path, text)).model.embedded is None
    path = write(tmp_path, "name: mine\nextends: minilm\n\nmodel:\n  id: a/b\n")
    assert problems(path) == [
        f"{path}:4: model.licence: required (found nothing)",
        f"{path}:4: model.parameters: required (found nothing)",
    ]
    text = "name: mine\nextends: minilm\nmodel: {revision: abc}\n"
    assert presets.load(write(tmp_path, text)).model.embedded is not None


def test_an_ensemble_may_be_extended_and_its_members_too(tmp_path: Path) -> None:
    text = "name: mine\nextends: ensemble-cpu\nhow: {kind: vote}\nfolds: 3\n"
    mine = preset_shapes.load(write(tmp_path, text))
    assert isinstance(mine, Ensemble) and (mine.how.kind, mine.folds) == ("vote", 3)
    assert len(mine.members) == 4
    write(tmp_path, "name: small\nextends: minilm\ntraining: {epochs: 1}\n", "small.yaml")
    two = "name: two\nextends: ensemble-cpu\nmembers: [{preset: ./small.yaml}, {preset: linear}]\n"
    shape = preset_shapes.load(write(tmp_path, two, "two.yaml"))
    assert singles(shape)[0].preset.training.epochs == 1
    elsewhere = "name: two\nextends: ../two.yaml\n"
    assert ids(preset_shapes.load(write(tmp_path / "far", elsewhere))) == ids(shape), (
        "a relative path begins where it is written"
    )


@pytest.mark.parametrize("tier", ["ensemble", "distilled"])
def test_a_platforms_preset_may_be_one_of_several_models(tier: str, tmp_path: Path) -> None:
    of = "ensemble-cpu" if tier == "ensemble" else "minilm-from-mpnet"
    text = f"name: {of}\nextends: {of}\ntier: platform\nsummary: s\n"
    mine, whole = preset_shapes.load(write(tmp_path, text)), preset_shapes.load(of)
    assert (mine.tier, whole.tier) == ("platform", tier) and ids(mine) == ids(whole)
    again = preset_shapes.load(write(tmp_path, preset_shapes.resolved_text(mine), "again.yaml"))
    assert again == mine


def test_it_is_chosen_by_name_alone(own_home: Path) -> None:
    """What is for a platform names a preset that is in the choice already."""
    write(own_home / "presets", "name: mine\nextends: minilm\ntier: platform\n")
    write(own_home / "presets", "name: other\nextends: minilm\n", "other.yaml")
    found = {preset.name for preset in presets.load_all()}
    assert "other" in found and "mine" not in found


MEASURED = (
    "measured:\n  - {dataset: d, train_rows: 5, test_rows: 4, accuracy: 0.5, machine: m,"
    " as_of: 2026-01-01, commit: 2d2f516}\n"
)


def test_an_accuracy_is_of_the_settings_that_it_was_measured_with(tmp_path: Path) -> None:
    write(tmp_path, f"name: one\nextends: minilm\n{MEASURED}", "one.yaml")
    same = "name: mine\nextends: ./one.yaml\nsummary: For me.\ntier: platform\n"
    assert presets.load(write(tmp_path, same)).measured[0].accuracy == 0.5
    other = presets.load(write(tmp_path, same + "training: {epochs: 2}\n"))
    assert other.measured == ()


# ---- what is refused, and where -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: mine\n\nextends: minlm\n", "3: extends: there is no preset 'minlm' (did you mean"),
        ("name: mine\nextends: ./gone.yaml", "2: extends: there is no file './gone.yaml' beside"),
        ("name: mine\nextends: ./mine.yaml", "2: extends: leads back to itself: mine → mine"),
        ("name: mine\nextends:\n", "2: extends: should be a preset's name or file (found nothing)"),
        ("name: mine\nextends: [minilm]\n", "2: extends: should be a preset's name or file"),
        ("extends: minilm\n", "1: name: required (found nothing)"),
        ("name: mine\nextends: minilm\ntraining:\n  lrr: 1\n", "4: training.lrr: there is no such"),
        ("name: mine\nextends: minilm\nmethod: {kind: full, rank: 8}\n", "3: method.rank: method."),
        ("name: mine\nextends: minilm\ntraining: 7\n", "3: training: should be an object"),
        ("name: mine\nextends: minilm\nmembers: []\n", "3: members: there is no such field"),
        ("name: mine\nextends: linear\ntraining: {epochs: 2}\n", "3: training.epochs: a linear"),
        ("name: mine\nextends: minilm\ntraining: {fgm: 1, pgd: 1}", "3: training.pgd: not beside"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, expected: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    found = problems(path)
    assert len(found) == 1 and found[0].startswith(f"{path}:{expected}"), found


def test_a_way_that_leads_back_is_named_whole(tmp_path: Path) -> None:
    for name, other in (("one", "two"), ("two", "three"), ("three", "one")):
        write(tmp_path, f"name: {name}\nextends: ./{other}.yaml\n", f"{name}.yaml")
    [found] = problems(str(tmp_path / "one.yaml"))
    assert found == (
        f"{tmp_path}/three.yaml:2: extends: leads back to itself: one → two → three → one"
    )
    members = "tier: ensemble\nsummary: s\norder: 1\nmembers: [{preset: ./inner.yaml}]\n"
    write(tmp_path, f"name: outer\n{members}", "outer.yaml")
    path = write(tmp_path, "name: inner\nextends: ./outer.yaml\n", "inner.yaml")
    assert "members.0.preset: leads back to itself: inner → inner" in problems(path)[0]


def test_a_chain_has_an_end(tmp_path: Path) -> None:
    above = "minilm"
    for number in range(MOST_ABOVE + 1):
        path = write(tmp_path, f"name: p{number}\nextends: {above}\n", f"p{number}.yaml")
        above = f"./p{number}.yaml"
        if number < MOST_ABOVE:
            assert isinstance(preset_shapes.load(path), Single)
    [found] = problems(path)
    assert found == f"{tmp_path}/p0.yaml:2: extends: more than 8 presets extend each other"


def test_a_mistake_in_what_is_extended_is_told_by_that_file(tmp_path: Path) -> None:
    base = write(tmp_path, "name: base\nextends: minilm\ntraining: {lr: 5}\n", "base.yaml")
    path = write(tmp_path, "name: mine\nextends: ./base.yaml\ntraining: {epochs: 2}\n")
    assert problems(path) == [f"{base}:3: training.lr: should be less than 1 (found 5)"]
    write(tmp_path, "name: base\nextends: [", "base.yaml")
    with pytest.raises(PresetInvalid) as caught:
        preset_shapes.load(path)
    assert caught.value.message.startswith(f"{base} is not a valid preset")


values = st.recursive(
    st.integers() | st.text(max_size=3) | st.none() | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from(["a", "b", "kind"]), inner, max_size=3),
    max_leaves=8,
)
mappings = st.dictionaries(st.sampled_from(["a", "b", "c"]), values, max_size=3)


@given(mappings, mappings)
@settings(deadline=None)
def test_what_is_laid_over_wins_wherever_it_speaks(below: dict, above: dict) -> None:  # type: ignore[type-arg]
    kept = strict_yaml.dump(below)
    found = _merged(below, above, (), set())
    assert _says(found, above) and found.keys() == below.keys() | above.keys()
    assert all(found[key] == below[key] for key in below.keys() - above.keys())
    assert _merged(below, {}, (), set()) == below and _merged({}, above, (), set()) == above
    assert _merged(below, below, (), set()) == below
    assert strict_yaml.dump(below) == kept, "neither is changed"


def _says(found: object, above: object) -> bool:
    if not isinstance(above, dict) or not isinstance(found, dict):
        return found == above
    return all(key in found and _says(found[key], value) for key, value in above.items())
