"""What weights a preset means, for the ids of runs."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from agnews_cli.core.graph.asked import AnyPreset, Single, mapped
from agnews_cli.core.run.preset import Preset
from agnews_cli.store.disk import names


def weights_of(preset: Preset) -> str | None:
    """A folder's model is named by what is in it, wherever it lies; None: others, by their id."""
    folder = names.local(preset.model.id)
    if not preset.method.needs_weights or not (folder / "config.json").is_file():
        return None
    from agnews_cli.store.model import models  # `plan` alone needs little else

    return models.contents(folder)


def weighed(shape: AnyPreset) -> AnyPreset:
    """With the weights of every model; a folder by its whole path, for the next command may be
    typed elsewhere. Each folder is read once."""

    @cache
    def of(preset_text: str) -> tuple[Preset, str | None]:
        preset = Preset.model_validate_json(preset_text)
        found = weights_of(preset)
        if found is None:
            return preset, None
        folder = str(names.local(preset.model.id).absolute())
        model = preset.model.model_copy(update={"id": folder})
        return preset.model_copy(update={"model": model}), found

    def with_weights(one: Single) -> Single:
        preset, weights = of(one.preset.model_dump_json())
        return replace(one, preset=preset, weights=weights)

    return mapped(shape, with_weights)
