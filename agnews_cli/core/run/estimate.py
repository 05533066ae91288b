"""How long training will take, from speeds that were measured; None where nobody measured.

A speed is that of one model on one kind of device. Nothing is carried over to another model, to a
GPU or to more cores, and texts are taken to be as long as those measured (news items, about 52
tokens): the answer is a range, and says what it rests on.
"""

from __future__ import annotations

from dataclasses import dataclass

from agnews_cli.core.machine.accelerator import Accelerator, Kind
from agnews_cli.core.run.preset import Preset

_READ_ROWS_A_SECOND = 3_200.0
_TOKENS = 64
"""Of a row in a batch, as where speeds were measured."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Rows a second, trained once each: the slowest and the fastest that was measured."""

    model: str
    kind: Kind
    has_fast_bf16: bool
    slow: float
    fast: float
    machine: str
    source: str
    as_of: str


_MINILM = "sentence-transformers/all-MiniLM-L6-v2"
SPEEDS: tuple[Speed, ...] = (
    # Threads that sleep, and threads that spin.
    Speed(
        *(_MINILM, "cpu", True, 58, 91, "2 cores with AMX"),
        source="benchmarks/RESULTS.md",
        as_of="2026-11-23",
    ),
    # 9,500 rows, R-Drop: 3 epochs in 37 min in fp32 beside other work; 4 in 18 min 40 s in bf16.
    Speed(
        *(_MINILM, "cpu", False, 25, 68, "2 cores"),
        source="benchmarks/RESULTS.md",
        as_of="2026-11-25",
    ),
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Training from first to last step, without evaluation."""

    least_s: float
    most_s: float
    machine: str
    """What was measured on."""
    source: str
    as_of: str

    def words(self) -> str:
        """`11 to 33 min, as measured on 2 cores`."""
        return f"{_span(self.least_s, self.most_s)}, as measured on {self.machine}"


def passed(preset: Preset, rows: int) -> float:
    """How many rows pass through the model in the whole recipe, of so many training rows."""
    recipe = preset.training.of_steps(rows * _TOKENS / preset.training.batch_tokens)
    return preset.data.trained(rows) * recipe.passes


def training_time(preset: Preset, rows: int, accelerator: Accelerator) -> Estimate | None:
    """For `rows` of a training split, which validation rows are taken from."""
    speed = next((s for s in SPEEDS if _is_of(s, preset, accelerator)), None)
    if speed is None:
        return None
    passes = passed(preset, rows)
    least_s, most_s = passes / speed.fast, passes / speed.slow
    return Estimate(least_s, most_s, speed.machine, speed.source, speed.as_of)


def around_s(
    preset: Preset,
    read: int,
    predicted: int,
    accelerator: Accelerator,
    *,
    trained_row_s: float = 0.0,
) -> float:
    """Seconds for reading and tokenising `read` rows and asking the model about `predicted` ones.

    600,000 rows of 40 words took 186 s on two cores (2026-11-28); a row that is predicted passes
    forwards alone, which takes 0.3 of a step (benchmarks/RESULTS.md). `trained_row_s`: what a row
    of training takes, where this model's speed on such a device was not measured; 0 counts nothing.
    """
    speed = next((s for s in SPEEDS if _is_of(s, preset, accelerator)), None)
    row_s = 1.0 / speed.slow if speed else trained_row_s
    return read / _READ_ROWS_A_SECOND + 0.3 * predicted * row_s


def _is_of(speed: Speed, preset: Preset, accelerator: Accelerator) -> bool:
    return (
        (speed.model, speed.kind) == (preset.model.id, accelerator.kind)
        and preset.method.kind == "full"
        and speed.has_fast_bf16 == bool(accelerator.has_fast_bf16)
    )


def _span(least_s: float, most_s: float) -> str:
    for unit, unit_s in (("h", 3600), ("min", 60)):
        if most_s >= 2 * unit_s:
            least, most = (str(max(1, round(value / unit_s))) for value in (least_s, most_s))
            return f"{most} {unit}" if least == most else f"{least} to {most} {unit}"
    return f"at most {max(1, round(most_s)):.0f} s"
