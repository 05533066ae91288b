"""A call of Kaggle's client in its child, with stand-ins for the clients that are about."""

from __future__ import annotations

from pathlib import Path

import pytest

from agnews_cli.errors import LauncherClientMissing, LaunchHeld, LoginRefused
from agnews_cli.host import kaggle_client
from agnews_cli.host.launchers import kaggle

CLIENT = """
from types import SimpleNamespace as Of

class HTTPError(OSError):
    def __init__(self, status):
        super().__init__("https://user:s3cret@kaggle")
        self.response = Of(status_code=status, headers={{"Retry-After": "7"}}, url="", json=dict)

class Api:
    config_values = {values}
    def authenticate(self): {login}
    def quota_view(self): {quota}
    def kernels_status(self, kernel): {status}
    def kernels_list(self, **asked): {listed}
    def kernels_push({push}): return Of(error=None, url="u", invalid_kernel_sources=[],
                                        invalid_dataset_sources=[])

print("Warning: a client that talks")
__version__ = "{version}"
api = Api()
"""
USUAL = {
    "values": "{'username': 'me'}",
    "login": "raise SystemExit(1)",
    "quota": "return 1",
    "status": "raise HTTPError(403)",
    "listed": "return []",
    "push": "self, folder, timeout=None, acc=None",
    "version": "2.2.5",
}


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")

    def stand(**changed: str) -> None:
        (tmp_path / "kaggle").mkdir()
        (tmp_path / "kaggle" / "__init__.py").write_text(CLIENT.format(**USUAL | changed))

    return stand


def looked() -> kaggle.Looked:
    return kaggle.Kaggle("me", lambda order: {}).look("agnews-x-s1")


def test_what_is_said_of_a_kernel_that_is_not_there(client) -> None:
    client()
    assert looked().state == "missing"


def test_a_list_that_fails_leaves_it_unknown_whatever_was_said_before(client) -> None:
    client(listed="raise ConnectionError('reset')")
    found = looked()
    assert (found.state, found.code, found.is_forbidden) == ("unknown", None, False)
    assert "s3cret" not in found.message


@pytest.mark.parametrize(
    ("changed", "kind", "words"),
    [
        ({"push": "self, folder", "version": "1.6.17"}, LauncherClientMissing, "too old here"),
        ({"values": "{}"}, LoginRefused, "there is no Kaggle token here"),
        ({"values": "{}", "login": "raise HTTPError(401)"}, LoginRefused, "status 401"),
        ({"values": "{}", "login": "raise HTTPError(500)"}, LaunchHeld, "status 500"),
        ({"quota": "raise HTTPError(403)"}, LoginRefused, "status 403"),
        ({"quota": "raise ConnectionError('no route')"}, LaunchHeld, "no route"),
        ({"quota": "import os; os._exit(3)"}, LaunchHeld, "no answer that can be read"),
    ],
)
def test_who_asks_is_told_or_why_not(client, changed, kind, words) -> None:
    client(**changed)
    with pytest.raises(kind) as caught:
        kaggle.account(kaggle_client.ask, "agnews launch kaggle")
    assert words in caught.value.message
    assert "s3cret" not in caught.value.message


def test_a_client_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kaggle.py").write_text("raise ModuleNotFoundError('no', name='kaggle')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    with pytest.raises(LauncherClientMissing, match="which is not installed") as caught:
        kaggle.account(kaggle_client.ask, "agnews launch kaggle")
    assert caught.value.advice == "pip install 'kaggle>=2.2.1'"


def test_a_client_that_hangs_is_left(client) -> None:
    client(quota="import time; time.sleep(60)")
    with pytest.raises(kaggle_client.NothingHeard, match="no answer within 1 s"):
        kaggle_client.ask("me", timeout_s=1.0)
