"""A delivery in another form: its transformers as graphs, all else as it is; verified, then said.

The new folder is a delivery like the old one, and the one predictor opens both: what is verified is
what will answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from agnews_cli.core.run.export import Exported, Form, ToExport
from agnews_cli.core.run.job import TrainJob
from agnews_cli.core.run.prediction import Member, MemberKind, Order
from agnews_cli.errors import NotExportable
from agnews_cli.learn.door.events import StopFlag
from agnews_cli.learn.door.notes import Notes
from agnews_cli.learn.graphs.write import LOADERS, write
from agnews_cli.learn.stages import export_card, export_check
from agnews_cli.learn.stages.cards import MODEL_SCHEMA
from agnews_cli.store.disk.files import write_text_atomically
from agnews_cli.store.model import carried, delivered
from agnews_cli.store.model.delivered import CARD, Delivered, digests_of

KINDS: dict[Form, MemberKind] = {"onnx": "onnx", "onnx-int8": "onnx", "openvino": "openvino"}


def make(order: ToExport, stop: StopFlag, told: Notes, trained: TrainJob | None = None) -> Exported:
    """Write into `order.target`, and verify what was written. `trained`: what made the model, where
    its own folder does not say where its rows lie here.

    Raises NotExportable, FormUnfit, ExportUnverified, ExportDiffers or ExportLoses, and what
    reading the model and the rows raises. What the folder then holds is not to be used.
    """
    found = delivered.at(Path(order.model))
    _require_exportable(found)
    rows = export_check.rows(order, found, stop, told, trained)
    whole = delivered.order_of(found, lambda base: order.bases[base.id])
    told.log("phase", name=f"writing {order.form}")
    target = Path(order.target)
    _write(found, whole, order.form, target)
    verified = export_check.verify(order, found, whole, rows, stop, told)
    export_card.write(order, found, target, verified)
    written = delivered.at(target)
    return Exported(
        form=order.form,
        classes=len(written.labels),
        members=len(list(_members(written))),
        size_bytes=delivered.size_bytes(written),
        was_bytes=delivered.size_bytes(found),
        verified=verified,
        notes=tuple(told.kept),
    )


def _require_exportable(found: Delivered) -> None:
    """Raises NotExportable."""
    kinds = {member.kind for member in _members(found)}
    if kinds & {"onnx", "openvino"}:
        raise NotExportable(path=found.folder, reason="it was exported already")
    if not kinds & LOADERS.keys():
        reason = "it is a linear model, which answers without torch as it is"
        raise NotExportable(path=found.folder, reason=reason)
    if not all(one.long_texts.is_usual for one in _each(found)):
        reason = "it does not cut long texts, and a graph by itself does"
        raise NotExportable(path=found.folder, reason=reason)


def _each(found: Delivered) -> Iterator[Delivered]:
    yield found
    for part in found.parts:
        yield from _each(part)


def _members(found: Delivered) -> Iterator[Member]:
    yield from found.members
    for part in found.parts:
        yield from _members(part)


def _write(found: Delivered, order: Order, form: Form, target: Path) -> None:
    """One model as a folder of its own; several as `delivery.json` and a folder for each."""
    target.mkdir(parents=True, exist_ok=True)
    if found.combiner is None and len(found.members) == 1:
        _write_member(found, order, found.members[0], form, target)
        return
    members = []
    for member in found.members:
        name = Path(member.folder).relative_to(found.folder).as_posix()
        (target / name).mkdir(parents=True)
        kind = _write_member(found, order, member, form, target / name)
        members.append({"name": member.name, "kind": kind, "folder": name, "share": member.share})
    answers: dict[str, object] = {"max_length": found.max_length, "members": members}
    if found.combiner is not None:
        names = [part.folder.relative_to(found.folder).as_posix() for part in found.parts]
        for name, part, of_part in zip(names, found.parts, order.parts, strict=True):
            _write(part, of_part, form, target / name)
        combiner = found.combiner.relative_to(found.folder).as_posix()
        _copy(found.combiner, target / combiner)
        answers = {"max_length": found.max_length, "parts": names, "combiner": combiner}
    delivered.write(target, found, **answers)


def _write_member(
    found: Delivered, order: Order, member: Member, form: Form, target: Path
) -> MemberKind:
    """Its kind now: that of a linear model is what it was."""
    if member.kind not in LOADERS:
        _copy(Path(member.folder), target)
        return member.kind
    write(member, order, form, target)
    kind = KINDS[form]
    facts = {"schema": MODEL_SCHEMA, "kind": kind, "form": form, "max_length": found.max_length}
    facts |= delivered.words_of(found) | {"base": None, "files": digests_of(target)}
    write_text_atomically(target / CARD, json.dumps(facts, indent=2, ensure_ascii=False))
    return kind


def _copy(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        if path.is_file() and not path.is_symlink():
            carried.copy(path, target / path.relative_to(source))
