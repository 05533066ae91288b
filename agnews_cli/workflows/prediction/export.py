"""A finished run, or a delivered model's folder, in a form that answers without torch."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agnews_cli.core.run.export import FORMS, NEEDED, Exported, Form, ToExport
from agnews_cli.core.run.job import Event
from agnews_cli.core.text.spelling import nearest
from agnews_cli.errors import ExtraMissing, ValueWrong
from agnews_cli.host import exporter
from agnews_cli.host.detect import detect
from agnews_cli.store.disk import drafts, space
from agnews_cli.store.disk.names import local
from agnews_cli.store.model import delivered
from agnews_cli.store.model.delivered import Delivered
from agnews_cli.workflows.prediction.predict import located
from agnews_cli.workflows.runs import history

SCHEMA = "agnews.export/1"
_TORCH = ("torch", "transformers")
_BYTES_A_PARAMETER = 4
_COPIES = 3.0
"""Of the weights on the disk at once, at most: in fp32, in the new form, and some room."""

Show = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """`out`: the new folder; None: one named after the model. `file`: rows to verify on; None:
    those that validated the run. `text_columns`: of that file."""

    run: str
    form: str
    out: Path | None = None
    file: str | None = None
    text_columns: tuple[str, ...] = ()
    store: Path | None = None


@dataclass(frozen=True, slots=True)
class ExportedModel:
    """What was written, and where."""

    of: str
    folder: Path
    exported: Exported

    def as_json(self) -> dict[str, Any]:
        """Schema `agnews.export/1` (docs/json.md)."""
        return {
            "schema": SCHEMA,
            "of": self.of,
            "folder": str(self.folder),
            "form": self.exported.form,
            "models": self.exported.members,
            "size_bytes": self.exported.size_bytes,
            "was_bytes": self.exported.was_bytes,
            "verified": self.exported.verified.as_json(),
            "warnings": list(self.exported.notes),
        }


def export(request: ExportRequest, show: Show) -> ExportedModel:
    """Write the folder, whole or not at all.

    Raises ValueWrong, ExtraMissing, what finding the model raises, FileThere, NoDiskSpace,
    CannotWrite, HubUnreachable, and what `host.exporter.export` raises.
    """
    form = _form(request.form)
    model = delivered.find(history.where(request.store), request.run)
    target = _target(request, model, form)
    drafts.require_free(target)
    require_modules(form)
    bases = {base.id: located(base) for base in delivered.bases_of(model)}
    space.require_space(target, int(_COPIES * _size_bytes(model)))
    machine = detect()
    with drafts.whole_folder(target) as draft:
        order = ToExport(
            model=str(model.folder.absolute()),
            bases=bases,
            form=form,
            target=str(draft),
            file=request.file,
            text_columns=request.text_columns,
        )
        exported = exporter.export(
            order,
            cpu_count=machine.cpu_count,
            kind=machine.accelerator.kind,
            show=show,
        )
    return ExportedModel(model.name, target, exported)


def _form(given: str) -> Form:
    for form in FORMS:
        if given == form:
            return form
    expected = f"one of {', '.join(FORMS)}{nearest(given, list(FORMS))}"
    raise ValueWrong(name="--to ", given=repr(given), expected=expected)


def _target(request: ExportRequest, model: Delivered, form: Form) -> Path:
    if request.out is not None:
        return local(request.out).absolute()
    return Path.cwd() / f"{model.name}-{form}"


def require_modules(form: Form) -> None:
    """Raises ExtraMissing."""
    needed = dict.fromkeys(_TORCH, "train") | dict(NEEDED[form])
    for module, extra in needed.items():
        if importlib.util.find_spec(module) is None:
            raise ExtraMissing(extra=extra, module=module)


def _size_bytes(model: Delivered) -> int:
    bases = sum(_BYTES_A_PARAMETER * base.parameters for base in delivered.bases_of(model))
    return delivered.size_bytes(model) + bases
