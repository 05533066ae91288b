"""Where a report goes, in which form, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from agnews_cli.core.text.spelling import nearest
from agnews_cli.errors import ValueWrong
from agnews_cli.store.disk import outputs
from agnews_cli.workflows.report import page
from agnews_cli.workflows.report.page import Form
from agnews_cli.workflows.report.report import RunsReported, report

_ENDINGS: dict[str, Form] = {".html": "html", ".htm": "html", ".md": "md", ".json": "json"}


@dataclass(frozen=True, slots=True)
class ReportAsked:
    """`out`: None: no file was named, and one beside is made. `form`: None: no file at all."""

    runs: tuple[str, ...]
    form: Form | None
    out: Path | None


@dataclass(frozen=True, slots=True)
class ReportWritten:
    report: RunsReported
    path: Path | None

    def lines(self) -> tuple[str, ...]:
        """What people read of it."""
        found = []
        for run in self.report.runs:
            score = "–" if run.risk.score is None else f"{run.risk.score:.2f}"
            found.append(
                f"{run.run}: risk {score} ({run.risk.word}), {run.risk.covered:.0%} measured"
            )
        if self.report.missing:
            found.append(f"No pictures: pip install {self.report.missing}")
        if self.path is not None:
            found.append(f"Written to {self.path}")
        return tuple(found)


def asked(runs: Sequence[str], form: str | None, out: Path | None, *, is_json: bool) -> ReportAsked:
    """Raises ValueWrong. `is_json`: it goes to standard output, and to a file that was named."""
    forms: tuple[Form, ...] = get_args(Form)
    if form is not None and form not in forms:
        expected = f"html, md or json{nearest(form, list(forms))}"
        raise ValueWrong(name="--form ", given=repr(form), expected=expected)
    chosen = next((one for one in forms if one == form), None)
    if chosen is None and out is not None:
        chosen = _ENDINGS.get(out.suffix.lower())
    if chosen is None and is_json and out is None:
        return ReportAsked(tuple(runs), None, None)
    return ReportAsked(tuple(runs), chosen or "html", out)


def write(
    wanted: ReportAsked,
    store: Path | None,
    *,
    is_thorough: bool,
    changes_texts: bool = False,
    looks_inside: bool = False,
    say: Callable[[str], None],
) -> ReportWritten:
    """Raises as `report`, and CannotWrite or NoDiskSpace."""
    if wanted.out is not None:
        outputs.real(wanted.out)  # before the work
    found = report(
        wanted.runs,
        store,
        is_thorough=is_thorough,
        changes_texts=changes_texts,
        looks_inside=looks_inside,
        say=say,
    )
    if wanted.form is None:
        return ReportWritten(found, None)
    text = _text(found, wanted.form)
    name = found.runs[0].run if len(found.runs) == 1 else f"{len(found.runs)}-runs"
    out = wanted.out or Path(f"{name}-report.{wanted.form}")
    return ReportWritten(found, outputs.write(out, text))


def _text(found: RunsReported, form: Form) -> str:
    match form:
        case "html":
            return page.html_page(found)
        case "md":
            return page.markdown_page(found)
        case "json":
            return json.dumps(found.as_json(), indent=1, ensure_ascii=False) + "\n"
