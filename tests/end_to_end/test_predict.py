"""`agnews predict` whole: real files, the real command, a real model in a process of its own."""

from __future__ import annotations

import csv
import gzip
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
pytest.importorskip("sklearn")
pytest.importorskip("safetensors")

from agnews_cli.core.run.dataset import Dataset  # noqa: E402
from agnews_cli.store.model import delivered  # noqa: E402
from agnews_cli.store.run import runs  # noqa: E402
from agnews_cli.store.settings import presets  # noqa: E402

MONEY = ("shares fell on weak profit", "the bank raised its rate", "oil prices rose again")
SPORT = ("the striker scored twice", "the coach left the club", "a late goal won the cup")


def make_run(store: Path, name: str = "words-0123456789", **facts) -> Path:
    """A finished run with a linear model that knows money from sport, made in a second."""
    from agnews_cli.learn.models.linear import Linear

    texts = [f"{text} in week {n}" for n in range(20) for text in (*MONEY, *SPORT)]
    classes = np.array([0, 0, 0, 1, 1, 1] * 20)
    dataset = Dataset.model_construct(name="d")  # all that a folder's making asks of it
    folder = runs.create(
        store, name, preset=presets.load("minilm"), dataset=dataset, seed=0, now=datetime.now(UTC)
    )
    model = Linear.fit(texts, classes, texts[:12], classes[:12], count=2, seed=0)
    model.save(folder.path / "linear")
    delivery = {
        "schema": "agnews.delivery/1",
        "labels": ["money", "sport"],
        "label_values": ["money", "sport"],
        "text_columns": ["notes"],
        "label_column": "topic",
        "id_column": None,
        "cleaning": "news",
        "max_length": 128,
        "members": [{"name": "linear", "kind": "linear", "folder": "linear", "share": 1.0}],
    }
    (folder.path / "delivery.json").write_text(json.dumps(delivery | facts))
    return folder.path


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    found = tmp_path_factory.mktemp("store")
    make_run(found)
    return found


@pytest.fixture
def predict(agnews, store):
    """`predict RUN …` on the shared run."""
    return lambda *arguments, **env: agnews(
        "predict", "latest", "--store", store, *arguments, **env
    )


def piped(store: Path, text: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "agnews_cli", "predict", "latest", "--store", store]
    return subprocess.run(
        [*map(str, command), *map(str, arguments)],
        input=text, capture_output=True, text=True, cwd=cwd, check=False, timeout=120,
    )  # fmt: skip


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# ---- columns ------------------------------------------------------------------------------------


def test_the_columns_are_those_of_training_and_are_named(predict, tmp_path):
    (tmp_path / "in.csv").write_text(
        "title,notes\nTicket 1,shares fell on profit\nTicket 2,the striker scored\n"
    )
    done = predict("--file", "in.csv", "--out", "o.csv")
    assert (done.code, done.out) == (0, "")
    assert "text = notes, as in training" in done.err
    found = rows(tmp_path / "o.csv")
    assert [row["label"] for row in found] == ["money", "sport"]
    assert list(found[0]) == ["title", "notes", "label", "p_money", "p_sport"]


def test_a_column_that_is_not_there_is_named_with_the_way_out(predict, tmp_path):
    (tmp_path / "in.csv").write_text("title,body\nA,shares fell\n")
    done = predict("--file", "in.csv", "--out", "o.csv")
    assert done.code == 65
    assert "there is no column 'notes'; it has title, body" in done.err
    assert "--text-column NAME" in done.err
    assert not (tmp_path / "o.csv").exists()
    assert predict("--file", "in.csv", "--text-column", "body").code == 0


def test_more_columns_than_the_run_has_are_refused(predict, tmp_path):
    (tmp_path / "in.csv").write_text("a,b\nA,shares fell\n")
    done = predict("--file", "in.csv", "--text-column", "a", "--text-column", "b")
    assert done.code == 2
    assert "learnt from 1 (notes)" in done.err


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("in.csv", ""),
        ("in.csv", "notes\n"),
        ("in.csv", "Notes\n"),
        ("in.csv", "text\n"),
        ("in.txt", ""),  # any other first line than the run's is a text there
        ("in.txt", "Notes\n"),
    ],
)
def test_a_file_of_texts_alone_loses_none_of_them(predict, tmp_path, name, first):
    texts = "shares fell on weak profit\nthe striker scored twice\nthe coach left\n"
    (tmp_path / name).write_text(first + texts)
    done = predict("--file", name, "--out", "o.jsonl")
    assert done.code == 0, done.err
    lines = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [line["label"] for line in lines] == ["money", "sport", "sport"]


def test_no_header_makes_the_first_row_a_text(predict, tmp_path):
    (tmp_path / "in.csv").write_text("notes\nthe striker scored\n")
    assert predict("--file", "in.csv", "--no-header", "--out", "o.csv").code == 0
    assert len(rows(tmp_path / "o.csv")) == 2


def test_files_without_a_header_go_by_place(agnews, tmp_path):
    make_run(tmp_path / "runs", text_columns=["title", "description"], label_column="class")
    (tmp_path / "in.csv").write_text('3,"Oil prices","rose again"\n2,"Striker","scored twice"\n')
    done = agnews("predict", "latest", "--store", "runs", "--file", "in.csv", "--out", "o.csv")
    assert done.code == 0, done.err
    assert [row["label"] for row in rows(tmp_path / "o.csv")] == ["money", "sport"]
    assert "text = title + description" in done.err


# ---- cells --------------------------------------------------------------------------------------

BAD = (
    '{"id":1,"notes":"the striker scored"}\n{"id":2}\n{"id":3,"notes":null}\n'
    '{"id":4,"notes":NaN}\n{"id":5,"notes":["a","b"]}\n{"id":6,"notes":" "}\n'
)


def test_rows_without_text_are_counted_and_shown(predict, tmp_path):
    (tmp_path / "in.jsonl").write_text(BAD)
    done = predict("--file", "in.jsonl", "--out", "o.csv")
    assert done.code == 65
    assert "5 of 6 rows have no text: line 2 (absent), line 3 (null), line 4 (NaN)" in done.err
    assert "--skip-bad-rows" in done.err
    assert not (tmp_path / "o.csv").exists()


def test_skipped_rows_stay_without_an_answer(predict, tmp_path):
    (tmp_path / "in.jsonl").write_text(BAD)
    done = predict("--file", "in.jsonl", "--out", "o.jsonl", "--skip-bad-rows")
    assert done.code == 0
    assert "5 of 6 rows" in done.err
    found = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [row["id"] for row in found] == [1, 2, 3, 4, 5, 6]
    assert [row["label"] for row in found] == ["sport", *[None] * 5]
    assert "notes" not in found[1]
    assert found[4]["notes"] == ["a", "b"]
    assert "object at 0x" not in (tmp_path / "o.jsonl").read_text()


# ---- what is written ----------------------------------------------------------------------------

KEPT = "id,keyword,notes\n7,,<b>Shares</b> fell near\\the bank\n10,x,the striker scored\n"


@pytest.mark.parametrize("name", ["o.csv", "o.tsv", "o.jsonl", "o.parquet", "o.csv.gz", "O.CSV"])
def test_the_suffix_is_the_format_and_every_column_stays(predict, tmp_path, name):
    (tmp_path / "in.csv").write_text(KEPT)
    done = predict("--file", "in.csv", "--out", name)
    assert done.code == 0, done.err
    path = tmp_path / name
    if name.endswith(".parquet"):
        from pyarrow import parquet

        found = parquet.read_table(path).to_pylist()
    elif name.endswith(".jsonl"):
        found = [json.loads(line) for line in path.read_text().splitlines()]
    else:
        text = gzip.decompress(path.read_bytes()).decode() if "gz" in name else path.read_text()
        separator = "\t" if "tsv" in name else ","
        found = list(csv.DictReader(text.splitlines(), delimiter=separator))
    assert list(found[0]) == ["id", "keyword", "notes", "label", "p_money", "p_sport"]
    assert [row["id"] for row in found] == ["7", "10"]
    assert found[0]["notes"] == "<b>Shares</b> fell near\\the bank"
    assert [row["label"] for row in found] == ["money", "sport"]
    assert 0.5 < float(found[0]["p_money"]) <= 1


def test_parquet_keeps_its_types(predict, tmp_path):
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.table(
        {
            "day": pyarrow.array(
                [datetime(2026, 1, 2, tzinfo=UTC)] * 2, pyarrow.timestamp("us", "UTC")
            ),
            "tags": [["a"], []],
            "notes": ["shares fell", "the striker scored"],
        }
    )
    parquet.write_table(table, tmp_path / "in.parquet")
    assert predict("--file", "in.parquet", "--out", "o.parquet").code == 0
    found = parquet.read_table(tmp_path / "o.parquet")
    assert found.select(["day", "tags", "notes"]).equals(table)
    assert found.column("label").to_pylist() == ["money", "sport"]


def test_a_column_of_the_same_name_stays_and_the_answer_says_where_it_is(predict, tmp_path):
    (tmp_path / "in.csv").write_text("notes,label,p_money\nshares fell,x,y\n")
    done = predict("--file", "in.csv", "--out", "o.csv")
    assert "predicted_label, predicted_p_money" in done.err
    (row,) = rows(tmp_path / "o.csv")
    assert (row["label"], row["p_money"]) == ("x", "y")
    assert row["predicted_label"] == "money"


@pytest.mark.parametrize(
    ("out", "code", "word"),
    [
        ("o.xlsx", 2, "goes by the suffix"),
        ("o", 2, "it has none"),
        ("in.csv", 2, "the input file"),
        ("./sub/../in.csv", 2, "the input file"),
        ("soft.csv", 2, "the input file"),
        ("hard.csv", 2, "the input file"),
        ("folder.csv", 2, "it is a folder"),
        ("pipe.csv", 2, "a pipe or a device"),
        ("/dev/null", 2, "a pipe or a device"),
        ("missing/o.csv", 74, "mkdir -p"),
        ("in.csv/o.csv", 74, "is no folder"),
        ("/proc/o.csv", 74, "Cannot write"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_work(predict, tmp_path, out, code, word):
    (tmp_path / "in.csv").write_text(KEPT)
    (tmp_path / "sub").mkdir()
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "soft.csv").symlink_to("in.csv")
    (tmp_path / "hard.csv").hardlink_to(tmp_path / "in.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    done = predict("--file", "in.csv", "--out", out)
    assert done.code == code, done.err
    assert word in done.err
    assert "text = " not in done.err
    assert (tmp_path / "in.csv").read_text() == KEPT


def test_a_file_of_the_run_is_never_written_over(predict, store, tmp_path):
    (tmp_path / "in.csv").write_text(KEPT)
    (folder,) = store.glob("words-*")
    own = folder / "predictions.csv"
    own.write_text("mine\n")
    done = predict("--file", "in.csv", "--out", own)
    assert done.code == 2
    assert own.read_text() == "mine\n"


def test_without_out_csv_goes_to_standard_output_and_words_to_the_other(predict, tmp_path):
    (tmp_path / "in.csv").write_text(KEPT)
    done = predict("--file", "in.csv")
    found = list(csv.DictReader(done.out.splitlines()))
    assert [row["label"] for row in found] == ["money", "sport"]
    assert "text = notes" in done.err


def test_a_reader_that_leaves_early_is_no_error(store, tmp_path):
    body = "".join(f"shares fell {n}\n" for n in range(30_000))
    (tmp_path / "in.txt").write_text(body)
    command = f"{sys.executable} -m agnews_cli predict latest --store {store} --file in.txt"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | head -1"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "notes,label,p_money,p_sport\n"
    assert "error" not in done.stderr


@pytest.mark.parametrize(
    ("how", "text", "columns"),
    [
        (["-"], "shares fell\nthe striker scored, twice\n", 4),
        (["-"], '{"id": 1, "notes": "shares fell"}\n{"id": 2, "notes": "the striker"}\n', 5),
        (["--file", "-"], "id,notes\n1,shares fell\n2,the striker scored\n", 5),
        (["-"], "id\tnotes\n1\tshares fell\n2\tthe striker scored\n", 5),
    ],
)
def test_a_dash_is_standard_input_by_its_content(store, tmp_path, how, text, columns):
    done = piped(store, text, *how, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = list(csv.reader(done.stdout.splitlines()))
    assert len(found[0]) == columns
    labels = [row[found[0].index("label")] for row in found[1:]]
    assert labels == ["money", "sport"]


@pytest.mark.parametrize("text", ["", "\n\n", "id,notes\n"])
def test_nothing_on_standard_input_is_said_of_standard_input(store, tmp_path, text):
    done = piped(store, text, "-", cwd=tmp_path)
    assert done.returncode == 65
    assert "standard input holds no rows" in done.stderr
    assert "agnews auto" not in done.stderr


def test_a_folder_of_texts_is_told_to_name_a_file(predict, tmp_path):
    (tmp_path / "it's").mkdir()
    done = predict("--file", "it's")
    assert done.code == 66
    assert "Name one of its files: ls " in done.err
    assert shlex.split(done.err.split("files: ")[1])[1].endswith("it's")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_lines_are_read_in_the_encoding_that_their_bytes_show(predict, tmp_path, encoding):
    (tmp_path / "in.txt").write_bytes("shares fell\nthe café\n".encode(encoding))
    done = predict("--file", "in.txt")
    assert done.code == 0, done.err
    assert [row["notes"] for row in csv.DictReader(done.out.splitlines())] == [
        "shares fell", "the café",
    ]  # fmt: skip
    wrong = predict("--file", "in.txt", "--encoding", "klingon")
    assert wrong.code == 2
    assert "no text encoding" in wrong.err


def test_texts_as_arguments_are_a_table_or_json(predict):
    done = predict("shares fell", "the striker scored")
    assert done.code == 0
    assert "money" in done.out
    assert "the striker scored" in done.out
    found = predict("shares fell", "--json").json
    assert found[0]["label"] == "money"
    assert found[0]["probabilities"]["money"] > 0.5
    empty = predict("shares fell", " ")
    assert empty.code == 65
    assert "1 of 2 rows have no text: line 2 (empty)" in empty.err


# ---- labels in the file -------------------------------------------------------------------------


def test_labels_in_the_file_give_figures_with_counts(predict, tmp_path):
    body = "".join(f"{text},{label}\n" for label, texts in (("money", MONEY), ("sport", SPORT))
                   for text in texts)  # fmt: skip
    (tmp_path / "in.csv").write_text(
        "notes,topic\n" + body + "shares fell,sport\nshares fell,\nshares fell,weather\n"
    )
    done = predict("--file", "in.csv", "--out", "o.csv", "--json")
    assert done.code == 0, done.err
    assert "accuracy 85.7% (6 of 7), 95% interval 48.7 to 97.4" in done.err
    assert "macro-F1 85." in done.err
    assert "not counted: 1 with no label, 1 with a label that is no class of the run" in done.err
    assert done.json["evaluation"]["right"] == 6
    assert done.json["rows_with_unknown_label"] == 1


def test_numbers_for_labels_are_one_class_however_they_are_spelt(agnews, tmp_path):
    make_run(tmp_path / "runs", label_values=["0", "1"], labels=["money", "sport"])
    (tmp_path / "in.jsonl").write_text(
        "".join(
            json.dumps({"notes": text, "topic": label}) + "\n"
            for text, label in zip((*MONEY, *SPORT), (0, 0.0, "0", "1", 1.0, "sport"), strict=True)
        )
    )
    done = agnews("predict", "latest", "--store", "runs", "--file", "in.jsonl", "--out", "o.csv")
    assert "(6 of 6)" in done.err


# ---- the model ----------------------------------------------------------------------------------


def test_a_copied_folder_of_a_model_answers_like_the_run(agnews, store, tmp_path):
    (folder,) = store.glob("words-*")
    shutil.copytree(folder / "linear", tmp_path / "model")
    card = {
        "schema": "agnews.model/1", "labels": ["money", "sport"], "max_length": 128,
        "text_columns": ["notes"], "label_column": "topic", "cleaning": "news", "base": None,
        "kind": "linear",
    }  # fmt: skip
    (tmp_path / "model" / "agnews.json").write_text(json.dumps(card))
    (tmp_path / "in.csv").write_text(KEPT)
    done = agnews("predict", "model", "--file", "in.csv")
    assert done.code == 0, done.err
    assert [row["label"] for row in csv.DictReader(done.out.splitlines())] == ["money", "sport"]
    by_path = agnews("predict", folder, "shares fell", "--json")
    assert by_path.json[0]["label"] == "money"


def test_any_sequence_classifier_in_hugging_face_form_answers(agnews, tmp_path):
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "shares", "fell"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    tokenizer = transformers.BertTokenizerFast(vocab_file=str(tmp_path / "vocab.txt"))
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = transformers.BertConfig(
        vocab_size=len(words),
        intermediate_size=8,
        id2label={0: "up", 1: "down", 2: "flat"},
        **sizes,
    )
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path / "found")
    tokenizer.save_pretrained(tmp_path / "found")
    (tmp_path / "in.csv").write_text("id,text\n1,shares fell\n")
    done = agnews("predict", "found", "--file", "in.csv")
    assert done.code == 0, done.err
    assert done.out.splitlines()[0] == "id,text,label,p_up,p_down,p_flat"
    assert "text = text, by its name" in done.err
    (tmp_path / "other.csv").write_text("id,words\n1,shares fell\n")
    assert "does not say what its texts were called" in agnews(
        "predict", "found", "--file", "other.csv"
    ).err  # fmt: skip


def test_a_run_of_before_says_its_columns_in_its_job(agnews, tmp_path):
    folder = make_run(tmp_path / "runs", text_columns=[], label_column=None, label_values=[])
    job = {"run": "x", "dataset": {"text_columns": ["body"], "label_column": "topic", "new": 1}}
    (folder / "job.json").write_text(json.dumps(job))
    (tmp_path / "in.csv").write_text("body,topic\nshares fell,money\n")
    done = agnews("predict", "latest", "--store", "runs", "--file", "in.csv")
    assert "text = body, as in training" in done.err
    assert "(1 of 1)" in done.err


def test_a_folder_that_is_no_model_says_what_was_looked_for(agnews, tmp_path):
    (tmp_path / "empty").mkdir()
    done = agnews("predict", "empty", "a text")
    assert done.code == 2
    assert "delivery.json, agnews.json or config.json" in done.err
    (tmp_path / "empty" / "config.json").write_text('{"architectures": ["BertForMaskedLM"]}')
    done = agnews("predict", "empty", "a text")
    assert done.code == 2
    assert "BertForMaskedLM" in done.err


def test_damaged_weights_are_named(agnews, tmp_path):
    folder = make_run(tmp_path / "runs")
    weights = folder / "linear" / "words.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    done = agnews("predict", "latest", "a text", "--store", "runs")
    assert done.code == 74
    assert "words.safetensors cannot be loaded" in done.err
    assert "Traceback" not in done.err


def spoil(path: Path, how: str) -> None:
    """Damage a file: its end cut off, its weights no numbers or others, or nothing left."""
    from safetensors.numpy import load_file, save_file

    if how == "cut":
        path.write_bytes(path.read_bytes()[:-5])
    elif how == "missing":
        path.unlink()
    else:
        arrays = load_file(path)
        arrays["weights"] = arrays["weights"] * np.float32("nan" if how == "nan" else 0.5)
        save_file(arrays, path)


@pytest.mark.parametrize(
    ("name", "how", "word"),
    [
        ("delivery.json", "cut", "delivery.json does not describe"),
        ("linear/agnews.json", "cut", "agnews.json does not describe"),
        ("linear/words.json", "missing", "words.json cannot be loaded: No such file"),
        ("linear/words.safetensors", "cut", "words.safetensors cannot be loaded: its SHA-256"),
        ("linear/words.safetensors", "other", "words.safetensors cannot be loaded: its SHA-256"),
        ("linear/words.safetensors", "nan", "words.safetensors cannot be loaded: its SHA-256"),
    ],
)
def test_no_damaged_delivery_answers(agnews, tmp_path, name, how, word):
    folder = make_run(tmp_path / "runs")
    card = {"labels": ["money", "sport"], "max_length": 128, "kind": "linear"}
    card["files"] = delivered.digests_of(folder / "linear")
    (folder / "linear" / "agnews.json").write_text(json.dumps(card))
    spoil(folder / name, how)
    done = agnews("predict", "latest", "a text", "--store", "runs", "--json")
    assert done.code in (2, 74)
    assert word in done.json["error"]["message"]
    assert done.err.count("error:") == 1 and "Traceback" not in done.err


def test_weights_that_give_no_numbers_give_no_answer(agnews, tmp_path):
    """Of a run whose delivery does not say what its files were."""
    folder = make_run(tmp_path / "runs")
    spoil(folder / "linear" / "words.safetensors", "nan")
    (tmp_path / "in.csv").write_text(KEPT)
    done = agnews("predict", "latest", "--store", "runs", "--file", "in.csv", "--out", "o.csv")
    assert done.code == 74
    assert str(folder / "linear") in done.err and "is no number" in done.err
    assert not (tmp_path / "o.csv").exists()


@pytest.mark.parametrize("lies", ["../elsewhere", "/tmp"])
def test_a_delivery_names_no_folder_outside_the_run(agnews, tmp_path, lies):
    member = {"name": "linear", "kind": "linear", "folder": lies, "share": 1.0}
    make_run(tmp_path / "runs", members=[member])
    done = agnews("predict", "latest", "a text", "--store", "runs")
    assert done.code == 2
    assert f"{lies!r}, which is no folder of the run" in done.err


EVIL = "open({!r}, 'a').write('ran')\nclass Config: ...\nclass Model: ...\n"


@pytest.mark.parametrize("settings", ["config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("command", ["predict", "auto"])
def test_code_that_a_model_brings_is_never_run(tmp_path, agnews, settings, command):
    """Nothing of the model is loaded, and no "y" on standard input changes that."""
    folder = make_run(tmp_path / "runs")
    model = folder / "linear"
    ran = tmp_path / "ran"
    (model / "evil.py").write_text(EVIL.format(str(ran)))
    (model / "config.json").write_text('{"model_type": "evil"}')
    auto_map = {"AutoConfig": "evil.Config", "AutoTokenizer": ["evil.Model", None]}
    facts = {"model_type": "evil", "auto_map": auto_map, "architectures": ["Model"]}
    (model / settings).write_text(json.dumps(facts))
    arguments = {
        "predict": ["predict", "latest", "a text", "--store", "runs"],
        "auto": ["auto", "--preset", "minilm", "--set", f"model.id={model}", "--store", "runs"],
    }[command]
    done = subprocess.run(
        [sys.executable, "-m", "agnews_cli", *arguments], input="y\n" * 9, cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert f"{model / settings} asks for Python code" in done.stderr
    assert done.stderr.count("error:") == 1
    assert not ran.exists()


# ---- the process --------------------------------------------------------------------------------


@pytest.fixture
def many(tmp_path) -> Path:
    body = "".join(f"{n},{(MONEY + SPORT)[n % 6]} number {n}\n" for n in range(200_000))
    (tmp_path / "many.csv").write_text("id,notes\n" + body)
    return tmp_path / "many.csv"


def begun(store: Path, tmp_path: Path, *arguments: object) -> tuple[subprocess.Popen, int]:
    """A prediction that goes on, and its worker's process id."""
    import psutil

    (tmp_path / "temporary").mkdir()
    command = [sys.executable, "-m", "agnews_cli", "predict", "latest", "--store", store]
    process = subprocess.Popen(
        [*map(str, command), *map(str, arguments)], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"TMPDIR": str(tmp_path / "temporary")},
    )  # fmt: skip
    end_s = time.monotonic() + 60
    while time.monotonic() < end_s:
        workers = [
            child.pid
            for child in psutil.Process(process.pid).children()
            if "agnews_cli.learn.predict" in child.cmdline()
        ]
        if workers and psutil.Process(workers[0]).memory_info().rss > 100 << 20:
            return process, workers[0]  # the model is loaded: rows are predicted
        time.sleep(0.05)
    raise AssertionError("the worker did not begin")


def lives(pid: int) -> bool:
    import psutil

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


STOPS = {  # as training's stops
    signal.SIGINT: (130, "Interrupted"),
    signal.SIGTERM: (143, "The system or another program asked this command to end"),
    signal.SIGHUP: (129, "The terminal, notebook or program that read this command is gone"),
}


@pytest.mark.parametrize("number", [signal.SIGKILL, *STOPS])
def test_the_worker_ends_with_the_command_and_nothing_stays(store, tmp_path, many, number):
    process, worker = begun(store, tmp_path, "--file", many, "--out", "o.csv")
    time.sleep(0.5)
    process.send_signal(number)
    end_s = time.monotonic() + 2
    while lives(worker) and time.monotonic() < end_s:
        time.sleep(0.02)
    assert not lives(worker)
    err = process.communicate(timeout=10)[1]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["many.csv", "temporary"]
    assert list((tmp_path / "temporary").iterdir()) == []
    if number != signal.SIGKILL:
        code, words = STOPS[number]
        assert process.returncode == code
        assert f"{words}; nothing was written." in err
        assert "Traceback" not in err


def test_many_rows_need_no_more_memory_than_few(store, tmp_path, many):
    import psutil

    process, worker = begun(store, tmp_path, "--file", many, "--out", "o.csv")
    peaks = {process.pid: 0, worker: 0}
    while process.poll() is None:
        for pid in peaks:
            if lives(pid):
                peaks[pid] = max(peaks[pid], psutil.Process(pid).memory_info().rss)
        time.sleep(0.1)
    assert process.communicate()[1].count("rows labelled in o.csv") == 1
    assert max(peaks.values()) < 350 << 20
    found = rows(tmp_path / "o.csv")
    assert len(found) == 200_000
    assert all(row["id"] == str(n) for n, row in enumerate(found))
    assert [row["label"] for row in found[-6:]] == [
        ("money", "money", "money", "sport", "sport", "sport")[n % 6]
        for n in range(199_994, 200_000)
    ]


# ---- competitions -------------------------------------------------------------------------------


@pytest.fixture
def competition(tmp_path) -> Path:
    folder = tmp_path / "disasters"
    folder.mkdir()
    (folder / "test.csv").write_text("id,notes\n12,the striker scored\n11,shares fell\n13,\n")
    (folder / "sample.csv").write_text("id,target\n11,0\n12,0\n13,0\n")
    return folder


@pytest.fixture
def numbered(tmp_path) -> Path:
    make_run(tmp_path / "runs", label_values=["0", "1"])
    return tmp_path / "runs"


def submit(agnews, *arguments):
    return agnews(
        "predict", "latest", "--store", "runs", "--file", "disasters/test.csv",
        "--out", "submission.csv", *arguments,
    )  # fmt: skip


def test_a_submission_has_the_samples_columns_order_and_spelling(
    agnews, tmp_path, competition, numbered
):
    done = submit(agnews, "--like", "disasters/sample.csv", "--id-column", "id")
    assert done.code == 0, done.err
    lines = (tmp_path / "submission.csv").read_text().splitlines()
    assert lines[:3] == ["id,target", "11,0", "12,1"]
    assert len(lines) == 4  # the row without text has an answer too
    assert "without text: line 4 (empty)" in done.err
    assert "kaggle competitions submit -c disasters -f" in done.err
    assert '-m "agnews words-0123456789"' in done.err


def test_fractions_and_class_columns_ask_for_probabilities(agnews, tmp_path, competition, numbered):
    (competition / "sample.csv").write_text("id,target\n11,0.5\n12,0.5\n13,0.5\n")
    done = submit(agnews, "--like", "disasters/sample.csv")
    assert "target is the probability of sport" in done.err
    found = rows(tmp_path / "submission.csv")
    assert float(found[0]["target"]) < 0.5 < float(found[1]["target"])
    (competition / "sample.csv").write_text("id,sport,money\n11,0,0\n12,0,0\n13,0,0\n")
    assert submit(agnews, "--like", "disasters/sample.csv").code == 0
    found = rows(tmp_path / "submission.csv")
    assert list(found[0]) == ["id", "sport", "money"]
    assert float(found[0]["money"]) > 0.5 > float(found[0]["sport"])


def test_ids_that_do_not_fit_are_counted(agnews, tmp_path, competition, numbered):
    (competition / "sample.csv").write_text("id,target\n11,0\n77,0\n78,0\n")
    done = submit(agnews, "--like", "disasters/sample.csv")
    assert done.code == 65
    assert "2 ids (77, 78) of the sample not in the file" in done.err
    assert "2 ids (12, 13) of the file not in the sample" in done.err
    assert not (tmp_path / "submission.csv").exists()


def test_without_a_sample_ids_and_labels_are_written(agnews, tmp_path, competition, numbered):
    assert submit(agnews, "--id-column", "id").code == 0
    lines = (tmp_path / "submission.csv").read_text().splitlines()
    assert lines[:3] == ["id,topic", "12,1", "11,0"]


# ---- in Python ----------------------------------------------------------------------------------


def test_importing_load_brings_nothing_heavy():
    code = "import sys; from agnews_cli import load; print(*(set(sys.modules) & {heavy}))"
    heavy = '{"torch", "numpy", "rich", "typer", "pydantic", "sklearn"}'
    command = [sys.executable, "-c", code.replace("{heavy}", heavy)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "\n"


def test_load_answers_as_the_command_does(store, predict, monkeypatch):
    from agnews_cli import load

    texts = ["shares fell on profit", "the striker scored"]
    told = json.loads(predict("--json", *texts).out)
    monkeypatch.chdir(store.parent)
    folder = store / "words-0123456789"
    with load("latest", store=store) as model:
        found = model.predict(texts)
        child = model._worker._process
        assert found.labels == ("money", "sport") == tuple(row["label"] for row in told)
        assert found.classes == model.classes == ("money", "sport")
        assert (found.probabilities.shape, found.probabilities.dtype) == ((2, 2), np.float32)
        shares = [list(row["probabilities"].values()) for row in told]
        assert np.allclose(found.probabilities, shares, atol=1e-6)
        assert model.predict("a late goal").labels == ("sport",)  # no list of letters
        assert model._worker._process is child  # it stays loaded
        assert model.predict([]).probabilities.shape == (0, 2)
        child.kill()
        child.wait(5)
        assert model.predict("profit").labels == ("money",)  # another is started
        child = model._worker._process
    child.wait(5)
    names = ("words-01", str(folder), folder)
    assert {load(name, store=store).folder for name in names} == {folder}


def test_what_load_cannot_do_is_an_error_of_ours_with_a_hint(store):
    from agnews_cli import load
    from agnews_cli.errors import RowsWithoutText, RunUnknown

    with pytest.raises(RunUnknown, match="No run 'nope'") as unknown:
        load("nope", store=store)
    assert "agnews runs" in unknown.value.advice
    for nothing in ("", "  ", None, float("nan")):
        with pytest.raises(RowsWithoutText, match="1 of 2 rows have no text: line 2"):
            load(store / "words-0123456789").predict(["profit", nothing])
