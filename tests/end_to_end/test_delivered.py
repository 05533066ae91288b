"""What is delivered, used as its card says, by a process that cannot import agnews.

One process trains every case on a BERT of two layers, another loads them all: starting torch is
what takes the time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.train
pytest.importorskip("torch")

from agnews_cli.core.run.job import TrainJob  # noqa: E402
from agnews_cli.core.run.preset import Preset  # noqa: E402
from agnews_cli.store.data import datasets  # noqa: E402
from agnews_cli.store.settings import presets  # noqa: E402
from tests import looking, tiny  # noqa: E402

HOSTILE = "a|b `<img src=x>` [l](http://x)\u202e *~_$# & \\"
CASES = {
    "lora-4": (4, "minilm-lora", ("finetune",)),
    "lora-14": (14, "minilm-lora", ("finetune",)),
    "full-4": (4, "minilm", ("finetune",)),
    "linear-14": (14, "minilm", ("linear",)),
    "svm-2": (2, "svm", ("linear",)),
    "forest-4": (4, "random-forest", ("forest",)),
    "cnn-2": (2, "textcnn", ("finetune",)),
    "bilstm-4": (4, "bilstm", ("finetune",)),
    "average-2": (2, "minilm", ("linear", "finetune")),
    "average-14": (14, "minilm-lora", ("linear", "finetune")),
    "head_tail-4": (4, "minilm", ("finetune",)),
    "windows-4": (4, "minilm-lora", ("linear", "finetune")),
    "adapter-4": (4, "minilm", ("finetune",)),
    "average-adapter-2": (2, "minilm", ("linear", "finetune")),
}
LONG = {  # a text there has ten tokens and more
    "head_tail-4": ("training.max_length=6", "training.long_texts=head_tail"),
    "windows-4": (
        "training.max_length=6", "training.long_texts=windows", "training.window_pooling=max",
        "training.window_overlap=0.5",
    ),
}  # fmt: skip
ADAPTERS = {
    "adapter-4": ("method=pfeiffer",),
    "average-adapter-2": ("method=prefix", "method.tokens=4"),
}
SETTINGS = (
    "training.epochs=2", "training.lr=5e-3", "training.max_length=12", "training.precision=fp32",
)  # fmt: skip

TRAIN = """
import os, sys, time
os.environ["ACCELERATE_USE_CPU"] = "true"
from pathlib import Path
from agnews_cli.core.run.job import TrainJob, TestOrder
from agnews_cli.learn.figures import blend; from agnews_cli.learn import worker
# Every candidate gets a share: which of them validates best is not the subject here.
blend.weights = lambda found, *_: dict(zip(found, [0.375, 0.625]))
for path in sys.argv[1:]:
    job = TrainJob.model_validate_json(Path(path).read_text())
    job = job.model_copy(update={"started_monotonic_s": time.monotonic()})
    Path(path).write_text(job.model_dump_json())
    worker.main(["worker", path])
"""

LOAD = """
import csv, json, os, sys

class Blocked:
    def find_spec(self, name, *_):
        if name.split(".")[0] == "agnews_cli":
            raise ImportError("agnews is not here")

sys.meta_path.insert(0, Blocked())
import numpy as np, torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline, logging
logging.set_verbosity_error()

def card_code(path):
    text = open(path, encoding="utf-8").read()
    # That model would be downloaded; what was trained is the small one.
    for place in ("base = ", "base, folder = "):
        hub = place + '"sentence-transformers/all-MiniLM-L6-v2"'
        text = text.replace(hub, place + repr(sys.argv[2]))
    return [part.split("```")[0] for part in text.split("```python")[1:]]

def used(code, texts):
    names = {}
    code = code.replace('["your text"]', repr(texts)).replace('"your text"', repr(texts))
    code = code.replace("print(classify(", "answers = (classify(")
    exec(code, names)
    return names

def plain(folder, texts):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.model_max_length == 12
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    assert model.config.pad_token_id == tokenizer.pad_token_id
    batch = tokenizer(texts, truncation=True, padding=True, return_tensors="pt")
    with torch.no_grad():
        return model.config.id2label, torch.softmax(model(**batch).logits, -1).numpy(), batch

for name, run in json.loads(sys.argv[1]).items():
    os.chdir(run)
    facts = json.load(open("delivery.json", encoding="utf-8"))
    labels = facts["labels"]
    with open("predictions.csv", encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    stored = np.array([[float(line["p_" + label]) for label in labels] for line in lines])
    texts = json.load(open("texts.json", encoding="utf-8"))
    code = card_code("README.md")
    names = used(code[0], texts)
    if os.path.exists("model/method.json") and "answers" in names:
        assert [a["label"] for a in names["answers"]] == [line["predicted"] for line in lines]
        rows = names["classify"](texts, top_k=None)
        found = [{a["label"]: a["score"] for a in row} for row in rows]
        found = np.array([[row[label] for label in labels] for row in found])
    elif "answers" in names:
        assert [a["label"] for a in names["answers"]] == [line["predicted"] for line in lines]
        id2label, found, batch = plain("model", texts)
        assert [id2label[k] for k in range(len(labels))] == labels
        os.chdir("model")
        alone = used(card_code("README.md")[0], texts)
        assert alone["answers"] == names["answers"]
        assert alone["classify"](texts[0] + " goal team" * 500)[0]["label"] in labels
        os.chdir("..")
    else:
        found = names["probabilities"]
        for member in facts["members"]:
            os.chdir(member["folder"])
            used(card_code("README.md")[0], texts)
            os.chdir("..")
    assert np.abs(found - stored).max() < 1e-5, (name, np.abs(found - stored).max())
    if name.startswith("lora"):
        from peft import AutoPeftModelForSequenceClassification
        config = json.load(open("model/adapter/adapter_config.json"))
        assert config["base_model_name_or_path"] == "sentence-transformers/all-MiniLM-L6-v2"
        # That model would be downloaded; what was trained is the small one.
        config["base_model_name_or_path"] = sys.argv[2]
        json.dump(config, open("model/adapter/adapter_config.json", "w"))
        model = used(code[1].replace('"model/adapter"', "'model/adapter'"), texts)["model"].eval()
        with torch.no_grad():
            adapted = torch.softmax(model(**batch).logits, -1).numpy()
        assert np.abs(adapted - found).max() < 1e-5
assert not [m for m in sys.modules if m.startswith("agnews")]
print("all loaded")
"""


def _small(preset: Preset, more: tuple[str, ...]) -> Preset:
    if preset.method.needs_weights:
        return presets.with_settings(preset, (*SETTINGS, *more))
    # What it does not read; but all are trained in one process, which has one precision.
    training = preset.training.model_copy(update={"precision": "fp32", "max_length": 12})
    return preset.model_copy(update={"training": training})


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Path], Path]:
    """(the folder of each case's run, the base model's)."""
    work = tmp_path_factory.mktemp("secret-place")
    base = tiny.make(work / "base")
    runs, jobs = {}, []
    for name, (classes, preset, candidates) in CASES.items():
        data = work / f"{HOSTILE.replace('/', '')} {classes}"
        for split, each in (("train", 14), ("test", 2)):
            tiny.write(data / f"{split}.csv", tiny.rows(classes, each, first=HOSTILE))
        run = work / name
        run.mkdir()
        runs[name] = run
        dataset = datasets.find(str(data))
        job = TrainJob(
            run=name, folder=str(run), cache=str(work / "cache"),
            preset=_small(presets.load(preset), (LONG | ADAPTERS).get(name, ())),
            model_path=str(base), dataset=dataset, seed=0, candidates=candidates,
            blend=len(candidates) > 1, started_monotonic_s=0.0,
        )  # fmt: skip
        looking.write(run / "test.json", dataset)
        job = job.model_copy(update={"test": str(run / "test.json"), "test_rows": 2 * classes})
        (run / "job.json").write_text(job.model_dump_json())
        (run / "texts.json").write_text(json.dumps(datasets.read(dataset, "test").texts))
        jobs.append(str(run / "job.json"))
    env = os.environ | {"OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, *jobs], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    for run in runs.values():
        outcome = json.loads((run / "outcome.json").read_text())
        assert outcome["state"] == "completed", (run.name, outcome, done.stderr[-2000:])
    return runs, base


def files_of(run: Path) -> list[Path]:
    """What somebody is given: the cards, the delivery, and the members' folders."""
    facts = json.loads((run / "delivery.json").read_text())
    folders = [run / member["folder"] for member in facts["members"]]
    below = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [run / "README.md", run / "delivery.json", *below]


def test_no_delivered_file_names_a_place_on_this_machine(delivered):
    runs, base = delivered
    for run in runs.values():
        for path in files_of(run):
            held = path.read_bytes()
            for place in (base.parent, Path.home(), Path.cwd()):
                assert str(place).encode() not in held, path


def is_tuned(member: dict) -> bool:
    return member["kind"] == "finetune"


def test_every_folder_says_what_reading_with_it_needs(delivered):
    runs, _ = delivered
    for name, run in runs.items():
        for member in json.loads((run / "delivery.json").read_text())["members"]:
            facts = json.loads((run / member["folder"] / "agnews.json").read_text())
            assert facts["schema"] == "agnews.model/1"
            assert facts["kind"] == member["kind"]
            assert len(facts["labels"]) == CASES[name][0]
            length = 6 if name in LONG else 12
            assert (facts["max_length"], facts["text_columns"]) == (length, ["text"])
            how = facts.get("long_texts", {}).get("how", "cut")
            assert how == (name.partition("-")[0] if length == 6 and is_tuned(member) else "cut")


def test_a_card_has_a_head_that_the_hub_reads_and_shows_the_measured_figures(delivered):
    from huggingface_hub import ModelCard

    runs, _ = delivered
    for name in ("lora-14", "full-4"):
        card = ModelCard.load(runs[name] / "model" / "README.md")
        test = json.loads((runs[name] / "evaluation.json").read_text())["test"]
        assert card.data.license == "apache-2.0"
        assert card.data.base_model == "sentence-transformers/all-MiniLM-L6-v2"
        assert card.data.pipeline_tag == "text-classification"
        figures = {result.metric_type: result.metric_value for result in card.data.eval_results}
        assert figures["accuracy"] == pytest.approx(test["accuracy"]["value"], abs=1e-6)
        assert figures["f1"] == pytest.approx(test["macro_f1"]["value"], abs=1e-6)
        low = test["accuracy"]["low"]
        assert f"{test['accuracy']['value']:.2%} [{low:.2%}" in card.text


def test_names_from_the_data_stay_names_in_a_card(delivered):
    runs, _ = delivered
    for run in runs.values():
        for path in (p for p in files_of(run) if p.name == "README.md"):
            text = path.read_text("utf-8")
            assert "\u202e" not in text
            head, body = text.split("---\n\n", 1) if text.startswith("---") else ("", text)
            assert "<img" not in body.replace("\\<", "")
            assert "](http" not in body.replace("\\]", "").replace("\\(", "")
            rows = [line for line in body.splitlines() if "img src" in line and line[0] == "|"]
            assert {line.replace("\\|", "").count("|") for line in rows} <= {7}
            if head:
                yaml.safe_load(head.removeprefix("---\n"))


def test_rows_of_the_test_split_that_were_trained_on_are_counted(delivered):
    runs, _ = delivered
    for name, run in runs.items():
        test = json.loads((run / "evaluation.json").read_text())["test"]
        assert test["rows_in_training"] == CASES[name][0]  # tiny.rows repeats its first ones
        said = f"{CASES[name][0]:,} of {test['rows']:,} test rows are also training rows"
        assert said in (run / "README.md").read_text("utf-8")
        assert 0 <= test["accuracy_without_them"] <= 1


def test_what_the_card_says_gives_the_stored_predictions_without_agnews(delivered, tmp_path):
    runs, base = delivered
    given = json.dumps({name: str(run) for name, run in runs.items()})
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-I", "-c", LOAD, given, str(base)],
        cwd=tmp_path, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "all loaded" in done.stdout
