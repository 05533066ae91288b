"""How differently the members of an ensemble err: figures of each pair, and what is too alike.

Members help each other where they are wrong on different rows. Of each pair, with a: both right,
d: both wrong, b and c: one alone right, as shares of the rows (Kuncheva and Whitaker 2003,
"Measures of diversity in classifier ensembles"):

- disagreement: b + c;
- Q (Yule): (ad - bc) / (ad + bc); 0 where they err independently, 1 where never apart;
- correlation of their errors: (ad - bc) / sqrt((a+b)(c+d)(a+c)(b+d));
- kappa (Cohen): agreement of their answers, right or wrong, beyond chance.

Entropy is of all members at once: 0 where all are right or wrong together, 1 where as many are
right as wrong on every row.
"""

from itertools import combinations
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from agnews_cli.core.machine.finding import Finding

Matrix = tuple[tuple[float | None, ...], ...]
"""(members, members), symmetric; None where the figure has no value, such as the correlation with
the errors of a member that makes none."""

MEASURES = {
    "disagreement": "rows where one alone is right",
    "q": "Yule's Q of being right",
    "correlation": "correlation of errors",
    "kappa": "Cohen's kappa of answers",
}


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class DiversityLimits(BaseModel):
    """Beyond these an ensemble says so: a further member costs more than it brings. None: as
    `presets/limits.yaml` has it.

    What is said changes no result, so that no id has it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)

    members: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="So many members."
    )
    q: Annotated[float, Field(ge=-1, le=1)] | None = Field(
        None, description="Yule's Q of two members' being right: 0 apart, 1 always together."
    )
    correlation: Annotated[float, Field(ge=-1, le=1)] | None = Field(
        None, description="The correlation of two members' errors."
    )

    def over(self, usual: Self) -> Self:
        """These, and what is usual for those that are not said."""
        return usual.model_copy(update=self.model_dump(exclude_none=True))


class Diversity(_Facts):
    members: tuple[str, ...]
    rows: int
    accuracy: tuple[float, ...]
    """Of each member."""
    disagreement: Matrix
    q: Matrix
    correlation: Matrix
    kappa: Matrix
    entropy: float

    def as_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json") | {"means": self.means()}

    def means(self) -> dict[str, float | None]:
        """Of each measure, over the pairs that have it."""
        found: dict[str, float | None] = {}
        for name in MEASURES:
            values = [v for _, _, v in self.pairs(name) if v is not None]
            found[name] = sum(values) / len(values) if values else None
        return found

    def pairs(self, measure: str) -> list[tuple[str, str, float | None]]:
        """(one member, another, the figure), each pair once."""
        matrix: Matrix = getattr(self, measure)
        numbers = combinations(range(len(self.members)), 2)
        return [(self.members[i], self.members[j], matrix[i][j]) for i, j in numbers]

    def findings(self, limits: DiversityLimits) -> tuple[Finding, ...]:
        """What is beyond the limits, of those that are said; one that says so where nothing is."""
        found = []
        if limits.members is not None and len(self.members) > limits.members:
            found.append(
                Finding(
                    "ensemble size",
                    "know",
                    f"{len(self.members)} members, more than {limits.members}: each answer costs "
                    "as many, and further members bring little",
                    "Leave out members: selection names those of least weight",
                )
            )
        for measure, most in (("q", limits.q), ("correlation", limits.correlation)):
            if most is None:
                continue
            alike = [(v, a, b) for a, b, v in self.pairs(measure) if v is not None and v >= most]
            if alike:
                found.append(_too_alike(measure, most, alike))
        return tuple(found) or (Finding("diversity", "good", "the members err on different rows"),)


def _too_alike(measure: str, most: float, alike: list[tuple[float, str, str]]) -> Finding:
    value, one, two = max(alike)
    rest = f", and {len(alike) - 1} pairs more" if len(alike) > 1 else ""
    words = MEASURES[measure]
    return Finding(
        "diversity",
        "know",
        f"{one} and {two} err on the same rows: {words} {value:.2f}, expected below {most:g}{rest}",
        "Take members of other models or methods, rather than other seeds",
    )
