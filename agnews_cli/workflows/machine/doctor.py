"""`agnews doctor`: all checks at once, each on its own.

A check is a small function in `workflows.machine.checks`. Each runs in a thread of its own with a
limit on its time; one that fails or hangs becomes a finding and disturbs no other. Nothing is
changed here but the cache, where the probe is remembered: what must be mended is said, with the
command for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agnews_cli.core.machine.finding import Finding, must_mend
from agnews_cli.core.machine.markers import OVERRIDE
from agnews_cli.core.machine.platform import Facts, Platform, describe, identify
from agnews_cli.errors import PlatformUnknown
from agnews_cli.host.detect import gather
from agnews_cli.store.disk.names import local
from agnews_cli.store.run.runs import default_store
from agnews_cli.workflows.machine.checks import CHECKS, Check, Examined


@dataclass(frozen=True, slots=True)
class Examination:
    """All findings, in the order of the checks."""

    patient: Examined
    findings: tuple[Finding, ...]

    @property
    def is_healthy(self) -> bool:
        return not must_mend(self.findings)

    def as_json(self) -> dict[str, Any]:
        """Schema `agnews.doctor/1` (docs/json.md)."""
        return {
            "schema": "agnews.doctor/1",
            "healthy": self.is_healthy,
            "platform": self.patient.platform.name,
            "store": str(self.patient.store),
            "findings": [finding.as_json() for finding in self.findings],
        }


def examine(
    store: Path | None = None, *, is_quick: bool = False, checks: Sequence[Check] = CHECKS
) -> Examination:
    """Run the checks; `is_quick` leaves out those that take seconds."""
    platform, first = _platform(gather("."))
    patient = Examined(platform, local(store or default_store(platform.name)).absolute())
    chosen = [check for check in checks if not (is_quick and check.is_slow)]
    running = [_Running(check, patient) for check in chosen]
    found = [finding for each in running for finding in each.wait()]
    return Examination(patient, (first, *found))


def _platform(facts: Facts) -> tuple[Platform, Finding]:
    """The platform, also where the user's override names none."""
    try:
        platform = identify(facts)
        return platform, Finding("platform", "good", describe(platform))
    except PlatformUnknown as error:
        seen = facts.surroundings
        env = {name: value for name, value in seen.env.items() if name != OVERRIDE}
        platform = identify(replace(facts, surroundings=replace(seen, env=env)))
        return platform, Finding("platform", "mend", error.message, f"unset {OVERRIDE}")


class _Running:
    """A check in a thread that is left behind when its time is up."""

    def __init__(self, check: Check, patient: Examined) -> None:
        self._check = check
        self._patient = patient
        self._found: list[Finding] | None = None
        self._ends_s = time.monotonic() + check.limit_s
        self._thread = threading.Thread(target=self._run, name=check.name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._found = list(self._check.look(self._patient))
        except Exception as error:
            words = f"this check failed itself: {type(error).__name__}: {error}"
            self._found = [Finding(self._check.name, "know", words, "Please report it.")]

    def wait(self) -> list[Finding]:
        self._thread.join(max(0.0, self._ends_s - time.monotonic()))
        if self._found is None:
            words = f"no answer within {self._check.limit_s:g} s"
            again = "Run agnews doctor again when the machine is quiet."
            return [Finding(self._check.name, "know", words, again)]
        return self._found
