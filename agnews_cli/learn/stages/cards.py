"""Model cards, and the facts that a delivered folder needs to be used without its run.

A card is Markdown that other sites render and a YAML head that they read, and it holds names that
came with the data: each is on one line, without anything that Markdown or HTML would obey. Nothing
here names a folder of this machine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from agnews_cli.core.run import looks, model_index, recipes
from agnews_cli.core.run.dataset import Dataset
from agnews_cli.core.run.evaluation import Evaluation, Interval, SplitEvaluation
from agnews_cli.core.run.job import COUNTED, Candidate, TrainJob
from agnews_cli.core.run.long_texts import LongTexts
from agnews_cli.core.run.method import WordCounts
from agnews_cli.core.run.preset import Preset
from agnews_cli.learn.rows.reading import WhatWasRead
from agnews_cli.store.disk.files import write_text_atomically
from agnews_cli.store.model.delivered import digests_of
from agnews_cli.store.model.models import base_name, hub_id
from agnews_cli.store.settings.strict_yaml import Document, Refused

MODEL_SCHEMA = "agnews.model/1"
_LONGEST_NAME = 120
_LONGEST_REASON = 500
_FEW_ROWS = 20
_KINDS = {
    "finetune": "a fine-tuned transformer",
    "linear": WordCounts().title,
    "forest": WordCounts(classifier="random_forest").title,
    "embedding": "linear discriminant analysis of the sentence embeddings of a frozen transformer",
}


@dataclass(frozen=True, slots=True)
class CardMember:
    """One delivered model: its facts, its folder's name in the run, and its own figures."""

    facts: Candidate
    folder: str
    evaluation: Evaluation


def write(
    job: TrainJob, members: Sequence[CardMember], whole: Evaluation, read: WhatWasRead
) -> None:
    """`agnews.json` and a card in each member's folder, and the card of what they are together."""
    for member in members:
        write_member(job, member, read)
    card = run_card(job, members, whole, read)
    write_text_atomically(Path(job.folder) / "README.md", card)


def write_member(job: TrainJob, member: CardMember, read: WhatWasRead) -> None:
    """`agnews.json` and the card of one folder."""
    folder = Path(job.folder) / member.folder
    facts = model_facts(job, member.facts.kind, read.long_texts) | {"files": digests_of(folder)}
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    write_text_atomically(folder / "agnews.json", text)
    write_text_atomically(folder / "README.md", member_card(job, member, read))


def model_facts(job: TrainJob, kind: str, long_texts: LongTexts) -> dict[str, Any]:
    """`agnews.json`: what whoever predicts with one folder must know (docs/delivered.md)."""
    dataset = job.dataset
    return {
        "schema": MODEL_SCHEMA,
        "kind": kind,
        "labels": list(dataset.labels),
        "max_length": job.preset.training.max_length,
        **({} if kind == "linear" else long_texts.as_facts()),
        "text_columns": list(dataset.text_columns),
        "label_column": dataset.label_column,
        "cleaning": dataset.cleaning,
        "base": None if kind in COUNTED else hub_id(job.preset.model),
    }


# ---- cards --------------------------------------------------------------------------------------


def member_card(job: TrainJob, member: CardMember, read: WhatWasRead) -> str:
    """The card of one folder; with a head for the hub where it holds a Hugging Face model."""
    kind = member.facts.kind
    head = _head(job, member.evaluation) if kind == "finetune" else ""
    title = f"{escaped(member.facts.name)}: {len(job.dataset.labels)} classes of text"
    parts = [
        f"# {title}",
        _what(job, kind),
        _part_of(member.facts),
        "## How to use",
        _usage(job, [member], read.long_texts, is_run=False),
        *_body(job, member.evaluation, read, is_tuned=kind not in COUNTED),
    ]
    return head + "\n\n".join(part for part in parts if part) + "\n"


def run_card(
    job: TrainJob, members: Sequence[CardMember], whole: Evaluation, read: WhatWasRead
) -> str:
    """The card of what the run delivers: one model, or an average of several."""
    lines = [
        f"| `{m.folder}/` | {_what(job, m.facts.kind, is_short=True)} | {m.facts.weight:.1%} |"
        for m in members
    ]
    table = "\n".join(("| folder | what it is | share |", "| --- | --- | --- |", *lines))
    is_tuned = any(m.facts.kind not in COUNTED for m in members)
    parts = [
        f"# {len(job.dataset.labels)} classes of text, learnt from {escaped(job.dataset.name)}",
        "What is delivered answers with the average of its members' probabilities."
        if len(members) > 1
        else "One model is delivered.",
        table,
        "## How to use",
        _usage(job, members, read.long_texts, is_run=True),
        *_body(job, whole, read, is_tuned=is_tuned),
    ]
    return "\n\n".join(parts) + "\n"


def _head(job: TrainJob, evaluation: Evaluation) -> str:
    """The YAML that the hub reads (huggingface.co/docs/hub/model-cards)."""
    dataset, model = job.dataset, job.preset.model
    on_hub = dataset.train.form.format == "hub"
    base = hub_id(model)
    facts: dict[str, Any] = {"license": model.licence.lower()} if base else {}
    if base:
        facts |= {"base_model": base, "base_model_relation": "finetune"}
    facts |= {
        "library_name": "transformers",
        "pipeline_tag": "text-classification",
        "tags": ["text-classification", "agnews"],
        "metrics": ["accuracy", "f1"],
    }
    if on_hub:
        facts["datasets"] = [dataset.train.path]
    result = _result(dataset, evaluation)
    facts["model-index"] = [{"name": job.preset.name, "results": [result]}]
    return _head_of(facts)


def _head_of(facts: dict[str, Any]) -> str:
    text = yaml.safe_dump(facts, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{text}---\n\n"


def _result(dataset: Dataset, evaluation: Evaluation) -> dict[str, Any]:
    on_hub = dataset.train.form.format == "hub"
    hub_id = dataset.train.path if on_hub else None
    return model_index.result(plain(dataset.name), hub_id, evaluation)


def with_figures(card: str, evaluation: Evaluation, dataset: Dataset) -> str:
    """A card that is there, with the figures of another evaluation of the same model.

    What else it says stays as it is: how it was trained did not change, and people add to cards.
    """
    head, body = "", card
    if card.startswith("---\n") and "\n---\n" in card:
        text, _, body = card.removeprefix("---\n").partition("\n---\n")
        with suppress(Refused, LookupError, TypeError):  # people wrote it anew
            facts = Document.parse(text).data
            facts["model-index"][0]["results"] = [_result(dataset, evaluation)]
            text = _head_of(facts).removeprefix("---\n").partition("\n---\n")[0]
        head = f"---\n{text}\n---\n"
    split = evaluation.test or evaluation.validation
    shown = "\n".join((*figures(evaluation), "", *by_class(split, dataset)))
    body = re.sub(r"(?ms)^## Figures\n.*?(?=^## |\Z)", lambda _: f"## Figures\n\n{shown}\n\n", body)
    asked = "\n".join(_evaluated(evaluation))
    return head + re.sub(_EVALUATED, lambda _: asked, body)


def _what(job: TrainJob, kind: str, *, is_short: bool = False) -> str:
    method = job.preset.method
    said = method.title if isinstance(method, WordCounts) else _KINDS[kind]
    if kind not in COUNTED:
        said += f" ({escaped(base_name(job.preset.model))})"
    if is_short:
        return said
    labels = ", ".join(escaped(label) for label in job.dataset.labels[:30])
    more = f" and {len(job.dataset.labels) - 30} more" if len(job.dataset.labels) > 30 else ""
    return f"This is {said}. It answers with one of these classes: {labels}{more}."


def _part_of(facts: Candidate) -> str:
    if facts.weight >= 1:
        return ""
    return (
        f"It is one member of an average, with a share of {facts.weight:.1%}; the figures below "
        "are its own. The card of the whole lies one folder above."
    )


def _usage(
    job: TrainJob, members: Sequence[CardMember], long_texts: LongTexts, *, is_run: bool
) -> str:
    tuned = [m for m in members if m.facts.kind == "finetune"]
    network = job.preset.network.kind if job.preset.network is not None else None
    is_plain = len(members) == 1 and bool(tuned) and long_texts.is_usual and network is None
    where = "this folder"
    parts = []
    has_own = network is not None or any(m.facts.kind == "embedding" for m in members)
    if not long_texts.is_usual and has_own:
        parts.append(
            f"With agnews, in {where} (or give its path), for long texts are not cut:\n\n"
            + fenced(recipes.load("."))
        )
    elif is_plain:
        folder = members[0].folder if is_run else "."
        name = base_name(job.preset.model)
        on_base = recipes.on_base(job.preset.method.kind, folder, name)
        how = "`transformers` alone" if on_base is None else f"the base model {escaped(name)}"
        parts.append(
            f"With {how}, in {where} (or give its path):\n\n"
            + fenced(on_base or recipes.pipeline(folder))
        )
    else:
        code = recipes.average(
            [(m.facts.kind, m.folder if is_run else ".", m.facts.weight) for m in members],
            base=base_name(job.preset.model),
            is_alone=not is_run,
            method=job.preset.method.kind,
            long_texts=long_texts,
            length=job.preset.training.max_length,
            network=network,
        )
        parts.append(f"Without agnews, in {where} (or give its path):\n\n" + fenced(code))
    beside = _beside(job.preset) if tuned else None
    if beside is not None:
        folder = f"{tuned[0].folder}/{beside}" if is_run else beside
        parts.append(
            f"The weights hold the update ({job.preset.method.kind}) already. It alone lies in "
            f"`{folder}/`, for the unchanged base model:\n\n"
            + fenced(
                recipes.adapter(
                    folder,
                    base_name(job.preset.model),
                    len(job.dataset.labels),
                    is_on_hub=hub_id(job.preset.model) is not None,
                )
            )
        )
    columns = " and ".join(f"`{escaped(name)}`" for name in job.dataset.text_columns)
    joined = f"The model learnt from the column {columns}"
    if len(job.dataset.text_columns) > 1:
        joined = f"The model learnt from the columns {columns}, joined by a space"
    markup = (
        "" if job.dataset.cleaning == "none" else "; HTML tags and entities were taken out before"
    )
    parts.append(f"{joined}{markup}. `agnews predict FOLDER TEXT` does all this by itself.")
    return "\n\n".join(parts)


def _beside(preset: Preset) -> str | None:
    """The folder of what the method trained alone, beside the model."""
    from agnews_cli.learn import methods

    return methods.of(preset.method).beside


def fenced(code: str) -> str:
    """As Python in Markdown."""
    return f"```python\n{code.rstrip()}\n```"


def _body(
    job: TrainJob, evaluation: Evaluation, read: WhatWasRead, *, is_tuned: bool
) -> Iterator[str]:
    yield "## Figures"
    yield "\n".join(figures(evaluation))
    split = evaluation.test or evaluation.validation
    yield "\n".join(by_class(split, job.dataset))
    yield "## Data"
    yield "\n".join(_data(job, evaluation, read.rows))
    if is_tuned:
        yield "## Training"
        yield _settings(job)
    yield "## Limits"
    yield "\n".join(_limits(job, evaluation, read if is_tuned else None))
    yield "## Licence"
    yield licence(job, is_tuned=is_tuned)


def figures(evaluation: Evaluation) -> Iterator[str]:
    """A table of both splits, and what is to be known of its rows."""
    yield "| split | rows | accuracy | macro-F1 | log loss | calibration error |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, split in (("test", evaluation.test), ("validation", evaluation.validation)):
        if split is None:
            continue
        right = round(split.accuracy.value * split.rows)
        yield (
            f"| {name} | {split.rows:,} | {_interval(split.accuracy)}, {right:,} right "
            f"| {_interval(split.macro_f1)} | {max(0.0, split.loss):.4f} "
            f"| {split.calibration_error:.2%} |"
        )
    yield ""
    yield "In brackets: 95% intervals (accuracy: Wilson; macro-F1: parametric bootstrap)."
    if evaluation.validation.chose:
        yield "The validation rows also chose the model, so their figures are optimistic."
    test, best = evaluation.test, evaluation.best_of
    if test is not None and evaluation.look is not None:
        as_best = ""
        if best is not None:
            of, between = evaluation.look.looks, f"{best.low:.2%} to {best.high:.2%}"
            as_best = f"; as the best of {of:,} its accuracy has the 95% interval {between} (Šidák)"
        yield f"The figures on test rows are {looks.words(evaluation.look)}{as_best}."
    if test is None:
        yield "There was no test split: nothing here was measured on rows that chose nothing."
    elif test.rows_in_training:
        without = test.accuracy_without_them
        yield (
            f"{test.rows_in_training:,} of {test.rows:,} test rows are also training rows"
            + (f"; without them accuracy is {without:.2%}." if without is not None else ".")
        )
    split = test or evaluation.validation
    if split.absent:
        yield f"Macro-F1 is over the {len(split.classes) - split.absent} classes with rows there."


def _interval(figure: Interval) -> str:
    return f"{figure.value:.2%} [{figure.low:.2%}, {figure.high:.2%}]"


def by_class(split: SplitEvaluation, dataset: Dataset) -> Iterator[str]:
    """A table of the classes."""
    yield "| class | training rows | evaluated rows | precision | recall | F1 |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for figures, rows in zip(split.classes, dataset.train.class_rows, strict=True):
        shares = (figures.precision, figures.recall, figures.f1)
        cells = " | ".join(f"{share:.2%}" if figures.rows else "–" for share in shares)
        yield f"| {escaped(figures.label)} | {rows:,} | {figures.rows:,} | {cells} |"


def _data(job: TrainJob, evaluation: Evaluation, trained_rows: int) -> Iterator[str]:
    dataset = job.dataset
    name = escaped(dataset.name)
    yield f"- Data set: {name}, {dataset.train.rows:,} usable training rows."
    held = evaluation.validation.rows
    if dataset.validation is not None:
        yield f"- Trained on {trained_rows:,} of them; validated on {held:,} rows of its own split."
    else:
        yield f"- Trained on {trained_rows:,} of them; validated on {held:,} others, held out."
    yield from _evaluated(evaluation)


_EVALUATED = r"(?m)^- Evaluated once on [\d,]+ test rows.*$|^- It has no test split\.$"
"""What `_evaluated` says."""


def _evaluated(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.test is not None:
        held_out = evaluation.test.held_out_of
        of = f", held out of {held_out:,} rows before anything was trained" if held_out else ""
        yield f"- Evaluated once on {evaluation.test.rows:,} test rows{of}."
    else:
        yield "- It has no test split."


def _settings(job: TrainJob) -> str:
    facts = {
        "seed": job.seed,
        "method": job.preset.method.model_dump(mode="json", exclude_defaults=True)
        | {"kind": job.preset.method.kind},
        "training": job.preset.training.model_dump(mode="json", exclude_none=True),
    }
    said = f"Preset {escaped(job.preset.name)}"
    if job.deadline_monotonic_s is not None:
        said += "; a time budget may have ended it earlier, or shortened its schedule"
    return f"{said}:\n\n```yaml\n{yaml.safe_dump(facts, sort_keys=False)}```"


_READS = {
    "cut": "the first {length} tokens of a text",
    "head_tail": "the first {first} and the last {last} tokens of a text with more than {length}",
    "windows": "a text in at most {most_windows} windows of {length} tokens, {overlap} of which "
    "two neighbours share; the {pooling} of their logits answers",
}


def _limits(job: TrainJob, evaluation: Evaluation, read: WhatWasRead | None) -> Iterator[str]:
    """`read`: by what was fine-tuned; None: nothing was."""
    dataset = job.dataset
    yield "- It gives every text one of its classes, also a text that belongs to none of them."
    yield "- The figures hold for texts like those it was evaluated on, and for no others."
    if read is not None:
        how, length = read.long_texts, job.preset.training.max_length
        said = _READS[how.how].format(length=length, **how.model_dump())
        yield f"- It reads {said}" + (f": {read.cut}." if read.cut else ".")
    for one in job.beyond:
        yield f"- Trained {escaped(one, _LONGEST_REASON)}."
    few = [
        n
        for n, rows in zip(dataset.labels, dataset.train.class_rows, strict=True)
        if rows < _FEW_ROWS
    ]
    if few:
        names = ", ".join(escaped(name) for name in few[:10]) + (", …" if len(few) > 10 else "")
        yield f"- Fewer than {_FEW_ROWS} training rows: {names}."
    if evaluation.test is None:
        yield "- No test split: expect less of new texts than the figures say."


def licence(job: TrainJob, *, is_tuned: bool) -> str:
    """Whose terms hold for the weights."""
    data = "The data's own licence holds for what was learnt from them."
    base = hub_id(job.preset.model)
    if not is_tuned:
        return f"No pretrained weights are in it. {data}"
    if base is None:
        return f"That of the base model {escaped(base_name(job.preset.model))}. {data}"
    return f"The base model {escaped(base)} is under {escaped(job.preset.model.licence)}. {data}"


# ---- names from outside -------------------------------------------------------------------------


def plain(text: str, longest: int = _LONGEST_NAME) -> str:
    """`text` on one line, without what cannot be seen, at most so many characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def escaped(text: str, longest: int = _LONGEST_NAME) -> str:
    """`plain(text)` as Markdown that shows it, in a table too: no link, no HTML, no emphasis."""
    return re.sub(r"([\\`*_{}\[\]()<>#!|~$&@:])", r"\\\1", plain(text, longest))
