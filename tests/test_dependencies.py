"""Everything that is imported is declared, where whoever installs that part gets it."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import source

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "agnews_cli"
NAMES = {"yaml": "pyyaml", "sklearn": "scikit-learn", "pynvml": "nvidia-ml-py"}
NAMES |= {"mlflow": "mlflow-skinny"}  # without its server
NAMES |= {"pydantic_core": "pydantic"}  # which pins it, and documents what is taken from there
# Modules that only the platform itself has, and only where it is asked for them.
# And Click, which Typer itself brought until it carried its own.
GIVEN = {"IPython", "google", "kaggle", "kaggle_secrets", "click"}


def declared() -> dict[str, set[str]]:
    """The distributions of each extra; the base's under an empty name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = {"": project["dependencies"], **project["optional-dependencies"]}
    return {name: {normal(re.split(r"[\s\[<>=;~!]", d)[0]) for d in lists[name]} for name in lists}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imports(tree: ast.AST, *, is_inside: bool = False) -> Iterator[tuple[str, bool, int]]:
    """(module, whether inside a function or under TYPE_CHECKING, line)."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, is_inside, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, is_inside, node.lineno
        is_later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        )
        yield from imports(node, is_inside=is_inside or is_later)


def found() -> Iterator[tuple[str, str, bool, str]]:
    """(distribution, room, whether inside a function, place) of every import from outside."""
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0]
        for module, is_inside, line in imports(source.tree(path)):
            top = module.partition(".")[0]
            if top in sys.stdlib_module_names or top == "agnews_cli":
                continue
            if top in GIVEN:
                assert is_inside, f"{path}:{line}: {top} is not everywhere"
                continue
            yield normal(NAMES.get(top, top)), room, is_inside, f"{path.name}:{line}: {module}"


@pytest.mark.parametrize("is_learn", [True, False], ids=["torch-world", "light-world"])
def test_every_import_is_declared(is_learn: bool) -> None:
    extras = declared()
    missing = []
    for distribution, room, is_inside, place in found():
        if (room == "learn") != is_learn:
            continue
        allowed = set(extras[""])
        if is_learn:
            trackers = ("tensorboard", "mlflow", "wandb")
            inside = ("tpu", "boosters", "export", "openvino", *trackers)
            allowed |= extras["train"].union(*(extras[e] for e in inside if is_inside))
        elif is_inside:  # so that the base install starts without it
            inside = ("train", "stores", "plots", "serve", "app")
            allowed |= set().union(*(extras[e] for e in inside))
        if distribution not in allowed:
            missing.append(place)
    assert missing == []


def test_nothing_of_an_extra_is_imported_where_the_base_install_starts() -> None:
    base = declared()[""]
    early = [p for d, room, inside, p in found() if room != "learn" and not inside]
    kept = [p for d, room, inside, p in found() if room != "learn" and not inside and d in base]
    assert early == kept
