"""`presets/limits.yaml`: how far recipes and ensembles may go, as users changed it."""

from __future__ import annotations

from agnews_cli.core.run.model_limits import ModelLimits
from agnews_cli.store.disk.home import preset_folders
from agnews_cli.store.settings import layered
from agnews_cli.store.settings.preset_files import LIMITS


def load() -> ModelLimits:
    """Raises LimitsInvalid, which lists every problem with its file and line."""
    layers = (folder / f"{LIMITS}.yaml" for folder in preset_folders())
    return layered.read([path for path in layers if path.is_file()], ModelLimits)
