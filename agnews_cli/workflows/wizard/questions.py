"""`agnews wizard`: which question comes next, and the Request that the answers make.

All pure: a question is a function of the surroundings and of the answers so far, or None where it
need not be asked. The next question is the first one without an answer; going back drops the last
answer. Asking is `cli.prompts`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from agnews_cli.core.graph.asked import AnyPreset, singles
from agnews_cli.core.machine import accelerator
from agnews_cli.core.run.choose import Choice as Fit
from agnews_cli.core.run.choose import choose
from agnews_cli.core.run.cost import Cost, Pace, like_news, training
from agnews_cli.core.run.dataset import Dataset
from agnews_cli.core.run.preset import Preset
from agnews_cli.core.run.request import Goal, SessionOptions, Wish
from agnews_cli.core.text import duration
from agnews_cli.errors import UsageError
from agnews_cli.store.disk import names
from agnews_cli.store.settings import requests
from agnews_cli.workflows.elsewhere import notebook
from agnews_cli.workflows.train import replay
from agnews_cli.workflows.train.scene import Request
from agnews_cli.workflows.wizard import several
from agnews_cli.workflows.wizard.surroundings import (
    HERE,
    DataLook,
    DataPlace,
    Machine,
    Surroundings,
)

LEAST_BUDGET_S = 30.0
BEGIN, SAVE = "begin", "save"
_NONE = ""
_OTHER, _SESSIONS = "…", "… sessions"  # no file is called so
_BUDGETS = ("5m", "15m", "45m", "2h")
_ABOUT = {"data_path": "data", "budget": "time", "store_path": "store"}
_PATIENCE_S = 45 * 60.0
"""Where training may take longer, a limit is proposed."""


@dataclass(frozen=True, slots=True)
class AnswerChoice:
    """One answer. `note` stands beside it; `obstacle` says why it cannot be chosen."""

    value: str
    title: str
    note: str = ""
    obstacle: str = ""


def _anything(text: str) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Question:
    """Choices, or without any a text to type, of which `problem` says what is wrong with it."""

    key: str
    text: str
    choices: tuple[AnswerChoice, ...] = ()
    default: str = ""
    hint: str = ""
    problem: Callable[[str], str] = _anything
    is_path: bool = False

    def takes(self, answer: str) -> bool:
        """Whether this answers the question."""
        if self.choices:
            return any(c.value == answer and not c.obstacle for c in self.choices)
        return not self.problem(answer)


Answers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Way:
    """A way through the questions so far. `dropped` answers are proposed again."""

    seen: Surroundings
    answers: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)

    def question(self) -> Question | None:
        """What to ask now; None when everything is answered."""
        for key, build in QUESTIONS.items():
            if key in self.answers or (question := build(self.seen, self.answers)) is None:
                continue
            before = self.dropped.get(key)
            if before is not None and question.takes(before):
                return replace(question, default=before)
            return question
        return None

    def answered(self, answer: str) -> Way:
        """Raises ValueError where nothing is asked, or the question does not take the answer."""
        question = self.question()
        if question is None or not question.takes(answer):
            raise ValueError(f"{answer!r} answers nothing here")
        return replace(self, answers={**self.answers, question.key: answer})

    def with_data(self, data: str) -> Way:
        """With the question of the data answered. Raises UsageError where they cannot be used."""
        if any(source.value == data and source.look.is_usable for source in self.seen.sources):
            return replace(self, answers={**self.answers, "data": data})
        typed = _ask_data_path(self.seen, {"data": _OTHER})
        problem = typed.problem(data) if typed else ""
        if problem:
            raise UsageError(message=problem, hint="`agnews wizard` alone asks for the data.")
        return replace(self, answers={**self.answers, "data": _OTHER, "data_path": data})

    def back(self) -> Way:
        """Before the last answer; the same at the beginning."""
        if not self.answers:
            return self
        *kept, (key, answer) = self.answers.items()
        return replace(self, answers=dict(kept), dropped={**self.dropped, key: answer})

    def said(self) -> tuple[tuple[str, str], ...]:
        """What each answer is about, and the answer as it was shown."""
        earlier: dict[str, str] = {}
        lines: list[tuple[str, str]] = []
        for key, answer in self.answers.items():
            question = QUESTIONS[key](self.seen, earlier)
            titles = {c.value: c.title for c in question.choices} if question else {}
            if key != "end" and answer not in (_OTHER, _SESSIONS):  # what was typed comes next
                about = _ABOUT.get(key, key.replace("_", " "))
                lines.append((about, titles.get(answer, answer)))
            earlier[key] = answer
        return tuple(lines)

    def request(self) -> Request:
        """What the answers so far ask for."""
        return request_of(self.seen, self.answers)

    def command(self) -> str:
        """The command line that asks for the same."""
        return replay.command(self.request())

    def keys(self) -> dict[str, Any]:
        """The keys and values of the file that asks for the same."""
        return replay.asked(self.request())

    @property
    def ready_notebook(self) -> notebook.NotebookOrder | None:
        """The ready notebook for another machine than this one; None where it is this one."""
        place = notebook.PLACES.get(_machine(self.seen, self.answers).name)
        if place is None:
            return None
        asked, path = self.request(), requests.unused(Path(f"agnews-{place}.ipynb"))
        return notebook.NotebookOrder(place, path, asked.wish.preset, replay.arguments(asked))

    @property
    def begins(self) -> bool:
        """Whether training shall begin now."""
        return self.answers.get("end") == BEGIN


def request_of(seen: Surroundings, answers: Answers) -> Request:
    """Answers that are not there leave the defaults of `agnews auto`."""
    budget = answers.get("budget") or answers.get("time", _NONE)
    hours = answers.get("session_hours")
    store = _chosen(answers, "store", "store_path")
    wish = Wish(
        data=_data(answers),
        text_columns=_columns(answers),
        label_column=answers.get("label_column"),
        preset=answers.get("preset") or None,
        goal=_goal(answers),
        budget_s=duration.parse(budget),
    )
    session = SessionOptions(
        session_s=None if hours is None else duration.read(hours, unit_s=3600.0),
        stores=() if store is None else (str(names.local(store)),),
    )
    return Request(wish, session)


# ---- what answers mean --------------------------------------------------------------------------


def _goal(answers: Answers) -> Goal:
    goals: tuple[Goal, ...] = get_args(Goal)
    return next((goal for goal in goals if goal == answers.get("goal")), "accuracy")


def _chosen(answers: Answers, key: str, typed: str) -> str | None:
    """What was typed, else what was chosen; None where neither, or where it is the default."""
    chosen = answers.get(typed) or answers.get(key, _NONE)
    return None if chosen in (_NONE, _OTHER) else chosen


def _data(answers: Answers) -> str | None:
    return _chosen(answers, "data", "data_path")


def _columns(answers: Answers) -> tuple[str, ...]:
    return (answers["text_column"],) if "text_column" in answers else ()


def _machine(seen: Surroundings, answers: Answers) -> Machine:
    here = seen.machines[0]
    return next((m for m in seen.machines if m.name == answers.get("machine")), here)


def look_at(seen: Surroundings, answers: Answers) -> DataLook:
    """The data as they are understood with the answers so far."""
    data = _data(answers)
    known = next((source for source in seen.sources if source.value == data), None)
    if known is not None and not _columns(answers) and "label_column" not in answers:
        return known.look
    return seen.look(data or "", _columns(answers), answers.get("label_column"))


def _fit(seen: Surroundings, answers: Answers, presets: tuple[Preset, ...], goal: Goal) -> Fit:
    machine = _machine(seen, answers)
    data = _rows_of(look_at(seen, answers)) if presets is seen.presets else None

    def why_unavailable(preset: Preset) -> str | None:
        # Elsewhere the hub is taken to answer.
        return seen.unavailable.get(preset.name) if machine.name == HERE else None

    return choose(
        presets,
        machine.accelerator,
        goal,
        why_unavailable=why_unavailable,
        cost=lambda preset: cost_of(seen, answers, preset),
        need=lambda preset: seen.need(preset, machine.accelerator),
        rows=None if data is None else data.train.rows,  # one that is named is taken as asked
    )


def preset_of(seen: Surroundings, answers: Answers) -> Preset | None:
    """The one that is named, or that `agnews auto` would choose; None where nothing fits."""
    name = answers.get("preset")
    if name:
        return next((preset for preset in seen.presets if preset.name == name), None)
    return _fit(seen, answers, seen.presets, _goal(answers)).preset


def cost_of(seen: Surroundings, answers: Answers, preset: Preset) -> Cost | None:
    """What training it takes on the machine that is meant; None where rows are not known."""
    data = _rows_of(look_at(seen, answers))
    if data is None:
        return None
    return training(preset, data, seen.known(preset, _machine(seen, answers).accelerator))


def time_of(seen: Surroundings, answers: Answers, cost: Cost | None) -> Pace | None:
    """How long that is, where somebody measured it."""
    device = accelerator.device(_machine(seen, answers).accelerator)
    found = None if cost is None else cost.takes(device)
    return None if found is None or found.how == "model" else found


# ---- the questions ------------------------------------------------------------------------------


def _ask_goal(seen: Surroundings, answers: Answers) -> Question:
    def choice(goal: Goal, title: str, meaning: str) -> AnswerChoice:
        found = _fit(seen, answers, seen.presets, goal).preset
        here = "nothing fits here" if found is None else f"here {found.name}, {_weights(found)}"
        return AnswerChoice(goal, title, f"{meaning}; {here}")

    choices = (
        choice("accuracy", "Accuracy", "our first choice"),
        choice("balanced", "Balance", "not a large model"),
        choice("speed", "Speed", "the smallest model"),
    )
    return Question("goal", "What matters most?", choices, "accuracy")


def _ask_data(seen: Surroundings, answers: Answers) -> Question:
    def choice(source: DataPlace) -> AnswerChoice:
        value, look = source.value or _NONE, source.look
        is_open = look.is_usable or look.missing is not None
        if not is_open:
            return AnswerChoice(value, source.title, obstacle=_short(look, source.value))
        return AnswerChoice(value, source.title, look.words())

    choices = tuple(choice(source) for source in seen.sources)
    usable = sorted((s for s in seen.sources if s.look.is_usable), key=lambda s: not s.look.rows)
    proposed = next((source.value or _NONE for source in usable), _OTHER)
    other = AnswerChoice(_OTHER, "Other data", "a file, a folder, or a hub data set's owner/name")
    return Question("data", "Which labelled text?", (*choices, other), proposed)


def _ask_data_path(seen: Surroundings, answers: Answers) -> Question | None:
    def problem(given: str) -> str:
        look = seen.look(given, (), None)
        return "" if look.is_usable or look.missing is not None else look.problem

    if answers["data"] != _OTHER:
        return None
    hint = "A file (.csv .tsv .jsonl .parquet), a folder with train.*, or owner/name"
    return Question("data_path", "Where is it?", hint=hint, problem=problem, is_path=True)


def _ask_text_column(seen: Surroundings, answers: Answers) -> Question | None:
    look = look_at(seen, answers)
    if look.missing != "text":
        return None
    data, choices = _data(answers), []
    # Where several might, the one whose first value is longest is proposed.
    wordy = max(filter(None, look.columns), key=lambda name: len(look.columns[name]), default="")
    for name in filter(None, look.columns):
        found = seen.look(data or "", (name,), None)
        obstacle = "" if found.missing is not None else _short(found, data)
        choices.append(AnswerChoice(name, name, look.columns[name], obstacle))
    return _columns_question("text_column", "Which column holds the text?", choices, wordy)


def _ask_label_column(seen: Surroundings, answers: Answers) -> Question | None:
    look = look_at(seen, answers)
    if look.missing != "label":
        return None
    data, choices = _data(answers), []
    for name in filter(None, look.columns):
        if name not in _columns(answers):
            found = seen.look(data or "", _columns(answers), name)
            obstacle = _short(found, data) if found.problem else ""
            choices.append(AnswerChoice(name, name, found.words(), obstacle))
    return _columns_question("label_column", "Which column holds the label?", choices)


def _columns_question(
    key: str, text: str, choices: list[AnswerChoice], proposed: str = ""
) -> Question | None:
    usable = [choice.value for choice in choices if not choice.obstacle]
    default = proposed if proposed in usable else next(iter(usable), _NONE)
    return Question(key, text, tuple(choices), default) if choices else None


def _short(look: DataLook, data: str | None) -> str:
    """What is wrong, without the name that stands beside it."""
    return look.problem.removeprefix(f"{data}: ").removeprefix(f"{data}, ")


def _ask_machine(seen: Surroundings, answers: Answers) -> Question:
    choices = tuple(AnswerChoice(m.name, m.title, m.note) for m in seen.machines)
    return Question("machine", "Where will it be trained?", choices, HERE)


def _ask_preset(seen: Surroundings, answers: Answers) -> Question:
    def time(cost: Cost | None) -> str:
        found = time_of(seen, answers, cost)
        return "" if found is None else f", {found.words()}"

    choices = []
    tuned = [preset for preset in seen.presets if preset.is_chosen]
    for preset in sorted(tuned, key=lambda p: (-p.order, p.name)):
        fit = _fit(seen, answers, (preset,), "accuracy")  # a named preset needs no goal
        obstacle = "" if fit.preset is not None else fit.passed_over[0].reason
        note = f"{_weights(preset)}{time(cost_of(seen, answers, preset))}; {preset.summary}"
        choices.append(AnswerChoice(preset.name, preset.name, note, obstacle))
    choices += [_several(seen, answers, shape) for shape in seen.several]
    choices.sort(key=lambda choice: bool(choice.obstacle))
    best = _fit(seen, answers, seen.presets, _goal(answers))
    advice = AnswerChoice(_NONE, "Let agnews choose", obstacle="none of these fits")
    if best.preset is not None:
        note = f"{best.preset.name}{time(best.cost)}; {best.reasons[0]}"
        advice = AnswerChoice(_NONE, "Let agnews choose", note)
    return Question("preset", "Which model?", (advice, *choices), _NONE)


def _several(seen: Surroundings, answers: Answers, shape: AnyPreset) -> AnswerChoice:
    """An ensemble, or a student and its teacher: with what all of its models take here."""
    machine = _machine(seen, answers)
    presets = dict.fromkeys(one.preset for one in singles(shape))
    alone = (_fit(seen, answers, (one,), "accuracy") for one in presets if one.method.needs_weights)
    passed = [found.passed_over[0] for found in alone if found.preset is None]
    obstacle = f"{passed[0].name}: {passed[0].reason}" if passed else ""
    data = _rows_of(look_at(seen, answers))
    cost = several.words(shape, data, machine.accelerator, seen.known, machine.name)
    return AnswerChoice(shape.name, shape.name, f"{cost}; {shape.summary}", obstacle)


def _rows_of(look: DataLook) -> Dataset | None:
    return look.data or (like_news(look.rows) if look.rows else None)


def _ask_time(seen: Surroundings, answers: Answers) -> Question:
    preset = preset_of(seen, answers)
    cost = None if preset is None else cost_of(seen, answers, preset)
    estimate = time_of(seen, answers, cost)

    def note(budget_s: float) -> str:
        if estimate is None:
            return ""
        if estimate.most_s < budget_s * 0.8:
            return "enough for all of it"
        if estimate.least_s < budget_s * 0.8:
            return "may be enough for all of it"
        return "not enough for all of it: the best by then"

    is_several = any(shape.name == answers.get("preset") for shape in seen.several)
    known = "its time was not measured" if estimate is None else estimate.words()
    choices = [AnswerChoice(_NONE, "No limit", f"all of the training; {known}")]
    for text in _BUDGETS:
        budget_s = duration.parse(text) or 0.0
        choices.append(AnswerChoice(text, duration.show(budget_s), note(budget_s)))
    choices += [
        AnswerChoice(_OTHER, "Another limit", "for everything, evaluation included"),
        AnswerChoice(_SESSIONS, "Several sessions", "pause in time, go on with `agnews resume`"),
    ]
    if is_several:  # each of its models would need a budget of its own
        choices = [choices[0], choices[-1]]
    default = _NONE if estimate is None or estimate.most_s <= _PATIENCE_S else "45m"
    hint = ""
    if estimate is not None:
        dated = f", {estimate.as_of}" if estimate.as_of else ""
        hint = f"Measured on news items{dated}; {estimate.source}"
    return Question("time", "How long may it take?", tuple(choices), default, hint)


def _ask_budget(seen: Surroundings, answers: Answers) -> Question | None:
    def problem(given: str) -> str:
        try:
            budget_s = duration.read(given)
        except ValueError as problem:
            return f"{given!r} is {problem}"
        return "" if budget_s >= LEAST_BUDGET_S else f"At least {LEAST_BUDGET_S:.0f}s"

    if answers["time"] != _OTHER:
        return None
    return Question("budget", "How long?", hint="Such as 90s, 45m or 1h30m", problem=problem)


def _ask_session_hours(seen: Surroundings, answers: Answers) -> Question | None:
    def problem(given: str) -> str:
        try:
            duration.read(given, unit_s=3600.0)
        except ValueError as problem:
            return f"{given!r} is {problem}"
        return ""

    if answers["time"] != _SESSIONS:
        return None
    hint = "Such as 8; the run is saved and paused by then"
    return Question("session_hours", "How many hours has a session?", hint=hint, problem=problem)


def _ask_store(seen: Surroundings, answers: Answers) -> Question:
    places = _machine(seen, answers).stores
    choices = [AnswerChoice(p.value or _NONE, p.title, p.note) for p in places]
    choices.append(AnswerChoice(_OTHER, "Another folder"))
    return Question("store", "Where are runs kept?", tuple(choices), choices[0].value)


def _ask_store_path(seen: Surroundings, answers: Answers) -> Question | None:
    def problem(given: str) -> str:
        if not given.strip():
            return "A folder; it is made when the run begins"
        return seen.store_problem(given) if is_here else ""

    is_here = _machine(seen, answers).name == HERE
    if answers["store"] != _OTHER:
        return None
    return Question("store_path", "Which folder?", problem=problem, is_path=True)


def _ask_end(seen: Surroundings, answers: Answers) -> Question:
    machine, data = _machine(seen, answers), _data(answers)
    choices: tuple[AnswerChoice, ...] = (
        AnswerChoice(BEGIN, "Begin", f"and save the answers in {seen.file}"),
        AnswerChoice(SAVE, "Save only", f"in {seen.file}"),
    )
    if machine.name in notebook.PLACES:
        brought = "" if data is None or ":" in data else f", with {data}"
        note = f"to be opened in {machine.title}{brought}; the answers too, in {seen.file}"
        choices = (AnswerChoice(SAVE, "Write the notebook", note),)
    command = replay.command(request_of(seen, answers))
    return Question("end", "Begin now?", choices, choices[0].value, command)


def _weights(preset: Preset) -> str:
    return f"{preset.model.parameters / 1e6:,.0f} M weights"


QUESTIONS: Mapping[str, Callable[[Surroundings, Answers], Question | None]] = {
    "goal": _ask_goal,
    "data": _ask_data,
    "data_path": _ask_data_path,
    "text_column": _ask_text_column,
    "label_column": _ask_label_column,
    "machine": _ask_machine,
    "preset": _ask_preset,
    "time": _ask_time,
    "budget": _ask_budget,
    "session_hours": _ask_session_hours,
    "store": _ask_store,
    "store_path": _ask_store_path,
    "end": _ask_end,
}
