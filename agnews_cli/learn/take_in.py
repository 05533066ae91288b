"""Takes in probabilities of models not trained here: `python -m agnews_cli.learn.take_in`.

A table, or a file of logits as runs keep them, becomes such a file in a folder of the store, from
where whatever combines, teaches or compares reads it. Without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agnews_cli.core.run.taken import Answers, TakenRows, ToTakeIn
from agnews_cli.errors import ColumnMissing
from agnews_cli.learn.door import answering

if TYPE_CHECKING:
    from agnews_cli.learn.combine.logits import Logits


def taken(order: ToTakeIn) -> TakenRows:
    """Raises what is wrong with a file."""
    from pathlib import Path

    from agnews_cli.learn.combine import logits

    rows = {}
    for part, table in order.tables.items():
        found = _named(_wanted(_read(order, table), table), order)
        path = Path(order.target) / "predictions" / f"{part}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        logits.write(path, found)
        rows[part] = len(found.classes)
    return TakenRows(rows=rows)


def _read(order: ToTakeIn, table: Answers) -> Logits:
    from pathlib import Path

    from agnews_cli.learn.combine import given, logits

    path = Path(table.path)
    if path.suffix == ".safetensors":
        return logits.read(path)
    try:
        texts = given.Asked(
            text_columns=order.text_columns,
            label_column=order.label_column,
            cleaning=order.cleaning,
        )
        return given.read(path, texts)
    except ColumnMissing:  # the table's columns are its own
        return given.read(path, given.Asked(cleaning=order.cleaning))


def _wanted(found: Logits, table: Answers) -> Logits:
    """Those rows that `only` speaks of, as often as the table has them."""
    from pathlib import Path

    import numpy as np

    from agnews_cli.learn.combine import logits

    if table.only is None:
        return found
    wanted = logits.as_values(logits.read(Path(table.only)).rows)
    at = np.flatnonzero(np.isin(logits.as_values(found.rows), wanted))
    return logits.Logits(found.labels, found.rows[at], found.classes[at], found.delivered[at], {})


def _named(found: Logits, order: ToTakeIn) -> Logits:
    """With the classes' names, where it has their spellings in the data."""
    from dataclasses import replace

    if set(found.labels) == set(order.label_values) and set(found.labels) != set(order.labels):
        names = dict(zip(order.label_values, order.labels, strict=True))
        return replace(found, labels=tuple(names[one] for one in found.labels))
    return found


if __name__ == "__main__":
    answering.answer(ToTakeIn, taken)
