"""Where training stands between two steps, and the trace of a step for whoever compares runs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from agnews_cli.learn.state.snapshot import Misfit


@dataclass(slots=True)
class Position:
    """Where training stands between two steps; with the tensors, all that going on needs."""

    step: int = 0
    examples: int = 0
    epoch: int = 0
    batch: int = 0
    """The next batch of the epoch."""
    total_steps: int = 0
    validated_step: int = 0
    lowest_loss: float = math.inf
    """Mean calibrated loss of the validation where it was lowest (`blend.calibrated`)."""
    best_step: int = 0
    """The step whose weights are kept as the best."""
    validations_without_gain: int = 0
    pass_tokens: int = 0
    """The most tokens of one pass, where memory did not suffice for the recipe's; 0: as it says."""
    stopped_early: bool = False
    interrupted: bool = False

    @property
    def is_over(self) -> bool:
        return self.stopped_early or self.step >= self.total_steps

    def as_json(self) -> dict[str, Any]:
        """The state to save; JSON has no infinity."""
        facts = asdict(self) | {"interrupted": False}
        return facts | ({"lowest_loss": None} if math.isinf(self.lowest_loss) else {})

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Position:
        """The counterpart of `as_json`. Raises Misfit for missing, unknown or senseless fields."""
        try:
            at = cls(**facts | ({"lowest_loss": math.inf} if facts["lowest_loss"] is None else {}))
        except (TypeError, KeyError) as error:
            raise Misfit(f"position: {error}") from error
        for name, value in asdict(at).items():
            kind = type(getattr(cls(), name))
            if type(value) is not kind or (kind is int and not 0 <= value < 1 << 53):
                raise Misfit(f"position: {name} is {value!r}")
        if at.step > at.total_steps:
            raise Misfit(f"position: step {at.step} of {at.total_steps}")
        return at


@dataclass(frozen=True, slots=True)
class StepTrace:
    """One step, for whoever compares two runs. `rows`: SHA-256 of the row numbers, 16 digits."""

    step: int
    rows: str
    lr: float
    loss: float
