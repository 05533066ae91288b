"""The pictures of one run, by name; each has its numbers in the report beside it, as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from agnews_cli.core.report.curves import Curve
from agnews_cli.core.report.figures import ClassIntervals, Reliability
from agnews_cli.core.report.trials import ChangedTexts
from agnews_cli.core.run.comparison import Comparison
from agnews_cli.core.run.diversity import MEASURES, Diversity
from agnews_cli.core.run.evaluation import Interval, SplitEvaluation
from agnews_cli.learn.report import drawn
from agnews_cli.learn.report.drawn import COLOURS, FAINT, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_CLASSES = 40
_MOST_NUMBERS = 12
"""Of more classes a matrix has shades alone: figures would not be read."""
_LONGEST = 18
_BAR_IN, _HEAD_IN = 0.42, 0.9


def word(text: str, most: int = _LONGEST) -> str:
    """A name from outside, for a picture: one line, no character that XML has not."""
    line = "".join(c if c.isprintable() else " " for c in text)
    line = " ".join(line.split()).encode("utf-8", "replace").decode()
    return line if len(line) <= most else line[: most - 1] + "…"


# ---- how it was trained -------------------------------------------------------------------------


def of_training(curves: Sequence[Curve], prefix: str) -> dict[str, str]:
    """Losses, accuracy and learning rate over the steps; of folds one line each."""
    if not curves:
        return {}
    pictures = {"loss": _losses(curves, f"{prefix}-loss")}
    if any(point.accuracy is not None for curve in curves for point in curve.validated):
        pictures["accuracy"] = _accuracies(curves, f"{prefix}-accuracy")
    if any(point.lr is not None for curve in curves for point in curve.trained):
        pictures["rate"] = _rates(curves, f"{prefix}-rate")
    return pictures


def _losses(curves: Sequence[Curve], name: str) -> str:
    with drawn.axes() as (figure, ax):
        for number, curve in enumerate(curves):
            alpha = 0.9 if len(curves) == 1 else 0.6
            trained = [(p.step, p.loss) for p in curve.trained]
            _line(ax, trained, COLOURS[0], "training" if not number else None, alpha=alpha)
            held = [(p.step, p.loss) for p in curve.validated]
            label = None if number else "validation, calibrated"
            _line(ax, held, COLOURS[1], label, marker="o", alpha=alpha)
            raw = [(p.step, p.raw_loss) for p in curve.validated if p.raw_loss is not None]
            label = None if number else "validation, as it stands"
            _line(ax, raw, COLOURS[1], label, style="--", alpha=alpha)
            asked = [(p.step, p.train_loss) for p in curve.validated if p.train_loss is not None]
            _line(ax, asked, COLOURS[2], None if number else "training rows, asked", marker="s")
        _marks(ax, curves)
        ax.set(xlabel="step", ylabel="loss, nats")
        ax.set_ylim(bottom=0)
        ax.legend()
        return drawn.svg(figure, name, "Training and validation loss over the steps")


def _accuracies(curves: Sequence[Curve], name: str) -> str:
    with drawn.axes() as (figure, ax):
        for number, curve in enumerate(curves):
            held = [(p.step, p.accuracy) for p in curve.validated if p.accuracy is not None]
            _line(ax, held, COLOURS[1], None if number else "validation", marker="o", alpha=0.8)
            asked = [
                (p.step, p.train_accuracy) for p in curve.validated if p.train_accuracy is not None
            ]
            _line(ax, asked, COLOURS[2], None if number else "training rows, asked", marker="s")
        _marks(ax, curves)
        ax.set(xlabel="step", ylabel="accuracy")
        low, high = ax.get_ylim()
        digits = 0 if high - low > 0.08 else 1
        ax.yaxis.set_major_formatter(lambda share, _: f"{share:.{digits}%}")
        ax.legend(loc="lower right")
        return drawn.svg(figure, name, "Accuracy over the steps")


def _rates(curves: Sequence[Curve], name: str) -> str:
    with drawn.axes(height=2.2) as (figure, ax):
        for curve in curves:
            rates = [(p.step, p.lr) for p in curve.trained if p.lr is not None]
            _line(ax, rates, COLOURS[3], None, alpha=0.8)
        ax.set(xlabel="step", ylabel="learning rate")
        ax.set_ylim(bottom=0)
        ax.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        return drawn.svg(figure, name, "Learning rate over the steps")


def _line(
    ax: Axes,
    points: Sequence[tuple[int, float]],
    colour: str,
    label: str | None,
    *,
    marker: str | None = None,
    style: str = "-",
    alpha: float = 1.0,
) -> None:
    if points:
        x, y = zip(*points, strict=True)
        ax.plot(x, y, style, color=colour, label=label, marker=marker, markersize=3.5, alpha=alpha)


def _marks(ax: Axes, curves: Sequence[Curve]) -> None:
    """Where a later session went on, and the step whose weights are kept."""
    for at in sorted({step for curve in curves for step in curve.resumed_at}):
        is_first = not any(line.get_label() == "gone on with" for line in ax.lines)
        label = "gone on with" if is_first else None
        ax.axvline(at, color=INK, linewidth=0.9, linestyle=":", label=label)
    if len(curves) == 1 and curves[0].best is not None:
        ax.axvline(curves[0].best.step, color=COLOURS[2], linewidth=0.9, label="weights kept")


# ---- how it answers -----------------------------------------------------------------------------


def confusion(split: SplitEvaluation, on: str, name: str) -> str:
    """A cell's colour is its share of the row, that is of the true class."""
    labels = [word(one.label) for one in split.classes]
    count = len(labels)
    has_names = count <= MOST_CLASSES
    side = min(5.2, 1.9 + 0.62 * count)
    with drawn.axes(max(3.6, side + 0.4), max(3.0, side)) as (figure, ax):
        for row, counts in enumerate(split.confusion):
            rows = max(1, sum(counts))
            for column, cell in enumerate(counts):
                _cell(ax, column, row, cell / rows, f"{cell:,}" if count <= _MOST_NUMBERS else "")
        ax.set(xlim=(-0.5, count - 0.5), ylim=(count - 0.5, -0.5), aspect="equal")
        ax.set(xlabel="answered", ylabel="true class")
        ax.grid(visible=False)
        ax.set_xticks(range(count), labels if has_names else [""] * count, rotation=90)
        ax.set_yticks(range(count), labels if has_names else [""] * count)
        if count <= 6:
            ax.tick_params("x", rotation=0 if max(map(len, labels)) < 10 else 25)
        return drawn.svg(figure, name, f"Confusion matrix of the {on} rows")


def _cell(ax: Axes, x: int, y: int, share: float, text: str) -> None:
    ax.fill(
        [x - 0.48, x + 0.48, x + 0.48, x - 0.48],
        [y - 0.48, y - 0.48, y + 0.48, y + 0.48],
        color=drawn.shade(share),
        linewidth=0,
    )
    if text:
        ink = drawn.PAPER if share > 0.55 else INK
        ax.text(x, y, text, ha="center", va="center", color=ink)


def class_bars(classes: Sequence[ClassIntervals], on: str, name: str) -> str:
    """The lowest F1 above; whiskers are intervals of 95%."""
    shown = sorted(classes, key=lambda one: one.f1.value)[:MOST_CLASSES]
    with drawn.axes(height=_HEAD_IN + 1.6 * _BAR_IN * len(shown)) as (figure, ax):
        kinds: tuple[tuple[str, Callable[[ClassIntervals], Interval]], ...] = (
            ("precision", lambda one: one.precision),
            ("recall", lambda one: one.recall),
            ("F1", lambda one: one.f1),
        )
        for offset, (kind, of) in enumerate(kinds):
            at = [row + 0.27 * (offset - 1) for row in range(len(shown))]
            each = [of(one) for one in shown]
            _bars(ax, at, each, COLOURS[offset], kind, 0.24)
        ax.set_yticks(range(len(shown)), [word(one.label) for one in shown])
        ax.set_ylim(len(shown) - 0.5, -0.5)
        _shares(ax)
        figure.legend(loc="outside lower center", ncols=3)
        return drawn.svg(figure, name, f"Precision, recall and F1 of each class, {on} rows")


def _bars(
    ax: Axes, at: Sequence[float], each: Sequence[Interval], colour: str, label: str, height: float
) -> None:
    values = [one.value for one in each]
    below = [max(0.0, one.value - one.low) for one in each]
    above = [max(0.0, one.high - one.value) for one in each]
    ax.barh(at, values, height=height, color=colour, label=label)
    ax.errorbar(values, at, xerr=[below, above], fmt="none", ecolor=INK, elinewidth=1, capsize=2)


def _shares(ax: Axes) -> None:
    ax.set_xlim(0, 1.0)
    ax.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    ax.grid(visible=False, axis="y")


def reliability(found: Reliability, name: str) -> str:
    """Both curves beside the diagonal, where answers are as sure as they should be."""
    with drawn.axes(height=3.6) as (figure, ax):
        ax.plot([0, 1], [0, 1], color=FAINT, linewidth=1.5)
        for bins, colour, label, mark in (
            (found.before, COLOURS[1], f"before, error {found.error_before:.3f}", "s"),
            (found.after, COLOURS[0], f"after, error {found.error_after:.3f}", "o"),
        ):
            most = max(one.rows for one in bins)
            x, y = [one.confidence for one in bins], [one.right for one in bins]
            ax.plot(x, y, color=colour, linewidth=1, alpha=0.7)
            sizes = [12 + 70 * one.rows / most for one in bins]
            ax.scatter(x, y, s=sizes, color=colour, marker=mark, label=label, alpha=0.85)
        ax.set(xlabel="how sure it is", ylabel="how often it is right", xlim=(0, 1.03))
        ax.set_ylim(0, 1.03)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(lambda share, _: f"{share:.0%}")
        ax.legend(loc="upper left")
        title = f"Reliability before and after a temperature of {found.temperature:.2f}"
        return drawn.svg(figure, name, f"{title}, {found.on} rows")


def drops(changed: Sequence[ChangedTexts], name: str) -> str:
    """How much accuracy each way of changing texts costs, with intervals of 95%."""
    with drawn.axes(height=_HEAD_IN + 0.75 * _BAR_IN * len(changed)) as (figure, ax):
        levels = list(dict.fromkeys(one.level for one in changed))
        for number, level in enumerate(levels):
            at = [float(row) for row, one in enumerate(changed) if one.level == level]
            each = [one.drop for one in changed if one.level == level]
            _bars(ax, at, each, COLOURS[number], level, 0.7)
        ax.axvline(0, color=INK, linewidth=0.8)
        ax.set_yticks(range(len(changed)), [word(one.name, 24) for one in changed])
        ax.set_ylim(len(changed) - 0.5, -0.5)
        ax.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f}")
        ax.set(xlabel="points of accuracy lost")
        ax.grid(visible=False, axis="y")
        figure.legend(loc="outside lower center", ncols=len(levels), columnspacing=1.2)
        return drawn.svg(figure, name, "Points of accuracy lost on changed texts")


# ---- several models -----------------------------------------------------------------------------


def diversity(found: Diversity, name: str) -> str:
    """Yule's Q of each pair of members, darker where they err together."""
    count = len(found.members)
    side = min(4.6, 1.6 + 0.6 * count)
    with drawn.axes(max(3.8, side + 0.8), side) as (figure, ax):
        for row in range(count):
            for column in range(count):
                value = found.q[row][column]
                if row != column and value is not None:
                    _cell(ax, column, row, value, f"{value:.2f}" if count <= _MOST_NUMBERS else "")
        ax.set(xlim=(-0.5, count - 0.5), ylim=(count - 0.5, -0.5), aspect="equal")
        ax.grid(visible=False)
        ax.set_xticks(range(count), [str(number) for number in range(1, count + 1)])
        names = [f"{number} {word(one, 24)}" for number, one in enumerate(found.members, 1)]
        ax.set_yticks(range(count), names)
        return drawn.svg(figure, name, f"How alike the members err: {MEASURES['q']}")


def side_by_side(found: Comparison, name: str) -> str:
    """The accuracy of each on the same rows, the best above."""
    names = [word(one.name, 26) for one in found.models]
    with drawn.axes(height=_HEAD_IN + _BAR_IN * len(names)) as (figure, ax):
        for row, one in enumerate(found.models):
            a = one.accuracy
            ax.errorbar(
                [a.value], [row], xerr=[[a.value - a.low], [a.high - a.value]],
                fmt="o", color=COLOURS[0], ecolor=COLOURS[0], capsize=3,
            )  # fmt: skip
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.xaxis.set_major_formatter(lambda share, _: f"{share:.1%}")
        ax.locator_params(axis="x", nbins=5)
        ax.set(xlabel="accuracy, with intervals of 95%")
        return drawn.svg(figure, name, "Accuracy of each on the same rows")
