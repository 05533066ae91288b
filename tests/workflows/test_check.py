"""`agnews check`: a clear answer for whatever is given, and a copy that is clean."""

from __future__ import annotations

import csv
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn")

from agnews_cli.core.guards.columns import ColumnTally, moment_of
from agnews_cli.core.guards.leaks import least_share
from agnews_cli.core.run.request import Wish
from agnews_cli.store.data import datasets
from agnews_cli.store.disk.home import cache
from agnews_cli.workflows.check.check import DataCheck, check

RNG = random.Random("rows")
WORDS = [
    "".join(RNG.choices("abcdefghijklmnopqrstuvwxyz", k=RNG.randint(4, 9))) for _ in range(500)
]


def text(words: int = 25) -> str:
    return " ".join(RNG.choices(WORDS, k=words))


def write(path: Path, lines: list[tuple[object, ...]], head: tuple[str, ...]) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *lines])


HEAD = ("label", "text", "author", "when", "code")


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tenth of the test rows stand in training; a code is the label; authors are shared."""
    folder = tmp_path_factory.mktemp("data") / "news"

    def row(n: int, year: int) -> tuple[object, ...]:
        label = ("good", "bad")[n % 2]
        return label, text(), f"author {n % 20}", f"{year}-03-{1 + n % 28:02}", f"c-{label}"

    train, test = [row(n, 2020) for n in range(200)], [row(n, 2020) for n in range(100)]
    for n in range(10):
        train[n] = (test[n][0], str(test[n][1]).upper() + " !", *train[n][2:])
    train[50] = (train[51][0], *train[50][1:])
    train[51] = train[51][:1] + train[50][1:]  # the same row twice
    write(folder / "train.csv", train, HEAD)
    write(folder / "test.csv", test, HEAD)
    return folder


def levels(found: DataCheck) -> dict[str, str]:
    return {finding.check: finding.level for finding in found.findings}


def test_a_leak_has_an_exit_code_of_its_own_and_the_copy_is_clean(
    leaky: Path, agnews: Any, tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in leaky.iterdir()}
    done = agnews("check", leaky, "--fix", "cleaned", "--json")
    assert done.code == 3 and not done.json["true_figures"]
    told = {one["check"]: one for one in done.json["findings"]}
    assert told["leak to test"]["level"] == "mend" and "10 of 100" in told["leak to test"]["text"]
    assert "untrue" in told["leak to test"]["text"]
    assert {path.name: path.read_bytes() for path in leaky.iterdir()} == before
    assert done.json["copy"]["removed"] == {"train": 11, "test": 0}
    with (tmp_path / "cleaned" / "removed.csv").open(newline="") as file:
        gone = list(csv.DictReader(file))
    leaked = [one for one in gone if one["like_split"] == "test"]
    assert [int(one["line"]) for one in leaked] == list(range(2, 12)) and len(gone) == 11
    assert [int(one["like_line"]) for one in leaked] == list(range(2, 12))
    kept = (tmp_path / "cleaned" / "test.csv").read_text("utf-8")
    assert kept.splitlines() == before["test.csv"].decode().splitlines()
    again = agnews("check", "cleaned", "--quick")
    assert again.code == 0 and "no test row is repeated" in again.out
    refused = agnews("check", leaky, "--fix", "cleaned")
    assert refused.code == 73 and "is there already" in refused.err


def test_columns_and_splits_are_looked_at_and_torch_is_not(leaky: Path) -> None:
    found = check(Wish(data=str(leaky), text_columns=("text",)), is_quick=True)
    said = {one.check: one for one in found.findings}
    assert "'code'" in said["giveaways"].text and said["test by group"].level == "know"
    assert said["test in time"].level == "know" and said["test like train"].level == "good"
    assert found.facts.suspects is None and found.facts.repeats.compared == 0
    order = (
        "import sys; from agnews_cli.learn import check_data as c; "
        "from agnews_cli.core.guards.data_facts import ToCheck; "
        f"p = {str(rows_of(leaky)['train'])!r}; "
        "c.checked(ToCheck(rows={'train': p}, labels=('bad', 'good'))); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", order], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def rows_of(folder: Path) -> dict[Any, Path]:
    kept = datasets.RowCache.of(cache())
    return kept.rows(datasets.find(str(folder), cache=kept))


def _file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"", 65, "no rows"),
        (b"label,text\n", 65, "no rows"),
        (bytes(range(256)) * 40, 65, ""),
        (b"label,text\n" + b"a,some words here\n" * 30, 65, "every row has the label"),
        (b"label,text\na,\nb,\n" + b"a,good words\nb,more words\n" * 9, 65, "agnews check --data"),
        (b"label,text\na,caf\xc3\xa9 one\nb,caf\xe9 two\n" * 9, 65, "not utf-8"),
    ],
    ids=["empty", "heads alone", "binary", "one class", "no text", "mixed encodings"],
)
def test_what_cannot_be_read_is_said_in_words(
    agnews: Any, tmp_path: Path, content: bytes, code: int, words: str
) -> None:
    done = agnews("check", _file(tmp_path / "data.csv", content), "--quick")
    assert done.code == code and words in done.err.lower().replace("cp1252", "")
    assert "error:" in done.err and "hint:" in done.err and "Traceback" not in done.err
    assert "agnews auto" not in done.err and "--test-share" not in done.err


def test_rows_that_are_all_the_same_are_told(tmp_path: Path) -> None:
    path = _file(tmp_path / "data.csv", b"label,text\n" + b"a,some words\nb,some words\n" * 30)
    found = check(Wish(data=str(path)), is_quick=True, fix=tmp_path / "copy")
    assert not found.is_true and levels(found)["repeats in train"] == "mend"
    assert "30 of them are wrong" in next(
        one.text for one in found.findings if one.check == "label conflicts"
    )
    assert found.copy is not None and found.copy.kept == {"train": 0}


def test_without_a_cache_the_files_are_read_by_the_process(
    leaky: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AGNEWS_CACHE", str(_file(tmp_path / "file", b"")))
    assert levels(check(Wish(data=str(leaky)), is_quick=True))["leak to test"] == "mend"


def test_reading_for_a_training_says_what_costs_nothing(leaky: Path) -> None:
    found = datasets.find(str(leaky), cache=datasets.RowCache.of(cache()))
    (warning,) = [one for one in found.warnings if "test rows have the text" in one]
    assert warning.startswith("10 test rows") and f"agnews check {leaky}" in warning
    assert any("1 training row has the text of another" in note for note in found.notes)


@pytest.mark.parametrize(
    ("cell", "day"),
    [
        ("2024-02-29", "2024-02-29"),
        ("2024-02-29T10:00:00Z", "2024-02-29"),
        ("31/12/1999", "1999-12-31"),
        ("12/31/1999", "1999-12-31"),
        ("Mar 5, 2001", "2001-03-05"),
        ("12345678", None),
        ("a text of words", None),
        ("2024-13-01", None),
    ],
)
def test_dates_as_people_write_them(cell: str, day: str | None) -> None:
    moment = moment_of(cell)
    assert (moment and f"{moment:%Y-%m-%d}") == day


def tally(cells: Callable[[int], str], labels: Callable[[int], str]) -> ColumnTally:
    found = ColumnTally("code")
    for n in range(400):
        found.add("train", cells(n), labels(n))
    return found


def test_a_column_tells_the_label_only_where_its_values_return() -> None:
    same = tally(lambda n: str(n % 4), lambda n: "ab"[n % 2]).facts()
    assert same.again == 396 and same.told == 396
    ids = tally(str, lambda n: "ab"[n % 2]).facts()
    assert ids.again == 0
    noise = tally(lambda n: str(n % 3), lambda n: "ab"[n % 2]).facts()
    assert noise.told < 0.7 * noise.again


def test_few_leaked_rows_move_no_figure() -> None:
    assert least_share(100) == 0.05 and least_share(10_000) == pytest.approx(0.03)
    assert least_share(1_000_000) == pytest.approx(0.003)


def test_words_that_give_a_class_away_are_one_finding(tmp_path: Path) -> None:
    """A template has many such words, and they filled the screen."""
    rows = [
        ("village", f"{text(8)} lies within the county near Gmina {RNG.choice(WORDS)}")
        if n % 2
        else ("other", text(12))
        for n in range(200)
    ]
    write(tmp_path / "data" / "train.csv", rows, ("label", "text"))
    found = check(Wish(data=str(tmp_path / "data")), is_quick=True)
    (told,) = [one for one in found.findings if one.check == "giveaways"]
    assert told.level == "mend"
    assert "so do" in told.text and "and 2 more" in told.text
