"""Figures as the hub reads them from a card's head.

The form is `model-index` of github.com/huggingface/hub-docs/blob/main/modelcard.md.
"""

from __future__ import annotations

from typing import Any

from agnews_cli.core.run.evaluation import Evaluation


def result(data: str, hub_id: str | None, evaluation: Evaluation) -> dict[str, Any]:
    """One entry of `results`: of the test split, else of the rows that validated.

    `data`: what the data are called, on one line; `hub_id`: under which id they lie on the hub,
    where they do.
    """
    split = evaluation.test or evaluation.validation
    return {
        "task": {"type": "text-classification", "name": "Text classification"},
        "dataset": {
            "name": data,
            "type": hub_id or "other",
            "split": "test" if evaluation.test else "validation",
        },
        "metrics": [
            {"type": "accuracy", "name": "Accuracy", "value": round(split.accuracy.value, 6)},
            {"type": "f1", "name": "Macro-F1", "value": round(split.macro_f1.value, 6)},
        ],
    }
