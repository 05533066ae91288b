"""What passes the door for an export: an order goes in; events, and what came of it, come out.

Both ways are JSON, one object a line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict

from agnews_cli.core.run.comparison import Comparison
from agnews_cli.core.run.job import Event, Failure
from agnews_cli.core.run.work import Form as Form

FORMS: tuple[Form, ...] = get_args(Form)
NEEDED: Mapping[Form, Mapping[str, str]] = {
    "onnx": {"onnxruntime": "export", "onnx": "export"},
    "onnx-int8": {"onnxruntime": "export", "onnx": "export"},
    "openvino": {"openvino": "openvino", "onnx": "export"},
}
"""The modules that make each form and answer in it, and the extra that brings each."""
MOST_APART = 1e-4
"""Between a probability of the model and of what was exported in fp32."""
MOST_LOST = 0.003
"""Of the accuracy, by INT8."""


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ToExport(_Message):
    """What is exported, into which folder, and on which rows it is verified."""

    model: str
    """The folder of a run, or of a delivered model."""
    bases: dict[str, str] = {}
    """The pretrained models that it needs besides, by id: where each lies, a folder or a hub id."""
    form: Form
    target: str
    """An empty folder."""
    file: str | None = None
    """Rows to verify on; None: those that validated the run."""
    text_columns: tuple[str, ...] = ()
    """Of `file`; none: as in training."""


class Verified(_Message):
    """What was exported beside the fp32 model, on the same rows."""

    rows: int
    are: Literal["validation", "given"]
    """The rows that validated the run, or those of a file."""
    most_apart: float
    """The largest difference of a probability."""
    flips: int
    """Rows to which the two give another class."""
    comparison: Comparison | None
    """Of `exported` and `fp32`, paired; None where the rows have no labels."""

    @property
    def lost(self) -> float | None:
        """Of the accuracy, by exporting; below 0 where it was gained."""
        return None if self.comparison is None else -self.comparison.differences[0].accuracy.value

    def as_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude={"comparison"}) | {
            "comparison": self.comparison and self.comparison.as_json()
        }


class Exported(_Message):
    """What lies in the folder now."""

    form: Form
    classes: int
    members: int
    """How many models answer for a text."""
    size_bytes: int
    """Of the files that answer."""
    was_bytes: int
    """Of those of the model that was exported."""
    verified: Verified
    notes: tuple[str, ...] = ()


class ExportAnswer(_Message):
    """One line of what the process says; the last is an end or a failure."""

    kind: Literal["event", "end", "failure"]
    event: Event | None = None
    exported: Exported | None = None
    failure: Failure | None = None
    trace: str = ""
