"""A delivery copied whole into another run's folder, so that an ensemble is one folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from agnews_cli.store.disk import files
from agnews_cli.store.model.delivered import Delivered
from agnews_cli.store.run.runs import require_space

_BESIDE = ("delivery.json", "preset.yaml")
"""Of a run's folder, what its members need besides their own."""


def carry(source: Delivered, target: Path) -> None:
    """All that `source` needs to answer, into the folder `target`, which is then a delivery itself.

    What is there already is replaced. Raises NoDiskSpace, CannotWrite or CannotRead.
    """
    found = dict(paths(source))
    require_space(target, sum(path.stat().st_size for path in found.values()))
    shutil.rmtree(target, ignore_errors=True)
    for name, path in found.items():
        copy(path, target / name)


def copy(path: Path, target: Path) -> None:
    """One file, in the place of what is there. Raises CannotWrite, NoDiskSpace or CannotRead."""
    files.make_folder(target.parent)
    files.remove(target)
    files.write_new(target, _pieces(path))


def paths(source: Delivered) -> Iterator[tuple[str, Path]]:
    """Each file that it needs to answer, by its name within the delivery."""
    folders = [Path(member.folder) for member in source.members]
    folders += [source.combiner] if source.combiner is not None else []
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(source.folder).as_posix(), path
    for name in _BESIDE:
        if (source.folder / name).is_file():
            yield name, source.folder / name
    for part in source.parts:
        for name, path in paths(part):
            yield f"{part.folder.relative_to(source.folder).as_posix()}/{name}", path


def _pieces(path: Path) -> Iterator[bytes]:
    with files.plain(path) as file:
        while piece := file.read(1 << 22):
            yield piece
