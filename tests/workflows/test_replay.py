"""A Request as a command line and as a file: both are read as the same Request again."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agnews_cli.cli.asked import Asked
from agnews_cli.core.run.dataset import Reading
from agnews_cli.store.settings import requests
from agnews_cli.store.settings.requests import RequestFile
from agnews_cli.workflows.train import replay
from agnews_cli.workflows.train.auto import Request

Parse = Callable[..., Request]

# What a command line and a UTF-8 file can hold; among it what YAML, shells and parsers trip over.
words = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0")
) | st.sampled_from(
    ["1e-4", "no", "null", "~", "0123", "-x", "--seed", "a: b", "# c", "it's", "\x85", "\x7f", "😀"]
)
several = st.lists(words, max_size=3).map(tuple)
durations = st.integers(1, 10**7).map(float) | st.integers(1, 10**8).map(lambda ms: ms / 1000)
asked = st.builds(
    Request,
    data=st.none() | words,
    text_columns=several,
    label_column=st.none() | words,
    preset=st.none() | words,
    model=st.none() | words,
    goal=st.sampled_from(["accuracy", "balanced", "speed"]),
    budget_s=st.none() | durations,
    store=st.none() | st.sampled_from(["runs", "runs of mine", "-odd"]).map(Path),
    remotes=st.lists(st.sampled_from(["s3://b/runs", "hf://me/runs"]), unique=True).map(tuple),
    seed=st.integers(0, 10**17),
    limit_train=st.none() | st.integers(8, 10**9),
    settings=several,
    processes=st.none() | st.integers(1, 64),
    is_fresh=st.booleans(),
    is_inexact=st.booleans(),
    takeover=st.booleans(),
    save_every_s=st.none() | durations,
    trace=st.booleans(),
    session_s=st.none() | st.floats(0.01, 10_000).map(lambda hours: hours * 3600.0),
    started_monotonic_s=st.just(0.0),
)


@settings(max_examples=60, deadline=None)
@given(asked)
def test_the_command_line_says_the_same(parsed: Parse, request_: Request) -> None:
    agnews, auto, *arguments = shlex.split(replay.command(request_))
    assert (agnews, auto) == ("agnews", "auto")
    assert parsed(*arguments) == request_


@settings(max_examples=60, deadline=None)
@given(asked)
def test_the_file_says_the_same(
    tmp_path_factory: pytest.TempPathFactory, parsed: Parse, request_: Request
) -> None:
    file = tmp_path_factory.mktemp("asked") / "asked.yaml"
    requests.save(file, replay.asked(request_))
    assert parsed("--config", str(file)) == request_


def test_what_is_not_asked_for_is_not_written() -> None:
    assert replay.command(Request()) == "agnews auto"
    assert replay.asked(Request()) == {}


def test_words_are_quoted_for_a_shell() -> None:
    command = replay.command(Request(data="my file.csv", text_columns=("a", "it's"), budget_s=90))
    assert command == (
        "agnews auto --data 'my file.csv' --text-column a --text-column 'it'\"'\"'s' --budget 1m30s"
    )


def test_options_beside_the_file_win(tmp_path: Path, parsed: Parse) -> None:
    file = tmp_path / "asked.yaml"
    request = Request(
        data="a.csv", text_columns=("title", "body"), seed=3, budget_s=60, goal="speed"
    )
    requests.save(file, replay.asked(request))
    beside = ["--seed", "0", "--text-column", "text", "--budget", "2m", "--fresh"]
    expected = replace(
        request, seed=0, text_columns=("text",), budget_s=120, is_fresh=True, started_monotonic_s=0
    )
    assert parsed("--config", str(file), *beside) == expected
    assert parsed(*beside, "--config", str(file)) == expected


def test_everything_that_can_be_asked_for_can_be_written() -> None:
    assert {f.name for f in fields(Request)} == set(replay._KEYS) | replay.NOT_WRITTEN
    assert {key for key, _ in replay._KEYS.values()} <= set(RequestFile.model_fields)


def test_the_file_has_the_options_of_auto_and_no_others() -> None:
    options = {field.name.rstrip("_") for field in fields(Asked)} - {"config", "given"}
    assert options == set(RequestFile.model_fields) - {"schema_"}


def test_what_is_said_of_the_data_comes_back_whole_when_a_run_goes_on():
    said: dict[str, object] = {
        "text_columns": ("title", "body"),
        "label_column": "kind",
        "id_column": "no",
        "encoding": "cp1252",
        "header": False,
        "raw_text": True,
        "skip_bad_rows": True,
        "drop_rare": 3,
    }
    assert said.keys() == Reading.model_fields.keys()
    reading = Reading.model_validate(said)
    assert Request().with_reading(reading).reading == reading
