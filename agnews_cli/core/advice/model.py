"""Which model, and how it is trained: tier, method, rank, regularisation, distillation."""

from __future__ import annotations

from collections.abc import Iterator

from agnews_cli.core.advice import data_first
from agnews_cli.core.advice.seen import Advice, AdviceSeen, SeveralModels
from agnews_cli.core.graph.advice import ALPHA, TEMPERATURE
from agnews_cli.core.text import duration

_RESULTS = "benchmarks/RESULTS.md"
_A_NIGHT_S = 12 * 3600.0
"""What is waited for where the session has no end."""
_RANKS = (4, 64)
_RARE = 0.25
"""As `learn/rows/weighing`: a class with less than this share of a mean one's rows is rare."""


def preset(seen: AdviceSeen) -> Iterator[Advice]:
    """Which one model: what `agnews auto` would take."""
    yield Advice(
        "model",
        f"{seen.preset.name}, {seen.preset.method.kind}",
        "; ".join(one.rstrip(".") for one in seen.choice),
        "the choice of `agnews auto`; costs by runs here, else by the model of cost",
        seen.auto("--preset", seen.preset.name),
    )


def tier(seen: AdviceSeen) -> Iterator[Advice]:
    """One model, or several that answer together."""
    measured = (
        "on 1,500 rows of AG News two members gained 0.34 points over the better of them, three "
        "0.57, eight 0.72"
    )
    most_s = _A_NIGHT_S if seen.left_s is None else seen.left_s
    has = "a night" if seen.left_s is None else f"the {duration.show(most_s)} of this session"
    there = next((one for one in seen.ensembles if one.seconds is not None), None)
    fitting = next(
        (e for e in seen.ensembles if e.seconds is not None and e.seconds <= most_s), None
    )
    source = f"{_RESULTS}, Ensembles"
    if fitting is not None:
        yield Advice(
            "tier",
            f"one model first, then the ensemble {fitting.name}",
            f"{measured}; {fitting.words}, which fits {has}",
            source,
            seen.auto("--preset", fitting.name),
        )
        return
    why = f"{there.name} takes {there.words}, more than {has}" if there else "no ensemble fits here"
    yield Advice(
        "tier",
        "one model",
        f"{why}; {measured}",
        source,
        seen.auto("--preset", seen.preset.name),
    )


def method(seen: AdviceSeen) -> Iterator[Advice]:
    """All weights, or few; said of the model that fits."""
    if not seen.preset.method.needs_weights:
        return
    kind = seen.preset.method.kind
    measured = (
        "MiniLM trained whole and by LoRA reached 88.0 to 88.8% and 88.5 to 88.6% on 1,500 rows, "
        "no difference beyond chance"
    )
    why = "; ".join(filter(None, (seen.memory, measured)))
    text = "train all weights" if kind == "full" else f"train by {kind}, as the preset does"
    if not seen.memory_name:
        yield Advice(
            "method", text, why, f"{_RESULTS}, Ensembles", seen.auto("--preset", seen.preset.name)
        )
        return
    command = f"agnews fit {seen.memory_name} --method {kind}"
    yield Advice("method", text, why, f"{_RESULTS}, Ensembles and Memory", command)


def rank(seen: AdviceSeen) -> Iterator[Advice]:
    """Of LoRA's updates, by the dimension of the texts."""
    if not seen.has_lora:
        return
    found = None if seen.measured is None else seen.measured.dimension
    source = "Facco et al. 2017, arXiv 1803.06992; Hu et al. 2021, arXiv 2106.09685, 7.2"
    if found is None:
        why = seen.why_not_measured or f"{seen.rows:,} rows are too few"
        text, number = "LoRA: the usual rank of 16; the texts' dimension is not measured", 16
        reason = f"{why}; ranks of 4 to 64 reached about the same in the paper"
    else:
        number = rank_for(found.value)
        text = f"LoRA: rank {number}, alpha {2 * number}"
        reason = (
            f"{found.texts:,} texts vary in about {found.value:.1f} directions (TwoNN, "
            f"{found.of}), and an update of rank r moves states in r: the next power of two, "
            f"{_RANKS[0]} to {_RANKS[1]}. A rule of thumb: which rank is best on these data is not "
            "measured"
        )
    is_lora = seen.preset.method.kind in ("lora", "qlora", "dora")
    kind = () if is_lora else ("--set", "method=lora")
    numbers = ("--set", f"method.rank={number}", "--set", f"method.alpha={2 * number}")
    command = seen.auto("--preset", seen.preset.name, *kind, *numbers)
    yield Advice("LoRA rank", text, reason, source, command)


def rank_for(dimension: float) -> int:
    """The next power of two, within what is usual."""
    number = _RANKS[0]
    while number < dimension and number < _RANKS[1]:
        number *= 2
    return number


def regularisation(seen: AdviceSeen) -> Iterator[Advice]:
    """What keeps it from learning by heart; by noise of labels, rare classes, few rows."""
    if not seen.preset.method.needs_weights:
        return
    name, rows = seen.preset.name, seen.rows
    there = [number for number in seen.class_rows if number]
    topic = "regularisation"
    if data_first.has_noise(seen):
        yield Advice(
            topic,
            "label smoothing of 0.1",
            "labels are wrong, as above, and a model that is less sure of them learns fewer of "
            "them by heart; on the official labels of AG News it gained nothing",
            f"Lukasik et al. 2020, arXiv 2003.02819; {_RESULTS}",
            seen.auto("--preset", name, "--set", "training.label_smoothing=0.1"),
        )
    elif rows < seen.preset.data.cross_validated_below:
        yield Advice(
            topic,
            "as the preset does with few rows: nothing to set",
            f"{rows:,} rows: they are passed until there are enough steps, R-Drop and the linear "
            "teacher are left out (with 181 rows 86.4% instead of 84.7%), and each row validates "
            "by turns",
            f"{_RESULTS}, Few rows",
            seen.auto("--preset", name),
        )
    elif there and min(there) < _RARE * sum(there) / len(there):
        yield Advice(
            topic,
            "rare classes count more, up to ten times: the preset's training.class_weights=auto",
            f"the smallest of {len(there)} classes has {min(there):,} of {rows:,} rows; balanced "
            "goes as far as the rows do; the macro-F1 of the validation rows says which is better",
            "class weights as in scikit-learn: King and Zeng 2001",
            seen.auto("--preset", name, "--set", "training.class_weights=balanced"),
        )
    else:
        yield Advice(
            topic,
            "the preset's own",
            f"{rows:,} rows, no class rare, no sign of wrong labels: early stopping and the "
            "guards of training say when it learns by heart",
            f"{_RESULTS}, Overfitting, told while training",
            seen.auto("--preset", name),
        )


def distillation(seen: AdviceSeen) -> Iterator[Advice]:
    """A student, and the numbers of how it learns."""
    usual = (
        f"temperature {TEMPERATURE[0]:g} to {TEMPERATURE[1]:g}, from 5; the labels' share "
        f"{ALPHA[0]:g} to {ALPHA[1]:g}, from 0.3"
    )
    best: SeveralModels | None = next(iter(seen.students), None)
    source = "Hinton et al. 2015, arXiv 1503.02531"
    if best is None:
        return
    yield Advice(
        "distillation",
        f"{best.name}, where what answers must be small: {usual}",
        "; ".join((best.summary.rstrip("."), best.words, best.note)),
        f"{source}; what it gains on such rows is not measured",
        seen.auto("--preset", best.name),
    )
