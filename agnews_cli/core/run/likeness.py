"""How alike two runs are that should be the same: their weights, and what they said of rows."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ToLiken(_Facts):
    """The folders of two runs."""

    one: str
    two: str


class FileLiken(_Facts):
    """A file of weights that both have. `values`: numbers in it; `other`: those that differ;
    `most`: the largest difference. None of both where NumPy has not such numbers."""

    name: str
    equal: bool
    """Bit for bit, names and shapes too."""
    values: int
    other: int | None
    most: float | None


class Likeness(_Facts):
    """`rows`: that validated and are told by both; None where one kept none."""

    files: tuple[FileLiken, ...]
    missing: tuple[str, ...]
    """Files of weights that one of both has alone."""
    rows: int | None = None
    same_answers: int | None = None
    most_probability: float | None = None
    """The largest difference of a probability."""

    @property
    def is_exact(self) -> bool:
        """Whether weights and answers are the same, bit for bit."""
        weights = all(one.equal for one in self.files) and not self.missing
        return weights and not self.most_probability

    def words(self) -> str:
        """What is the same, or how far it is apart."""
        if self.is_exact:
            count = sum(one.values for one in self.files)
            return (
                f"Equal, bit for bit: {count:,} weights, and the answers of {self.rows or 0:,} rows"
            )
        parts = []
        if self.missing:
            parts.append(f"only one of both has {', '.join(self.missing)}")
        apart = [one for one in self.files if not one.equal]
        if apart:
            most = max((one.most or 0.0 for one in apart), default=0.0)
            other, all_of = sum(one.other or 0 for one in apart), sum(one.values for one in apart)
            parts.append(f"{other:,} of {all_of:,} weights differ, by {most:.3g} at most")
        if self.rows is not None and self.same_answers is not None:
            said = f"{self.same_answers:,} of {self.rows:,} answers are the same"
            parts.append(f"{said}, probabilities {self.most_probability:.3g} apart at most")
        return f"Not bit for bit: {'; '.join(parts)}"

    def as_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json") | {"exact": self.is_exact}
