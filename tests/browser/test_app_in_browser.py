"""`agnews app` in a real browser: it asks others for nothing, fits a phone, and axe finds nothing.

Needs Chromium, and `npm install --prefix tests/browser`; another browser: CHROMIUM=/path/to/it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("sklearn")
if find_spec("gradio") is None:  # imported by the command alone: it takes seconds
    pytest.skip("needs gradio", allow_module_level=True)

from tests.browser.test_report_in_browser import BROWSER, HERE
from tests.end_to_end.test_app import Page
from tests.end_to_end.test_predict import make_run

pytestmark = [
    pytest.mark.train,
    pytest.mark.slow,
    pytest.mark.skipif(
        not (BROWSER.exists() and shutil.which("node") and (HERE / "node_modules").is_dir()),
        reason="needs Chromium, node and `npm install --prefix tests/browser`",
    ),
]


def test_the_page_on_phone_and_desktop(tmp_path: Path) -> None:
    make_run(tmp_path)
    (tmp_path / "news.csv").write_text("notes\nthe striker scored\nshares fell\n")
    command = [sys.executable, "-m", "agnews_cli", "app", "latest", "--store", str(tmp_path)]
    page = Page([*command, "--port", "0", "--json"], tmp_path)
    try:
        look = ["node", "look_app.js", page.url, str(tmp_path / "news.csv")]
        done = subprocess.run(look, capture_output=True, text=True, check=True, cwd=HERE)
    finally:
        page.process.terminate()
        page.process.communicate()
    seen = json.loads(done.stdout)
    assert (seen["asked"], seen["errors"]) == ([], [])
    assert [look["violations"] for look in seen["looks"]] == [[]] * 8
    assert all(look["wide"] <= look["width"] for look in seen["looks"])
    said = {look["name"]: look["said"] for look in seen["looks"]}
    assert "What the model looks at" in said["text"] and "<script>" in said["text"]
    assert "2 rows are labelled" in said["file"]
