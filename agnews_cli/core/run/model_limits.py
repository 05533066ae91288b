"""How far recipes and ensembles may go before agnews says so: `presets/limits.yaml`.

A group is a field of `ModelLimits`, with a strict model of its own: a further one is one more.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from agnews_cli.core.run.diversity import DiversityLimits


class ModelLimits(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    diversity: DiversityLimits
