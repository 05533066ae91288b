"""How large a model may be for so many training rows: a rule for every number of them, with its
reason. It counts where agnews chooses; a preset that is named is taken as asked.

What else few rows change is measured and happens whatever is chosen (benchmarks/RESULTS.md, Few
rows): they are passed until there are enough steps, every row validates by turns, and R-Drop and
the linear teacher, which were worse there, are left out. So what keeps few rows from being learnt
by heart is fewer weights, and stopping where the rows that validate say so.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RowRule:
    """With fewer rows than `below` (None: with any number), at most so many weights."""

    below: int | None
    most_parameters: int | None
    reason: str


RULES: tuple[RowRule, ...] = (
    RowRule(
        200,
        35_000_000,
        "nothing larger than MiniLM was measured with so few (85.7% with 114 to 192 rows, a linear "
        "model 74.0%; benchmarks/RESULTS.md, Few rows)",
    ),
    RowRule(
        2_500,
        200_000_000,
        "large models fail with some seeds on so few, as BERT-large on the 2,490 rows of RTE "
        "(Dodge et al. 2020, arXiv 2002.06305; Mosbach et al. 2021, arXiv 2006.04884)",
    ),
    RowRule(None, None, "there are rows enough for any model here"),
)
"""By rows, the fewest first."""


def rule_for(rows: int) -> RowRule:
    """The rule for so many training rows."""
    return next(rule for rule in RULES if rule.below is None or rows < rule.below)


def refusal(parameters: int, rows: int) -> str | None:
    """Why a model of so many weights is too large for so many rows; None where it is not."""
    rule = rule_for(rows)
    if rule.most_parameters is None or parameters <= rule.most_parameters:
        return None
    return (
        f"{parameters // 1_000_000} M weights for {rows:,} rows: at most "
        f"{rule.most_parameters // 1_000_000} M below {rule.below:,}: {rule.reason}"
    )
