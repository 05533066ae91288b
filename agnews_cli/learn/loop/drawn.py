"""What torch's generators stand at, so that a step that is done again draws the same.

A step draws from no others (`kinds.option`); all of a process are in `state.snapshot`, which takes
longer than is good before every step.
"""

from __future__ import annotations

import torch

from agnews_cli.learn.door import xla


def generators(device: torch.device) -> dict[str, torch.Tensor]:
    """States, by device: the host's, and that of the device where it has one."""
    found = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        found["cuda"] = torch.cuda.get_rng_state(device)
    if device.type == "mps":
        found["mps"] = torch.mps.get_rng_state()
    if xla.is_xla(device):
        found["xla"] = torch.tensor(xla.generator())
    return found


def restore(states: dict[str, torch.Tensor], device: torch.device) -> None:
    """The counterpart of `generators`."""
    torch.set_rng_state(states["cpu"])
    if "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
    if "mps" in states:
        torch.mps.set_rng_state(states["mps"])
    if "xla" in states:
        xla.restore_generator(int(states["xla"]))
