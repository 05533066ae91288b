"""What a preset's training takes of a device's memory, and whether it has that: for all that choose
and plan."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agnews_cli.core.machine.accelerator import Accelerator
from agnews_cli.core.run import memory
from agnews_cli.core.run.anatomy import Anatomy
from agnews_cli.core.run.catalogue import Catalogue, CatalogueModel
from agnews_cli.core.run.memory import Computed, Setup
from agnews_cli.core.run.method import Method, weights_bytes
from agnews_cli.core.run.preset import Model, Training

_UNKNOWN_BYTES = 3_000_000_000
"""Of activations and the device's own, where no model of the catalogue is like it."""
ASKED_BYTES = 2_000_000_000
"""A model that is only asked: beside its weights the device's own, and some batches' states."""


@dataclass(frozen=True, slots=True)
class Need:
    """Of one device."""

    peak_bytes: int
    usable_bytes: float | None = None
    """None: nobody says how much there is."""

    @property
    def misfit(self) -> str | None:
        """Why it does not fit, with the numbers; None: it does, or nobody knows."""
        if self.usable_bytes is None or self.peak_bytes <= self.usable_bytes:
            return None
        needs, has = self.peak_bytes / 1e9, self.usable_bytes / 1e9
        return f"needs about {needs:.1f} GB of memory, and {has:.1f} GB are usable"


@dataclass(frozen=True, slots=True)
class Needs:
    """By the catalogue."""

    catalogue: Catalogue

    def of(
        self,
        model: Model,
        method: Method,
        training: Training,
        device: Accelerator,
        host_bytes: int | None = None,
    ) -> Need:
        """On a device. `host_bytes`: the machine's own memory, which a CPU trains in."""
        place: memory.Place = "cpu" if device.kind == "cpu" else "gpu"
        there = host_bytes if place == "cpu" else device.memory_bytes
        peak = self.peak_bytes(
            model,
            method,
            training,
            place=place,
            devices=max(1, device.count),
            has_bf16=bool(device.has_fast_bf16),
        )
        return Need(peak, None if there is None else there * memory.USABLE_SHARE[place])

    def peak_bytes(
        self,
        model: Model,
        method: Method,
        training: Training,
        *,
        place: memory.Place = "gpu",
        devices: int = 1,
        has_bf16: bool = True,
    ) -> int:
        """Of texts as long as the recipe keeps them; shorter ones take less."""
        like = self._like(model)
        if like is None:
            return weights_bytes(method, Anatomy(model.parameters)) + _UNKNOWN_BYTES
        precision = _precision(training, place, has_bf16=has_bf16)
        setup = setup_of(method, training, place, precision, devices)
        return memory.predict(like, setup).peak_bytes

    def _like(self, model: Model) -> CatalogueModel | None:
        """The model itself; else the nearest in size, with as many weights."""
        found = self.catalogue.by_id(model.id)
        if found is not None:
            return found
        near = self.catalogue.nearest_in_size(model.parameters)
        if near is None:
            return None
        listed = near.entry.model_copy(update={"parameters": model.parameters})
        return replace(near, entry=listed)


def setup_of(
    method: Method, training: Training, place: memory.Place, precision: Computed, devices: int
) -> Setup:
    """One pass of a device, as `learn.loop.step` cuts a batch."""
    copies = 2 if training.r_drop else 1
    mine = max(1, training.batch_tokens // devices)
    most = training.micro_batch_tokens
    tokens = mine * copies if most is None else min(mine * copies, max(1, most))
    return Setup(
        method=method,
        texts=max(1, tokens // training.max_length),
        length=training.max_length,
        place=place,
        precision=precision,
        checkpointing=training.gradient_checkpointing,
        devices=devices,
        passes=1 if most is None else -(-mine * copies // most),
        optimizer=training.optimizer,
    )


def _precision(training: Training, place: memory.Place, *, has_bf16: bool) -> Computed:
    """auto: in 16 bits, but on a CPU that does not multiply in them."""
    if training.precision != "auto":
        return training.precision
    if place == "cpu":
        return "bf16" if has_bf16 else "fp32"
    return "bf16" if has_bf16 else "fp16"
