"""`agnews quota`: what is left on each platform, asked of all that can tell.

Opens the ledger, asks Kaggle where a token and a client allow it, reads the files and runs the
commands that the user named, and lets `core.hours.quota` judge. What others said is kept in the
ledger, so that it still counts when they do not answer, and on another machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import agnews_cli
from agnews_cli.core.hours import lifetime, quota
from agnews_cli.core.hours.limits import PlatformLimits
from agnews_cli.core.hours.resource import RESOURCES, Resource
from agnews_cli.core.hours.session import QuotaReading, Session, Used
from agnews_cli.errors import CannotWrite, NoDiskSpace, NoLimitsKnown
from agnews_cli.host import kaggle_quota
from agnews_cli.store.disk import files
from agnews_cli.store.disk.names import local
from agnews_cli.store.hours.copies import glance
from agnews_cli.store.hours.ledger import Ledger
from agnews_cli.store.settings import limits, quota_settings

SCHEMA = "agnews.quota/1"
_COMMAND_S = 5.0
_MOST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """A budget, and how long our own sessions lived there."""

    budget: quota.Budget
    sessions: int
    deaths: int
    lifetime_s: float | None
    """Mean time between random ends; None where we never were."""

    def as_json(self) -> dict[str, Any]:
        return _plain(asdict(self.budget)) | {
            "sessions": self.sessions,
            "deaths": self.deaths,
            "lifetime_s": self.lifetime_s,
        }


@dataclass(frozen=True, slots=True)
class View:
    """What `agnews quota` shows."""

    platform: str
    now: datetime
    rows: tuple[Row, ...]
    counted: dict[tuple[str, Resource], tuple[quota.Span, ...]]
    limits: dict[str, PlatformLimits]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Schema `agnews.quota/1` (docs/json.md)."""
        return {
            "schema": SCHEMA,
            "version": agnews_cli.__version__,
            "now": self.now.isoformat(),
            "platform": self.platform,
            "rows": [row.as_json() for row in self.rows],
            "notes": list(self.notes),
        }


def look(
    *,
    platform: str | None = None,
    is_all: bool = False,
    is_offline: bool = False,
    session_started: str | None = None,
) -> View:
    """Every budget that matters here, or `platform`'s. Raises NoLimitsKnown or LimitsInvalid."""
    from agnews_cli.host.detect import detect
    from agnews_cli.host.session_age import session_age

    now, here = datetime.now(UTC), detect()
    is_lent = here.name in limits.names()
    age = session_age(session_started) if is_lent else None
    settings = quota_settings.load()
    with Ledger() as ledger:
        sessions, used, readings = ledger.sessions(), ledger.used(), ledger.readings()
        seen = {s.platform for s in sessions} | {u.platform for u in used}
        known = _limits(platform, is_all, here.name, seen)
        answers, reasons = _ask(known, settings, now, is_offline)
        readings = _kept(ledger, readings, answers)
        notes = ledger.notes
    resource = RESOURCES[here.accelerator.kind]
    asker = quota.Here(here.name, resource, age.seconds, age.source) if age else None
    rows, counted = [], {}
    for each in known:
        lives = lifetime.lives(sessions, each.platform, now)
        for kind in each.offered:
            cap = each.offered[kind].session_hours
            counted[each.platform, kind] = quota.spans(
                sessions, used, each.platform, kind, cap_s=cap.value * 3600 if cap else 0.0
            )
            found = quota.budget(
                each,
                kind,
                sessions=sessions,
                used=used,
                readings=readings,
                now=now,
                reserve_s=settings.reserves_s.get(quota_settings.key(each.platform, kind), 0.0),
                here=asker,
                notes=tuple(
                    n for k, n in reasons if k in (each.platform, f"{each.platform}/{kind}")
                ),
            )
            if _matters(found, counted[each.platform, kind], is_all or platform is not None):
                deaths = sum(life.is_death for life in lives)
                mean_s = lifetime.mean_s(lives) if lives else None
                rows.append(Row(found, len(lives), deaths, mean_s))
    return View(here.name, now, tuple(rows), counted, {k.platform: k for k in known}, notes)


def budget_of(
    platform: PlatformLimits, kind: Resource, now: datetime | None = None
) -> quota.Budget:
    """What is left of one resource, wherever it is asked; its notes say who did not tell, and
    nothing is written."""
    now, settings = now or datetime.now(UTC), quota_settings.load()
    sessions, used, readings = _counted()
    answers, reasons = _ask((platform,), settings, now, is_offline=False)
    return quota.budget(
        platform,
        kind,
        sessions=sessions,
        used=used,
        readings=(*readings, *answers),
        now=now,
        reserve_s=settings.reserves_s.get(quota_settings.key(platform.platform, kind), 0.0),
        here=None,
        notes=tuple(reason for _, reason in reasons),
    )


def _counted() -> tuple[tuple[Session, ...], tuple[Used, ...], tuple[QuotaReading, ...]]:
    """What the ledger holds; nothing is mended by this look, and nothing written."""
    found = glance(Ledger().path)
    if found is None:
        with Ledger() as ledger:  # which mends it, or says in words why it does not answer
            return ledger.sessions(), ledger.used(), ledger.readings()
    used = tuple(fact for fact in found.others if isinstance(fact, Used))
    readings = tuple(fact for fact in found.others if isinstance(fact, QuotaReading))
    return found.sessions, used, readings


def limits_of(platform: str) -> PlatformLimits:
    """Raises NoLimitsKnown, naming what is near."""
    found = limits.load(platform)
    if found is None:
        from agnews_cli.core.text.spelling import nearest

        raise NoLimitsKnown(name=platform, near=nearest(platform, limits.names()))
    return found


@dataclass(frozen=True, slots=True)
class Demand:
    """Whether a plan of so many seconds fits, on each resource that may be used."""

    needs_s: float
    rows: tuple[tuple[Row, quota.Fit], ...]

    @property
    def fits(self) -> bool | None:
        """Whether it does somewhere; None where nobody knows."""
        found = {fit.fits for _, fit in self.rows}
        return True if True in found else None if None in found or not found else False

    def lines(self) -> tuple[str, ...]:
        """A sentence for each."""
        return tuple(f"{_name(row)}: {fit.words}" for row, fit in self.rows)

    def as_json(self) -> list[dict[str, Any]]:
        return [
            {
                "platform": row.budget.platform,
                "resource": row.budget.resource,
                "needs_s": self.needs_s,
                "fits": fit.fits,
                "sessions": fit.sessions,
                "done_at": fit.done_at.isoformat() if fit.done_at else None,
                "verdict": verdict,
            }
            for (row, fit), verdict in zip(self.rows, self.lines(), strict=True)
        ]


def demand(view: View, needs_s: float) -> Demand:
    """Asked of what has a quota, or where nothing has, of all that is shown."""
    known = [row for row in view.rows if row.budget.left_s is not None or row.budget.is_here]
    asked = known or [row for row in view.rows if row.budget.resource != "cpu"] or view.rows
    return Demand(needs_s, tuple((row, quota.fit(row.budget, needs_s, view.now)) for row in asked))


def _name(row: Row) -> str:
    return f"{row.budget.title} {row.budget.resource.upper()}"


# ---- asking --------------------------------------------------------------------------------------


def _limits(
    platform: str | None, is_all: bool, here: str, used: set[str]
) -> tuple[PlatformLimits, ...]:
    if platform is not None:
        return (limits_of(platform),)
    known = limits.names()
    chosen = known if is_all else {*limits.common(), *(used | {here}).intersection(known)}
    found = [each for name in chosen if (each := limits.load(name)) is not None]
    return tuple(sorted(found, key=lambda e: (e.platform != here, not e.is_common, e.platform)))


def _matters(found: quota.Budget, counted: tuple[quota.Span, ...], is_asked: bool) -> bool:
    """A CPU without a quota is shown where it is used, or asked for."""
    return is_asked or found.resource != "cpu" or bool(counted) or found.is_here


def _ask(
    known: Iterable[PlatformLimits],
    settings: quota_settings.QuotaSettings,
    now: datetime,
    is_offline: bool,
) -> tuple[list[QuotaReading], list[tuple[str, str]]]:
    """What others say now; and of whom (`platform` or `platform/resource`) why not."""
    from agnews_cli.core.hours import reported

    readings: list[QuotaReading] = []
    reasons: list[tuple[str, str]] = []
    for each in known:
        if each.official == "kaggle" and not is_offline:
            answer = kaggle_quota.ask(now)
            readings += answer.readings
            reasons += [(each.platform, answer.reason)] if answer.reason else []
        for kind in each.offered:
            key = quota_settings.key(each.platform, kind)
            source = settings.sources.get(key)
            if source is not None and not (is_offline and source.kind == "command"):
                try:
                    text, at = _text(source, now)
                    readings.append(
                        reported.read(
                            text,
                            platform=each.platform,
                            resource=kind,
                            limit=each.limit(kind),
                            now=at,
                            source=source.value,
                        )
                    )
                except (OSError, ValueError) as error:
                    reasons.append((key, f"{source.value!r} does not tell what is left: {error}"))
    return readings, reasons


def _text(source: quota_settings.QuotaSource, now: datetime) -> tuple[str, datetime]:
    """What it says, and when that was true. Raises OSError, or ValueError in words."""
    if source.kind == "file":
        path = local(source.value)
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        return files.read_plain(path, _MOST_BYTES, follows=True).decode("utf-8"), min(written, now)
    import shlex

    from agnews_cli.host import children

    answer = children.answer(shlex.split(source.value), timeout_s=_COMMAND_S)
    if answer is None:
        raise ValueError(f"no answer within {_COMMAND_S:g} s")
    code, text = answer
    if code != 0:
        raise ValueError(f"exit code {code}")
    return text.decode("utf-8"), now


def _kept(
    ledger: Ledger, before: tuple[QuotaReading, ...], answers: Iterable[QuotaReading]
) -> tuple[QuotaReading, ...]:
    """The readings with the answers; one that says what the last one said is not kept again."""
    readings = list(before)
    for answer in answers:
        mine = [
            r
            for r in before
            if (r.platform, r.resource, r.source)
            == (answer.platform, answer.resource, answer.source)
        ]
        answer = replace(answer, id=_new_id())
        readings.append(answer)
        if not mine or replace(mine[-1], id="", at=answer.at) != replace(answer, id=""):
            try:
                ledger.record(answer)
            except (CannotWrite, NoDiskSpace):
                continue  # it is shown all the same
    return tuple(readings)


# ---- forms ---------------------------------------------------------------------------------------


def _new_id() -> str:
    return f"asked-{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.urandom(6).hex()}"


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in facts.items()
    }
