"""A stand-in for Kaggle's batch kernels, beside its data sets: as much as the official client uses.

Kernels pretend: how long one runs and what it leaves is said by `behave`, by its own clock. Faults
are said by `fault`, request by request. `starts` has every start there was, so that a second one of
the same name shows.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.servers.kaggle import StandInKaggle, _Handler

CLIENT_SITE = """\
# Found by every Python that has this folder in PYTHONPATH: Kaggle's client speaks to the stand-in.
import os, sys
url = os.environ.get("STANDIN_KAGGLE")
if url and any("agnews_cli.host.kaggle_" in word for word in sys.orig_argv):
    from kagglesdk import kaggle_env
    kaggle_env._env_to_endpoint[kaggle_env.KaggleEnv.PROD] = url
"""
MOST_AT_ONCE = 2
CAP_S = 12 * 3600.0
USER = "me"


@dataclass
class Behaviour:
    """What a kernel does when it runs."""

    lasts_s: float
    word: str = "COMPLETE"
    message: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    log: str = ""
    heeds_timeout: bool = True


@dataclass
class Kernel:
    """One start of a kernel."""

    name: str
    order: Mapping[str, Any]
    began_s: float
    ends_s: float
    behaviour: Behaviour
    is_cut: bool = False
    """Whether the platform ended it before its own end: it leaves nothing."""
    shows_s: float = 0.0
    """From when on anybody can see it."""
    is_deleted: bool = False

    def word(self, now_s: float) -> str:
        if now_s < self.began_s:
            return "QUEUED"
        if now_s < self.ends_s:
            return "RUNNING"
        return "CANCEL_ACKNOWLEDGED" if self.is_cut else self.behaviour.word

    def used_s(self, now_s: float) -> float:
        return max(0.0, min(now_s, self.ends_s) - self.began_s)


class StandInKernels(StandInKaggle):
    """Kernels by `owner/slug`."""

    def __init__(
        self,
        behave: Callable[[Mapping[str, Any]], Behaviour],
        *,
        now_s: Callable[[], float] = time.time,
        fault: Callable[[str], str | int | None] = lambda method: None,
        allowed_s: float = 30 * 3600.0,
    ) -> None:
        self.behave, self.now_s, self.fault, self.allowed_s = behave, now_s, fault, allowed_s
        self.kernels: dict[str, Kernel] = {}
        self.starts: list[Kernel] = []
        self.deleted: list[str] = []
        self.doubled: list[str] = []
        """Names that were started while a kernel of that name was there."""
        self.used_before_s = 0.0
        self.most_at_once = 0
        self.in_flight = threading.RLock()
        """Held while a request is answered: one at a time, and none while the test holds it."""
        self.late_s: Callable[[], float] = lambda: 0.0
        """How long after a push nothing shows it."""
        self.queue_s: Callable[[], float] = lambda: 0.0
        """How long a kernel waits for its machine."""
        super().__init__(_KernelHandler)

    def point(self, folder: Path) -> dict[str, str]:
        """The environment of a command that is to speak to it; `folder` is made for that."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sitecustomize.py").write_text(CLIENT_SITE)
        return {
            "STANDIN_KAGGLE": self.url,
            "KAGGLE_USERNAME": USER,
            "KAGGLE_KEY": "k" * 32,
            "KAGGLE_CONFIG_DIR": str(folder),
        }

    def seen(self) -> dict[str, Kernel]:
        """Those that anybody can see by now."""
        now_s = self.now_s()
        return {name: each for name, each in self.kernels.items() if now_s >= each.shows_s}

    def running(self) -> list[Kernel]:
        now_s = self.now_s()
        return [each for each in self.starts if now_s < each.ends_s]

    def used_s(self) -> float:
        """GPU time of all kernels there were."""
        now_s = self.now_s()
        on_gpu = (each for each in self.starts if each.order.get("enableGpu"))
        return self.used_before_s + sum(each.used_s(now_s) for each in on_gpu)

    def save(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Begin a kernel, or a new version of one: it runs either way."""
        if len(self.running()) >= MOST_AT_ONCE:
            return {"error": f"Maximum batch GPU session count of {MOST_AT_ONCE} reached."}
        if order.get("enableGpu") and self.used_s() >= self.allowed_s:
            return {"error": "You have exceeded your weekly GPU quota."}
        name, now_s = str(order["slug"]), self.now_s()
        behaviour = self.behave(order)
        timeout_s = float(order.get("sessionTimeoutSeconds") or CAP_S)
        longest_s = min(CAP_S, timeout_s) if behaviour.heeds_timeout else CAP_S
        began_s = now_s + self.queue_s()
        ends_s = began_s + min(behaviour.lasts_s, longest_s)
        is_cut, shows_s = behaviour.lasts_s > longest_s, now_s + self.late_s()
        kernel = Kernel(name, order, began_s, ends_s, behaviour, is_cut, shows_s)
        self.doubled += [name] if name in self.kernels else []
        self.kernels[name] = kernel
        self.starts.append(kernel)
        self.most_at_once = max(self.most_at_once, len(self.running()))
        number = sum(each.name == name for each in self.starts)
        return {"ref": name, "url": f"https://www.kaggle.com/code/{name}", "versionNumber": number}

    def remove(self, name: str) -> None:
        """Delete a kernel, which ends it."""
        kernel = self.kernels.pop(name)
        kernel.is_deleted = True
        kernel.ends_s = min(kernel.ends_s, max(kernel.began_s, self.now_s()))
        self.deleted.append(name)


class _KernelHandler(_Handler):
    owner: StandInKernels

    def do_GET(self) -> None:
        """A file of an output."""
        _, _, owner, slug, name = self.path.split("/", 4)
        kernel = self.owner.kernels.get(f"{owner}/{slug}")
        if kernel is None or self._is_faulty("DownloadOutput"):
            self._answer(404, b"gone")
            return
        self._answer(200, kernel.behaviour.files[unquote(name)])

    def do_POST(self) -> None:
        with self.owner.in_flight:
            self._do_post()

    def _do_post(self) -> None:
        method = urlsplit(self.path).path.rpartition("/")[2]
        fault = self.owner.fault(method)
        if isinstance(fault, int):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self._answer(fault, {"code": fault, "message": f"the stand-in says {fault}"})
        elif fault == "drop":  # before anything is done
            self._drop()
        elif fault == "drop after":  # done, and nobody hears of it
            self._is_mute = True
            self._handle(method)
            self._drop()
        else:
            self._is_mute = False
            self._handle(method)

    _is_mute = False

    def _is_faulty(self, method: str) -> bool:
        return self.owner.fault(method) is not None

    def _drop(self) -> None:
        self.close_connection = True

    def _answer(self, status: int, body: bytes | dict) -> None:
        if not self._is_mute:
            super()._answer(status, body)

    def _handle(self, method: str) -> None:
        if "kernels.KernelsApiService" not in self.path:
            super().do_POST()
            return
        facts = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        kaggle = self.owner
        name = f"{facts.get('userName', '')}/{facts.get('kernelSlug', '')}"
        if method == "SaveKernel":
            self._answer(200, kaggle.save(facts))
        elif method == "ListKernels":
            self._answer(200, {"kernels": [{"ref": each} for each in kaggle.seen()]})
        elif method == "GetAcceleratorQuotaStatistics":
            self._answer(200, self._quota())
        elif name not in kaggle.seen():
            self._answer(403, {"code": 403, "message": "Permission 'kernels.get' was denied"})
        elif method == "GetKernelSessionStatus":
            kernel = kaggle.kernels[name]
            word = kernel.word(kaggle.now_s())
            message = kernel.behaviour.message if word == "ERROR" else ""
            self._answer(200, {"status": word, "failureMessage": message})
        elif method == "ListKernelSessionOutput":
            self._answer(200, self._output(name, facts))
        elif method == "DeleteKernel":
            kaggle.remove(name)
            self._answer(200, {})
        else:
            kaggle.unknown.append(self.path)
            self._answer(404, {"code": 404, "message": "unknown"})

    def _output(self, name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
        kernel = self.owner.kernels[name]
        is_over = self.owner.now_s() >= kernel.ends_s and not kernel.is_cut
        files = sorted(kernel.behaviour.files) if is_over else []
        at = int(facts.get("pageToken") or 0)
        page = [
            {"fileName": each, "url": f"{self.owner.url}/file/{name}/{each}"}
            for each in files[at : at + 7]
        ]
        more = {"nextPageToken": str(at + 7)} if at + 7 < len(files) else {}
        return {"files": page, "log": kernel.behaviour.log, **more}

    def _quota(self) -> dict[str, Any]:
        kaggle = self.owner
        now = datetime.fromtimestamp(kaggle.now_s(), UTC)
        returns = (now + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
        gpu = {
            "timeUsed": f"{kaggle.used_s():.0f}s",
            "totalTimeAllowed": f"{kaggle.allowed_s:.0f}s",
        }
        return {"quotaRefreshTime": returns, "gpuQuota": gpu}
