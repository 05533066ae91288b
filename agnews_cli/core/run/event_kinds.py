"""What the lines of `events.jsonl` tell: each kind of event, when it comes, and its keys.

The one declaration of them: `docs/events.md` is generated from it, and a test compares it with
every place that tells an event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

EventKind = Literal[
    "session",
    "started",
    "phase",
    "progress",
    "work",
    "validated",
    "candidate",
    "saved",
    "resumed",
    "finding",
    "note",
    "warning",
    "ended",
]


@dataclass(frozen=True, slots=True)
class Telling:
    """When an event of one kind comes, and what each key of its `data` means."""

    when: str
    keys: Mapping[str, str]


_CANDIDATE, _STEPS = "the fine-tuning", "steps planned; a budget revises it"

EVENTS: Mapping[EventKind, Telling] = {
    "session": Telling(
        "A session of the run began; what comes before it is of others.",
        {"token": "its fencing number"},
    ),
    "started": Telling(
        "The worker began; each session has one.",
        {"pid": "its process", "world": "how many processes train"},
    ),
    "phase": Telling("What goes on from now.", {"name": "in words"}),
    "progress": Telling(
        "A fine-tuning goes on, or a model is asked about rows; every second or so.",
        {
            "candidate": "the fine-tuning, or `predictions`",
            "step": "optimizer steps done, or rows asked about",
            "total_steps": _STEPS,
            "examples": "rows seen, those of further passes too",
            "examples_per_s": "lately",
            "loss": "mean over the last steps; null where rows are asked about",
            "lr": "learning rate; null there too",
            "epoch": "which pass over the rows, from 0; null there too",
            "teacher_kl": "Kullback-Leibler divergence of its answers from its teacher's, nats a "
            "row of the last steps; null where it has none",
            "left_s": "until the last step, at this speed",
        },
    ),
    "work": Telling(
        "Rows are read, tokenised or predicted, every second.",
        {
            "name": "in words",
            "done": "rows",
            "total": "of so many; not where they are being counted",
            "per_s": "rows a second",
            "left_s": "seconds; where `total` is",
        },
    ),
    "validated": Telling(
        "A fine-tuning was validated.",
        {
            "candidate": _CANDIDATE,
            "step": "after this one",
            "loss": "of the validation rows, calibrated",
            "accuracy": "of the validation rows",
            "raw_loss": "of the validation rows as it stands, not calibrated",
            "train_loss": "of a sample of the rows that train, at most 256, asked like those",
            "train_accuracy": "of the same sample",
            "gradient_norm": "mean since the last validation, before clipping; null: none",
            "gradient_norm_most": "the largest of them",
            "update_rank": "effective rank of LoRA's updates, the mean over layers; null: none",
            "teacher_kl": "as in `progress`, of the validation rows; null where no teacher spoke "
            "of them",
            "best": "whether these weights are the best so far",
            "seconds": "that it took",
        },
    ),
    "candidate": Telling(
        "A model of the run is trained.",
        {
            "name": "of the candidate",
            "validation_accuracy": "of what it is at its best",
            "seconds": "that it took",
        },
    ),
    "saved": Telling(
        "A checkpoint is whole on the disk.",
        {
            "candidate": _CANDIDATE,
            "step": "that it holds",
            "why": "`interval`, `asked` or `final`",
            "bytes": "of all that it names",
            "seconds": "that saving took",
            "pause_s": "that training stood still",
            "cost_s": "that saving and sending cost training",
        },
    ),
    "resumed": Telling(
        "A fine-tuning goes on from a checkpoint.",
        {
            "candidate": _CANDIDATE,
            "checkpoint": "its name",
            "step": "that it holds",
            "total_steps": _STEPS,
            "changed": "what of code, libraries and machine is another than when it was saved",
        },
    ),
    "finding": Telling(
        "A guard of training found something.",
        {
            "check": "what it is of",
            "level": "`know` or `mend`",
            "text": "what was seen",
            "mend": "what would help",
        },
    ),
    "note": Telling("A decision, with its reason.", {"text": "in words"}),
    "warning": Telling("Something to look at.", {"text": "in words"}),
    "ended": Telling(
        "The worker ends; a killed one says nothing.",
        {"state": "`completed`, `paused`, `interrupted` or `failed`"},
    ),
}
