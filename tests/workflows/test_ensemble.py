"""`agnews ensemble`: finished runs become one, with nothing trained."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

np = pytest.importorskip("numpy")
pytest.importorskip("safetensors")

from agnews_cli.cli import completion  # noqa: E402
from agnews_cli.core.graph import shapes  # noqa: E402
from agnews_cli.core.run import combiner_words  # noqa: E402
from agnews_cli.core.run.combiner import Blend, Greedy, Stack  # noqa: E402
from agnews_cli.core.run.latency import Latency, together  # noqa: E402
from agnews_cli.errors import ValueWrong  # noqa: E402
from agnews_cli.learn.combine import logits  # noqa: E402
from agnews_cli.store.run.runs import RunFolder  # noqa: E402
from agnews_cli.store.settings import preset_shapes  # noqa: E402
from agnews_cli.workflows.train import finished as joined  # noqa: E402
from agnews_cli.workflows.train.finished import EnsembleRequest  # noqa: E402
from agnews_cli.workflows.train.scene import Request  # noqa: E402
from tests import finished_runs as finished  # noqa: E402

RUNS = tuple(f"m{n}-0123456789" for n in range(3))
HELD, TEST = finished.texts("validation"), finished.texts("test")


def run(store: Path, name: str, seed: int, right: float = 0.8, **changes: Any) -> RunFolder:
    facts = {
        "validation": finished.said(seed, HELD, right), "test": finished.said(seed, TEST, right)
    } | changes  # fmt: skip
    return finished.delivered(finished.make(store, name, **facts))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for seed, name in enumerate(RUNS):
        run(tmp_path / "agnews-runs", name, seed)
    return tmp_path / "agnews-runs"


def said(store: Path, run: str, part: str = "test") -> Any:
    found = logits.read(store / run / "predictions" / f"{part}.safetensors")
    return found, np.exp(found.delivered.astype(float))


def test_finished_runs_become_a_run_that_says_their_mean(store: Path, agnews: Any) -> None:
    """And takes as long as they take, one after another."""
    for number, name in enumerate(RUNS, 1):
        took = Latency(one_text_s=number / 100, rows_per_s=60 / number, texts=9, machine="a box")
        RunFolder(store / name).latency.write_text(took.model_dump_json())
    done = agnews("ensemble", *RUNS, "--how", "average", "--json")
    assert done.code == 0, done.err
    found = done.json
    assert [one["kind"] for one in found["graph"]] == ["combine", "evaluate"]
    whole, mixed = said(store, found["run"])
    mean = {}
    for name in RUNS:
        one, shares = said(store, name)
        for row, share in zip(map(bytes, one.rows), shares, strict=True):
            mean[row] = mean.get(row, 0) + share / len(RUNS)
    for row, share in zip(map(bytes, whole.rows), mixed, strict=True):
        assert share == pytest.approx(mean[row], abs=1e-5)
    accuracy = float((mixed.argmax(1) == whole.classes).mean())
    assert found["evaluation"]["test"]["accuracy"] == pytest.approx(accuracy)
    compared = json.loads((store / found["run"] / "comparison.json").read_text())
    assert {m["name"] for m in compared["members"]} == set(RUNS)
    delivery = json.loads((store / found["run"] / "delivery.json").read_text())
    assert len(delivery["parts"]) == 3
    again = agnews("ensemble", RUNS[2], RUNS[0], RUNS[1][:2], "--how", "average", "--json").json
    assert (again["run"], again["was_there"]) == (found["run"], True)
    shown = agnews("runs", "show", found["run"])
    assert "Points of accuracy above the ensemble" in shown.out and all(
        name in shown.out for name in RUNS
    )
    assert "60.0 ms" in shown.out and "on a box" in shown.out, "10 and 20 and 30"
    beside = agnews("compare", found["run"], RUNS[0], "--json").json["models"]
    speeds = {one["name"]: one["latency"] for one in beside}
    assert speeds[found["run"]]["rows_per_s"] == pytest.approx(10) and not speeds[RUNS[0]]["is_sum"]


def test_it_goes_on_by_resume_and_a_member_that_is_gone_is_named(store: Path, agnews: Any) -> None:
    planned = agnews("ensemble", *RUNS, "--how", "greedy,picks=3", "--dry-run", "--json").json[
        "run"
    ]
    one = agnews("ensemble", *RUNS, "--how", "average", "--json").json["run"]
    assert planned != one, "another combiner is another run"
    before = said(store, one)[1]
    (store / one / "outcome.json").unlink()  # as where its session ended
    gone = store / RUNS[1] / "outcome.json"
    kept = gone.read_text()
    gone.unlink()
    done = agnews("resume", one)
    assert done.code == 2 and f"Run {RUNS[1]}, which {one} is made of" in done.err, done.err
    gone.write_text(kept)
    done = agnews("resume", one, "--json")
    assert done.code == 0 and done.json["run"] == one, done.err
    assert (said(store, one)[1] == before).all()


def test_what_is_beyond_its_limits_is_said_and_shown_and_is_the_same_run(
    store: Path, agnews: Any
) -> None:
    asked = ("ensemble", *RUNS, "--how", "average", "--json")
    plain = agnews(*asked, "--dry-run").json["run"]
    home = Path(os.environ["AGNEWS_HOME"]) / "presets"
    home.mkdir(parents=True, exist_ok=True)
    (home / "limits.yaml").write_text("diversity: {correlation: -0.9}\n")
    done = agnews(*asked, "--max-members", 2, "--max-q", "-1", "--justify", "all of them")
    assert done.code == 0 and done.json["run"] == plain, done.err
    said = " ".join(done.json["warnings"])
    assert "3 members, more than 2" in said and "expected below -0.9" in said
    assert "Yule's Q of being right" in said and "expected below -1" in said
    folder = Path(done.json["folder"])
    card, picture = (folder / "README.md").read_text(), (folder / "diversity.svg").read_text()
    assert "](diversity.svg)" in card
    for one, two in combinations(RUNS, 2):
        (line,) = (c for c in card.splitlines() if c.startswith(f"| {one} and {two} |"))
        assert len(line.split("|")) == 7
    found = json.loads((folder / "comparison.json").read_text())["diversity"]
    tree = ElementTree.fromstring(picture)
    shown = [text.text for text in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert {f"{found['q'][0][1]:.2f}", f"1  {RUNS[0]}"} <= set(shown)
    framed = [one for one in tree.iter("{http://www.w3.org/2000/svg}rect") if one.get("stroke")]
    assert len(framed) == 12, "each pair of both measures, on both sides"
    wrong = agnews(*asked, "--max-q", 7)
    assert wrong.code == 2 and "--max-q 7" in wrong.err


def table(
    path: Path, split: str, seed: int, *, rows: int = 50, spelt: Any = finished.LABELS
) -> Path:
    """What another model says of more rows than there are, in another order, without labels."""
    texts = finished.texts(split, rows)
    found = np.exp(finished.said(seed, texts, 0.9).delivered.astype(float))
    lines = [f"{t},{b:.6f},{a:.6f}" for t, (a, b) in zip(texts, found, strict=True)]
    path.write_text("\n".join([f"text,p_{spelt[1]},p_{spelt[0]}", *reversed(lines), ""]))
    return path


def test_a_member_may_be_a_table_of_probabilities(store: Path, agnews: Any, tmp_path: Path) -> None:
    words = ["--validation", table(tmp_path / "Mine (1).csv", "validation", 7)]
    words += ["--test", table(tmp_path / "t.csv", "test", 8)]
    asked = ("ensemble", RUNS[0], *words, "--how", "average", "--json")
    planned = agnews(*asked, "--dry-run").json
    assert {path.name for path in store.iterdir()} - {"test-lock"} == set(RUNS)
    done = agnews(*asked)
    assert done.code == 0, done.err
    found = done.json
    assert found["run"] == planned["run"] and not (store / found["run"] / "delivery.json").exists()
    assert "no model for new texts" in done.err + " ".join(found["warnings"])
    assert found["evaluation"]["test"]["rows"] == len(TEST)
    whole, mixed = said(store, found["run"], "validation")
    one, shares = said(store, RUNS[0], "validation")
    mine = finished.said(7, finished.texts("validation", 50), 0.9)
    known = {
        bytes(r): np.exp(s.astype(float)) for r, s in zip(mine.rows, mine.delivered, strict=True)
    }
    mean = {bytes(r): (s + known[bytes(r)]) / 2 for r, s in zip(one.rows, shares, strict=True)}
    for row, share in zip(map(bytes, whole.rows), mixed, strict=True):
        assert share == pytest.approx(mean[row], abs=1e-5)
    assert agnews("predict", found["run"], "a text").code == 2


def classifier(folder: Path, labels: tuple[str, ...] = ("sun", "sea")) -> Path:
    """A folder that says of itself what it tells apart; its weights are never looked at."""
    folder.mkdir()
    facts = {"id2label": dict(enumerate(labels)), "model_type": "bert"}
    (folder / "config.json").write_text(json.dumps(facts))
    return folder


def test_a_classifiers_folder_is_asked_about_the_rows_of_the_first_run(
    store: Path, agnews: Any, tmp_path: Path
) -> None:
    """Which hold out what its preset says; so `agnews resume` knows it too."""
    chosen = yaml.safe_load((store / RUNS[0] / "preset.yaml").read_text())
    chosen["data"] = {"seed": 7}
    (store / RUNS[0] / "preset.yaml").write_text(yaml.safe_dump(chosen))
    request = Request.of(is_rehearsal=True, stores=(str(store),))
    asked = EnsembleRequest((*RUNS[:2], str(classifier(tmp_path / "Theirs"))))
    plan = joined.prepare(asked, request)
    kinds = {node.title: node.work for node in plan.graph.nodes.values()}
    given = kinds["member 3's predictions"].model
    assert given.run.startswith("given.theirs-") and plan.graph.outside == {*RUNS[:2], given.run}
    assert kinds["member 3's predictions"].rows.data.seed == 7
    assert [work.kind for work in kinds.values()] == ["predict", "evaluate", "combine", "evaluate"]
    said = next(node for node in plan.graph.nodes.values() if node.work.kind == "evaluate")
    assert said.place == said.id, "it has no folder of a run to lie in"
    assert not (store / given.run).exists(), "a rehearsal writes nothing"
    (tmp_path / "whole.yaml").write_text(plan.whole)
    again = preset_shapes.load(str(tmp_path / "whole.yaml"))
    assert shapes.graph_of(again, plan.scene.dataset, 0).target == plan.graph.target


@pytest.mark.train
def test_a_classifiers_folder_becomes_a_member_that_answers(
    store: Path, agnews: Any, tmp_path: Path
) -> None:
    """Its classes stand in another order than those of the data."""
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    words = [*"0123456789", "validation", "test", "text", "number"]
    known = {w: n for n, w in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words])}
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(known), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=32, id2label={0: "sun", 1: "sea"},
    )  # fmt: skip
    net = transformers.BertForSequenceClassification(config).eval()
    with torch.no_grad():
        net.classifier.weight *= 40
    reader = transformers.BertTokenizerFast(vocab=known, model_max_length=32)
    with torch.no_grad():  # each class is answered
        apart = net(**reader(TEST, return_tensors="pt", padding=True)).logits
        net.classifier.bias[0] -= (apart[:, 0] - apart[:, 1]).median()
    net.save_pretrained(tmp_path / "theirs")
    reader.save_pretrained(tmp_path / "theirs")
    run(store, "bad-0123456789", 9, right=0.1)
    done = agnews("ensemble", "bad", "theirs", "--how", "best", "--json", "--processes", 1)
    assert done.code == 0, done.err
    for part, texts in (("validation", HELD), ("test", TEST)):
        tokens = reader(texts, return_tensors="pt", padding=True)
        with torch.no_grad():
            expected = net(**tokens).logits.softmax(1).numpy()[:, ::-1]
        kept, shares = said(store, done.json["run"], part)
        rows = dict(zip(map(bytes, logits.digests(texts)), expected, strict=True))
        for row, share in zip(map(bytes, kept.rows), shares, strict=True):
            assert share == pytest.approx(rows[row], abs=1e-5)
    answers = json.loads(agnews("predict", done.json["run"], *TEST, "--json").out)
    told = [finished.LABELS[int(row.argmax())] for row in expected]
    assert [one["label"] for one in answers] == told and len(set(told)) == 2
    found = json.loads((store / done.json["run"] / "evaluation.json").read_text())
    assert found["test"]["rows"] == len(TEST)


def _other_store(store: Path) -> None:
    run(store.parent / "elsewhere", "other-0123456789", 9)


WRONG: dict[str, tuple[Callable[[Path], Any], tuple[str, ...], int, str]] = {
    "one alone": (lambda s: None, RUNS[:1], 2, "expected two or more"),
    "twice": (lambda s: None, (RUNS[0], RUNS[1], "m0"), 2, f"{RUNS[0]} is named twice"),
    "unfinished": (lambda s: run(s, "other-0123456789", 9, state=""), (RUNS[0], "other"), 2,
                   "has delivered no model"),
    "other validation rows": (
        lambda s: run(s, "other-0123456789", 9, validation=finished.said(9, HELD[1:], 0.8)),
        (RUNS[0], "other"), 65, "1 of the 40 rows"),
    "other test rows": (
        lambda s: run(s, "other-0123456789", 9, test=finished.said(9, TEST[2:], 0.8)),
        (RUNS[0], "other"), 65, "2 of the 40 rows"),
    "no test rows": (lambda s: run(s, "other-0123456789", 9, test=None), (RUNS[0], "other"), 2,
                     "nothing that it said of the test rows"),
    "other labels": (
        lambda s: run(s, "other-0123456789", 9,
                      validation=finished.said(9, HELD, 0.8, labels=("a", "b"))),
        (RUNS[0], "other"), 65, "other labels"),
    "the same answers": (lambda s: run(s, "other-0123456789", 0), (RUNS[0], "other"), 65,
                         "say the same of every row"),
    "another store": (_other_store, (RUNS[0], "elsewhere/other-0123456789"), 2, "with the others"),
    "a table that is not there": (lambda s: None, (RUNS[0], "--validation", "none.csv"), 66,
                                  "none.csv"),
    "a table without probabilities": (
        lambda s: (s.parent / "t.csv").write_text("text,label\na,sun\n"),
        (RUNS[0], "--validation", "t.csv"), 65, "no column p_LABEL"),
    "a table of other rows": (
        lambda s: table(s.parent / "t.csv", "test", 1), (RUNS[0], "--validation", "t.csv"), 65, ""),
    "a table of too few": (
        lambda s: table(s.parent / "t.csv", "validation", 1, rows=39),
        (RUNS[0], "--validation", "t.csv"), 65, "1 of the 40 rows"),
    "a table of other classes": (
        lambda s: table(s.parent / "t.csv", "validation", 1, spelt=("a", "b")),
        (RUNS[0], "--validation", "t.csv"), 65, "other labels"),
    "a --test too many": (
        lambda s: table(s.parent / "t.csv", "validation", 1),
        (RUNS[0], "--validation", "t.csv", "--test", "t.csv", "--test", "t.csv"), 2,
        "one for each of the 1"),
    "a folder that is no model": (lambda s: None, (RUNS[0], "rows"), 2, "config.json"),
    "a file that is no run": (lambda s: None, (RUNS[0], "rows/train.csv"), 2, "--validation rows"),
    "a folder alone": (lambda s: classifier(s.parent / "m"), ("m", "m"), 2, "latest m"),
    "a folder twice": (lambda s: classifier(s.parent / "m"), (RUNS[0], "m", "m"), 2, "named twice"),
    "a folder of other classes": (
        lambda s: classifier(s.parent / "m", ("sea", "sky")), (RUNS[0], "m"), 65,
        "knows other labels: sea, sky; expected sea, sun"),
    "a file twice": (
        lambda s: table(s.parent / "t.csv", "validation", 1),
        (RUNS[0], "--validation", "t.csv", "--validation", "t.csv"), 2, "named twice"),
    "an unknown kind": (lambda s: None, (*RUNS, "--how", "gready"), 2, "did you mean 'greedy'"),
    "a bad name": (lambda s: None, (*RUNS, "--name", "My Ensemble"), 2, "lower case"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_combined_is_one_clear_line(store: Path, agnews: Any, name: str) -> None:
    make, words, code, message = WRONG[name]
    make(store)
    before = {path.name for path in store.iterdir()}
    done = agnews("ensemble", *words)
    said = " ".join(done.err.split())
    assert done.code == code and message in said and "Traceback" not in said, done.err
    begun = {path.name for path in store.iterdir()} - before
    assert all(one.startswith("given.") for one in begun), "nothing was begun"


def test_speeds_of_several_machines_are_not_added_up() -> None:
    one = Latency(one_text_s=0.01, rows_per_s=50, texts=30, machine="a")
    two = one.model_copy(update={"one_text_s": 0.03})
    assert together([one, two]).one_text_s == pytest.approx(0.04)  # type: ignore[union-attr]
    assert together([one, two.model_copy(update={"machine": "b"})]) is None
    assert together([one, None]) is None


# ---- how, in words ------------------------------------------------------------------------------


def test_a_combiner_is_typed_with_its_fields() -> None:
    assert combiner_words.read("stack, by=neural") == Stack(by="neural")
    assert combiner_words.read("greedy,picks=3,bags=5") == Greedy(picks=3, bags=5)
    assert combiner_words.read("blend,dynamic=true") == Blend(dynamic=True)
    assert completion.combiners("") == list(combiner_words.KINDS)


@pytest.mark.parametrize("kind", combiner_words.KINDS)
def test_each_kind_is_typed_by_its_name_and_refuses_a_field_that_it_has_not(kind: str) -> None:
    assert combiner_words.read(kind).kind == kind
    with pytest.raises(ValueWrong, match="colour=red"):
        combiner_words.read(f"{kind},colour=red")


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("gready", "did you mean 'greedy'"),
        ("greedy,pick=3", "did you mean 'picks'"),
        ("greedy,picks=many", "many"),
        ("greedy,picks=0", "1"),
        ("greedy,picks", "picks=…"),
        ("greedy,picks=1,picks=2", "once"),
        ("stack,by=forest", "'logistic'"),
        ("", "one of auto"),
    ],
)
def test_what_cannot_be_read_says_what_is_expected(typed: str, words: str) -> None:
    with pytest.raises(ValueWrong, match=words) as refused:
        combiner_words.read(typed)
    assert "agnews ensemble --help" in refused.value.advice
