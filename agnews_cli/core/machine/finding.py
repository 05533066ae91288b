"""What a check found, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["good", "know", "mend"]
"""As it should be; worth knowing; must be mended before training."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer of a check. `mend` is the exact command, or what to click where there is none."""

    check: str
    level: Level
    text: str
    mend: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def must_mend(findings: Iterable[Finding]) -> bool:
    """Whether training would fail, or spend quota for nothing."""
    return any(finding.level == "mend" for finding in findings)
