"""A Request as a command line and as a file: both are read as the same Request again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agnews_cli.cli.asked import Options, Words
from agnews_cli.cli.auto import auto
from agnews_cli.cli.lazy_group import command
from agnews_cli.core.run import forms, request
from agnews_cli.core.run.dataset import Reading
from agnews_cli.core.run.forms import Spelling
from agnews_cli.core.run.request import FIELDS, Ask, Declared, SessionOptions, Wish, every
from agnews_cli.errors import OutOfRange
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.settings import requests
from agnews_cli.workflows.train import replay
from agnews_cli.workflows.train.auto import Request
from agnews_cli.workflows.train.option_bounds import require_all

Parse = Callable[..., Request]

# What a command line and a UTF-8 file can hold; among it what YAML, shells and parsers trip over.
words = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0")
) | st.sampled_from(
    ["1e-4", "no", "null", "~", "0123", "-x", "--seed", "a: b", "# c", "it's", "\x85", "\x7f", "😀"]
)
several = st.lists(words, max_size=3).map(tuple)
durations = st.integers(1, 10**7).map(float) | st.integers(1, 10**8).map(lambda ms: ms / 1000)
FORMS: dict[Spelling, st.SearchStrategy[Any]] = {
    forms.SEVERAL: several,
    forms.DURATION: durations,
    forms.MOMENT: durations,
    forms.HOURS: st.floats(0.01, 10_000).map(lambda hours: hours * 3600.0),
}
TYPES: dict[Any, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    str | None: words,
    float | None: st.floats(1e-9, 0.99),
}


def values(one: Declared) -> st.SearchStrategy[Any]:
    """What may be asked of a field, its default among it."""
    if one.ask.form in FORMS:
        found = FORMS[one.ask.form]
    elif get_origin(one.type) is Literal:
        found = st.sampled_from(get_args(one.type))
    elif one.type in TYPES:
        found = TYPES[one.type]
    else:  # whole numbers; a new kind of field needs a line here
        assert one.type in (int, int | None)
        found = st.integers(int(one.ask.least or 0), int(one.ask.most or 10**9))
    return st.just(one.default) | found


def any_of(kind: type[Wish] | type[SessionOptions]) -> st.SearchStrategy[Any]:
    return st.builds(kind, **{one.name: values(one) for one in FIELDS[kind]})


asked = st.builds(Request, any_of(Wish), any_of(SessionOptions), started_monotonic_s=st.just(0.0))


@settings(max_examples=60, deadline=None)
@given(asked)
def test_the_command_line_says_the_same(parsed: Parse, request_: Request) -> None:
    agnews, name, *arguments = shlex.split(replay.command(request_))
    assert (agnews, name) == ("agnews", "auto")
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
    command = replay.command(
        Request.of(data="my file.csv", text_columns=("a", "it's"), budget_s=90)
    )
    assert command == (
        "agnews auto --data 'my file.csv' --text-column a --text-column 'it'\"'\"'s' --budget 1m30s"
    )


def test_options_beside_the_file_win(tmp_path: Path, parsed: Parse) -> None:
    file = tmp_path / "asked.yaml"
    request = Request.of(
        data="a.csv", text_columns=("title", "body"), seed=3, budget_s=60, goal="speed"
    )
    requests.save(file, replay.asked(request))
    beside = ["--seed", "0", "--text-column", "text", "--budget", "2m", "--fresh"]
    expected = Request(
        replace(request.wish, seed=0, text_columns=("text",), budget_s=120),
        SessionOptions(fresh=True),
        started_monotonic_s=0,
    )
    assert parsed("--config", str(file), *beside) == expected
    assert parsed(*beside, "--config", str(file)) == expected


@pytest.mark.parametrize("one", every(), ids=lambda one: one.name)
def test_each_field_is_an_option_a_key_and_said_in_help(one: Declared) -> None:
    options = {option: found for found in command("auto", auto).params for option in found.opts}
    assert options[f"--{one.option}"].help == one.ask.help
    assert one.key in requests.known_keys()


def test_the_file_has_the_options_of_auto_and_no_others() -> None:
    assert requests.known_keys() == {"schema", *(one.key for one in every())}


def test_a_field_added_in_one_place_is_an_option_a_key_and_a_part_of_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = Declared("colour", Ask("Of the cover.", request.MODEL, "WORD"), str | None, None)
    monkeypatch.setitem(request.FIELDS, Wish, (*FIELDS[Wish], new))  # type: ignore[arg-type]
    words = Words({"colour": "red", "seed": 0})
    assert words.arguments() == ("--colour", "red")
    (parameter,) = Options((new,)).parameters()
    assert (parameter.name, parameter.annotation.__metadata__[0].help) == ("colour", new.ask.help)
    requests._file.cache_clear()
    (tmp_path / "asked.yaml").write_text("schema: agnews.request/1\ncolour: red\n")
    try:
        assert requests.load(tmp_path / "asked.yaml") == {"colour": "red"}
    finally:
        requests._file.cache_clear()


@given(any_of(Wish))
@settings(max_examples=60, deadline=None)
def test_a_run_keeps_the_whole_wish(tmp_path_factory: pytest.TempPathFactory, wish: Wish) -> None:
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    facts = {"order": request.as_record(wish), "created_at": "2026-11-25T00:00:00+00:00"}
    (folder.path / "created.json").write_text(json.dumps(facts))
    assert folder.order() == wish


def test_the_shorter_end_of_a_session_counts_and_each_is_refused_by_its_own_name() -> None:
    now_on = Words({"until_s": "2h", "session_s": "1"}).session()
    assert (now_on.until_s, now_on.session_s, now_on.longest_s) == (7200.0, 3600.0, 3600.0)
    with pytest.raises(OutOfRange, match="--until"):
        require_all(SessionOptions(until_s=1e9))


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
        "unlabelled": "more.csv",
        "test_share": 0.2,
    }
    assert said.keys() == Reading.model_fields.keys()
    reading = Reading.model_validate(said)
    wish = Wish(no_header=True, **{k: v for k, v in said.items() if k != "header"})  # type: ignore[arg-type]
    assert wish.reading == reading
