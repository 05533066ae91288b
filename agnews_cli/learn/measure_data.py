"""Measures a data set for advice: `python -m agnews_cli.learn.measure_data`. Without torch, but
where a sentence encoder is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agnews_cli.core.advice.measured import MeasuredData, ToMeasure
from agnews_cli.learn.door import answering

if TYPE_CHECKING:
    from agnews_cli.core.run.dataset import Rows


def measured(order: ToMeasure) -> MeasuredData:
    """Raises OSError or `row_file.Damaged` for rows that cannot be read, DataChanged for data that
    are no longer what they were."""
    from agnews_cli.learn.checks.data_trial import DataTrial
    from agnews_cli.learn.checks.dimension import dimension

    train, encoder = _rows(order), order.encoder
    trial = DataTrial(train, count=order.classes, seed=order.seed)
    return MeasuredData(
        curve=trial.curve(),
        dimension=dimension(
            train, encoder=encoder, encoder_name=order.encoder_name, seed=order.seed
        ),
        doubts=trial.doubts(),
    )


def _rows(order: ToMeasure) -> Rows:
    from pathlib import Path

    from agnews_cli.store.data import datasets, row_file

    if order.rows is not None:
        return row_file.read(Path(order.rows))
    assert order.dataset is not None
    return datasets.read(order.dataset, "train")


if __name__ == "__main__":
    answering.answer(ToMeasure, measured)
