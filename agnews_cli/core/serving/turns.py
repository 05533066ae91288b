"""Whose texts the model reads next: every request in turn, so that a long one holds up no other."""

from __future__ import annotations

from collections.abc import Sequence


def shares(left: Sequence[int], most: int) -> list[int]:
    """How many texts of each request, in the order in which they came, go into the next pass.

    `left`: how many each still has, at least one. None gets more than another that could take as
    many (max-min fairness), but for the remainder, which goes to those that came first. Their sum
    is `most`, or all there are.
    """
    given = [0] * len(left)
    hungry = list(range(len(left)))
    while most and hungry:
        each = max(1, most // len(hungry))
        for at in hungry:
            taken = min(each, left[at] - given[at], most)
            given[at] += taken
            most -= taken
        hungry = [at for at in hungry if given[at] < left[at]]
    return given
