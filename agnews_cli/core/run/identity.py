"""What a run is: the hash of what decides its result and of nothing else.

The same preset, data and seed are the same run, wherever the data lie.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from agnews_cli.core.run.dataset import Dataset, File
from agnews_cli.core.run.preset import Preset

VERSION = 2
"""Of the rules below: ids of other rules name other runs."""


def run_id(preset: Preset, dataset: Dataset, seed: int, extra: Mapping[str, object]) -> str:
    """`<preset name>-<10 hex digits of SHA-256>`.

    Of the preset, what decides the result and is not as usual; of the data, the splits' contents
    and how they are read, the columns and the classes (not where they lie); the seed, and `extra`,
    such as a limit on the rows. `extra` must be JSON.
    """
    facts = {
        "version": VERSION,
        "preset": _deciding(preset, has_budget=extra.get("budget_s") is not None),
        "dataset": {
            "splits": {
                split: _content(file)
                for split, file in (
                    ("train", dataset.train),
                    ("validation", dataset.validation),
                    ("test", dataset.test),
                )
                if file is not None
            },
            "text_columns": dataset.text_columns,
            "label_column": dataset.label_column,
            "labels": dataset.labels,
            "label_values": dataset.label_values,
            **{name: value for name, value in _ways_of_reading(dataset).items() if value},
        },
        "seed": seed,
        "extra": dict(extra),
    }
    canonical = json.dumps(
        _canonical(facts), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )
    return f"{preset.name}-{hashlib.sha256(canonical.encode('ascii')).hexdigest()[:10]}"


def _deciding(preset: Preset, *, has_budget: bool) -> dict[str, Any]:
    """Which weights are trained, and how; facts about them, and words for people, decide nothing.

    A field at its default is not named, so that a new field changes no id. What holds when time is
    short matters under a budget alone.
    """
    parts: dict[str, Any] = {
        "model": {"id", "revision"},
        "method": ...,
        "training": ...,
        "data": ...,
    }
    if has_budget:
        parts["short_of_time"] = ...
    found = preset.model_dump(mode="json", include=parts, exclude_defaults=True)
    return {name: facts for name, facts in found.items() if facts} | {
        "method": {"kind": preset.method.kind, **found.get("method", {})}
    }


def _ways_of_reading(dataset: Dataset) -> dict[str, object]:
    # What is usual is not named, so that a new way changes no id.
    return {
        "cleaning": "" if dataset.cleaning == "markup" else dataset.cleaning,
        "split_column": dataset.split_column,
        "skip_bad_rows": dataset.skip_bad_rows,
        "drop_rare": dataset.drop_rare,
    }


def _content(file: File) -> dict[str, object]:
    # One set of bytes may hold several splits (`part`) or be read in two ways.
    facts = {
        "sha256": file.sha256,
        "format": file.form.format,
        "header": file.form.header,
        "part": file.part,
    }
    form = file.form.model_dump(mode="json", exclude_defaults=True, exclude={"format", "header"})
    further = {"form": form, "split_values": file.split_values, "bytes_read": file.bytes_read}
    return facts | {name: value for name, value in further.items() if value}


def _canonical(value: Any) -> Any:
    """3.0 and 3 are one number: pydantic leaves a default as written and converts what is given."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return value
