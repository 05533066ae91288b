"""Looks at the rows of a data set: `python -m agnews_cli.learn.check_data`. Without torch, but
where a sentence encoder is asked what means the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agnews_cli.core.guards.data_facts import DataFacts, ToCheck
from agnews_cli.learn.door import answering

if TYPE_CHECKING:
    from agnews_cli.core.run.dataset import Rows, Split


def checked(order: ToCheck) -> DataFacts:
    """Raises OSError or `row_file.Damaged` for rows that cannot be read, DataChanged for data that
    are no longer what they were."""
    from agnews_cli.learn.checks import giveaways, repeats, shift, suspects

    rows = _rows(order)
    count, seed = len(order.labels), order.seed
    texts = repeats.texts_of(rows)
    near = repeats.near_texts(texts, is_quick=order.is_quick, seed=seed)
    if order.encoder is not None:
        from agnews_cli.learn.checks import meanings

        near = meanings.with_meanings(texts, near, order.encoder, seed=seed)
    train = rows["train"]
    shifts = [
        shift.shift(split, rows[split], train, count=count, seed=seed)
        for split in ("validation", "test")
        if split in rows
    ]
    return DataFacts(
        split_rows={split: len(one.classes) for split, one in rows.items()},
        repeats=repeats.repeats(texts, near),
        shifts=tuple(one for one in shifts if one is not None),
        suspects=None if order.is_quick else suspects.suspects(train, count=count, seed=seed),
        giveaways=giveaways.giveaways(train, count=count, seed=seed),
        removals=repeats.removals(texts, near) if order.wants_rows else (),
    )


def _rows(order: ToCheck) -> dict[Split, Rows]:
    from pathlib import Path

    from agnews_cli.core.guards.data_facts import SPLITS_IN_ORDER
    from agnews_cli.store.data import datasets, row_file

    if order.dataset is None:
        return {split: row_file.read(Path(path)) for split, path in order.rows.items()}
    data = order.dataset
    return {s: datasets.read(data, s) for s in SPLITS_IN_ORDER if data.file(s) is not None}


if __name__ == "__main__":
    answering.answer(ToCheck, checked)
