"""What came out of a command: the run that was asked for, finished."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agnews_cli.core.run.evaluation import Evaluation
from agnews_cli.core.run.job import Event, Outcome, ReaderLeft
from agnews_cli.errors import CannotWrite, CheckpointDamaged, NoDiskSpace
from agnews_cli.store.disk import files
from agnews_cli.store.run import runs
from agnews_cli.workflows.prediction import submission
from agnews_cli.workflows.prediction.submission import Submission
from agnews_cli.workflows.runs import looks_taken
from agnews_cli.workflows.runs.history import where
from agnews_cli.workflows.sessions.couriers import Note
from agnews_cli.workflows.train import afterwards
from agnews_cli.workflows.train.plans import Campaign, Plan


@dataclass(frozen=True, slots=True)
class Result:
    """A finished run."""

    plan: Plan | Campaign
    folder: runs.RunFolder
    outcome: Outcome
    evaluation: Evaluation
    wall_s: float
    was_there: bool
    """Whether the run was finished before this command."""
    submission: Submission | None = None
    """What was predicted for a competition."""

    @property
    def use(self) -> afterwards.Use:
        store = self.plan.scene.store
        return afterwards.use(self.folder, store=None if store == where(None).absolute() else store)

    def as_json(self) -> dict[str, Any]:
        """Schema `agnews.result/1` (docs/json.md)."""
        return self.plan.as_json(self.outcome.state) | {
            "wall_s": round(self.wall_s, 2),
            "was_there": self.was_there,
            "candidates": [c.model_dump() for c in self.outcome.candidates],
            "evaluation": self.evaluation.as_json(),
            "why": self.outcome.why,
            "warnings": list(afterwards.warnings(self)),
            "use": self.use.as_json(),
            "better": list(afterwards.better(self)),
            "submission": self.submission.as_json() if self.submission else None,
            "files": {
                "model": str(self.folder.model) if self.folder.model.exists() else None,
                "delivery": str(self.folder.path / "delivery.json"),
                "card": str(self.folder.path / "README.md"),
                "evaluation": str(self.folder.evaluation),
                "predictions": str(self.folder.predictions)
                if self.folder.predictions.exists()
                else None,
                "events": str(self.folder.events),
                "log": str(self.folder.log),
            },
        }


def result_of(
    plan: Plan | Campaign,
    folder: runs.RunFolder,
    outcome: Outcome,
    show: Callable[[Event], None],
    *,
    was_there: bool,
) -> Result:
    """From the folder of the finished run; written into it too. Raises CheckpointDamaged."""
    evaluation = folder.evaluated()
    if evaluation is None:
        raise CheckpointDamaged(path=folder.evaluation, reason="is no evaluation")
    result = Result(
        plan=plan,
        folder=folder,
        outcome=outcome,
        evaluation=looks_taken.recounted(evaluation, folder.path.parent),
        wall_s=time.monotonic() - plan.scene.request.started_monotonic_s,
        was_there=was_there,
        submission=None if _is_part(plan) else _submission(plan, folder, show),
    )
    if not was_there:
        text = json.dumps(result.as_json(), indent=2, ensure_ascii=False)
        try:
            files.write_text_atomically(folder.path / "result.json", text)
        except (CannotWrite, NoDiskSpace) as error:  # the run is finished all the same
            note = Note(error.message, True).event(plan.scene.request.started_monotonic_s)
            with suppress(ReaderLeft):
                show(note)
    return result


def _is_part(plan: Plan | Campaign) -> bool:
    """Whether it is made for another result, which answers."""
    return isinstance(plan, Plan) and bool(plan.whole)


def _submission(
    plan: Plan | Campaign, folder: runs.RunFolder, show: Callable[[Event], None]
) -> Submission | None:
    """What a competition asks for: on Kaggle where a notebook's output is submitted from."""
    data = plan.scene.dataset
    if data.to_predict is None:
        return None
    place = plan.scene.store.parent if plan.scene.platform.name == "kaggle" else folder.path
    sample = Path(data.sample) if data.sample else None

    def tell(event: Event) -> None:
        with suppress(ReaderLeft):  # the answers are written all the same
            show(event)

    return submission.write(folder, data, sample, place / "submission.csv", show=tell)
