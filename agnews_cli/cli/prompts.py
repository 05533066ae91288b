"""Asks one question on a real terminal, with questionary.

Each question is drawn below the last and erased once it is answered, so that going back leaves
nothing behind. Everywhere: Esc, and `q` among choices, quit; `b` or the left arrow among choices,
and the up arrow while typing, go back; Ctrl-C interrupts, as in every command.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

from agnews_cli.cli import screens
from agnews_cli.cli.sink import Sink, is_tty
from agnews_cli.errors import Interrupted
from agnews_cli.workflows.wizard.questions import AnswerChoice, Question

if TYPE_CHECKING:
    from questionary import Question as Prompt


class Move(Enum):
    """What is not an answer."""

    BACK = "back"
    QUIT = "quit"


_WHY: dict[Sink, str] = {
    "plain": "standard output is no terminal that can be drawn on",
    "notebook": "this is a notebook, or a terminal without a size",
}


def why_not(sink: Sink) -> str | None:
    """Why nobody can answer here; None on a real terminal. `sink` is that of standard output."""
    if sink != "terminal":
        return _WHY[sink]
    return None if is_tty(sys.stdin) else "standard input is no terminal"


def ask(question: Question, *, so_far: str, is_first: bool) -> str | Move:
    """The answer, one that the question takes. Raises Interrupted.

    `so_far`: the answers before this one, on a line of its own.
    """
    above = f"{screens.one_line(so_far, _width() - 1)}\n" if so_far else ""
    prompt = _select if question.choices else _type
    made = prompt(question, above, is_first=is_first)
    made.application.erase_when_done = True
    made.application.ttimeoutlen = 0.05  # Esc is a key of its own here
    try:
        answer: str | Move = made.unsafe_ask()
    except (KeyboardInterrupt, EOFError):  # EOFError: the terminal is gone
        raise Interrupted(kept="nothing was begun and nothing was saved", next="") from None
    return answer


def _select(question: Question, above: str, *, is_first: bool) -> Prompt:
    import questionary
    from rich.cells import cell_len

    width = _width() - 4
    longest = max(cell_len(screens.one_line(choice.title)) for choice in question.choices)
    titles = min(max(width // 2, 16), longest)
    choices = [
        # Not a disabled choice: questionary draws those two columns to the right.
        questionary.Separator(_line(choice, titles, width))
        if choice.obstacle
        else questionary.Choice(_line(choice, titles, width), choice.value)
        for choice in question.choices
    ]
    choices.append(questionary.Separator(" "))
    moves = [Move.QUIT] if is_first else [Move.BACK, Move.QUIT]
    choices += [questionary.Choice(move.value.capitalize(), move) for move in moves]
    open_ = [c.value for c in choices if not isinstance(c, questionary.Separator)]
    made = questionary.select(
        question.text,
        choices,
        default=question.default if question.default in open_ else open_[0],
        qmark=f"{above}?",
        pointer=">",
        style=questionary.Style([("selected", "noreverse")]),  # one mark is enough
        instruction=_keys(question, "arrows and Enter", "b back", "q quit", is_first=is_first),
    )
    back = () if is_first else ("b", "left", "backspace")
    return _with_keys(made, back=back, quit_=("q", "escape"))


def _type(question: Question, above: str, *, is_first: bool) -> Prompt:
    import questionary
    from prompt_toolkit.completion import PathCompleter

    def validate(text: str) -> bool | str:
        return question.problem(text) or True

    made = questionary.text(
        question.text,
        default=question.default,
        validate=validate,
        qmark=f"{above}?",
        instruction=_keys(question, "up arrow back", "Esc quit", is_first=is_first) + "\n  >",
        validate_while_typing=False,
        completer=PathCompleter(expanduser=True) if question.is_path else None,
        complete_while_typing=False,
    )
    return _with_keys(made, back=("up",), quit_=("escape",))


def _keys(question: Question, *keys: str, is_first: bool) -> str:
    """What the keys do, beside the question or below it, and then the question's hint."""
    usable = "; ".join(key for key in keys if not (is_first and key.endswith("back")))
    fits = len(question.text) + len(usable) + 6 < _width()
    hint = f"\n  {screens.clean(question.hint)}" if question.hint else ""
    return f"({usable}){hint}" if fits else f"\n  {usable}{hint}"


def _line(choice: AnswerChoice, titles: int, width: int) -> str:
    from rich.cells import set_cell_size

    title = set_cell_size(screens.one_line(choice.title, titles), titles)
    beside = f"no: {choice.obstacle}" if choice.obstacle else choice.note
    beside = screens.one_line(beside, max(0, width - titles - 3))
    return f"{title}   {beside}".rstrip()


def _width() -> int:
    from prompt_toolkit.output import create_output

    return create_output().get_size().columns


def _with_keys(prompt: Prompt, *, back: Sequence[str], quit_: Sequence[str]) -> Prompt:
    from prompt_toolkit.filters import has_completions
    from prompt_toolkit.key_binding import KeyBindings, merge_key_bindings

    keys = KeyBindings()

    def leave(move: Move) -> Any:
        return lambda event: event.app.exit(result=move)

    for key in back:
        keys.add(key, eager=True, filter=~has_completions)(leave(Move.BACK))
    for key in quit_:
        keys.add(key, eager=True)(leave(Move.QUIT))

    @keys.add("<sigint>")
    def _(event: Any) -> None:
        event.app.exit(exception=KeyboardInterrupt)

    held = prompt.application.key_bindings
    prompt.application.key_bindings = merge_key_bindings([held, keys] if held else [keys])
    return prompt
