"""Compares models by what they said of the same rows: `python -m agnews_cli.learn.compare_runs`.

A process of its own, for the command that asks knows no NumPy; and this one no torch.
"""

from __future__ import annotations

from agnews_cli.core.run.comparison import Comparison, ToCompare
from agnews_cli.learn.door import answering


def compared(order: ToCompare) -> Comparison:
    """Raises what is wrong with the files, or with what they say."""
    from pathlib import Path

    from agnews_cli.learn.combine import logits
    from agnews_cli.learn.combine.members import align

    said = {one.name: [logits.read(Path(path)) for path in one.files] for one in order.models}
    rows = align(said, may_agree=not order.is_check)
    if order.is_check:
        return Comparison(rows=len(rows.classes), against=None, models=(), differences=())
    from agnews_cli.learn.combine.compare import compare  # which needs SciPy

    each = dict(zip(rows.names, rows.probabilities, strict=True))
    return compare(each, rows.classes, against=order.against, seed=order.seed)


if __name__ == "__main__":
    answering.answer(ToCompare, compared)
