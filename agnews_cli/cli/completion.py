"""What Tab offers for a value: presets, runs, stores, places, columns. It answers within 0.3 s.

So nothing here imports a reader of YAML, JSON schemas or tables; a file is looked at for its first
line alone, and what cannot be read offers nothing. No answer leaves the shell to offer files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from typer import Context

LATEST = "latest"
GIVEN = "agnews.data"
"""Where a context keeps the data that were given as a word."""
_CREATED = "created.json"
_MOST_RUNS = 500
_FIRST_BYTES = 64 * 1024
_STORES = ("drive", "drive:", "hf://", "kaggle://", "s3://", "sftp://")
_COMBINERS = (
    "auto", "average", "vote", "rank", "confidence", "weighted", "best", "greedy", "bayesian",
    "blend", "stack",
)  # fmt: skip
_PLACES = ("here", "colab-free", "kaggle")


def answer_at_once() -> None:
    """Leave out what Typer does before it answers, and an answer does without: half of its time.

    Help is shown to zsh and fish as it is (Typer imports rich, and loses what stands in brackets),
    and the words typed so far are taken as they are (it imports pydantic, and checks each option).
    """
    with suppress(ImportError):
        from typer import core

        if hasattr(core, "build_runtime_param"):
            core.build_runtime_param = lambda _: _AsTyped()
        from typer import _completion_classes

        if hasattr(_completion_classes, "_sanitize_help_text"):
            _completion_classes._sanitize_help_text = lambda text: text


class _AsTyped:
    """Typer's reader of one option's value, which reads nothing."""

    def coerce(self, value: Any, **_: Any) -> Any:
        return value


def presets(incomplete: str) -> list[str]:
    """Names of presets."""
    from agnews_cli.store.disk.home import PRESET_PARTS

    return _beginning(incomplete, sorted(name for part in PRESET_PARTS for name in _stems(part)))


def base_models(incomplete: str) -> list[str]:
    """Names of the catalogue's models, found by their indentation."""
    from agnews_cli.store.disk.home import preset_folders

    found: list[str] = []
    for folder in preset_folders():
        with suppress(OSError):
            for path in sorted((folder / "catalogue").glob("*.yaml")):
                of_models = path.read_text("utf-8").partition("\nmodels:\n")[2]
                lines = (line for line in of_models.splitlines() if line[:2] == "  ")
                found += [line.strip(" :") for line in lines if line[2:3] not in (" ", "#")]
    return _beginning(incomplete, sorted(found))


def platforms(incomplete: str) -> list[str]:
    """Platforms that limits are known of."""
    return _beginning(incomplete, _stems("platforms"))


def places(incomplete: str) -> list[str]:
    """Where a plan may train; after `+` one more."""
    before, plus, last = incomplete.rpartition("+")
    return [before + plus + name for name in _beginning(last, [*_PLACES, *_stems("platforms")])]


def runs(context: Context, incomplete: str) -> list[str]:
    """`latest` and the ids of the runs in the store, the newest first."""
    found: list[tuple[float, str]] = []
    with suppress(OSError):
        for entry in islice(os.scandir(_store(context)), _MOST_RUNS):
            with suppress(OSError):
                found.append((Path(entry.path, _CREATED).stat().st_mtime, entry.name))
    return _beginning(incomplete, [LATEST, *(name for _, name in sorted(found, reverse=True))])


def unfinished(context: Context, incomplete: str) -> list[str]:
    """The runs without a result."""
    store = _store(context)
    found = runs(context, incomplete)
    return [n for n in found if n != LATEST and not (store / n / "evaluation.json").exists()]


def combiners(incomplete: str) -> list[str]:
    """Kinds of combiners."""
    return _beginning(incomplete, _COMBINERS)


def forms(incomplete: str) -> list[str]:
    from agnews_cli.core.run.export import FORMS

    return _beginning(incomplete, FORMS)


def splits(incomplete: str) -> list[str]:
    """On which rows models are compared."""
    return _beginning(incomplete, ("test", "validation"))


def stores(incomplete: str) -> list[str]:
    """Kinds of stores, those of the environment, and the folder for runs."""
    named = [part.strip() for part in os.environ.get("AGNEWS_STORE", "").split(",")]
    here = [name for name in ("agnews-runs",) if Path(name).is_dir()]
    return _beginning(incomplete, [*filter(None, named), *here, *_STORES])


def columns(context: Context, incomplete: str) -> list[str]:
    """Names in the first line of --data, where it is a table of text."""
    named = (context.params.get("data"), context.meta.get(GIVEN), context.params.get("file"))
    for name in filter(None, (*named, *_words())):
        with suppress(OSError, ValueError):
            return _beginning(incomplete, _header(Path(name).expanduser()))
    return []


def _words() -> list[str]:
    """What was typed: where an option still lacks its value, Typer has not read the words."""
    typed = os.environ.get("_TYPER_COMPLETE_ARGS") or os.environ.get("COMP_WORDS", "")
    return [word for word in typed.split()[2:] if Path(word).suffix]


def _header(path: Path) -> Iterator[str]:
    if path.is_dir():
        path = next(path.glob("train.*"), path)
    with path.open("rb") as stream:
        line = stream.readline(_FIRST_BYTES).decode("utf-8-sig")
    if path.suffix in {".jsonl", ".ndjson"}:
        import json

        yield from json.loads(line)
    elif path.suffix in {".csv", ".tsv", ".txt"}:
        import csv

        separator = max(",;\t|", key=line.count)
        yield from next(csv.reader([line], delimiter=separator), ())


def _store(context: Context) -> Path:
    given = context.params.get("stores") or context.params.get("store")
    first = given[0] if isinstance(given, list | tuple) and given else given
    listed = os.environ.get("AGNEWS_STORE", "").split(",")[0].strip()
    named = [str(name) for name in (first, listed) if name and "://" not in str(name)]
    kaggle = Path("/kaggle/working/agnews-runs")
    usual = kaggle if kaggle.is_dir() else Path("agnews-runs")
    return Path(named[0]).expanduser() if named else usual


def _stems(folder: str) -> list[str]:
    from agnews_cli.store.disk.home import preset_folders

    found = set()
    for place in preset_folders():
        with suppress(OSError):
            found |= {path.stem for path in (place / folder).iterdir() if path.suffix == ".yaml"}
    return sorted(found)


def _beginning(incomplete: str, names: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(str(n) for n in names if str(n).startswith(incomplete)))
