"""A head on frozen embeddings: for budgets that leave no time for fine-tuning."""

from __future__ import annotations

from agnews_cli.learn.models import embedding
from agnews_cli.learn.models.embedding import DType
from agnews_cli.learn.models.model import load_encoder, save_tokenizer
from agnews_cli.learn.rows.parts import limit_rows
from agnews_cli.learn.stages.prepare import Prepared
from agnews_cli.learn.stages.trained import Trained
from agnews_cli.store.model.models import base_name

_LEAST_ROWS = 400


def trained(
    prepared: Prepared, row_s: float, reserve_s: float, dtype: DType = "float32"
) -> Trained | None:
    """Fitted on as many rows as there is time for, and written; None where those are too few.

    `row_s`: what a forward pass of a row takes; `reserve_s`: what predicting takes afterwards, in
    the type of the encoder's weights that answers.
    """
    setting, job, material = prepared.setting, prepared.setting.job, prepared.material
    spare_s = setting.budget.left_s - 1.05 * reserve_s - 2.0
    rows = min(len(material.classes), int(setting.agreed(spare_s / (1.1 * row_s))))
    if rows < min(_LEAST_ROWS, len(material.classes)):
        return None
    setting.log("phase", name=f"embedding {rows} training rows")
    training = prepared.training
    encoder = embedding.in_type(load_encoder(job.model_path), dtype)
    kept = limit_rows(material.classes, rows, seed=job.seed)
    held = prepared.tokens.validation
    embedded = []
    for tokens, name in (
        (prepared.tokens.train.take(kept), "training"),
        (held, "validation"),
    ):
        embedded.append(
            embedding.embed(
                encoder,
                tokens,
                prepared.pad_id,
                batch_tokens=training.batch_tokens,
                check=setting.budget.check,
                told=setting.told.work(f"embedding {name} rows", len(tokens.classes)),
            )
        )
    head = embedding.EmbeddingHead.fit(embedded[0], material.classes[kept], dtype)
    folder = setting.folder / "embedding"
    head.save(folder, encoder=base_name(job.preset.model), max_length=training.max_length)
    save_tokenizer(prepared.tokenizer, training.max_length, folder)
    return Trained("embedding", folder, head.predict(embedded[1]), row_s)
