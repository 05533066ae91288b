"""How models beside each other look: figures of each, and what lies between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agnews_cli.cli import screens

if TYPE_CHECKING:
    from rich.console import RenderableType

    from agnews_cli.core.run.evaluation import Interval
    from agnews_cli.core.run.latency import Latency
    from agnews_cli.workflows.runs.compare import RunsCompared

_CERTAIN = 0.05
_NAME = 38
_P = (
    "only right: rows that this one alone has right, and the other one alone. p: McNemar's test, "
    "corrected for how many are compared (Holm)"
)


def screen(found: RunsCompared) -> tuple[RenderableType, ...]:
    """All of it, and what to mind."""
    parts = [*tables(found)]
    if found.looks is not None:
        parts.append(looks(found.looks, found.best_of))
    else:
        parts.append("These rows chose the models, or their steps: all figures are optimistic")
    return tuple(parts)


def looks(taken: int, best: Interval | None) -> str:
    """How often the rows were looked at, and what the best is worth then."""
    if best is None:
        return f"{taken:,} look{'s' * (taken != 1)} at these test rows, by all runs"
    return (
        f"{taken:,} looks at these test rows, by all runs: the best of many is better by luck too. "
        f"As the best of {taken:,} its accuracy is {between(best)} (95%, Šidák)"
    )


def tables(of: RunsCompared) -> tuple[RenderableType, ...]:
    """Figures of each, the best first; then each pair, and what speeds are those of."""
    from agnews_cli.store.disk.space import size

    found, took = of.comparison, of.latency
    figures = [
        (
            screens.one_line(one.name, _NAME),
            screens.percent(one.accuracy.value),
            between(one.accuracy),
            screens.percent(one.macro_f1),
            f"{max(0.0, one.loss):.4f}",
            screens.percent(one.calibration_error),
        )
        for one in found.models
    ]
    heads = ("model", "accuracy", "95%", "macro-F1", "log loss", "calib.")
    title = f"On the same {found.rows:,} {of.on} rows"
    parts: list[RenderableType] = [screens.table(heads, figures, title=title), ""]
    if found.differences:
        other = "the other" if found.against is None else screens.one_line(found.against, _NAME)
        rows = [
            (
                screens.one_line(
                    one.one if found.against else f"{one.one} and {one.two}", 2 * _NAME
                ),
                f"{100 * one.accuracy.value:+.2f}",
                between(one.accuracy, "+"),
                f"{one.only_one_right}:{one.only_two_right}",
                p_value(one.p_holm),
                "they differ" if one.p_holm < _CERTAIN else "may be chance",
            )
            for one in found.differences
        ]
        of_pairs = ("model", "points", "95%", "only right", "p", "")
        parts += [screens.table(of_pairs, rows, title=f"Points of accuracy above {other}"), _P, ""]
    costs = [
        (
            screens.one_line(one.name, _NAME),
            None if (held := of.size_bytes.get(one.name)) is None else size(held),
            *speed(took.get(one.name)),
        )
        for one in found.models
    ]
    parts += [screens.table(("model", "size", "one text", "rows/s"), costs), ""]
    machines = sorted({one.machine for one in took.values() if one is not None})
    if machines:
        summed = any(one is not None and one.is_sum for one in took.values())
        more = "; of an ensemble, its members one after another" if summed else ""
        parts.append(f"Speeds as measured at evaluation, on {' and '.join(machines)}{more}")
    return tuple(parts)


def speed(took: Latency | None) -> tuple[str | None, str | None]:
    """(milliseconds of one text alone, rows a second in batches)"""
    if took is None:
        return None, None
    return f"{1000 * took.one_text_s:.1f} ms", f"{took.rows_per_s:,.0f}"


def between(figure: Interval, sign: str = "") -> str:
    """In percent."""
    return f"{100 * figure.low:{sign}.2f} to {100 * figure.high:{sign}.2f}"


def p_value(value: float) -> str:
    """Of a test."""
    return f"{value:.3f}" if value >= 0.001 else "<0.001"
