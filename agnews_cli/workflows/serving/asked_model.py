"""The model's process, for one thread that asks it: started, started again where it dies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from agnews_cli.core.run.looked_at import LookedAt
from agnews_cli.errors import PredictorDied
from agnews_cli.host.predictor import Predictor, Probabilities
from agnews_cli.store.model.delivered import Delivered
from agnews_cli.workflows.prediction.predict import predictor

Answered = TypeVar("Answered")
_FIRST_TEXT = "The first text takes the longest."


class AskedModel:
    """`open` and `ask` belong to one thread, with which the process ends; `close` to any."""

    def __init__(self, model: Delivered) -> None:
        self._model = model
        self._worker: Predictor | None = None
        self._is_closed = False

    def open(self) -> None:
        """Load it, and let it answer once. Raises PredictorDied, ModelDamaged, PredictionTooLarge
        and what else the process puts into words."""
        self._started().ask([_FIRST_TEXT])

    def ask(self, texts: Sequence[str]) -> Probabilities:
        """The class probabilities of each, in order; once more where the process had died.

        Raises like `open`.
        """
        return self._twice(lambda worker: worker.ask(texts))

    def look(self, texts: Sequence[str]) -> tuple[LookedAt, ...]:
        """What of each its answer rests on. Raises like `open`."""
        return self._twice(lambda worker: worker.look(texts))

    def _twice(self, asked: Callable[[Predictor], Answered]) -> Answered:
        try:
            return asked(self._started())
        except PredictorDied:
            self._end()
            if self._is_closed:
                raise
        except BaseException:  # half an answer may be on its way
            self._end()
            raise
        try:
            return asked(self._started())
        except BaseException:
            self._end()
            raise

    def close(self) -> None:
        """End the process, also one that is loading or answering: whoever waits for it is told."""
        self._is_closed = True
        self._end()

    def _started(self) -> Predictor:
        if self._worker is None:
            self._worker = predictor(self._model)
        return self._worker

    def _end(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.__exit__()
