"""The wizard's questions and answers, without a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agnews_cli.core.graph.asked import Single
from agnews_cli.core.machine.platform import Accelerator
from agnews_cli.errors import BudgetTooShort
from agnews_cli.store.settings import preset_shapes, presets, requests
from agnews_cli.workflows.forecast.costs import Ground
from agnews_cli.workflows.train import auto
from agnews_cli.workflows.train.scene import SAMPLE, Request
from agnews_cli.workflows.wizard import questions
from agnews_cli.workflows.wizard.questions import QUESTIONS, Question, Way
from agnews_cli.workflows.wizard.surroundings import (
    HERE,
    DataLook,
    DataPlace,
    Machine,
    StorePlace,
    Surroundings,
)

CPU = Accelerator("cpu", "CPU", has_fast_bf16=False)
GPU = Accelerator("cuda", "NVIDIA L4", 1, 24 * 10**9, (8, 9), has_fast_bf16=True)
PLAIN = StorePlace(None, "./agnews-runs", "9 GB free")
COLUMNS = {"id": "7", "what": "a long line of words", "kind": "a"}

GOOD = DataLook(rows=10_000, classes=4)
ODD = DataLook(columns=COLUMNS, missing="text", problem="odd.csv: no text column found")
LOOKS: Mapping[str, DataLook] = {
    "news.csv": GOOD,
    "odd.csv": ODD,
    "owner/name": DataLook(note="on the hub, read when the run begins"),
}


def look(data: str, text_columns: tuple[str, ...], label_column: str | None) -> DataLook:
    if data != "odd.csv":
        return LOOKS.get(data, DataLook(problem=f"{data}: no such file or folder."))
    if not text_columns:
        return ODD
    if label_column is None:
        return DataLook(columns=COLUMNS, missing="label", problem="odd.csv: no label column found")
    if label_column == "id":
        return DataLook(problem="odd.csv: 300 different labels in 300 rows")
    return DataLook(rows=300, classes=2)


SEVERAL = tuple(one for one in preset_shapes.load_all() if not isinstance(one, Single))


def around(accelerator: Accelerator = CPU, **changes: object) -> Surroundings:
    kaggle = Machine("kaggle", "Kaggle", "2 × T4", replace(GPU, count=2), (PLAIN,))
    drive = StorePlace("/content/drive/MyDrive/agnews-runs", "Drive", "survives")
    seen = Surroundings(
        machines=(
            Machine(HERE, "This machine", "", accelerator, (PLAIN,)),
            kaggle,
            Machine("colab", "Colab", "1 × T4", GPU, (drive, PLAIN)),
        ),
        sources=(
            DataPlace("news.csv", "news.csv", GOOD),
            DataPlace("odd.csv", "odd.csv", ODD),
            DataPlace("bad.csv", "bad.csv", DataLook(problem="bad.csv, line 3: 1 field")),
            DataPlace(SAMPLE, "Sample", DataLook(rows=480, classes=4)),
            DataPlace(None, "AG News", DataLook(rows=120_000, classes=4)),
        ),
        presets=presets.load_all(),
        several=SEVERAL,
        unavailable={},
        look=look,
        store_problem=lambda folder: "it is a file" if folder == "there.txt" else "",
        file="agnews-request.yaml",
    )
    return replace(seen, **changes)  # type: ignore[arg-type]


TYPED = {
    "data_path": ("news.csv", "odd.csv", "owner/name"),
    "budget": ("90s", "1h30m", "0.75h", "100s"),
    "session_hours": ("8", "0.1", "11.7"),
    "store_path": ("runs", "~/runs of mine", "-odd"),
}


def possible(question: Question) -> list[str]:
    if question.choices:
        return [choice.value for choice in question.choices if not choice.obstacle]
    return list(TYPED[question.key])


def through(walk: Way, **chosen: str) -> Way:
    """To the end: the answer named for a question, else the proposed one."""
    while (question := walk.question()) is not None:
        walk = walk.answered(chosen.pop(question.key, question.default))
    assert not chosen, f"never asked: {chosen}"
    return walk


def asked(walk: Way) -> Question:
    question = walk.question()
    assert question is not None
    return question


def at(key: str, walk: Way, **chosen: str) -> Question:
    """The question of that key, on the way with the answers named."""
    while asked(walk).key != key:
        walk = walk.answered(chosen.get(asked(walk).key, asked(walk).default))
    return asked(walk)


def timeless(request: Request) -> Request:
    return replace(request, started_monotonic_s=0.0)


def test_several_models_are_offered_with_what_they_cost() -> None:
    ground = Ground(Path("nowhere"), cpu=CPU)
    two = Accelerator("cuda", "Tesla T4", 2, 15 * 2**30, (7, 5), has_fast_bf16=False)
    seen = around(known=lambda preset, device: ground.known(preset))
    here, kaggle, *others = seen.machines
    seen = replace(seen, machines=(here, replace(kaggle, accelerator=two), *others))
    found = {one.value: one for one in at("preset", Way(seen)).choices}
    assert {shape.name for shape in SEVERAL} < found.keys()
    assert found["ensemble-cpu"].note.startswith("4 models, about ")
    assert "h " in found["ensemble-cpu"].note.partition(";")[0]
    assert found["ensemble-t4x2"].obstacle.startswith("deberta-v3-large-lora: 435 M weights are")
    there = {one.value: one for one in at("preset", Way(seen), machine="kaggle").choices}
    assert "1 session;" in there["deberta-v3-base-from-ensemble"].note
    assert not there["ensemble-t4x2"].obstacle
    walk = through(Way(seen), preset="minilm-from-ensemble", time=questions._NONE)
    assert "--preset minilm-from-ensemble" in walk.command()
    assert [one.value for one in at("time", Way(seen), preset="ensemble-cpu").choices] == [
        *(questions._NONE, questions._SESSIONS),
    ]


def test_a_linear_model_alone_is_no_answer_to_which_model() -> None:
    assert "linear" not in {one.value for one in at("preset", Way(around())).choices}


# ---- what is asked ------------------------------------------------------------------------------

WALKS: dict[str, tuple[Accelerator, dict[str, str], list[str], Request]] = {
    "all as proposed": (
        CPU,
        {},
        ["goal", "data", "machine", "preset", "time", "store", "end"],
        Request.of(data="news.csv", budget_s=2700),  # it may take 51 minutes
    ),
    "a typed file whose columns have odd names": (
        CPU,
        {"data": questions._OTHER, "data_path": "odd.csv", "label_column": "kind"},
        [
            *("goal", "data", "data_path", "text_column", "label_column"),
            *("machine", "preset", "time", "store", "end"),
        ],
        Request.of(data="odd.csv", text_columns=("what",), label_column="kind"),
    ),
    "45 minutes": (CPU, {"time": "45m"}, [], Request.of(data="news.csv", budget_s=2700)),
    "a limit of one's own": (
        CPU,
        {"time": questions._OTHER, "budget": "1h30m"},
        ["goal", "data", "machine", "preset", "time", "budget", "store", "end"],
        Request.of(data="news.csv", budget_s=5400),
    ),
    "sessions": (
        GPU,
        {"time": questions._SESSIONS, "session_hours": "8"},
        ["goal", "data", "machine", "preset", "time", "session_hours", "store", "end"],
        Request.of(data="news.csv", session_s=8 * 3600),
    ),
    "a language model on a GPU": (
        GPU,
        {"preset": "qwen3-0.6b-lora", "time": "2h", "goal": "speed"},
        [],
        Request.of(data="news.csv", preset="qwen3-0.6b-lora", budget_s=7200, goal="speed"),
    ),
    "a store of one's own": (
        CPU,
        {"store": questions._OTHER, "store_path": "runs"},
        ["goal", "data", "machine", "preset", "time", "store", "store_path", "end"],
        Request.of(data="news.csv", stores=("runs",), budget_s=2700),
    ),
    "for Colab, with the store proposed there": (
        CPU,
        {"machine": "colab", "data": ""},
        [],
        Request.of(stores=("/content/drive/MyDrive/agnews-runs",)),
    ),
    "no data named": (GPU, {"data": ""}, [], Request()),
}


@pytest.mark.parametrize("name", WALKS)
def test_answers_lead_to_the_next_question_and_to_a_request(name: str) -> None:
    accelerator, chosen, keys, request = WALKS[name]
    walk = through(Way(around(accelerator)), **chosen)
    assert timeless(walk.request()) == timeless(request)
    if keys:
        assert list(walk.answers) == keys


def test_without_a_limit_hours_on_a_cpu_are_not_proposed() -> None:
    assert at("time", Way(around()), data="").default == "45m"
    assert at("time", Way(around()), data=SAMPLE).default == ""


def test_what_was_not_measured_is_not_claimed() -> None:
    on_cpu = at("preset", Way(around()))
    notes = {choice.value: choice.note for choice in on_cpu.choices if not choice.obstacle}
    assert "measured on 2 cores" in notes["minilm"]
    assert "measured" not in notes["minilm-lora"]
    on_gpu = at("preset", Way(around(GPU)))
    assert not any(" min" in choice.note or " h" in choice.note[:12] for choice in on_gpu.choices)
    assert "not measured" in at("time", Way(around(GPU))).choices[0].note


def test_each_choice_shows_what_is_known_of_it() -> None:
    data = {c.title: c for c in at("data", Way(around())).choices}
    assert data["news.csv"].note == "10,000 rows, 4 classes"
    assert data["odd.csv"].note == "its text column must be named"
    assert data["bad.csv"].obstacle == "line 3: 1 field"
    models = {c.value: c for c in at("preset", Way(around())).choices}
    assert "too slow to train on a CPU" in models["roberta-base"].obstacle
    assert models["minilm"].obstacle == ""
    odd = {"data": questions._OTHER, "data_path": "odd.csv"}
    text = at("text_column", Way(around()), **odd)
    assert (text.default, text.choices[1].note) == ("what", "a long line of words")
    label = at("label_column", Way(around()), **odd)
    assert label.default == "kind"
    assert {c.value: c.obstacle for c in label.choices}["id"].startswith("300 different labels")


def test_weights_out_of_reach_are_said_here_and_not_held_against_another_machine() -> None:
    reason = "its weights are on the hub, which does not answer"
    seen = around(GPU, unavailable={p.name: reason for p in presets.load_all()})
    here = at("preset", Way(seen))
    assert all(choice.obstacle for choice in here.choices)
    assert {choice.obstacle for choice in here.choices[1:]} >= {reason}
    there = at("preset", Way(seen), machine="kaggle")
    assert not there.choices[0].obstacle


@pytest.mark.parametrize(
    ("key", "choice", "wrong"),
    [
        ("data_path", "data", ["", "no.csv"]),
        ("budget", "time", ["", "soon", "29s", "-5m"]),
        ("session_hours", "time", ["", "many", "0", "-1", "nan", "inf"]),
        ("store_path", "store", ["", " ", "there.txt"]),
    ],
)
def test_what_cannot_be_is_refused_where_it_is_typed(
    key: str, choice: str, wrong: list[str]
) -> None:
    more = questions._SESSIONS if key == "session_hours" else questions._OTHER
    question = at(key, Way(around()), **{choice: more})
    assert [question.takes(text) for text in wrong] == [False] * len(wrong)
    assert all(question.problem(text) for text in wrong)
    assert all(question.takes(text) for text in TYPED[key])


def test_the_least_limit_is_the_one_of_auto() -> None:
    with pytest.raises(BudgetTooShort):
        auto.prepare(Request.of(budget_s=questions.LEAST_BUDGET_S - 0.1, data="no.csv"))
    with pytest.raises(Exception, match="no such file"):
        auto.prepare(Request.of(budget_s=questions.LEAST_BUDGET_S, data="no.csv"))


def test_training_elsewhere_is_saved_and_not_begun() -> None:
    end = at("end", Way(around()), machine="kaggle")
    assert [choice.value for choice in end.choices] == [questions.SAVE]
    assert "news.csv" in end.choices[0].note
    assert "Kaggle" in end.choices[0].note


def test_the_last_question_shows_the_equal_command() -> None:
    end = at("end", Way(around()), time="45m")
    assert end.hint == "agnews auto --data news.csv --budget 45m"


def test_an_answer_that_is_none_of_the_choices_is_refused() -> None:
    walk = Way(around())
    with pytest.raises(ValueError, match="fame"):
        walk.answered("fame")
    with pytest.raises(ValueError, match=r"bad\.csv"):
        walk.answered("accuracy").answered("bad.csv")  # offered with an obstacle
    with pytest.raises(ValueError, match="answers nothing"):
        through(walk).answered("begin")


# ---- any way through ----------------------------------------------------------------------------

walks = st.lists(st.one_of(st.none(), st.integers(0, 99)), max_size=60)
machines = st.sampled_from([CPU, GPU])


def wander(seen: Surroundings, moves: list[int | None]) -> Way:
    """Each move is an answer by number, or back."""
    walk = Way(seen)
    for move in moves:
        question = walk.question()
        if move is None:
            walk = walk.back()
        elif question is not None:
            answers = possible(question)
            walk = walk.answered(answers[move % len(answers)])
    return walk


@settings(max_examples=60, deadline=None)
@given(machines, walks)
def test_any_way_through_can_be_gone_back_and_ends_in_what_was_answered(
    accelerator: Accelerator, moves: list[int | None]
) -> None:
    seen = around(accelerator)
    walk = wander(seen, moves)
    order = list(QUESTIONS)
    places = [order.index(key) for key in walk.answers]
    assert places == sorted(places)

    # Straight to the same answers: how they were reached does not matter.
    straight = Way(seen)
    for key, answer in walk.answers.items():
        assert asked(straight).key == key
        straight = straight.answered(answer)
    assert timeless(straight.request()) == timeless(walk.request())

    # Back drops the last answer and proposes it again.
    back = walk
    while back.answers:
        key, answer = list(back.answers.items())[-1]
        before = back.back()
        assert list(before.answers.items()) == list(back.answers.items())[:-1]
        question = asked(before)
        assert (question.key, question.default) == (key, answer)
        assert before.answered(answer).answers == back.answers
        back = before
    assert back.back() == back
    assert asked(back).key == order[0]


@settings(max_examples=60, deadline=None)
@given(machines, walks)
def test_a_finished_way_says_the_same_as_command_line_and_as_file(
    tmp_path_factory: pytest.TempPathFactory,
    parsed: Callable[..., Request],
    accelerator: Accelerator,
    moves: list[int | None],
) -> None:
    walk = wander(around(accelerator), moves)
    while (question := walk.question()) is not None:
        takes = question.takes(question.default)
        walk = walk.answered(question.default if takes else possible(question)[0])
    request = timeless(walk.request())
    agnews, command, *arguments = shlex.split(walk.command())
    assert (agnews, command) == ("agnews", "auto")
    assert parsed(*arguments) == request
    file = tmp_path_factory.mktemp("asked") / "agnews-request.yaml"
    requests.save(file, walk.keys())
    assert parsed("--config", str(file)) == request
