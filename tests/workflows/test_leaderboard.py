"""`agnews runs --leaderboard`: the best first, on the same rows, tested against it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
pytest.importorskip("scipy")

from agnews_cli.core.run.latency import Latency  # noqa: E402
from agnews_cli.store.hours.ledger import Ledger  # noqa: E402
from agnews_cli.store.run import runs  # noqa: E402
from agnews_cli.workflows.runs.leaderboard import leaderboard  # noqa: E402
from tests import finished_runs as finished  # noqa: E402

TEST = finished.texts("test", 200)
GOOD, FAIR, POOR = "good-0123456789", "fair-0123456789", "poor-0123456789"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    place, data = tmp_path / "agnews-runs", finished.data(tmp_path / "d", rows=200)
    for seed, (name, right) in enumerate({POOR: 0.6, GOOD: 0.9, FAIR: 0.88}.items()):
        finished.make(place, name, test=finished.said(seed, TEST, right), of=data)
    other = finished.data(tmp_path / "other", rows=30)
    alone = finished.said(9, finished.texts("test", 30), 0.5)
    finished.make(place, "alone-0123456789", test=alone, of=other)
    finished.make(place, "unasked-0123456789", of=data)
    finished.make(place, "unfinished-0123456789", test=alone, of=data, state="")
    return place


def test_the_best_comes_first_with_how_surely_others_are_worse(store: Path, agnews: Any):
    folder = runs.find(store, GOOD)
    took = Latency(one_text_s=0.004, rows_per_s=500, texts=30, machine="here")
    folder.latency.write_text(took.model_dump_json())
    finished.delivered(folder)
    with Ledger() as ledger:
        now = datetime.now(UTC)
        ledger.record_run(GOOD, preset="p", dataset="d", seed=1, folder=str(folder.path), now=now)
        session = ledger.open_session(GOOD, platform="x", accelerator="", resource="cpu", now=now)
        ledger.close_session(session, "finished", now, held_s=1800)
    found = agnews("runs", "--leaderboard", "--json").json
    assert found["schema"] == "agnews.leaderboard/1"
    whole, single = found["boards"]
    assert [line["run"] for line in whole["runs"]] == [GOOD, FAIR, POOR]
    assert [line["accuracy"]["value"] for line in whole["runs"]] == [0.9, 0.88, 0.6]
    best, fair, poor = whole["runs"]
    assert best["p"] is None and poor["p_holm"] < 0.001 < 0.2 < fair["p_holm"]
    assert poor["p"] < poor["p_holm"]  # two tests, and the smaller p counts twice
    assert best["train_s"] == 1800 and best["latency"]["rows_per_s"] == 500 and best["size_bytes"]
    # The one that is not finished was asked all the same.
    assert (whole["looks"], sorted(line["look"] for line in whole["runs"])) == (4, [1, 2, 3])
    assert whole["best_of"]["low"] < best["accuracy"]["low"]
    assert [line["run"] for line in single["runs"]] == ["alone-0123456789"]
    assert single["best_of"] is None
    shown = agnews("runs", "--leaderboard").out
    assert "30 min" in shown and "4.0 ms" in shown and "<0.001" in shown
    assert "As the best of 4" in shown
    assert all(len(line) <= 100 for line in shown.splitlines() if line.startswith("fair"))


def test_what_a_run_said_that_is_damaged_costs_the_tests_and_not_the_list(store: Path):
    path = store / FAIR / "predictions" / "test.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    board = leaderboard(store).boards[0]
    assert len(board.lines) == 3 and board.problem and all(line.p is None for line in board.lines)


def test_where_nothing_was_asked_about_test_rows_the_next_command_is_said(tmp_path, agnews):
    done = agnews("runs", "--leaderboard")
    assert done.code == 0 and "agnews auto" in done.out
