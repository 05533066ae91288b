"""A number that makes no sense is one error that names the bound, whoever asks."""

from __future__ import annotations

import math
import time

import pytest

from agnews_cli.cli.asked import Words
from agnews_cli.errors import AgnewsError, BadDuration, LimitTooSmall, OutOfRange, SettingInvalid
from agnews_cli.store.settings import presets
from agnews_cli.workflows.planning import plan
from agnews_cli.workflows.train import auto

NEVER = (math.inf, -math.inf, math.nan, 1e308)


@pytest.mark.parametrize(
    ("asked", "bound"),
    [
        *(({"budget_s": number}, "10,000 h") for number in (math.inf, math.nan, 1e300)),
        *(({"session_s": number}, "10,000 h") for number in NEVER),
        *(({"save_every_s": number}, "10,000 h") for number in NEVER),
        *(({"seed": number}, "4,294,967,295") for number in (-1, 2**32, 2**64, 10**400)),
        *(({"limit_train": number}, "1 to") for number in (0, -1, 10**12)),
        *(({"processes": number}, "64") for number in (0, -1, 10_000)),
        ({"drop_rare": -1}, "0 to"),
    ],
)
def test_what_nobody_can_train_is_refused(asked, bound):
    with pytest.raises(OutOfRange) as caught:
        auto.prepare(auto.Request.of(data="sample:", preset="minilm", **asked))
    assert bound in caught.value.message
    assert caught.value.exit_code == 2
    assert len(caught.value.message) < 120 or asked.get("seed") == 10**400


def test_too_few_rows_are_said_in_our_words():
    with pytest.raises(LimitTooSmall, match="4 classes"):
        auto.prepare(auto.Request.of(data="sample:", preset="minilm", limit_train=3))


@pytest.mark.parametrize("hours", ["inf", "-inf", "nan", "1e308", "0", "-1", "0.001"])
def test_a_session_has_hours_that_can_be_counted(hours):
    with pytest.raises(BadDuration, match=r"session-hours"):
        Words({"session_s": hours}).session()


@pytest.mark.parametrize(
    "asked",
    [
        {"ensemble": 1_000_000_000}, {"ensemble": 1}, {"folds": 10**9}, {"folds": -1},
        {"rows": 10**18}, {"rows": 0}, {"simulate": 10**9}, {"simulate": -1},
        {"reserve_s": math.inf}, {"lifetime_s": 1e300}, {"left_s": (("kaggle", math.inf),)},
    ],
)  # fmt: skip
def test_what_nobody_can_plan_is_refused_at_once(asked):
    began_s = time.process_time()
    with pytest.raises(OutOfRange):
        plan.make(plan.PlanRequest(preset="minilm", **asked))
    assert time.process_time() - began_s < 1


@pytest.mark.parametrize(
    "setting",
    [
        *(f"training.epochs={value}" for value in ("1e308", ".inf", ".nan", "0", "-1", "100001")),
        *(f"training.lr={value}" for value in (".nan", "1", "-1e-5", "0")),
        *(f"training.batch_tokens={value}" for value in ("0", "-5", "1e30", "9" * 20)),
        *(f"training.clip_norm={value}" for value in (".inf", ".nan", "0")),
        *(f"training.{name}=10000000000" for name in ("patience", "max_length", "least_steps")),
        "training.r_drop=.inf", "method.rank=99999999999", "data.cross_validated_below=99999999999",
        "data.validation_share=.nan",
    ],
)  # fmt: skip
def test_a_preset_holds_no_such_number(setting):
    with pytest.raises(SettingInvalid) as caught:
        presets.with_settings(presets.load("minilm"), (setting,))
    assert setting.partition("=")[0] in caught.value.message


@pytest.mark.parametrize(
    ("typed", "bound"),
    [
        (("auto", "--data", "sample:", "--session-hours", "99999999"), "more than ten years"),
        (("auto", "--data", "sample:", "--seed", "18446744073709551616"), "4,294,967,295"),
        (("plan", "--preset", "minilm", "--ensemble", "1000000000"), "100"),
    ],
)
def test_the_command_says_so(typed, bound, capsys):
    from agnews_cli.cli.main import main

    with pytest.raises(SystemExit) as ended:
        main(list(typed))
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert bound in err
    assert "Traceback" not in err
    assert issubclass(OutOfRange, AgnewsError)
