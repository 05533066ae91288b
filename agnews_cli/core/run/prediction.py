"""What passes the door for prediction: an order and chunks of texts in, probabilities out.

Both ways go through pipes, one JSON object a line, so that no text ever lies on the disk. Order and
`Texts` go in; `Answer` lines come out, and after one with `rows` the probabilities themselves
follow: `rows` x classes numbers, float32 of this machine, row by row.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from agnews_cli.core.run.evaluation import Interval
from agnews_cli.core.run.job import CandidateKind, Failure
from agnews_cli.core.run.long_texts import CUT, LongTexts
from agnews_cli.core.run.looked_at import LookedAt

MemberKind = CandidateKind | Literal["onnx", "openvino"]
"""What was trained, or the graph that it was exported as."""


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Member(_Message):
    """One model of what was delivered, and its share in the average."""

    name: str
    kind: MemberKind
    folder: str
    share: float = 1.0
    digests: dict[str, str] = {}
    """SHA-256 of the files in its folder, by name, where they are known."""


class Order(_Message):
    """The first line: what is to be loaded. An ensemble has `parts` and a `combiner`, and no
    `members` of its own."""

    members: tuple[Member, ...] = ()
    labels: tuple[str, ...]
    columns: tuple[int, ...] = ()
    """Of a part, where its classes stand in another order than the whole's: which of its own is
    each of those. Empty: the same order."""
    max_length: int
    long_texts: LongTexts = CUT
    """How texts with more tokens are read."""
    base: str | None = None
    """The pretrained model that an adapter or embeddings need: a folder or a hub id."""
    parts: tuple[Order, ...] = ()
    combiner: str | None = None
    """The folder of what makes one answer of what the parts say."""


class Texts(_Message):
    """A chunk of clean texts. `classes`: the true class of each, -1 where it is not known."""

    texts: tuple[str, ...] = ()
    classes: tuple[int, ...] = ()
    is_look: bool = False
    """What answers rest on is asked for, and no probabilities: `looks` come, one for each text."""
    is_end: bool = False
    """No more texts: the worker answers with `figures` and ends."""


class Figures(_Message):
    """How the answers compare with the labels that the file has."""

    rows: int
    right: int
    accuracy: Interval
    macro_f1: Interval


class Answer(_Message):
    kind: Literal["progress", "rows", "looks", "end", "failure"]
    rows: int = 0
    """Of a chunk: how many are done (progress), or how many follow."""
    looks: tuple[LookedAt, ...] = ()
    figures: Figures | None = None
    failure: Failure | None = None
    trace: str = ""
