"""`agnews publish` with the hub's own client against a stand-in, over HTTP."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from agnews_cli.cli.main import main
from agnews_cli.core.run.dataset import Dataset
from agnews_cli.store.run import runs
from agnews_cli.store.settings import presets
from tests.conftest import Ended
from tests.core.evaluations import LABELS, evaluation
from tests.servers.hub import StandInHub

TOKEN = "hf_a_token_of_nobody"


@pytest.fixture
def hub() -> Iterator[StandInHub]:
    found = StandInHub()
    found.token = TOKEN
    found.owners = {"me"}
    yield found
    assert not found.unknown
    found.stop()


@pytest.fixture
def publish(hub, tmp_path, monkeypatch, capsys):
    """`agnews publish latest …` with a login; in this process, for the client reads them once."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, run: str = "latest", token: str = TOKEN) -> Ended:
        monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(SystemExit) as ended:
            main(["publish", run, *arguments, "--store", "runs"])
        return Ended(int(ended.value.code or 0), *capsys.readouterr())

    return run


def model_folder(folder: Path, kind: str, card: str) -> None:
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights of " + kind.encode() * 100)
    (folder / "README.md").write_text(card)
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    facts = {"labels": LABELS, "max_length": 8, "kind": kind}
    facts["files"] = {"model.safetensors": digest}
    (folder / "agnews.json").write_text(json.dumps(facts))


def a_run(store: Path, kind: str = "linear", card: str = "# A card\n") -> Path:
    found = runs.create(
        store, "words-0123456789", preset=presets.load("minilm"), seed=0, now=datetime.now(UTC),
        dataset=Dataset.model_construct(name="my news"),
    ).path  # fmt: skip
    member = "model" if kind == "finetune" else kind
    model_folder(found / member, kind, card)
    delivery = {
        "schema": "agnews.delivery/1", "labels": LABELS, "label_values": LABELS, "max_length": 8,
        "text_columns": ["text"],
        "members": [{"name": "m", "kind": kind, "folder": member, "share": 1.0}],
    }  # fmt: skip
    (found / "delivery.json").write_text(json.dumps(delivery))
    (found / "README.md").write_text(card)
    (found / "predictions.csv").write_text("text\nsecret rows\n")
    said = evaluation(((9, 1), (1, 9)), ((5, 1), (1, 5)))
    (found / "evaluation.json").write_text(said.model_dump_json())
    return found


def files_of(hub: StandInHub, repo: str = "me/news") -> dict[str, bytes]:
    return {n: d for n, d in hub.repos[repo]["files"].items() if n != ".gitattributes"}


def head_of(card: bytes) -> dict:
    return yaml.safe_load(card.decode().split("---\n")[1])


def test_a_run_is_there_whole_and_private_with_its_card_and_figures(publish, hub, tmp_path):
    run = a_run(tmp_path / "runs")
    done = publish("hf://me/news", "--json")
    assert done.code == 0, done.err
    assert done.json["sent"] == [
        "README.md",
        "delivery.json",
        "evaluation.json",
        *("linear/README.md", "linear/agnews.json", "linear/model.safetensors"),
        "preset.yaml",
    ]
    assert (done.json["is_private"], done.json["others"]) == (True, [])
    found = files_of(hub)
    assert hub.repos["me/news"]["private"]
    assert sorted(found) == done.json["sent"]  # and no predictions
    assert found["linear/model.safetensors"] == (run / "linear/model.safetensors").read_bytes()
    head = head_of(found["README.md"])
    assert head["pipeline_tag"] == "text-classification"
    (index,) = head["model-index"]
    (result,) = index["results"]
    assert result["dataset"] == {"name": "my news", "type": "other", "split": "test"}
    assert {m["type"]: m["value"] for m in result["metrics"]} == {"accuracy": 0.5, "f1": 0.5}
    assert found["README.md"].endswith(b"# A card\n")
    assert TOKEN not in done.out + done.err


def test_the_head_is_what_the_hubs_own_reader_reads(publish, hub, tmp_path):
    from huggingface_hub import ModelCard

    a_run(tmp_path / "runs")
    assert publish("hf://me/news").code == 0
    data = ModelCard(files_of(hub)["README.md"].decode()).data
    assert [(r.metric_type, r.metric_value) for r in data.eval_results] == [
        ("accuracy", 0.5),
        ("f1", 0.5),
    ]


def test_a_hugging_face_model_lies_where_transformers_looks_with_its_own_card(
    publish, hub, tmp_path
):
    card = "---\ntags: [mine]\n---\n\n# Mine\n"
    a_run(tmp_path / "runs", "finetune", card)
    assert publish("hf://models/me/news").code == 0
    found = files_of(hub)
    assert sorted(found) == ["README.md", "agnews.json", "model.safetensors"]
    assert found["README.md"].decode() == card


def test_typed_again_it_sends_only_what_differs(publish, hub, tmp_path):
    run = a_run(tmp_path / "runs")
    assert publish("hf://me/news").code == 0
    commits = hub.commits
    done = publish("hf://me/news", "--json")
    assert (done.json["sent"], len(done.json["same"])) == ([], 7)
    assert hub.commits == commits
    hub.repos["me/news"]["files"]["notes.txt"] = b"of others"
    (run / "README.md").write_text("# Another card\n")
    done = publish("hf://me/news", "--json")
    assert (done.json["sent"], done.json["others"]) == (["README.md"], ["notes.txt"])
    assert hub.commits == commits + 1
    assert "notes.txt" in files_of(hub)


def test_it_is_public_only_where_that_was_typed(publish, hub, tmp_path):
    a_run(tmp_path / "runs")
    done = publish("hf://me/news", "--public", "--json")
    assert (done.code, done.json["is_private"]) == (0, False)
    assert not hub.repos["me/news"]["private"]
    done = publish("hf://me/news")
    assert (done.code, "it is public" in done.err) == (77, True)
    assert "agnews publish latest hf://me/news --public" in done.err


def test_what_fails_on_the_way_is_never_public(publish, hub, tmp_path):
    a_run(tmp_path / "runs")
    assert publish("hf://me/news").code == 0
    (tmp_path / "runs/words-0123456789/README.md").write_text("# Another card\n")
    before = dict(files_of(hub))

    def conflict(repo, lines):
        return 412, {"error": "A commit has happened since."}

    hub.commit = conflict
    done = publish("hf://me/news", "--public")
    assert (done.code, "somebody else wrote there" in done.err) == (69, True)
    assert files_of(hub) == before
    assert hub.repos["me/news"]["private"]


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"token": ""}, 77, "no login for the hub is here"),
        ({"token": "hf_another_token"}, 77, "the hub does not know the token"),
        ({"repository": "hf://them/news"}, 77, "the token may not write there"),
        ({"repository": "me/news"}, 2, "expected hf://owner/name"),
        ({"repository": "hf://news"}, 2, "expected hf://owner/name"),
        ({"run": "nobody"}, 2, "No run 'nobody'"),
    ],
)
def test_what_cannot_be_is_one_message_with_a_way_out(publish, hub, tmp_path, change, code, words):
    a_run(tmp_path / "runs")
    given = {"repository": "hf://me/news", **change}
    done = publish(given.pop("repository"), **given)
    assert (done.code, words in done.err) == (code, True), done.err
    assert "hint: " in done.err
    assert "Traceback" not in done.err
    assert not hub.repos


def test_a_hub_that_is_out_of_order_is_said(publish, hub, tmp_path):
    a_run(tmp_path / "runs")
    hub.faults = [400] * 5
    done = publish("hf://me/news")
    assert (done.code, "was not written" in done.err) == (69, True), done.err
    assert "agnews publish latest hf://me/news" in done.err


def test_a_damaged_file_is_not_published(publish, hub, tmp_path):
    run = a_run(tmp_path / "runs")
    (run / "linear" / "model.safetensors").write_bytes(b"other weights")
    done = publish("hf://me/news")
    assert (done.code, "its SHA-256 is not that" in done.err) == (74, True)
    assert not hub.repos
