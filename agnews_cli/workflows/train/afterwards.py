"""What is left to say when a run is finished: how to use it, what to mind, what would do better.

Every sentence comes from what this run measured or decided; nothing is promised.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agnews_cli.core.run import recipes
from agnews_cli.core.run.cost import schedule
from agnews_cli.core.run.network import FILE as NETWORK
from agnews_cli.core.run.work import Recipe, RowChoice, Train
from agnews_cli.core.text import duration
from agnews_cli.errors import AgnewsError
from agnews_cli.store.model import delivered
from agnews_cli.store.model.delivered import Delivered
from agnews_cli.store.run.events import Events
from agnews_cli.workflows.train.plans import Plan

if TYPE_CHECKING:
    from agnews_cli.core.run.evaluation import SplitEvaluation
    from agnews_cli.store.run.runs import RunFolder
    from agnews_cli.workflows.train.result import Result

_MORE_TIMES = 3  # as much time is proposed where a budget left none for fine-tuning
_WEAK_F1 = 0.99


@dataclass(frozen=True, slots=True)
class Use:
    """How what was delivered is used. Commands and code work when pasted."""

    folder: Path
    """A Hugging Face model where that is all of it; else the run."""
    text: str
    """The command for one text."""
    file: str
    """The command for a file."""
    competition: str
    """The command for a competition's file."""
    load: str
    """Three lines of Python with agnews; they work in any folder."""
    python: str | None
    """Three lines that need `transformers` alone; None where only `card` has the lines."""
    card: Path
    exported: Path | None = None
    """The folder of what was exported, which is whole by itself; None of any other run."""

    def as_json(self) -> dict[str, Any]:
        """The field `use` of a result (docs/json.md)."""
        return {
            "folder": str(self.folder),
            "predict": self.text,
            "predict_file": self.file,
            "competition": self.competition,
            "load": self.load,
            "python": self.python,
            "card": str(self.card),
            "exported": self.exported and str(self.exported),
        }


def use(folder: RunFolder, *, store: Path | None) -> Use:
    """`store`: where the run lies, unless `agnews predict` looks there by itself."""
    place = "" if store is None else f" --store {shlex.quote(str(store))}"
    command = f"agnews predict {shlex.quote(folder.id)}"
    if not folder.has("delivery.json"):
        return _of_answers(folder)
    model = _only_model(folder)
    alone = None if model is None else Path(model.members[0].folder)
    has_code = alone is not None and any((alone / n).exists() for n in (delivered.METHOD, NETWORK))
    exported = _exported(folder)
    is_plain = model is not None and model.long_texts.is_usual and not has_code
    sample = "--out submission.csv --like sample_submission.csv"
    return Use(
        folder=alone or folder.path,
        text=f'{command} "your text"{place}',
        file=f"{command} --file new.csv --out labelled.csv{place}",
        competition=f"{command} --file test.csv {sample}{place}",
        load=recipes.load(str(folder.path)),
        python=recipes.pipeline(str(alone)) if is_plain else None,
        card=(alone or exported or folder.path) / "README.md",
        exported=exported,
    )


def _of_answers(folder: RunFolder) -> Use:
    """Of an ensemble with members that are files of answers: nobody is there to be asked."""
    what = f"its answers to the rows that there were: {folder.path / 'predictions'}"
    return Use(folder.path, what, what, what, what, None, folder.path / "README.md")


def _only_model(folder: RunFolder) -> Delivered | None:
    """The one fine-tuned model that was delivered, if it is only one."""
    with suppress(AgnewsError):
        found = delivered.of_run(folder)
        if len(found.members) == 1 and found.members[0].kind == "finetune":
            return found
    return None


def _exported(folder: RunFolder) -> Path | None:
    """Where the run is an export."""
    with suppress(AgnewsError):
        found = delivered.of_run(folder).members
        if len(found) == 1 and found[0].kind in ("onnx", "openvino"):
            return Path(found[0].folder)
    return None


def warnings(result: Result) -> tuple[str, ...]:
    """What was warned of while the run was planned and trained, each once, and its notes."""
    events = Events(result.folder.events)
    told = (event.data.get("text") for event in events if event.kind == "warning")
    said = (*result.plan.scene.dataset.warnings, *told, *result.outcome.notes)
    return tuple(dict.fromkeys(text for text in said if isinstance(text, str)))


def better(result: Result) -> tuple[str, ...]:
    """What would make the result better, and what that costs, as far as this run shows it."""
    return tuple(_better(result))


def _better(result: Result) -> Iterator[str]:
    plan, rows = result.plan, result.plan.scene.dataset.train.rows
    limit, budget_s = plan.scene.request.wish.limit_train, plan.scene.request.wish.budget_s
    whole_s = _whole_recipe_s(result)
    at_speed = f", about {duration.show(whole_s)} at the measured speed" if whole_s else ""
    is_tuned = any(c.kind == "finetune" for c in result.outcome.candidates)
    if limit is not None and limit < rows:
        yield (
            f"all {rows:,} training rows instead of {limit:,}: without --limit-train"
            + (at_speed if budget_s is None else "")
        )
    split = result.evaluation.test or result.evaluation.validation
    if split.accuracy.value == 1.0:
        yield f"more rows to test it on: all {split.rows:,} are right, and none shows what is not"
        return
    if budget_s is not None and is_tuned and whole_s is not None and whole_s > budget_s:
        yield f"more time: the whole recipe, without --budget{at_speed}"
    elif budget_s is not None and not is_tuned:
        longer = duration.write(round(_MORE_TIMES * budget_s))
        yield f"more time: {duration.show(budget_s)} left none for fine-tuning; --budget {longer}"
    on_cpu = plan.scene.platform.accelerator.kind == "cpu"
    if on_cpu and isinstance(plan, Plan) and plan.passed_over:
        passed = plan.passed_over[0]
        yield f"a bigger model, {passed.name}, on another machine; here: {passed.reason}"
    weakest = _weakest(split, plan.scene.dataset.train.class_rows)
    if weakest is not None:
        yield weakest


def _whole_recipe_s(result: Result) -> float | None:
    """Training all rows by the whole recipe, at the speed of this run's last steps."""
    speed = 0.0
    for event in Events(result.folder.events):
        found = event.data.get("examples_per_s")
        if event.kind == "progress" and isinstance(found, int | float):
            speed = float(found)
    if speed <= 0:
        return None
    if not isinstance(result.plan, Plan):
        return None
    preset = result.plan.preset
    whole = Train(recipe=Recipe.of(preset), rows=RowChoice(data=preset.data))
    return schedule(whole, result.plan.scene.dataset).rows / speed


def _weakest(split: SplitEvaluation, class_rows: Sequence[int]) -> str | None:
    known = [
        (figures, rows)
        for figures, rows in zip(split.classes, class_rows, strict=True)
        if figures.rows
    ]
    if not known:
        return None
    figures, rows = min(known, key=lambda pair: pair[0].f1)
    if figures.f1 >= _WEAK_F1:
        return None
    return (
        f"more labelled rows of {figures.label}, the weakest class: F1 {figures.f1:.1%}, "
        f"{rows:,} training rows"
    )
