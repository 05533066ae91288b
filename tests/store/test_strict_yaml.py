"""One strict reader for every YAML: what it refuses is refused at every door, with its place."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agnews_cli.errors import AgnewsError
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.settings import limits, offers, presets, requests, store_settings, strict_yaml
from agnews_cli.workflows.forecast.costs import MeasuredCosts

ROOT = Path(__file__).parents[2]

DOORS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "preset": ("mine.yaml", lambda path: presets.load(str(path))),
    "limits": ("presets/platforms/lab.yaml", lambda _: limits.load("lab")),
    "common limits": (
        "presets/platforms/lab.yaml",
        lambda _: [limits.load(name) for name in limits.common()],
    ),
    "offers": ("lab.yaml", offers.load),
    "request": ("asked.yaml", requests.load),
    "stores": ("stores.yaml", lambda _: store_settings.load()),
}
"""Where each lies in the home, and who reads it."""

WRONG: dict[str, tuple[bytes, int, str]] = {
    "too large": (b"is_common: true\n" + b"#\n" * strict_yaml.SIZE_CAP_BYTES, 1, "larger than 256"),
    "no UTF-8": (b"is_common: true\nname: caf\xe9\n", 2, "byte 0xe9 is not UTF-8"),
    "an alias": (b"is_common: true\na: &a [x]\nb: *a\n", 2, "anchors are refused"),
    "a tag": (b"is_common: true\na: !!python/name:os.system x\n", 2, "tags are refused"),
    "a second document": (b"is_common: true\n---\na: 1\n", 2, "a second document"),
    "deep": (b"is_common: true\na: " + b"[" * 99 + b"]" * 99 + b"\n", 2, "nested deeper"),
    "no YAML": (b"is_common: true\na: [1\n", 3, "not YAML"),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("door", DOORS)
def test_what_is_refused_is_refused_at_every_door(own_home: Path, door: str, wrong: str) -> None:
    place, load = DOORS[door]
    content, line, reason = WRONG[wrong]
    path = own_home / "data" / place
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(AgnewsError) as caught:
        load(path)
    said = caught.value.message
    assert str(path) in said and reason in said
    assert f":{line}:" in said or f"line {line}:" in said
    assert caught.value.exit_code == 78 and caught.value.advice


@pytest.mark.parametrize("door", [name for name in DOORS if name != "common limits"])
def test_a_key_that_is_given_twice_is_refused_at_every_door(own_home: Path, door: str) -> None:
    place, load = DOORS[door]
    path = own_home / "data" / place
    path.parent.mkdir(parents=True)
    path.write_text("stores: [a]\nstores: [b]\n")
    with pytest.raises(AgnewsError, match="given twice, first in line 1"):
        load(path)


def test_a_run_of_another_model_is_not_counted_however_its_preset_is_laid_out(
    tmp_path: Path,
) -> None:
    preset = presets.load("minilm")
    run = RunFolder(tmp_path / "minilm-1")
    run.path.mkdir()
    run.preset.write_text("model: {id: somebody/else}\n")
    (run.path / "created.json").write_text(f'{{"created_at": "{datetime.now(UTC).isoformat()}"}}')
    event = {"kind": "progress", "at": "now", "elapsed_s": 1.0}
    event["data"] = {"examples_per_s": 25.0, "total_steps": 8}
    run.events.write_text(json.dumps(event) + "\n")
    assert MeasuredCosts.read(tmp_path, preset).examples_per_s == {}
    run.preset.write_text(presets.text("minilm"))
    assert MeasuredCosts.read(tmp_path, preset).examples_per_s == {"cpu": 25.0}


def test_yaml_is_parsed_in_one_module_alone() -> None:
    """Whoever writes may use PyYAML's writers; another reader would take what ours refuses."""
    found = {
        path.name
        for path in (ROOT / "agnews_cli").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if _parses(node)
    }
    assert found == {"strict_yaml.py"}


def _parses(node: Any) -> bool:
    if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "yaml":
        return True
    is_of_yaml = isinstance(node, ast.Attribute) and ast.unparse(node.value).split(".")[0] == "yaml"
    readers = ("load", "safe_load", "full_load", "unsafe_load", "parse", "compose", "scan")
    return is_of_yaml and node.attr.removesuffix("_all") in readers
