"""A preset that extends another (`extends: NAME`) says what is different of it, and no more.

Groups are laid over each other field by field; a list or a value takes the other's place, and so
does a group that is something else (another `kind`, or a model of another `id`): what was said of
the one means nothing for the other. Of every value it stays known which file says it, and where.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agnews_cli.errors import FileMissing, PresetInvalid, PresetUnknown
from agnews_cli.store.settings import preset_files, strict_yaml
from agnews_cli.store.settings.strict_yaml import Loc, shown

EXTENDS = "extends"
MOST_ABOVE = 8
"""So many presets may extend each other in one chain."""
_WHAT_IT_IS = ("kind", "id")
_EXPECTED = {"measured", "published"}
_WORDS = {"name", EXTENDS, "tier", "summary", "order", *_EXPECTED}
"""What decides no result: a preset that says no more is the one that it extends."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value is said."""

    path: Path
    line: int


@dataclass(frozen=True, slots=True)
class Problem:
    origin: Origin
    loc: Loc
    reason: str

    def words(self) -> str:
        """`  FILE:LINE: field: what is wrong`"""
        where = ".".join(map(str, self.loc))
        line = f"{self.origin.path}:{self.origin.line}"
        return f"  {line}: {where + ': ' if where else ''}{self.reason}"


@dataclass(slots=True)
class Layers:
    """What a file says, over all that it extends.

    `files`: itself, what it extends, and so on.
    """

    path: Path
    data: dict[str, Any]
    origins: dict[Loc, Origin]
    problems: list[Problem] = field(default_factory=list)
    files: tuple[Path, ...] = ()

    def origin(self, loc: Loc) -> Origin:
        """Of the value, or of the nearest thing around it where it is missing."""
        while loc not in self.origins:
            loc = loc[:-1]
        return self.origins[loc]


def read(path: Path) -> Layers:
    """Raises PresetInvalid for what is no mapping in YAML, and for a preset to extend that is not
    there, leads back to itself or lies too deep."""
    return _read(path, ())


def _read(path: Path, above: tuple[Path, ...]) -> Layers:
    document = strict_yaml.mapping(path, PresetInvalid)
    origins = {loc: Origin(path, line) for loc, line in document.lines.items()}
    problems = [Problem(Origin(path, line), loc, reason) for line, loc, reason in document.problems]
    own = Layers(path, document.data, origins, problems, (path,))
    if EXTENDS not in own.data:
        return own
    return _over(own, _read(_parent(own, above), (*above, path.resolve())))


def _parent(own: Layers, above: tuple[Path, ...]) -> Path:
    """The file of the preset that it extends. Raises PresetInvalid."""
    name = own.data[EXTENDS]
    if not isinstance(name, str) or not name:
        raise _refused(own, f"should be a preset's name or file (found {shown(name)})")
    try:
        path = preset_files.locate(name, beside=own.path.parent)
    except PresetUnknown as error:
        raise _refused(own, f"there is no preset {name!r}{error.facts['near']}") from error
    except FileMissing as error:
        raise _refused(own, f"there is no file {name!r} beside this one") from error
    chain = (*above, own.path.resolve())
    if path.resolve() in chain:
        again = chain[chain.index(path.resolve()) :]
        way = " → ".join([*(each.stem for each in again), path.stem])
        raise _refused(own, f"leads back to itself: {way}")
    if len(chain) > MOST_ABOVE:
        raise _refused(own, f"more than {MOST_ABOVE} presets extend each other")
    return path


def _refused(own: Layers, reason: str) -> PresetInvalid:
    problem = Problem(own.origin((EXTENDS,)), (EXTENDS,), reason)
    lines = [each.words() for each in (*own.problems, problem)]
    return PresetInvalid(path=own.path, problems="\n".join(lines))


def _over(own: Layers, under: Layers) -> Layers:
    replaced: set[Loc] = set()
    dropped = {"name", EXTENDS} | (set() if own.data.keys() <= _WORDS else _EXPECTED)
    below = {name: value for name, value in under.data.items() if name not in dropped}
    above = {name: value for name, value in own.data.items() if name != EXTENDS}
    data = _merged(below, above, (), replaced)
    origins = {
        loc: origin
        for loc, origin in under.origins.items()
        if not any(loc[:depth] in replaced for depth in range(1, len(loc) + 1))
        and loc[:1] not in {(name,) for name in dropped}
    }
    problems = [*own.problems, *under.problems]
    return Layers(own.path, data, origins | own.origins, problems, (*own.files, *under.files))


def _merged(
    below: dict[str, Any], above: dict[str, Any], loc: Loc, replaced: set[Loc]
) -> dict[str, Any]:
    """`replaced`: gets the places where nothing of `below` is left."""
    found = dict(below)
    for name, value in above.items():
        place, there = (*loc, name), below.get(name)
        if isinstance(there, dict) and isinstance(value, dict) and not _is_another(there, value):
            found[name] = _merged(there, value, place, replaced)
        else:
            found[name] = value
            replaced.add(place)
    return found


def _is_another(below: dict[str, Any], above: dict[str, Any]) -> bool:
    return any(key in above and above[key] != below.get(key) for key in _WHAT_IT_IS)
