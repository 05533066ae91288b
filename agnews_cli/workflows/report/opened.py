"""What a report asks of a model that it opens, and how long that will take."""

from __future__ import annotations

from dataclasses import dataclass

from agnews_cli.core.report.trials import ToTry
from agnews_cli.core.text import duration
from agnews_cli.errors import AgnewsError
from agnews_cli.store.model import delivered
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.workflows.prediction.predict import located
from agnews_cli.workflows.runs import compare

_WAYS = 13
"""Of changing texts, and the texts as they are."""
_OPENING_S, _INSIDE_S = 10.0, 5.0


@dataclass(frozen=True, slots=True)
class ModelQuestions:
    """`wanted`: None: nothing is, for `problem`, or as nobody asked."""

    wanted: ToTry | None
    announced: str = ""
    problem: str = ""


def asked_of(
    folder: RunFolder, number: int, *, changes_texts: bool, looks_inside: bool
) -> ModelQuestions:
    """`number`: which run of the report it is."""
    if not (changes_texts or looks_inside):
        return ModelQuestions(None)
    try:
        order = delivered.order_of(delivered.of_run(folder), located)
    except AgnewsError as error:
        return ModelQuestions(None, problem=error.message)
    wanted = ToTry(
        order=order,
        folder=str(folder.path),
        changes_texts=changes_texts,
        looks_inside=looks_inside,
        prefix=f"r{number}",
    )
    return ModelQuestions(wanted, _announced(folder, wanted))


def _announced(folder: RunFolder, wanted: ToTry) -> str:
    took = compare.latency(folder)
    what = f"Asking {folder.id} about {wanted.rows} rows that validated"
    if wanted.changes_texts:
        what += f", each in {_WAYS} ways"
    if took is None:
        return f"{what}; how long that takes is not known"
    answers = wanted.rows * (_WAYS if wanted.changes_texts else 1)
    left_s = _OPENING_S + answers / took.rows_per_s + _INSIDE_S * wanted.looks_inside
    return f"{what}: about {duration.show(left_s)} at {took.rows_per_s:,.0f} rows a second"
