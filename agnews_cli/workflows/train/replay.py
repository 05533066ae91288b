"""A Request written down: as the keys of a file, and as the command line that says the same.

Both hold only what differs from the defaults of `agnews auto`, under the names of its options.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from agnews_cli.core.text import duration
from agnews_cli.workflows.train.auto import Request


def _as_it_is(value: Any) -> Any:
    return value


def _hours(seconds: float) -> float:
    """The hours that are these seconds again: 3600 times the nearest may miss by one bit."""
    near = seconds / 3600
    tries = (near, math.nextafter(near, 0), math.nextafter(near, math.inf))
    return next((hours for hours in tries if hours * 3600 == seconds), near)


_KEYS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "data": ("data", _as_it_is),
    "text_columns": ("text_column", list),
    "label_column": ("label_column", _as_it_is),
    "id_column": ("id_column", _as_it_is),
    "encoding": ("encoding", _as_it_is),
    "no_header": ("no_header", _as_it_is),
    "raw_text": ("raw_text", _as_it_is),
    "skip_bad_rows": ("skip_bad_rows", _as_it_is),
    "drop_rare": ("drop_rare", _as_it_is),
    "preset": ("preset", _as_it_is),
    "model": ("model", _as_it_is),
    "goal": ("goal", _as_it_is),
    "budget_s": ("budget", duration.write),
    "store": ("store", lambda folder: [str(folder)]),
    "remotes": ("store", list),
    "seed": ("seed", _as_it_is),
    "limit_train": ("limit_train", _as_it_is),
    "settings": ("set", list),
    "processes": ("processes", _as_it_is),
    "is_fresh": ("fresh", _as_it_is),
    "is_inexact": ("inexact", _as_it_is),
    "takeover": ("takeover", _as_it_is),
    "save_every_s": ("save_every", duration.write),
    "trace": ("trace", _as_it_is),
    "session_s": ("session_hours", _hours),
}
"""Field of Request: key of the file and option, and how its value is written. Lists join."""
NOT_WRITTEN = frozenset({"is_rehearsal", "started_monotonic_s"})


def asked(request: Request) -> dict[str, Any]:
    """The keys and values of the request's file (store/settings/requests)."""
    written: dict[str, Any] = {}
    for field in fields(Request):
        value = getattr(request, field.name)
        if field.name not in NOT_WRITTEN and value != field.default:
            key, write = _KEYS[field.name]
            kept, value = written.get(key), write(value)
            written[key] = value if kept is None else [*kept, *value]
    return written


def arguments(request: Request) -> tuple[str, ...]:
    """What follows `agnews auto` on the command line that says the same."""
    words: list[str] = []
    for key, value in asked(request).items():
        option = "--" + key.replace("_", "-")
        if value is True:
            words.append(option)
            continue
        for each in value if isinstance(value, list) else [value]:
            words += [option, str(each)]
    return tuple(words)


def command(request: Request) -> str:
    """`agnews auto …`, quoted for a shell."""
    return shlex.join(("agnews", "auto", *arguments(request)))
