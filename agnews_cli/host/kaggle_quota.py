"""Asks Kaggle how much quota is left, through Kaggle's own client, in a child process.

The client is the user's to install, and many versions are about: Colab ships one without the call,
importing it logs in, and its requests have no time limit. So nothing of it is imported here; a
child does, is given a few seconds, and answers with one line of JSON. What it could not answer
comes back as a reason in words. No token and no text of the server is passed on.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import agnews_cli
from agnews_cli.core.hours.resource import Resource
from agnews_cli.core.hours.session import QuotaReading
from agnews_cli.host import children

TIMEOUT_S = 5.0
SOURCE = "Kaggle's API"
_CALL = "quota_view"
_SINCE = "2.2.1"


@dataclass(frozen=True, slots=True)
class KaggleAnswer:
    """What Kaggle said, or in `reason` why nothing was heard."""

    readings: tuple[QuotaReading, ...] = ()
    reason: str = ""


def ask(now: datetime, timeout_s: float = TIMEOUT_S) -> KaggleAnswer:
    """The account's quota of GPU and TPU hours. Never raises."""
    if not _has_token():
        return KaggleAnswer(reason="Kaggle was not asked: there is no Kaggle token here")
    if importlib.util.find_spec("kaggle") is None:
        hint = f"pip install 'kaggle>={_SINCE}' in an environment of its own or here"
        return KaggleAnswer(reason=f"Kaggle was not asked: its client is not installed ({hint})")
    try:
        answer = children.answer(
            children.module("agnews_cli.host.kaggle_quota"),
            timeout_s=timeout_s,
            env=children.environment({"PYTHONPATH": _python_path()}),
        )
        if answer is None:
            return KaggleAnswer(reason=f"Kaggle did not answer within {timeout_s:g} s")
        facts = json.loads(answer[1].decode().strip().splitlines()[-1])
        if "reason" in facts:
            return KaggleAnswer(reason=str(facts["reason"]))
        return KaggleAnswer(readings=tuple(_readings(facts, now)))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return KaggleAnswer(reason="Kaggle's client gave no answer that can be read")


def _python_path() -> str:
    """Where this package lies: a safe path keeps a `kaggle.py` of the current folder out."""
    root = str(Path(agnews_cli.__file__).parent.parent)
    return os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))


def _has_token() -> bool:
    env = os.environ
    if env.get("KAGGLE_USERNAME") and env.get("KAGGLE_KEY"):
        return True
    if env.get("KAGGLE_API_TOKEN") or env.get("KAGGLE_API_V1_TOKEN"):
        return True
    home = Path.home()
    folders = [home / ".kaggle", home / ".config" / "kaggle"]
    folders += [Path(env["KAGGLE_CONFIG_DIR"])] if env.get("KAGGLE_CONFIG_DIR") else []
    files = ("kaggle.json", "access_token", "access_token.txt", "credentials.json")
    return any((folder / name).exists() for folder in folders for name in files)


def _readings(facts: Mapping[str, Any], now: datetime) -> list[QuotaReading]:
    returns = facts["returns_at"]
    readings = []
    for resource in get_args(Resource):
        told = facts["quotas"].get(resource)
        if told is not None:
            readings.append(
                QuotaReading(
                    id="",
                    platform="kaggle",
                    resource=resource,
                    at=now,
                    how="official",
                    source=SOURCE,
                    used_s=float(told["used_s"]),
                    reserved_s=float(told["reserved_s"]),
                    allowed_s=float(told["allowed_s"]),
                    returns_at=None if returns is None else datetime.fromisoformat(returns),
                )
            )
    return readings


# ---- in the child --------------------------------------------------------------------------------


def main() -> None:
    """Print the answer as the last line; all that the client prints goes to standard error."""
    out = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        facts = _asked()
    out.write(json.dumps(facts) + "\n")
    out.flush()
    os._exit(0)  # a client's thread must not keep the answer waiting


def _asked() -> dict[str, Any]:
    try:
        import kaggle
    except (Exception, SystemExit) as error:  # an old client leaves the process without a token
        return {"reason": f"Kaggle's client cannot log in ({type(error).__name__})"}
    api = kaggle.api
    if not hasattr(api, _CALL):
        version = getattr(kaggle, "__version__", "of unknown version")
        return {"reason": f"Kaggle's client {version} cannot ask for the quota; {_SINCE} can"}
    try:
        answer = getattr(api, _CALL)()
        quotas = {"gpu": answer.gpu_quota, "tpu": answer.tpu_quota}
        returns = answer.quota_refresh_time
        return {
            "returns_at": None if returns is None else _as_utc(returns).isoformat(),
            "quotas": {name: _quota(q) for name, q in quotas.items() if q is not None},
        }
    except (Exception, SystemExit) as error:
        response = getattr(error, "response", None)
        status = getattr(response, "status_code", None) or getattr(error, "status", None)
        if status in (401, 403):
            return {"reason": f"Kaggle refused: its token may not read the quota ({status})"}
        more = f"status {status}" if status else type(error).__name__
        return {"reason": f"Kaggle did not tell the quota ({more})"}


def _quota(told: Any) -> dict[str, float]:
    return {
        "used_s": _seconds(told.time_used),
        "reserved_s": _seconds(told.time_reserved),
        "allowed_s": told.total_time_allowed.total_seconds(),
    }


def _seconds(given: timedelta | None) -> float:
    return 0.0 if given is None else given.total_seconds()


def _as_utc(moment: datetime) -> datetime:
    """Kaggle's times are UTC and do not say so."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


if __name__ == "__main__":
    main()
