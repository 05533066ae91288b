"""What a platform's terms forbid: refused with the reason, before an account is at risk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agnews_cli.errors import ForbiddenByTerms

Action = Literal["serve", "tunnel", "work for others"]


@dataclass(frozen=True, slots=True)
class Term:
    """`is_free_only`: the paid tiers of the platform allow it."""

    platform: str
    action: Action
    rule: str
    is_free_only: bool
    source: str
    """Where the rule was read, and when."""


_COLAB = "research.google.com/colaboratory/faq, read 2026-10-01"
TERMS: tuple[Term, ...] = (
    Term("colab", "serve", "a runtime used mainly through a web interface", True, _COLAB),
    Term("colab", "tunnel", "remote control such as SSH shells and remote desktops", True, _COLAB),
    Term(
        "colab", "work for others", "a runtime as a worker of distributed computing", True, _COLAB
    ),
)


def refuse_if_forbidden(action: Action, platform: str, tier: str | None) -> None:
    """Raises ForbiddenByTerms. A tier that cannot be known counts as free: it mostly is."""
    for term in TERMS:
        is_meant = term.platform == platform and term.action == action
        if is_meant and not (term.is_free_only and tier == "paid"):
            raise ForbiddenByTerms(
                platform=platform.capitalize(),
                tier=" without a paid plan" if term.is_free_only else "",
                rule=term.rule,
                action=action,
                source=term.source,
            )
