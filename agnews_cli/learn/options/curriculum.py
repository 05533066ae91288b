"""A curriculum (Bengio et al. 2009): the first epoch goes from what is easy to what is hard; all
others are shuffled as ever.

How hard a row is, its length says, as in Platanios et al. 2019 (arXiv 1903.09848, 2.2): that needs
no other model, and a batch's rows are about equally long as it is, so batches and their number stay
and only their order changes.
"""

from __future__ import annotations

from agnews_cli.learn.kinds.option import Option, Start
from agnews_cli.learn.rows.batches import Indices

EXAMPLE = {"curriculum": "length"}


def begin(start: Start) -> Option | None:
    if start.training.curriculum == "none":
        return None

    def easy_first(batches: list[Indices], epoch: int) -> list[Indices]:
        if epoch:
            return batches
        return sorted(batches, key=lambda rows: int(start.lengths[rows].max()))

    return Option(order=easy_first)
