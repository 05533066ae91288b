"""What `agnews auto` says a run will take, before it begins."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from agnews_cli.core.machine.accelerator import Accelerator
from agnews_cli.host.detect import detect
from agnews_cli.store.settings import presets
from agnews_cli.workflows.forecast.outlook import ahead

HOUR_S = 3600.0
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
T4 = Accelerator("cuda", "Tesla T4", 1, 15 << 30, (7, 5), False)
LARGE = "llama-3.2-1b-lora"  # 2 h 11 min of a T4, by the model of cost


@pytest.fixture
def words(tmp_path):
    def of(preset: str, device: Accelerator, left_s: float | None, rows: int = 120_000) -> str:
        here = replace(detect(), name="kaggle", accelerator=device)
        run = tmp_path / f"{preset}-00000001"
        return " ".join(ahead(presets.load(preset), rows, here, run=run, left_s=left_s, now=NOW))

    return of


def test_a_run_that_fits_in_this_session(words):
    said = words("distilroberta", T4, 9 * HOUR_S)
    assert "by the model of cost; nobody measured it" in said
    assert "it fits in this session, 9 h of which are left" in said


def test_a_run_of_several_sessions_is_planned_to_its_end(words):
    said = words(LARGE, T4, 2 * HOUR_S)
    assert "2 sessions with this one, finished about Wednesday 25 Nov" in said
    assert "sessions of 12 h at most" in said
    assert "30.0 h of quota left (estimated: our sessions" in said


def test_the_last_session_s_speed_replaces_the_model(words, tmp_path):
    folder = tmp_path / f"{LARGE}-00000001"
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
    said = words(LARGE, T4, 9 * HOUR_S)
    assert "100 examples a second on T4 in run" in said
    assert "it fits in this session" in said


def test_evaluating_is_part_of_what_is_announced_and_must_fit_too(tmp_path):
    def said(predicted_rows: int, left_s: float) -> str:
        here = replace(detect(), name="kaggle", accelerator=T4)
        found = ahead(
            presets.load("distilroberta"), 120_000, here, run=tmp_path / "distilroberta-00000001",
            left_s=left_s, read_rows=120_000, predicted_rows=predicted_rows, now=NOW,
        )  # fmt: skip
        return " ".join(found)

    assert "and evaluating 7,600 takes about" in said(7_600, 9 * HOUR_S)
    assert "it fits in this session" in said(7_600, 2 * HOUR_S)
    assert "it fits in this session" not in said(30_000_000, 2 * HOUR_S)


def test_what_nobody_knows_is_not_guessed(words):
    said = words("roberta-base", replace(T4, name="NVIDIA H100"), None)
    assert said == "plan: how fast NVIDIA H100 trains roberta-base is not known before it does"


def test_without_an_end_there_is_only_the_time(words):
    assert words("minilm", Accelerator("cpu", "2 cores"), None, 1000).count("plan:") == 1
