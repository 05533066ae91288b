"""What is kept of a run that stopped: said from what verifies on the disk, never from a wish.

The newest checkpoint is read, every byte, and set against the last step that anybody told of. How
far a worker that was killed had come is known only from its last report: then "at least" is said.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from agnews_cli.core.run.job import Outcome
from agnews_cli.core.text import strict_json
from agnews_cli.errors import CannotRead
from agnews_cli.store.run.checkpoints import Checkpoints, Saved
from agnews_cli.store.run.events import Events
from agnews_cli.store.run.runs import RunFolder


@dataclass(frozen=True, slots=True)
class Kept:
    """Of the fine-tuning that a run was at when it stopped."""

    step: int | None
    """Of its newest checkpoint that verifies; None: it has none."""
    total_steps: int | None
    candidate: str | None
    """Which fine-tuning; None where none had begun."""
    reached: int | None
    """The last step that was told of in this session; None where none was."""
    is_exact: bool
    """Whether `reached` is where training stood, and not only the last report of it."""
    others: tuple[str, ...] = ()
    """Fine-tunings before it of which a checkpoint verifies."""

    @property
    def lost_steps(self) -> int | None:
        """Steps that are done again, at least; None where nothing tells."""
        if self.reached is None:
            return 0 if self.is_exact else None
        return max(0, self.reached - (self.step or 0))

    @property
    def is_anything(self) -> bool:
        """Whether there is something to go on from."""
        return self.step is not None or bool(self.others)

    @property
    def sentence(self) -> str:
        """What is saved and what is lost, to be put after a semicolon."""
        return f"{self._saved()}{self._lost()}"

    def _saved(self) -> str:
        of = f" of {self.candidate}" if self.candidate and self.others else ""
        if self.step is not None:
            total = f" of {self.total_steps}" if self.total_steps else ""
            return f"step {self.step}{total}{of} is saved"
        if self.others:
            what = of.removeprefix(" of ") or "what came after"
            return f"nothing of {what} is saved yet, but {', '.join(self.others)} is"
        return "nothing is saved yet"

    def _lost(self) -> str:
        step, reached = self.step or 0, self.reached
        if self.step is not None and self.step == self.total_steps:
            return "; what came after training is done again"
        if reached is not None and reached > step:
            lost = reached - step
            if self.is_exact:
                return f"; {_steps(step, reached)} {'is' if lost == 1 else 'are'} lost"
            after = "what came after it is lost, " if step else ""
            return f"; {after}{_count(lost)} or more" + ("" if step else " are lost")
        if self.is_exact:
            return "; nothing is lost" if self.step is not None else ""
        return "; what came after it, if anything, is lost" if self.step is not None else ""

    def as_json(self) -> dict[str, Any]:
        """The field `saved` of an error (docs/json.md)."""
        return {
            "step": self.step,
            "total_steps": self.total_steps,
            "candidate": self.candidate,
            "reached": self.reached,
            "lost_steps": self.lost_steps,
            "is_exact": self.is_exact,
            "others": list(self.others),
        }


def _steps(after: int, last: int) -> str:
    return f"step {last}" if last == after + 1 else f"steps {after + 1} to {last}"


def _count(steps: int) -> str:
    return "1 step" if steps == 1 else f"{steps} steps"


def kept(run: RunFolder, outcome: Outcome | None = None) -> Kept:
    """What is saved of `run`; `outcome`: how this session's worker ended, where it said so."""
    told, saved = _told(run), _newest(run)
    candidate, reached, is_exact = told.candidate, told.reached, False
    if outcome is not None and outcome.tuning and candidate in (None, outcome.tuning):
        candidate, reached, is_exact = outcome.tuning, outcome.step, True
    if candidate is None and saved:
        candidate = max(saved, key=lambda name: _age(saved[name]))
    mine = saved.get(candidate or "")
    total = told.total_steps
    if mine is not None:
        total = _total(mine) or total
    return Kept(
        step=None if mine is None else mine.manifest.step,
        total_steps=total,
        candidate=candidate,
        reached=reached,
        is_exact=is_exact,
        others=tuple(name for name in sorted(saved) if name != candidate),
    )


def _newest(run: RunFolder) -> dict[str, Saved]:
    """Of each fine-tuning the newest checkpoint that verifies."""
    found = {}
    with suppress(OSError):
        for folder in run.checkpoints.iterdir():
            with suppress(CannotRead):
                newest, _ = Checkpoints(folder).newest()
                if newest is not None:
                    found[folder.name] = newest
    return found


def _age(saved: Saved) -> tuple[int, str, int]:
    return saved.key.token, saved.manifest.made_at, saved.key.step


def _total(saved: Saved) -> int | None:
    position = saved.manifest.state.get("position")
    return strict_json.whole(position.get("total_steps")) if isinstance(position, dict) else None


@dataclass(slots=True)
class _Told:
    """What the last session's events say of the fine-tuning that it was at."""

    candidate: str | None = None
    reached: int | None = None
    total_steps: int | None = None


def _told(run: RunFolder) -> _Told:
    told = _Told()
    for event in Events(run.events):
        data = event.data
        if event.kind in ("session", "started"):
            told = _Told()
        elif event.kind in ("progress", "resumed", "saved"):
            step, name = strict_json.whole(data.get("step")), data.get("candidate")
            if step is None or not isinstance(name, str):
                continue
            if name != told.candidate:
                told = _Told(name)
            told.reached = max(step, told.reached or 0)
            told.total_steps = strict_json.whole(data.get("total_steps")) or told.total_steps
    return told
