"""A model is asked about rows, is stopped and goes on; and a student learns from what it said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")

from agnews_cli.core.run.evaluation import Evaluation  # noqa: E402
from agnews_cli.core.run.job import (  # noqa: E402
    EvaluateJob,
    PredictJob,
    TrainJob,
)
from agnews_cli.core.run.latency import Latency  # noqa: E402
from agnews_cli.core.run.work import Distillation  # noqa: E402
from agnews_cli.errors import (  # noqa: E402
    CannotRead,
    FileMissing,
    TeacherHasNoHidden,
    TeacherLabelsDiffer,
    TeacherOfOtherRows,
    TeacherOfOtherWidth,
    TeacherSawValidation,
    TeacherSilent,
    TeacherTwice,
)
from agnews_cli.learn import predictor  # noqa: E402
from agnews_cli.learn.combine import logits  # noqa: E402
from agnews_cli.learn.combine.logits import Logits, digests  # noqa: E402
from agnews_cli.learn.door.events import EventLog, StopRequested  # noqa: E402
from agnews_cli.learn.door.notes import Notes  # noqa: E402
from agnews_cli.learn.stages import (  # noqa: E402
    ask,
    asked_rows,
    combine,
    deliver,
    evaluate,
    judge,
)
from agnews_cli.store.data import datasets  # noqa: E402
from agnews_cli.store.model import delivered  # noqa: E402
from tests import looking  # noqa: E402
from tests.finished_runs import evaluation  # noqa: E402
from tests.learn import tiny  # noqa: E402

HELD = {"cross_validated_below": 0, "validation_rows_at_least": 20}


class Place:
    """Data, texts without labels, and a teacher that was trained and delivered."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.model = folder, tiny.model_folder(folder / "bert")
        self.data = tiny.csv_file(folder / "d.csv", {"a": 60, "b": 60}, words=4)
        self.more = tiny.csv_file(folder / "more.csv", {"a": 30, "b": 30}, words=5, seed=1)
        known, own = (file.read_text().splitlines()[1:4] for file in (self.data, self.more))
        self.more.write_text("\n".join([self.more.read_text(), *known, own[0]]))
        self.recipe = tiny.preset(self.model, HELD, epochs=1)
        done = tiny.compete(folder / "teacher", self.data, self.recipe, candidates=("finetune",))
        (folder / "teacher" / "job.json").write_text(done.job.model_dump_json())
        evaluate.on_validation(done, combine.choose(done))
        deliver.write_delivery(done)
        self.rows = done.rows.material

    def job(self, name: str, **changes: Any) -> PredictJob:
        facts = {
            "run": f"{name}-0123456789", "nodes": ("node",), "folder": str(self.folder / name),
            "cache": str(self.folder / "cache"), "model": str(self.folder / "teacher"),
            "dataset": datasets.find(str(self.data)), "choice": self.choice, "token": 1,
            "started_monotonic_s": 0.0, "save_every_s": 1e9, "writer": "abcd",
        } | changes  # fmt: skip
        return PredictJob.model_validate(facts)

    @property
    def choice(self) -> dict[str, Any]:
        return {"data": self.recipe.data.model_dump()}

    def ask(self, name: str, stop: Any = None, **changes: Any) -> Any:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        log = EventLog(folder / "events.jsonl", started_monotonic_s=0, writes=True)
        return ask.about_rows(self.job(name, **changes), log, stop or tiny.Stop(folder, None))

    def said(self, name: str, of: str = "train") -> Logits:
        return logits.read(self.folder / name / "predictions" / f"{of}.safetensors")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("asking"))


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(ask, "CHUNK_ROWS", 16)


class StopAfter:
    """A stop that is asked for at the `looks`-th look."""

    def __init__(self, looks: int) -> None:
        self.looks, self.reserve_s, self.left_s, self.is_deadline = looks, 0.0, float("inf"), True

    @property
    def is_set(self) -> bool:
        self.looks -= 1
        return self.looks < 0

    def check(self) -> None:
        if self.is_set:
            raise StopRequested


def test_a_model_that_is_stopped_again_and_again_says_what_it_says_undisturbed(place):
    """Between chunks and in the middle of one; and each session tells how far it is."""
    whole = place.ask("whole")
    assert (whole.state, whole.done, whole.step) == ("completed", ("node",), 100)
    sessions = 0
    while (
        found := place.ask("stopped", StopAfter(3 + sessions % 2), token=1 + sessions)
    ).state == "paused":
        sessions += 1
        assert 0 <= found.step < found.total_steps == 100 and found.tuning == "predictions"
    assert sessions >= 3
    one, two = (
        place.folder / name / "predictions/train.safetensors" for name in ("whole", "stopped")
    )
    assert one.read_bytes() == two.read_bytes()
    events = [json.loads(line) for line in (place.folder / "stopped" / "events.jsonl").open()]
    steps = [e["data"]["step"] for e in events if e["kind"] == "resumed"]
    assert len(steps) >= 3 and steps == sorted(steps) and steps[0] > 0
    assert [e["data"]["step"] for e in events if e["kind"] == "progress"][-1] == 100


def test_it_is_asked_about_the_rows_that_its_student_trains_on_and_no_others(place):
    place.ask("train"), place.ask("held", of="validation")
    train, held = place.said("train"), place.said("held", "validation")
    assert np.array_equal(train.rows, digests(place.rows.texts))
    assert np.array_equal(train.classes, place.rows.classes)
    assert np.array_equal(held.rows, digests(place.rows.held_texts))
    own = place.said("teacher", "validation")  # what it said of them when it was trained
    assert np.array_equal(own.rows, held.rows)
    assert np.exp(held.delivered) == pytest.approx(np.exp(own.delivered), abs=1e-5)
    assert train.labels == ("a", "b")


def test_texts_without_labels_are_asked_about_once_and_have_none(place):
    more = datasets.find(str(place.data), datasets.Reading(unlabelled=str(place.more)))
    twice = place.folder / "twice.csv"
    twice.write_text(
        place.more.read_text() + "\n" + "\n".join(place.more.read_text().splitlines()[1:9])
    )
    with_twice = datasets.find(str(place.data), datasets.Reading(unlabelled=str(twice)))
    place.ask("more", of="unlabelled", dataset=more)
    place.ask("twice", of="unlabelled", dataset=with_twice)
    one, two = place.said("more", "unlabelled"), place.said("twice", "unlabelled")
    assert len(one.rows) == len(set(datasets.read(more, "unlabelled").texts))
    assert (one.classes == -1).all() and np.array_equal(one.rows, two.rows)


def test_a_teacher_that_calls_the_classes_in_another_order_says_the_same(place, tmp_path):
    data = datasets.find(str(place.data))
    other = data.model_copy(update={"labels": ("b", "a"), "label_values": ("b", "a")})
    place.ask("ours"), place.ask("theirs", dataset=other)
    ours, theirs = place.said("ours"), place.said("theirs")
    said = dict(zip(map(bytes, ours.rows), ours.delivered, strict=True))
    same = [at for at, row in enumerate(map(bytes, theirs.rows)) if row in said]
    assert len(same) > 50  # which rows are held out hangs on the order of the classes
    for at in same:
        assert theirs.delivered[at, ::-1] == pytest.approx(said[bytes(theirs.rows[at])], abs=1e-4)
    strange = data.model_copy(update={"labels": ("a", "c"), "label_values": ("1", "2")})
    with pytest.raises(
        TeacherLabelsDiffer, match="answers a, b, and the labels of the data are a, c"
    ):
        place.ask("strange", dataset=strange)


@pytest.mark.parametrize(
    "change", [{"limit": 80}, {"fold": 0, "folds": 3}, {"data": {"seed": 1} | HELD}]
)
def test_a_teacher_of_other_rows_is_refused(place, change):
    with pytest.raises(TeacherOfOtherRows, match="validate the student"):
        place.ask("other", choice=place.choice | change)


def test_a_teacher_reads_texts_as_its_own_were_cleaned(place, tmp_path):
    """And they are told by the digest of what the student reads; without the files nobody can."""
    data = tmp_path / "d.csv"
    rows = [f"<b>w{n}</b> w{n % 9} w{n % 7},{'ab'[n % 2]}" for n in range(60)]
    data.write_text("\n".join(["text,label", *rows]))
    found, stop = datasets.find(str(data)), tiny.Stop(tmp_path, None)
    kept = {"model": str(tmp_path), "dataset": found}
    log = EventLog(tmp_path / "events.jsonl", started_monotonic_s=0, writes=True)
    teacher = delivered.at(place.folder / "teacher")

    def read(cleaning: str) -> asked_rows.AskedRows:
        model = replace(teacher, cleaning=cleaning)
        return asked_rows.read(place.job("cleaned", **kept), model, stop, Notes(log))

    same, raw = read("markup"), read("none")
    assert list(same.to_model) == list(same.texts) == list(raw.texts)
    assert np.array_equal(same.digests, raw.digests)
    assert [text.replace("<b>", "").replace("</b>", "") for text in raw.to_model] == raw.texts
    assert all(text.startswith("<b>") for text in raw.to_model)
    data.unlink()
    with pytest.raises(FileMissing):
        read("none")


# ---- the test rows ------------------------------------------------------------------------------


def judged(
    place: Place, name: str, stop: Any = None, model: str = "teacher", **changes: Any
) -> Any:
    """As `agnews auto` asks a finished run about other test rows."""
    folder, teacher = place.folder / name, place.folder / "teacher"
    folder.mkdir(exist_ok=True)
    split = place.folder / "split"
    if not split.exists():
        split.mkdir()
        (split / "train.csv").write_text(place.data.read_text())
        test = tiny.csv_file(split / "test.csv", {"a": 30, "b": 30}, words=5, seed=2)
        test.write_text("\n".join([test.read_text(), place.data.read_text().splitlines()[3]]))
    data = datasets.find(str(split))
    order = folder / "test.json"
    looking.write(order, data)
    trained = TrainJob.model_validate_json((teacher / "job.json").read_bytes())
    facts = {
        "run": "e-0123456789", "nodes": ("node",), "folder": str(folder), "dataset": data,
        "cache": str(place.folder / "cache"), "model": str(teacher), "test": str(order),
        "token": 1, "writer": "abcd", "started_monotonic_s": 0.0, "save_every_s": 1e9,
        "trained": trained,
    }  # fmt: skip
    job = EvaluateJob.model_validate(facts | changes)
    log = EventLog(folder / "events.jsonl", started_monotonic_s=0, writes=True)
    return judge.of_finished(job, log, stop or tiny.Stop(folder, None))


def test_a_finished_model_is_judged_on_test_rows_as_it_answers_and_goes_on_after_a_stop(place):
    """Its cards get the figures; what else they say stays."""
    teacher = place.folder / "teacher"
    card = "# mine\n\n## Figures\n\nold\n\n## Data\n\n- It has no test split.\n- Mine.\n"
    (teacher / "model" / "README.md").write_text(card)
    whole = evaluation(("a", "b"), 0)
    (teacher / "evaluation.json").write_text(whole.model_dump_json())
    paused = judged(place, "judged", StopAfter(4))
    assert paused.state == "paused" and 0 < paused.step < 61
    assert not (place.folder / "judged" / "evaluation.json").exists()
    found = judged(place, "judged", token=2)
    assert found.state == "completed" and found.done == ("node",)
    folder = place.folder / "judged"
    figures = Evaluation.model_validate_json((folder / "evaluation.json").read_bytes())
    assert figures.validation == whole.validation and figures.test.rows == 61
    assert figures.test.rows_in_training == 1
    data = datasets.find(str(place.folder / "split"))
    rows = datasets.read(data, "test")
    order = delivered.order_of(delivered.at(teacher), lambda base: base.id)
    said = predictor.open_delivery(order)(rows.texts)
    kept = logits.read(folder / "predictions" / "test.safetensors")
    assert np.array_equal(kept.rows, digests(rows.texts))
    assert np.exp(kept.delivered) == pytest.approx(said, abs=1e-5)
    right = float((said.argmax(1) == np.asarray(rows.classes)).mean())
    assert figures.test.accuracy.value == pytest.approx(right)
    took = Latency.model_validate_json((folder / "latency.json").read_bytes())
    assert 0 < took.one_text_s < 60 and took.rows_per_s > 0 and 5 <= took.texts <= 30
    assert "threads" in took.machine and not took.is_sum
    lines = (folder / "predictions.csv").read_text().splitlines()
    assert len(lines) == 62 and lines[0] == "row,label,predicted,p_a,p_b"
    new = (folder / "model" / "README.md").read_text()
    assert "| test | 61 |" in new and "old" not in new
    assert "- Evaluated once on 61 test rows." in new and "- Mine." in new
    judged(place, "straight")
    straight = place.folder / "straight" / "predictions" / "test.safetensors"
    assert straight.read_bytes() == (folder / "predictions" / "test.safetensors").read_bytes()


# ---- the student --------------------------------------------------------------------------------


def student(place: Place, folder: Path, teacher: tuple[str, ...], **job: Any) -> Any:
    paths = tuple(str(place.folder / name) for name in teacher)
    facts = {"teacher": paths, "candidates": ("finetune",), "seed": 3} | job
    return tiny.compete(folder, place.data, place.recipe, **facts)


def file(place: Place, name: str, said: Logits, of: str = "train") -> str:
    path = place.folder / name / "predictions" / f"{of}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    logits.write(path, said)
    return f"{name}/predictions/{of}.safetensors"


def some(said: Logits, rows: Any) -> Logits:
    return Logits(said.labels, said.rows[rows], said.classes[rows], said.delivered[rows], {})


def test_a_student_learns_and_tells_how_far_from_its_teacher_it_is(place, tmp_path):
    """From rows without labels too: of those that it knows, or has twice, it is not told again."""
    place.ask("train")
    more = datasets.find(str(place.data), datasets.Reading(unlabelled=str(place.more)))
    place.ask("more", of="unlabelled", dataset=more)
    files = (
        "train/predictions/train.safetensors",
        "more/predictions/unlabelled.safetensors",
        "teacher/predictions/validation.safetensors",
    )
    how = {"distillation": Distillation(alpha=0.1, temperature=2.0), "has_unlabelled": True}
    found = student(place, tmp_path / "student", files, dataset=more, **how)
    learned = len(found.rows.tokens.learned.classes)
    rows = found.rows.material
    assert learned == 100 + len(rows.unlabelled) and 40 < len(rows.unlabelled) <= 60
    assert not set(rows.unlabelled_texts) & {*rows.texts, *rows.held_texts}
    assert len(set(rows.unlabelled_texts)) == len(rows.unlabelled)
    events = [json.loads(line) for line in (tmp_path / "student" / "events.jsonl").open()]
    apart = {
        k: [e["data"]["teacher_kl"] for e in events if e["kind"] == k]
        for k in ("validated", "progress")
    }
    assert all(value >= 0 for values in apart.values() for value in values) and apart["validated"]
    of_more = student(place, tmp_path / "labels", files[:1])
    assert len(of_more.rows.tokens.learned.classes) == 100


def test_hidden_states_are_asked_with_the_answers_and_a_student_comes_to_resemble_them(
    place, tmp_path
):
    """Stopped or not they are the same bit for bit, and the answers are as without them."""
    place.ask("train"), place.ask("inside", has_hidden=True)
    token = 1
    while place.ask("cut", StopAfter(3), has_hidden=True, token=token).state == "paused":
        token += 1
    assert token > 2
    one, two = (place.folder / n / "predictions/train.safetensors" for n in ("inside", "cut"))
    assert one.read_bytes() == two.read_bytes()
    plain, said = place.said("train"), place.said("inside")
    assert plain.hidden is None and said.hidden.shape == (100, 16)
    assert np.array_equal(plain.delivered, said.delivered)
    assert np.linalg.norm(said.hidden.astype(float), axis=1) == pytest.approx(
        np.ones(100), abs=1e-2
    )

    def resemblance(weight: float) -> float:
        how = {"distillation": Distillation(alpha=0.1, hidden=weight)}
        folder = tmp_path / f"student {weight}"
        found = student(place, folder, ("inside/predictions/train.safetensors",), **how)
        evaluate.on_validation(found, combine.choose(found))
        deliver.write_delivery(found)
        order = delivered.order_of(delivered.at(folder), lambda base: base.id)
        _, own = predictor.open_delivery(order).with_hidden(found.rows.material.texts)
        return float((own * said.hidden).sum(1).mean())

    assert resemblance(5.0) > resemblance(0.0) + 0.01


def test_hidden_states_that_do_not_fit_are_one_clear_error_before_training(place, tmp_path):
    place.ask("train"), place.ask("inside", has_hidden=True)
    said = place.said("inside")
    how = {"distillation": Distillation(hidden=1.0)}
    wide = file(place, "wide", replace(said, hidden=np.ones((100, 24), np.float16)))
    for path, error, words in (
        (wide, TeacherOfOtherWidth, "24 wide and those of its student tiny 16"),
        ("train/predictions/train.safetensors", TeacherHasNoHidden, "answers alone"),
    ):
        with pytest.raises(error, match=words):
            student(place, tmp_path / "s", (path,), **how)
        assert not (tmp_path / "s" / "trace.jsonl").exists()
    done = tiny.compete(tmp_path / "linear", place.data, place.recipe, candidates=("linear",))
    evaluate.on_validation(done, combine.choose(done))
    deliver.write_delivery(done)
    with pytest.raises(TeacherHasNoHidden, match="not one transformer"):
        place.ask("linear", has_hidden=True, model=str(tmp_path / "linear"))


WRONG = {
    "rows missing": (
        lambda said, held: [some(said, slice(7, None))],
        TeacherSilent,
        "nothing of 7 of the 100 training rows",
    ),
    "rows twice": (
        lambda said, held: [said, some(said, slice(0, 3))],
        TeacherTwice,
        "speaks of 3 rows more often",
    ),
    "no number": (
        lambda said, held: [replace(said, delivered=said.delivered * np.float32(np.nan))],
        CannotRead,
        "not all numbers",
    ),
    "rows that validate": (
        lambda said, held: [said, held],
        TeacherSawValidation,
        "trained on 20 of the 20 rows that validate",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_student_cannot_learn_from_is_one_clear_error(place, tmp_path, name):
    made, error, words = WRONG[name]
    place.ask("train")
    said = made(place.said("train"), place.said("teacher", "validation"))
    paths = tuple(file(place, f"wrong-{n}", one) for n, one in enumerate(said))
    with pytest.raises(error, match=words):
        student(place, tmp_path / "s", paths)


def test_folds_say_each_row_once_and_teach_a_student(place, tmp_path):
    """Each by a model that has not seen it."""
    files = []
    for fold in range(3):
        rows = tiny.rows(tmp_path, place.data, place.recipe, fold=fold, folds=3)
        kept = Logits.of(
            ("a", "b"), rows.held_texts, rows.held_classes, np.full((len(rows.held), 2), 0.5), {}
        )
        files.append(file(place, f"fold-{fold}", kept, "validation"))
        assert len(rows.texts) + len(rows.held_texts) == 120
    found = student(place, tmp_path / "s", tuple(files))
    assert found.rows.teacher.held is not None
    with pytest.raises(TeacherSilent):
        student(place, tmp_path / "t", tuple(files[:2]))
