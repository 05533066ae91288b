"""What `agnews auto` says a run will take, before it begins."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agnews_cli.core.graph.shapes import Single, graph_of
from agnews_cli.core.machine.accelerator import Accelerator
from agnews_cli.core.machine.platform import Platform
from agnews_cli.core.run.choose import Finish
from agnews_cli.core.run.cost import like_news
from agnews_cli.core.run.dataset import Dataset
from agnews_cli.host.detect import detect
from agnews_cli.store.settings import presets
from agnews_cli.workflows.forecast.costs import Ground
from agnews_cli.workflows.forecast.outlook import ahead, term

HOUR_S = 3600.0
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
T4 = Accelerator("cuda", "Tesla T4", 1, 15 << 30, (7, 5), False)
LARGE = "llama-3.2-1b-lora"  # 2 h 11 min of a T4, by the model of cost


@pytest.fixture
def words(tmp_path):
    def of(preset: str, device: Accelerator, left_s: float | None, rows: int = 120_000) -> str:
        here = replace(detect(), name="kaggle", accelerator=device)
        return said(preset, here, like_news(rows), tmp_path, left_s)

    return of


def said(preset: str, here: Platform, data: Dataset, store: Path, left_s: float | None) -> str:
    single, ground = Single(presets.load(preset)), Ground(store, cpu=here.accelerator)
    graph = graph_of(single, data)
    return " ".join(ahead(graph, single, data, here, ground=ground, left_s=left_s, now=NOW))


def test_a_run_that_fits_in_this_session(words):
    found = words("distilroberta", T4, 9 * HOUR_S)
    assert "by the model of cost; nobody measured it" in found
    assert "it fits in this session, 9 h of which are left" in found


def test_a_run_of_several_sessions_is_planned_to_its_end(words):
    found = words(LARGE, T4, 2 * HOUR_S)
    assert "2 sessions with this one, finished about Wednesday 25 Nov" in found
    assert "sessions of 12 h at most" in found
    assert "30.0 h of quota left (estimated: our sessions" in found


def test_the_last_session_s_speed_replaces_the_model(words, tmp_path):
    folder = tmp_path / graph_of(Single(presets.load(LARGE)), like_news(120_000)).place
    folder.mkdir()
    order = {"data": None, "text_columns": [], "label_column": None, "limit_train": None}
    created = {"created_at": NOW.isoformat(), "order": order | {"budget_s": None, "seed": 0}}
    (folder / "created.json").write_text(json.dumps(created))
    (folder / "environment.json").write_text(json.dumps({"accelerator": "Tesla T4"}))
    events = [
        ("progress", {"examples_per_s": 100.0, "step": 50, "total_steps": 100}),
        ("saved", {"step": 50}),
    ]
    (folder / "events.jsonl").write_text(
        "".join(
            json.dumps({"kind": k, "at": NOW.isoformat(), "elapsed_s": 1.0, "data": d}) + "\n"
            for k, d in events
        )
    )
    found = words(LARGE, T4, 9 * HOUR_S)
    assert "100 examples a second on T4 in run" in found
    assert "it fits in this session" in found


def test_evaluating_is_part_of_what_is_announced_and_must_fit_too(tmp_path):
    def of(test_rows: int, left_s: float) -> str:
        here = replace(detect(), name="kaggle", accelerator=T4)
        return said("distilroberta", here, like_news(120_000, test_rows), tmp_path, left_s)

    assert "and evaluating 7,600 takes about" in of(7_600, 9 * HOUR_S)
    assert "it fits in this session" in of(7_600, 2 * HOUR_S)
    assert "it fits in this session" not in of(30_000_000, 2 * HOUR_S)


def test_what_nobody_knows_is_not_guessed(words):
    found = words("roberta-base", replace(T4, name="NVIDIA H100"), None)
    assert found == "plan: how fast NVIDIA H100 trains roberta-base is not known before it does"


def test_without_an_end_there_is_only_the_time(words):
    assert words("minilm", Accelerator("cpu", "2 cores"), None, 1000).count("plan:") == 1


def ends(preset: str, tmp_path: Path, *, left_h: float, until_h: float) -> Finish:
    here = replace(detect(), name="kaggle", accelerator=T4)
    single, ground, data = Single(presets.load(preset)), Ground(tmp_path), like_news(120_000)
    facts = (graph_of(single, data), single, data, here)
    found = term(*facts, ground=ground, left_s=left_h * HOUR_S, until_s=until_h * HOUR_S, now=NOW)
    assert found is not None
    return found


def test_what_is_finished_by_then_has_hours_sessions_and_quota(tmp_path):
    now = ends("distilroberta", tmp_path, left_h=9, until_h=9)
    assert "in this session, finished about Wednesday 25 Nov" in now.words and not now.is_late
    later = ends(LARGE, tmp_path, left_h=2, until_h=100)
    assert "2 sessions, with 30.0 h of quota left, finished about Wednesday 25 Nov" in later.words
    assert not later.is_late
    assert ends(LARGE, tmp_path, left_h=2, until_h=2).is_late
