"""`agnews check`: data looked at before anything is trained on them. Works on anybody's files.

What needs figures is measured in a process without torch (`learn/check_data`); what they mean say
the guards of the core. No model answers, so that no row is a look at the test split.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agnews_cli.core.guards import data as guards
from agnews_cli.core.guards.data_facts import SPLITS_IN_ORDER, DataFacts, ToCheck
from agnews_cli.core.guards.seen import DataSeen
from agnews_cli.core.machine.finding import Finding, must_mend
from agnews_cli.core.run.dataset import Dataset
from agnews_cli.core.run.request import Wish
from agnews_cli.errors import DataError
from agnews_cli.host import figures
from agnews_cli.store.data import datasets, repeats
from agnews_cli.store.disk.home import cache
from agnews_cli.store.settings import presets
from agnews_cli.workflows.check import cleaned
from agnews_cli.workflows.check.other_columns import other_columns
from agnews_cli.workflows.train import scene
from agnews_cli.workflows.train.single import located

SCHEMA = "agnews.check/1"
_ENCODER = "minilm"
"""The preset whose encoder says what means the same: sentence embeddings, 22 M weights."""


@dataclass(frozen=True, slots=True)
class DataCheck:
    """What was found, and what was measured for it."""

    dataset: Dataset
    facts: DataFacts
    findings: tuple[Finding, ...]
    copy: cleaned.CleanedCopy | None

    @property
    def is_true(self) -> bool:
        """Whether figures on these data would mean what they say."""
        return not must_mend(self.findings)

    def as_json(self) -> dict[str, Any]:
        """Schema `agnews.check/1` (docs/json.md)."""
        facts = self.facts.model_dump(mode="json", exclude={"removals"})
        return {
            "schema": SCHEMA,
            "data": self.dataset.name,
            "labels": list(self.dataset.labels),
            "true_figures": self.is_true,
            "findings": [finding.as_json() for finding in self.findings],
            "split_rows": facts["split_rows"],
            "repeats": facts["repeats"],
            "shifts": facts["shifts"],
            "suspects": facts["suspects"],
            "giveaways": facts["giveaways"],
            "copy": self.copy and self.copy.as_json(),
        }


def check(
    wish: Wish,
    *,
    is_quick: bool = False,
    asks_meanings: bool = False,
    fix: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> DataCheck:
    """Look at the data that `wish` names. `fix`: a new folder for a copy that is cleaned.

    Raises what reading data raises, FileThere and CannotWrite.
    """
    folder = None if fix is None else cleaned.require_free(fix)
    hub = scene.asked_once()
    whole = replace(wish, test_share=0.0)  # nothing is held out of what is looked at
    dataset = _found(whole, hub)
    encoder = None
    if asks_meanings:
        encoder = located(presets.load(_ENCODER), hub).path_or_id
    say(f"Looking at {sum(_rows(dataset).values()):,} rows{'' if is_quick else ' …'}")
    order = _order(dataset, is_quick=is_quick, encoder=encoder, wants_rows=folder is not None)
    facts = figures.check_data(order)
    found = guards.findings(_seen(dataset, facts, wish.data or dataset.name))
    copy = None if folder is None else cleaned.write(dataset, facts, folder)
    return DataCheck(dataset, facts, found, copy)


def of_dataset(dataset: Dataset, source: str, *, is_quick: bool) -> DataCheck:
    """The same of data that were read before, such as those of a run. `source`: what a command
    takes for them. Raises what reading them again raises."""
    order = _order(dataset, is_quick=is_quick, encoder=None, wants_rows=False)
    facts = figures.check_data(order)
    return DataCheck(dataset, facts, guards.findings(_seen(dataset, facts, source)), None)


def _found(whole: Wish, hub: Callable[[], bool]) -> Dataset:
    """The data; what helps where they are refused is said for a check, not for a training."""
    try:
        return scene.find_data(whole, hub, datasets.nobody, reading=whole.reading)[0]
    except DataError as error:
        held_out = f" --test-share {whole.test_share}"
        error.advice = error.advice.replace("agnews auto", "agnews check").replace(held_out, "")
        raise


def _order(dataset: Dataset, *, is_quick: bool, encoder: str | None, wants_rows: bool) -> ToCheck:
    kept = datasets.RowCache.of(cache()).rows(dataset)
    is_kept = set(kept) == set(_rows(dataset))
    return ToCheck(
        rows={split: str(path) for split, path in kept.items()} if is_kept else {},
        dataset=None if is_kept else dataset,
        labels=dataset.labels,
        is_quick=is_quick,
        encoder=encoder,
        wants_rows=wants_rows,
    )


def _rows(dataset: Dataset) -> dict[str, int]:
    files = {split: dataset.file(split) for split in SPLITS_IN_ORDER}
    return {split: file.rows for split, file in files.items() if file is not None}


def _seen(dataset: Dataset, facts: DataFacts, source: str) -> DataSeen:
    warnings = tuple(w for w in dataset.warnings if not repeats.is_told_better(w))
    tuned = (p for p in presets.load_all() if p.method.kind == "full")
    return DataSeen(
        facts=facts,
        labels=dataset.labels,
        class_rows=dataset.train.class_rows,
        text_columns=dataset.text_columns,
        columns=other_columns(dataset),
        reader_warnings=warnings,
        trained=tuple((preset.name, preset.model.parameters) for preset in tuned),
        source=shlex.quote(source),
    )
