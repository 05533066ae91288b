"""`agnews auto` whole: real rows, real weights, a real `accelerate launch`."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.train
pytest.importorskip("torch")

QUICK = (
    "--preset", "minilm", "--limit-train", "64", "--set", "training.epochs=1",
    "--set", "training.yardstick=false", "--set", "data.cross_validated_below=0",
)  # fmt: skip


def events(folder: str) -> list[dict]:
    return [json.loads(line) for line in Path(folder, "events.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One small run on the built-in sample, shared by the tests that only look at it."""
    work = tmp_path_factory.mktemp("work")
    env = os.environ | {
        "AGNEWS_HOME": str(work / "home"),
        "AGNEWS_CACHE": str(work / "cache"),
        "HF_HUB_OFFLINE": "1",
    }
    command = [sys.executable, "-m", "agnews_cli", "auto", *QUICK, "--json", "--store", "runs"]
    done = subprocess.run(command, cwd=work, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr, work, env


def test_json_says_what_was_done(finished):
    result, err, _, _ = finished
    assert result["schema"] == "agnews.result/1"
    assert result["state"] == "completed"
    assert result["run"].startswith("minilm-")
    assert result["evaluation"]["test"]["rows"] == 120
    test = result["evaluation"]["test"]
    assert 0 < test["accuracy"] <= 1
    low, high = (test["intervals"]["accuracy"][end] for end in ("low", "high"))
    assert low < test["accuracy"] < high
    assert {c["name"] for c in result["candidates"]} == {"minilm"}
    assert "\x1b" not in err
    assert "built-in sample" in err


def test_the_run_folder_has_everything(finished):
    result, _, _, _ = finished
    folder = Path(result["folder"])
    for name in (
        "model/config.json", "model/model.safetensors", "model/tokenizer.json", "evaluation.json",
        "predictions.csv", "events.jsonl", "preset.yaml", "environment.json", "worker.log",
        "result.json", "delivery.json",
    ):  # fmt: skip
        assert (folder / name).stat().st_size, name
    config = json.loads((folder / "model" / "config.json").read_text())
    assert config["id2label"]["1"] == "Sports"
    assert not list(folder.rglob("*.pkl")) + list(folder.rglob("*.bin"))
    kinds = [e["kind"] for e in events(result["folder"])]
    assert kinds[0] == "started"
    assert kinds[-1] == "ended"
    assert {"progress", "validated", "candidate"} <= set(kinds)


def test_plain_transformers_reproduces_the_stored_predictions(finished, tmp_path):
    """In a process that never imports our package."""
    result, _, _, _ = finished
    sample = Path(__file__).parents[2] / "agnews_cli" / "sample" / "test.csv"
    code = """
import csv, sys, torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
folder, data, stored = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
rows = list(csv.reader(open(data, encoding="utf-8")))
known = list(csv.DictReader(open(stored, encoding="utf-8")))
assert len(rows) == len(known) == 120
worst = 0.0
for row, line in zip(rows, known):
    text = " ".join((row[1] + " " + row[2]).split())
    batch = tokenizer(text, truncation=True, max_length=128, return_tensors="pt")
    with torch.no_grad():
        p = torch.softmax(model(**batch).logits[0], -1)
    assert model.config.id2label[int(p.argmax())] == line["predicted"]
    stored_p = torch.tensor([float(line["p_" + n]) for n in model.config.id2label.values()])
    worst = max(worst, float((p - stored_p).abs().max()))
assert worst < 1e-4, worst
assert not any(m.startswith("agnews_cli") for m in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, f"{result['folder']}/model", str(sample),
         f"{result['folder']}/predictions.csv"],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_finished_run_is_recognised(finished):
    result, _, work, env = finished
    began = time.monotonic()
    command = [sys.executable, "-m", "agnews_cli", "auto", *QUICK, "--json", "--store", "runs"]
    again = subprocess.run(command, cwd=work, env=env, capture_output=True, text=True, check=True)
    found = json.loads(again.stdout)
    assert found["was_there"] is True
    assert found["run"] == result["run"]
    assert found["evaluation"] == result["evaluation"]
    assert time.monotonic() - began < 20


def test_predict_gives_the_stored_answers(finished):
    result, _, work, env = finished
    sample = Path(__file__).parents[2] / "agnews_cli" / "sample" / "test.csv"
    with sample.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[:10]
    with (work / "in.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["title", "description"], *(row[1:] for row in rows)])
    base = [sys.executable, "-m", "agnews_cli", "predict", result["run"][:12], "--store", "runs"]
    subprocess.run([*base, "--file", "in.csv", "--out", "out.csv"], cwd=work, env=env, check=True)
    with (work / "out.csv").open(encoding="utf-8", newline="") as file:
        given = [row["label"] for row in csv.DictReader(file)]
    with Path(result["folder"], "predictions.csv").open(encoding="utf-8", newline="") as file:
        stored = [row["predicted"] for row in csv.DictReader(file)][:10]
    assert given == stored
    one = subprocess.run(
        [*base, "The cup final went to penalties"], cwd=work, env=env, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert "%" in one.stdout


def test_ctrl_c_keeps_the_model_and_exits_130(tmp_path, agnews, own_home):
    command = [sys.executable, "-m", "agnews_cli", "auto", "--preset", "minilm",
               "--set", "training.epochs=50", "--store", "runs"]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=tmp_path, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    try:
        give_up = time.monotonic() + 120
        while not any("progress" in p.read_text() for p in tmp_path.rglob("events.jsonl")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < give_up
            time.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert "the model so far is in" in err
    assert "Traceback" not in err + out
    assert next(tmp_path.rglob("model/model.safetensors")).stat().st_size > 1e6


def test_two_processes_train_on_the_same_examples_with_the_same_losses(agnews, tmp_path):
    common = (*QUICK, "--set", "training.precision=fp32", "--json")
    common = (*common, "--set", "training.weight_decay=0")
    one = agnews("auto", *common, "--store", "one").json
    done = agnews("auto", *common, "--store", "two", "--processes", "2")
    assert done.code == 0, done.err
    two = done.json
    started = [e for e in events(two["folder"]) if e["kind"] == "started"]
    assert started[0]["data"]["world"] == 2

    def steps(result):
        last = [e["data"] for e in events(result["folder"]) if e["kind"] == "progress"][-1]
        return last["total_steps"], last["examples"]

    assert steps(one) == steps(two)
    losses = [r["evaluation"]["validation"]["loss"] for r in (one, two)]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)  # dropout draws differ


def test_a_loss_that_is_not_finite_stops_with_what_to_do(agnews, tmp_path):
    """Real weights, one of them damaged: the first step's loss is not a number."""
    import torch
    from safetensors.torch import load_file, save_file

    from agnews_cli.store import models, presets

    embedded = models.resolve(presets.load("minilm").model, hub=lambda: False).path_or_id
    shutil.copytree(embedded, tmp_path / "damaged")
    weights = load_file(tmp_path / "damaged" / "model.safetensors")
    weights["encoder.layer.3.output.dense.bias"] = torch.full((384,), float("nan"))
    save_file(weights, tmp_path / "damaged" / "model.safetensors", metadata={"format": "pt"})
    done = agnews("auto", *QUICK, "--set", "model.id=./damaged", "--json")
    assert done.code == 70, done.err + done.out
    assert done.json["error"]["kind"] == "NonFiniteLoss"
    assert "loss became nan" in done.err
    assert "--set training.lr=" in done.err
    assert "Traceback" not in done.err


def test_lora_delivers_an_adapter_that_peft_loads(agnews, tmp_path):
    pytest.importorskip("peft")
    done = agnews(
        "auto", "--preset", "minilm-lora", *QUICK[2:], "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    folder = Path(done.json["folder"])
    assert (folder / "model" / "adapter" / "adapter_config.json").exists()
    assert (folder / "model" / "adapter" / "adapter_model.safetensors").stat().st_size < 10e6
    labels = agnews("predict", "latest", "The striker scored twice", "--json")
    assert labels.code == 0, labels.err
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        first = next(csv.DictReader(file))
    sample = Path(__file__).parents[2] / "agnews_cli" / "sample" / "test.csv"
    with sample.open(encoding="utf-8", newline="") as file:
        row = next(csv.reader(file))
    again = agnews("predict", "latest", f"{row[1]} {row[2]}", "--json").json[0]
    assert again["label"] == first["predicted"]
    for label, p in again["probabilities"].items():
        assert p == pytest.approx(float(first[f"p_{label}"]), abs=1e-3)


def test_a_budget_is_kept_and_the_best_is_delivered(agnews):
    began = time.monotonic()
    done = agnews("auto", "--budget", "60s", "--json")
    took = time.monotonic() - began
    assert done.code == 0, done.err
    assert took < 60 + 20
    result = done.json
    shares = {c["name"]: c["weight"] for c in result["candidates"]}
    assert sum(shares.values()) == pytest.approx(1)
    assert "linear" in shares


def test_other_shapes_need_no_configuration(agnews, tmp_path):
    words = [f"topic{i}" for i in range(14)]
    with (tmp_path / "words.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "text"])
        for i in range(280):
            word = words[i % 14]
            writer.writerow([word, f"{word} things happen {i} times in {word} land"])
    done = agnews("auto", "--data", "words.csv", *QUICK[2:], "--limit-train", "140", "--json")
    assert done.code == 0, done.err
    result = done.json
    assert result["data"]["labels"] == sorted(words)
    assert result["evaluation"]["test"] is None
    assert result["evaluation"]["validation"]["rows"] >= 14


def rows_of(path: Path, rows: int, seed: int = 0) -> Path:
    """A CSV of three classes, each with words of its own in most texts."""
    import random

    rng = random.Random(seed)
    words = [[f"{topic}{n}" for n in range(40)] for topic in ("goal", "bank", "star")]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for n in range(rows):
            said = [rng.choice(rng.choice(words)) for _ in range(4)]
            writer.writerow([" ".join([*said, *rng.choices(words[n % 3], k=6)]), f"c{n % 3}"])
    return path


def test_what_validated_best_is_delivered_without_a_budget_and_predicts(agnews, tmp_path):
    """One pass over 90 made-up rows teaches the fine-tuned model nothing."""
    rows_of(tmp_path / "d.csv", 90)
    done = agnews(
        "auto", "--data", "d.csv", "--preset", "minilm", "--set", "training.epochs=1", "--json",
        "--set", "data.cross_validated_below=0", "--store", "runs",
    )  # fmt: skip
    assert done.code == 0, done.err
    shares = {c["name"]: c["weight"] for c in done.json["candidates"]}
    assert shares == {"linear": 1.0, "minilm": 0.0}
    folder = Path(done.json["folder"])
    delivery = json.loads((folder / "delivery.json").read_text())
    assert [member["kind"] for member in delivery["members"]] == ["linear"]
    why = done.json["why"]
    assert why.startswith("linear is delivered")
    assert "of minilm on the same 30 validation rows (paired p =" in why
    assert why in done.err
    assert json.loads((folder / "evaluation.json").read_text())["validation"]["chose"] is True
    one = agnews("predict", done.json["run"], "bank1 bank2 bank3", "--store", "runs", "--json")
    assert one.json[0]["label"] == "c1", one.err


def test_a_large_file_ends_with_a_model_inside_a_short_budget(agnews, tmp_path):
    rows_of(tmp_path / "large.csv", 60_000)
    began = time.monotonic()
    done = agnews(
        "auto", "--data", "large.csv", "--limit-train", "300", "--budget", "40s", "--json"
    )
    assert done.code == 0, done.err
    assert time.monotonic() - began < 40 + 20
    assert sum(c["weight"] for c in done.json["candidates"]) == pytest.approx(1)
    assert "Interrupted" not in done.err


def test_a_test_split_too_large_for_the_budget_is_evaluated_in_part_and_said(agnews, tmp_path):
    (tmp_path / "d").mkdir()
    rows_of(tmp_path / "d" / "train.csv", 2000)
    rows_of(tmp_path / "d" / "test.csv", 150_000, seed=1)
    done = agnews("auto", "--data", "d", "--budget", "45s", "--json", "--store", "runs")
    assert done.code == 0, done.err
    notes = json.loads(Path(done.json["folder"], "outcome.json").read_text())["notes"]
    test = done.json["evaluation"]["test"]
    if test is None:
        assert any("no time for the test split" in note for note in notes)
    elif test["rows"] < 150_000:
        said = f"{test['rows']:,} of 150,000 test rows are evaluated"
        assert any(note.startswith(said) for note in notes)
