"""What is known to make a student learn well from its teacher, said where a preset does otherwise.

The ranges: a teacher of 2 to 10 times the student's weights, for a gap that is too wide hurts
(Mirzadeh et al. 2020, arXiv 1902.03393); temperatures of 3 to 10, and the labels the smaller share
of the loss (Hinton et al. 2015, arXiv 1503.02531).
"""

from __future__ import annotations

from collections.abc import Iterator

from agnews_cli.core.graph.asked import (
    AnyPreset,
    Distilled,
    Ensemble,
    Finished,
    Single,
    cycles_of,
    students,
)

GAP, TEMPERATURE, ALPHA = (2.0, 10.0), (3.0, 10.0), (0.1, 0.5)
FEW_ROWS = 1_000
"""With 500 it does harm, with 2,160 it helps; where it turns nobody has measured."""
_OF_FEW = (
    "warning: {rows:,} training rows, which an ensemble learns by heart: with 500 of AG News its "
    "student was worse than one of the labels alone, and with 1,500 texts without "
    "labels beside them as good as the ensemble (benchmarks/RESULTS.md, Distillation): "
    "--unlabelled FILE"
)
_GAP_SOURCE = "Mirzadeh et al. 2020, arXiv 1902.03393"
_HINTON = "Hinton et al. 2015, arXiv 1503.02531"


def parameters(shape: AnyPreset) -> int:
    """Of what answers: of an ensemble all, of a distilled preset its student's; 0 where nothing
    here says it, as of a run."""
    match shape:
        case Single():
            return shape.preset.model.parameters
        case Ensemble():
            return sum(parameters(one) * max(1, cycles_of(one)) for one in shape.members)
        case Distilled():
            return shape.student.preset.model.parameters
        case Finished():
            return 0


def advice(shape: AnyPreset) -> tuple[str, ...]:
    """In words, with the source of each; of all students in it."""
    match shape:
        case Single() | Finished():
            return ()
        case Ensemble():
            return tuple(dict.fromkeys(one for m in shape.members for one in advice(m)))
        case Distilled():
            return (*advice(shape.teacher), *_of(shape))


def few_rows(shape: AnyPreset, rows: int) -> tuple[str, ...]:
    """Where `rows` are so few that an ensemble learns them by heart, what then helps its student.

    Of one larger model a student learnt well from as few.
    """
    is_of_few = rows < FEW_ROWS and any(
        isinstance(one.teacher, Ensemble) and not one.unlabelled for one in students(shape)
    )
    return (_OF_FEW.format(rows=rows),) if is_of_few else ()


def gap_words(shape: Distilled) -> str:
    """How much larger the teacher is than the student, and what is known of that."""
    gap = parameters(shape.teacher) / parameters(shape.student)
    student, teacher = shape.student.name, shape.teacher.name
    times = f"{teacher} has {gap:,.1f} times the weights of {student}"
    if not parameters(shape.teacher):
        return f"distillation: {teacher} is there; {student} alone is trained"
    if gap > GAP[1]:
        return (
            f"warning: {times}; beyond {GAP[1]:g} a student learns less, and a model between the "
            f"two as a first student helps: a distilled preset can be the teacher ({_GAP_SOURCE})"
        )
    if gap < GAP[0]:
        return (
            f"distillation: {times}, so it hardly becomes smaller; it may become better "
            "(born-again networks, Furlanello et al. 2018, arXiv 1805.04770)"
        )
    return f"distillation: {times}; {GAP[0]:g} to {GAP[1]:g} are advised ({_GAP_SOURCE})"


def _of(shape: Distilled) -> Iterator[str]:
    yield gap_words(shape)
    how = shape.distillation
    yield _range(
        f"temperature {how.temperature:g}",
        how.temperature,
        TEMPERATURE,
        "from 5; lower hides what the teacher says of other classes, higher drowns it in noise",
        "distillation.temperature=5",
    )
    yield _range(
        f"alpha {how.alpha:g}, the labels' share",
        how.alpha,
        ALPHA,
        "0.3 to begin with; the teacher's share should be the larger",
        "distillation.alpha=0.3",
    )


def _range(said: str, value: float, usual: tuple[float, float], why: str, setting: str) -> str:
    advised = f"{usual[0]:g} to {usual[1]:g} are advised, {why} ({_HINTON})"
    if usual[0] <= value <= usual[1]:
        return f"distillation: {said}; {advised}"
    return f"warning: {said}; {advised}: --set {setting}"
