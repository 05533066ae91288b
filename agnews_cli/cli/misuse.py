"""What Typer says of a command line that it cannot read, in our words: what was found, what was
expected, the nearest name, and a command that works when pasted.

Typer's errors are known by their names: before 0.26 they were Click's, now they are its own.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Sequence
from typing import Any

from agnews_cli.errors import MissingWord, OptionUnknown, UsageError, ValueWrong, WordUnexpected

_QUOTED = re.compile(r"'([^']*)'")
_BOUNDS = (
    (re.compile(r"greater than or equal to (\S+?)\.?$|x>=(\S+?)\.?$"), "or more"),
    (re.compile(r"less than or equal to (\S+?)\.?$|x<=(\S+?)\.?$"), "or less"),
)
"""As pydantic and as Click say it."""
_NEAR = 0.72


def is_misuse(error: BaseException) -> bool:
    """Whether Typer refused the command line."""
    return any(kind.__name__ == "ClickException" for kind in type(error).__mro__)


def wants_help(error: BaseException) -> str | None:
    """The help to show, where a group of commands was called without one."""
    context = getattr(error, "ctx", None)
    is_bare = type(error).__name__ == "NoArgsIsHelpError" or (
        getattr(error, "message", "") == "Missing command."
    )
    return str(context.get_help()) if is_bare and context is not None else None


def in_our_words(error: Any, arguments: Sequence[str]) -> UsageError:
    """The error to show for what Typer raised. `arguments`: what was typed after `agnews`."""
    context = getattr(error, "ctx", None)
    path = _path(context, arguments)
    kind = type(error).__name__
    if kind == "NoSuchOption":
        return _unknown_option(error.option_name, context, path, arguments)
    if kind == "MissingParameter" and error.param is not None:
        name = _name(error.param)
        return MissingWord(
            command=path, name=name, about=_about(error.param), hint=_help(context, path)
        )
    if kind == "BadOptionUsage":
        option = str(error.option_name)
        needs = "takes no value" if "not take" in error.message else "needs a value after it"
        return UsageError(message=f"{option} {needs}.", hint=_help(context, path))
    if kind == "BadParameter" and error.param is not None:
        return _wrong_value(error, context, path, arguments)
    extra = re.search(r"unexpected extra argument.*? \(([^()]*)\)$", error.format_message())
    if extra is not None:
        return WordUnexpected(command=path, words=extra[1], hint=_help(context, path))
    return UsageError(message=error.format_message(), hint=_help(context, path))


def _path(context: Any, arguments: Sequence[str]) -> str:
    if context is not None:
        return str(context.command_path)
    return " ".join(["agnews", *(word for word in arguments[:1] if word[:1] != "-")])


def _unknown_option(
    option: str, context: Any, path: str, arguments: Sequence[str]
) -> OptionUnknown:
    params = {name: p for p in context.command.get_params(context) for name in p.opts}
    known = list(params)
    near = difflib.get_close_matches(option, known, n=1, cutoff=_NEAR)
    if not near and option.startswith("--"):  # --lab for --label-column
        near = [name for name in known if name.startswith(option)][:1]
    hint, said = _help(context, path), ""
    if near:
        said = f" (did you mean {near[0]}?)"
        is_whole = arguments[-1] != option or getattr(params[near[0]], "is_flag", False)
        if is_whole:  # else its value is missing too, which nobody but the user knows
            fixed = (_replaced(word, option, near[0]) for word in arguments)
            hint = f"Try: {shlex.join(('agnews', *fixed))}"
    elif path == "agnews":
        hint = f"A command comes first, such as: {shlex.join(('agnews', 'auto', *arguments))}"
    return OptionUnknown(command=path, option=option, near=said, hint=hint)


def _replaced(word: str, wrong: str, right: str) -> str:
    name, equals, value = word.partition("=")
    return f"{right}{equals}{value}" if name == wrong else word


def _wrong_value(error: Any, context: Any, path: str, arguments: Sequence[str]) -> ValueWrong:
    name, message = _name(error.param), str(error.message)
    said, is_choice, listed = message.partition(" is not one of ")
    choices = _QUOTED.findall(listed)
    given = _given(error, said if is_choice else message, arguments)
    near = difflib.get_close_matches(str(given), choices, n=1, cutoff=0.5)
    right = near[0] if near else None
    hint = _help(context, path)
    if right is not None and given in arguments:
        fixed = (right if word == given else word for word in arguments)
        hint = f"Try: {shlex.join(('agnews', *fixed))}"
    return ValueWrong(
        name=name,
        given="" if given is None else f" {given!r}",
        expected=_expected(message, choices),
        hint=hint,
    )


def _given(error: Any, message: str, arguments: Sequence[str]) -> str | None:
    """What was typed as the value; None where that is not known."""
    for word, after in zip(arguments, [*arguments[1:], ""], strict=True):
        option, equals, value = word.partition("=")
        if option in error.param.opts:
            return value if equals else after
    cause = getattr(error.__cause__, "errors", None)
    if cause is not None:
        return str(cause()[0].get("input"))
    quoted = _QUOTED.search(message)
    return quoted[1] if quoted else None


def _expected(message: str, choices: Sequence[str]) -> str:
    if choices:
        return "one of " + ", ".join(choices)
    for pattern, way in _BOUNDS:
        found = pattern.search(message)
        if found is not None:
            return f"{found[1] or found[2]} {way}"
    if "integer" in message or " int" in message:
        return "a whole number"
    if "number" in message or "float" in message:
        return "a number"
    return message.removeprefix("Value error, ").rstrip(".")


def _name(param: Any) -> str:
    is_word = param.param_type_name == "argument"
    return str(param.name).upper() if is_word else str(max(param.opts, key=len))


def _about(param: Any) -> str:
    said = str(getattr(param, "help", None) or "").rstrip(".")
    return f": {said}" if said else ""


def _help(context: Any, path: str) -> str:
    """A line that works when pasted: the command's first example, and where all is told."""
    command = getattr(context, "command", None)
    examples = getattr(getattr(command, "callback", None), "examples", ())
    shown = f"Such as: {examples[0][0]}\n" if examples else ""
    return f"{shown}All of it: {path} --help"
