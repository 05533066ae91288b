"""What a base model is, before anything of it is loaded: its kind, and how large it is.

A folder's files say it, or the hub's record of the model; nothing is downloaded or executed. Which
kinds can become classifiers is read from the source of the transformers that is installed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from agnews_cli.errors import HubRefused, ModelUnsuitable
from agnews_cli.store.model.models import Resolved

_MOST_BYTES = 4 * 1024 * 1024
_DECODERS = ("ForCausalLM", "LMHeadModel")
_MAPPING = "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES"


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Of a model that nothing speaks against training."""

    kind: str
    """transformers' `model_type`, such as `bert`."""
    parameters: int
    is_decoder: bool
    licence: str


def facts(id_: str, found: Resolved, *, timeout_s: float = 10.0) -> ModelFacts:
    """Of the model `id_`, which lies at `found`. Raises ModelUnsuitable, HubRefused."""
    if found.source == "hub":
        return _on_hub(id_, timeout_s)
    folder = Path(found.path_or_id)
    config = _object(folder / "config.json")
    kind = _kind(id_, config, has_code="auto_map" in config)
    names = {path.name for path in folder.iterdir()}
    weights = _weights(folder, names)
    if not weights:
        reason = "there are no weights in it (model.safetensors or pytorch_model.bin)"
        raise ModelUnsuitable(model=id_, reason=reason)
    if not any(name.startswith(("tokenizer", "vocab", "spiece", "spm.")) for name in names):
        raise ModelUnsuitable(model=id_, reason="there is no tokenizer in it (tokenizer.json)")
    parameters = sum(_parameters(id_, path, config) for path in weights)
    return ModelFacts(kind, parameters, _is_decoder(config), "unknown")


def width(found: Resolved) -> int | None:
    """How many numbers its hidden states have; None where nobody says it now."""
    path = Path(found.path_or_id) / "config.json"
    if found.source == "hub":
        from huggingface_hub import hf_hub_download

        try:
            path = Path(hf_hub_download(found.path_or_id, "config.json"))
        except Exception:  # of whatever its transport raises: it is asked again by who loads it
            return None
    config = _object(path)
    inner = config.get("text_config")
    names = [config, inner if isinstance(inner, dict) else {}]
    said = (each.get(name) for each in names for name in ("hidden_size", "dim", "d_model"))
    return next((value for value in said if isinstance(value, int)), None)


def family(found: Resolved, *, timeout_s: float = 10.0) -> str | None:
    """transformers' `model_type` of a model; None where nobody says it. Nothing is downloaded."""
    if found.source == "hub":
        from huggingface_hub import HfApi

        try:
            endpoint = os.environ.get("HF_ENDPOINT")
            info = HfApi(endpoint=endpoint).model_info(found.path_or_id, timeout=timeout_s)
            config = dict(info.config or {})
        except Exception:  # of whatever its transport raises: it is asked again by who loads it
            return None
    else:
        config = _object(Path(found.path_or_id) / "config.json")
    kind = config.get("model_type")
    return kind if isinstance(kind, str) else None


def trainable_kinds() -> frozenset[str]:
    """The kinds that the installed transformers makes classifiers of; empty where there is none.

    Importing it would import torch.
    """
    spec = importlib.util.find_spec("transformers")
    if spec is None or spec.origin is None:
        return frozenset()
    source = Path(spec.origin).parent / "models" / "auto" / "modeling_auto.py"
    try:
        text = source.read_text("utf-8")
    except OSError:
        return frozenset()
    table = text.partition(f"\n{_MAPPING}")[2].partition("\n)")[0]
    return frozenset(re.findall(r"\(\s*\"([^\"]+)\",", table))


def _kind(id_: str, config: dict[str, Any], *, has_code: bool) -> str:
    kind = config.get("model_type")
    known = trainable_kinds()
    if not isinstance(kind, str):
        raise ModelUnsuitable(model=id_, reason="its config.json names no model_type")
    if known and kind not in known:
        own = ", and agnews runs no code that comes with a model" if has_code else ""
        reason = f"transformers makes no text classifier of the kind {kind!r}{own}"
        raise ModelUnsuitable(model=id_, reason=reason)
    return kind


def _is_decoder(config: dict[str, Any]) -> bool:
    return any(str(name).endswith(_DECODERS) for name in config.get("architectures") or ())


# ---- a folder ------------------------------------------------------------------------------------


def weights_of(folder: Path) -> list[Path]:
    """The files of weights that a loader reads of a model's folder; none where there are none."""
    return _weights(folder, {path.name for path in folder.iterdir()})


def _weights(folder: Path, names: set[str]) -> list[Path]:
    for name in ("model.safetensors", "pytorch_model.bin"):
        if name in names:
            return [folder / name]
        if f"{name}.index.json" in names:
            shards = _object(folder / f"{name}.index.json").get("weight_map")
            files = {str(shard) for shard in shards.values()} if isinstance(shards, dict) else set()
            return [folder / shard for shard in sorted(files) if shard in names]
    return []


def _parameters(id_: str, path: Path, config: dict[str, Any]) -> int:
    """Numbers in a file of weights: as its header says, else by its size."""
    try:
        if path.suffix != ".safetensors":
            stored = str(config.get("dtype") or config.get("torch_dtype"))
            return path.stat().st_size // (2 if "16" in stored else 4)
        with path.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > 100 * _MOST_BYTES:
                raise ValueError("its header is too long")
            header = json.loads(stream.read(length))
        shapes = [e["shape"] for e in header.values() if isinstance(e, dict) and "shape" in e]
        return sum(prod(shape) for shape in shapes)
    except (OSError, ValueError, TypeError, struct.error, RecursionError) as error:
        reason = f"{path.name} cannot be read: {error}"
        raise ModelUnsuitable(model=id_, reason=reason) from error


def _object(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            found = json.loads(stream.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


# ---- the hub -------------------------------------------------------------------------------------


def _on_hub(id_: str, timeout_s: float) -> ModelFacts:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    endpoint = os.environ.get("HF_ENDPOINT")
    try:
        info = HfApi(endpoint=endpoint).model_info(id_, files_metadata=True, timeout=timeout_s)
    except HfHubHTTPError as error:
        raise HubRefused(what=id_, reason=_first_line(error)) from error
    except Exception as error:  # of requests before huggingface_hub 1.0, of httpx since
        reason = f"{type(error).__name__}: {_first_line(error)}"
        raise HubRefused(what=id_, reason=reason) from error
    config = dict(info.config or {})
    kind = _kind(id_, config, has_code="auto_map" in config)
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    stored = info.safetensors.total if info.safetensors else 0
    weights = [size for name, size in sizes.items() if re.fullmatch(r"pytorch_model.*\.bin", name)]
    parameters = stored or sum(weights) // 4
    if not parameters:
        reason = "there are no weights in it (model.safetensors or pytorch_model.bin)"
        raise ModelUnsuitable(model=id_, reason=reason)
    licence = str(getattr(info.card_data, "license", None) or "unknown")
    return ModelFacts(kind, parameters, _is_decoder(config), licence)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
