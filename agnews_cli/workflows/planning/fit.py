"""Whether fine-tuning a model fits a machine, with the largest batch, or what would help."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import get_args

from pydantic import BaseModel

from agnews_cli.core.machine import accelerator
from agnews_cli.core.run import memory
from agnews_cli.core.run.catalogue import CatalogueModel
from agnews_cli.core.run.memory import Computed, Memory, Setup
from agnews_cli.core.run.method import Method
from agnews_cli.errors import MemoryUnknown, OutOfRange
from agnews_cli.host.detect import detect
from agnews_cli.store.settings import offers
from agnews_cli.workflows.forecast.offers import Market
from agnews_cli.workflows.machine import base_models

_GB = 1e9
_WITHOUT_BF16 = frozenset({"T4", "P100", "V100"})
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?GB?", re.IGNORECASE)
_HELP = ("lora", "qlora")
"""Methods that need less, the usual one first."""
KINDS: dict[str, type[BaseModel]] = {
    kind.model_fields["kind"].default: kind
    for kind in get_args(get_args(Method)[0])
    if kind.needs_weights
}


@dataclass(frozen=True, slots=True)
class FitDevice:
    """What a training would run on; of several the memory of each."""

    name: str
    place: memory.Place
    memory_bytes: int
    count: int
    has_bf16: bool

    @property
    def usable_bytes(self) -> float:
        return self.memory_bytes * memory.USABLE_SHARE[self.place]


@dataclass(frozen=True, slots=True)
class FitAsked:
    """As it was typed. `on`: a platform, a card, or a size such as 16GB; None is this machine."""

    model: str
    method: str | None = None
    on: str | None = None
    texts: int = 16
    length: int = 128
    precision: str = "auto"
    checkpointing: bool = False


@dataclass(frozen=True, slots=True)
class Help:
    """A change with which it would fit."""

    change: str
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class MemoryFit:
    """The answer."""

    model: CatalogueModel
    device: FitDevice
    setup: Setup
    memory: Memory
    most_texts: int
    refused: str | None
    """Why the method cannot train the model, whatever the memory."""
    help: tuple[Help, ...]
    notes: tuple[str, ...]

    @property
    def fits(self) -> bool:
        return self.refused is None and self.memory.peak_bytes <= self.device.usable_bytes

    def words(self) -> str:
        """The verdict, one sentence."""
        has = f"{self.device.usable_bytes / _GB:.1f} GB usable on {self.device.name}"
        if self.refused is not None:
            return f"{self.setup.method.kind} cannot train {self.model.name}: {self.refused}"
        needs = f"{self.memory.peak_bytes / _GB:.1f}"
        if not self.fits:
            return f"does not fit: it needs {needs} GB, and there are {has}"
        batch = f"up to {self.most_texts:,} texts of {self.setup.length:,} tokens in a pass"
        return f"fits: {needs} of {has}; {batch}"


def look(asked: FitAsked) -> MemoryFit:
    """Raises ModelUnknown, CatalogueInvalid, OfferUnknown, MemoryUnknown or OutOfRange."""
    known = base_models.named(asked.model)
    model = known.model
    device = _device(asked.on)
    kind = asked.method or ("lora" if model.family.kind == "decoder" else "full")
    if kind not in KINDS:
        raise OutOfRange(option="method", given=kind, bounds=f"one of {', '.join(KINDS)}")
    precision, said = _precision(asked.precision, model, device)
    notes = [*known.notes, *said]
    checkpointing = asked.checkpointing and model.family.has_checkpointing
    if asked.checkpointing and not checkpointing:
        notes.append(f"transformers has no activation checkpointing for {model.name}")
    if model.shape.positions and asked.length > model.shape.positions:
        notes.append(f"{model.name} reads {model.shape.positions:,} tokens at most")
    setup = Setup(
        method=_method(kind),
        texts=asked.texts,
        length=asked.length,
        place=device.place,
        precision=precision,
        checkpointing=checkpointing,
        devices=device.count,
    )
    refused = model.family.refused.get(kind)
    needs = memory.predict(model, setup)
    found = MemoryFit(
        model=model,
        device=device,
        setup=setup,
        memory=needs,
        most_texts=memory.most_texts(model, setup, device.usable_bytes),
        refused=refused,
        help=(),
        notes=tuple(notes),
    )
    return found if found.fits else replace(found, help=tuple(_helps(found)))


def _helps(found: MemoryFit) -> Iterator[Help]:
    """The least change first: each with which it would fit."""
    model, setup, limit = found.model, found.setup, found.device.usable_bytes
    kinds = [k for k in (setup.method.kind, *_HELP) if k not in model.family.refused]
    for kind in dict.fromkeys(kinds):
        words = [] if kind == setup.method.kind else [f"--method {kind}"]
        own = replace(setup, method=setup.method if not words else _method(kind))
        for spares in (False, True) if model.family.has_checkpointing else (False,):
            tried = replace(own, checkpointing=setup.checkpointing or spares)
            more = [*words, *(["--checkpointing"] if spares and not setup.checkpointing else [])]
            most = min(setup.texts, memory.most_texts(model, tried, limit))
            if not most:
                continue
            if most < setup.texts:
                more.append(f"--batch {most}")
            needs = memory.predict(model, replace(tried, texts=most)).peak_bytes
            yield Help(" ".join(more), needs)
            break


def _method(kind: str) -> Method:
    made: Method = KINDS[kind].model_validate({})  # type: ignore[assignment]
    return made


def _precision(
    asked: str, model: CatalogueModel, device: FitDevice
) -> tuple[Computed, tuple[str, ...]]:
    """What `--precision` means there, and what is to be said of it."""
    choices = get_args(Computed)
    if asked != "auto" and asked not in choices:
        raise OutOfRange(option="precision", given=asked, bounds=f"auto, {', '.join(choices)}")
    unsafe = model.family.unsafe
    if asked != "auto":
        why = unsafe.get(asked)  # type: ignore[call-overload]
        return asked, (f"{model.name} in {asked}: {why}",) if why else ()  # type: ignore[return-value]
    if device.has_bf16:
        return "bf16", ()
    if device.place == "cpu":
        return "fp32", ()
    if "fp16" in unsafe:
        return "fp32", (f"in fp32: {device.name} has no bf16, and in fp16 {unsafe['fp16']}",)
    return "fp16", ()


def _device(on: str | None) -> FitDevice:
    """This machine's, a card by name, a size, or the first card of a platform."""
    if on is None or on == "here":
        return _here()
    if size := _SIZE.fullmatch(on):
        return FitDevice(f"a card of {on}", "gpu", round(float(size[1]) * _GB), 1, has_bf16=True)
    known = offers.assumed().devices
    if on in known and known[on].memory_gb is not None:
        return _card(on, round((known[on].memory_gb or 0) * _GB), 1)
    market = Market.of(None, datetime.now(UTC), left_s={}, reserve_s=0.0)
    for resource in market.unlimited([on]):
        if resource.platform == on and resource.kind != "cpu":
            if resource.memory_bytes is None:
                raise MemoryUnknown(device=resource.kind)
            return _card(resource.kind, resource.memory_bytes, resource.cards)
    raise MemoryUnknown(device=on)


def _card(name: str, memory_bytes: int, count: int) -> FitDevice:
    shown = f"each of {count} {name}" if count > 1 else f"a {name}"
    return FitDevice(shown, "gpu", memory_bytes, count, name not in _WITHOUT_BF16)


def _here() -> FitDevice:
    machine = detect()
    found = machine.accelerator
    if found.kind == "cuda" and found.memory_bytes is not None:
        card = _card(accelerator.model(found.name), found.memory_bytes, found.count)
        return replace(card, has_bf16=bool(found.has_fast_bf16))
    if found.kind == "cpu" and machine.memory_bytes is not None:
        return FitDevice(
            "this machine's CPU", "cpu", machine.memory_bytes, 1, bool(found.has_fast_bf16)
        )
    raise MemoryUnknown(device=found.name)
