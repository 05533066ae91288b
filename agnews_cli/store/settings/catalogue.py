"""The catalogue on disk: one file a family, ours and the user's, read and checked with lines.

The user's `<home>/presets/catalogue/NAME.yaml` replaces ours of that name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
    return _of(_files())


def around(hub_ids: Collection[str]) -> Catalogue:
    """The families of these models alone: most commands need one of them, and reading all takes a
    fifth of their time. The whole catalogue where it lacks a model: another stands in for that.

    Raises CatalogueInvalid.
    """
    wanted = {each.casefold() for each in hub_ids}
    found = _of({name: path for name, path in _files().items() if _names_one_of(wanted, path)})
    return found if all(found.by_id(each) is not None for each in hub_ids) else load()


def _names_one_of(ids: Collection[str], path: Path) -> bool:
    try:
        text = strict_yaml.content(path).casefold()
    except (Refused, OSError):
        return True  # whoever reads it says what is wrong
    return any(each in text for each in ids)


def _of(files: Mapping[str, Path]) -> Catalogue:
    families: dict[str, Family] = {}
    owners: dict[str, Path] = {}
    for name, path in files.items():
        family = families[name] = read(path)
        for model in family.models:
            if model in owners:
                problem = f"  {path}:1: models.{model} is in {owners[model]} too"
                raise CatalogueInvalid(path=path, problems=problem)
            owners[model] = path
    return Catalogue.of(families)


def read(path: Path) -> Family:
    """One family. Raises CatalogueInvalid."""
    document = strict_yaml.mapping(path, CatalogueInvalid)
    problems = list(document.problems)
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
