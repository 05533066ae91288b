"""Pages that are generated are fresh."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

from agnews_cli.core.run import recipes
from agnews_cli.core.run.request import every
from agnews_cli.core.run.state import TRANSITIONS, RunState

DOCS = Path(__file__).parents[1] / "docs"


def test_generated_pages_are_fresh():
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, page in module.PAGES.items():
        assert (DOCS / name).read_text("utf-8") == page(), "run: python docs/generate.py"
    assert module.exit_codes().count("\n|") > 25
    drawn = re.findall(r"^    (\w+) --> (\w+): ", module.states(), re.MULTILINE)
    assert drawn == [(old, new) for old, after in TRANSITIONS.items() for new in after]
    assert all(f"| `{one}` |" in module.states() for one in RunState)


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
    embedding = recipes.average([("embedding", "embedding", 1.0)], base="owner/name")
    assert ast.dump(blocks[-1].body[0]) in ast.dump(ast.parse(embedding))
