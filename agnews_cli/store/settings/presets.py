"""Presets read from their files and checked, with line numbers.

Here a preset is what its file says, over what it extends; `preset_shapes` puts what it names in its
place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from agnews_cli.core.run.contradictions import contradictions, of_network
from agnews_cli.core.run.method import WordCounts
from agnews_cli.core.run.preset import NAMING, OneModel, Preset, Tier
from agnews_cli.errors import PresetInvalid, PresetOfSeveral
from agnews_cli.store.settings import checked, extended
from agnews_cli.store.settings.changed import with_settings as with_settings
from agnews_cli.store.settings.extended import Layers, Problem
from agnews_cli.store.settings.preset_files import files as files
from agnews_cli.store.settings.preset_files import is_own as is_own
from agnews_cli.store.settings.preset_files import is_path as is_path
from agnews_cli.store.settings.preset_files import locate as locate
from agnews_cli.store.settings.preset_files import names as names
from agnews_cli.store.settings.preset_files import text as text
from agnews_cli.store.settings.strict_yaml import Loc, shown

if TYPE_CHECKING:
    from agnews_cli.core.run.composed import Composed

    AnyWritten = Preset | Composed

_MOST_PROBLEMS = 50
_EXAMPLES = {
    "linear": "linear",
    "baseline": "linear",
    "ensemble": "ensemble-cpu",
    "distilled": "minilm-from-mpnet",
}


# ---- all of one model ---------------------------------------------------------------------------


def load(name_or_path: str, *, action: str = "this") -> Preset:
    """The preset of one model of that name, or in that file. `action`: what it is wanted for.

    Raises PresetUnknown, FileMissing (a path that is not there), PresetOfSeveral, or PresetInvalid,
    which lists every problem of the file with its line.
    """
    found = written(locate(name_or_path), is_named=not is_path(name_or_path)).preset()
    if isinstance(found, Preset):
        return found
    raise PresetOfSeveral(name=found.name, tier=found.tier, action=action)


def load_all() -> tuple[Preset, ...]:
    """Every preset of one model, by tier, then the preferred first; not those for a platform or a
    goal, which name one of these. Raises PresetInvalid for the first bad."""
    every = (written(path, is_named=True).preset() for _, path in sorted(files().items()))
    tiers = get_args(OneModel)
    return tuple(
        sorted(
            (one for one in every if isinstance(one, Preset) and one.tier not in NAMING),
            key=lambda preset: (tiers.index(preset.tier), -preset.order, preset.name),
        )
    )


def extends(name_or_path: str) -> bool:
    """Whether its file leaves to another what it does not say. Raises like `load`."""
    return len(written(locate(name_or_path)).layers.files) > 1


# ---- reading ------------------------------------------------------------------------------------


@dataclass(slots=True)
class Written:
    """What a preset's file says, and what was found wrong in it so far."""

    layers: Layers
    problems: list[Problem]

    @property
    def path(self) -> Path:
        return self.layers.path

    def folder(self, loc: Loc) -> Path:
        """Where a relative path that is said there begins: a preset that is extended may lie
        elsewhere."""
        return self.layers.origin(loc).path.parent

    def preset(self) -> AnyWritten:
        """Raises PresetInvalid with every problem."""
        found = self.at(())
        self.require_none()
        assert found is not None
        return found

    def at(self, loc: Loc) -> AnyWritten | None:
        """What a mapping in it says; problems are noted."""
        data: Any = self.layers.data
        for part in loc:
            data = data[part]
        found, errors = validate(data)
        for inner, why in errors:
            self.note((*loc, *inner), why)
        return None if errors else found

    def note(self, loc: Loc, why: str) -> None:
        self.problems.append(Problem(self.layers.origin(loc), loc, why))

    def require_none(self) -> None:
        """Raises PresetInvalid where there are problems."""
        if not self.problems:
            return
        lines = [problem.words() for problem in sorted(self.problems, key=self._place)]
        if len(lines) > _MOST_PROBLEMS:
            lines[_MOST_PROBLEMS:] = [f"  … and {len(lines) - _MOST_PROBLEMS} more"]
        whole = _EXAMPLES.get(str(self.layers.data.get("tier")), "minilm")
        hint = f"`agnews presets show {whole}` prints a complete one."
        raise PresetInvalid(path=self.path, problems="\n".join(lines), hint=hint)

    def _place(self, problem: Problem) -> tuple[int, int, str]:
        file = self.layers.files.index(problem.origin.path)
        return file, problem.origin.line, ".".join(map(str, problem.loc))


def written(path: Path, *, is_named: bool = False) -> Written:
    """`is_named`: it was asked for by its file's name, which it must bear. Raises PresetInvalid for
    what is no mapping in YAML, and for what it cannot extend."""
    layers = extended.read(path)
    made = Written(layers, list(layers.problems))
    name = layers.data.get("name")
    if is_named and isinstance(name, str) and name != path.stem:
        made.note(("name",), f"should be the file's name, {path.stem!r} (found {shown(name)})")
    return made


def validate(data: Mapping[str, Any]) -> tuple[AnyWritten | None, list[checked.Problem]]:
    """By its tier; those that name presets of any tier, by what they have."""
    tier = data.get("tier")
    for several, part in (("ensemble", "members"), ("distilled", "student")):
        if tier == several or (tier in NAMING and part in data):
            from agnews_cli.core.run import composed

            return checked.validate(composed.OF_TIER[several], data)
    found, errors = checked.validate(Preset, data)
    known = f"should be {checked.either(get_args(Tier))} (found {shown(tier)})"
    unread = [] if found is None else [(loc, _UNREAD) for loc in _unread(found)]
    if found is not None:
        why = of_network(found)
        unread += [] if why is None else [(("network",), why)]
        unread += [(("training", name), why) for name, why in contradictions(found.training)]
    return found, unread + [
        (loc, known if loc == ("tier",) and "tier" in data else why) for loc, why in errors
    ]


_UNREAD = "a linear model does not read it: leave it out"


def _unread(preset: Preset) -> list[Loc]:
    """What is set of a linear model and not read by it."""
    if not isinstance(preset.method, WordCounts):
        return []
    usual = type(preset.training).model_fields
    return [
        ("training", name)
        for name, value in preset.training
        if name != "lr"  # which a file must say of every other model
        and not preset.reads(f"training.{name}")
        and value != usual[name].default
    ]
