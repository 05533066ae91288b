"""What memory a training takes: a table of its parts and the verdict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.planning.fit import MemoryFit


def show(out: Output, found: MemoryFit) -> None:
    """For people."""
    setup = found.setup
    spared = ", activations computed twice" if setup.checkpointing else ""
    title = (
        f"{found.model.name}, {setup.method.kind}, {setup.precision}, {setup.texts:,} texts of "
        f"{setup.length:,} tokens{spared}"
    )
    out.table((title, "GB"), _rows(found))
    out.screen("", found.words())
    for note in found.notes:
        out.screen(note)
    for help_ in found.help:
        out.screen(f"would fit, {help_.peak_bytes / 1e9:.1f} GB: {help_.change}")
    if not found.fits and found.refused is None and not found.help:
        out.screen(
            "nothing that agnews has would make it fit there: a smaller model, or more memory"
        )


def _rows(found: MemoryFit) -> Iterator[tuple[str, str]]:
    memory = found.memory
    parts = {
        "weights": memory.weights,
        "gradients": memory.gradients,
        "optimizer's states": memory.optimizer,
        "activations kept": memory.activations,
        "workspace": memory.workspace,
        "checkpoint and best weights": memory.copies,
        "process" if found.setup.place == "cpu" else "CUDA context": memory.context,
        "peak": memory.peak_bytes,
    }
    for name, size in parts.items():
        if not size and name.startswith("checkpoint"):
            continue  # they lie in the host's memory
        yield name, f"{size / 1e9:.2f}"


def as_json(found: MemoryFit) -> dict[str, Any]:
    """`agnews.fit/1` (docs/json.md)."""
    setup, memory = found.setup, found.memory
    return {
        "schema": "agnews.fit/1",
        "model": found.model.name,
        "id": found.model.entry.id,
        "method": setup.method.kind,
        "precision": setup.precision,
        "texts": setup.texts,
        "length": setup.length,
        "checkpointing": setup.checkpointing,
        "device": found.device.name,
        "devices": found.device.count,
        "memory_bytes": found.device.memory_bytes,
        "usable_bytes": round(found.device.usable_bytes),
        "peak_bytes": memory.peak_bytes,
        "parts": {
            "weights": memory.weights,
            "gradients": memory.gradients,
            "optimizer": memory.optimizer,
            "activations": memory.activations,
            "workspace": memory.workspace,
            "copies": memory.copies,
            "context": memory.context,
        },
        "fits": found.fits,
        "refused": found.refused,
        "most_texts": found.most_texts,
        "help": [{"change": one.change, "peak_bytes": one.peak_bytes} for one in found.help],
        "notes": list(found.notes),
    }
