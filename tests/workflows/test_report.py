"""`agnews report`: one file that says all, obeys nothing that came with the data, and asks for
nothing."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("sklearn")

from agnews_cli.core.hours.session import Session, SessionState  # noqa: E402
from agnews_cli.core.report.figures import ToReport  # noqa: E402
from agnews_cli.core.report.trials import (  # noqa: E402
    ChangedTexts,
    Exchanged,
    SpeedNow,
    Tried,
)
from agnews_cli.core.run.dataset import Reading  # noqa: E402
from agnews_cli.core.run.evaluation import Interval  # noqa: E402
from agnews_cli.core.run.job import Candidate, Event, Outcome  # noqa: E402
from agnews_cli.core.run.looked_at import LookedAt, Piece  # noqa: E402
from agnews_cli.host import figures  # noqa: E402
from agnews_cli.store.data import datasets  # noqa: E402
from agnews_cli.store.run.runs import RunFolder  # noqa: E402
from agnews_cli.workflows.report import lived, page, written  # noqa: E402
from agnews_cli.workflows.report import report as workflow  # noqa: E402
from agnews_cli.workflows.report.judged import judged  # noqa: E402
from tests import finished_runs as finished  # noqa: E402

SCRIPT = "<script>alert('x')</script>"
LABELS = (f"sea {SCRIPT}", "sun | *b* [a](javascript:1)")
WHY = f"chosen for {SCRIPT} | <img src=x onerror=alert(1)>"
GOOD, FAIR = "good-0123456789", "fair-0123456789"


class Seen(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.asked: list[str] = []
        self.handlers: list[str] = []
        self.ids: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "action", "data") and value[:1] != "#":
                self.asked.append(value)
            if name == "id":
                self.ids.append(value)
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_data(self, data: str) -> None:
        self.words += data


def made(store: Path, name: str, right: float, seed: int) -> RunFolder:
    """A finished run whose data, labels and words are hostile."""
    rows = store.parent / "rows"
    rows.mkdir(parents=True, exist_ok=True)
    for split in ("train", "validation", "test"):
        texts = [f"{split} {n} {SCRIPT} ![x](http://evil.example/{n})" for n in range(60)]
        lines = [f'"{text}","{LABELS[n % 2]}"' for n, text in enumerate(texts)]
        (rows / f"{split}.csv").write_text("\n".join(["text,label", *lines, ""]))
    data = datasets.find(str(rows), Reading(raw_text=True))
    held = datasets.read(data, "validation")
    true = np.asarray(held.classes)
    answers = finished.said(seed, list(held.texts), right, labels=data.labels, classes=true)
    test = finished.said(seed, finished.texts("test", 80), right, labels=data.labels)
    run = finished.make(store, name, validation=answers, test=test, of=rows)
    run.job.write_text(json.dumps({"dataset": data.without_test.model_dump(mode="json")}))
    kept = Candidate(
        name="minilm", kind="finetune", validation_accuracy=0.9, validation_loss=0.3, seconds=1.0,
        weight=1.0, temperature=1.5,
    )  # fmt: skip
    told = Outcome(state="completed", done=(name,), candidates=(kept,), why=WHY, notes=(SCRIPT,))
    run.outcome.write_text(told.model_dump_json())
    figured = finished.evaluation(data.labels, 80)
    assert figured.test is not None
    split = figured.test.model_copy(
        update={"confusion": ((30, 10), (5, 35)), "rows_in_training": 3}
    )
    run.evaluation.write_text(figured.model_copy(update={"test": split}).model_dump_json())
    events = [("started", {"pid": 1, "world": 1})]
    for n in range(1, 9):
        facts = {"candidate": SCRIPT, "step": n, "total_steps": 8, "loss": 1 / n, "lr": 1e-5}
        events.append(("progress", facts | {"epoch": 0}))
    held_at = {"candidate": SCRIPT, "step": 8, "loss": 0.4, "accuracy": 0.9, "best": True}
    held_at |= {"raw_loss": 0.5, "train_loss": 0.1, "train_accuracy": 0.99}
    guard = {"check": "overfitting", "level": "mend", "text": SCRIPT, "mend": SCRIPT}
    events += [("validated", held_at), ("finding", guard), ("finding", guard)]
    events.append(("ended", {"state": "completed"}))
    lines = [
        json.dumps({"kind": k, "at": "2026-11-01T00:00:00+00:00", "elapsed_s": 9.0, "data": d})
        for k, d in events
    ]
    run.events.write_text("\n".join(lines) + "\n")
    (run.path / "environment.json").write_text(json.dumps({"device": SCRIPT, "threads": 2}))
    return run


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("runs") / "agnews-runs"
    made(place, GOOD, 0.9, 0)
    made(place, FAIR, 0.7, 1)
    return place


@pytest.fixture(scope="module")
def both(store: Path) -> workflow.RunsReported:
    return workflow.report([GOOD, FAIR], store)


def test_a_page_is_one_file_whose_words_are_words(both: workflow.RunsReported) -> None:
    text = page.html_page(both)
    seen = Seen(text)
    assert "script" not in seen.tags and "img" not in seen.tags and seen.handlers == []
    assert [a for a in seen.asked if not a.startswith(("#", "data:,"))] == []
    assert "url(http" not in text and "@import" not in text and "default-src 'none'" in text
    assert len(seen.ids) == len(set(seen.ids)) and len(text) < 3_000_000
    for words in (SCRIPT, LABELS[1], "alert(1)>", "they differ", "likely label errors"):
        assert words in seen.words
    assert re.search(rf"validation \d+ {re.escape(SCRIPT)}", seen.words)


def test_every_link_in_a_page_leads_to_something_in_it(both: workflow.RunsReported) -> None:
    text = page.html_page(both)
    targets = set(re.findall(r'href="#([^"]+)"', text)) | set(re.findall(r"url\(#([^)]+)\)", text))
    assert targets and targets <= set(Seen(text).ids)


def test_every_picture_has_a_title_and_its_numbers_as_a_table(both: workflow.RunsReported) -> None:
    pytest.importorskip("matplotlib")
    text = page.html_page(both)
    assert text.count("<svg ") == text.count('role="img"') >= 13
    assert text.count("<figure>") == text.count("<figcaption>") == text.count("<svg ")
    assert text.count("The same as") >= 6


def test_markdown_obeys_nothing_either(both: workflow.RunsReported) -> None:
    text = page.markdown_page(both)
    assert "<" not in text and "](" not in text.replace("\\](", "").replace("\\]\\(", "")
    assert "&lt;script&gt;alert" in text
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    widths = [
        {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()} for table in tables
    ]
    assert len(tables) > 12 and all(len(width) == 1 for width in widths)
    assert all("| --- |" in table for table in tables)


def test_json_says_the_same_and_no_picture(both: workflow.RunsReported) -> None:
    found = json.loads(json.dumps(both.as_json()))
    assert found["schema"] == "agnews.report/1" and "<svg" not in json.dumps(found)
    one = found["runs"][0]
    assert (one["run"], one["state"]) == (GOOD, "completed") and len(found["runs"]) == 2
    assert [c["label"] for c in one["figures"]["classes"]] == list(LABELS)
    assert one["figures"]["classes"][0]["recall"]["value"] == 0.75
    assert one["figures"]["reliability"]["how"] == "built in"
    assert one["lived"]["sessions"][0]["end"] == "completed"
    assert found["compared"]["differences"][0]["p_holm"] < 0.05
    numbers = {i["name"]: i for i in one["risk"]["indicators"]}
    assert len(numbers) == 10 and 0 < one["risk"]["score"] < 1
    assert numbers["leaked_rows"]["value"] is not None
    assert numbers["loss_gap"]["value"] == pytest.approx(0.4)
    assert numbers["accuracy_gap"]["value"] == pytest.approx(0.09)
    assert [one["text"] for one in one["guards"]] == [SCRIPT]
    assert numbers["test_looks"]["shown"] == "not measured"
    assert one["figures"]["hardest"][0]["text"].startswith("validation ")


def tried(found: workflow.RunsReported) -> workflow.RunsReported:
    """With what a model was asked, whose words are hostile."""
    drop = Interval(value=0.1, low=-0.05, high=0.2, method="bootstrap")
    changed = ChangedTexts(
        level="words", name=SCRIPT, what=SCRIPT, rows=9, before=0.9, after=0.8, drop=drop,
        other=0.2, p=0.01,
    )  # fmt: skip
    pieces = (Piece(text=SCRIPT, weight=1.0), Piece(text="plain", weight=-0.4))
    look = LookedAt(
        pieces=pieces, label=SCRIPT, answer="sun", probability=0.9, how="gradient × input",
        of=SCRIPT,
    )  # fmt: skip
    told = Tried(
        rows=9, seconds=1.0, accuracy=0.9, changed=(changed,), looked_at=(look,),
        speed=SpeedNow(one_text_s=0.01, batch_s=0.1, memory_bytes=10**9, on="the CPU"),
        exchanged=Exchanged(rows=5, left=0.4, moved=0.2, words=((SCRIPT, SCRIPT),)),
    )  # fmt: skip
    runs = (replace(found.runs[0], tried=workflow.TriedModel(told)), *found.runs[1:])
    return replace(found, runs=runs)


def test_changed_texts_and_what_a_model_looks_at_are_words_too(both: workflow.RunsReported) -> None:
    told = tried(both)
    text = page.html_page(told)
    seen = Seen(text)
    assert "script" not in seen.tags and seen.tags.count("mark") == 4 and SCRIPT in seen.words
    assert "most for it: " + SCRIPT in seen.words and "10.0 ms for one text" in seen.words
    assert "40.0% of the answers left" in seen.words
    plain = page.markdown_page(told)
    assert "<" not in plain and "points lost" in plain and "`agnews report RUN --look`" in plain
    found = told.as_json()["runs"][0]["tried"]
    assert found["changed"][0]["drop"]["high"] == 0.2 and "picture" not in found


@pytest.mark.parametrize(
    ("form", "out", "is_json", "expected"),
    [
        (None, None, False, ("html", None)),
        (None, "a.MD", False, ("md", "a.MD")),
        (None, "a.json", True, ("json", "a.json")),
        ("md", "a.txt", False, ("md", "a.txt")),
        (None, None, True, (None, None)),
    ],
)
def test_the_form_is_as_the_file_is_called(
    form: str | None, out: str | None, is_json: bool, expected: tuple[str | None, str | None]
) -> None:
    found = written.asked(["a"], form, None if out is None else Path(out), is_json=is_json)
    assert (found.form, None if found.out is None else str(found.out)) == expected


def test_the_command_writes_one_file_and_says_where(
    store: Path, agnews: Any, tmp_path: Path
) -> None:
    done = agnews("report", GOOD, "--store", store, "--out", tmp_path / "a.json")
    assert done.code == 0 and f"Written to {tmp_path / 'a.json'}" in done.out
    assert json.loads((tmp_path / "a.json").read_text())["runs"][0]["run"] == GOOD
    wrong = agnews("report", GOOD, "--store", store, "--form", "pdf")
    assert wrong.code == 2 and "html, md or json" in wrong.err


def test_without_matplotlib_everything_but_the_pictures_is_there(
    store: Path, both: workflow.RunsReported, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'matplotlib' else find(name, *a)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parents[2]}")
    told = figures.report(ToReport(folders=(str(store / GOOD),)))
    assert told.missing == "matplotlib" and told.runs[0].pictures == {}
    one = replace(both.runs[0], figures=told.runs[0])
    text = page.html_page(replace(both, runs=(one,), compared=None, missing=told.missing))
    assert "<svg" not in text and "pip install matplotlib" in text and "The same as" in text


def test_of_an_unfinished_run_whose_data_are_gone_it_says_what_there_is(tmp_path: Path) -> None:
    run = made(tmp_path / "agnews-runs", GOOD, 0.9, 0)
    for gone in (run.outcome, run.evaluation, run.path / "predictions" / "test.safetensors"):
        gone.unlink()
    for path in (tmp_path / "rows").iterdir():
        path.unlink()
    found = workflow.report([GOOD], tmp_path / "agnews-runs")
    (one,) = found.runs
    assert one.state == "unfinished" and one.evaluation is None and one.figures.curves
    assert "agnews resume" in page.html_page(found) and "no figures yet" in page.markdown_page(
        found
    )
    assert one.data.checked is None and one.data.problem
    assert one.figures.hardest[0].text is None


def test_a_student_is_judged_by_its_own_training_and_an_ensemble_by_its_members(
    store: Path, both: workflow.RunsReported
) -> None:
    member, own = both.runs[1].figures, both.runs[0].figures
    parts = (workflow.PartReported(FAIR, "member 1", "minilm", None, member),)
    student = replace(both.runs[0], parts=parts)
    text = page.html_page(replace(both, runs=(student,), compared=None))
    assert text.index(f"<summary>{GOOD}") < text.index(f"<summary>member 1, {FAIR}")
    ensemble = replace(student, figures=own.model_copy(update={"curves": ()}))
    text = page.html_page(replace(both, runs=(ensemble,), compared=None))
    assert f"<summary>{GOOD}" not in text and f"<summary>member 1, {FAIR}" in text
    folder = RunFolder(store / GOOD)
    calm = judged(folder, [folder], [own.model_copy(update={"curves": ()})], None, None, 60)
    assert {one.name: one.value for one in calm.indicators}["loss_gap"] is None
    taught = judged(folder, [folder], [own], None, 4, 60)
    assert {one.name: one.value for one in taught.indicators}["test_looks"] == 4


def test_a_session_that_died_before_it_was_counted_again_was_held_until_its_last_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
    folder = RunFolder(tmp_path / GOOD)
    folder.path.mkdir()

    def session(minutes: int, state: SessionState, seconds: float) -> Session:
        at = began + timedelta(minutes=minutes)
        return Session(
            f"s-{minutes}", 1, GOOD, "colab", "T4", "cpu", "machine", 7, 0.0, at, at, seconds, state
        )

    told = [(0, 9, "started"), (0, 52, "saved"), (2, 4, "started"), (2, 40, "ended")]
    lines = [
        Event(
            kind=kind,
            at=(began + timedelta(minutes=m, seconds=s)).isoformat(),
            elapsed_s=s,
            data={},
        ).model_dump_json()
        for m, s, kind in told
    ]
    folder.events.write_text("\n".join([*lines, ""]))
    there = (session(2, "finished", 41.0), session(0, "died", 0.0))
    monkeypatch.setattr(lived, "sessions_of", lambda run: there)
    found = lived.lived([folder])
    assert [(one.end, one.seconds) for one in found.sessions] == [
        ("died", 52.0),
        ("finished", 41.0),
    ]
    assert found.seconds == 93.0
