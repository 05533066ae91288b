"""One reader of a run's events: whatever is in the file, what is an event is told, in order."""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path

import pytest

from agnews_cli.store.run import events
from agnews_cli.store.run.events import Events, Tail
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.transfer import parcels

ROOT = Path(__file__).parents[2]


def line(step: int, **facts: object) -> str:
    data = {"candidate": "m", "step": step, **facts.pop("data", {})}  # type: ignore[dict-item]
    event = {"kind": "progress", "at": "2026-11-28T08:00:00+00:00", "elapsed_s": 1.0, "data": data}
    return json.dumps(event | facts, ensure_ascii=False) + "\n"


DAMAGED = {
    "torn, and closed by the next session": '{"kind":"prog\n',
    "no object": "[1]\n",
    "no JSON": "words\n",
    "another kind": line(9, kind="juggled"),
    "a field of another time": line(9, more=1),
    "text as seconds": line(9, elapsed_s="soon"),
    "no data": line(9).replace('"data"', '"date"'),
    "deep": line(9, data={"x": None}).replace("null", "[" * 9_000 + "]" * 9_000),
    "half a character": line(9, data={"x": None}).replace("null", '"\\ud800"'),
    "longer than any": line(9, data={"x": "y" * (events._LONGEST_BYTES + 9)}),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_no_event_is_passed_over_and_counted(tmp_path: Path, name: str) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(line(1) + DAMAGED[name] + line(2) + "\n")
    told = Events(path)
    assert [event.data["step"] for event in told] == [1, 2]
    assert told.damaged == 1
    assert [event.data["step"] for event in told] == [1, 2], "it may be asked again"
    assert told.damaged == 1
    assert [event.data["step"] for event in Tail(path).read()] == [1, 2]


def test_bytes_that_are_no_text_cost_their_line_alone(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(line(1).encode() + b"\xff\xfe\n" + line(2).encode())
    told = Events(path)
    assert ([event.data["step"] for event in told], told.damaged) == ([1, 2], 1)


def test_the_last_line_may_still_be_written(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(line(1) + line(2)[:-9])
    told = Events(path)
    assert ([event.data["step"] for event in told], told.damaged) == ([1], 0)


def test_of_a_long_file_the_end_is_read_from_a_whole_line_on(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("".join(line(step) for step in range(100, 200)))
    each = len(line(100))
    for most_bytes, first in ((each * 10, 190), (each * 10 + 3, 190), (each * 10 - 1, 191)):
        told = Events(path, most_bytes)
        assert [event.data["step"] for event in told] == list(range(first, 200))
        assert told.damaged == 0, "the cut is no damage"
    assert len(list(Events(path))) == 100


def test_what_is_no_plain_file_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "real").write_text(line(1))
    (tmp_path / "link").symlink_to(tmp_path / "real")
    os.mkfifo(tmp_path / "pipe")
    for name in ("none", "link", "pipe", "."):
        assert not list(Events(tmp_path / name))
        assert not list(Tail(tmp_path / name, is_new=True).read())


def test_a_line_is_ended_by_a_line_feed_alone(tmp_path: Path) -> None:
    """A text may hold what Unicode calls a line end, and JSON writes it as it is."""
    run = RunFolder(tmp_path / "r-1")
    run.path.mkdir()
    run.events.write_text(line(1, data={"text": "one\u2028two\x85three"}))
    _, content = parcels.record(run, token=1, number=1, writer="w")
    sent = json.loads(content)["files"]["events.jsonl"]
    assert json.loads(sent)["data"]["text"] == "one\u2028two\x85three"


@pytest.mark.parametrize("torn", [b"\xff\n", b""])
def test_a_record_tells_the_last_events_of_a_long_or_damaged_file(
    tmp_path: Path, torn: bytes
) -> None:
    run = RunFolder(tmp_path / "r-1")
    run.path.mkdir()
    long = "" if torn else line(1, data={"text": "x" * 400_000}) * 3
    run.events.write_bytes(long.encode() + torn + line(7).encode())
    _, content = parcels.record(run, token=1, number=1, writer="w")
    sent = json.loads(content)["files"]["events.jsonl"]
    assert json.loads(sent.splitlines()[-1])["data"]["step"] == 7


def test_events_are_read_in_one_module_alone() -> None:
    """A second reader would take what this one leaves out."""
    readers = {"read_plain", "plain", "read_text", "read_bytes", "open"}
    found = []
    for path in (ROOT / "agnews_cli").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            given = [each.attr for each in node.args if isinstance(each, ast.Attribute)]
            is_read = node.func.attr in readers and "events" in given
            if is_read:
                found.append(path.name)
    assert not found
