"""A combiner: a module of `learn.combiners`, named by its `kind` in `core.run.combiner`, with

- `EXAMPLES`: some of its settings, for the suite that tests every combiner;
- `LEARNS`: whether it needs rows with their classes;
- `fit(how, said, classes, seed) -> Fitted`: what it learns from rows that no member has seen.
  `said`: members' probabilities, (members, rows, classes); `classes`: (rows,). The order of members
  decides nothing but the order of what is learnt;
- `apply(fitted, said) -> (rows, classes)`: of a row by itself, whatever other rows are there
  (`auto` has none: it returns what another kind learnt).

Nothing here imports torch, and nothing heavy before it is used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.text import strict_json
from agnews_cli.errors import ModelDamaged
from agnews_cli.store.disk.files import read_plain

Said = NDArray[np.floating]
"""(members, rows, classes): each row of each member adds up to 1."""
Classes = NDArray[np.integer]

_FACTS, _ARRAYS = "combiner.json", "combiner.safetensors"
_FORMAT = 2
_MOST = 100_000
_MOST_FACTS_BYTES, _MOST_FILE_BYTES = 16_000_000, 1 << 30
_LEAST_TEMPERATURE, _MOST_TEMPERATURE = 0.01, 100.0
NEGLIGIBLE = 1e-3
"""A member of less weight is left out: its answers cost more than they change."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a combiner learnt: plain data, which its kind's `apply` knows to read."""

    kind: str
    members: int
    classes: int
    weights: tuple[float, ...] | None = None
    """Of each member, together 1; None where they have no one weight for all rows."""
    temperature: float = 1.0
    """Its answer's p becomes p^(1/temperature), adding up to 1 again."""
    why: str = ""
    """What should be said of how it came to this."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What JSON can hold."""
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    """In the form of the library that made them; none of these forms runs code."""

    @property
    def needed(self) -> tuple[int, ...]:
        """The members that must be asked."""
        if self.weights is None:
            return tuple(range(self.members))
        return tuple(n for n, weight in enumerate(self.weights) if weight > 0)

    def pruned(self) -> Fitted:
        """The same, to be asked about the `needed` members alone."""
        if self.weights is None:
            return self
        kept = tuple(self.weights[n] for n in self.needed)
        return replace(self, members=len(kept), weights=kept)

    # ---- in a folder -----------------------------------------------------------------------------

    def write(self, folder: Path) -> None:
        """JSON, safetensors, and files; the same bytes each time."""
        from safetensors.numpy import save

        files = dict(self.files)
        if self.arrays:
            whole = {name: np.ascontiguousarray(self.arrays[name]) for name in sorted(self.arrays)}
            files[_ARRAYS] = save(whole)
        facts = {
            "format": _FORMAT,
            "kind": self.kind,
            "members": self.members,
            "classes": self.classes,
            "weights": self.weights,
            "temperature": self.temperature,
            "why": self.why,
            "facts": dict(self.facts),
            "sha256": {name: _digest(files[name]) for name in sorted(files)},
        }
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _FACTS).write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
        for name, content in files.items():
            (folder / name).write_bytes(content)


def read(folder: Path) -> Fitted:
    """What `Fitted.write` wrote. Raises ModelDamaged where it is something else.

    Digests are compared before any library sees a file: some end the process at one that is cut.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        held = strict_json.mapping(read_plain(folder / _FACTS, _MOST_FACTS_BYTES))
        if held["format"] != _FORMAT:
            raise ValueError(f"format {held['format']} is not known; update agnews")
        files = {name: _whole(folder / Path(name).name, d) for name, d in held["sha256"].items()}
        arrays = files.pop(_ARRAYS, None)
        fitted = Fitted(
            kind=str(held["kind"]),
            members=int(held["members"]),
            classes=int(held["classes"]),
            weights=None if held["weights"] is None else tuple(map(float, held["weights"])),
            temperature=float(held["temperature"]),
            why=str(held["why"]),
            facts=dict(held["facts"]),
            arrays={} if arrays is None else load(arrays),
            files=files,
        )
        _require(fitted)
    except (
        OSError,
        SafetensorError,
        ArithmeticError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
        reason = str(error) if str(error) else type(error).__name__
        raise ModelDamaged(path=folder, reason=reason) from error
    return fitted


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _whole(path: Path, digest: str) -> bytes:
    content = read_plain(path, _MOST_FILE_BYTES)
    if _digest(content) != digest:
        raise ValueError(f"{path.name} is not what was written")
    return content


def _require(fitted: Fitted) -> None:
    weights = fitted.weights
    if not _LEAST_TEMPERATURE <= fitted.temperature <= _MOST_TEMPERATURE:
        raise ValueError(f"the temperature {fitted.temperature} is none")
    if not (0 < fitted.members < _MOST and 0 < fitted.classes < _MOST):
        raise ValueError(f"{fitted.members} members and {fitted.classes} classes")
    if weights is not None:
        if len(weights) != fitted.members:
            raise ValueError(f"{len(weights)} weights of {fitted.members} members")
        if not all(0 <= weight <= 1 for weight in weights) or abs(sum(weights) - 1) > 1e-6:
            raise ValueError("the weights are none")
    if not all(np.isfinite(array).all() for array in fitted.arrays.values()):
        raise ValueError("it holds what is no number")


# ---- what several kinds share --------------------------------------------------------------------


def of_weights(
    kind: str, said: Said, weights: NDArray[np.floating] | Sequence[float], why: str = ""
) -> Fitted:
    """A kind whose weights are the same for all rows; negligible ones become 0."""
    shares = np.asarray(weights, dtype=np.float64)
    shares = np.where(shares < NEGLIGIBLE / len(shares), 0.0, shares)
    shares = shares / shares.sum()
    return Fitted(kind, len(said), said.shape[2], tuple(float(s) for s in shares), why=why)


def weighted_mean(fitted: Fitted, said: Said) -> NDArray[np.float64]:
    """`apply` of a kind whose weights are the same for all rows.

    Summed member by member, so that a row's answer is the same bits in any company.
    """
    assert fitted.weights is not None
    total = np.zeros(said.shape[1:])
    for weight, one in zip(fitted.weights, said, strict=True):
        if weight > 0:
            total += weight * one
    return total


def mean(said: Said) -> NDArray[np.float64]:
    """(rows, classes)."""
    total = np.zeros(said.shape[1:])
    for one in said:
        total += one
    return total / len(said)


def certainty(said: Said) -> NDArray[np.float64]:
    """How sure each member is of each row, (members, rows): 1 less its entropy as a share of the
    most there can be."""
    nats = np.zeros(said.shape[:2])
    for number in range(said.shape[2]):
        each = said[..., number].astype(np.float64)
        nats -= each * np.log(each + 1e-12)
    return np.clip(1 - nats / np.log(max(2, said.shape[2])), 0.0, 1.0)


def mixed(shares: NDArray[np.float64], said: Said) -> NDArray[np.float64]:
    """The mean by weights of each row; shares: (members, rows), together 1 in each row."""
    total = np.zeros(said.shape[1:])
    for share, one in zip(shares, said, strict=True):
        total += share[:, None] * one
    return total
