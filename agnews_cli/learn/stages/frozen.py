"""A head on frozen embeddings: for budgets that leave no time for fine-tuning."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from agnews_cli.core.run.job import Candidate
from agnews_cli.learn.models import embedding
from agnews_cli.learn.models.embedding import DType
from agnews_cli.learn.models.model import load_encoder, save_tokenizer
from agnews_cli.learn.rows.parts import limit_rows
from agnews_cli.learn.rows.tokens import Tokens
from agnews_cli.learn.stages.in_time import InTime
from agnews_cli.learn.stages.prepare import Prepared
from agnews_cli.learn.stages.trained import Trained
from agnews_cli.store.model.models import base_name

_LEAST_ROWS = 400
# A better model is worth more than a narrower interval: so many give an accuracy to one point.
_ENOUGH_TEST_ROWS = 4000
# A moment's speed is not always kept up: over thousands of rows up to 1.35 times as long was seen.
_MARGIN = 1.2
_HELD_SHARE = 0.25
"""Of the time that is left, for the rows that validate: they come first, and tell the speed better
than a sample, which pays for what a first pass of each shape takes."""


def trained(prepared: Prepared, there: Sequence[Candidate]) -> Trained | None:
    """Fitted on as many rows as there is time for, and written; None where those are too few.

    The encoder has the machine's precision in its weights, which is faster than casting them each
    time, and answers in it; `there` are the candidates that predict the test rows too.
    """
    setting, job, material = prepared.setting, prepared.setting.job, prepared.material
    training, in_time = prepared.training, InTime(prepared)
    dtype: DType = "bfloat16" if setting.precision == "bf16" else "float32"
    encoder = embedding.in_type(load_encoder(job.model_path), dtype)

    def embedded(tokens: Tokens, told: Callable[[int], None] = lambda rows: None) -> Any:
        return embedding.embed(
            encoder,
            tokens,
            prepared.pad_id,
            batch_tokens=training.batch_tokens,
            check=setting.budget.check,
            told=told,
        )

    def heard(name: str, tokens: Tokens) -> Any:
        return embedded(tokens, setting.told.work(f"embedding {name} rows", len(tokens.classes)))

    held_s = in_time.row_s(embedded) * len(material.held_classes)
    if setting.agreed(held_s > _HELD_SHARE * setting.budget.left_s):
        return None
    began_s = time.monotonic()
    held = heard("validation", prepared.tokens.validation)
    row_s = (time.monotonic() - began_s) / len(held)
    reserve_s = in_time.reserve_s(
        row_s, there, test_rows_at_least=_ENOUGH_TEST_ROWS, is_validated=True
    )
    spare_s = setting.budget.left_s - reserve_s - 2.0
    rows = min(len(material.classes), int(setting.agreed(spare_s / (_MARGIN * row_s))))
    if rows < min(_LEAST_ROWS, len(material.classes)) or rows <= len(setting.labels):
        return None
    setting.log("phase", name=f"embedding {rows} training rows")
    kept = limit_rows(material.classes, rows, seed=job.seed)
    train = heard("training", prepared.tokens.train.take(kept))
    row_s = (time.monotonic() - began_s) / (len(train) + len(held))
    head = embedding.EmbeddingHead.fit(train, material.classes[kept], dtype)
    head, t = head.calibrated(held, material.held_classes)
    folder = setting.folder / "embedding"
    head.save(folder, encoder=base_name(job.preset.model), max_length=training.max_length)
    save_tokenizer(prepared.tokenizer, training.max_length, folder)
    return Trained("embedding", folder, head.predict(held), row_s, temperature=t)
