"""A pretended training for the stand-in of Kaggle's kernels, whose outputs are real stores.

A kernel trains one step a minute, from the newest checkpoint of its sources, until its
`--session-hours`, its own death or the end of its work. Time is a number that tests set.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agnews_cli.core.launching.rules import Waits
from agnews_cli.host import kaggle_client, kaggle_quota
from agnews_cli.host.launcher import REPORT, STORE
from agnews_cli.host.launchers.kaggle import AskKaggle
from agnews_cli.store.data import datasets
from agnews_cli.store.remotes.folder import Folder
from agnews_cli.store.run import runs
from agnews_cli.store.run.checkpoints import Checkpoints, Draft
from agnews_cli.store.settings import presets
from agnews_cli.store.transfer.sync import Sync
from agnews_cli.workflows.launch import on_kaggle
from agnews_cli.workflows.launch.plans import LaunchPlan
from agnews_cli.workflows.train.scene import Request
from tests.servers.kaggle_kernels import USER, Behaviour, StandInKernels

ORDER = {
    "data": "sample:", "text_columns": [], "label_column": None, "limit_train": None,
    "budget_s": None, "seed": 0,
}  # fmt: skip
STEP_S = 60.0
STARTING_S = 300.0
SAMPLE = Path(presets.__file__).parents[2] / "sample"
BEGAN = datetime(2026, 11, 30, 8, tzinfo=UTC).timestamp()


@dataclass
class Clock:
    """Seconds since 1970, as the test has it; sleeping lets them pass."""

    at_s: float = BEGAN

    def __call__(self) -> float:
        return self.at_s

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at_s, UTC)

    def sleep(self, seconds: float) -> None:
        self.at_s += max(seconds, 0.001)


@dataclass
class PretendTraining:
    """What kernels do. `deaths`: after so many seconds the kernel of that number dies."""

    steps: int = 900
    deaths: dict[int, float] = field(default_factory=dict)
    spoil: Callable[[int, Behaviour], Behaviour] = lambda number, behaviour: behaviour
    reached: dict[str, int] = field(default_factory=dict)
    """By a kernel's name, the step of its newest checkpoint."""

    def __call__(self, order: Mapping[str, Any]) -> Behaviour:
        text = str(order["text"])
        lasts = re.search(r"--session-hours ([\d.]+)", text)
        number = int(str(order["slug"]).rpartition("-s")[2])
        assert lasts is not None
        sources = order.get("kernelDataSources", ())
        first = max((self.reached.get(each, 0) for each in sources), default=0)
        session_s = float(lasts[1]) * 3600
        dies_s = self.deaths.get(number, session_s)
        left = self.steps - first
        steps = min(left, max(0, int((min(session_s, dies_s) - STARTING_S) / STEP_S)))
        is_done, is_dead = steps == left, dies_s < session_s and steps < left
        self.reached[str(order["slug"])] = first + steps
        run = f"minilm-{str(order['slug']).rpartition('-s')[0][-10:]}"
        ends_s = STARTING_S + steps * STEP_S
        files = output(run, number, first + steps if steps else 0, is_done=is_done)
        said = {"exit_code": 0 if is_done else 75, "run": run, "lasted_s": ends_s}
        if not is_dead:
            files[REPORT] = json.dumps(said).encode()
        word = "ERROR" if is_dead else "COMPLETE"
        return self.spoil(number, Behaviour(ends_s, word, "it died" if is_dead else "", files))


def output(run: str, token: int, step: int, *, is_done: bool) -> dict[str, bytes]:
    """The files of a session's output: a store that was really written."""
    with tempfile.TemporaryDirectory() as work:
        here, there = Path(work, "runs"), Path(work, STORE)
        folder = runs.create(
            here, run, preset=presets.load("minilm"), dataset=_data(), seed=0,
            now=datetime.fromtimestamp(BEGAN, UTC), order=ORDER,
        )  # fmt: skip
        if step:
            draft = Draft(
                run=run, candidate="minilm", step=step, parent=None, token=token, writer="aaaa",
                why="interval", state={"step": step}, fingerprint={},
            )  # fmt: skip
            weights = random.Random(step).randbytes(2000)
            Checkpoints(folder.checkpoints / "minilm").save(draft, {"weights": weights})
        if is_done:
            (folder.path / "model").mkdir()
            (folder.path / "model" / "model.safetensors").write_bytes(
                random.Random(9).randbytes(50)
            )
            folder.evaluation.write_text("{}")
            folder.outcome.write_text('{"state": "completed"}')
            shutil.rmtree(folder.checkpoints, ignore_errors=True)
        Sync(Folder(there), folder, token=token, writer="aaaa").push()
        files = (path for path in sorted(there.rglob("*")) if path.is_file())
        return {path.relative_to(work).as_posix(): path.read_bytes() for path in files}


_found: list[Any] = []


def _data() -> Any:
    if not _found:
        _found.append(datasets.find(str(SAMPLE)))
    return _found[0]


# ---- the official client, in this process --------------------------------------------------------


@contextmanager
def client_at(kaggle: StandInKernels, monkeypatch: Any) -> Iterator[AskKaggle]:
    """Kaggle's client speaks to the stand-in; what the child would do is done here."""
    for name, value in {"KAGGLE_USERNAME": USER, "KAGGLE_KEY": "k" * 32}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("KAGGLE_API_TOKEN", raising=False)
    from kagglesdk import kaggle_env

    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, kaggle.url)
    import kaggle as client

    client.api.authenticate()
    monkeypatch.setattr(kaggle_quota, "ask", quota_in_process)
    yield in_process


def client_of(url: str) -> None:
    """The same for the rest of this process."""
    os.environ |= {"KAGGLE_USERNAME": USER, "KAGGLE_KEY": "k" * 32}
    from kagglesdk import kaggle_env

    kaggle_env._env_to_endpoint[kaggle_env.KaggleEnv.PROD] = url
    import kaggle as client

    client.api.authenticate()
    kaggle_quota.ask = quota_in_process


def in_process(call: str, *, timeout_s: float, **facts: Any) -> dict[str, Any]:
    order = json.loads(json.dumps({"call": call, **facts}))
    return json.loads(json.dumps(kaggle_client.answered(order)))


def quota_in_process(now: datetime, timeout_s: float = 5.0) -> kaggle_quota.KaggleAnswer:
    facts = kaggle_quota._asked()
    if "reason" in facts:
        return kaggle_quota.KaggleAnswer(reason=facts["reason"])
    return kaggle_quota.KaggleAnswer(tuple(kaggle_quota._readings(facts, now)))


def plan(ask: AskKaggle, clock: Clock, *, once: bool = False, **asked: Any) -> LaunchPlan:
    """`agnews launch kaggle --preset minilm`, by that clock."""
    request = Request.of(**{"preset": "minilm"} | asked)
    typed = ("--preset", "minilm")
    found = on_kaggle.prepare(request, typed=typed, once=once, ask=ask, now=clock.now)
    return replace(found, sleep=clock.sleep, waits=Waits(look_s=1800.0))
