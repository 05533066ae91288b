"""Every place that makes an error gives it the facts of its message and hint, and no others.

An error's message is its class's docstring: a fact that is missing there would be a traceback in
place of the error, and only where that error is met.
"""

from __future__ import annotations

import ast
import inspect
import shlex
import string
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import agnews_cli
from agnews_cli import errors
from tests import source

_SOURCE = Path(agnews_cli.__file__).parent
_ERRORS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.AgnewsError)
}
_FILES = sorted(_SOURCE.rglob("*.py"))


def _named(template: str) -> set[str]:
    """Facts that a template names."""
    found = (field for _, field, _, _ in string.Formatter().parse(template) if field)
    return {field.partition(".")[0].partition("[")[0] for field in found}


@dataclass(frozen=True)
class _Facts:
    """What one call gives."""

    always: frozenset[str]
    sometimes: frozenset[str] = frozenset()
    copies: bool = False
    """All facts of another error are among them."""

    def __or__(self, other: _Facts) -> _Facts:
        return _Facts(
            self.always | other.always,
            self.sometimes | other.sometimes,
            self.copies or other.copies,
        )


class _Unreadable(Exception):
    """This test cannot tell which facts are given."""


def _values(name: str, function: ast.AST) -> list[ast.expr]:
    """What a name of this function may stand for."""
    found: list[ast.expr] = []
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == name for target in node.targets
        ):
            found.append(node.value)
        if isinstance(node, ast.AnnAssign) and node.value and ast.unparse(node.target) == name:
            found.append(node.value)
    return found


def _kinds(called: ast.expr, function: ast.AST) -> set[str]:
    """Errors that this may be a call of."""
    if isinstance(called, ast.IfExp):
        return _kinds(called.body, function) | _kinds(called.orelse, function)
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    if name in _ERRORS:
        return {name}
    if not isinstance(called, ast.Name):
        return set()
    values = [v for v in _values(name, function) if isinstance(v, ast.Name | ast.IfExp)]
    return {kind for value in values for kind in _kinds(value, function)}


def _spread(given: ast.expr, function: ast.AST) -> _Facts:
    """The facts in what stands after `**`."""
    if isinstance(given, ast.Attribute) and given.attr == "facts":
        return _Facts(frozenset(), copies=True)
    if isinstance(given, ast.IfExp):
        both = _spread(given.body, function), _spread(given.orelse, function)
        always = both[0].always & both[1].always
        return _Facts(always, both[0].always | both[1].always)
    if isinstance(given, ast.Name) and (values := _values(given.id, function)):
        return _spread(values[-1], function)
    if not isinstance(given, ast.Dict):
        raise _Unreadable(ast.unparse(given))
    found = _Facts(frozenset())
    for key, value in zip(given.keys, given.values, strict=True):
        one = _Facts(frozenset({ast.literal_eval(key)})) if key else _spread(value, function)
        found |= one
    return found


def _given(call: ast.Call, function: ast.AST) -> _Facts:
    found = _Facts(frozenset())
    for each in call.keywords:
        one = _Facts(frozenset({each.arg})) if each.arg else _spread(each.value, function)
        found |= one
    return found


def _calls(tree: ast.Module) -> Iterator[tuple[ast.Call, ast.AST]]:
    """Every call, with the outermost function that it is in."""
    for top in tree.body:
        parts = top.body if isinstance(top, ast.ClassDef) else [top]
        for part in parts:
            yield from ((node, part) for node in ast.walk(part) if isinstance(node, ast.Call))


def _read_elsewhere() -> set[str]:
    """Facts that code asks an error for: these a message need not name."""
    found = set()
    for path in _FILES:
        for node in ast.walk(source.tree(path)):
            if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith(".facts"):
                found.add(ast.literal_eval(node.slice))
    return found


def _faults(path: Path, tree: ast.Module, *, read: set[str]) -> list[str]:
    faults = []
    for call, function in _calls(tree):
        for name in sorted(_kinds(call.func, function)):
            kind = _ERRORS[name]
            if kind.__init__ is not errors.AgnewsError.__init__:
                continue  # its parameters are its facts, and mypy looks at them
            place = f"{path.name}:{call.lineno}: {name}"
            try:
                given = _given(call, function)
            except _Unreadable as what:
                faults.append(f"{place}: which facts are in {what}?")
                continue
            if call.args:
                faults.append(f"{place}: facts are given by name")
            words = _named(inspect.cleandoc(kind.__doc__ or ""))
            advice = set() if "hint" in given.always else _named(kind.hint)
            if (missing := (words | advice) - given.always) and not given.copies:
                faults.append(f"{place}: without {', '.join(sorted(missing))}")
            known = words | _named(kind.hint) | {"hint"} | read
            if unsaid := (given.always | given.sometimes) - known:
                faults.append(f"{place}: {', '.join(sorted(unsaid))} is said nowhere")
    return faults


def test_every_error_is_made_with_the_facts_of_its_message():
    read = _read_elsewhere()
    faults = [each for p in _FILES for each in _faults(p, source.tree(p), read=read)]
    assert faults == []


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("FileMissing()", "without path"),
        ("FileMissing(path=1, line=2)", "line is said nowhere"),
        ("FileMissing(path=1, hint='go')", ""),
        ("errors.CannotRead(path=1)", "without reason"),
        ("CannotRead(**facts)", "which facts are in facts?"),
        ("CannotRead(**error.facts)", ""),
        ("CannotRead(path=1, **({'reason': 2} if path else {}))", "without reason"),
        ("FileMissing('x.csv', path=1)", "facts are given by name"),
        ("kind(path=1)", "without reason"),
    ],
)
def test_the_walk_sees(code: str, fault: str):
    text = f"def f():\n    kind = FileMissing if x else CannotRead\n    raise {code}\n"
    found = _faults(Path("x.py"), ast.parse(text), read=set())
    assert [each.partition(": ")[2].partition(": ")[2] for each in found] == [fault] * bool(fault)


def test_every_error_is_made_somewhere():
    text = " ".join(p.read_text("utf-8") for p in _FILES if p.parent.name != "errors")
    bases = {base.__name__ for kind in _ERRORS.values() for base in kind.__mro__[1:]}
    assert [name for name in _ERRORS if name not in text and name not in bases] == []


_PATHS = {"path", "folder", "store", "given", "first"}
"""Facts that are what people named: in a command each is one word of a shell."""


def test_a_command_that_a_hint_names_can_be_pasted_whatever_a_path_holds():
    bare = [
        f"{name}: {{{fact}}}"
        for name, kind in _ERRORS.items()
        for fact in sorted(_named(kind.hint) & _PATHS)
        if f"{{{fact}!q}}" not in kind.hint
    ]
    assert bare == []
    odd = "it's here/a b.csv"
    advice = errors.DataChanged(path=odd, now="1", before="2").advice
    assert shlex.split(advice.partition("agnews ")[2])[-1] == odd
