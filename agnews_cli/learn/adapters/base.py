"""The unchanged base model that an adapter needs: loaded as a classifier, known by its digest."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification

from agnews_cli.learn.adapters import padding
from agnews_cli.store.model.model_facts import weights_of


def classifier(folder: Path, base: str | None, options: dict[str, Any]) -> Any:
    """The base model with a new head for the classes that `labels.json` names, in `folder` or
    above it."""
    assert base is not None, f"the adapter in {folder} needs its base model"
    places = (folder / "labels.json", folder.parent / "labels.json")
    labels = next((path for path in places if path.is_file()), places[0])
    names = json.loads(labels.read_text("utf-8"))
    asked = {"dtype": torch.float32} | options
    found = AutoModelForSequenceClassification.from_pretrained(
        base,
        num_labels=len(names),
        id2label=dict(enumerate(names)),
        label2id={name: number for number, name in enumerate(names)},
        ignore_mismatched_sizes=True,  # the head of a classifier of other classes
        trust_remote_code=False,
        **asked,
    )
    padding.settle(found)
    return found


def digest(model: Any) -> str | None:
    """SHA-256 over the files of weights that a model was loaded from, wherever they lie; None where
    it was loaded from none. Reads them whole: about a second for each gigabyte.
    """
    folder = _folder(model.config)
    if folder is None:
        return None
    paths = weights_of(folder)
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest() if paths else None


def _folder(config: Any) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    name = config.name_or_path
    if not name or Path(name).is_dir():
        return Path(name) if name else None
    commit = getattr(config, "_commit_hash", None)
    found = try_to_load_from_cache(name, "config.json", revision=commit)
    return Path(found).parent if isinstance(found, str) else None
