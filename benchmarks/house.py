"""How big the house is: files, functions, and names that stand for two things.

Usage: python benchmarks/house.py
"""

from __future__ import annotations

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path
from statistics import median

SOURCE = Path(__file__).parents[1] / "agnews_cli"
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def files() -> dict[str, int]:
    """Lines of each file of the package, the longest first."""
    found = {
        str(path.relative_to(SOURCE)): len(path.read_text("utf-8").splitlines())
        for path in SOURCE.rglob("*.py")
    }
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


@cache
def _definitions() -> tuple[tuple[str, Definition], ...]:
    """Every function and class, with its file."""
    return tuple(
        (str(path.relative_to(SOURCE)), node)
        for path in sorted(SOURCE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, Definition)
    )


def functions() -> dict[str, int]:
    """Lines of each function, its decorators and docstring left out; the longest first."""
    found = {}
    for file, node in _definitions():
        if not isinstance(node, ast.ClassDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            first = body[0].lineno if body else node.lineno
            found[f"{file}:{node.lineno} {node.name}"] = 1 + (node.end_lineno or first) - first
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


def namesakes() -> dict[str, list[str]]:
    """Public names of classes that occur twice, with the files that have them."""
    found = defaultdict(list)
    for file, node in _definitions():
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found[node.name].append(file)
    return {name: places for name, places in sorted(found.items()) if len(places) > 1}


def main() -> None:
    lengths, bodies = files(), functions()
    whole, middle = sum(lengths.values()), median(lengths.values())
    print(f"{len(lengths)} files of {whole:,} lines; median {middle}")
    print(f"{len(bodies):,} functions; median body {median(bodies.values())} lines")
    for title, found in (("longest files", lengths), ("longest functions", bodies)):
        print(f"\n{title}")
        for name, lines in list(found.items())[:12]:
            print(f"{lines:6} {name}")
    print("\nclass names that occur twice:", namesakes() or "none")


if __name__ == "__main__":
    main()
