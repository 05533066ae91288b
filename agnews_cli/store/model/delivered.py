"""What `agnews predict` can use: a run's delivery, or a delivered model's folder anywhere.

A run says in `delivery.json` which members answer and what their texts were; older ones said the
latter in `job.json` alone. A model's folder says it in `agnews.json`; any other classifier in
Hugging Face form says its classes in `config.json`.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from agnews_cli.core.run.dataset import Cleaning, Dataset
from agnews_cli.core.run.long_texts import CUT, LongTexts
from agnews_cli.core.run.prediction import Member, MemberKind, Order
from agnews_cli.core.run.preset import Model
from agnews_cli.core.text import strict_json
from agnews_cli.errors import ModelNotReadable, NotAModel, RunUnfinished, RunUnknown
from agnews_cli.store.disk import files
from agnews_cli.store.disk.names import local
from agnews_cli.store.model import models
from agnews_cli.store.run import runs
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.settings import presets

_SCHEMA, _DELIVERY = "agnews.delivery/1", "delivery.json"
CARD = "agnews.json"
"""Lies in every delivered folder."""
METHOD, _ADAPTER = "method.json", "adapter_config.json"
"""One of both lies where a base model is needed: ours, or PEFT's."""
_LONGEST = 512
_MOST_BYTES = 16_000_000
_MOST_PARTS = 1000
_DEEPEST = 8
"""An ensemble of ensembles of …"""
_TEXT = "text"

Kind = TypeVar("Kind", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Delivered:
    """A model that answers, and how its texts and labels are written in files."""

    name: str
    folder: Path
    members: tuple[Member, ...]
    labels: tuple[str, ...]
    label_values: tuple[str, ...]
    """Each class as the training file spells it."""
    max_length: int
    text_columns: tuple[str, ...]
    long_texts: LongTexts = CUT
    """How texts with more than `max_length` tokens are read."""
    label_column: str | None = None
    id_column: str | None = None
    cleaning: Cleaning = "markup"
    base: Model | None = None
    """The pretrained model that a member needs besides its own files."""
    parts: tuple[Delivered, ...] = ()
    """The members of an ensemble, each a delivery of its own."""
    combiner: Path | None = None
    """The folder of what makes one answer of what the parts say."""
    is_run: bool = True
    says_columns: bool = True
    """Whether `text_columns` are those of training, and not the usual name."""

    @property
    def origin(self) -> str:
        """Where its columns' names come from, for messages."""
        return f"run {self.name}" if self.is_run else f"the model in {self.folder}"


class _Data(BaseModel):
    """How texts and labels are written; what others add later does no harm."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    label_values: tuple[str, ...] = ()
    text_columns: tuple[str, ...] = ()
    label_column: str | None = None
    id_column: str | None = None
    cleaning: Cleaning = "markup"


class _Words(_Data):
    """What both kinds of files say."""

    labels: tuple[str, ...] = Field(min_length=2)
    max_length: int = Field(ge=1)
    long_texts: LongTexts = CUT


class _Job(BaseModel):
    """Of `job.json`, whatever version of agnews wrote it, what prediction needs."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    dataset: _Data


class _DeliveredMember(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    kind: MemberKind
    folder: str
    share: float = Field(ge=0, le=1)


_Part = Annotated[str, StringConstraints(pattern=r"^members/[0-9a-z-]+$", max_length=100)]
"""A folder of its own, which lies in no other part's."""


class _Delivery(_Words):
    """`delivery.json`: members whose average answers, or the parts of an ensemble."""

    members: tuple[_DeliveredMember, ...] = Field((), max_length=_MOST_PARTS)
    parts: tuple[_Part, ...] = Field((), max_length=_MOST_PARTS)
    combiner: str | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> _Delivery:
        is_ensemble = bool(self.parts) and self.combiner is not None
        if is_ensemble == bool(self.members):
            raise ValueError("it should name members, or parts and a combiner")
        folders = [*self.parts, *(member.folder for member in self.members)]
        if len(set(folders)) < len(folders):  # each of many would be read as often
            raise ValueError("it names a folder twice")
        return self


class _Card(_Words):
    """`agnews.json`."""

    kind: MemberKind = "finetune"
    base: str | None = None
    files: Mapping[str, str] = {}
    """SHA-256 of what is loaded; older ones do not say it."""


class _Adapter(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    base_model_name_or_path: str


class _Method(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    base: str


def write(folder: Path, like: Dataset | Delivered, **answers: object) -> None:
    """`delivery.json`: how texts and labels were written, and who answers: `members` and the
    `max_length` that they read, with `long_texts` where longer texts are not cut, or `parts` and
    the `combiner` that joins them.

    Raises CannotWrite or NoDiskSpace.
    """
    facts = {"schema": _SCHEMA} | words_of(like)
    text = json.dumps(facts | answers, indent=2, ensure_ascii=False)
    files.write_text_atomically(folder / _DELIVERY, text)


def words_of(like: Dataset | Delivered) -> dict[str, object]:
    """How texts and labels are written, as `delivery.json` and `agnews.json` have it."""
    is_known = like.says_columns if isinstance(like, Delivered) else True
    return {
        "labels": list(like.labels),
        "label_values": list(like.label_values),
        "text_columns": list(like.text_columns) if is_known else [],
        "label_column": like.label_column,
        "id_column": like.id_column,
        "cleaning": like.cleaning,
    }


def find(store: Path, name: str) -> Delivered:
    """The model that `name` means: a run as in `runs.find`, or a delivered model's folder.

    Raises RunUnknown, RunUnfinished, NotAModel or ModelNotReadable.
    """
    try:
        return of_run(runs.find(store, name))
    except RunUnknown:
        folder = local(name) if name else None
        if folder is None or not folder.is_dir():
            raise
    return at(folder.absolute())


def at(folder: Path) -> Delivered:
    """What lies in a folder: a run, or a delivered model. Raises as `find` does."""
    is_run = (folder / "delivery.json").exists() or (folder / "job.json").exists()
    return of_run(RunFolder(folder)) if is_run else of_folder(folder)


def of_run(folder: RunFolder, *, depth: int = 0) -> Delivered:
    """Raises RunUnfinished, ModelBringsCode or ModelNotReadable."""
    path = folder.path / _DELIVERY
    if not path.exists():
        raise RunUnfinished(run=shlex.quote(str(folder.path)))
    facts = _read(path, _Delivery, follows=False)
    named = (*(m.folder for m in facts.members), *facts.parts)
    for name in (*named, *((facts.combiner,) if facts.combiner else ())):
        if not folder.holds(name):
            reason = f"it names {name!r:.200}, which is no folder of the run"
            raise ModelNotReadable(path=path, reason=reason)
    if facts.parts and depth >= _DEEPEST:
        raise ModelNotReadable(path=path, reason="its ensembles hold one another too deep")
    members = tuple(
        Member(
            name=m.name,
            kind=m.kind,
            folder=str(folder.path / m.folder),
            share=m.share,
            digests=_digests(folder.path / m.folder),
        )
        for m in facts.members
    )
    needs_base = any(_needs_base(m) for m in members)
    base = presets.load(str(folder.preset)).model if needs_base else None
    words = facts if facts.text_columns else _as_trained(facts, folder)
    whole = _delivered(folder.id, folder.path, members, words, base, is_run=True)
    if facts.combiner is None:
        return whole
    models.require_plain(folder.path / facts.combiner)
    parts = tuple(_part(RunFolder(folder.path / name), depth + 1) for name in facts.parts)
    for part in parts:
        if columns(part, whole.labels, whole.label_values) is None:
            reason = f"its classes are {', '.join(part.labels[:8])}, and not those of the whole"
            raise ModelNotReadable(path=part.folder, reason=reason)
    return replace(whole, parts=parts, combiner=folder.path / facts.combiner)


def _part(folder: RunFolder, depth: int) -> Delivered:
    """A member of an ensemble: what a run delivered, or what no run of ours made."""
    is_other = any(map(folder.has, (CARD, "config.json", "adapter_config.json")))
    is_run = folder.has(_DELIVERY) or not is_other
    return of_run(folder, depth=depth) if is_run else of_folder(folder.path)


def of_folder(folder: Path) -> Delivered:
    """Raises NotAModel, ModelBringsCode or ModelNotReadable."""
    words: _Words
    card, config = folder / CARD, folder / "config.json"
    adapter, ours = folder / _ADAPTER, folder / METHOD
    has_names = (folder / "labels.json").is_file()
    if card.is_file():
        facts = _read(card, _Card)
        words, kind, base = facts, facts.kind, facts.base
    elif config.is_file() or (has_names and (adapter.is_file() or ours.is_file())):
        words, kind, base = _foreign(folder), "finetune", None
    else:
        raise NotAModel(path=folder, looked_for="delivery.json, agnews.json or config.json")
    member = Member(name=folder.name, kind=kind, folder=str(folder), digests=_digests(folder))
    if _needs_base(member) and base is None and ours.is_file():
        base = _read(ours, _Method).base
    if _needs_base(member) and base is None and adapter.is_file():
        base = _read(adapter, _Adapter).base_model_name_or_path
    model = _model(base) if base is not None and _needs_base(member) else None
    return _delivered(folder.name, folder, (member,), words, model, is_run=False)


def _delivered(
    name: str,
    folder: Path,
    members: tuple[Member, ...],
    words: _Words,
    base: Model | None,
    *,
    is_run: bool,
) -> Delivered:
    for member in members:
        models.require_plain(Path(member.folder))
        models.refuse_code(Path(member.folder))
    return Delivered(
        name=name,
        folder=folder,
        members=members,
        labels=words.labels,
        label_values=words.label_values or words.labels,
        max_length=words.max_length,
        long_texts=words.long_texts,
        text_columns=words.text_columns or (_TEXT,),
        label_column=words.label_column,
        id_column=words.id_column,
        cleaning=words.cleaning,
        base=base,
        is_run=is_run,
        says_columns=bool(words.text_columns),
    )


def order_of(model: Delivered, located: Callable[[Model], str]) -> Order:
    """What is to be loaded. `located`: where a pretrained model lies, a folder or a hub id."""
    return Order(
        members=model.members,
        labels=model.labels,
        max_length=model.max_length,
        long_texts=model.long_texts,
        base=None if model.base is None else located(model.base),
        parts=tuple(_order_of_part(part, model, located) for part in model.parts),
        combiner=None if model.combiner is None else str(model.combiner),
    )


def _order_of_part(part: Delivered, of: Delivered, located: Callable[[Model], str]) -> Order:
    found = columns(part, of.labels, of.label_values) or ()
    is_same = found == tuple(range(len(of.labels)))
    return order_of(part, located).model_copy(update={"columns": () if is_same else found})


def columns(
    model: Delivered, labels: Sequence[str], label_values: Sequence[str]
) -> tuple[int, ...] | None:
    """Of what the model answers, that of each of the labels, by whose names or spellings it tells
    the classes apart; None where it tells others apart."""
    for theirs, ours in ((model.labels, labels), (model.label_values, label_values)):
        if sorted(theirs) == sorted(ours):
            return tuple(theirs.index(label) for label in ours)
    return None


def bases_of(model: Delivered) -> tuple[Model, ...]:
    """Every pretrained model that it needs besides its own files."""
    own = () if model.base is None else (model.base,)
    return (*own, *(base for part in model.parts for base in bases_of(part)))


def size_bytes(model: Delivered) -> int:
    """Of its own files, and of those of its parts; not of a pretrained model beside them."""
    folders = [Path(member.folder) for member in model.members]
    folders += [model.combiner] if model.combiner is not None else []
    files_ = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files_) + sum(map(size_bytes, model.parts))


def digests_of(folder: Path) -> dict[str, str]:
    """SHA-256, by name, of the files in a delivered folder that are loaded from it.

    Not of the card, which people change, nor of `agnews.json`, which has these.
    """
    paths = sorted(p for p in folder.iterdir() if p.is_file())
    found = {}
    for path in paths:
        if path.suffix != ".md" and path.name != CARD:
            with files.plain(path) as file:
                found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _digests(folder: Path) -> dict[str, str]:
    card = folder / CARD
    found = _read(card, _Card).files if card.is_file() else {}
    if any(PurePosixPath(name).name != name for name in found):
        raise ModelNotReadable(path=card, reason="it names files of other folders")
    return dict(found)


def _needs_base(member: Member) -> bool:
    has_adapter = any((Path(member.folder) / name).exists() for name in (METHOD, _ADAPTER))
    return member.kind == "embedding" or (member.kind == "finetune" and has_adapter)


def _model(base: str) -> Model:
    """The model as a preset that knows it says it, for such a one may be installed as a package."""
    known = (p.model for p in presets.load_all() if p.model.id == base)
    return next(known, Model(id=base, parameters=1, licence="unknown"))


def _as_trained(facts: _Delivery, folder: RunFolder) -> _Words:
    """A delivery of before these facts were in it: the run's job has them."""
    try:
        job = _Job.model_validate_json(files.read_plain(folder.job, _MOST_BYTES))
    except (OSError, ValueError):
        return facts
    return facts.model_copy(update=job.dataset.model_dump(exclude_unset=True))


def _foreign(folder: Path) -> _Words:
    """What a classifier that is none of ours says of itself."""
    names = folder / "labels.json"
    if (folder / "config.json").is_file():
        labels = _class_names(folder / "config.json")
    else:
        labels = tuple(str(name) for name in _json(names, list))
    try:
        tokenizer = _json(folder / "tokenizer_config.json", dict)
        longest = int(min(float(tokenizer["model_max_length"]), _LONGEST))
    except (ModelNotReadable, KeyError, TypeError, ValueError):
        longest = _LONGEST
    return _Words(labels=labels, max_length=max(1, longest))


def _class_names(config: Path) -> tuple[str, ...]:
    facts = _json(config, dict)
    kinds = [str(kind) for kind in facts.get("architectures") or ()]
    if kinds and not any("ForSequenceClassification" in kind for kind in kinds):
        raise ModelNotReadable(path=config, reason=f"its architecture is {kinds[0]}")
    named = facts.get("id2label")
    if not isinstance(named, dict) or len(named) < 2:
        raise ModelNotReadable(path=config, reason="it names no classes (id2label)")
    try:
        return tuple(str(named[number]) for number in sorted(named, key=int))
    except ValueError:
        raise ModelNotReadable(path=config, reason="id2label does not count classes") from None


def _json(path: Path, kind: type[dict[str, Any]] | type[list[Any]]) -> Any:
    try:
        found = strict_json.parse(files.read_plain(path, _MOST_BYTES, follows=True))
    except (OSError, ValueError) as error:
        raise ModelNotReadable(path=path, reason=error) from error
    if not isinstance(found, kind):
        raise ModelNotReadable(path=path, reason=f"it holds no {kind.__name__}")
    return found


def _read(path: Path, kind: type[Kind], *, follows: bool = True) -> Kind:
    try:
        return kind.model_validate_json(files.read_plain(path, _MOST_BYTES, follows=follows))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise ModelNotReadable(path=path, reason=f"{where}: {first['msg']}") from None
    except (OSError, ValueError) as error:
        raise ModelNotReadable(path=path, reason=error) from error
