"""Pages that are generated are fresh."""

from __future__ import annotations

import importlib.util
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def test_exit_codes_page_is_fresh():
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = (DOCS / "exit-codes.md").read_text("utf-8")
    assert page == module.exit_codes(), "run: python docs/generate.py"
    assert page.count("\n|") > 25
