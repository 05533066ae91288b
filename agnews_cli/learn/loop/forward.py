"""Forward passes: batches on their way to the device, and class probabilities of many rows."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from agnews_cli.learn.door.memory import give_back, is_of_memory
from agnews_cli.learn.door.xla import is_xla
from agnews_cli.learn.models import hidden
from agnews_cli.learn.rows.batches import Indices, by_length
from agnews_cli.learn.rows.shapes import Shapes
from agnews_cli.learn.rows.tokens import Tokens


class Processes(Protocol):
    """Those that share the rows: accelerate's `Accelerator`, or `Alone`."""

    @property
    def device(self) -> torch.device: ...
    @property
    def process_index(self) -> int: ...
    @property
    def num_processes(self) -> int: ...
    def autocast(self) -> AbstractContextManager[None]: ...


@dataclass(frozen=True, slots=True)
class Alone:
    """One process, in fp32."""

    device: torch.device
    process_index: int = 0
    num_processes: int = 1

    def autocast(self) -> AbstractContextManager[None]:
        return nullcontext()


def predict(
    model: nn.Module,
    tokens: Tokens,
    pad_id: int,
    processes: Processes,
    batch_tokens: int,
    *,
    autocast: bool = True,
    check: Callable[[], None] = lambda: None,
    told: Callable[[int], None] = lambda rows: None,
) -> np.ndarray:
    """Class probabilities, (rows, classes) float32, in the rows' order; all processes return all.

    Of a row's windows the logits become one (`tokens.pooling`), and one answer. `told` hears how
    many rows this process has done.

    With `autocast` off the pass is fp32 and does not depend on the training precision: anyone who
    loads the delivered files gets the same numbers.
    """

    is_whole = tokens.first is None

    def ask(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        logits = model(**batch).logits.float()
        return torch.softmax(logits, -1) if is_whole else logits

    facts = (model, tokens, pad_id, processes, batch_tokens, ask)
    said = _each_passage(*facts, autocast=autocast, check=check, told=told)
    return said if is_whole else _softmax(tokens.pooled(said, tokens.pooling))


def predict_with_hidden(
    model: nn.Module,
    tokens: Tokens,
    pad_id: int,
    processes: Processes,
    batch_tokens: int,
    *,
    classes: int,
    check: Callable[[], None] = lambda: None,
    told: Callable[[int], None] = lambda rows: None,
) -> tuple[np.ndarray, np.ndarray]:
    """The same in fp32, and the model's last hidden states, (rows, width) float32: their mean over
    a text's tokens, of length 1; of windows the mean of those."""
    is_whole = tokens.first is None

    def ask(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        answer = model(**batch, **hidden.WANTED)
        inside = hidden.last_of(answer, batch["attention_mask"]).float()
        logits = answer.logits.float()
        of_classes = torch.softmax(logits, -1) if is_whole else logits
        return torch.cat([of_classes, torch.nn.functional.normalize(inside, dim=-1)], -1)

    facts = (model, tokens, pad_id, processes, batch_tokens, ask)
    both = _each_passage(*facts, autocast=False, check=check, told=told)
    of_classes, inside = both[:, :classes], both[:, classes:]
    if is_whole:
        return of_classes, inside
    said = _softmax(tokens.pooled(of_classes, tokens.pooling))
    return said, hidden.of_length_1(tokens.pooled(inside, "mean"))


def _softmax(logits: np.ndarray) -> np.ndarray:
    found: np.ndarray = torch.softmax(torch.from_numpy(logits), -1).numpy()
    return found


def _each_passage(
    model: nn.Module,
    tokens: Tokens,
    pad_id: int,
    processes: Processes,
    batch_tokens: int,
    ask: Callable[[dict[str, torch.Tensor]], torch.Tensor],
    *,
    autocast: bool,
    check: Callable[[], None],
    told: Callable[[int], None],
) -> np.ndarray:
    """What `ask` says of each batch, (passages, numbers), put together."""
    lengths = tokens.lengths
    model.eval()
    mine: list[tuple[Indices, np.ndarray]] = []
    done = 0
    most = max(batch_tokens, least_tokens(processes.device))
    shapes = Shapes(most, int(lengths.max())) if is_xla(processes.device) else None
    if shapes is None:
        batches = by_length(lengths, batch_tokens=most)
    else:
        batches = shapes.cut(np.argsort(lengths, kind="stable"), lengths)[::-1]
    with torch.inference_mode() if shapes is None else torch.no_grad():
        for passages in batches[processes.process_index :: processes.num_processes]:
            check()
            with processes.autocast() if autocast else nullcontext():
                mine += _fitting(tokens, passages, pad_id, processes.device, ask, shapes)
            done += tokens.rows_begun(passages)
            told(done)
    if processes.num_processes > 1:
        gathered: list[Any] = [None] * processes.num_processes
        torch.distributed.all_gather_object(gathered, mine)
        mine = [pair for share in gathered for pair in share]
    out = np.empty((len(lengths), mine[0][1].shape[1]), dtype=np.float32)
    for passages, numbers in mine:
        out[passages] = numbers
    return out


def _fitting(
    tokens: Tokens,
    passages: Indices,
    pad_id: int,
    device: torch.device,
    ask: Callable[[dict[str, torch.Tensor]], torch.Tensor],
    shapes: Shapes | None,
) -> list[tuple[Indices, np.ndarray]]:
    """What `ask` says of these passages: at once, or in halves where memory does not suffice."""
    try:
        batch = tokens.batch(passages, pad_id)
        if shapes is not None:
            batch = shapes.padded(batch, pad_id)
        said = ask(on_device(batch, device))
        return [(passages, said.cpu().numpy()[: len(passages)])]
    except (RuntimeError, MemoryError) as error:
        if len(passages) == 1 or shapes is not None or not is_of_memory(error):
            raise
    give_back()
    half = len(passages) // 2
    halves = (passages[:half], passages[half:])
    return [pair for part in halves for pair in _fitting(tokens, part, pad_id, device, ask, None)]


def least_tokens(device: torch.device) -> int:
    """Of a pass without gradients: as many thousands as a card has GiB, 16 at most.

    1,024 tokens keep a large card waiting for Python (an H200 did); what more of them gain there is
    unmeasured.
    """
    if device.type != "cuda":
        return 1024
    size_gib = torch.cuda.get_device_properties(device).total_memory // 2**30
    return 1024 * min(max(1, int(size_gib)), 16)


def on_device(batch: dict[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    if device.type != "cuda":
        return {name: tensor.to(device) for name, tensor in batch.items()}
    return {n: t.pin_memory().to(device, non_blocking=True) for n, t in batch.items()}
