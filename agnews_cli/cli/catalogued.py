"""Models of the catalogue as rows and objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from agnews_cli.core.run.catalogue import CatalogueModel

HEADS = ("name", "weights", "kind", "layers x width", "reads", "licence")


def row(model: CatalogueModel) -> tuple[str, ...]:
    """Name, weights, kind, size, tokens, licence."""
    shape = model.shape
    return (
        model.name,
        weights(model.entry.parameters),
        model.family.kind,
        f"{shape.layers} x {shape.hidden:,}",
        f"{shape.positions:,}" if shape.positions else "any",
        model.licence + (", asks first" if model.is_gated else ""),
    )


def facts(model: CatalogueModel) -> Iterator[tuple[str, str]]:
    """Each fact with its name."""
    shape, family = model.shape, model.family
    published = model.entry.published
    yield "hub id", model.entry.id
    yield "revision", model.entry.revision or "not pinned: nobody looked it up"
    yield "family", family.title
    yield "architecture", f"{family.model_type} in transformers, {family.kind}"
    yield "layers", f"{shape.layers}{', all of the same weights' if family.shares_layers else ''}"
    yield "hidden", f"{shape.hidden:,}"
    yield "heads", f"{shape.heads} of {model.head_dim}" + _kv(model)
    yield "intermediate", f"{shape.intermediate:,}"
    yield "vocabulary", f"{shape.vocabulary:,}"
    yield "positions", f"{shape.positions:,}" if shape.positions else "relative"
    yield "weights", f"{model.entry.parameters:,} below the head, counted by building it"
    of = "" if published.of == "AutoModel" else f" of {published.of}"
    yield (
        "published",
        f"{published.parameters:,}{of} ({family.source}, {family.as_of})"
        + (f"; {published.unlike}" if published.unlike else ""),
    )
    yield "licence", model.licence + (" (the hub asks for consent first)" * model.is_gated)
    yield "LoRA targets", ", ".join(family.targets)
    yield "attention", family.attention
    if not family.has_checkpointing:
        yield "checkpointing", "none: transformers cannot compute its activations twice"
    for precision, why in family.unsafe.items():
        yield f"not in {precision}", why
    for method, why in family.refused.items():
        yield f"not with {method}", why


def as_json(model: CatalogueModel, notes: Sequence[str] = ()) -> dict[str, Any]:
    """One object of `agnews models` (docs/json.md)."""
    shape, family = model.shape, model.family
    return {
        "name": model.name,
        "id": model.entry.id,
        "revision": model.entry.revision,
        "family": family.family,
        "kind": family.kind,
        "architecture": family.model_type,
        "layers": shape.layers,
        "hidden": shape.hidden,
        "heads": shape.heads,
        "kv_heads": model.kv_heads,
        "head_dim": model.head_dim,
        "intermediate": shape.intermediate,
        "vocabulary": shape.vocabulary,
        "positions": shape.positions,
        "parameters": model.entry.parameters,
        "published": model.entry.published.model_dump(),
        "source": family.source,
        "as_of": family.as_of,
        "licence": model.licence,
        "is_gated": model.is_gated,
        "targets": list(family.targets),
        "has_checkpointing": family.has_checkpointing,
        "unsafe": dict(family.unsafe),
        "refused": dict(family.refused),
        "notes": list(notes),
    }


def weights(parameters: int) -> str:
    """`184 M`, `7.2 G`"""
    if parameters >= 1_000_000_000:
        return f"{parameters / 1e9:,.1f} G"
    return f"{parameters / 1e6:,.0f} M"


def _kv(model: CatalogueModel) -> str:
    own = model.kv_heads
    return "" if own == model.shape.heads else f", {own} for keys and values"
