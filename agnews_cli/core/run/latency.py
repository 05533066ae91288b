"""How fast a delivered model answers, measured where it was evaluated."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict


class Latency(BaseModel):
    """Contents of `latency.json`, beside `evaluation.json`: that is the same each time that a model
    is judged, and this is not."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    one_text_s: float
    """Median seconds of one text alone, from clean words to probabilities, the model loaded."""
    rows_per_s: float
    """Of many texts in batches; their tokens are made meanwhile."""
    texts: int
    """How many were timed alone."""
    machine: str
    is_sum: bool = False
    """Of an ensemble: what its members take, one after another; it was not asked itself."""

    def as_json(self) -> dict[str, object]:
        return self.model_dump(mode="json")


def together(members: Sequence[Latency | None]) -> Latency | None:
    """Of an ensemble of these; None where one was not measured, or not on the same machine."""
    known = [one for one in members if one is not None]
    machines = {one.machine for one in known}
    if len(known) < len(members) or len(machines) != 1:
        return None
    return Latency(
        one_text_s=sum(one.one_text_s for one in known),
        rows_per_s=1 / sum(1 / one.rows_per_s for one in known),
        texts=min(one.texts for one in known),
        machine=machines.pop(),
        is_sum=True,
    )
