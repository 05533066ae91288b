"""Everything that the next step depends on: copied as a whole, and put back as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from numpy.typing import NDArray
from torch import nn

from agnews_cli.core.run.work import SNAPSHOT, snapshot
from agnews_cli.learn.kinds.loss import Targets
from agnews_cli.learn.kinds.option import Option
from agnews_cli.learn.loop.position import Position
from agnews_cli.learn.state.saving import kept_in
from agnews_cli.learn.state.snapshot import (
    Kept,
    Misfit,
    Tensors,
    generator_tensors,
    on_host,
    optimizer_tensors,
    restore_generators,
    restore_optimizer,
    restore_weights,
    weights,
)
from agnews_cli.store.run.checkpoints import Saved

ANSWERS = "answers"


@dataclass(slots=True)
class State:
    """Of one fine-tuning, between two steps."""

    accelerator: Accelerator
    model: nn.Module
    """As accelerate made it ready."""
    optimizer: Any
    optimizer_keeps: Callable[[torch.Tensor], Mapping[str, Kept]]
    """`optimizers.kept`."""
    options: dict[str, Option]
    targets: Targets
    """Of all training rows."""
    seed: int
    position: Position = field(default_factory=Position)
    best: Tensors | None = None
    """The weights that validated best."""
    lowest: NDArray[np.float64] | None = None
    """Each validation row's loss where their mean was lowest."""
    answers: dict[str, NDArray[np.float32]] | None = None
    """What the trained model (`ANSWERS`) and its snapshots said of the validation rows, where that
    was all they were for."""
    snapshots: dict[int, Tensors] = field(default_factory=dict)
    """The weights at the end of each cycle that is over, by its number from 1."""

    @property
    def bare_model(self) -> Any:
        return self.accelerator.unwrap_model(self.model)

    def copied(self) -> dict[str, Tensors]:
        """Copies on the host of all tensors, by blob, but the generators."""
        optimizer = getattr(self.optimizer, "optimizer", self.optimizer)
        tensors = {
            "weights": on_host(weights(self.bare_model)),
            "optimizer": on_host(optimizer_tensors(self.bare_model, optimizer)),
        }
        for name, option in self.options.items():
            if state := option.state():
                tensors[name] = on_host(state)
        if self.targets.soft is not None:
            tensors["targets"] = {"targets": self.targets.soft}
        if self.lowest is not None:
            tensors["validation"] = {"lowest": torch.from_numpy(self.lowest)}
        tensors |= {snapshot(number): kept for number, kept in self.snapshots.items()}
        return tensors | ({"best": self.best} if self.best is not None else {})

    def every_generator(self) -> Tensors:
        """Of all processes, which must all ask."""
        world = self.accelerator.num_processes
        each: list[Any] = [on_host(generator_tensors())]
        if world > 1:
            mine, each = each[0], [None] * world
            torch.distributed.all_gather_object(each, mine)
        return {f"{rank}.{n}": t for rank, states in enumerate(each) for n, t in states.items()}

    def restore(self, saved: Saved, tensors: dict[str, Tensors]) -> None:
        """Raises Misfit when what was saved does not fit; this object is then of no use."""
        if ANSWERS in tensors:  # concluded: nothing is left to train
            self.position = Position.from_json(kept_in(saved.manifest.state, "position"))
            self.answers = {name: said.numpy() for name, said in tensors[ANSWERS].items()}
            return
        stateful = [name for name, option in self.options.items() if option.state()]
        for name in ["weights", "optimizer", "generators", *stateful]:
            if name not in tensors:
                raise Misfit(f"{saved.id} has no {name}")
        position = Position.from_json(kept_in(saved.manifest.state, "position"))
        optimizer = getattr(self.optimizer, "optimizer", self.optimizer)
        restore_weights(self.bare_model, tensors["weights"])
        restore_optimizer(self.bare_model, optimizer, tensors["optimizer"], self.optimizer_keeps)
        for name in stateful:
            self.options[name].restore(tensors[name])
        scaler = self.accelerator.scaler
        if scaler is not None and (state := saved.manifest.state.get("scaler")):
            scaler.load_state_dict(state)
        self.best = tensors.get("best")
        self.snapshots = {
            int(name.removeprefix(SNAPSHOT)): kept
            for name, kept in tensors.items()
            if name.startswith(SNAPSHOT)
        }
        if "targets" in tensors:
            self.targets = replace(self.targets, soft=tensors["targets"]["targets"])
        if "validation" in tensors:
            self.lowest = tensors["validation"]["lowest"].numpy()
        self.position = position
        self._restore_generators(tensors["generators"])

    def _restore_generators(self, every: Tensors) -> None:
        rank = self.accelerator.process_index
        mine = {
            name.partition(".")[2]: tensor
            for name, tensor in every.items()
            if name.partition(".")[0] == str(rank)
        }
        if mine:
            restore_generators(mine)
        else:  # more processes than before: generators of their own, a function of the position
            other = self.seed * 1_000_003 + self.position.step * 64 + rank
            set_seed(other % 2**32)

    def keep(self, snapshots: tuple[int, ...]) -> None:
        """The weights as they would be judged, for each of these cycles that is not kept yet."""
        if all(number in self.snapshots for number in snapshots):
            return
        with self.judged():
            now = on_host(weights(self.bare_model))
        self.snapshots |= dict.fromkeys(snapshots, now)

    @contextmanager
    def judged(self) -> Iterator[None]:
        """Within, the model holds what is to be validated."""
        with ExitStack() as options:
            for option in self.options.values():
                options.enter_context(option.judged())
            yield

    def deliver(self) -> None:
        """The model's weights become the best ones, or else what an option delivers, or stay."""
        if self.best is not None:
            restore_weights(self.bare_model, self.best, "best")
            return
        for name, option in self.options.items():
            if (delivered := option.delivered()) is not None:
                restore_weights(self.bare_model, delivered, name)
