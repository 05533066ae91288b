"""Runs on disk: a store is a folder, a run is a folder in it, named by its fingerprint.

The same preset, data and seed are the same run, wherever the data lie: the id is the hash of what
decides the result and of nothing else. `created.json` is written last and makes the folder a run;
its time orders runs, since copying a store changes every mtime.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from agnews_cli.core.run import identity
from agnews_cli.core.run.dataset import Dataset
from agnews_cli.core.run.evaluation import Evaluation
from agnews_cli.core.run.job import Outcome
from agnews_cli.core.run.preset import Preset
from agnews_cli.core.run.request import ALWAYS_WRITTEN, Wish
from agnews_cli.core.run.state import RunState
from agnews_cli.core.text import strict_json
from agnews_cli.core.text.spelling import nearest
from agnews_cli.errors import LinkInRun, RunUnknown
from agnews_cli.store.disk import files
from agnews_cli.store.disk.files import write_text_atomically
from agnews_cli.store.disk.names import local
from agnews_cli.store.disk.space import refusal, require_space, size
from agnews_cli.store.settings import strict_yaml

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = [
    "RunFolder",
    "create",
    "default_store",
    "find",
    "list_runs",
    "refusal",
    "require_space",
    "size",
]

Record = TypeVar("Record", bound=BaseModel)

LATEST = "latest"
SAVE_NOW = "save-now"
"""A file of this name in a run's folder asks the training job for a checkpoint."""
_CREATED = "created.json"
_MOST_BYTES = 16_000_000


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where each thing of a run lies."""

    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def job(self) -> Path:
        return self.path / "job.json"

    @property
    def test_order(self) -> Path:
        """What the job is told of the test rows once nothing more is to be chosen."""
        return self.path / "test.json"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def outcome(self) -> Path:
        return self.path / "outcome.json"

    @property
    def evaluation(self) -> Path:
        return self.path / "evaluation.json"

    @property
    def latency(self) -> Path:
        return self.path / "latency.json"

    @property
    def predictions(self) -> Path:
        return self.path / "predictions.csv"

    @property
    def log(self) -> Path:
        return self.path / "worker.log"

    @property
    def model(self) -> Path:
        """A folder that `from_pretrained` loads, once the run is completed."""
        return self.path / "model"

    @property
    def preset(self) -> Path:
        """The resolved preset as YAML; it can be given as `--preset` again."""
        return self.path / "preset.yaml"

    @property
    def whole(self) -> Path:
        """Of a part of an ensemble or of a distillation: its preset, which `--preset` takes."""
        return self.path / "whole.yaml"

    @property
    def graph(self) -> Path:
        """Of what several runs are for: the parts, for people (`store/run/parts`)."""
        return self.path / "graph.json"

    @property
    def checkpoints(self) -> Path:
        """One folder of checkpoints for each fine-tuning that is not finished."""
        return self.path / "checkpoints"

    def fine_tunings(self) -> tuple[Path, ...]:
        """The folders in `checkpoints`; links lead elsewhere, and are none."""
        if not files.is_folder(self.checkpoints):
            return ()
        found = (self.checkpoints / name for name in files.names(self.checkpoints))
        return tuple(path for path in found if files.is_folder(path))

    def has(self, name: str) -> bool:
        """Whether the run holds a plain file `name`, such as `model/config.json`, by no link."""
        if not self.holds(str(Path(name).parent)):
            return False
        try:
            return stat.S_ISREG((self.path / name).lstat().st_mode)
        except OSError:
            return False

    def holds(self, name: str) -> bool:
        """Whether `name`, such as `model`, is a folder within the run, by no link."""
        path, parts = self.path, Path(name).parts
        if Path(name).is_absolute() or ".." in parts or "\0" in name:
            return False
        for part in parts:
            path = path / part
            if not files.is_folder(path):
                return False
        return True

    def require_plain(self) -> None:
        """Raises LinkInRun where anything in it is neither a file nor a folder.

        An archive keeps links, and who writes through one writes anywhere. Drafts and what stores
        need for a moment come and go meanwhile.
        """
        odd = [path for path in _inside(self.path) if not _is_plain(path)]
        if odd:
            raise LinkInRun(path=odd[0], count=len(odd), folder=self.path)

    def order(self) -> Wish | None:
        """What was asked for when the run was created; None where nobody wrote it down whole."""
        found = self._created().get("order")
        if not isinstance(found, dict) or not found.keys() >= ALWAYS_WRITTEN:
            return None
        try:
            return _wishes().validate_json(json.dumps(found), strict=True)
        except (ValidationError, ValueError):
            return None

    def ended(self) -> Outcome | None:
        """How its last session's worker ended; None where none has, or what it wrote is damaged."""
        return _read(self.outcome, Outcome)

    def done(self) -> frozenset[str]:
        """The names of all work whose result is here; none before its last session was whole."""
        outcome = self.ended()
        if outcome is None or outcome.state != RunState.COMPLETED:
            return frozenset()
        return frozenset((self.id, *outcome.done))

    def evaluated(self) -> Evaluation | None:
        """What it reached; None before, or where the file is damaged."""
        return _read(self.evaluation, Evaluation)

    @property
    def environment(self) -> Path:
        return self.path / "environment.json"

    def created_at(self) -> datetime | None:
        """When the run was created; None where this is no run's folder, or a damaged one."""
        try:
            moment = datetime.fromisoformat(self._created()["created_at"])
        except (ValueError, KeyError, TypeError):
            return None
        return moment if moment.tzinfo and 1970 <= moment.year < 3000 else None

    def preset_name(self) -> str:
        """Of the preset that it trains by; a student is called what it is made for."""
        found = self._created().get("preset")
        return found if isinstance(found, str) else self.id.rpartition("-")[0]

    def dataset_name(self) -> str:
        """Of the data that it was made of; empty where nobody wrote it down."""
        found = self._created().get("dataset")
        return found if isinstance(found, str) else ""

    def is_of_other_rules(self) -> bool:
        """Whether its id was made by other rules than today's, so that none of today's is it."""
        return self._created().get("identity") != identity.VERSION

    def _created(self) -> dict[str, Any]:
        try:
            return strict_json.mapping(files.read_plain(self.path / _CREATED, _MOST_BYTES))
        except (OSError, ValueError):
            return {}


@cache
def _wishes() -> TypeAdapter[Wish]:
    from pydantic import TypeAdapter

    return TypeAdapter(Wish)


def _read(path: Path, kind: type[Record]) -> Record | None:
    try:
        return kind.model_validate_json(files.read_plain(path, _MOST_BYTES))
    except (OSError, ValueError):
        return None


def _inside(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        yield from (Path(place, name) for name in sorted((*folders, *names)))


def _is_plain(path: Path) -> bool:
    try:
        mode = path.lstat().st_mode
    except OSError:  # gone meanwhile
        return True
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


# ---- the store ----------------------------------------------------------------------------------


def default_store(env_platform: str) -> Path:
    """Where runs go when nobody says: on Kaggle the folder that a session's end keeps."""
    if env_platform == "kaggle":
        return Path("/kaggle/working/agnews-runs")
    return Path.cwd() / "agnews-runs"


def create(
    store: Path,
    run: str,
    *,
    preset: Preset | None,
    dataset: Dataset,
    seed: int,
    now: datetime,
    order: Mapping[str, object] | None = None,
    whole: str = "",
) -> RunFolder:
    """The run's folder, made if it is not there; an existing run keeps its time of creation.

    `order`: what was asked for, as JSON; `agnews resume` asks for it again. `whole`: the preset of
    the ensemble or student that it is a part of, as YAML; where it trains nothing itself, `preset`
    is None, and that stands in its place.

    Raises CannotWrite or NoDiskSpace.
    """
    if now.tzinfo is None:
        raise ValueError("times are UTC-aware here")
    folder = RunFolder(store.absolute() / run)
    if folder.created_at() is not None:
        return folder
    files.make_folder(folder.path)
    own = whole if preset is None else strict_yaml.dump(preset.model_dump(mode="json"))
    write_text_atomically(folder.preset, own)
    if whole:
        write_text_atomically(folder.whole, whole)
    facts = {
        "id": run,
        "created_at": now.astimezone(UTC).isoformat(timespec="microseconds"),
        "preset": run.rpartition("-")[0] if preset is None else preset.name,
        "dataset": dataset.name,
        "seed": seed,
        "order": dict(order or {}),
        "identity": identity.VERSION,
    }
    write_text_atomically(folder.path / _CREATED, json.dumps(facts, indent=2) + "\n")
    return folder


def list_runs(store: Path) -> tuple[RunFolder, ...]:
    """The store's runs, the newest first; none where there is no such folder.

    Raises CannotRead where it cannot be listed, or is no folder.
    """
    return sound_and_damaged(store)[0]


def sound_and_damaged(store: Path) -> tuple[tuple[RunFolder, ...], tuple[str, ...]]:
    """Of `list_runs`; and the names of what is passed over, for its created.json is damaged.
    Raises CannotRead as `list_runs` does."""
    root = store.absolute()
    folders = [RunFolder(root / name) for name in files.names(root) if (root / name).is_dir()]
    dated, damaged = [], []
    for folder in folders:
        if moment := folder.created_at():
            dated.append((moment, folder))
        elif os.path.lexists(folder.path / _CREATED):
            damaged.append(folder.id)
    sound = sorted(dated, key=lambda d: (d[0], d[1].id), reverse=True)
    return tuple(folder for _, folder in sound), tuple(damaged)


def _result_of(runs: tuple[RunFolder, ...]) -> RunFolder:
    """The newest run; where it is a part of several, what they are for."""
    newest = runs[0]
    if not newest.has(newest.whole.name) or newest.has(newest.graph.name):
        return newest
    return next((run for run in runs if run.has(run.graph.name)), newest)


def find(store: Path, name: str) -> RunFolder:
    """The run that `name` means: `latest`, an id, the beginning of just one id, or a folder.

    Raises RunUnknown, naming the ids that are near or that a beginning could mean.
    """
    (runs, damaged), hint = sound_and_damaged(store), ""
    if name == LATEST and runs:
        return _result_of(runs)
    ids = {run.id: run for run in runs}
    if name in ids:
        return ids[name]
    begun = sorted(run_id for run_id in ids if name and run_id.startswith(name))
    if len(begun) == 1:
        return ids[begun[0]]
    if name and RunFolder(local(name)).created_at() is not None:
        return RunFolder(local(name).absolute())
    if begun:
        more = f" and {len(begun) - 3} more" if len(begun) > 3 else ""
        near = f": it may be {' or '.join(map(repr, begun[:3]))}{more}"
    elif name in damaged:
        near, hint = ": its created.json is damaged", f"Copy that file back into {store / name}."
    elif not runs:
        near, hint = (
            ", which holds no runs",
            "`agnews auto` trains one; --store names another folder.",
        )
    else:
        near = nearest(name, sorted(ids))
    raise RunUnknown(name=name, store=store, near=near, hint=hint)
