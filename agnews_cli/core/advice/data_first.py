"""What to do about the data before any model: more rows, cleaner labels, or neither.

Labels come first where three things come together: some are doubtful, leaving those out of training
does no harm on held-out rows, and by the learning curve most of the error stays whatever the number
of rows. On AG News this tells labels with a fifth or a tenth of them wrong from the official ones;
the number of doubtful labels alone does not (benchmarks/RESULTS.md, Advice).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agnews_cli.core.advice.measured import LabelDoubts, LearningCurve
from agnews_cli.core.advice.power_law import PowerLaw, fitted
from agnews_cli.core.advice.seen import Advice, AdviceSeen

_TOPIC = "data first"
_LEAST_GAIN = 0.005
"""Half a point of accuracy: less is no reason to label as many rows again."""
_LEAST_DOUBT = 0.005
_STAYS = 0.8
"""Of the error, by the curve, with any number of rows."""
_HESTNESS = "learning curves are power laws: Hestness et al. 2017, arXiv 1712.00409"
_NORTHCUTT = "confident learning: Northcutt et al. 2021, arXiv 1911.00068"
_LEWIS = "uncertainty sampling: Lewis and Gale 1994, arXiv cmp-lg/9407020"


@dataclass(frozen=True, slots=True)
class _Judged:
    curve: LearningCurve
    doubts: LabelDoubts
    law: PowerLaw | None
    rows: int

    @property
    def gain(self) -> float | None:
        """Of twice the rows, in accuracy; None: the curve tells nothing."""
        return (
            None if self.law is None else self.law.error(self.rows) - self.law.error(2 * self.rows)
        )

    @property
    def has_noise(self) -> bool:
        doubts, law = self.doubts, self.law
        if doubts.suspects < _LEAST_DOUBT * doubts.asked or doubts.gain < 0:
            return False
        return law is None or law.c >= _STAYS * law.error(self.rows)

    def words(self) -> str:
        first, last = self.curve.points[0], self.curve.points[-1]
        said = (
            f"a model of words is right in {1 - first.error:.1%} with {first.rows:,} rows, in "
            f"{1 - last.error:.1%} with {last.rows:,}"
        )
        if self.law is not None:
            now, then = 1 - self.law.error(self.rows), 1 - self.law.error(2 * self.rows)
            said += (
                f"; with twice the {self.rows:,} rows about {then:.1%} instead of {now:.1%}, with "
                f"any number {1 - self.law.c:.1%} (error {self.law.a:.2g}·n^-{self.law.b:.2f} + "
                f"{self.law.c:.3f})"
            )
        doubts, apart = self.doubts, 100 * self.doubts.gain
        return (
            f"{said}; {doubts.suspects:,} of {doubts.asked:,} labels are doubtful, and trained "
            f"without those rows it gains {apart:+.1f} ± {100 * doubts.gain_error:.1f} points"
        )


def _judged(seen: AdviceSeen) -> _Judged | None:
    found = seen.measured
    if found is None or found.curve is None or found.doubts is None:
        return None
    law = fitted([(p.rows, p.error) for p in found.curve.points])
    return _Judged(found.curve, found.doubts, law, seen.rows)


def has_noise(seen: AdviceSeen) -> bool:
    """Whether wrong labels are what stands in the way; False where nothing was measured."""
    judged = _judged(seen)
    return judged is not None and judged.has_noise


def advice(seen: AdviceSeen) -> Iterator[Advice]:
    """One piece: what comes first, with what the other would bring."""
    judged = _judged(seen)
    if judged is None:
        yield _unmeasured(seen)
    elif judged.has_noise:
        yield Advice(
            _TOPIC,
            "cleaner labels first",
            f"{judged.words()}. More rows with such labels leave most of the error, and a wrong "
            "label among the rows that judge is an error of every model",
            f"{_NORTHCUTT}; {_HESTNESS}",
            seen.command("check", ()),
        )
    elif judged.gain is not None and judged.gain >= _LEAST_GAIN:
        yield Advice(
            _TOPIC,
            "more rows first",
            f"{judged.words()}. The linear model is ready in seconds, and new texts of which it is "
            "least sure are those to label next",
            f"{_HESTNESS}; {_LEWIS}",
            seen.auto("--preset", "linear"),
        )
    else:
        yield Advice(
            _TOPIC,
            "neither: train now",
            f"{judged.words()}. Twice the rows promise less than half a point; a better model may "
            "bring more",
            f"{_HESTNESS}; {_NORTHCUTT}",
            seen.auto("--preset", seen.preset.name),
        )


def _unmeasured(seen: AdviceSeen) -> Advice:
    why = seen.why_not_measured or (
        f"{seen.rows:,} rows of {len(seen.class_rows)} classes are too few for a learning curve"
    )
    return Advice(
        _TOPIC,
        "not measured: whether more rows or cleaner labels would help",
        f"{why}. Repeats, leaks and conflicts can be looked for all the same",
        _NORTHCUTT,
        seen.command("check", ("--quick",) if seen.why_not_measured else ()),
    )
