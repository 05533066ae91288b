"""Fields of a recipe that cannot go together, or that nothing reads as the others are."""

from __future__ import annotations

from collections.abc import Iterator

from agnews_cli.core.run.preset import Preset, Training

_ONE_OF: tuple[tuple[tuple[str, ...], str], ...] = (
    (("fgm", "pgd", "freelb"), "a row is attacked in one way"),
    (("ema", "swa"), "one average of the weights is delivered"),
    (("mixup", "contrastive"), "a mixed row belongs to no class"),
)
_READ_WITH: dict[str, dict[str, object]] = {
    "attack_steps": {"pgd": None, "freelb": None},
    "schedule_power": {"schedule": "polynomial"},
    "snapshots": {"schedule": "cyclic"},
    "focal_gamma": {"loss": "focal"},
    "contrastive_temperature": {"contrastive": None},
    "sample_dropout": {"multi_sample_dropout": None},
    "window_overlap": {"long_texts": "windows"},
    "window_pooling": {"long_texts": "windows"},
    "most_windows": {"long_texts": "windows"},
}
"""The fields that make another one count, each with its value; None: any but the default."""


def contradictions(training: Training) -> Iterator[tuple[str, str]]:
    """(a field of `training`, why it cannot be as it is), in the order of the rules."""
    for names, why in _ONE_OF:
        first, *others = [name for name in names if _is_set(training, name)] or [""]
        for name in others:
            yield name, f"not beside {first}: {why}; --set training.{first}=0 turns that off"
    for name, by in _READ_WITH.items():
        if _is_set(training, name) and not any(_is_on(training, *one) for one in by.items()):
            with_ = " or ".join(f"{n} above 0" if v is None else f"{n}={v}" for n, v in by.items())
            yield name, f"is read with {with_} alone"


def of_network(preset: Preset) -> str | None:
    """Why it cannot have the network that it has; None where it can, or has none."""
    if preset.network is None:
        return None
    if preset.method.kind != "full":
        return f"is trained whole, and method.kind is {preset.method.kind!r}"
    read = ("frozen_layers", "gradient_checkpointing")
    told = [name for name in read if _is_set(preset.training, name)]
    return f"has no layers for training.{told[0]}" if told else None


def _is_set(training: Training, name: str) -> bool:
    return bool(getattr(training, name) != Training.model_fields[name].default)


def _is_on(training: Training, name: str, value: object) -> bool:
    return _is_set(training, name) if value is None else getattr(training, name) == value
