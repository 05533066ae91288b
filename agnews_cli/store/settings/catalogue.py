"""The catalogue on disk: one file a family, ours and the user's, read and checked with lines.

The user's `<home>/presets/catalogue/NAME.yaml` replaces ours of that name.
"""

from __future__ import annotations

from pathlib import Path

from agnews_cli.core.run.catalogue import Catalogue, Family
from agnews_cli.errors import CatalogueInvalid
from agnews_cli.store.disk.home import preset_folders
from agnews_cli.store.settings import checked, strict_yaml
from agnews_cli.store.settings.strict_yaml import Refused, shown

FOLDER = "catalogue"
_MOST_PROBLEMS = 50


def load() -> Catalogue:
    """Raises CatalogueInvalid, which lists every problem of the first bad file with its line."""
    families: dict[str, Family] = {}
    owners: dict[str, Path] = {}
    for name, path in _files().items():
        family = families[name] = read(path)
        for model in family.models:
            if model in owners:
                problem = f"  {path}:1: models.{model} is in {owners[model]} too"
                raise CatalogueInvalid(path=path, problems=problem)
            owners[model] = path
    return Catalogue.of(families)


def read(path: Path) -> Family:
    """One family. Raises CatalogueInvalid."""
    try:
        document = strict_yaml.read(path)
    except Refused as error:
        problem = f"  {path}:{error.line}: {error.reason}"
        raise CatalogueInvalid(path=path, problems=problem) from error
    except OSError as error:
        problem = f"  {path}:1: cannot be read: {error.strerror or error}"
        raise CatalogueInvalid(path=path, problems=problem) from error
    problems = list(document.problems)
    if not isinstance(document.data, dict):
        problem = f"  {path}:1: should be fields and values (found {shown(document.data)})"
        raise CatalogueInvalid(path=path, problems=problem)
    family, wrong = checked.validate(Family, document.data)
    problems += [(document.line(loc), loc, why) for loc, why in wrong]
    name = document.data.get("family")
    if family is not None and name != path.stem:
        why = f"should be the file's name, {path.stem!r} (found {shown(name)})"
        problems.append((document.line(("family",)), ("family",), why))
    if family is None or problems:
        lines = [f"  {path}:{n}: {'.'.join(map(str, loc))}: {why}" for n, loc, why in problems]
        raise CatalogueInvalid(path=path, problems="\n".join(sorted(lines)[:_MOST_PROBLEMS]))
    return family


def _files() -> dict[str, Path]:
    """By family, the user's last."""
    return {
        path.stem: path
        for folder in preset_folders()
        if (folder / FOLDER).is_dir()
        for path in sorted((folder / FOLDER).iterdir())
        if path.suffix == ".yaml"
    }
