"""`agnews plan` as a user meets it: the table, the picture, JSON, wrong input, planning again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agnews_cli.core.graph.shapes import Single, graph_of
from agnews_cli.core.run.cost import like_news
from agnews_cli.core.run.job import TrainJob
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.settings import presets
from agnews_cli.workflows.forecast import costs

LARGE = ("plan", "--preset", "llama-3.2-1b-lora", "--set", "training.epochs=3", "--ensemble", "5")
HEAVY = {"torch", "numpy", "pandas", "transformers", "sklearn", "ortools", "scipy"}

OFFERS = """\
offers:
  lab:
    - name: lab
      kind: T4
      session_hours: 4
      startup_minutes: 3
      quota: {hours: 10, period_days: 7, left_hours: 2}
      source: our lab's rules
      as_of: 2026-11-01
"""


def test_five_models_on_colab_free_in_a_few_sessions(agnews):
    done = agnews(*LARGE)
    assert done.code == 0, done.err
    assert "6 sessions (4 on colab-free, 2 on here)" in done.out
    assert "member 1" in done.out and "combine" in done.out
    for reason in ("not measured yet but modelled", "sessions of 12 h at most", "proven"):
        assert reason in done.out
    assert "colab-free+kaggle: finished" in done.out, "what would make it faster"
    assert "\x1b" not in done.out + done.err
    picture = [line for line in done.out.splitlines() if line.startswith("  colab-free")]
    assert len(picture) == 1 and set("ACEGI") <= set(picture[0])


def test_the_object_says_the_same(agnews):
    done = agnews(*LARGE, "--on", "kaggle", "--left", "kaggle=6h", "--reserve", "1h", "--json")
    found = done.json
    assert found["schema"] == "agnews.plan/1"
    assert found["cost"] == "modelled"
    assert found["lower_bound_s"] <= found["finish_s"]
    steps = {job["name"]: job["steps"] for job in found["jobs"]}
    planned: dict[str, int] = {}
    for session in found["sessions"]:
        assert session["ends_s"] - session["begins_s"] <= 12 * 3600 + 1
        for part in session["parts"]:
            planned[part["job"]] = planned.get(part["job"], 0) + part["steps"]
    assert planned == steps
    assert found["used_s"]["kaggle"] > 0
    assert any("6.0 h of quota left (as given)" in reason for reason in found["reasons"])
    assert any("1 h of it kept in reserve" in reason for reason in found["reasons"])


def test_what_if_names_each_alternative(agnews):
    done = agnews(*LARGE, "--what-if", "kaggle+colab-free", "--what-if", "lightning")
    assert "kaggle+colab-free: finished" in done.out
    assert "lightning: finished" in done.out
    assert "earlier" in done.out


def test_other_graphs(agnews):
    stacked = agnews("plan", "--folds", "4", "--on", "kaggle").out
    assert "fold 4" in stacked and "stack" in stacked and "card 1" in stacked
    distilled = agnews("plan", "--preset", "qwen3-0.6b-lora", "--student", "minilm").out
    assert distilled.index("teacher") < distilled.index("student")
    assert "qwen3-0.6b-lora has 26.3 times the weights of minilm" in distilled


def test_own_offers(agnews, tmp_path):
    (tmp_path / "lab.yaml").write_text(OFFERS)
    done = agnews(*LARGE, "--resources", "lab.yaml", "--on", "lab")
    assert done.code == 78, "a combining job needs a CPU, and this file has none"
    assert "'combine'" in done.err and "cpu" in done.err
    alone = agnews(*LARGE[:5], "--resources", "lab.yaml", "--on", "lab", "--json")
    assert alone.code == 0, alone.err
    assert len(alone.json["sessions"]) >= 2
    assert "our lab's rules" in " ".join(alone.json["reasons"])


def test_what_is_left_is_what_the_ledger_counted(agnews, own_home):
    reasons = " ".join(agnews(*LARGE, "--on", "kaggle", "--json").json["reasons"])
    assert "30.0 h of quota left (estimated: our sessions; 30 h by quota API answer" in reasons
    assert not (own_home / "data").exists(), "planning writes nothing"
    assert agnews("quota", "log", "kaggle", "gpu", "12h").code == 0
    assert agnews("quota", "set", "kaggle", "gpu", "--reserve", "5h").code == 0
    reasons = " ".join(agnews(*LARGE, "--on", "kaggle", "--json").json["reasons"])
    assert "18.0 h of quota left (estimated" in reasons
    assert "5 h of it kept in reserve" in reasons
    given = agnews(*LARGE, "--on", "kaggle", "--left", "kaggle=6h", "--json").json["reasons"]
    assert "6.0 h of quota left (as given)" in " ".join(given)


def test_a_limit_that_the_user_changed_is_planned_with(agnews, own_home):
    tier = agnews(*LARGE, "--on", "colab-pro-plus", "--json").json
    assert "sessions of 24 h at most" in " ".join(tier["reasons"])
    folder = own_home / "data" / "presets" / "platforms"
    folder.mkdir(parents=True)
    figure = "{value: 3, source: my own clock, as_of: 2026-11-25, confidence: high}"
    (folder / "colab.yaml").write_text(f"resources:\n  gpu:\n    session_hours: {figure}\n")
    mine = agnews(*LARGE, "--on", "colab", "--json").json
    assert "sessions of 3 h at most (my own clock" in " ".join(mine["reasons"])
    assert len(mine["sessions"]) > len(tier["sessions"])


def test_hours_that_come_back_a_day_later_are_planned_with(agnews):
    found = agnews(*LARGE, "--on", "studio-lab", "--json").json
    begins_s = [s["begins_s"] for s in found["sessions"] if s["resource"] == "studio-lab"]
    assert len(begins_s) > 1, "4 hours a day: more than one day is needed"
    assert found["finish_s"] < 30 * 86_400


BAD = {
    "unknown offer": (["--on", "kagle"], 78, "did you mean 'kaggle'"),
    "unknown what-if": (["--what-if", "kaggle+colabb"], 78, "did you mean 'colab'"),
    "no duration": (["--left", "kaggle=soon"], 2, "'kaggle=soon' is not a duration"),
    "no reserve": (["--reserve", "much"], 2, "'much' is not a duration"),
    "one member": (["--ensemble", "1"], 2, "ensemble"),
    "unknown preset": (["--preset", "minilmm"], 78, "did you mean 'minilm'"),
    "missing file": (["--resources", "none.yaml"], 66, "none.yaml"),
    "unknown key": (["--resources", "key.yaml"], 78, "offers.lab.0.colour"),
    "negative": (["--resources", "negative.yaml"], 78, "session_hours"),
    "not yaml": (["--resources", "broken.yaml"], 78, "broken.yaml"),
    "twice": (["--resources", "twice.yaml"], 78, "offers.lab.0.kind: given twice, first in line 4"),
    "alias": (["--resources", "alias.yaml"], 78, "anchors are refused"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_clear_error(name, agnews, tmp_path):
    (tmp_path / "key.yaml").write_text(OFFERS + "      colour: red\n")
    (tmp_path / "negative.yaml").write_text(OFFERS.replace("hours: 4", "hours: -4"))
    (tmp_path / "broken.yaml").write_text("offers: [")
    (tmp_path / "twice.yaml").write_text(OFFERS + "      kind: cpu\n")
    (tmp_path / "alias.yaml").write_text("offers: &a {}\ndevices: *a\n")
    arguments, code, fragment = BAD[name]
    done = agnews("plan", *arguments)
    assert done.code == code, done.err
    assert fragment in " ".join(done.err.split()), done.err
    assert "Traceback" not in done.err + done.out


def write_run(
    store: Path, seed: int, events: list[dict], state: str | None = None, data: str | None = None
) -> None:
    """A run of AG News as `auto` found it, or of what is named; as a member is trained."""
    preset = presets.with_settings(
        presets.load("llama-3.2-1b-lora"), ["training.epochs=3", "training.yardstick=false"]
    )
    found = like_news(120_000 if data is None else 700, 7_600)
    graph = graph_of(Single(preset), found, seed)
    folder = store / graph.place
    folder.mkdir(parents=True)
    job = TrainJob(
        run=graph.place, folder=str(folder), cache="", preset=preset, model_path="m", dataset=found,
        seed=seed, started_monotonic_s=0.0,
    )  # fmt: skip
    (folder / "job.json").write_text(job.model_dump_json())
    stamp = f"2026-11-2{seed}T10:00:00+00:00"
    order = {"data": data, "text_columns": [], "label_column": None, "limit_train": None}
    created = {"created_at": stamp, "order": order | {"budget_s": None, "seed": seed}}
    (folder / "created.json").write_text(json.dumps(created))
    lines = [json.dumps({"at": stamp, "elapsed_s": 1.0, **event}) for event in events]
    (folder / "events.jsonl").write_text("\n".join([*lines, '{"torn']))
    (folder / "environment.json").write_text(
        json.dumps({"device": "cuda", "accelerator": "Tesla T4"})
    )
    if state:
        done = {"state": state, "done": tuple(graph.nodes)}
        (folder / "outcome.json").write_text(json.dumps(done))


def test_planned_again_with_what_runs_have_measured_and_done(agnews, tmp_path):
    first = agnews(*LARGE, "--json").json
    started = {"kind": "started", "data": {"pid": 1, "world": 1}}
    progress = {"kind": "progress", "data": {"examples_per_s": 40.0, "step": 9, "total_steps": 100}}
    saved = {"kind": "saved", "data": {"step": 50}}
    store = tmp_path / "agnews-runs"
    write_run(store, 0, [started, progress], state="completed")
    write_run(store, 1, [started, progress, saved])
    again = agnews(*LARGE, "--json").json
    assert again["cost"] == "measured"
    assert any("40 examples a second on T4" in reason for reason in again["reasons"])
    before = {job["name"]: job["steps"] for job in first["jobs"]}
    after = {job["name"]: job["steps"] for job in again["jobs"]}
    assert "member 1" not in after, "it is finished"
    assert after["member 2"] == pytest.approx(before["member 2"] / 2, abs=1)
    assert after["member 3"] == before["member 3"]
    assert again["jobs"][0]["step_s"]["T4"] == pytest.approx(32 / 40, rel=0.01)


def test_what_is_saved_of_one_fold_is_not_taken_for_the_whole_run(agnews, tmp_path):
    """Seen: 42 of the first of four trainings' 60 steps were planned as 70% of the run."""
    run = RunFolder(tmp_path / "minilm-1")
    run.path.mkdir()
    at = {"at": "now", "elapsed_s": 1.0}
    told = {"candidate": "minilm-fold2", "step": 30, "total_steps": 60, "examples_per_s": 9.0}
    saved = {"candidate": "minilm-fold2", "step": 30, "cost_s": 3.5}
    events = [{"kind": "started", "data": {}}, {"kind": "progress", "data": told}]
    lines = [json.dumps(at | one) for one in (*events, {"kind": "saved", "data": saved})]
    run.events.write_text("\n".join(lines) + "\n")
    found = costs._told(run)
    assert found.share_of((200, 200, 200, 300)) == pytest.approx((200 + 100) / 900)
    assert found.share_of((200,)) == 0.5, "one fold that is a run of its own"
    assert (found.load_s, found.save_s) == (5.0, 3.5)


def test_a_finished_run_on_other_data_is_not_what_is_planned(agnews, tmp_path):
    """The plan said that nothing was left to do."""
    started = {"kind": "started", "data": {"pid": 1, "world": 1}}
    write_run(tmp_path / "agnews-runs", 0, [started], state="completed", data="reviews.csv")
    plan = ("plan", "--preset", "llama-3.2-1b-lora", "--set", "training.epochs=3")
    plan += ("--set", "training.yardstick=false")
    assert agnews(*plan, "--on", "kaggle", "--json").json["sessions"]
    write_run(tmp_path / "agnews-runs", 0, [started], state="completed")
    assert not agnews(*plan, "--on", "kaggle", "--json").json["sessions"]


def test_simulated_lives(agnews):
    done = agnews(*LARGE, "--simulate", "3", "--lifetime", "3h")
    assert done.code == 0, done.err
    for word in (
        "agnews: learned rate, Daly, last save",
        "every 2 h",
        "knows every death",
        "goodput",
    ):
        assert word in done.out
    rows = agnews(*LARGE, "--simulate", "2", "--json").json["simulation"]["policies"]
    assert all(0 < row["goodput"] < 1 for row in rows)


def test_it_loads_nothing_heavy(tmp_path):
    code = (
        "import sys\n"
        "from agnews_cli.cli.main import main\n"
        f"try: main({list(LARGE)!r})\n"
        "except SystemExit as e: assert not e.code, e.code\n"
        "print(sorted({m.split('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    loaded = set(eval(done.stdout.splitlines()[-1]))
    assert "agnews_cli" in loaded
    assert not loaded & HEAVY


def test_the_graph_of_a_preset_of_several_models_is_planned(agnews, tmp_path):
    done = agnews("plan", "--preset", "minilm-from-ensemble", "--rows", "9000", "--on", "here")
    assert done.code == 0, done.err
    for said in ("member 4", "teacher's predictions", "student", "as asked: 4 x minilm, linear"):
        assert said in " ".join(done.out.split())
    assert "it is fitted on the CPU" in done.out and "planned only" not in done.out
    refused = agnews("plan", "--preset", "ensemble-cpu", "--ensemble", "3")
    assert "tier ensemble: --ensemble takes a preset of one model" in refused.err
    members = "".join(f"  - {{preset: minilm, seed: {n}}}\n" for n in range(98))
    (tmp_path / "big.yaml").write_text(
        f"name: big\ntier: ensemble\nsummary: s\norder: 1\nmembers:\n{members}"
    )
    began = time.monotonic()
    found = agnews(
        "plan", "--preset", "big.yaml", "--rows", "9000", "--on", "kaggle", "--json"
    ).json
    assert len(found["jobs"]) == 99, "no test rows, so nothing is evaluated"
    assert time.monotonic() - began < 10, "a second where nobody else computes"
