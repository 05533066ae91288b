"""Jobs of Hugging Face, paid by the minute: each runs one command in an image.

A job is found by a label with its session's name. What it trains lies in a store of the hub that is
the launch's own; how it ended, the job prints as its last line.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agnews_cli.core.hours.resource import Resource
from agnews_cli.core.launching.answers import Begun, Looked
from agnews_cli.errors import LauncherClientMissing, LaunchHeld, LoginRefused, StoreBusy
from agnews_cli.host.launcher import SessionOrder, SessionOutput
from agnews_cli.store.remotes import address, hub
from agnews_cli.store.remotes.faults import status_of
from agnews_cli.store.settings.secrets import hidden

PACKAGE = "huggingface_hub>=1.0"
LABEL = "agnews"
SAID = "agnews-launch "
"""Begins the line in which a job says how it ended."""
_LOG_LINES = 200
_ALIVE = ("RUNNING", "SCHEDULING")


@dataclass(frozen=True, slots=True)
class HfJobs:
    """One account's jobs. `command`: what a session's job runs."""

    owner: str
    image: str
    store: str
    """The address of the launch's store."""
    command: Callable[[SessionOrder], Sequence[str]]
    api: Any
    """huggingface_hub.HfApi"""
    title: str = "Hugging Face"
    platform: str = "hf-jobs"

    def resource(self, accelerator: str) -> Resource:
        return "cpu" if accelerator.startswith("cpu") else "gpu"

    def begin(self, order: SessionOrder) -> Begun:
        try:
            job = self.api.run_job(
                image=self.image,
                command=list(self.command(order)),
                secrets={"HF_TOKEN": _token()},
                flavor=order.accelerator,
                timeout=round(order.most_s),
                labels={LABEL: order.name},
                namespace=self.owner,
            )
        except Exception as error:
            return Begun(status_of(error), _words(error))
        return Begun(200, "", str(job.url))

    def look(self, name: str) -> Looked:
        try:
            job = self._job(name)
        except Exception as error:
            return Looked(code=status_of(error), message=_words(error))
        if job is None:
            return Looked(code=404, is_listed=False)
        return Looked(_stage(job), message=job.status.message or "", url=str(job.url))

    def output(self, name: str, folder: Path) -> SessionOutput:
        store = address.connect(address.parse(self.store))
        try:
            job = self._job(name)
            logs = self.api.fetch_job_logs(job_id=job.id, namespace=self.owner, tail=_LOG_LINES)
            lines = [str(line) for line in logs]
        except Exception as error:
            raise StoreBusy(
                store=self.store, action="say how its job ended", reason=_words(error)
            ) from error
        said = [line.partition(SAID)[2] for line in lines if SAID in line]
        return SessionOutput(store, _report(said[-1] if said else ""), hidden("\n".join(lines)))

    def cancel(self, name: str) -> Looked:
        try:
            job = self._job(name)
            if job is not None:
                self.api.cancel_job(job_id=job.id, namespace=self.owner)
        except Exception as error:
            return Looked(code=status_of(error), message=_words(error))
        return Looked("CANCELED")

    def _job(self, name: str) -> Any:
        """The newest of that name, one that runs before all others; None where there is none."""
        found = list(self.api.list_jobs(labels={LABEL: name}, namespace=self.owner))
        return max(found, key=_age, default=None)


def connect(again: str) -> tuple[Any, str]:
    """(the hub's client, whose it is). Raises LauncherClientMissing, LoginRefused, LaunchHeld."""
    api = hub.client()
    run_job = getattr(api, "run_job", None)
    if run_job is None or "labels" not in inspect.signature(run_job).parameters:
        raise LauncherClientMissing(
            platform="Hugging Face", package=PACKAGE, problem="too old here: it sets no labels"
        )
    if not _token():
        reason, login = "there is no token here", "hf auth login"
        raise LoginRefused(platform="Hugging Face", reason=reason, login=login)
    try:
        return api, str(api.whoami()["name"])
    except Exception as error:
        if status_of(error) in (401, 403):
            raise LoginRefused(
                platform="Hugging Face", reason=_words(error), login="hf auth login"
            ) from error
        why = f"Hugging Face does not say who asks: {_words(error)}"
        raise LaunchHeld(why=why, next=again) from error


def _token() -> str:
    from huggingface_hub import get_token

    return get_token() or ""


def _stage(job: Any) -> str:
    stage = job.status.stage
    return str(getattr(stage, "value", stage))


def _age(job: Any) -> tuple[bool, str]:
    return _stage(job) in _ALIVE, str(job.created_at)


def _words(error: Exception) -> str:
    """One line, without secrets."""
    text = hidden(f"{error}".strip() or type(error).__name__)
    return text.splitlines()[0][:300].rstrip(".")


def _report(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
