"""What a tracker (TensorBoard, MLflow, Weights & Biases) is told of a run, and what it was told.

A tracker reads the run's events, which hold everything, and keeps one run of its own over all
sessions of ours. Of each series it takes steps that only grow: what a session does again after an
interruption, bit for bit the same, is not told twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict

from agnews_cli.core.run.job import Event
from agnews_cli.core.run.request import Tracker
from agnews_cli.core.text import strict_json

PROJECT: Final = "agnews"
"""What MLflow calls an experiment, and Weights & Biases a project."""
FOLDER: Final = "tracking"
"""In a store: what trackers keep on this disk."""

_SERIES: Mapping[str, Mapping[str, str]] = {
    "progress": {
        "loss": "loss",
        "lr": "lr",
        "epoch": "epoch",
        "examples_per_s": "examples_per_s",
        "teacher_kl": "teacher_kl",
    },
    "validated": {
        "loss": "validation_loss",
        "accuracy": "validation_accuracy",
        "raw_loss": "validation_raw_loss",
        "train_loss": "train_loss",
        "train_accuracy": "train_accuracy",
        "gradient_norm": "gradient_norm",
        "gradient_norm_most": "gradient_norm_most",
        "update_rank": "update_rank",
        "teacher_kl": "validation_teacher_kl",
    },
}
"""By kind of event and key of its data: the name of the series, behind that of the fine-tuning."""


class ToTrack(BaseModel):
    """An order to the process that tracks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tracker: Tracker
    name: str
    """Of the tracker's run: ours, and where that is trained anew a further one."""
    run: str
    """The run's folder."""
    place: str
    """The folder for what the tracker keeps on this disk."""
    settings: dict[str, str | int | float | bool | None]
    """What the run is made with, by dotted names."""


class Tracked(BaseModel):
    """What a run's folder remembers of one tracker, and takes along to other machines."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    sent: dict[str, int] = {}
    """The last step that it was told of each series."""


class TrackingNote(BaseModel):
    """What the process that tracks says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    is_warning: bool = False


class Point(NamedTuple):
    """Figures of one fine-tuning at one step."""

    tuning: str
    step: int
    figures: Mapping[str, float]
    """By series, such as `finetune/loss`."""
    at: str
    """When, in ISO form."""


def point(event: Event) -> Point | None:
    """The figures of an event; None where it has none of a step of training."""
    names, tuning = _SERIES.get(event.kind), event.data.get("candidate")
    step = strict_json.whole(event.data.get("step"))
    if names is None or not isinstance(tuning, str) or step is None:
        return None
    if event.kind == "progress" and event.data.get("loss") is None:  # rows are asked about
        return None
    figures = {
        f"{tuning}/{name}": value
        for key, name in names.items()
        if (value := strict_json.number(event.data.get(key))) is not None
    }
    return Point(tuning, step, figures, event.at) if figures else None


def news(found: Point, sent: Mapping[str, int]) -> Point | None:
    """Of a point what was not told; None where the fine-tuning was told of later steps."""
    own = f"{found.tuning}/"
    newest = max((step for series, step in sent.items() if series.startswith(own)), default=-1)
    if found.step < newest:
        return None
    figures = {s: v for s, v in found.figures.items() if found.step > sent.get(s, -1)}
    return found._replace(figures=figures) if figures else None
