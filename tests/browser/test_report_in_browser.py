"""The report in a real browser: it asks for nothing, fits a phone, and axe finds nothing.

Needs Chromium, and `npm install --prefix tests/browser`; another browser: CHROMIUM=/path/to/it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("numpy")
pytest.importorskip("matplotlib")

from agnews_cli.workflows.report import page
from agnews_cli.workflows.report import report as workflow
from tests.workflows.test_report import FAIR, GOOD, made, tried

HERE = Path(__file__).parent
BROWSER = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (BROWSER.exists() and shutil.which("node") and (HERE / "node_modules").is_dir()),
        reason="needs Chromium, node and `npm install --prefix tests/browser`",
    ),
]


@pytest.mark.parametrize("names", [(GOOD,), (GOOD, FAIR)], ids=["one", "two"])
def test_a_report_opens_offline_on_phone_and_desktop(
    names: tuple[str, ...], tmp_path: Path
) -> None:
    for seed, name in enumerate(names):
        made(tmp_path / "agnews-runs", name, 0.9 - seed / 5, seed)
    found = workflow.report(names, tmp_path / "agnews-runs")
    path = tmp_path / "report.html"
    path.write_text(page.html_page(tried(found)), "utf-8")
    command = ["node", str(HERE / "look.js"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=HERE)
    seen = json.loads(done.stdout)
    assert (seen["asked"], seen["errors"]) == ([], [])
    assert [look["violations"] for look in seen["looks"]] == [[]] * 4
    assert all(look["wide"] <= look["width"] for look in seen["looks"])
    assert seen["words"] > 5_000 and path.stat().st_size < 3_000_000
