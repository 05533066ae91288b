"""What no run of ours made, taken into the store: a folder named by its name and its content.

So it is a member or a teacher like a run that is finished, travels with the store, and a file that
is moved or changed later changes nothing. It is no run: no list shows it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

from agnews_cli.core.graph.asked import Finished
from agnews_cli.core.run.dataset import Dataset
from agnews_cli.core.run.job import Outcome
from agnews_cli.core.run.state import RunState
from agnews_cli.core.run.taken import Answers, TakenPart, ToTakeIn
from agnews_cli.core.run.work import GIVEN
from agnews_cli.errors import CannotRead, FileMissing
from agnews_cli.host import figures
from agnews_cli.store.disk import files
from agnews_cli.store.disk.files import write_text_atomically
from agnews_cli.store.model import carried, delivered, models
from agnews_cli.store.run.runs import RunFolder

_DIGITS, _LONGEST = 10, 40


def answers(
    store: Path,
    tables: Mapping[TakenPart, Answers],
    data: Dataset,
    *,
    is_rehearsal: bool = False,
) -> Finished:
    """Files of probabilities; a rehearsal names them and writes nothing.

    Raises FileMissing, CannotRead, and what is wrong with what they say (ReportedError).
    """
    facts = {
        "labels": data.labels,
        "label_values": data.label_values,
        "text_columns": data.text_columns,
        "label_column": data.label_column,
        "cleaning": data.cleaning,
    }
    content = {part: (_sha256(t.path), t.only and _sha256(t.only)) for part, t in tables.items()}
    text = json.dumps([content, facts], sort_keys=True)
    name = next(iter(tables.values())).path
    folder = _folder(store, Path(name).stem, hashlib.sha256(text.encode()).hexdigest())
    if not folder.done() and not is_rehearsal:
        order = ToTakeIn.model_validate(
            facts | {"tables": dict(tables), "target": str(folder.path)}
        )
        figures.take_in(order)
        _finish(folder)
    return Finished(folder.id, has_model=False)


def model(store: Path, path: Path, *, is_rehearsal: bool = False) -> Finished:
    """A classifier in Hugging Face form, or a delivered model. Raises NotAModel, ModelNotReadable,
    ModelBringsCode, CannotRead, NoDiskSpace or CannotWrite."""
    found = delivered.of_folder(path.absolute())
    folder = _folder(store, path.absolute().name, models.contents(path))
    if not folder.done() and not is_rehearsal:
        carried.carry(found, folder.path)
        _finish(folder)
    return Finished(folder.id)


def _folder(store: Path, name: str, digest: str) -> RunFolder:
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower())[:_LONGEST].strip("-") or "model"
    return RunFolder(store / f"{GIVEN}{plain}-{digest[:_DIGITS]}")


def _finish(folder: RunFolder) -> None:
    """Last of all: what is there is whole."""
    outcome = Outcome(state=RunState.COMPLETED, done=(folder.id,))
    write_text_atomically(folder.outcome, outcome.model_dump_json())


def _sha256(path: str) -> str:
    try:
        with files.plain(Path(path), follows=True) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise FileMissing(path=path, hint="Check the path, or write the file again.") from None
    except OSError as error:
        raise CannotRead(path=path, reason=error.strerror or error) from error
