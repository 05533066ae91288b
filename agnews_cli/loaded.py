"""A run's model in Python: `from agnews_cli import load; load("latest").predict(["your text"])`.

The same predictor as `agnews predict`: the model runs in a process of its own, which is started by
the first texts, stays for the next ones and ends with this process. Nothing of torch is imported
here.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agnews_cli.errors import PredictorDied, RowsWithoutText
from agnews_cli.host.predictor import Predictor
from agnews_cli.store.data import texts as sheets
from agnews_cli.store.model import delivered
from agnews_cli.store.model.delivered import Delivered
from agnews_cli.workflows.prediction.predict import CHUNK_ROWS, best, predictor
from agnews_cli.workflows.runs.history import where

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What a model says of n texts, in their order."""

    labels: tuple[str, ...]
    """The likeliest class of each text, (n,)."""
    probabilities: NDArray[np.float32]
    """(n, classes), in the order of `classes`; each row sums to one."""
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)


class LoadedModel:
    """A loaded model. `close` it, or use it as a context, to free its memory before the end."""

    def __init__(self, model: Delivered) -> None:
        self._model = model
        self._worker: Predictor | None = None
        self._turn = threading.Lock()

    @property
    def name(self) -> str:
        """The run's id, or the folder's name."""
        return self._model.name

    @property
    def folder(self) -> Path:
        return self._model.folder

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names, in the order of the columns of probabilities."""
        return self._model.labels

    def predict(self, texts: Iterable[str] | str) -> Predictions:
        """Label n texts, none included, read as in training; one alone may be given as it is.

        Raises RowsWithoutText where one is empty or no text, and PredictorDied, ModelDamaged or
        PredictionTooLarge where the model cannot answer.
        """
        import numpy as np

        held = [texts] if isinstance(texts, str) else list(texts)
        sheet = sheets.in_memory(held, self._model)
        if held:
            _refuse_bad(sheet)
        found = array("f")
        with self._turn:
            for chunk in _chunks([item.text for item in sheet.items()]):
                for shares in self._asked(chunk):
                    found.extend(shares)
        shape = (len(held), len(self.classes))
        probabilities = np.array(found, dtype=np.float32).reshape(shape)
        labels = tuple(self.classes[best(row)] for row in probabilities.tolist())
        return Predictions(labels, probabilities, self.classes)

    def _asked(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Once more where a process that was there before has ended: it goes with its thread."""
        was_there = self._worker is not None
        try:
            return self._started().ask(texts)
        except PredictorDied:
            self.close()
            if not was_there:
                raise
        except BaseException:  # half an answer may be on its way
            self.close()
            raise
        return self._asked(texts)

    def _started(self) -> Predictor:
        if self._worker is None:
            self._worker = predictor(self._model)
        return self._worker

    def close(self) -> None:
        """End the model's process; the next texts start another."""
        if self._worker is not None:
            self._worker.__exit__()
            self._worker = None

    def __enter__(self) -> LoadedModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<agnews model {self.name}: {', '.join(self.classes)}>"


def load(run: str | Path, store: str | Path | None) -> LoadedModel:
    """See `agnews_cli.load`."""
    return LoadedModel(delivered.find(where(None if store is None else Path(store)), str(run)))


def _refuse_bad(sheet: sheets.Sheet) -> None:
    try:
        sheets.refuse_bad(sheet, sheets.count(sheet))
    except RowsWithoutText as error:
        raise RowsWithoutText(**{**error.facts, "hint": "Leave them out, and ask again."}) from None


def _chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    return (texts[at : at + CHUNK_ROWS] for at in range(0, len(texts), CHUNK_ROWS))
