"""Limits of recipes: what is beyond is refused with its number and two next commands."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from agnews_cli.core.graph.asked import Finished, ensembles
from agnews_cli.core.run.anatomy import Anatomy
from agnews_cli.core.run.model_limits import excesses
from agnews_cli.core.run.request import Wish, written
from agnews_cli.errors import BeyondLimits, LimitsInvalid, ValueWrong
from agnews_cli.store.settings import model_limits, preset_shapes, presets
from agnews_cli.workflows.train import within_limits
from agnews_cli.workflows.train.scene import Request


def asked(preset: str, *settings: str, justify: str | None = None, **more: object) -> tuple:
    shape = preset_shapes.with_settings(preset_shapes.load(preset), settings)
    request = Request(Wish(preset=preset, settings=settings, justify=justify, **more))
    return shape, request


def require(preset: str, *settings: str, **more: object) -> tuple[str, ...]:
    shape, request = asked(preset, *settings, **more)
    return within_limits.require(shape, request, is_typed=True)


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_of_our_own_lies_inside_or_carries_its_reason(name: str):
    assert require(name) == ()


BEYOND = {
    "epochs": ("minilm", "training.epochs=11", "training.epochs 11", "training.epochs=10"),
    "rate": ("mpnet", "training.lr=1e-4", "training.lr 0.0001", "training.lr=5e-05"),
    "rate beyond the preset's own reason": (
        "minilm", "training.lr=1e-3", "training.lr 0.001", "training.lr=5e-05"
    ),
    "rate of a budget": ("mpnet", "short_of_time.lr=1e-3", "0.001", "short_of_time.lr=5e-05"),
    "parameters": (
        "mpnet", "model.parameters=600000000", "trained_parameters 600,000,000", "-lora"
    ),
    "members": ("snapshots-minilm", "training.snapshots=11", "members 11", "agnews presets copy"),
}  # fmt: skip


@pytest.mark.parametrize("case", BEYOND)
def test_what_is_beyond_a_limit_is_refused_with_the_number_and_two_next_commands(case):
    preset, setting, number, mend = BEYOND[case]
    with pytest.raises(BeyondLimits) as refused:
        require(preset, setting)
    error = refused.value
    assert number in error.message and "limits.yaml" in error.message and error.exit_code == 78
    inside, again = error.advice.splitlines()
    assert mend in inside and f"{setting} --justify 'why it must be'" in again


@pytest.mark.parametrize("case", [c for c in BEYOND if c != "members"])
def test_the_command_that_is_named_stays_within_the_limits(case, parsed):
    preset, setting, *_ = BEYOND[case]
    with pytest.raises(BeyondLimits) as refused:
        require(preset, setting)
    words = shlex.split(refused.value.facts["inside"])
    assert words[:2] == ["agnews", "auto"]
    wish = parsed(*words[2:]).wish
    assert require(wish.preset, *wish.settings) == ()


def test_plain_options_are_put_right_as_plain_options_were_typed(parsed):
    shape, _ = asked("minilm")
    wish = Wish(preset="minilm", epochs=30.0, settings=("training.warmup=0",))
    shape = preset_shapes.with_settings(shape, wish.changes)
    with pytest.raises(BeyondLimits) as refused:
        within_limits.require(shape, Request(wish), is_typed=True)
    found = parsed(*shlex.split(refused.value.facts["inside"])[2:]).wish
    assert found.epochs is None
    assert found.settings == ("training.warmup=0", "training.epochs=10")


@pytest.mark.parametrize("case", BEYOND)
def test_a_reason_lets_it_pass_and_is_kept(case):
    preset, setting, number, _ = BEYOND[case]
    (told,) = require(preset, setting, justify="  a course \n on overfitting ")
    assert "why: a course on overfitting" in told
    assert number.rpartition(" ")[2] in told


def test_a_reason_that_was_not_needed_is_said_and_one_without_words_is_none():
    assert "not needed" in require("mpnet", justify="just so")[0]
    for empty in ("", "  ", "x" * 301):
        with pytest.raises(ValueWrong, match="reason in words"):
            require("mpnet", "training.epochs=20", justify=empty)


def test_what_has_begun_goes_on_though_a_limit_came_later():
    shape, request = asked("mpnet", "training.epochs=20")
    begun = Request(request.wish, is_begun=True)
    assert "it began before" in within_limits.require(shape, begun, is_typed=True)[0]


def test_the_reason_is_part_of_what_a_run_keeps_and_decides_no_id():
    from agnews_cli.core.run.work import Recipe

    assert written(Wish(justify="a reason")) == {"justify": "a reason"}
    minilm = presets.load("minilm")
    plain = minilm.model_copy(update={"beyond_limits": ()})
    assert Recipe.of(minilm) == Recipe.of(plain)


def test_eleven_runs_are_not_joined_without_a_reason():
    from agnews_cli.core.graph.asked import Ensemble

    members = tuple(Finished(f"m-{n:010x}") for n in range(11))
    shape, request = Ensemble("ensemble", members), Request()
    with pytest.raises(BeyondLimits, match="members 11"):
        within_limits.require(shape, request, is_typed=False)
    own = Ensemble("e", members, limits=next(iter(ensembles(shape))).limits.model_copy(
        update={"members": 11}))  # fmt: skip
    assert within_limits.require(own, request, is_typed=False) == ()


def test_adapters_and_relative_rates_have_no_limit_of_a_rate():
    limits = model_limits.load()
    for preset in (
        presets.load("deberta-v3-large-lora"),
        presets.with_settings(
            presets.load("mpnet"), ["training.optimizer=adafactor", "training.lr=1e-3"]
        ),
    ):
        assert not list(excesses(preset, limits, Anatomy(preset.model.parameters)))


def test_an_update_of_very_high_rank_trains_too_much():
    with pytest.raises(BeyondLimits, match="trained_parameters"):
        require("qwen3-0.6b-lora", "method.rank=2000")


def test_users_change_a_limit_in_a_file_of_their_own(own_home: Path):
    path = own_home / "data" / "presets" / "limits.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("training: {every: {epochs: 40}, lora: {lr: 1e-4}}\n")
    assert require("mpnet", "training.epochs=40") == ()
    with pytest.raises(BeyondLimits, match=r"training\.lr"):
        require("qwen3-0.6b-lora")
    path.write_text("training: {loora: {lr: 1e-4}}\n")
    with pytest.raises(LimitsInvalid, match="loora"):
        model_limits.load()


def test_the_command_says_so_before_it_reads_anything(agnews):
    done = agnews("auto", "--data", "not-there.csv", "--preset", "minilm", "--epochs", "40")
    assert done.code == 78
    assert "epochs 40, where 10 is the most" in done.err and "--justify" in done.err
