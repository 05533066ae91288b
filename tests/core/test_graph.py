"""A graph of runs: what is ready and what is left, for whatever is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agnews_cli.core.graph.asked import single_of
from agnews_cli.core.graph.graph import Graph, Growing
from agnews_cli.core.graph.shapes import (
    AnyPreset,
    Distilled,
    Ensemble,
    Single,
    graph_of,
    seeds,
    stacking,
)
from agnews_cli.core.run import work
from agnews_cli.core.run.dataset import Dataset, File, Form
from agnews_cli.core.run.export import FORMS
from agnews_cli.core.run.work import (
    Combine,
    Distillation,
    EnsembleMember,
    Evaluate,
    Export,
    Predict,
    Recipe,
    RowChoice,
    RunOutput,
    Stack,
    Train,
)
from agnews_cli.store.settings import presets

MINI, MPNET = presets.load("minilm"), presets.load("mpnet")
CYCLIC = presets.with_settings(MINI, ["training.snapshots=3", "training.schedule=cyclic"])
LARGE = presets.load("roberta-large")


def data(**changes: Any) -> Dataset:
    facts: dict[str, Any] = {
        "name": "ag",
        "train": File(path="/a/train.csv", form=Form(format="csv"), rows=4, sha256="aa"),
        "test": _test_file("bb"),
        "text_columns": ("text",),
        "label_column": "label",
        "labels": ("World", "Sports"),
        "label_values": ("1", "2"),
    }
    return Dataset(**(facts | changes))


def _test_file(sha256: str) -> File:
    return File(path="/a/test.csv", form=Form(format="csv"), rows=2, sha256=sha256)


SHAPES: dict[str, tuple[AnyPreset, list[str]]] = {
    "one model": (Single(MINI), ["train", "evaluate"]),
    "an ensemble": (
        seeds(MINI, 2),
        ["member 1", "evaluate member 1", "member 2", "evaluate member 2", "combine", "evaluate"],
    ),
    "stacking": (
        stacking(MINI, 2),
        ["all rows", "evaluate all rows", "fold 1", "fold 2", "stack", "evaluate"],
    ),
    "distillation": (
        Distilled("small", Single(MPNET), Single(MINI)),
        ["teacher", "evaluate teacher", "teacher's predictions", "student", "evaluate"],
    ),
    "distillation from what has not seen a row": (
        Distilled("small", Single(MPNET), Single(MINI), folds=2),
        [
            *("teacher", "evaluate teacher", "teacher fold 1", "teacher fold 2"),
            *("student", "evaluate"),
        ],
    ),
    "distillation with rows without labels": (
        Distilled("small", Single(MPNET), Single(MINI), unlabelled=True),
        [
            *("teacher", "evaluate teacher", "teacher's predictions"),
            *("teacher's predictions without labels", "student", "evaluate"),
        ],
    ),
    "a student that is exported": (
        Distilled(
            "small",
            Distilled("middle", Single(LARGE), Single(MPNET), export="onnx"),
            Single(MINI),
            export="onnx-int8",
        ),
        [
            *("teacher's teacher", "evaluate teacher's teacher"),
            *("teacher's teacher's predictions", "teacher", "evaluate teacher"),
            *("teacher's predictions", "student", "evaluate student", "export", "evaluate"),
        ],
    ),
    "a teacher's teacher": (
        Distilled("small", Distilled("middle", Single(LARGE), Single(MPNET)), Single(MINI)),
        [
            *("teacher's teacher", "evaluate teacher's teacher"),
            *("teacher's teacher's predictions", "teacher", "evaluate teacher"),
            *("teacher's predictions", "student", "evaluate"),
        ],
    ),
    "an ensemble of ensembles": (
        Ensemble("all", (Single(MPNET), Ensemble("two", (Single(MINI), Single(MINI, seed=1))))),
        [
            *("member 1", "evaluate member 1", "member 2.1", "evaluate member 2.1"),
            *("member 2.2", "evaluate member 2.2", "member 2", "evaluate member 2"),
            *("combine", "evaluate"),
        ],
    ),
    "a stack over an ensemble": (
        Ensemble("all", (Single(MPNET), seeds(MINI, 2)), Stack(), folds=2),
        [
            *("member 1", "evaluate member 1", "member 1 fold 1", "member 1 fold 2"),
            *("member 2.1", "evaluate member 2.1", "member 2.2", "evaluate member 2.2"),
            *("member 2", "evaluate member 2"),
            *("member 2 fold 1 member 1", "member 2 fold 1 member 2", "member 2 fold 1"),
            *("member 2 fold 2 member 1", "member 2 fold 2 member 2", "member 2 fold 2"),
            *("stack", "evaluate"),
        ],
    ),
    "snapshots of one training": (
        Ensemble("cycles", (Single(CYCLIC), Single(MPNET))),
        ["member 1", "evaluate member 1", "member 2", "evaluate member 2", "combine", "evaluate"],
    ),
    "a stack over snapshots": (
        Ensemble("cycles", (Single(CYCLIC),), Stack(), folds=2),
        [
            *("member 1", "evaluate member 1", "member 1 fold 1", "member 1 fold 2"),
            *("stack", "evaluate"),
        ],
    ),
    "an ensemble as a teacher": (
        Distilled("small", Ensemble("both", (Single(MPNET), Single(MINI, seed=1))), Single(MINI)),
        [
            *("member 1", "evaluate member 1", "member 2", "evaluate member 2"),
            *("teacher", "evaluate teacher", "teacher's predictions", "student", "evaluate"),
        ],
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_what_was_asked_becomes_work_in_an_order_that_can_be_done(name: str) -> None:
    shape, titles = SHAPES[name]
    graph = graph_of(shape, data(), 7)
    assert [node.title for node in graph.nodes.values()] == titles
    assert graph[graph.target].title == "evaluate"
    without = graph_of(shape, data(test=None), 7)
    assert not any(isinstance(node.work, Evaluate) for node in without.nodes.values())
    assert len(lived(graph)) == len(titles)


@pytest.mark.parametrize("name", SHAPES)
def test_only_an_evaluation_reads_the_test_rows_and_all_share_their_validation_rows(
    name: str,
) -> None:
    graph = graph_of(SHAPES[name][0], data(), 7, limit=3)
    other = graph_of(SHAPES[name][0], data(test=_test_file("cc")), 7, limit=3)
    for one, two in zip(graph.nodes.values(), other.nodes.values(), strict=True):
        assert ("test" in work.reads(one.work)) == isinstance(one.work, Evaluate)
        assert (one.id == two.id) == (not isinstance(one.work, Evaluate))
    rows = [
        node.work.rows for node in graph.nodes.values() if isinstance(node.work, Train | Predict)
    ]
    assert len({(r.seed, r.limit, r.data) for r in rows}) == 1


def test_a_student_hears_its_teacher_in_place_of_a_linear_one() -> None:
    how = Distillation(alpha=0.5, temperature=2.0)
    assert MINI.training.linear_teacher, "so that it can be seen to go"
    shape = Distilled("small", Single(MPNET), Single(MINI), how)
    graph = graph_of(shape, data())
    student = next(node.work for node in graph.nodes.values() if node.title == "student")
    assert isinstance(student, Train) and student.distillation == how
    assert student.recipe.training.linear_teacher == 0 and student.teacher
    usual = graph_of(Distilled("small", Single(MPNET), Single(MINI)), data())
    assert usual.place != graph.place, "alpha and temperature decide who the student is"
    assert set(usual.nodes) & set(graph.nodes), "and nothing of its teacher"


def test_hidden_states_are_asked_for_where_they_count_and_change_no_other_run() -> None:
    plain, inside = (
        graph_of(Distilled("small", Single(MPNET), Single(MINI), Distillation(hidden=h)), data())
        for h in (0.0, 0.5)
    )
    without = graph_of(Distilled("small", Single(MPNET), Single(MINI)), data())
    assert plain.nodes.keys() == without.nodes.keys()
    other = {node.title for id_, node in inside.nodes.items() if id_ not in plain.nodes}
    assert other == {"teacher's predictions", "student", "evaluate"}


def test_a_teacher_that_has_not_seen_a_row_speaks_of_it() -> None:
    shape = Distilled("small", seeds(MPNET, 2), Single(MINI), folds=3)
    graph = graph_of(shape, data())
    student = next(node.work for node in graph.nodes.values() if node.title == "student")
    assert isinstance(student, Train) and len(student.teacher) == 3
    for fold, source in enumerate(student.teacher):
        assert isinstance(source, RunOutput) and source.part == work.VALIDATION
        inside = [graph[run].work for run in work.inputs(graph[source.run].work)]
        assert all(isinstance(one, Train) and one.rows.fold == fold for one in inside)


@pytest.mark.parametrize("name", SHAPES)
def test_each_training_of_a_graph_is_of_a_model_of_its_shape(name: str) -> None:
    shape = SHAPES[name][0]
    for budget_s in (None, 300.0):
        for node in graph_of(shape, data(), 7, budget_s=budget_s).nodes.values():
            if isinstance(node.work, Train):
                one = single_of(shape, node.work)
                assert one.preset.data == node.work.rows.data
                assert one.preset.training == node.work.recipe.training


@pytest.mark.parametrize("of", ["one model", "a student"])
def test_a_cyclic_training_is_one_run_and_as_many_members_as_it_has_cycles(of: str) -> None:
    model: AnyPreset = Single(CYCLIC)
    if of == "a student":
        model = Distilled("small", Single(MPNET), Single(CYCLIC))
    graph = graph_of(Ensemble("cycles", (model,), Stack(), folds=2), data())
    whole = next(n for n in graph.nodes.values() if n.title == "member 1")
    trained = [
        n.id for n in graph.nodes.values() if isinstance(n.work, Train) and n.work.rows.fold is None
    ]
    assert whole.id in trained and len(trained) == (1 if of == "one model" else 2)
    combine = next(n.work for n in graph.nodes.values() if isinstance(n.work, Combine))
    parts = {f"snapshot-{cycle}" for cycle in (1, 2, 3)}
    assert {m.models for m in combine.members} == {
        (RunOutput(run=whole.id, part=part),) for part in parts
    }
    for member in combine.members:  # each learns from what its like say of rows they have not seen
        assert len({one.run for one in member.unseen} - {whole.id}) == 2
        assert {one.part for one in member.unseen} == {member.models[0].part}


def test_another_member_leaves_what_is_done_done() -> None:
    three, four = (graph_of(seeds(MINI, n), data()) for n in (3, 4))
    done = lived(three)
    titles = [node.title for node in four.left(done).nodes.values()]
    assert titles == ["member 4", "evaluate member 4", "combine", "evaluate"]
    without = presets.with_settings(MINI, ["training.yardstick=false"])
    alone = graph_of(Single(without), data(), 2)
    assert set(alone.nodes) <= set(three.nodes), "a run that was trained by itself is a member"
    beside = graph_of(Single(MINI), data(), 2)
    assert not set(beside.nodes) & set(three.nodes), "which may have delivered a linear model"


def test_a_training_and_its_evaluation_are_one_process_in_one_folder() -> None:
    graph = graph_of(Single(MINI), data())
    train, evaluate = graph.nodes.values()
    assert graph.ready(()) == (train,) and graph.together(train) == (train, evaluate)
    assert evaluate.place == train.id != evaluate.id
    members = graph_of(seeds(MINI, 2), data())
    assert [[n.title for n in members.together(one)] for one in members.ready(())] == [
        ["member 1", "evaluate member 1"],
        ["member 2", "evaluate member 2"],
    ]


def test_an_export_has_a_folder_of_its_own_and_leaves_its_model_what_it_is() -> None:
    student = Distilled("small", Single(MPNET), Single(MINI))
    plain, exported = graph_of(student, data()), graph_of(replace(student, export="onnx"), data())
    assert set(plain.nodes) < set(exported.nodes), "what was trained before is not trained again"
    node = exported[exported.place]
    assert node.work == Export(model=RunOutput(run=plain.place), form="onnx")
    assert node.label == "small-onnx"
    assert exported[exported.target].work == Evaluate(
        model=RunOutput(run=node.id), beside=(RunOutput(run=plain.target, part="predictions/test"),)
    )
    assert exported.teacher(node) == plain.place
    other = graph_of(replace(student, export="openvino"), data())
    assert other.place != exported.place


def lived(graph: Graph) -> list[str]:
    """Everything in the order in which it was done, one ready node after the other."""
    done: list[str] = list(graph.outside)
    while found := graph.ready(done):
        done.append(found[-1].id)
    assert graph.target in done
    return done[len(graph.outside) :]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Any work that needs any work before it, or a run of another graph."""
    growing, runs = Growing(data()), [RunOutput(run="other-0123456789")]
    some = st.lists(st.sampled_from(range(12)), min_size=1, max_size=4, unique=True)
    for seed in range(draw(st.integers(1, 12))):
        chosen = list({runs[k % len(runs)].run: runs[k % len(runs)] for k in draw(some)}.values())
        works: Iterator[work.Work] = iter(
            (
                Train(recipe=Recipe.of(MINI), seed=seed),
                Train(recipe=Recipe.of(MINI), seed=seed, teacher=tuple(chosen)),
                Predict(model=chosen[0], rows=RowChoice(limit=seed + 1)),
                Combine(members=tuple(EnsembleMember(models=(one,)) for one in chosen)),
                Evaluate(model=chosen[0], beside=tuple(chosen[1:])),
                Export(model=chosen[0], form=FORMS[seed % len(FORMS)]),
            )
        )
        kind = draw(st.integers(0, 5))
        runs.append(growing.add("x", f"node {seed}", [*works][kind]))
    return growing.towards(draw(st.sampled_from(runs[1:])))


@given(graphs(), st.randoms(use_true_random=False))
def test_whatever_is_done_first_everything_needed_is_done_once(graph: Graph, random: Any) -> None:
    done: set[str] = set(graph.outside)
    while found := graph.ready(done):
        node = random.choice(found)
        assert node.id not in done and set(work.inputs(node.work)) <= done
        left = graph.left(done)
        assert node.id in left.nodes and graph.target in left.nodes
        assert {one.id for one in graph.together(node, done)} <= left.nodes.keys()
        assert len(graph.left({*done, node.id}).nodes) < len(left.nodes)
        done.add(node.id)
    assert graph.target in done and not graph.left(done).nodes


@given(graphs())
def test_a_graph_whose_order_is_wrong_cannot_be_made(graph: Graph) -> None:
    turned = dict(reversed(graph.nodes.items()))
    needs_any = any(one in graph.nodes for n in graph.nodes.values() for one in work.inputs(n.work))
    if needs_any:
        with pytest.raises(ValueError, match="stands before"):
            Graph(turned, graph.target)
    else:
        assert Graph(turned, graph.target).nodes.keys() == graph.nodes.keys()


def test_a_big_graph_takes_no_time() -> None:
    graph = graph_of(seeds(MINI, 100), data())
    assert len(graph.nodes) == 202
    assert len(graph.left(lived(graph)[:-1]).nodes) == 1


def test_a_field_that_work_does_not_have_is_refused() -> None:
    member = EnsembleMember(models=(RunOutput(run="a-0123456789"),))
    for wrong in (
        lambda: Train.model_validate({"recipe": Recipe.of(MINI), "colour": "red"}),
        lambda: RunOutput(run="../etc"),
        lambda: RunOutput(run="a-0123456789", part="../x"),
        lambda: Combine(members=(member, member)),
        lambda: Combine(members=()),
        lambda: EnsembleMember(),
        lambda: RowChoice(fold=2, folds=2),
        lambda: RowChoice(fold=1),
    ):
        with pytest.raises(ValidationError):
            wrong()


def test_members_in_another_order_are_the_same_work() -> None:
    one, two = (EnsembleMember(models=(RunOutput(run=f"{x}-0123456789"),)) for x in "ab")
    assert Combine(members=(one, two)) == Combine(members=(two, one))


def test_the_same_work_twice_is_one_node_and_two_works_have_two_titles() -> None:
    growing = Growing(data())
    train = Train(recipe=Recipe.of(MINI))
    first = growing.add("a", "member 1", train)
    assert growing.add("a", "member 2", train) == first
    other = growing.add("a", "member 1", train.model_copy(update={"seed": 1}))
    titles = {id_: node.title for id_, node in growing.nodes.items()}
    assert titles == {first.run: "member 1", other.run: "member 1 (2)"}
