"""Texts of a request become what is sent back: counted, read as in training, labelled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from agnews_cli.core.serving.limits import ServingLimits
from agnews_cli.store.data import texts as sheets
from agnews_cli.store.model.delivered import Delivered
from agnews_cli.workflows.prediction.predict import best
from agnews_cli.workflows.serving.batches import Batches
from agnews_cli.workflows.serving.refused import RefusedRequest
from agnews_cli.workflows.serving.words import BatchAnswer, LabelledText, PredictAnswer

_SHOWN = 5
_MANY_CHARACTERS = 20_000
"""More are read in another thread, so that other requests are answered meanwhile."""


class Answering:
    """What `/predict` and `/batch` do."""

    def __init__(self, model: Delivered, batches: Batches, limits: ServingLimits) -> None:
        self._model, self._batches, self._limits = model, batches, limits

    async def predict(self, texts: Sequence[str]) -> PredictAnswer:
        """Raises RefusedRequest: 413, 422, 503."""
        said = await self._said(texts, self._limits.predict_texts, other="/batch takes more")
        labels = self._model.labels
        predictions = [
            LabelledText(
                label=labels[best(shares)],
                probability=max(shares),
                probabilities=dict(zip(labels, shares, strict=True)),
            )
            for shares in said
        ]
        return PredictAnswer(model=self._model.name, predictions=predictions)

    async def batch(self, texts: Sequence[str]) -> BatchAnswer:
        """Raises RefusedRequest: 413, 422, 503."""
        said = await self._said(texts, self._limits.batch_texts, other="send several batches")
        labels = self._model.labels
        return BatchAnswer(
            model=self._model.name,
            classes=list(labels),
            labels=[labels[best(shares)] for shares in said],
            probabilities=[list(shares) for shares in said],
        )

    async def _said(
        self, texts: Sequence[str], most: int, *, other: str
    ) -> Sequence[Sequence[float]]:
        if len(texts) > most:
            raise RefusedRequest(413, f"{len(texts):,} texts; at most {most:,}: {other}")
        if not texts:
            raise RefusedRequest(422, "there is no text")
        longest = max(map(len, texts))
        if longest > self._limits.characters:
            bound = f"at most {self._limits.characters:,}"
            raise RefusedRequest(413, f"a text of {longest:,} characters; {bound}")
        if sum(map(len, texts)) > _MANY_CHARACTERS:
            clean = await asyncio.to_thread(self._read, texts)
        else:
            clean = self._read(texts)
        return await self._batches.answers(clean)

    def _read(self, texts: Sequence[str]) -> Sequence[str]:
        items = list(sheets.in_memory(texts, self._model).items())
        bad = [(at, item.problem) for at, item in enumerate(items) if item.problem]
        if bad:
            shown = ", ".join(f"number {at} ({problem})" for at, problem in bad[:_SHOWN])
            raise RefusedRequest(422, f"texts without words: {shown}{', …' * (len(bad) > _SHOWN)}")
        return [item.text for item in items]
