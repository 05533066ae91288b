"""What was asked for, as a launch: its name, and the words that ask for the same elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from agnews_cli.core.launching.names import data_name, launch_id
from agnews_cli.core.run import request as asking
from agnews_cli.errors import CannotLaunch
from agnews_cli.host.detect import detect
from agnews_cli.store.disk import names
from agnews_cli.store.run import runs
from agnews_cli.store.settings import presets
from agnews_cli.workflows.runs import stores
from agnews_cli.workflows.train import within_limits
from agnews_cli.workflows.train.recipe import shape
from agnews_cli.workflows.train.scene import HUB_TIMEOUT_S, Request, asked_once, require_sense

_VERSION = 1
"""Of the rule below: launches of other rules have other names."""
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class LaunchWish:
    """What is asked of another machine."""

    id: str
    words: tuple[str, ...]
    """After `agnews auto`; data and presets by their place here."""
    store: Path
    """Where output comes home to."""
    data: Path | None = None
    """A file or a folder of this disk that has to come along."""
    data_name: str = ""


def of(request: Request, platform: str) -> LaunchWish:
    """Raises what `auto` would say before it looks at data and machine, and CannotLaunch."""
    chosen, wish = require_sense(request), request.wish
    asked, _ = shape(
        wish.model, wish.preset, wish.changes, hub=asked_once(), timeout_s=HUB_TIMEOUT_S
    )
    if asked is not None:
        within_limits.require(asked, request, is_typed=True)
    if wish.unlabelled is not None and Path(wish.unlabelled).expanduser().exists():
        reason = "--unlabelled names a file of this disk"
        raise CannotLaunch(reason=reason, hint="Name a data set of the hub for it.")
    data = None if wish.data is None else _local(wish.data)
    digest = "" if data is None else _digest(data)
    at_place = replace(wish, data=str(data)) if data else wish
    facts = asking.written(wish) | {"data": digest or wish.data, "version": _VERSION}
    if wish.preset is not None and presets.is_own(wish.preset):
        facts["preset"] = presets.text(wish.preset)
    label = Path(wish.preset).stem if wish.preset else Path(wish.model or "auto").name
    folder = names.local(chosen.folder or runs.default_store(detect().name)).absolute()
    session = replace(request.session, until_s=None, session_s=None, stores=_shared(chosen))
    return LaunchWish(
        id=launch_id(label, facts | {"platform": platform}),
        words=asking.arguments(asking.written(at_place, session)),
        store=folder,
        data=data,
        data_name=data_name(digest) if digest else "",
    )


def _shared(chosen: stores.Chosen) -> tuple[str, ...]:
    """Stores that another machine reaches too."""
    return tuple(one for one in chosen.remotes if "://" in one)


def _local(data: str) -> Path | None:
    """The file or folder of this disk that is meant, if any. Raises CannotLaunch."""
    path = Path(data).expanduser()
    if not path.exists():
        return None
    if path.is_dir() and (inside := sorted(one.name for one in path.iterdir() if one.is_dir())):
        reason = f"--data {data} has folders in it ({inside[0]}), and those are not sent"
        raise CannotLaunch(reason=reason, hint="Put its tables into one folder, or one file.")
    return path.absolute()


def files_of(data: Path) -> tuple[Path, ...]:
    """What is sent of it."""
    if data.is_file():
        return (data,)
    return tuple(sorted(one for one in data.iterdir() if one.is_file() and one.name[0] != "."))


def _digest(data: Path) -> str:
    """SHA-256 over names and contents."""
    whole = hashlib.sha256()
    for path in files_of(data):
        whole.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        for piece in _pieces(path):
            whole.update(piece)
    return whole.hexdigest()


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
