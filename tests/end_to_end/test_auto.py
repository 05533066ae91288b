"""`agnews auto` whole: real rows, real weights, a real `accelerate launch`."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.train
pytest.importorskip("torch")

from agnews_cli.host import children  # noqa: E402
from agnews_cli.store.run.runs import RunFolder  # noqa: E402
from agnews_cli.store.transfer import parcels  # noqa: E402
from tests import tiny  # noqa: E402

QUICK = (
    "--preset", "minilm", "--limit-train", "64", "--set", "training.epochs=1",
    "--set", "training.yardstick=false", "--set", "data.cross_validated_below=0",
)  # fmt: skip

ADAPTED = ("auto", "--preset", "minilm-lora", *QUICK[2:])


def events(folder: str) -> list[dict]:
    return [json.loads(line) for line in Path(folder, "events.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One small run on the built-in sample, shared by the tests that only look at it.

    With LoRA, which delivers all that full fine-tuning does and an adapter.
    """
    work = tmp_path_factory.mktemp("work")
    env = os.environ | {
        "AGNEWS_HOME": str(work / "home"),
        "AGNEWS_CACHE": str(work / "cache"),
        "HF_HUB_OFFLINE": "1",
    }
    command = [sys.executable, "-m", "agnews_cli", *ADAPTED, "--json", "--store", "runs"]
    done = subprocess.run(command, cwd=work, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr, work, env


def test_json_says_what_was_done(finished):
    result, err, _, _ = finished
    assert result["schema"] == "agnews.result/1"
    assert result["state"] == "completed"
    assert result["run"].startswith("minilm-lora-")
    assert result["evaluation"]["test"]["rows"] == 120
    test = result["evaluation"]["test"]
    assert 0 < test["accuracy"] <= 1
    low, high = (test["intervals"]["accuracy"][end] for end in ("low", "high"))
    assert low < test["accuracy"] < high
    assert {c["name"] for c in result["candidates"]} == {"minilm-lora"}
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


def test_what_it_said_of_the_rows_that_chose_it_is_delivered_with_it(finished):
    np = pytest.importorskip("numpy")
    from agnews_cli.learn.combine import logits

    result, _, _, _ = finished
    folder = RunFolder(Path(result["folder"]))
    for split in ("validation", "test"):
        figures = result["evaluation"][split]
        said = logits.read(folder.path / "predictions" / f"{split}.safetensors")
        assert len(said.classes) == len(np.unique(said.rows, axis=0)) == figures["rows"]
        right = (said.delivered.argmax(1) == said.classes).mean()
        assert right == pytest.approx(figures["accuracy"])
        picked = said.delivered[np.arange(len(said.classes)), said.classes]
        assert -picked.mean() == pytest.approx(figures["loss"], rel=1e-5)
        assert list(said.labels) == result["evaluation"]["labels"]
        assert set(said.each) == {"minilm-lora"}
        assert np.array_equal(said.each["minilm-lora"], said.delivered)
    parcel = parcels.delivery(folder, token=1, writer="aaaa")
    assert parcel is not None
    assert "predictions/validation.safetensors" in parcel.manifest.state["files"].values()
    ended = folder.ended()
    assert ended is not None and len(ended.done) == 2 and result["run"] in ended.done


@pytest.mark.slow  # in CI with small models of every kind: test_delivered.py
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
    command = [sys.executable, "-m", "agnews_cli", *ADAPTED, "--json", "--store", "runs"]
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
    command = [sys.executable, "-m", "agnews_cli", "predict", result["run"][:18]]
    command += ["--store", "runs", "--file", "in.csv", "--out", "out.csv"]
    subprocess.run(command, cwd=work, env=env, check=True)
    with (work / "out.csv").open(encoding="utf-8", newline="") as file:
        given = list(csv.DictReader(file))
    with Path(result["folder"], "predictions.csv").open(encoding="utf-8", newline="") as file:
        stored = list(csv.DictReader(file))[:10]
    assert [row["label"] for row in given] == [row["predicted"] for row in stored]
    for name in (name for name in stored[0] if name.startswith("p_")):
        found = [float(row[name]) for row in given]
        assert found == pytest.approx([float(row[name]) for row in stored], abs=1e-3), name


def test_lora_delivers_an_adapter(finished):
    """That PEFT loads: in test_delivered.py, with small models."""
    adapter = Path(finished[0]["folder"]) / "model" / "adapter"
    assert (adapter / "adapter_config.json").exists()
    assert 0 < (adapter / "adapter_model.safetensors").stat().st_size < 10e6


def test_ctrl_c_keeps_the_model_and_exits_130(tmp_path, agnews, own_home):
    forever = ["--set", "training.epochs=500", "--set", "training.patience=500"]
    forever += ["--justify", "to be stopped"]
    command = [sys.executable, "-m", "agnews_cli", "auto", *QUICK, *forever, "--store", "runs"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    try:
        give_up = time.monotonic() + 120
        while not any("validated" in p.read_text() for p in tmp_path.rglob("events.jsonl")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < give_up
            time.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert err.startswith("stopped: Interrupted; step ")
    assert re.search(r"the model so far, of step \d+, is in", err)
    assert "Traceback" not in err + out
    assert next(tmp_path.rglob("model/model.safetensors")).stat().st_size > 1e6


@pytest.fixture
def small(tmp_path):
    """The words that train a small model without dropout, for a process or several."""
    base = tiny.make(tmp_path / "base")
    config = json.loads((base / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (base / "config.json").write_text(json.dumps(config))
    tiny.write(tmp_path / "data" / "train.csv", tiny.rows(4, 60))
    settings = {
        "model.id": base, "training.precision": "fp32", "training.epochs": 1,
        "training.batch_tokens": 256, "training.yardstick": "false", "training.linear_teacher": 0,
        "data.cross_validated_below": 0,
    }  # fmt: skip
    given = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    return ["auto", "--data", "data", "--preset", "minilm", *given]


def test_two_processes_share_one_set_of_batches(agnews, tmp_path, small):
    """One training: its steps are those of one process, and each process has a part of each."""
    from safetensors.torch import load_file

    words = [*small, "--set", "training.batch_tokens=128", "--set", "training.epochs=2", "--trace"]
    one = agnews(*words, "--json", "--store", "one")
    two = agnews(*words, "--json", "--store", "two", "--processes", "2")
    assert (one.code, two.code) == (0, 0), one.err + two.err
    folders = [Path(done.json["folder"]) for done in (one, two)]
    assert json.loads((folders[1] / "environment.json").read_text())["processes"] == 2
    traces = [
        [json.loads(line) for line in (folder / "trace.jsonl").read_text().splitlines()]
        for folder in folders
    ]
    assert len(traces[0]) >= 20
    for alone, shared in zip(*traces, strict=True):
        assert alone["rows"] == shared["rows"]
        losses = [float.fromhex(step["loss"]) for step in (alone, shared)]
        assert losses[1] == pytest.approx(losses[0], rel=1e-4), (alone, shared)
    for name in ("started", "ended", "validated"):
        each = [[e for e in events(folder) if e["kind"] == name] for folder in folders]
        assert len(each[0]) == len(each[1]), name
    assert len(list((folders[1] / "leases").iterdir())) == 1
    weights = [load_file(folder / "model" / "model.safetensors") for folder in folders]
    for name, tensor in weights[0].items():
        assert weights[1][name].numpy() == pytest.approx(tensor.numpy(), abs=1e-4), name


def test_a_killed_process_of_two_ends_the_run_and_leaves_none(tmp_path, small):
    """And nothing that lies beside the data is run, by the launcher or by what it starts."""
    import psutil

    for name in ("queue", "accelerate", "socketserver"):
        text = f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r})"
        (tmp_path / f"{name}.py").write_text(text)
    forever = ["--set", "training.epochs=9000", "--set", "training.patience=9000"]
    forever += ["--justify", "to be killed"]
    process = subprocess.Popen(
        children.module("agnews_cli", *small, *forever, "--store", "runs", "--processes", "2"),
        cwd=tmp_path, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip

    def workers() -> list[psutil.Process]:
        found = psutil.process_iter(["cmdline"])
        return [p for p in found if any(str(tmp_path) in w for w in p.info["cmdline"] or ())]

    try:
        give_up = time.monotonic() + 200
        while not any("progress" in p.read_text() for p in tmp_path.rglob("events.jsonl")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < give_up
            time.sleep(0.2)
        [second] = [p for p in workers() if p.environ().get("RANK") == "1"]
        second.kill()
        _, err = process.communicate(timeout=100)
    finally:
        process.kill()
    assert process.returncode == 70, err
    assert "(one of its 2 processes ended)" in err
    assert "agnews resume" in err or "nothing is saved yet" in err
    assert workers() == []
    assert not list(tmp_path.rglob("outcome.json"))
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()


def test_a_loss_that_is_not_finite_stops_with_what_to_do(agnews, tmp_path):
    """One of the model's weights is damaged: the first step's loss is not a number."""
    import torch
    from safetensors.torch import load_file, save_file

    file = tiny.make(tmp_path / "damaged") / "model.safetensors"
    weights = load_file(file)
    weights["encoder.layer.1.output.dense.bias"] = torch.full((32,), float("nan"))
    save_file(weights, file, metadata={"format": "pt"})
    done = agnews("auto", *QUICK, "--set", "model.id=./damaged", "--json")
    assert done.code == 70, done.err + done.out
    assert done.json["error"]["kind"] == "NonFiniteLoss"
    assert "loss became nan" in done.err
    assert "--set training.lr=" in done.err
    assert "Traceback" not in done.err


def test_other_shapes_need_no_configuration_and_what_validated_best_is_delivered(agnews, tmp_path):
    """One pass over 14 classes of a few rows teaches the fine-tuned model nothing."""
    words = [f"topic{i}" for i in range(14)]
    with (tmp_path / "words.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "text"])
        for i in range(280):
            word = words[i % 14]
            writer.writerow([word, f"{word} things happen {i} times in {word} land"])
    done = agnews(
        "auto", "--data", "words.csv", "--limit-train", "140", "--set", "training.epochs=1",
        "--set", "data.cross_validated_below=0", "--store", "runs", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    result = done.json
    assert result["data"]["labels"] == sorted(words)
    assert result["evaluation"]["test"] is None
    rows = result["evaluation"]["validation"]["rows"]
    assert rows >= 14
    shares = {c["name"]: c["weight"] for c in result["candidates"]}
    assert shares == {"linear": 1.0, "minilm": 0.0}
    folder = Path(result["folder"])
    delivery = json.loads((folder / "delivery.json").read_text())
    assert [member["kind"] for member in delivery["members"]] == ["linear"]
    why = result["why"]
    assert why.startswith("linear is delivered")
    assert f"of minilm on the same {rows} validation rows (paired p =" in why
    assert why in done.err
    assert json.loads((folder / "evaluation.json").read_text())["validation"]["chose"] is True
    one = agnews("predict", result["run"], "topic5 land", "--store", "runs", "--json")
    assert one.json[0]["label"] == "topic5", one.err


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


def test_large_files_end_with_the_best_model_and_a_part_of_the_test_inside_a_short_budget(
    agnews, tmp_path
):
    (tmp_path / "d").mkdir()
    rows_of(tmp_path / "d" / "train.csv", 60_000)
    rows_of(tmp_path / "d" / "test.csv", 150_000, seed=1)
    began = time.monotonic()
    done = agnews(
        "auto", "--data", "d", "--limit-train", "300", "--budget", "45s", "--json",
        "--store", "runs",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert time.monotonic() - began < 45 + 20
    shares = {c["name"]: c["weight"] for c in done.json["candidates"]}
    assert sum(shares.values()) == pytest.approx(1)
    assert "linear" in shares
    assert "Interrupted" not in done.err
    notes = json.loads(Path(done.json["folder"], "outcome.json").read_text())["notes"]
    test = done.json["evaluation"]["test"]
    if test is None:
        assert any("no time for the test split" in note for note in notes)
    elif test["rows"] < 150_000:
        said = f"{test['rows']:,} of 150,000 test rows are evaluated"
        assert any(note.startswith(said) for note in notes)


@pytest.mark.slow
def test_a_budget_is_kept_and_the_best_is_delivered(agnews):
    """On the sample, whose rows are few enough for a fine-tuned model too."""
    began = time.monotonic()
    done = agnews("auto", "--budget", "60s", "--json")
    took = time.monotonic() - began
    assert done.code == 0, done.err
    assert took < 60 + 20
    shares = {c["name"]: c["weight"] for c in done.json["candidates"]}
    assert sum(shares.values()) == pytest.approx(1)
    assert set(shares) > {"linear"}


@pytest.mark.parametrize("preset", ["linear", "random-forest"])
def test_a_model_of_counted_words_needs_no_torch_and_no_pretrained_model(agnews, tmp_path, preset):
    """Neither here nor on the hub: nothing of one is looked for, tokenised or delivered."""
    for name in ("torch", "transformers", "accelerate"):
        (tmp_path / "without" / f"{name}.py").parent.mkdir(exist_ok=True)
        (tmp_path / "without" / f"{name}.py").write_text("raise ImportError('it is not here')")
    env = {"HF_HOME": str(tmp_path / "no models"), "PYTHONPATH": str(tmp_path / "without")}
    words = ("auto", "--preset", preset, "--data", "sample:", "--processes", "2", "--json")
    done = agnews(*words, **env)
    assert done.code == 0, done.err
    result = done.json
    assert result["state"] == "completed" and result["method"] == "linear"
    kind = {"linear": "linear", "random-forest": "forest"}[preset]
    assert [one["kind"] for one in result["candidates"]] == [kind]
    assert result["evaluation"]["test"]["accuracy"] > 0.5  # of four classes
    folder = Path(result["folder"])
    assert not (folder / "model").exists()
    assert json.loads((folder / "environment.json").read_text())["processes"] == 1
    card = (folder / "README.md").read_text()
    assert "No pretrained weights are in it" in card and "counted-words" not in card
    said = agnews("predict", result["run"], "goal in the last minute", "--json", **env).json
    assert said[0]["label"] == "Sports"
