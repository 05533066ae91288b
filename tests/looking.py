"""Orders to ask about test rows, as a command writes them."""

from __future__ import annotations

from pathlib import Path

from agnews_cli.core.run import looks
from agnews_cli.core.run.dataset import Dataset
from agnews_cli.core.run.job import TestOrder
from agnews_cli.core.run.looks import LookOrder


def look(data: Dataset, run: str = "tiny-0123456789") -> LookOrder:
    key = looks.test_key(data)
    assert key is not None and data.test is not None
    facts = {"test": key, "rows": data.test.rows, "run": run, "evaluation": f"{run}.test"}
    return LookOrder(**facts, why="a test")


def write(path: Path, data: Dataset, *, rows: Path | None = None, run: str = "tiny-0123456789"):
    """The order at `path`, whose store is the folder around it."""
    order = TestOrder(
        dataset=data,
        rows=None if rows is None else str(rows),
        look=look(data, run),
        store=str(path.parent / "store"),
    )
    path.write_text(order.model_dump_json())
    return path
