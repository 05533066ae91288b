"""A finished model on changed texts, and a look inside: `python -m agnews_cli.learn.try_model`.

All answers come from the one predictor. The rows are those that validated it: no test row is read.
"""

from __future__ import annotations

import random
import resource
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.report.trials import ChangedTexts, Exchanged, SpeedNow, ToTry, Tried
from agnews_cli.core.run.evaluation import Interval
from agnews_cli.core.run.looked_at import LookedAt
from agnews_cli.core.run.work import VALIDATION
from agnews_cli.errors import NothingSaidOf
from agnews_cli.learn.combine import logits
from agnews_cli.learn.combine.logits import UNKNOWN
from agnews_cli.learn.door import answering
from agnews_cli.learn.figures import paired
from agnews_cli.learn.predictor import OpenedDelivery, open_delivery
from agnews_cli.learn.report.odd_rows import dataset_of, texts_by_digest
from agnews_cli.learn.trials import changes, pairs
from agnews_cli.learn.trials.changes import TextChange
from agnews_cli.learn.trials.inside import Inside

_EXAMPLES = 3
"""Rightly answered, and as many wrongly."""
_BATCH, _SINGLES, _BATCHES = 32, 15, 3
_NAMES = TextChange("pairs", "other names", "of another text of the class", lambda text, rng: text)


class HeldRows(NamedTuple):
    texts: list[str]
    classes: NDArray[np.int64]


def tried(order: ToTry) -> Tried:
    """Raises NothingSaidOf where the rows or their texts are gone, and what opening raises."""
    began_s = time.monotonic()
    rows = _rows(order)
    opened = open_delivery(order.order)
    speed = _speed(opened, rows.texts)
    said = opened(rows.texts)
    answers = said.argmax(1)
    changed: tuple[ChangedTexts, ...] = ()
    swapped: Exchanged | None = None
    seen: list[LookedAt] = []
    if order.changes_texts:
        changed = tuple(_changed(order, opened, rows, answers))
        swapped = _exchanged(order, opened, rows, answers)
    if order.looks_inside:
        chosen = _examples(rows, said, order.seed)
        labels = [order.order.labels[rows.classes[row]] for row in chosen]
        seen = Inside(order.order, opened)([rows.texts[row] for row in chosen], labels)
    picture = ""
    if changed and find_spec("matplotlib") is not None:
        from agnews_cli.learn.report import pictures

        picture = pictures.drops(changed, f"{order.prefix}-drops")
    return Tried(
        rows=len(rows.texts),
        seconds=time.monotonic() - began_s,
        speed=speed,
        accuracy=float((answers == rows.classes).mean()),
        changed=changed,
        exchanged=swapped,
        looked_at=tuple(seen),
        picture=picture,
    )


def _rows(order: ToTry) -> HeldRows:
    """So many of the rows that validated, by the seed."""
    folder = Path(order.folder)
    held = logits.read(folder / f"{VALIDATION}.safetensors")
    chosen = np.random.default_rng(order.seed).permutation(len(held.classes))[: order.rows]
    texts = texts_by_digest(folder, held.rows[chosen])
    found = [
        (text, int(held.classes[row]))
        for row in chosen
        if (text := texts.get(held.rows[row].tobytes())) and held.classes[row] != UNKNOWN
    ]
    if not found:
        hint = "The data have to lie where they lay when it was trained."
        raise NothingSaidOf(run=folder.name, rows="validation", hint=hint)
    return HeldRows([text for text, _ in found], np.asarray([number for _, number in found]))


# ---- changed texts ------------------------------------------------------------------------------


def _changed(
    order: ToTry, opened: OpenedDelivery, rows: HeldRows, answers: NDArray[np.int64]
) -> list[ChangedTexts]:
    each = [(way, changes.changed(way, rows.texts, order.seed)) for way in changes.WAYS]
    each.append((_NAMES, pairs.other_names(rows.texts, rows.classes, order.seed)))
    found = []
    for way, texts in each:
        where = [n for n, text in enumerate(texts) if text != rows.texts[n] and text.strip()]
        if where:
            at = np.asarray(where)
            now = opened([texts[n] for n in where]).argmax(1)
            found.append(_judged(way, answers[at], now, rows.classes[at], order.seed))
    return found


def _judged(
    way: TextChange, before: NDArray, now: NDArray, classes: NDArray[np.int64], seed: int
) -> ChangedTexts:
    apart = (before == classes).astype(np.int8) - (now == classes)
    low, high = paired.bootstrap(apart, seed=seed)
    drop = float(apart.mean())
    return ChangedTexts(
        level=way.level,
        name=way.name,
        what=way.what,
        rows=len(classes),
        before=float((before == classes).mean()),
        after=float((now == classes).mean()),
        drop=Interval(value=drop, low=min(low, drop), high=max(high, drop), method="bootstrap"),
        other=float((before != now).mean()),
        p=paired.mcnemar(apart),
    )


def _exchanged(
    order: ToTry, opened: OpenedDelivery, rows: HeldRows, answers: NDArray[np.int64]
) -> Exchanged | None:
    labels = order.order.labels
    texts, classes = _training_texts(order) or (rows.texts, rows.classes)
    words = pairs.telling_words(texts, classes, len(labels))
    made = []
    for row in np.flatnonzero(answers == rows.classes).tolist():
        rng = random.Random(f"{order.seed} pairs {rows.texts[row]}")
        found = pairs.exchanged(rows.texts[row], int(rows.classes[row]), words, rng)
        if found is not None:
            made.append((row, *found))
    if not made:
        return None
    now = opened([text for _, text, _ in made]).argmax(1)
    own = rows.classes[[row for row, _, _ in made]]
    other = np.asarray([number for _, _, number in made])
    shown = tuple((label, ", ".join(list(w)[:8])) for label, w in zip(labels, words, strict=True))
    return Exchanged(
        rows=len(made),
        left=float((now != own).mean()),
        moved=float((now == other).mean()),
        words=shown[:20],
    )


def _training_texts(order: ToTry) -> tuple[Sequence[str], NDArray[np.int64]] | None:
    from agnews_cli.errors import AgnewsError
    from agnews_cli.store.data import datasets

    data = dataset_of(Path(order.folder))
    if data is None or data.labels != order.order.labels:
        return None
    try:
        rows = datasets.read(data, "train")
    except (OSError, AgnewsError):
        return None
    return rows.texts, np.asarray(rows.classes, dtype=np.int64)


# ---- a look inside ------------------------------------------------------------------------------


def _examples(rows: HeldRows, said: NDArray[np.floating], seed: int) -> list[int]:
    """Those that it is most surely wrong of, and some that it is right of."""
    answers, sure = said.argmax(1), said.max(1)
    wrong = np.flatnonzero(answers != rows.classes)
    right = np.flatnonzero(answers == rows.classes)
    worst = wrong[np.argsort(-sure[wrong], kind="stable")][:_EXAMPLES]
    drawn = np.random.default_rng(seed).permutation(right)[:_EXAMPLES]
    return [int(row) for row in (*worst, *drawn)]


# ---- speed --------------------------------------------------------------------------------------


def _speed(opened: OpenedDelivery, texts: Sequence[str]) -> SpeedNow:
    many = [texts[n % len(texts)] for n in range(_BATCH)]
    opened(many)  # the first one is slower, whatever it is
    single = median(_seconds(opened, [texts[n % len(texts)]]) for n in range(_SINGLES))
    batch = median(_seconds(opened, many) for _ in range(_BATCHES))
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        memory, on = int(torch.cuda.max_memory_allocated()), str(torch.cuda.get_device_name())
    else:
        unit = 1 if sys.platform == "darwin" else 1024
        memory, on = unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, "the CPU"
    return SpeedNow(one_text_s=single, batch_s=batch, memory_bytes=memory, on=on)


def _seconds(opened: OpenedDelivery, texts: Sequence[str]) -> float:
    began_s = time.perf_counter()
    opened(texts)
    return time.perf_counter() - began_s


if __name__ == "__main__":
    answering.answer(ToTry, tried)
