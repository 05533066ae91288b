"""What weights a preset means, for the ids of runs."""

from __future__ import annotations

from agnews_cli.core.run.preset import Preset
from agnews_cli.store.disk import names


def weights_of(preset: Preset) -> str | None:
    """A folder's model is named by what is in it, wherever it lies; None: others, by their id."""
    if not preset.method.needs_weights:
        return None
    folder = names.local(preset.model.id)
    if not (folder / "config.json").is_file():
        return None
    from agnews_cli.store.model import models  # `plan` alone needs little else

    return models.contents(folder)
