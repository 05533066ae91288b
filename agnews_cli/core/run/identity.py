"""What a run is called: the hash of what decides its result and of nothing else.

The same work on the same data is the same run, wherever the data lie and whoever asks for it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from agnews_cli.core.run.dataset import Dataset, File, Split
from agnews_cli.core.run.work import RunId, Work, reads

VERSION = 3
"""Of the rules below: ids of other rules name other runs."""
_PLACES_AND_COUNTS = {"path", "shards", "rows", "class_rows"}
"""Facts of a file that its bytes and the way of reading them imply, or that decide nothing."""


def run_id(label: str, work: Work, data: Dataset) -> RunId:
    """`<label>-<10 hex digits of SHA-256>`; the label is no part of what is hashed.

    Of the work, all that is not as usual, its inputs by their ids; of the data, the contents of the
    splits that it may read and how they are read, the columns and the classes.
    """
    splits = reads(work)
    facts = {"version": VERSION, "work": without_defaults(work), "data": _read(data, splits)}
    canonical = json.dumps(
        _canonical(facts), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )
    return f"{label}-{hashlib.sha256(canonical.encode('ascii')).hexdigest()[:10]}"


def without_defaults(value: Any) -> Any:
    """A field at its default is not named, so that a new field changes no id; a kind always is."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        found = {name: getattr(value, name) for name in fields}
        return {
            name: without_defaults(item)
            for name, item in found.items()
            if name == "kind" or item != fields[name].get_default(call_default_factory=True)
        }
    return [without_defaults(item) for item in value] if isinstance(value, tuple) else value


def _read(data: Dataset, splits: tuple[Split, ...]) -> dict[str, object]:
    """The part of the data that a work may read; nothing where it reads no file."""
    files = {split: file for split in splits if (file := data.file(split)) is not None}
    if not splits:
        return {}
    return {
        "splits": {split: _content(file) for split, file in files.items()},
        "text_columns": data.text_columns,
        "label_column": data.label_column,
        "labels": data.labels,
        "label_values": data.label_values,
        **{name: value for name, value in _ways_of_reading(data).items() if value},
    }


def _ways_of_reading(data: Dataset) -> dict[str, object]:
    # What is usual is not named, so that a new way changes no id.
    return {
        "cleaning": "" if data.cleaning == "markup" else data.cleaning,
        "split_column": data.split_column,
        "skip_bad_rows": data.skip_bad_rows,
        "drop_rare": data.drop_rare,
    }


def _content(file: File) -> dict[str, object]:
    # One set of bytes may hold several splits (`part`) or be read in two ways.
    facts = file.model_dump(mode="json", exclude_defaults=True, exclude=_PLACES_AND_COUNTS)
    form = file.form.model_dump(mode="json", exclude_defaults=True)
    return facts | {"form": form | {"format": file.form.format}}


def _canonical(value: Any) -> Any:
    """3.0 and 3 are one number: pydantic leaves a default as written and converts what is given."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return value
