"""What a training costs: steps as its own schedule makes them, a range where somebody measured."""

from __future__ import annotations

from typing import Any

import pytest

from agnews_cli.core.graph.shapes import (
    AnyPreset,
    Distilled,
    Ensemble,
    Single,
    graph_of,
    seeds,
    stacking,
)
from agnews_cli.core.graph.tasks import tasks
from agnews_cli.core.machine.accelerator import Accelerator, device
from agnews_cli.core.run.cost import (
    SPEEDS,
    Cost,
    Costs,
    KnownSpeeds,
    Pace,
    like_news,
    reading_s,
    training,
)
from agnews_cli.core.run.preset import Preset
from agnews_cli.core.run.work import (
    Combine,
    EnsembleMember,
    Evaluate,
    Predict,
    Recipe,
    RunOutput,
    Train,
    snapshot,
)
from agnews_cli.store.settings import presets

CPU = Accelerator("cpu", "CPU", has_fast_bf16=False)
AMX = Accelerator("cpu", "CPU", has_fast_bf16=True)
GPU = Accelerator("cuda", "Tesla T4", 1, 15 * 2**30, (7, 5), has_fast_bf16=False)


def cost(preset: Preset, rows: int, on: Accelerator = CPU, **known: Any) -> Cost:
    facts = {"has_fast_bf16": bool(on.has_fast_bf16)} | known
    return training(preset, like_news(rows), KnownSpeeds(**facts))


def time(preset: Preset, rows: int, on: Accelerator = CPU) -> Pace | None:
    return cost(preset, rows, on).takes(device(on))


def test_the_runs_that_were_measured_lie_in_its_range() -> None:
    """10,000 rows, R-Drop: 3 epochs in 37 min, 4 in 18 min 40 s (benchmarks/RESULTS.md)."""
    preset = presets.load("minilm")
    for epochs, minutes in ((3, 37), (4, 18.67)):
        chosen = presets.with_settings(preset, [f"training.epochs={epochs}"])
        found = time(chosen, 10_000)
        assert found is not None
        assert 0.99 * found.least_s < minutes * 60 < found.most_s
    assert found.words() == "18 to 50 min, as measured on 2 cores"


def test_twice_the_rows_take_twice_as_long_and_half_the_work_half() -> None:
    preset = presets.load("minilm")
    one, two = (time(preset, rows, AMX) for rows in (40_000, 80_000))
    plain = time(presets.with_settings(preset, ["training.r_drop=0"]), 40_000, AMX)
    assert one is not None and two is not None and plain is not None
    assert two.most_s == pytest.approx(2 * one.most_s, rel=0.02)
    assert plain.most_s == pytest.approx(one.most_s / 2, rel=0.02)  # but for what validates


@pytest.mark.parametrize(
    ("name", "on"), [("minilm", GPU), ("minilm-lora", CPU), ("roberta-base", CPU)]
)
def test_nothing_is_said_of_what_nobody_measured(name: str, on: Accelerator) -> None:
    assert time(presets.load(name), 10_000, on) is None


def test_every_speed_has_its_source_and_date() -> None:
    assert len(SPEEDS) == 2
    assert all(s.slow < s.fast and s.source and s.as_of for s in SPEEDS)


@pytest.mark.parametrize(
    ("rows", "words"), [(8, "at most 33 s"), (2_000, "4 to 10 min"), (120_000, "4 to 10 h")]
)
def test_words_are_no_more_exact_than_what_is_known(rows: int, words: str) -> None:
    found = time(presets.load("minilm"), rows)
    assert found is not None
    assert found.words() == f"{words}, as measured on 2 cores"


def test_reading_and_evaluating_count_too() -> None:
    assert reading_s(600_000) == pytest.approx(186, rel=0.02)
    asking = evaluating("minilm").takes("cpu")
    assert asking is not None
    assert 50 < asking.most_s < 120  # 50 s were measured, with nothing beside
    assert evaluating("roberta-base").takes("cpu") is None


def evaluating(name: str) -> Cost:
    preset, data = presets.load(name), like_news(10_000, 7_600)
    graph = graph_of(Single(preset), data)
    return costs(preset, data, graph)(graph[graph.target].work)


def costs(preset: Preset, data: Any, graph: Any) -> Costs:
    works = {run: node.work for run, node in graph.nodes.items()}
    models = {Recipe.of(preset).weights: preset.model}
    return Costs(data, models, lambda recipe: KnownSpeeds(), works.get)


def test_a_run_s_own_speed_goes_before_a_benchmark_s_and_that_before_the_model() -> None:
    preset = presets.load("minilm")
    cpu = type("Rated", (), {"tflops": 1.0, "source": "assumed", "as_of": "2026"})()
    hows = [
        cost(preset, 9_000, on, **known).paces["cpu"].how
        for on, known in (
            (CPU, {"devices": {"cpu": cpu}, "examples_per_s": {"cpu": 40.0}}),
            (CPU, {"devices": {"cpu": cpu}}),
        )
    ]
    other = presets.with_settings(preset, ["method.kind=lora"])
    hows.append(cost(other, 9_000, CPU, devices={"cpu": cpu}).paces["cpu"].how)
    assert hows == ["run", "benchmark", "model"]
    measured = cost(preset, 9_000, CPU, examples_per_s={"cpu": 40.0}).takes("cpu")
    once = preset.training.epochs * 9_000 * 0.95 / 40.0  # each row once an epoch, R-Drop or not
    times = preset.training.epochs * preset.training.evaluations_per_epoch + 1
    validated = 0.3 * times * 450 / 80.0  # asked without R-Drop, forwards alone
    assert measured is not None
    assert measured.seconds == pytest.approx(once + validated, rel=0.01)
    unseen = cost(preset, 9_000, CPU, examples_per_s={"cpu": 40.0}, load_s=11.0, save_s=2.5)
    assert (unseen.load_s, unseen.save_s) == (11.0, 2.5)


def test_what_is_done_is_planned_no_more_and_what_is_begun_is_shorter() -> None:
    preset, data = presets.load("minilm"), like_news(9_000, 100)
    graph = graph_of(seeds(preset, 3), data)
    cost_of = costs(preset, data, graph)
    names = {node.title: run for run, node in graph.nodes.items()}
    whole = {task.name: task for task in tasks(graph, cost_of, {})}
    progress = {names["member 1"]: 1.0, names["evaluate member 1"]: 1.0, names["member 2"]: 0.25}
    left = {task.name: task for task in tasks(graph, cost_of, progress)}
    assert whole.keys() - left.keys() == {"member 1", "evaluate member 1"}
    assert left["member 2"].steps == whole["member 2"].steps - whole["member 2"].steps // 4
    assert left["member 3"].steps == whole["member 3"].steps
    assert set(left["combine"].after) == {"member 2", "member 3"}
    assert left["evaluate member 2"].load_s == 0, "the process that trained it is there"
    assert tasks(graph, cost_of, {graph.target: 1.0}) == ()


def test_what_is_exported_is_asked_on_a_cpu_alone() -> None:
    preset, data = presets.load("minilm"), like_news(9_000, 7_600)
    shape = Distilled("small", Single(preset), Single(preset, seed=1), export="onnx-int8")
    graph = graph_of(shape, data)
    found = {node.title: costs(preset, data, graph)(node.work) for node in graph.nodes.values()}
    assert found["export"].step_s.keys() == found["evaluate"].step_s.keys() == {"cpu"}
    seconds = found["evaluate"].step_s["cpu"], found["evaluate student"].step_s["cpu"]
    assert seconds[0] == pytest.approx(seconds[1])


def test_a_fold_is_trained_on_the_other_folds_alone() -> None:
    preset = presets.with_settings(presets.load("minilm"), ["data.cross_validated_below=0"])
    data = like_news(9_000)
    graph = graph_of(stacking(preset, 4), data)
    steps = {task.name: task.steps for task in tasks(graph, costs(preset, data, graph), {})}
    assert steps["fold 1"] == pytest.approx(steps["all rows"] * 0.75 / 0.95, rel=0.02)


def test_a_linear_model_costs_no_accelerator_and_keeps_none_from_asking_the_others() -> None:
    linear, base = presets.load("linear"), presets.load("roberta-base")
    data = like_news(10_000, 1_000)
    alone = training(linear, data, KnownSpeeds())
    assert set(alone.paces) == {"cpu"} and not alone.is_divisible
    assert alone.step_s["cpu"] < 60
    models = {"linear": linear.model, base.model.id: base.model}
    rated = type("Rated", (), {"tflops": 6.5, "source": "assumed", "as_of": "2026"})()

    def asking_s(teacher: AnyPreset) -> float:
        graph = graph_of(Distilled("taught", teacher, Single(presets.load("minilm"))), data)
        works = {run: node.work for run, node in graph.nodes.items()}
        costs = Costs(data, models, lambda recipe: KnownSpeeds({"T4": rated}), works.get)
        asking = next(node.work for node in graph.nodes.values() if "predictions" in node.title)
        (each,) = costs(asking).paces.items()
        found = costs(asking).takes("T4")
        assert each[0] == "T4" and found is not None
        return found.seconds

    tuned = Single(base)
    more_s = asking_s(Ensemble("both", (tuned, Single(linear)))) - asking_s(tuned)
    assert more_s > 9_000 / 1_500, "it counts words on the CPU meanwhile"


def test_snapshots_are_evaluated_with_their_model_and_answer_in_its_place() -> None:
    """Three of them cost no training more, and each is asked as a model is."""
    plain = presets.load("minilm")
    cyclic = presets.with_settings(plain, ["training.schedule=cyclic", "training.snapshots=3"])
    known, run = KnownSpeeds(examples_per_s={"T4": 100.0}), "x-0123456789"
    news = like_news(1_000, 200)
    seconds = {}
    for preset in (plain, cyclic):
        recipe = Recipe.of(preset)
        works = {run: Train(recipe=recipe), "y-0123456789": Combine(members=SNAPSHOTS)}
        costs = Costs(news, {recipe.weights: preset.model}, lambda _: known, works.get)
        asked = Evaluate(model=RunOutput(run=run)), Predict(model=RunOutput(run="y-0123456789"))
        seconds[preset.training.cycles] = [
            cost.paces["T4"].seconds * cost.steps for cost in map(costs, (works[run], *asked))
        ]
    (trained, evaluated, _), (again, with_three, three) = seconds[0], seconds[3]
    assert trained == again and with_three == pytest.approx(4 * evaluated)
    one = Costs(news, {recipe.weights: plain.model}, lambda _: known, works.get)(
        Predict(model=RunOutput(run=run))
    )
    assert three == pytest.approx(3 * one.paces["T4"].seconds * one.steps)


SNAPSHOTS = tuple(
    EnsembleMember(models=(RunOutput(run="x-0123456789", part=snapshot(cycle)),))
    for cycle in (1, 2, 3)
)


def test_asking_a_model_begins_as_fast_as_training_it_did() -> None:
    preset, run = presets.load("minilm"), "x-0123456789"
    known = KnownSpeeds(examples_per_s={"cpu": 40.0}, load_s=7.0, save_s=1.0)
    works = {run: Train(recipe=Recipe.of(preset))}
    costs = Costs(like_news(600), {preset.model.id: preset.model}, lambda _: known, works.get)
    trained, asked = costs(works[run]), costs(Predict(model=RunOutput(run=run)))
    assert (asked.load_s, asked.save_s) == (trained.load_s, trained.save_s) == (7.0, 1.0)
