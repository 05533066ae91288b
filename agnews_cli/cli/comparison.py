"""How models beside each other look: figures of each, and what lies between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from agnews_cli.cli import screens
from agnews_cli.core.run.comparison import Comparison

if TYPE_CHECKING:
    from rich.console import RenderableType

    from agnews_cli.core.run.evaluation import Interval
    from agnews_cli.workflows.runs.compare import RunsCompared

_CERTAIN = 0.05
_NAME = 38


def screen(found: RunsCompared) -> tuple[RenderableType, ...]:
    """All of it, and what to mind."""
    parts = [*tables(found.comparison, found.size_bytes, on=found.on)]
    if found.looks is not None:
        parts.append(
            f"{found.looks:,} runs of the store were asked about such test rows: the best of many "
            "is better by luck too"
        )
    else:
        parts.append("These rows chose the models, or their steps: all figures are optimistic")
    return tuple(parts)


def tables(
    found: Comparison, size_bytes: Mapping[str, int | None], *, on: str
) -> tuple[RenderableType, ...]:
    """Figures of each, the best first; then each pair."""
    from agnews_cli.store.disk.space import size

    figures = [
        (
            screens.one_line(one.name, _NAME),
            screens.percent(one.accuracy.value),
            _between(one.accuracy),
            screens.percent(one.macro_f1),
            f"{max(0.0, one.loss):.4f}",
            screens.percent(one.calibration_error),
            None if (held := size_bytes.get(one.name)) is None else size(held),
        )
        for one in found.models
    ]
    heads = ("model", "accuracy", "95%", "macro-F1", "log loss", "calib.", "size")
    title = f"On the same {found.rows:,} {on} rows"
    parts: list[RenderableType] = [screens.table(heads, figures, title=title), ""]
    if found.differences:
        other = "the other" if found.against is None else screens.one_line(found.against, _NAME)
        rows = [
            (
                screens.one_line(
                    one.one if found.against else f"{one.one} and {one.two}", 2 * _NAME
                ),
                f"{100 * one.accuracy.value:+.2f}",
                _between(one.accuracy, "+"),
                f"{one.only_one_right}:{one.only_two_right}",
                _p(one.p),
                _p(one.p_holm),
                "they differ" if one.p_holm < _CERTAIN else "may be chance",
            )
            for one in found.differences
        ]
        heads = ("model", "points", "95%", "alone right", "p", "Holm", "")
        parts += [screens.table(heads, rows, title=f"Less {other}"), ""]
    return tuple(parts)


def _between(figure: Interval, sign: str = "") -> str:
    return f"{100 * figure.low:{sign}.2f} to {100 * figure.high:{sign}.2f}"


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "<0.001"
