"""From a shape to its graph: all the work that is to be done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from agnews_cli.core.graph.asked import AnyPreset as AnyPreset
from agnews_cli.core.graph.asked import Distilled as Distilled
from agnews_cli.core.graph.asked import Ensemble as Ensemble
from agnews_cli.core.graph.asked import Finished as Finished
from agnews_cli.core.graph.asked import Single as Single
from agnews_cli.core.graph.asked import cycles_of, data_of, settled
from agnews_cli.core.graph.asked import seeds as seeds
from agnews_cli.core.graph.asked import stacking as stacking
from agnews_cli.core.graph.graph import Graph, Growing
from agnews_cli.core.run.dataset import Dataset
from agnews_cli.core.run.work import (
    GIVEN,
    TEST,
    TRAIN,
    VALIDATION,
    Combine,
    EnsembleMember,
    Evaluate,
    Export,
    Form,
    Predict,
    Recipe,
    RowChoice,
    RunOutput,
    Train,
    snapshot,
)

_ROOT = {"train", "student", "combine", "stack", "export"}


def graph_of(
    shape: AnyPreset,
    data: Dataset,
    seed: int = 0,
    *,
    limit: int | None = None,
    budget_s: float | None = None,
) -> Graph:
    """All that is to be done. Without test rows there is no evaluation."""
    shape = settled(shape)
    rows = RowChoice(data=data_of(shape), limit=limit)
    growing = Growing(data)
    making = _Making(growing, rows, seed, budget_s)
    if isinstance(shape, Distilled) and shape.export is not None:
        made = making.exported(shape, shape.export, replace(making, is_last=False).of(shape))
    else:
        made = making.of(shape)
    return growing.towards(made.evaluation or made.model)


@dataclass(frozen=True, slots=True)
class _Made:
    model: RunOutput
    evaluation: RunOutput | None
    has_model: bool = True
    """Else only its answers are there."""

    @property
    def answers(self) -> RunOutput:
        """What it says of the rows that validate it."""
        return RunOutput(run=self.model.run, part=VALIDATION)


@dataclass(frozen=True, slots=True)
class _Making:
    """`is_evaluated`: whether test rows are asked; not of a model that is only there for what it
    says of the rows that it has not seen. `is_last`: whether nothing more is made of it."""

    growing: Growing
    rows: RowChoice
    seed: int
    budget_s: float | None
    is_evaluated: bool = True
    is_last: bool = True

    def of(self, shape: AnyPreset, title: str = "") -> _Made:
        match shape:
            case Single():
                return self.single(shape, title or "train")
            case Ensemble():
                return self.ensemble(
                    shape, title or ("stack" if shape.how.kind == "stack" else "combine")
                )
            case Distilled():
                return self.distilled(shape, title or "student")
            case Finished():
                return self.finished(shape)

    def finished(self, one: Finished) -> _Made:
        """Nothing is added: what it left lies in its folder, its answers to the test rows too (of a
        model that no run made they are asked where they are needed, `asked_now`)."""
        model = RunOutput(run=one.run)
        is_tested = self.growing.data.test is not None and self.is_evaluated
        return _Made(model, model if is_tested else None, one.has_model)

    def single(self, one: Single, title: str) -> _Made:
        return self.evaluated(one.name, title, self.growing.add(one.name, title, self.train(one)))

    def train(self, one: Single) -> Train:
        return Train.model_construct(
            recipe=Recipe.of(one.preset, one.weights, has_budget=self.budget_s is not None),
            rows=self.rows,
            seed=self.seed + one.seed,
            budget_s=self.budget_s,
        )

    def ensemble(self, asked: Ensemble, title: str) -> _Made:
        members: list[EnsembleMember] = []
        beside: list[RunOutput] = []
        for number, one in enumerate(asked.members, 1):
            is_alone = len(asked.members) == 1 and not cycles_of(one)
            called = _all_rows(title) if is_alone else _member(title, number)
            made = self.of(one, called)
            unseen = self.by_turns(one, called, asked.folds)
            if isinstance(one, Finished) and one.is_to_be_asked:
                made, unseen = self.asked_now(one, called)
            if cycles_of(one):
                members += _snapshots(made.model, unseen, cycles_of(one))
            elif made.has_model:
                members.append(EnsembleMember(models=(made.model,), unseen=unseen))
            else:
                members.append(EnsembleMember(unseen=unseen or (made.answers,)))
            beside += [made.evaluation] if made.evaluation else []
        work = Combine(how=asked.how, members=tuple(members))
        model = self.growing.add(asked.name, title, work)
        return self.evaluated(asked.name, title, model, tuple(beside))

    def asked_now(self, one: Finished, title: str) -> tuple[_Made, tuple[RunOutput, ...]]:
        """What a member that no run made says of the rows that validate, and of the test rows."""
        label = one.run.removeprefix(GIVEN).rpartition("-")[0]
        model = RunOutput(run=one.run)
        work = Predict(model=model, rows=self.rows, of="validation")
        said = self.growing.add(label, f"{title}'s predictions", work)
        made = self.evaluated(label, title, model)
        return made, (RunOutput(run=said.run, part=VALIDATION),)

    def by_turns(self, one: AnyPreset, title: str, folds: int | None) -> tuple[RunOutput, ...]:
        """What is said of each part by one that was trained without it."""
        if folds and self.rows.folds:
            raise ValueError(f"{one.name}: parts of parts (asked.problem)")
        made = []
        for fold in range(folds or 0):
            rows = self.rows.model_copy(update={"fold": fold, "folds": folds})
            called = f"{title.removesuffix('all rows')} fold {fold + 1}".strip()
            made.append(replace(self, rows=rows, is_evaluated=False).of(one, called).answers)
        return tuple(made)

    def distilled(self, asked: Distilled, title: str) -> _Made:
        called = "teacher" if title in _ROOT else f"{title}'s teacher"
        teacher = self.of(asked.teacher, called)
        answers = self.by_turns(asked.teacher, called, asked.folds)
        if not teacher.has_model:  # it was asked before, and about all that it is asked about
            answers = (RunOutput(run=teacher.model.run, part=TRAIN),)
        ask = Predict(model=teacher.model, has_hidden=asked.distillation.hidden > 0)
        answers = answers or (self.predicted(asked, called, ask),)
        if asked.unlabelled and teacher.has_model:
            beside = ask.model_copy(update={"of": "unlabelled"})
            answers = (*answers, self.predicted(asked, called, beside))
        taught = {
            "teacher": answers,
            "has_unlabelled": asked.unlabelled,
            "distillation": asked.distillation,
        }
        work = self.train(asked.student).model_copy(update=taught)
        model = self.growing.add(asked.name, title, work)
        others = (teacher.evaluation,) if teacher.evaluation else ()
        return self.evaluated(asked.name, title, model, others)

    def exported(self, asked: Distilled, form: Form, made: _Made) -> _Made:
        """Evaluated beside the model that it was made from, which stands before it."""
        label = f"{asked.name}-{form}"
        work = Export(model=made.model, form=form)
        others = (made.evaluation,) if made.evaluation else ()
        return self.evaluated(label, "export", self.growing.add(label, "export", work), others)

    def predicted(self, asked: Distilled, teacher: str, work: Predict) -> RunOutput:
        """What the teacher says of rows."""
        work = work.model_copy(update={"rows": self.rows})
        title = f"{teacher}'s predictions" + (" without labels" if work.of == "unlabelled" else "")
        run = self.growing.add(asked.teacher.name, title, work).run
        return RunOutput(run=run, part=f"predictions/{work.of}")

    def evaluated(
        self, label: str, title: str, model: RunOutput, beside: tuple[RunOutput, ...] = ()
    ) -> _Made:
        if self.growing.data.test is None or not self.is_evaluated:
            return _Made(model, None)
        others = tuple(RunOutput(run=run, part=TEST) for run in sorted(one.run for one in beside))
        called = "evaluate" if title in _ROOT and self.is_last else f"evaluate {title}"
        work = Evaluate(model=model, beside=others)
        return _Made(model, self.growing.add(label, called, work))


def _snapshots(
    run: RunOutput, unseen: tuple[RunOutput, ...], cycles: int
) -> Iterator[EnsembleMember]:
    """A member of each: of the run's own, and of its folds' of the same cycle."""
    for cycle in range(1, cycles + 1):
        model, *said = (RunOutput(run=one.run, part=snapshot(cycle)) for one in (run, *unseen))
        yield EnsembleMember(models=(model,), unseen=tuple(said))


def _member(title: str, number: int) -> str:
    """`member 2` of what is asked for, `member 2.1` of that where it has members itself."""
    if title in _ROOT or title == "teacher":
        return f"member {number}"
    is_member = title.startswith("member ") and title.count(" ") == 1
    return f"{title}.{number}" if is_member else f"{title} member {number}"


def _all_rows(title: str) -> str:
    return "all rows" if title in _ROOT else f"{title} all rows"
