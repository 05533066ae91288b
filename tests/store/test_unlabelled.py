"""Texts without labels for a student: a file of their own, of which no label is ever read."""

from __future__ import annotations

from pathlib import Path

import pytest

from agnews_cli.core.run.cost import like_news, schedule
from agnews_cli.core.run.dataset import Reading
from agnews_cli.core.run.identity import run_id
from agnews_cli.core.run.work import Recipe, Train
from agnews_cli.errors import ColumnMissing, DataChanged, EmptyData, FileMissing, UsageError
from agnews_cli.store.data import datasets
from agnews_cli.store.data.datasets import RowCache
from agnews_cli.store.settings import presets
from agnews_cli.workflows.train import auto
from agnews_cli.workflows.train.scene import Request


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [f"text {n} of {'ab'[n % 2]},{'ab'[n % 2]}" for n in range(40)]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.csv").write_text("\n".join(["text,label", *rows]))
    (tmp_path / "data" / "test.csv").write_text("text,id\nto be answered,1\nthis too,2\n")
    return tmp_path / "data"


def more(data: Path, text: str) -> Reading:
    path = data.parent / "more.csv"
    path.write_text(text)
    return Reading(unlabelled=str(path))


def test_they_are_cleaned_like_others_and_no_label_is_read(data):
    found = datasets.find(
        str(data), more(data, "text,label\na <b>bold</b> one,c\nx &amp; y,\n,a\n")
    )
    rows = datasets.read(found, "unlabelled")
    assert (list(rows.texts), list(rows.classes)) == (["a bold one", "x & y"], [-1, -1])
    assert found.unlabelled.rows == 2 and found.labels == ("a", "b")
    assert any("have no text: 1" in note for note in found.notes)


def test_what_a_competition_wants_answered_is_never_learned_from(data):
    """It reaches no training; what is to be learned from does."""
    found = datasets.find(str(data), more(data, "text\none more\n"))
    assert found.to_predict.rows == 2 and found.unlabelled.rows == 1
    assert found.without_test.to_predict is None and found.without_test.unlabelled is not None
    assert datasets.find(str(data)).unlabelled is None


WRONG = {
    "no such file": ("", FileMissing),
    "another column": ("title\nx\n", ColumnMissing),
    "no text at all": ("id,text\n1,\n2,\n", EmptyData),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_used_is_said_at_once(data, name):
    text, error = WRONG[name]
    reading = more(data, text) if text else Reading(unlabelled=str(data / "none.csv"))
    with pytest.raises(error):
        datasets.find(str(data), reading)


def test_a_file_that_changed_is_another_one(data, tmp_path):
    cache = RowCache(tmp_path / "rows")
    reading = more(data, "text\none\ntwo\n")
    first = datasets.find(str(data), reading, cache=cache)
    more(data, "text\none\nthree\n")
    with pytest.raises(DataChanged):
        datasets.read(first, "unlabelled")
    again = datasets.find(str(data), reading, cache=cache)
    assert again.unlabelled.sha256 != first.unlabelled.sha256
    assert list(datasets.read(again, "unlabelled").texts) == ["one", "three"]


def test_they_decide_the_run_that_learns_from_them_and_no_other(data):
    preset = presets.load("minilm")
    plain, student = (Train(recipe=Recipe.of(preset), has_unlabelled=b) for b in (False, True))
    one, two = (datasets.find(str(data), more(data, f"text\n{word}\n")) for word in ("one", "two"))
    assert run_id("s", plain, one) == run_id("s", plain, two)
    assert run_id("s", student, one) != run_id("s", student, two)


def test_their_rows_are_steps_and_time(data):
    preset, news = presets.load("minilm"), like_news(9_500)
    with_more = news.model_copy(update={"unlabelled": news.train})
    work = Train(recipe=Recipe.of(preset), has_unlabelled=True)
    alone = schedule(work.model_copy(update={"has_unlabelled": False}), with_more)
    both = schedule(work, with_more)
    assert both.rows - alone.rows == pytest.approx(4 * 9_500)
    assert both.steps == pytest.approx(alone.steps * both.rows / alone.rows, rel=0.02)


@pytest.mark.parametrize("preset", ["minilm", None, "ensemble-cpu"])
def test_without_a_student_nobody_learns_from_them(data, preset):
    with pytest.raises(UsageError, match="for a student"):
        auto.prepare(Request.of(data=str(data), preset=preset, unlabelled="more.csv"))
