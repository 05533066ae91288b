"""How alike two runs are, file by file: `python -m agnews_cli.learn.liken_runs`. Without torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from agnews_cli.core.run.likeness import FileLiken, Likeness, ToLiken
from agnews_cli.core.run.work import VALIDATION
from agnews_cli.errors import AgnewsError
from agnews_cli.learn.combine import logits
from agnews_cli.learn.combine.logits import Logits
from agnews_cli.learn.door import answering
from agnews_cli.learn.figures.blend import softmax

_NO_WEIGHTS = frozenset({"predictions", "checkpoints", "leases", "stores"})
_SUFFIX = ".safetensors"


def likened(order: ToLiken) -> Likeness:
    """Raises OSError or SafetensorError for files that cannot be read."""
    one, two = Path(order.one), Path(order.two)
    ours, theirs = set(_weights(one)), set(_weights(two))
    rows = _answers(_said(one), _said(two))
    return Likeness(
        files=tuple(_file(name, one / name, two / name) for name in sorted(ours & theirs)),
        missing=tuple(sorted(ours ^ theirs)),
        **rows,
    )


def _weights(folder: Path) -> Iterator[str]:
    for path in folder.rglob(f"*{_SUFFIX}"):
        place = path.relative_to(folder)
        if place.parts[0] not in _NO_WEIGHTS:
            yield place.as_posix()


def _file(name: str, one: Path, two: Path) -> FileLiken:
    from safetensors import safe_open

    is_equal = one.read_bytes() == two.read_bytes()
    values, other, most = 0, 0, 0.0
    try:
        with safe_open(one, "numpy") as ours, safe_open(two, "numpy") as theirs:
            names = set(ours.keys())
            if names != set(theirs.keys()):
                return FileLiken(name=name, equal=False, values=0, other=None, most=None)
            for key in sorted(names):
                a, b = ours.get_tensor(key), theirs.get_tensor(key)
                if a.shape != b.shape:
                    return FileLiken(name=name, equal=False, values=0, other=None, most=None)
                apart = np.abs(a.astype(np.float64) - b.astype(np.float64))
                values, other = values + a.size, other + int((apart > 0).sum())
                most = max(most, float(apart.max(initial=0.0)))
    except TypeError:  # numbers that NumPy has not, such as bfloat16
        return FileLiken(name=name, equal=is_equal, values=values, other=None, most=None)
    # Bytes may differ in what describes the file alone.
    return FileLiken(name=name, equal=is_equal or not other, values=values, other=other, most=most)


def _said(folder: Path) -> Logits | None:
    try:
        return logits.read(folder / f"{VALIDATION}{_SUFFIX}")
    except AgnewsError:
        return None


def _answers(one: Logits | None, two: Logits | None) -> dict[str, int | float | None]:
    """Of the rows in their order, where both speak of the same."""
    if one is None or two is None or not np.array_equal(one.rows, two.rows):
        return {"rows": None, "same_answers": None, "most_probability": None}
    ours, theirs = (softmax(each.delivered.astype(np.float64)) for each in (one, two))
    return {
        "rows": len(ours),
        "same_answers": int((ours.argmax(1) == theirs.argmax(1)).sum()),
        "most_probability": float(np.abs(ours - theirs).max(initial=0.0)),
    }


if __name__ == "__main__":
    answering.answer(ToLiken, likened)
