"""`agnews presets explain` and `copy`: what a field does, who says it, why; files of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from agnews_cli.core.graph.shapes import graph_of
from agnews_cli.core.run.cost import like_news
from agnews_cli.errors import FileThere, PresetUnknown, UsageError
from agnews_cli.store.settings import preset_shapes, presets
from agnews_cli.store.settings.comments import Comments
from agnews_cli.workflows.presets.copied import copy
from agnews_cli.workflows.presets.explained import explain

DATA = like_news(1_000, 100)

BASE = """\
# What it is.
#
# And more.

name: base
extends: minilm

# Few rows are passed
# more than once.
training:
  epochs: 5  # five are enough
  lr: 1e-3

summary: "A # that is none."  # for people
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGNEWS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_each_value_has_its_origin_and_its_reason(here: Path) -> None:
    (here / "base.yaml").write_text(BASE)
    (here / "mine.yaml").write_text(
        "name: mine\nextends: ./base.yaml\ntraining:\n  lr: 2e-3  # mine\n"
    )
    found = explain("mine.yaml")
    fields = {one.field: one for one in found.fields}
    own, base, shipped = (
        fields[f"training.{name}"] for name in ("lr", "epochs", "evaluations_per_epoch")
    )
    assert (own.value, own.said, own.where, own.why) == (2e-3, "own", "mine.yaml:4", "mine")
    assert own.meaning == "Peak learning rate."
    assert (base.value, base.said, base.why) == (5, "extended", "five are enough")
    assert base.where == "base.yaml:11"
    assert shipped.said == "extended" and "presets/minilm.yaml:" in shipped.where
    usual = fields["training.clip_norm"]
    assert (usual.said, usual.where, usual.value) == ("usual", "", 1.0)
    assert fields["summary"].why == "for people"
    assert found.about == "" and explain("base.yaml").about == "What it is.\n\nAnd more."
    assert [Path(file).name for file in found.extends] == ["base.yaml", "minilm.yaml"]


def test_a_reason_may_stand_above_or_beside(here: Path) -> None:
    comments = Comments.of(BASE)
    lines = BASE.splitlines()
    assert comments.why(lines.index("training:") + 1) == "Few rows are passed more than once."
    assert comments.why(lines.index("name: base") + 1) == ""
    folded = Comments.of("a: >\n  text # none\n  more\nb: [1, 2]  # two\nc: '#'\n")
    assert [folded.why(line) for line in (1, 2, 3, 4, 5)] == ["", "", "", "two", ""]


@pytest.mark.parametrize("name", presets.names())
def test_every_field_of_every_preset_has_a_meaning(name: str) -> None:
    found = explain(name)
    assert found.about and found.fields
    for one in found.fields:
        assert one.meaning or one.field.rpartition(".")[2] == "kind", one
        assert (one.said == "usual") == (one.where == "")


@pytest.mark.parametrize("name", presets.names())
def test_a_copy_trains_the_same_until_it_is_changed(name: str, here: Path) -> None:
    file = here / f"{name}.yaml"
    copy(name, file, force=False)
    theirs, mine = preset_shapes.load(name), preset_shapes.load(str(file))
    assert mine.name == name in mine.summary
    assert graph_of(mine, DATA) == graph_of(theirs, DATA)
    text = file.read_text()
    said = text.rpartition("there.\n" if "whole list" in text else "presets.md).\n")[2]
    file.write_text(text + "".join(f"{line.removeprefix('# ')}\n" for line in said.splitlines()))
    again = preset_shapes.load(str(file))
    assert graph_of(again, DATA) == graph_of(theirs, DATA), "it proposes the values that hold"


def test_a_copy_is_changed_by_taking_away_a_sign(here: Path) -> None:
    copy("minilm", Path("Mine too.yaml"), force=False)
    path = here / "Mine too.yaml"
    text = path.read_text()
    path.write_text(
        text.replace("# training:", "training:").replace("#   epochs: 4.0", "  epochs: 2")
    )
    mine = presets.load(str(path))
    assert (mine.name, mine.training.epochs, mine.training.lr) == ("mine-too", 2, 1.5e-4)


def test_a_copy_of_a_copy_names_its_file_from_where_it_lies(here: Path) -> None:
    copy("minilm", Path("one.yaml"), force=False)
    (here / "far").mkdir()
    copy("one.yaml", Path("far/two.yaml"), force=False)
    assert presets.load("far/two.yaml").model == presets.load("minilm").model
    assert "extends: ../one.yaml" in (here / "far" / "two.yaml").read_text()


def test_what_is_refused(here: Path) -> None:
    copy("minilm", Path("mine.yaml"), force=False)
    with pytest.raises(FileThere):
        copy("minilm", Path("mine.yaml"), force=False)
    copy("mpnet", Path("mine.yaml"), force=True)
    assert presets.load("mine.yaml").model == presets.load("mpnet").model
    with pytest.raises(UsageError) as caught:
        copy("minilm", Path("mine.txt"), force=False)
    assert caught.value.advice == "agnews presets copy minilm mine.yaml"
    with pytest.raises(PresetUnknown):
        copy("minlm", Path("new.yaml"), force=False)
    assert not (here / "new.yaml").exists()
