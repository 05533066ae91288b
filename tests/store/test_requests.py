"""Request files: what is wrong is named with its line, and nothing is overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from agnews_cli.errors import CannotWrite, FileMissing, RequestInvalid
from agnews_cli.store.settings import requests


def load(folder: Path, content: str | bytes) -> dict[str, object]:
    path = folder / "asked.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return requests.load(path)


HEAD = "schema: agnews.request/1\n"


def test_one_value_may_stand_for_a_list_and_what_is_not_asked_is_not_there(tmp_path: Path) -> None:
    content = HEAD + "text_column: title\nset: [a=1, b=2]\nbudget: 45m\nfresh: false\nstore: null\n"
    assert load(tmp_path, content) == {
        "text_column": ["title"],
        "set": ["a=1", "b=2"],
        "budget": "45m",
    }


BAD = {
    "no schema": ("data: x\n", [(1, "schema: required")]),
    "another schema": ("schema: agnews.request/2\n", [(1, "'agnews.request/2'")]),
    "unknown key": (HEAD + "bugdet: 45m\n", [(2, "did you mean 'budget'?")]),
    "not a duration": (
        HEAD + "\nbudget: soon\n",
        [(3, "such as 90s, 45m, 1h30m or 2d (found 'soon'")],
    ),
    "a bare number": (
        HEAD + "budget: 45\n",
        [(2, "budget: is a number without a unit: 45m or 45s?")],
    ),
    "unknown goal": (HEAD + "goal: fame\n", [(2, "'accuracy', 'balanced' or 'speed'")]),
    "negative seed": (HEAD + "seed: -1\n", [(2, "greater than or equal to 0")]),
    "a key twice": (HEAD + "seed: 1\nseed: 2\n", [(3, "given twice, first in line 2")]),
    "an anchor": (HEAD + "data: &a x\n", [(2, "anchors are refused")]),
    "a list": ("- data\n", [(1, "keys and values")]),
    "nothing": ("", [(1, "found nothing")]),
    "not YAML": (HEAD + "data: [x\n", [(3, "not YAML")]),
    "not UTF-8": (b"schema: agnews.request/1\ndata: caf\xe9\n", [(2, "0xe9 is not UTF-8")]),
    "too large": (HEAD + "#" * 270_000, [(1, "larger than 256 KB")]),
    "several": (
        HEAD + "colour: red\nlimit_train: 0\ntrace: 1\n",
        [(2, "no such key"), (3, "greater than or equal to 1"), (4, "boolean")],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_every_problem_is_named_with_its_line(name: str, tmp_path: Path) -> None:
    content, expected = BAD[name]
    with pytest.raises(RequestInvalid) as caught:
        load(tmp_path, content)
    lines = caught.value.message.split("\n")[1:]
    assert len(lines) == len(expected), lines
    for line, (number, words) in zip(lines, expected, strict=True):
        assert line.startswith(f"  {tmp_path}/asked.yaml:{number}: ")
        assert words in line
    assert caught.value.exit_code == 78


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match=r"none\.yaml: no such file"):
        requests.load(tmp_path / "none.yaml")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "asked.yaml"
    requests.save(path, {"seed": 1})
    before = path.read_text()
    with pytest.raises(CannotWrite, match="by that name"):
        requests.save(path, {"seed": 2})
    assert path.read_text() == before
    assert requests.unused(path) == tmp_path / "asked-2.yaml"
    with pytest.raises(CannotWrite, match="no folder"):
        requests.save(tmp_path / "none" / "asked.yaml", {})


def test_the_file_says_how_to_replay_it(tmp_path: Path) -> None:
    path = tmp_path / "asked.yaml"
    requests.save(path, {"data": "news.csv", "budget": "45m"})
    comment, _, *rest = path.read_text().splitlines()
    assert comment == f"# Replay it: agnews auto --config {path}"
    assert rest == ["schema: agnews.request/1", "data: news.csv", "budget: 45m"]


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match="not Unicode"):
        requests.save(tmp_path / "asked.yaml", {"data": "caf\udce9.csv"})
    assert list(tmp_path.iterdir()) == []
