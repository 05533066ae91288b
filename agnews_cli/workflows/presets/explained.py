"""What each field of a preset does, where its value comes from, and why it is as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel

from agnews_cli.core.graph.asked import expected
from agnews_cli.core.run.preset import Preset
from agnews_cli.store.settings import preset_files, preset_shapes, presets
from agnews_cli.store.settings.comments import Comments
from agnews_cli.store.settings.extended import Layers
from agnews_cli.store.settings.strict_yaml import Loc

if TYPE_CHECKING:
    from agnews_cli.store.settings.presets import AnyWritten

_PLAIN = {
    "name": "What it is called: its file's name.",
    "tier": "What kind of thing it trains.",
    "method.kind": "How the weights are trained.",
}


@dataclass(frozen=True, slots=True)
class ExplainedField:
    """`said`: by the preset's own file, by one that it extends, or by none: as usual.

    `where`: file and line; `why`: the comment there.
    """

    field: str
    value: Any
    said: Literal["own", "extended", "usual"]
    where: str
    meaning: str
    why: str


@dataclass(frozen=True, slots=True)
class ExplainedPreset:
    """`extends`: the files that it extends, the nearest first; `about`: the comment that begins its
    own file; `expected`: accuracies, each with who measured or published it."""

    name: str
    tier: str
    summary: str
    about: str
    extends: tuple[str, ...]
    expected: tuple[str, ...]
    fields: tuple[ExplainedField, ...]

    def as_json(self) -> dict[str, Any]:
        """What `agnews presets explain --json` prints."""
        return asdict(self)


def explain(name: str) -> ExplainedPreset:
    """Raises PresetUnknown, FileMissing or PresetInvalid."""
    shape = preset_shapes.load(name)
    file = presets.written(presets.locate(name))
    layers, found = file.layers, file.preset()
    look = _Look(layers, {path: Comments.of(_text(path)) for path in layers.files})
    return ExplainedPreset(
        name=found.name,
        tier=found.tier,
        summary=found.summary,
        about=look.comments[layers.path].head,
        extends=tuple(map(str, layers.files[1:])),
        expected=tuple(one.words for one in expected(shape)),
        fields=tuple(look.fields(found, (), partial(_is_read, found))),
    )


def _text(path: Path) -> str:
    return preset_files.text(str(path.absolute()))


def _is_read(preset: AnyWritten, field: str) -> bool:
    return not isinstance(preset, Preset) or preset.reads(field)


@dataclass(frozen=True, slots=True)
class _Look:
    layers: Layers
    comments: dict[Path, Comments] = field(default_factory=dict)

    def fields(self, of: BaseModel, loc: Loc, is_read: Any) -> Iterator[ExplainedField]:
        """Each plain value, in the order of the file's groups."""
        for name, info in type(of).model_fields.items():
            place, value = (*loc, name), getattr(of, name)
            dotted = ".".join(map(str, place))
            if name in ("measured", "published") or not is_read(dotted):
                continue
            if isinstance(value, BaseModel):
                yield from self.fields(value, place, is_read)
            elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
                for number, one in enumerate(value):
                    yield from self.fields(one, (*place, number), is_read)
            else:
                yield self.one(place, value, info.description or _PLAIN.get(dotted, ""))

    def one(self, loc: Loc, value: Any, meaning: str) -> ExplainedField:
        name, origin = ".".join(map(str, loc)), self.layers.origins.get(loc)
        if origin is None:
            return ExplainedField(name, value, "usual", "", meaning, "")
        why = self.comments[origin.path].why(origin.line)
        said: Literal["own", "extended"] = "own" if origin.path == self.layers.path else "extended"
        where = f"{origin.path}:{origin.line}"
        return ExplainedField(name, value, said, where, meaning, why)
