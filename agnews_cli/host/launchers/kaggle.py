"""Batch sessions of Kaggle: each a private kernel, whose output is a store.

What is sent is the notebook that `agnews notebook kaggle` writes, with its store in the kernel's
output. The next session has the kernel before it as an input. Kaggle's interface cannot stop a
kernel, only delete it with all that it has.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from agnews_cli.core.hours.resource import Resource
from agnews_cli.core.launching.answers import Begun, Looked
from agnews_cli.errors import (
    LauncherClientMissing,
    LaunchHeld,
    LoginRefused,
    StoreBusy,
    StoreTrouble,
)
from agnews_cli.host import kaggle_client
from agnews_cli.host.kaggle_client import NothingHeard
from agnews_cli.host.launcher import REPORT, STORE, SessionOrder, SessionOutput
from agnews_cli.store.disk import files
from agnews_cli.store.remotes.folder import Folder
from agnews_cli.store.remotes.remote import Promises

USUAL = "NvidiaTeslaT4"
"""Two T4; a single one is not offered (kaggle 2.2.5, `kernels push --help`)."""
NO_ACCELERATOR = "none"
LOGIN = "Make a token at kaggle.com/settings/api, and give it to Kaggle's client: KAGGLE_API_TOKEN"
_CALL_S, _PUSH_S, _LONG_S = 60.0, 180.0, 3600.0
_PAGE = "https://www.kaggle.com/code/{owner}/{name}"
_MOST_REPORT, _LOG_BYTES = 100_000, 4_000_000
_READ_ONLY = Promises(is_read_only=True, proves=True)


class AskKaggle(Protocol):
    """`kaggle_client.ask`."""

    def __call__(self, call: str, *, timeout_s: float, **facts: Any) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Kaggle:
    """One account's kernels. `notebook`: the body of a session's kernel."""

    owner: str
    notebook: Callable[[SessionOrder], dict[str, Any]]
    ask: AskKaggle = kaggle_client.ask
    title: str = "Kaggle"
    platform: str = "kaggle"

    def resource(self, accelerator: str) -> Resource:
        return "cpu" if accelerator == NO_ACCELERATOR else "gpu"

    def begin(self, order: SessionOrder) -> Begun:
        (order.folder / "kernel.ipynb").write_text(
            json.dumps(self.notebook(order), ensure_ascii=False), "utf-8"
        )
        meta = json.dumps(self._metadata(order), indent=2)
        (order.folder / "kernel-metadata.json").write_text(meta, "utf-8")
        try:
            found = self.ask(
                "push",
                timeout_s=_PUSH_S,
                folder=str(order.folder),
                most_s=round(order.most_s),
                accelerator=None if order.accelerator == NO_ACCELERATOR else order.accelerator,
            )
        except NothingHeard as error:
            return Begun(error=str(error))
        if "ok" in found:
            return Begun(200, found["ok"]["error"], found["ok"]["url"])
        _require_client(found)
        # Without a token nothing was sent.
        code = 401 if found["failed"] == "login" else found["code"]
        return Begun(code, found["message"], after_s=found.get("after_s"))

    def look(self, name: str) -> Looked:
        try:
            found = self.ask("look", timeout_s=_CALL_S, kernel=f"{self.owner}/{name}")
        except NothingHeard as error:
            return Looked(message=str(error))
        url = _PAGE.format(owner=self.owner, name=name)
        if "ok" in found:
            return Looked(**{"url": url} | found["ok"])
        _require_client(found)
        code = 401 if found["failed"] == "login" else found["code"]
        return Looked(code=code, message=found["message"], url=url)

    def output(self, name: str, folder: Path) -> SessionOutput:
        pattern = rf"^({STORE}/|{REPORT.replace('.', '[.]')}$)"
        try:
            facts = {"kernel": f"{self.owner}/{name}", "folder": str(folder), "pattern": pattern}
            found = self.ask("output", timeout_s=_LONG_S, **facts)
        except NothingHeard as error:
            raise StoreBusy(store=self._address(name), action="give", reason=str(error)) from error
        if "ok" not in found:
            _require_client(found)
            code = found.get("code")
            is_lasting = found["failed"] == "login" or code in (400, 401, 403)
            kind = StoreTrouble if is_lasting else StoreBusy
            raise kind(store=self._address(name), action="give its output", reason=found["message"])
        root = folder / STORE
        store = Folder(root, _READ_ONLY, self._address(name)) if root.is_dir() else None
        return SessionOutput(store, _report(folder / REPORT), _log(folder / f"{name}.log"))

    def cancel(self, name: str) -> Looked:
        """Kaggle's interface deletes a kernel and cannot stop it: what only it had is gone."""
        try:
            found = self.ask("delete", timeout_s=_CALL_S, kernel=f"{self.owner}/{name}")
        except NothingHeard as error:
            return Looked(message=str(error))
        if "ok" in found:
            return Looked(code=404, is_listed=False)
        _require_client(found)
        return Looked(code=found["code"], message=found["message"])

    def _metadata(self, order: SessionOrder) -> dict[str, Any]:
        """kaggle 2.2.5, docs/kernels_metadata.md."""
        kind = self.resource(order.accelerator)
        return {
            "id": f"{self.owner}/{order.name}",
            "title": order.name,
            "code_file": "kernel.ipynb",
            "language": "python",
            "kernel_type": "notebook",
            "is_private": True,
            "enable_gpu": kind == "gpu",
            "enable_tpu": False,
            "enable_internet": True,
            "dataset_sources": [f"{self.owner}/{order.data}"] if order.data else [],
            "kernel_sources": [f"{self.owner}/{source}" for source in order.sources],
        }

    def _address(self, name: str) -> str:
        return f"kaggle.com/code/{self.owner}/{name}"


def account(ask: AskKaggle, again: str) -> str:
    """Who asks. Raises LoginRefused, LauncherClientMissing, LaunchHeld."""
    try:
        found = ask("me", timeout_s=_CALL_S)
    except NothingHeard as error:
        raise LaunchHeld(why=f"Kaggle is not heard: {error}", next=again) from error
    if "ok" in found:
        return str(found["ok"]["user"])
    _require_client(found)
    if found["failed"] == "login" or found.get("code") == 403:
        raise LoginRefused(platform="Kaggle", reason=found["message"], login=LOGIN)
    raise LaunchHeld(why=f"Kaggle does not say who asks: {found['message']}", next=again)


def send_data(ask: AskKaggle, dataset: str, folder: Path) -> tuple[str, str]:
    """(`ready`, `pending` or `refused`, in words why). Data of that name are sent once."""
    slug = dataset.partition("/")[2]
    meta = {"id": dataset, "title": slug, "licenses": [{"name": "other"}]}
    (folder / "dataset-metadata.json").write_text(json.dumps(meta), "utf-8")
    try:
        found = ask("data", timeout_s=_LONG_S, dataset=dataset, folder=str(folder))
    except NothingHeard as error:
        return "pending", str(error)
    if "ok" not in found:
        _require_client(found)
        is_lasting = found["failed"] == "login" or found.get("code") in (400, 401, 403, 413)
        return "refused" if is_lasting else "pending", found["message"]
    status = str(found["ok"]["status"])
    if status in ("refused", "failed", "deleted"):
        return "refused", found["ok"].get("message") or f"the data set is {status}"
    return ("ready", "") if status == "ready" else ("pending", f"the data set is {status}")


def _require_client(found: dict[str, Any]) -> None:
    if found["failed"] == "client":
        package = kaggle_client.PACKAGE
        raise LauncherClientMissing(platform="Kaggle", package=package, problem=found["message"])


def _report(path: Path) -> dict[str, object]:
    try:
        found = json.loads(files.read_plain(path, _MOST_REPORT))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _log(path: Path) -> str:
    """The lines of a kernel's log, which Kaggle gives as JSON, an object a piece."""
    try:
        text = files.read_plain(path, _LOG_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
    try:
        return "".join(str(each.get("data", "")) for each in json.loads(text))
    except (ValueError, AttributeError, TypeError):
        return text
