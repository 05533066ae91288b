"""What advice rests on, and what a piece of it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agnews_cli.core.advice.measured import MeasuredData
from agnews_cli.core.run.preset import Preset


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do, why, who says so, and the command that follows it."""

    topic: str
    text: str
    reason: str
    source: str
    command: str

    def as_json(self) -> dict[str, str]:
        return {
            "topic": self.topic,
            "text": self.text,
            "reason": self.reason,
            "source": self.source,
            "command": self.command,
        }


@dataclass(frozen=True, slots=True)
class SeveralModels:
    """A preset of several models that can be had and trained here."""

    name: str
    summary: str
    words: str
    """How many models and how long."""
    seconds: float | None
    """None: nobody knows how long."""
    note: str = ""
    """Of a student: how large its teacher is, and what is known of that."""


@dataclass(frozen=True, slots=True)
class AdviceSeen:
    """The data, the machine, and what fits it."""

    class_rows: tuple[int, ...]
    """Training rows of each class."""
    measured: MeasuredData | None
    why_not_measured: str
    """Empty where they were measured."""
    preset: Preset
    """Which one fits."""
    choice: tuple[str, ...]
    """Why it does, and what it takes, in words."""
    memory: str
    """Whether it fits the memory, in words; empty: not known."""
    memory_name: str
    """What `agnews fit` calls its model; empty where it does not know it."""
    has_lora: bool
    """Whether LoRA does anything for its model."""
    ensembles: tuple[SeveralModels, ...]
    """Those that fit, ours first."""
    students: tuple[SeveralModels, ...]
    left_s: float | None
    """Of this session; None: it has no end that is known."""
    command: Callable[[str, Sequence[str]], str]
    """`command("auto", ["--preset", "minilm"])`: what to type, with these data."""

    @property
    def rows(self) -> int:
        return sum(self.class_rows)

    def auto(self, *words: str) -> str:
        return self.command("auto", words)
