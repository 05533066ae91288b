"""What fits into a budget: a model's speed is measured, and what predicting takes is kept back."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from agnews_cli.core.run.job import COUNTED, Candidate
from agnews_cli.learn.loop.forward import predict
from agnews_cli.learn.rows import material
from agnews_cli.learn.rows.tokens import Tokens
from agnews_cli.learn.stages.prepare import Prepared

# Longer texts are worth their time when each row is still seen about once.
_LEAST_PASSES_LONGER = 1.0
# A step costs so many forward passes in its precision (measured on MiniLM: 2.5 to 3.4).
_STEP_OVER_FORWARD = 3.3
_MEASURED_TOKENS = 8192
_WARM_UP_ROWS, _ROWS_AT_LEAST, _MEASURED_S = 16, 32, 2.0
# A test split is predicted whole up to this size; of a larger one what this share of the time lets.
_TEST_ROWS_AT_LEAST, _TEST_SHARE = 10_000, 0.2


@dataclass(slots=True)
class InTime:
    """Of one model of a job."""

    rows: Prepared
    _found: dict[tuple[int, bool], float] = field(default_factory=dict)

    def reserve_s(
        self,
        row_s: float,
        there: Sequence[Candidate],
        *,
        test_rows_at_least: int = _TEST_ROWS_AT_LEAST,
        is_validated: bool = False,
    ) -> float:
        """What predicting takes: each model the test rows once, and this one the held rows unless
        it `is_validated`."""
        models = 1 + sum(facts.kind not in COUNTED for facts in there)
        in_time = max(0, int(_TEST_SHARE * self.rows.setting.budget.left_s / row_s))
        asked = min(self.rows.setting.job.test_rows, max(test_rows_at_least, in_time))
        held = 0 if is_validated else len(self.rows.held_classes)
        return 1.05 * row_s * (asked * models + held) + 1.0

    def passes(self, spare_s: float, model: Any) -> float:
        """How often each row can be trained on in that time."""
        step_row_s = _STEP_OVER_FORWARD * self.seconds_per_row(model, autocast=True)
        rows = len(self.rows.material.classes) + len(self.rows.material.unlabelled)
        return spare_s / (step_row_s * rows)

    def fit_length(self, model: Any, there: Sequence[Candidate]) -> None:
        """Keep as many tokens as leaves time to see each row, and no fewer than the preset's."""
        rows, setting = self.rows, self.rows.setting
        wanted, floor = rows.training.max_length, setting.job.preset.training.max_length
        if wanted <= floor or rows.long_texts.how == "windows":  # shorter ones read as much
            return
        full = rows.full.train.full
        assert full is not None
        rows.keep(floor)
        row_s = self.seconds_per_row(model, autocast=False)
        passes_at_floor = self.passes(1.0, model)  # in a second
        for length in (n for n in sorted({wanted, *material.LENGTHS}, reverse=True) if n <= wanted):
            longer = np.minimum(full, length).sum() / np.minimum(full, floor).sum()
            spare_s = setting.budget.left_s - self.reserve_s(row_s * longer, there)
            passes = setting.agreed(spare_s * passes_at_floor / longer)
            if length <= floor or passes >= _LEAST_PASSES_LONGER:
                rows.keep(max(length, floor))
                break
        if rows.training.max_length < wanted:
            setting.told.note(
                f"{wanted} tokens of a text would be kept with more time; "
                f"{rows.training.max_length} fit into the budget"
            )

    def seconds_per_row(self, model: Any, *, autocast: bool) -> float:
        """Seconds a row of a forward pass, in fp32 or the training precision; asked once of each
        length of text."""
        key = (self.rows.training.max_length, autocast)
        if key not in self._found:
            accelerator, most = self.rows.setting.accelerator, self.rows.training.batch_tokens
            self._found[key] = self.row_s(
                lambda tokens: predict(
                    model, tokens, self.rows.pad_id, accelerator, most, autocast=autocast
                )
            )
        return self._found[key]

    def row_s(self, ask: Callable[[Tokens], object]) -> float:
        """Seconds a row of what `ask` does, after a warm-up: over 128 rows, or fewer where texts
        are long or the model is slow."""
        tokens = self.rows.tokens.validation
        most = max(8, min(128, int(_MEASURED_TOKENS * len(tokens.classes) / len(tokens.ids))))
        rows = np.random.default_rng(0).permutation(len(tokens.classes))[:most]

        def timed(count: int) -> float:
            sample = tokens.take(rows[:count])
            began_s = time.monotonic()
            ask(sample)
            return (time.monotonic() - began_s) / len(sample.classes)

        in_time = _MEASURED_S / timed(_WARM_UP_ROWS)
        return timed(int(self.rows.setting.agreed(max(_ROWS_AT_LEAST, in_time))))
