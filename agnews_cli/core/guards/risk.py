"""How far a model may fail on new texts: one number in [0, 1] from ten indicators.

An indicator is 0 up to what is usual of a sound training, 1 from what is alarming, and straight
between; the score is the weighted mean of those that were measured. It orders models by how closely
they should be looked at, and is no probability. The bounds are ours, between what the sources call
harmless and what they show to do harm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

Name = Literal[
    "loss_gap",
    "accuracy_gap",
    "calibration_error",
    "label_shift",
    "leaked_rows",
    "label_noise",
    "parameters_per_row",
    "epochs_after_best",
    "test_looks",
    "spread",
]


@dataclass(frozen=True, slots=True)
class Indicator:
    """`usual`: up to here it is no risk; `alarming`: from here it is all of one."""

    name: Name
    title: str
    usual: float
    alarming: float
    weight: float
    advice: str
    """What helps where it is a risk."""
    source: str
    is_log: bool = False
    """Whether it grows by factors."""
    form: str = ".3f"

    def risk(self, value: float) -> float:
        """In [0, 1]."""
        low, high, here = self.usual, self.alarming, value
        if self.is_log:
            low, high, here = math.log(low), math.log(high), math.log(max(value, 1e-9))
        return min(1.0, max(0.0, (here - low) / (high - low)))


INDICATORS: Final = (
    Indicator(
        "loss_gap",
        "validation loss above training loss, nats",
        0.1,
        0.7,
        2.0,
        "Fewer epochs, more dropout or weight decay, or --set training.r_drop=1.0",
        "Goodfellow, Bengio, Courville 2016, Deep Learning, 5.2",
        form="+.3f",
    ),
    Indicator(
        "accuracy_gap",
        "training accuracy above validation accuracy",
        0.03,
        0.15,
        2.0,
        "More rows, a smaller model or LoRA, or label smoothing",
        "Zhang et al. 2017, arXiv 1611.03530",
        form="+.1%",
    ),
    Indicator(
        "calibration_error",
        "expected calibration error",
        0.03,
        0.15,
        1.0,
        "Do not take its probabilities as they are; an ensemble is calibrated better",
        "Guo et al. 2017, arXiv 1706.04599",
    ),
    Indicator(
        "label_shift",
        "labels of training and evaluated rows, Cramér's V",
        0.05,
        0.3,
        1.0,
        "Draw the splits anew, stratified: one file, and --test-share",
        "Lipton, Wang, Smola 2018, arXiv 1802.03916",
    ),
    Indicator(
        "leaked_rows",
        "evaluated rows whose text is a training text too",
        0.002,
        0.05,
        2.0,
        "agnews check DATA --fix cleaned, and train on that copy",
        "Kapoor and Narayanan 2023, doi 10.1016/j.patter.2023.100804",
        form=".2%",
    ),
    Indicator(
        "label_noise",
        "training rows whose label is likely wrong",
        0.01,
        0.1,
        1.0,
        "Look at the likeliest label errors first: agnews check DATA --fix cleaned lists them",
        "Northcutt, Jiang, Chuang 2021, arXiv 1911.00068",
        form=".2%",
    ),
    Indicator(
        "parameters_per_row",
        "trained parameters for each training row",
        1e3,
        1e6,
        0.5,
        "LoRA trains a hundredth of the weights: --preset minilm-lora",
        "Aghajanyan, Gupta, Zettlemoyer 2021, arXiv 2012.13255",
        is_log=True,
        form=",.0f",
    ),
    Indicator(
        "epochs_after_best",
        "epochs trained after the best weights",
        0.5,
        4.0,
        1.0,
        "Fewer epochs, or stop earlier: --set training.patience=2",
        "Prechelt 1998, Early stopping, but when?, doi 10.1007/3-540-49430-8_3",
        form=".1f",
    ),
    Indicator(
        "test_looks",
        "looks at these test rows",
        1.0,
        30.0,
        1.0,
        "Choose on validation rows; keep fresh test rows for the last model",
        "Dwork et al. 2015, doi 10.1126/science.aaa9375",
        is_log=True,
        form=".0f",
    ),
    Indicator(
        "spread",
        "standard deviation of accuracy over seeds or folds",
        0.01,
        0.05,
        1.0,
        "Average several seeds: agnews auto --preset ensemble-cpu",
        "Bouthillier et al. 2021, arXiv 2103.03098",
        form=".2%",
    ),
)
NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class RiskNumber:
    """The number of one indicator, and what it is of."""

    value: float
    of: str = ""


@dataclass(frozen=True, slots=True)
class JudgedIndicator:
    """One indicator of one run. `value`, `risk`: None where it was not measured."""

    name: Name
    title: str
    value: float | None
    shown: str
    of: str
    risk: float | None
    weight: float
    advice: str
    """What helps; empty where nothing need be done."""
    source: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Risk:
    """`score`: None where nothing was measured; `covered`: the share of all weights that was."""

    score: float | None
    covered: float
    indicators: tuple[JudgedIndicator, ...]

    @property
    def word(self) -> str:
        if self.score is None:
            return NOT_MEASURED
        return "low" if self.score < 0.2 else "moderate" if self.score < 0.45 else "high"

    def as_json(self) -> dict[str, Any]:
        return {
            "score": self.score,
            "covered": self.covered,
            "word": self.word,
            "indicators": [one.as_json() for one in self.indicators],
        }


def risk(measured: Mapping[Name, RiskNumber]) -> Risk:
    """Of what was measured; each number that is none, or not finite, was not."""
    judged = tuple(_judged(one, measured.get(one.name)) for one in INDICATORS)
    known = [(one.weight, one.risk) for one in judged if one.risk is not None]
    whole, there = sum(one.weight for one in INDICATORS), sum(weight for weight, _ in known)
    score = sum(weight * each for weight, each in known) / there if known else None
    return Risk(score=score, covered=there / whole, indicators=judged)


def _judged(one: Indicator, found: RiskNumber | None) -> JudgedIndicator:
    value = None if found is None or not math.isfinite(found.value) else found.value
    here = None if value is None else one.risk(value)
    return JudgedIndicator(
        name=one.name,
        title=one.title,
        value=value,
        shown=NOT_MEASURED if value is None else format(value, one.form),
        of="" if found is None else found.of,
        risk=here,
        weight=one.weight,
        advice=one.advice if here else "",
        source=one.source,
    )
