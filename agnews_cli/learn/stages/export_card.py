"""The card of what was exported: what it is, how it is used without torch, how near it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from agnews_cli.core.run import recipes
from agnews_cli.core.run.evaluation import Evaluation
from agnews_cli.core.run.export import Form, ToExport, Verified
from agnews_cli.core.run.work import Export, RunOutput
from agnews_cli.learn.stages import asked_rows
from agnews_cli.learn.stages.cards import escaped, fenced, figures, licence
from agnews_cli.learn.stages.ensemble_card import usage
from agnews_cli.store.disk.files import write_text_atomically
from agnews_cli.store.model import delivered
from agnews_cli.store.model.delivered import Delivered
from agnews_cli.store.run.runs import RunFolder

_RECORD = "export.json"
_SCHEMA = "agnews.exported/1"
FORMS: dict[Form, str] = {
    "onnx": "ONNX, in fp32",
    "onnx-int8": "ONNX, in INT8 (dynamic quantisation)",
    "openvino": "OpenVINO, in fp32",
}
_NEEDED: dict[Form, str] = {
    "onnx": "`onnxruntime`",
    "onnx-int8": "`onnxruntime`",
    "openvino": "`openvino`",
}


def write(
    order: ToExport,
    found: Delivered,
    target: Path,
    verified: Verified,
    own: Evaluation | None = None,
) -> None:
    """`README.md` and `export.json` into `target`. `own`: of what was exported, where it was
    evaluated itself; else the card has the figures of the model that was."""
    record: dict[str, object] = {"schema": _SCHEMA, "form": order.form, "of": escaped(found.name)}
    if found.is_run:
        with suppress(ValidationError):  # a folder that was given another name
            work = Export(model=RunOutput(run=found.name), form=order.form)
            record |= {"work": work.model_dump(mode="json")}
    record |= {"verified": verified.as_json()}
    text = json.dumps(record, indent=2, ensure_ascii=False)
    write_text_atomically(target / _RECORD, text + "\n")
    card = "\n\n".join(part for part in _parts(order, found, target, verified, own) if part) + "\n"
    write_text_atomically(target / "README.md", card)


def _parts(
    order: ToExport, found: Delivered, target: Path, verified: Verified, own: Evaluation | None
) -> Iterator[str]:
    job = next(asked_rows.trainings(Path(order.model)), None)
    learnt = f", learnt from {escaped(job.dataset.name)}" if job is not None else ""
    labels = ", ".join(escaped(label) for label in found.labels[:30])
    more = f" and {len(found.labels) - 30} more" if len(found.labels) > 30 else ""
    yield f"# {len(found.labels)} classes of text{learnt}: {FORMS[order.form]}"
    yield (
        f"This is {escaped(found.name)}, exported as {FORMS[order.form]}; torch is not needed. It "
        f"answers with one of these classes: {labels}{more}."
    )
    yield "## How to use"
    yield from _usage(order, found, target)
    yield "## Verified"
    yield _verified(order, verified)
    evaluation = own or _evaluation(Path(order.model))
    if evaluation is not None:
        yield "## Figures" if own else "## Figures of the model that was exported"
        yield "\n".join(figures(evaluation))
    yield "## Limits"
    yield "\n".join(_limits(found, evaluation))
    if job is not None:
        yield "## Licence"
        yield licence(job, is_tuned=True)


def _usage(order: ToExport, found: Delivered, target: Path) -> Iterator[str]:
    yield "On the command line: `agnews predict FOLDER TEXT`, with this folder's path."
    written = delivered.at(target)
    if written.combiner is not None or len(written.members) > 1:
        yield from usage(target)
    else:
        needed = f"{_NEEDED[order.form]}, `tokenizers` and `numpy` alone"
        yield f"In Python, with {needed}, in this folder:\n\n" + fenced(
            recipes.graph(written.members[0].kind)
        )
    yield (
        "`tokenizer.json` cuts a text where training did, and pads; the batch and the length of "
        "texts may be any."
        + (
            " In INT8 the numbers of a whole batch share a scale, so that a text's probabilities "
            "hang a little on its neighbours; `agnews predict` asks about each text alone."
            if order.form == "onnx-int8"
            else ""
        )
    )
    if found.cleaning != "none":
        yield "HTML tags and entities were taken out of the texts before."


def _verified(order: ToExport, found: Verified) -> str:
    which = "rows that validated the training" if found.are == "validation" else "given rows"
    lines = [
        f"Beside the model in fp32, on {found.rows:,} {which}: the largest difference of a "
        f"probability is {found.most_apart:.1e}, and {_rows(found.flips)} got another class."
    ]
    if found.comparison is not None:
        by_name = {one.name: one.accuracy.value for one in found.comparison.models}
        apart = found.comparison.differences[0]
        lines.append(
            f"Accuracy {by_name['exported']:.2%}, and {by_name['fp32']:.2%} in fp32: a difference "
            f"of {100 * apart.accuracy.value:+.2f} points (95%, paired: "
            f"{100 * apart.accuracy.low:+.2f} to {100 * apart.accuracy.high:+.2f})."
        )
    return "\n".join(lines)


def _rows(count: int) -> str:
    return f"{count:,} {'row' if count == 1 else 'rows'}"


def _evaluation(model: Path) -> Evaluation | None:
    for folder in (model, model.parent):
        if (folder / "job.json").is_file():
            return RunFolder(folder).evaluated()
    return None


def _limits(found: Delivered, evaluation: Evaluation | None) -> Iterator[str]:
    yield "- It gives every text one of its classes, also a text that belongs to none of them."
    yield f"- It reads the first {found.max_length} tokens of a text."
    if evaluation is not None and evaluation.test is None:
        yield "- No test split: expect less of new texts than the figures say."
