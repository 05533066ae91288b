"""What is delivered is opened as its users will open it, and asked of the test rows."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.dataset import Rows
from agnews_cli.core.run.latency import Latency
from agnews_cli.core.run.looks import TakenLook
from agnews_cli.core.run.prediction import Member, Order
from agnews_cli.errors import BudgetTooShort
from agnews_cli.learn import predictor
from agnews_cli.learn.door import test_lock
from agnews_cli.learn.door.budget import OutOfTime
from agnews_cli.learn.figures import latency
from agnews_cli.learn.predictor import Hear, Means, Reads
from agnews_cli.learn.rows.material import read_rows
from agnews_cli.learn.rows.tokens import Tokens
from agnews_cli.learn.stages import snapshots
from agnews_cli.learn.stages.combine import Shares
from agnews_cli.learn.stages.contest import Competition, Contender

# Of the test split under a budget: reading and tokenising a row, and what is asked in any case.
_READ_ROW_S, _LEAST_TEST_ROWS, _SURELY = 3e-4, 200, 0.9
_ENOUGH_S = 5.0
"""Under a budget, so much must be left to measure how fast it answers."""
_LATE_S = 10.0
"""So much after the budget's end evaluating is given up."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The test rows, and what each member says of them, (rows, classes); and each snapshot."""

    rows: Rows
    each: dict[str, NDArray[np.floating]]
    snapshots: dict[str, NDArray[np.floating]]
    held_out_of: int
    """Of how many training rows they were held out; 0: the data have a test split."""
    latency: Latency | None
    look: TakenLook | None
    """As it was written down; None in a process that writes nothing."""


def test_rows(contest: Competition, shares: Shares) -> Answered | None:
    """None where there are none, or no time for them; all processes must ask.

    Nothing before this knows where they lie: the order that says it is opened here. Of more rows
    than there is time for, some are drawn, the same share of each class.
    """
    setting, budget, told = contest.setting, contest.setting.budget, contest.setting.told
    job = setting.job
    if job.test is None:
        return None
    order, look = test_lock.opened(job, writes=setting.is_main)
    file = order.dataset.test
    assert file is not None
    setting.log("phase", name="evaluating on the test split")
    delivered = [c for c in contest.contenders if c.facts.name in shares]
    setting.wait_for_all()  # until the first has written; here, where none can have left yet
    try:
        limit = _limit(contest, delivered, file.rows)
        rows = read_rows(order.dataset, "test", limit, job.rows_seed, budget, told, kept=order.rows)
        if limit is not None:
            told.decided(
                f"{len(rows.texts):,} of {file.rows:,} test rows are evaluated, the same share of "
                "each class: the budget leaves time for no more"
            )
        asked, means = _order(contest, delivered), _means(contest)
        opened, read = predictor.open_delivery(asked, means), dict[Reads, Tokens]()
        began_s, hear_of = time.monotonic(), partial(_hear, contest)
        each = opened.each(rows.texts, hear_of, read)
        kept = snapshots.asked(contest, asked, rows, hear_of, means, read)
    except (OutOfTime, BudgetTooShort):
        told.warn("the budget left no time for the test split: only validation was evaluated")
        return None
    took_s = time.monotonic() - began_s
    told.note(f"predicted {len(rows.texts)} test rows in {took_s:.1f} s")
    held_out_of = sum(file.draw.class_rows) if file.draw else 0
    took: Latency | None = None
    if budget.left_s > _ENOUGH_S:
        per_s = len(rows.texts) / max(took_s, 1e-9)
        took = latency.measure(opened, rows.texts, setting.machine, rows_per_s=per_s)
    return Answered(rows, each, kept, held_out_of, took, look)


def _limit(contest: Competition, delivered: list[Contender], there: int) -> int | None:
    budget = contest.setting.budget
    if budget.end_s is None:
        return None
    row_s = _READ_ROW_S + sum(c.row_s for c in delivered)
    in_time = max(_LEAST_TEST_ROWS, int(_SURELY * budget.left_s / row_s))
    return in_time if in_time < there else None


def _order(contest: Competition, delivered: list[Contender]) -> Order:
    job = contest.setting.job
    return Order(
        members=tuple(
            Member(name=c.facts.name, kind=c.facts.kind, folder=str(c.folder), share=c.facts.weight)
            for c in delivered
        ),
        labels=job.dataset.labels,
        max_length=contest.rows.training.max_length,
        long_texts=contest.rows.long_texts,
        base=job.model_path,
    )


def _means(contest: Competition) -> Means:
    return Means(
        batch_tokens=contest.rows.training.batch_tokens,
        processes=contest.setting.processes,
        check=contest.setting.stop.check,
    )


def _hear(contest: Competition, what: str, total: int) -> Hear:
    setting = contest.setting
    named = f"{what} test rows" if what == "tokenising" else f"evaluating {what} on test rows"
    work: Callable[[int], None] = setting.told.work(named, total)

    def hear(done: int) -> None:
        work(done)
        if setting.budget.left_s < -_LATE_S:
            raise OutOfTime

    return hear
