"""What platforms count hours of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Resource = Literal["gpu", "tpu", "cpu"]

RESOURCES: Mapping[str, Resource] = {"cuda": "gpu", "mps": "gpu", "tpu": "tpu", "cpu": "cpu"}
"""What hours on an accelerator of a kind count as."""
