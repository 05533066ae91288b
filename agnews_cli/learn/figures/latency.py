"""How fast an opened delivery answers: texts one by one, and many in batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from agnews_cli.core.run.latency import Latency
from agnews_cli.store.disk.files import write_text_atomically

NAME = "latency.json"
_BATCH_ROWS, _MOST_TEXTS, _LEAST_TEXTS, _MOST_S = 256, 30, 5, 1.0


def measure(
    answer: Callable[[Sequence[str]], object],
    texts: Sequence[str],
    machine: str | None,
    *,
    rows_per_s: float | None = None,
) -> Latency | None:
    """`machine`: what answers, None: several processes together. `rows_per_s`: in batches, where it
    was measured. None where there is nothing to ask, or several answer."""
    if not len(texts) or machine is None:
        return None
    step = max(1, len(texts) // _MOST_TEXTS)
    alone = [texts[at] for at in range(0, len(texts), step)][:_MOST_TEXTS]
    answer(alone[:1])  # the first one is slower, whatever it is
    if rows_per_s is None:
        many = [texts[at] for at in range(min(_BATCH_ROWS, len(texts)))]
        rows_per_s = len(many) / _seconds(answer, many)
    took: list[float] = []
    for text in alone:
        took.append(_seconds(answer, [text]))
        if sum(took) > _MOST_S and len(took) >= _LEAST_TEXTS:
            break
    return Latency(
        one_text_s=round(median(took), 6),
        rows_per_s=round(rows_per_s, 2),
        texts=len(took),
        machine=machine,
    )


def write(folder: Path, found: Latency | None) -> None:
    """What an earlier evaluation measured goes in any case. Raises CannotWrite or NoDiskSpace."""
    if found is None:
        (folder / NAME).unlink(missing_ok=True)
    else:
        write_text_atomically(folder / NAME, found.model_dump_json(indent=2))


def _seconds(answer: Callable[[Sequence[str]], object], texts: Sequence[str]) -> float:
    began_s = time.perf_counter()
    answer(texts)
    return max(1e-9, time.perf_counter() - began_s)
