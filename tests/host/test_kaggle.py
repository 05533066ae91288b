"""Recorded answers of Kaggle's client, through a stand-in for it in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agnews_cli.core.hours.quota import budget
from agnews_cli.host import kaggle_quota
from agnews_cli.store.settings.limits import load

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SATURDAY = datetime(2026, 11, 28, tzinfo=UTC)

# The answer of 2026-10-07 with the names that kaggle 2.2.5 and kagglesdk 0.1.38 give it: times are
# naive UTC, and an amount that is nothing may be None.
ANSWER = """
from datetime import datetime, timedelta
from types import SimpleNamespace as Of

class Api:
    def quota_view(self):
        return Of(
            quota_refresh_time={refresh},
            gpu_quota=Of(time_used=timedelta(seconds=18349), time_reserved={reserved},
                         total_time_allowed=timedelta(seconds=108000)),
            tpu_quota={tpu},
        )

print("Warning: a client that talks")
__version__ = "2.2.5"
api = Api()
"""
TPU = "Of(time_used=timedelta(0), time_reserved=None, total_time_allowed=timedelta(seconds=72000))"


def answer(
    refresh: str = "datetime(2026, 11, 28)", reserved: str = "timedelta(0)", tpu: str = TPU
) -> str:
    return ANSWER.format(refresh=refresh, reserved=reserved, tpu=tpu)


def failing(how: str) -> str:
    return f"""
from types import SimpleNamespace as Of
class HTTPError(Exception):
    def __init__(self, status):
        super().__init__("https://user:s3cret@kaggle")
        self.response = Of(status_code=status)
class Api:
    def quota_view(self):
        {how}
api = Api()
"""


Stand = Callable[[str], None]


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stand:
    """Puts a `kaggle` module where Python finds it, and a token where Kaggle looks for it."""
    monkeypatch.setenv("KAGGLE_API_TOKEN", "t0ken")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    monkeypatch.syspath_prepend(str(tmp_path))

    def stand(code: str) -> None:
        (tmp_path / "kaggle").mkdir()
        (tmp_path / "kaggle" / "__init__.py").write_text(code)

    return stand


@pytest.fixture(autouse=True)
def nobody_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    for name in ("USERNAME", "KEY", "API_TOKEN", "API_V1_TOKEN", "CONFIG_DIR"):
        monkeypatch.delenv(f"KAGGLE_{name}", raising=False)


def row(answered: kaggle_quota.KaggleAnswer, resource: str = "gpu"):  # type: ignore[no-untyped-def]
    limits = load("kaggle")
    assert limits is not None
    return budget(
        limits, resource, sessions=(), used=(), readings=answered.readings, now=NOW  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_fresh_answer(client: Stand) -> None:
    client(answer())
    told = kaggle_quota.ask(NOW, timeout_s=30)
    assert told.reason == ""
    found = row(told)
    assert (found.how, found.source, found.confidence) == ("official", "Kaggle's API", "high")
    assert (found.used_s, found.allowed_s, found.left_s) == (18349, 108000, 89651)
    assert found.returns_at == SATURDAY
    tpu = row(told, "tpu")
    assert (tpu.how, tpu.left_s) == ("official", 72000)


def test_a_stale_return_and_reserved_time(client: Stand) -> None:
    client(answer("datetime(2026, 1, 10)", "timedelta(seconds=7200)", "None"))
    told = kaggle_quota.ask(NOW, timeout_s=30)
    found = row(told)
    assert found.returns_at == SATURDAY
    assert (found.reserved_s, found.left_s) == (7200, 108000 - 18349 - 7200)
    assert row(told, "tpu").how == "estimated"  # nothing was said of it


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (failing("raise HTTPError(401)"), "may not read the quota (401)"),
        (failing("raise HTTPError(403)"), "may not read the quota (403)"),
        (failing("raise HTTPError(500)"), "did not tell the quota (status 500)"),
        (failing("raise KeyError('x')"), "did not tell the quota (KeyError)"),
        (failing("return Of(gpu_quota=1)"), "did not tell the quota (AttributeError)"),
        (failing("import os; os._exit(3)"), "no answer that can be read"),
        (
            "class Api: pass\napi = Api()\n__version__ = '2.0.2'",
            "client 2.0.2 cannot ask for the quota; 2.2.1 can",
        ),
        ("raise SystemExit(1)", "cannot log in (SystemExit)"),
        ("import no_such_module_of_its_own", "cannot log in (ModuleNotFoundError)"),
    ],
)
def test_without_an_answer_the_ledger_estimates_and_the_reason_is_said(
    client: Stand, code: str, reason: str
) -> None:
    client(code)
    told = kaggle_quota.ask(NOW, timeout_s=30)
    assert told.readings == ()
    assert reason in told.reason
    assert "s3cret" not in told.reason
    assert "t0ken" not in told.reason
    assert row(told).how == "estimated"


def test_a_client_that_hangs_is_left(client: Stand) -> None:
    client(failing("import time; time.sleep(60)"))
    assert kaggle_quota.ask(NOW, timeout_s=1.0).reason == "Kaggle did not answer within 1 s"
    assert kaggle_quota.TIMEOUT_S == 5.0


def test_who_has_no_token_or_no_client_is_not_kept_waiting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("subprocess.run", None)
    assert "no Kaggle token" in kaggle_quota.ask(NOW).reason
    home = tmp_path / "nobody" / ".kaggle"
    home.mkdir(parents=True)
    (home / "kaggle.json").write_text(json.dumps({"username": "u", "key": "k"}))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "not installed" in kaggle_quota.ask(NOW).reason
