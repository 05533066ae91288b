"""A base model by the name that people give it, and what is to be said of it on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from agnews_cli.core.run.catalogue import Catalogue, CatalogueModel, plain
from agnews_cli.core.text.spelling import nearest
from agnews_cli.errors import ModelUnknown
from agnews_cli.store.model.model_facts import trainable_kinds
from agnews_cli.store.settings import catalogue


@dataclass(frozen=True, slots=True)
class KnownModel:
    model: CatalogueModel
    notes: tuple[str, ...]
    """Sentences: that another is meant, that the installed transformers has dropped it."""


def named(name: str) -> KnownModel:
    """Raises ModelUnknown or CatalogueInvalid."""
    every = catalogue.load()
    found, note = every.find(name)
    if found is None:
        raise ModelUnknown(name=name, near=nearest(plain(name), list(every.models)))
    return KnownModel(found, (*filter(None, [note]), *_dropped(every, found)))


def _dropped(every: Catalogue, model: CatalogueModel) -> Iterator[str]:
    """Where transformers is installed and makes no classifiers of its architecture."""
    kinds, kind = trainable_kinds(), model.family.model_type
    if not kinds or kind in kinds:
        return
    try:
        installed = f"transformers {version('transformers')}"
    except PackageNotFoundError:
        installed = "the transformers that is installed"
    near = every.nearest(model, kinds)
    instead = f"; the nearest that it has is {near.name}" if near else ""
    yield f"{installed} has no text classifier of the kind {kind!r}{instead}"
