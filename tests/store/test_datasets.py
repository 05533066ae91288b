"""Good shapes are read as meant; every kind of bad input ends in its own error, place and hint."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import os
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import agnews_cli
from agnews_cli import errors
from agnews_cli.core.run.dataset import Dataset, Reading
from agnews_cli.store.data import datasets
from agnews_cli.store.data.class_names import AG_NEWS as AG_NEWS_NAMES
from agnews_cli.store.data.cleaning import clean
from agnews_cli.store.formats import hub_rows as hub_room

SAMPLE = Path(agnews_cli.__file__).parent / "sample"
AG_NEWS = Path(agnews_cli.__file__).parents[2] / "shared" / "data" / "ag_news"
GOOD = "label,text\na,one\nb,two\na,three\nb,four\n"
OFFICIAL = '"1","T1","D1"\n"2","T2","D2"\n"1","T3","D3"\n"2","T4","D4"\n'


def write(path: Path, content: str | bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def jsonl(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def parquet(path: Path, columns: dict[str, list[Any]]) -> str:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as pq

    pq.write_table(pyarrow.table(columns), path)
    return str(path)


def texts(dataset: Dataset) -> list[str]:
    return list(datasets.read(dataset, "train").texts)


# ---- good shapes --------------------------------------------------------------------------------


def test_sample_is_official_form() -> None:
    found = datasets.find(str(SAMPLE))
    assert found.name == "sample"
    assert found.labels == ("World", "Sports", "Business", "Sci/Tech")
    assert found.label_values == ("1", "2", "3", "4")
    assert (found.text_columns, found.label_column) == (("title", "description"), "class")
    assert not found.train.form.header and found.train.rows == 480
    assert found.test is not None and found.test.rows == 120 and found.validation is None
    assert found.train.sha256 == hashlib.sha256((SAMPLE / "train.csv").read_bytes()).hexdigest()
    assert any("classes.txt" in note for note in found.notes)
    rows = datasets.read(found, "train")
    assert len(rows.texts) == len(rows.classes) == 480
    assert sorted(set(rows.classes)) == [0, 1, 2, 3]
    assert rows.classes[0] == 1 and rows.texts[0].startswith("Federation elects first woman")


@pytest.mark.skipif(not AG_NEWS.is_dir(), reason="the real AG News is not here")
def test_real_ag_news_is_read_whole_fast_and_mended() -> None:
    started = time.process_time()
    found = datasets.find(str(AG_NEWS))
    assert time.process_time() - started < 1.5  # 0.15 s when the machine is free
    assert found.train.rows == 10_000
    assert found.test is not None and found.test.rows == 7_600
    test = datasets.read(found, "test")
    assert [test.classes.count(i) for i in range(4)] == [1900] * 4
    everything = " ".join([*test.texts, *texts(found)])
    for damage in (" #39;", " quot;", "\\", "&lt;", "<b>", "</", "  ", "\n"):
        assert damage not in everything, damage
    assert "<TXN.N>" in everything


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("Messier #39;s lawyer", "Messier's lawyer"),
        ("fuels.  quot;I am an expert, quot; he said", 'fuels. "I am an expert," he said'),
        ("quot;At the start", '"At the start'),
        ("a second\\team", "a second team"),
        ("\\$1.35 million, the  #36;10 prize", "$1.35 million, the $10 prize"),
        ("AT amp;T and &amp; Co", "AT&T and & Co"),
        ("&lt;b&gt;Bold&lt;/b&gt; news", "Bold news"),
        ("Inc. &lt;TXN.N&gt; rose", "Inc. <TXN.N> rose"),
        ('a<br/>b <A HREF="x">c</A>', "a b c"),
        ("  a \t b\u00a0c\n", "a b c"),
        ("ticket #39 and #1234; 3 < 4; x > y", "ticket #39 and\u04d2 3 < 4; x > y"),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_clean(raw: str, cleaned: str) -> None:
    assert clean(raw, "news") == cleaned


@dataclass
class Shape:
    name: str
    content: str
    text: tuple[str, ...]
    label: str
    first: str
    labels: tuple[str, ...] = ("a", "b")
    options: dict[str, Any] = field(default_factory=dict)


def table(header: str, *rows: str) -> str:
    return "\n".join([header, *rows]) + "\n"


SHAPES = {
    "label, text": Shape("x.csv", GOOD, ("text",), "label", "one"),
    "topic, body": Shape(
        "x.csv", GOOD.replace("label,text", "topic,body"), ("body",), "topic", "one"
    ),
    "description before title": Shape(
        "x.csv",
        table("Description,Title,Class Index", *["d,t,2", "d,t,10"] * 2),
        ("Title", "Description"),
        "Class Index",
        "t d",
        ("2", "10"),
    ),
    "only words left": Shape(
        "x.csv",
        table("id,was_gesagt,sentiment", "1,gut,a", "2,nein,b", "3,ja,a", "4,oh,b"),
        ("was_gesagt",),
        "sentiment",
        "gut",
    ),
    "best label of two": Shape(
        "x.csv",
        table("label_text,text,label", *["neg,one,0", "pos,two,1"] * 2),
        ("text",),
        "label",
        "one",
        ("0", "1"),
    ),
    "options win": Shape(
        "x.csv",
        table("label,text,Kind,note", "1,x,a,n1", "2,x,b,n2", "3,x,a,n3", "4,x,b,n4"),
        ("note", "text"),
        "Kind",
        "n1 x",
        options={"text_columns": ("note", "text"), "label_column": "kind"},
    ),
    "BOM, CRLF, blank lines": Shape(
        "x.csv",
        "\ufeff" + GOOD.replace("\n", "\r\n").replace("b,", "\r\nb,"),
        ("text",),
        "label",
        "one",
    ),
    "quoted line break": Shape(
        "x.CSV", GOOD.replace("one", '"o\nn""e"'), ("text",), "label", 'o n"e'
    ),
    "headerless file": Shape(
        "x.csv", OFFICIAL, ("title", "description"), "class", "T1 D1", ("1", "2")
    ),
    "headerless, two columns, first text a column's name": Shape(
        "x.csv", "1,Review\n2,no\n1,c\n2,d\n", ("text",), "class", "Review", ("1", "2")
    ),
    "tsv": Shape("x.tsv", GOOD.replace(",", "\t"), ("text",), "label", "one"),
    "tsv with plain quotes": Shape(
        "x.tsv",
        table("text\tlabel", '"so" he\ta', "x\tb") + '"y\ta\nz\tb\n',
        ("text",),
        "label",
        '"so" he',
    ),
    "jsonl": Shape(
        "x.jsonl",
        "\n" + jsonl(*[{"id": 1, "title": None, "text": "one", "label": v} for v in [True, 0] * 2]),
        ("title", "text"),
        "label",
        "one",
        ("0", "1"),
    ),
    "jsonl with line separators": Shape(
        "x.jsonl",
        '{"text": "o\u2028ne", "y": "b"}\n' + jsonl(*[{"y": v, "text": v} for v in "aab"]),
        ("text",),
        "y",
        "o ne",
    ),
    "long field": Shape(
        "x.csv", GOOD.replace("one", "w " * 200_000), ("text",), "label", ("w " * 200_000).strip()
    ),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_shapes(shape: Shape, tmp_path: Path) -> None:
    found = datasets.find(write(tmp_path / shape.name, shape.content), Reading(**shape.options))
    assert found.name == "x"
    assert (found.text_columns, found.label_column) == (shape.text, shape.label)
    assert found.labels == found.label_values == shape.labels
    assert found.test is None and found.train.rows == 4
    assert found.notes[0].startswith(f"text = {' + '.join(shape.text)}, label = {shape.label} (")
    rows = datasets.read(found, "train")
    assert rows.texts[0] == shape.first
    assert set(rows.classes) == {0, 1}


def test_parquet_and_a_float_label(tmp_path: Path) -> None:
    source = parquet(tmp_path / "p.parquet", {"text": list("wxyz"), "label": [1.0, 10.0, 2.0, 1.0]})
    with pytest.raises(errors.TooFewRows):
        datasets.find(source)
    source = parquet(tmp_path / "p.parquet", {"text": list("wxyz"), "label": [2.0, 10.0] * 2})
    found = datasets.find(source)
    assert found.labels == ("2", "10") and found.train.form.format == "parquet"
    assert list(datasets.read(found, "train").classes) == [0, 1, 0, 1]


def test_folder_with_mixed_formats_and_other_split_names(tmp_path: Path) -> None:
    write(tmp_path / "d" / "train.csv", GOOD)
    write(tmp_path / "d" / "train.json", "{}")
    write(tmp_path / "d" / "dev.jsonl", jsonl({"Text": "v", "label": "b"}))
    write(tmp_path / "d" / "TEST.tsv", "text\tlabel\nt\ta\n")
    found = datasets.find(str(tmp_path / "d"))
    assert found.validation is not None and found.validation.form.format == "jsonl"
    assert found.test is not None and found.test.form.format == "tsv"
    assert list(datasets.read(found, "validation").classes) == [1]
    assert list(datasets.read(found, "test").texts) == ["t"]
    assert "train.json is not used" in found.notes


def test_class_names(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    rows = [f"{c},T,D" for c in (4, 3, 2, 1)] * 2
    write(folder / "train.csv", "\n".join(rows))
    assert datasets.find(str(folder)).labels == AG_NEWS_NAMES
    assert datasets.find(str(folder / "train.csv")).labels == ("1", "2", "3", "4")
    write(folder / "classes.txt", "A\nB\nC\nD\nE\n\n")
    assert datasets.find(str(folder)).labels == ("A", "B", "C", "D")
    write(
        folder / "train.csv",
        "label,text\n" + "\n".join(f"{c},T" for c in (0, 3)) * 1 + "\n0,x\n3,y",
    )
    assert datasets.find(str(folder)).labels == ("A", "D")  # counted from 0
    write(folder / "train.csv", GOOD)
    write(folder / "classes.txt", "b\na\n")
    found = datasets.find(str(folder))
    assert found.labels == found.label_values == ("b", "a")
    assert list(datasets.read(found, "train").classes) == [1, 0, 1, 0]


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    found = datasets.find(write(tmp_path / "x.csv", GOOD))
    write(tmp_path / "x.csv", GOOD.replace("two", "2"))
    with pytest.raises(errors.DataChanged, match=r"x.csv changed") as caught:
        datasets.read(found, "train")
    assert caught.value.exit_code == 65
    with pytest.raises(ValueError, match="no test split"):
        datasets.read(found, "test")


def test_nothing_heavy_is_imported() -> None:
    import subprocess

    code = (
        "import sys; from agnews_cli.store.data import datasets as d; d.find(sys.argv[1]); "
        "print([m for m in ('torch','numpy','pandas','pyarrow','datasets') if m in sys.modules])"
    )
    root = str(SAMPLE.parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code, str(SAMPLE)], capture_output=True, text=True, cwd=root
    )
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


# ---- the hub, without network -------------------------------------------------------------------


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Callable[[object], None]:
    """Lets `load_dataset` give this, or raise it."""
    library = pytest.importorskip("datasets")

    def answer(result: object) -> None:
        def load(name: str) -> object:
            if isinstance(result, Exception):
                raise result
            return result

        monkeypatch.setattr(library, "load_dataset", load)
        monkeypatch.setattr(hub_room, "_answers", lambda: True)

    return answer


def hub_split(labels: list[int | None], **more: list[Any]) -> Any:
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    return Dataset.from_dict(
        {"text": [f"text {i}" for i in range(len(labels))], "label": labels} | more, features
    )


def test_hub(hub: Callable[[object], None]) -> None:
    hub({"train": hub_split([1, 0, 1, 0]), "valid": hub_split([1]), "test": hub_split([-1, -1])})
    found = datasets.find("owner/name")
    assert (found.name, found.train.path, found.train.part) == ("owner/name", "owner/name", "train")
    assert found.labels == ("neg", "pos") and found.label_values == ("0", "1")
    assert found.validation is not None and found.validation.part == "valid"
    assert found.test is None and any("no labels" in note for note in found.notes)
    assert len(found.train.sha256) == 64
    assert list(datasets.read(found, "train").classes) == [1, 0, 1, 0]
    hub({"train": hub_split([1, 1, 1, 0])})
    with pytest.raises(errors.DataChanged, match=r"owner/name \(train\)"):
        datasets.read(found, "train")


def test_hub_failures(hub: Callable[[object], None], monkeypatch: pytest.MonkeyPatch) -> None:
    hub(FileNotFoundError("Dataset 'owner/name' doesn't exist on the Hub or cannot be accessed."))
    with pytest.raises(errors.HubRefused, match=r"'owner/name'.*doesn't exist") as refused:
        datasets.find("owner/name")
    assert refused.value.exit_code == 69 and "hf auth login" in refused.value.advice
    hub(ConnectionError("Couldn't reach 'owner/name' on the Hub"))
    with pytest.raises(errors.HubUnreachable, match="'owner/name' is on the hub"):
        datasets.find("owner/name")
    hub({"validation": hub_split([1])})
    with pytest.raises(errors.NoTrainingSplit, match=r"owner/name: .*among validation"):
        datasets.find("owner/name")
    hub({"train": hub_split([1, 0, 1, None])})
    with pytest.raises(errors.BadRow, match=r"owner/name \(train\), line 4: no label") as bad:
        datasets.find("owner/name")
    assert "another data set" in bad.value.advice
    hub({"train": hub_split([])})
    with pytest.raises(errors.EmptyData, match=r"owner/name \(train\)"):
        datasets.find("owner/name")
    monkeypatch.setattr(hub_room, "_answers", lambda: False)
    with pytest.raises(errors.HubUnreachable):
        datasets.find("owner/name")


@pytest.mark.parametrize("module", ["pyarrow", "datasets"])
def test_missing_extra(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    file = write(tmp_path / "x.parquet", b"PAR1")
    with pytest.raises(errors.ExtraMissing, match=module) as caught:
        datasets.find(file if module == "pyarrow" else "owner/name")
    assert caught.value.exit_code == 69 and "agnews-cli[train]" in caught.value.advice


def test_parquet_that_is_wrong(tmp_path: Path) -> None:
    source = parquet(tmp_path / "x.parquet", {"text": ["a", "b", None], "label": [1, 2, 1]})
    with pytest.raises(errors.BadRow, match=r"x.parquet, line 3: no text in text") as caught:
        datasets.find(source)
    assert "counted from 1" in caught.value.advice
    source = parquet(tmp_path / "y.parquet", {"text": ["a", "b"], "labels": [[1], [2, 1]]})
    with pytest.raises(errors.BadRow, match=r"y.parquet, line 2: 'labels' has 2 labels"):
        datasets.find(source)
    source = parquet(tmp_path / "z.parquet", {"text": [], "label": []})
    with pytest.raises(errors.EmptyData, match=r"z.parquet"):
        datasets.find(source)
    whole = (tmp_path / "x.parquet").read_bytes()
    for damaged in (whole[:-20], b"PAR1" + whole[40:], whole[:4] + b"\xff" * 40 + whole[44:]):
        write(tmp_path / "d.parquet", damaged)
        with pytest.raises(errors.DataError, match=r"d.parquet"):
            datasets.find(str(tmp_path / "d.parquet"))


# ---- bad input ----------------------------------------------------------------------------------


@dataclass
class Bad:
    """`files` are written; `source` (the first file unless named) is given to find."""

    error: type[errors.AgnewsError]
    fragment: str
    files: dict[str, str | bytes]
    source: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    code: int = 65
    place: str | None = None


def two(name: str, content: str | bytes) -> dict[str, str | bytes]:
    return {"d/train.csv": GOOD, f"d/{name}": content}


XLS = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99)


def zipped(files: dict[str, str]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return held.getvalue()


XLSX = zipped({"xl/workbook.xml": "<x/>"})
MANY = "label,text\n" + "".join(f"id{i},text\n" for i in range(30))
BAD = {
    "missing file": Bad(errors.FileMissing, "no such file", {}, "nope.csv", code=66),
    "missing folder": Bad(errors.FileMissing, "no such file", {}, "a/b/c", code=66),
    "path too long": Bad(errors.FileMissing, "no such file", {}, "x" * 5000, code=66),
    "NUL in the path": Bad(errors.FileMissing, "no such file", {}, "a\0b", code=66),
    "empty file": Bad(errors.EmptyData, "no rows", {"x.csv": ""}),
    "only white space": Bad(errors.EmptyData, "no rows", {"x.csv": "\n \n"}),
    "only a BOM": Bad(errors.EmptyData, "no rows", {"x.csv": b"\xef\xbb\xbf\n"}),
    "only a header": Bad(errors.EmptyData, "no rows", {"x.csv": "label,text\n"}),
    "empty jsonl": Bad(errors.EmptyData, "no rows", {"x.jsonl": "\n\n"}),
    "empty JSON objects": Bad(errors.EmptyData, "no rows", {"x.jsonl": "{}\n{}\n"}),
    "too few fields": Bad(
        errors.BadRow,
        "line 4: 1 field; expected 2 (label, text)",
        {"x.csv": "label,text\na,1\n\nb\n"},
    ),
    "too many fields": Bad(
        errors.BadRow, "line 3: 3 fields", {"x.csv": "label,text\na,1\nb,2,3\n"}
    ),
    "ragged after a quoted line break": Bad(
        errors.BadRow, "line 4: 1 field", {"x.csv": 'label,text\na,"1\n2"\nb\n'}
    ),
    "ragged without header": Bad(errors.BadRow, "line 5: 2 fields", {"x.csv": OFFICIAL + "1,x\n"}),
    "open quote": Bad(
        errors.BadRow,
        "line 3: a quote that is never closed",
        {"x.csv": 'label,text\na,1\nb,"2\nc,3\n'},
    ),
    "bad quoting": Bad(errors.BadRow, "line 2: bad quoting", {"x.csv": 'label,text\na,"1"2\n'}),
    "field over the limit": Bad(
        errors.BadRow,
        "line 2: field larger than field limit",
        {"x.csv": f"label,text\na,{'x' * 10485761}\n"},
    ),
    "a separator that is none": Bad(
        errors.NoLabelColumn, "among column 1", {"x.csv": "label~text\na~1\nb~2\n"}
    ),
    "a name twice": Bad(
        errors.BadRow, "line 1: the column name 'text' twice", {"x.csv": "label,text,text\na,b,c"}
    ),
    "not UTF-8": Bad(
        errors.BadEncoding,
        "line 3: byte 0xcf at position 3 is not UTF-8",
        {"x.csv": b"label,text\na,1\nb,\xcf\xf0\xe8\xe2\xe5\xf2 \xec\xe8\xf0\n"},
    ),
    "not UTF-8 after a BOM": Bad(
        errors.BadEncoding,
        "line 1: byte 0xe9 at position 4 is not UTF-8",
        {"x.csv": b"\xef\xbb\xbf\xe9,text\na,1\n"},
    ),
    "half of UTF-16": Bad(
        errors.BadEncoding, "is not utf-16", {"x.csv": GOOD.encode("utf-16")[:-1]}
    ),
    "damaged UTF-8": Bad(
        errors.BadEncoding,
        "line 3: byte 0xff at position 3 is not UTF-8",
        {"x.csv": "label,text\na,żółć gęślą jaźń\nb,".encode() + b"\xff\n"},
    ),
    "not the encoding that was named": Bad(
        errors.BadEncoding,
        "line 2: byte 0xe9 at position 3 is not ascii",
        {"x.csv": b"label,text\na,\xe9\n"},
        options={"encoding": "ascii"},
    ),
    "an encoding that is none": Bad(
        errors.UnknownEncoding,
        "--encoding 'utf9'",
        {"x.csv": GOOD},
        options={"encoding": "utf9"},
        code=2,
        place="",
    ),
    "a codec that is no encoding": Bad(
        errors.UnknownEncoding,
        "--encoding 'rot13'",
        {"x.csv": GOOD},
        options={"encoding": "rot13"},
        code=2,
        place="",
    ),
    "NUL byte": Bad(
        errors.BadRow, "line 2: a NUL byte at position 3", {"x.csv": b"label,text\na,\0\n"}
    ),
    "bad JSON": Bad(
        errors.BadRow,
        "line 2: not JSON (",
        {"x.jsonl": jsonl({"label": 1, "text": "a"}) + '{"label": \n'},
    ),
    "an array of numbers": Bad(errors.BadRow, "line 1: a number", {"x.jsonl": "[1]\n"}),
    "a line that is a list": Bad(
        errors.BadRow, "line 2: a list", {"x.jsonl": jsonl({"label": 1, "text": "a"}, [1])}
    ),
    "an array without its end": Bad(
        errors.BadRow, "line 2: not JSON", {"x.json": '[{"label": 1, "text": "a"},'}
    ),
    "an array cut in a row": Bad(
        errors.BadRow, "line 2: not JSON", {"x.json": '[{"label": 1, "text": "a"},\n{"label": '}
    ),
    "an array with a text among its rows": Bad(
        errors.BadRow, "line 2: a text", {"x.json": '[{"label": 1, "text": "a"}, "b"]'}
    ),
    "an object that is no table": Bad(
        errors.NoTextColumn, "among a", {"x.json": '{\n"a": {"b": 1}\n}'}
    ),
    "an object cut": Bad(errors.BadRow, "not JSON", {"x.json": '{\n"text": ["a",'}),
    "JSON nested without end": Bad(errors.BadRow, "line 1: ", {"x.jsonl": "[" * 200_000 + "\n"}),
    "half a surrogate": Bad(
        errors.BadRow,
        "line 1: half a surrogate pair",
        {"x.jsonl": '{"label": 1, "text": "\\ud800"}\n'},
    ),
    "two labels in a list": Bad(
        errors.BadRow,
        "line 1: 'label' has 2 labels (1, 2)",
        {"x.jsonl": jsonl({"label": [1, 2], "text": "a"})},
    ),
    "text is an object": Bad(
        errors.BadRow, "line 1: 'text' is an object", {"x.jsonl": jsonl({"label": 1, "text": {}})}
    ),
    "no label key": Bad(
        errors.BadRow,
        "line 2: no label in 'label'",
        {"x.jsonl": jsonl({"label": 1, "text": "a"}, {"text": "b"})},
    ),
    "empty label": Bad(errors.BadRow, "line 3: no label", {"x.csv": "label,text\na,1\n ,2\n"}),
    "empty text": Bad(
        errors.BadRow, "line 3: no text in text", {"x.csv": "label,text\na,1\nb, \n"}
    ),
    "text of tags only": Bad(
        errors.BadRow, "line 2: no text", {"x.csv": "label,text\na,<p> </p>\n"}
    ),
    "empty title and body": Bad(
        errors.BadRow, "line 2: no text in title + body", {"x.csv": 'label,title,body\na,"",""\n'}
    ),
    "one class": Bad(errors.OneClass, "label 'a'", {"x.csv": "label,text\na,1\na,2\n"}),
    "one row in a class": Bad(
        errors.TooFewRows,
        "1 class with too few training rows",
        {"x.csv": "label,text\na,1\na,2\nb,3\n"},
    ),
    "an id as label": Bad(errors.TooManyClasses, "30 different labels in 30 rows", {"x.csv": MANY}),
    "test class not in training": Bad(
        errors.UnknownTestLabel,
        "class 'c' (line 3; 1 of 2 rows)",
        two("test.csv", "label,text\na,1\nc,2\n"),
        "d",
        place="test.csv",
    ),
    "validation class not in training": Bad(
        errors.UnknownTestLabel,
        "which has a, b",
        two("val.csv", "label,text\nc,2\n"),
        "d",
        place="val.csv",
    ),
    "ragged test file": Bad(
        errors.BadRow,
        "line 2: 3 fields",
        two("test.csv", "label,text\na,1,2\n"),
        "d",
        place="test.csv",
    ),
    "empty text in test": Bad(
        errors.BadRow, "line 2: no text", two("test.csv", "label,text\na,\n"), "d", place="test.csv"
    ),
    "test without the text": Bad(
        errors.ColumnMissing,
        "no column 'label'",
        two("test.csv", "id,note\n1,2\n"),
        "d",
        place="test.csv",
    ),
    "empty test file": Bad(errors.EmptyData, "no rows", two("test.csv", ""), "d", place="test.csv"),
    "folder without training file": Bad(
        errors.NoTrainingSplit,
        "among other.csv, test.csv",
        {"d/test.csv": GOOD, "d/other.csv": GOOD},
        "d",
        place="d",
    ),
    "empty folder": Bad(errors.NoTrainingSplit, "among no files", {}, ".", place=""),
    "training file of another kind": Bad(
        errors.UnsupportedFile, "not '.xlsx'", {"d/train.xlsx": b"PK"}, "d", place="train.xlsx"
    ),
    "a spreadsheet": Bad(errors.NotATable, "is an Excel workbook", {"x.xls": XLS}),
    "a spreadsheet called .csv": Bad(errors.NotATable, "is an Excel workbook", {"x.csv": XLSX}),
    "a text without columns": Bad(errors.UnsupportedFile, "not ''", {"x": "some words\n" * 5}),
    "Parquet in gzip": Bad(
        errors.BadParquet, "cannot be read as Parquet", {"x.gz": gzip.compress(b"PAR1")}
    ),
    "gzip cut": Bad(
        errors.BadArchive, "x.csv.gz", {"x.csv.gz": gzip.compress(GOOD.encode())[:-9]}, code=65
    ),
    "gzip damaged": Bad(
        errors.BadArchive,
        "x.csv.gz",
        {"x.csv.gz": gzip.compress(GOOD.encode() * 9)[:20] + b"\0" * 30},
        code=65,
    ),
    "bzip2 damaged": Bad(
        errors.BadArchive, "x.bz2", {"x.bz2": b"BZh91AY&SY" + b"\1" * 40}, code=65
    ),
    "xz cut": Bad(errors.BadArchive, "x.xz", {"x.xz": lzma.compress(GOOD.encode())[:-20]}, code=65),
    "a zip that is none": Bad(
        errors.BadArchive, "it ends too early", {"x.zip": b"PK\3\4" + b"\1" * 99}, code=65
    ),
    "a zip of nothing": Bad(
        errors.NotATable, "without a table", {"x.zip": zipped({"d/": ""})}, code=65
    ),
    "a zip of several": Bad(
        errors.SeveralTables, "a.csv, b.csv", {"x.zip": zipped({"a.csv": GOOD, "b.csv": GOOD})}
    ),
    "several bad rows": Bad(
        errors.BadRows,
        "3 of 7 rows cannot be used: line 6: no text in text; line 7: no label in 'label'; "
        "line 8: 3 fields",
        {"x.csv": GOOD + "a,\n,x\na,b,c\n"},
    ),
    "many bad rows": Bad(
        errors.BadRows,
        "20 of 24 rows cannot be used: line 6: no text in text; line 7: no text in "
        "text; line 8: no text in text; line 9: no text in text; line 10: no text in text; and 15",
        {"x.csv": GOOD + "a,\n" * 20},
    ),
    "nothing but bad rows": Bad(
        errors.BadRows, "2 of 2 rows cannot be used", {"x.csv": "label,text\na,\nb,\n"}
    ),
    "bad rows in the test file": Bad(
        errors.BadRows,
        "2 of 3 rows",
        two("test.csv", "label,text\na,\nb,\na,x\n"),
        "d",
        place="test.csv",
    ),
    "several labels in a cell": Bad(
        errors.SeveralLabels, "such as 'a, b' (line 6)", {"x.csv": GOOD + '"a, b",five\n'}
    ),
    "labels divided by a semicolon": Bad(
        errors.SeveralLabels, "such as 'b;a'", {"x.csv": GOOD + "b;a,five\nb;a,six\n"}
    ),
    "labels that never stand alone": Bad(
        errors.SeveralLabels,
        "6 rows have several labels",
        {"x.csv": "label,text\n" + "".join(f'"{x}",t\n' for x in ("p|q", "q|r", "p|r") * 2)},
    ),
    "an empty list for a label": Bad(
        errors.BadRow,
        "line 3: no label",
        {
            "x.jsonl": jsonl(
                {"label": ["a"], "text": "a"},
                {"label": ["b"], "text": "a"},
                {"label": [], "text": "b"},
            )
        },
    ),
    "five classes of one row": Bad(
        errors.TooFewRows,
        "5 classes with too few training rows, at least 2 are needed to train and validate: "
        "'c0' (1), 'c1' (1), 'c2' (1), 'c3' (1), 'c4' (1)",
        {"x.csv": GOOD + "".join(f"c{i},t\n" for i in range(5))},
    ),
    "--drop-rare that leaves nothing": Bad(
        errors.TooFewRows, "2 classes with too few", {"x.csv": GOOD}, options={"drop_rare": 9}
    ),
    "our predictions": Bad(
        errors.PredictionsGiven,
        "holds the predictions of a run",
        {"x.csv": "row,label,predicted,p_a,p_b\n0,a,a,0.9,0.1\n1,b,b,0.2,0.8\n"},
    ),
    "two configurations": Bad(
        errors.SeveralConfigurations,
        "en, fr",
        {"d/en/train.csv": GOOD, "d/fr/train.csv": GOOD},
        "d",
        place="d",
    ),
    "a text column that is there twice": Bad(
        errors.BadRow, "the column name 'label' twice", {"x.csv": "label,text,label\na,b,c\n"}
    ),
    "--id-column not there": Bad(
        errors.ColumnMissing, "no column 'nr'", {"x.csv": GOOD}, options={"id_column": "nr"}
    ),
    "splits of too few rows": Bad(
        errors.TooFewRows,
        "2 classes",
        {"x.csv": "label,text,split\na,one,train\nb,two,train\na,x,test\nb,y,test\n"},
    ),
    "no text column": Bad(
        errors.NoTextColumn, "among label, n", {"x.csv": "label,n\na,1\nb,2\na,1\nb,2\n"}
    ),
    "two columns of words": Bad(
        errors.NoTextColumn, "among label, foo, bar", {"x.csv": "label,foo,bar\na,b,c\n"}
    ),
    "no label column": Bad(errors.NoLabelColumn, "among text, n", {"x.csv": "text,n\na,1\n"}),
    "--text-column not there": Bad(
        errors.ColumnMissing,
        "no column 'body'; it has label, text",
        {"x.csv": GOOD},
        options={"text_columns": ("body",)},
    ),
    "--label-column not there": Bad(
        errors.ColumnMissing, "no column 'kind'", {"x.csv": GOOD}, options={"label_column": "kind"}
    ),
    "class over classes.txt": Bad(
        errors.BadRow,
        "line 2: class 2; expected 1 to 1",
        {"d/train.csv": OFFICIAL, "d/classes.txt": "A\n"},
        "d",
        place="train.csv",
    ),
    "a name twice in classes.txt": Bad(
        errors.BadRow,
        "line 2: 'A' twice",
        {"d/train.csv": OFFICIAL, "d/classes.txt": "A\nA\n"},
        "d",
        place="classes.txt",
    ),
    "empty classes.txt": Bad(
        errors.EmptyData,
        "no rows",
        {"d/train.csv": OFFICIAL, "d/classes.txt": "\n"},
        "d",
        place="classes.txt",
    ),
    "classes.txt not UTF-8": Bad(
        errors.BadEncoding,
        "byte 0xe9",
        {"d/train.csv": OFFICIAL, "d/classes.txt": b"\xe9\nB\n"},
        "d",
        place="classes.txt",
    ),
    "not Parquet": Bad(
        errors.BadParquet, "cannot be read as Parquet", {"x.parquet": b"label,text\n"}
    ),
}


@pytest.mark.parametrize("content", ["one line of text\nanother line\n", "text\nhello you\n"])
def test_a_file_of_one_column_is_not_sent_to_look_for_another(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.csv").write_text(content)
    with pytest.raises((errors.NoTextColumn, errors.NoLabelColumn)) as caught:
        datasets.find(str(tmp_path / "x.csv"))
    assert "It has one column" in caught.value.advice
    assert "NAME" not in caught.value.advice


def test_the_table_of_bad_input_is_long() -> None:
    assert len(BAD) >= 90


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_bad_input(bad: Bad, tmp_path: Path) -> None:
    if bad.error is errors.BadParquet:
        pytest.importorskip("pyarrow")
    for name, content in bad.files.items():
        write(tmp_path / name, content)
    name = bad.source if bad.source is not None else next(iter(bad.files))
    with pytest.raises(errors.AgnewsError) as caught:
        datasets.find(f"{tmp_path}/{name}", Reading(**bad.options))
    error = caught.value
    assert type(error) is bad.error, error.message
    assert error.exit_code == bad.code
    assert bad.fragment in error.message
    place = name if bad.place is None else bad.place
    assert place in error.message
    assert str(tmp_path) in error.message or bad.code == 2  # the place, in full
    assert error.advice and "{" not in error.advice


@pytest.mark.parametrize(
    "source",
    ["", " ", "bare_name", "./owner/name", "owner/name.csv", "a/b/c", "/a/b", "~nobody_/x"],
)
def test_not_a_hub_id(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.FileMissing) as caught:
        datasets.find(source)
    assert source in caught.value.message and caught.value.advice


def test_a_missing_file_in_a_folder_that_exists_is_no_hub_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    with pytest.raises(errors.FileMissing):
        datasets.find("data/mine")


def test_what_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "x.csv")
    with pytest.raises(errors.CannotRead, match=r"x.csv: it is neither") as caught:
        datasets.find(str(tmp_path / "x.csv"))
    assert caught.value.exit_code == 66 and caught.value.advice

    def refuse(self: Path, *mode: object, **how: object) -> None:
        raise PermissionError(13, "Permission denied")

    source = write(tmp_path / "y.csv", GOOD)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(errors.CannotRead, match=r"y.csv: Permission denied"):
        datasets.find(source)


def test_one_column_for_both_is_a_usage_error(tmp_path: Path) -> None:
    source = write(tmp_path / "x.csv", GOOD)
    with pytest.raises(errors.UsageError, match="both name 'text'") as caught:
        datasets.find(source, Reading(text_columns=("text",), label_column="text"))
    assert caught.value.exit_code == 2 and caught.value.advice
