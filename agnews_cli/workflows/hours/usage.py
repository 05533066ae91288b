"""Hours used: history by week, as a table, a picture and a file; and a file taken in.

An exported file taken in anywhere, any number of times, counts every hour once: a session keeps its
id, and a row without one gets its content's.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

from agnews_cli.core.hours import quota, reported
from agnews_cli.core.hours.picture import Week, svg
from agnews_cli.core.hours.resource import Resource
from agnews_cli.core.hours.session import Used, is_id
from agnews_cli.core.text import duration
from agnews_cli.errors import BadUsage, CannotRead, FileMissing, UsageError
from agnews_cli.store.disk import outputs
from agnews_cli.store.disk.names import local
from agnews_cli.store.hours.ledger import Ledger
from agnews_cli.workflows.hours.quota import View

COLUMNS = (
    "id",
    "platform",
    "resource",
    "accelerator",
    "run",
    "began_at",
    "hours",
    "state",
    "useful_hours",
    "redone_hours",
    "stalled_hours",
    "starting_hours",
    "idle_hours",
)
_MOST_ROWS = 1_000_000
_WRONG_CLOCK = timedelta(days=1)


def weeks(view: View, count: int) -> tuple[Week, ...]:
    """Hours of the last `count` weeks; they begin when the first shown quota returns."""
    windows = [limit.window for each in view.limits.values() for limit in each.offered.values()]
    weekly = next((w for w in windows if w is not None and w.kind == "week"), None)
    return tuple(
        Week(
            period.start,
            {
                f"{platform} {resource}": quota.seconds_in(period, counted) / 3600
                for (platform, resource), counted in view.counted.items()
                if quota.seconds_in(period, counted)
            },
        )
        for period in quota.weeks_of(weekly, view.now, count)
    )


def forecasts(view: View) -> tuple[quota.Forecast, ...]:
    """For every row of the view."""
    return tuple(
        quota.forecast(row.budget, view.counted[row.budget.platform, row.budget.resource], view.now)
        for row in view.rows
    )


def draw(found: tuple[Week, ...], path: Path) -> None:
    """Write the picture: SVG, or PNG where matplotlib is installed."""
    title = "Accelerator hours per week"
    if path.suffix == ".svg":
        outputs.write(path, svg(found, title))
        return
    if path.suffix != ".png":
        raise UsageError(message=f"{path}: a picture is .svg or .png", hint="Try hours.svg")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        hint = "Name an .svg, or: pip install 'agnews-cli[plots]'"
        raise UsageError(message="A PNG needs matplotlib, which is not here", hint=hint) from error
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    axes = figure.subplots()
    below = [0.0] * len(found)
    for name in sorted({name for week in found for name in week.hours}):
        hours = [week.hours.get(name, 0.0) for week in found]
        axes.bar([f"{week.start:%d %b}" for week in found], hours, bottom=below, label=name)
        below = [b + h for b, h in zip(below, hours, strict=True)]
    axes.set(title=title, ylabel="hours")
    if any(below):
        axes.legend()
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    outputs.write(path, picture.getvalue())


# ---- files ---------------------------------------------------------------------------------------


def exported() -> str:
    """All that was used, as CSV: agnews's sessions and what was told."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    with Ledger() as ledger:
        sessions, used = ledger.sessions(), ledger.used()
    for s in sessions:
        parts = (
            {}
            if s.split is None
            else {
                f"{name.removesuffix('_s')}_hours": _hours(getattr(s.split, name))
                for name in ("useful_s", "redone_s", "stalled_s", "starting_s", "idle_s")
            }
        )
        writer.writerow(
            {
                "id": s.id,
                "platform": s.platform,
                "resource": s.resource,
                "accelerator": s.accelerator,
                "run": s.run,
                "began_at": s.opened_at.isoformat(),
                "hours": _hours(s.seconds),
                "state": s.state,
            }
            | parts
        )
    known = {s.id for s in sessions}
    for u in used:
        if u.id not in known:
            writer.writerow(
                {
                    "id": u.id,
                    "platform": u.platform,
                    "resource": u.resource,
                    "began_at": u.began_at.isoformat(),
                    "hours": _hours(u.seconds),
                    "state": u.source,
                }
            )
    return out.getvalue()


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file held: rows that were new, rows that were known, and their hours."""

    new: int
    known: int
    seconds: float


def take_in(path: Path) -> Imported:
    """Take in a file with columns `platform, resource, began_at, hours`: CSV, TSV or JSON.

    All or nothing. Raises FileMissing, CannotRead or BadUsage, which names the row.
    """
    facts = [_used(path, number, row) for number, row in enumerate(_rows(path), 1)]
    with Ledger() as ledger:
        known = {u.id for u in ledger.used()} | {s.id for s in ledger.sessions()}
        new = [fact for fact in facts if fact.id not in known]
        for fact in new:
            ledger.record(fact)
    return Imported(len(new), len(facts) - len(new), sum(fact.seconds for fact in new))


def _rows(path: Path) -> Iterable[Mapping[str, Any]]:
    # It tells CSV, TSV, JSON and lines of JSON apart, with any of the usual delimiters.
    from sqlite_utils.utils import rows_from_file

    try:
        with local(path).open("rb") as stream:
            found, _ = rows_from_file(stream)
            rows = [row for row, _ in zip(found, range(_MOST_ROWS), strict=False)]
    except FileNotFoundError:
        raise FileMissing(path=path, hint="`agnews quota export` writes one.") from None
    except OSError as error:
        raise CannotRead(path=path, reason=error.strerror or str(error)) from error
    except Exception as error:  # whatever the readers of four formats raise
        found_ = f"cannot be read ({error})"
        raise BadUsage(path=path, row=1, found=found_, expected="CSV, TSV or JSON") from error
    return rows


def _used(path: Path, number: int, row: Mapping[str, Any]) -> Used:
    def refuse(name: str, expected: str) -> BadUsage:
        found = f"{name} is {row.get(name)!r}"
        return BadUsage(path=path, row=number, found=found, expected=expected)

    platform, resource = str(row.get("platform") or ""), str(row.get("resource") or "").lower()
    if not platform:
        raise refuse("platform", "a platform's name, such as kaggle")
    if resource not in get_args(Resource):
        raise refuse("resource", "gpu, tpu or cpu")
    began_at = reported.moment(str(row.get("began_at") or ""))
    if began_at is None or began_at > datetime.now(UTC) + _WRONG_CLOCK:
        raise refuse("began_at", "a time that has been, such as 2026-11-25T08:00Z")
    seconds = _seconds(row.get("hours"))
    if seconds is None:
        raise refuse("hours", "a number of hours, such as 3.5")
    content = json.dumps([platform, resource, began_at.astimezone(UTC).isoformat(), seconds])
    return Used(
        id=_safe(row.get("id")) or f"file-{hashlib.sha256(content.encode()).hexdigest()[:20]}",
        platform=platform,
        resource=resource,  # type: ignore[arg-type]
        began_at=began_at,
        seconds=seconds,
        source=f"imported from {path.name}",
    )


def _safe(given: object) -> str:
    """An id that can be a file's name; anything else is none."""
    text = str(given or "")
    return text if is_id(text) else ""


def _seconds(given: object) -> float | None:
    try:
        seconds = float(str(given)) * 3600
    except ValueError:
        seconds = duration.parse(str(given)) or math.nan
    return seconds if 0 <= seconds < 3600 * 24 * 366 else None


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.6f}"
