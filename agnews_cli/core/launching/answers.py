"""What a platform's answer means. What cannot be told is unknown: neither dead nor alive."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

LaunchState = Literal["alive", "ended", "failed", "stopped", "missing", "unknown"]
"""`missing`: two answers agree that no session has this name."""
Verdict = Literal["begun", "refused", "later", "unknown"]
"""Of a try to begin. `refused` and `later`: nothing began; `unknown`: it may have begun."""

_WORDS: dict[str, LaunchState] = {
    # kagglesdk 0.1.38, KernelWorkerStatus
    "QUEUED": "alive",
    "NEW_SCRIPT": "alive",
    "RUNNING": "alive",
    "CANCEL_REQUESTED": "alive",
    "COMPLETE": "ended",
    "ERROR": "failed",
    "CANCEL_ACKNOWLEDGED": "stopped",
    # huggingface_hub 2.4, JobStage
    "SCHEDULING": "alive",
    "COMPLETED": "ended",
    "CANCELED": "stopped",
    "DELETED": "stopped",
}
_FULL = re.compile(r"(?i)maximum .{0,40}session count|too many .{0,20}sessions")
_NO_HOURS = re.compile(r"(?i)quota")
_NOT_FOUND = {403, 404}
"""Kaggle answers 403 for a kernel that is not there as well as for one that is not ours."""
_REFUSED = {400, 401, 402, 403, 404, 409, 413, 422}


@dataclass(frozen=True, slots=True)
class Looked:
    """What was heard of one session."""

    word: str = ""
    """The platform's word for its state; empty where it did not say."""
    code: int | None = None
    """The HTTP status of a refusal; None where there was an answer, or nothing at all."""
    is_listed: bool | None = None
    """Whether the list of all that is ours names it; None where there was no list."""
    message: str = ""
    url: str = ""

    @property
    def state(self) -> LaunchState:
        if self.word:
            return _WORDS.get(self.word.upper(), "unknown")
        if self.code in _NOT_FOUND and self.is_listed is False:
            return "missing"
        return "unknown"

    @property
    def is_running(self) -> bool:
        """Whether it has a machine."""
        return self.word.upper() == "RUNNING"

    @property
    def is_forbidden(self) -> bool:
        """Whether the login is refused: waiting does not help."""
        return not self.word and self.code in (401, 403) and self.is_listed is None


@dataclass(frozen=True, slots=True)
class Begun:
    """What was heard when a session was asked to begin."""

    code: int | None = None
    """The HTTP status; None where nothing was heard."""
    error: str = ""
    """What the platform says is wrong, also beside a status of 200."""
    url: str = ""
    after_s: float | None = None
    """When it may be asked again, where it says so."""

    @property
    def verdict(self) -> Verdict:
        if self.code == 200 and not self.error:
            return "begun"
        if self.code == 429 or self.is_full:
            return "later"
        if self.code == 200 or self.code in _REFUSED:
            return "refused"
        return "unknown"

    @property
    def is_doubtful(self) -> bool:
        """Whether something of that name may be there all the same."""
        return self.code in (200, 409)

    @property
    def is_full(self) -> bool:
        """Whether as many sessions run as may."""
        return bool(_FULL.search(self.error))

    @property
    def is_spent(self) -> bool:
        """Whether the platform says that there are no hours left."""
        return not self.is_full and bool(_NO_HOURS.search(self.error))
