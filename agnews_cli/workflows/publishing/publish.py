"""`agnews publish`: a model, its card and its figures in a repository of the hub."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from agnews_cli.core.run import model_index
from agnews_cli.core.text import strict_json
from agnews_cli.errors import BadHubName, ModelDamaged, PublishRefused
from agnews_cli.host import network
from agnews_cli.store.disk import files
from agnews_cli.store.model import carried, delivered, models
from agnews_cli.store.model.delivered import Delivered
from agnews_cli.store.remotes.hub_model import HubModel, Repo
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.workflows.runs import history

_NAME = re.compile(r"hf://(?:models/)?([\w.-]{1,96}/[\w.-]{1,96})/?")
_CARD, _FIGURES = "README.md", "evaluation.json"
_MOST_BYTES = 16_000_000
_OWN = (".gitattributes",)
"""Of the hub itself."""

Say = Callable[[str], None]
Contents = dict[str, Path | bytes]


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """What was done. `sent` and `same` are names of files; `others` are there besides."""

    address: str
    url: str
    run: str
    is_private: bool
    commit: str | None
    sent: tuple[str, ...]
    same: tuple[str, ...]
    others: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": "agnews.published/1",
            "address": self.address,
            "url": self.url,
            "run": self.run,
            "is_private": self.is_private,
            "commit": self.commit,
            "sent": list(self.sent),
            "same": list(self.same),
            "others": list(self.others),
        }

    def lines(self) -> tuple[str, ...]:
        """Said when it is done."""
        whom = "private: only you see it" if self.is_private else "public"
        done = f"{len(self.sent)} files sent, {len(self.same)} were there"
        if not self.sent:
            done = f"nothing to send: all {len(self.same)} files are there"
        lines = [f"{self.run} is at {self.url} ({whom})", done]
        if self.others:
            lines.append(f"not of this run, and left there: {', '.join(self.others)}")
        return tuple(lines)


def publish(
    run: str, given: str, *, store: Path | None = None, is_public: bool = False, say: Say
) -> PublishedModel:
    """Send what differs, in one commit; then open it to all where that is asked for.

    Raises BadHubName, what `delivered.find` raises, ModelDamaged, HubLoginMissing, PublishRefused
    and PublishTrouble.
    """
    match = _NAME.fullmatch(given.strip())
    if match is None:
        raise BadHubName(given=given, run=run)
    model = delivered.find(history.where(store), run)
    contents = _contents(model, match[1].partition("/")[2])
    hub = HubModel(match[1], run=run)
    hub.require_login()
    found = hub.look()
    if found is None:
        hub.create()
        found = hub.look() or Repo(True, None, {})
    elif not found.is_private and not is_public:
        raise PublishRefused(
            address=hub.address,
            reason="it is public, and --public was not typed",
            mend=f"Name another one, or show it to all: agnews publish {run} {hub.address} "
            "--public",
        )
    differ = {name: each for name, each in contents.items() if not found.has(name, each)}
    commit = found.head
    if differ:
        size_mb = sum(_size(each) for each in differ.values()) / 1e6
        say(f"Sending {len(differ)} files, {size_mb:,.1f} MB, to {hub.address}")
        commit = hub.commit(differ, found.head)
    if is_public and found.is_private:
        hub.make_public()  # it is whole by now
    return PublishedModel(
        address=hub.address,
        url=f"{network.endpoint()}/{hub.name}",
        run=model.name,
        is_private=not is_public,
        commit=commit,
        sent=tuple(sorted(differ)),
        same=tuple(sorted(contents.keys() - differ)),
        others=tuple(sorted(found.digests.keys() - contents - set(_OWN))),
    )


def _size(content: Path | bytes) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


# ---- what is sent -------------------------------------------------------------------------------


def _contents(model: Delivered, name: str) -> Contents:
    """Every file by its name in the repository: of one Hugging Face model its folder, which
    transformers loads by the repository's name; of anything else the delivery as it lies here."""
    is_alone = len(model.members) == 1 and not model.parts
    if is_alone and (not model.is_run or model.members[0].kind == "finetune"):
        folder = Path(model.members[0].folder)
        found: Contents = {
            path.relative_to(folder).as_posix(): path for path in _plain_files(folder)
        }
    else:
        found = dict(carried.paths(model))
        for each in (_CARD, _FIGURES):
            if (model.folder / each).is_file():
                found[each] = model.folder / each
    _require_whole(model)
    if model.is_run:
        found[_CARD] = _card(model, found.get(_CARD), name)
    return found


def _plain_files(folder: Path) -> list[Path]:
    paths = (path for path in sorted(folder.rglob("*")) if not path.is_symlink())
    return [path for path in paths if path.is_file()]


def _require_whole(model: Delivered) -> None:
    """Raises ModelDamaged unless each file is as it was delivered."""
    for member in model.members:
        for name, expected in member.digests.items():
            path = Path(member.folder) / name
            try:
                with files.plain(path) as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise ModelDamaged(path=path, reason=error.strerror or error) from None
            if found != expected:
                reason = "its SHA-256 is not that of what was delivered"
                raise ModelDamaged(path=path, reason=reason)
    for part in model.parts:
        _require_whole(part)


def _card(model: Delivered, content: Path | bytes | None, name: str) -> bytes:
    """The card, with a head for the hub where it has none."""
    if isinstance(content, Path):
        content = files.read_plain(content, _MOST_BYTES)
    text = (content or f"# {name}\n".encode()).decode("utf-8", "replace")
    if text.startswith("---\n"):
        return text.encode()
    folder = RunFolder(model.folder)
    bases = [hub_id for base in delivered.bases_of(model) if (hub_id := models.hub_id(base))]
    facts: dict[str, Any] = {"base_model": sorted(set(bases))} if bases else {}
    facts |= {
        "pipeline_tag": "text-classification",
        "tags": ["text-classification", "agnews"],
        "metrics": ["accuracy", "f1"],
    }
    evaluation = folder.evaluated()
    if evaluation is not None:
        data = _one_line(folder.dataset_name()) or "unknown"
        result = model_index.result(data, _hub_data(folder), evaluation)
        facts["model-index"] = [{"name": name, "results": [result]}]
    head = yaml.safe_dump(facts, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{head}---\n\n{text}".encode()


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _hub_data(folder: RunFolder) -> str | None:
    """The id of the data on the hub, where they are from there."""
    try:
        facts: Mapping[str, Any] = strict_json.mapping(files.read_plain(folder.job, _MOST_BYTES))
        train = facts["dataset"]["train"]
        return str(train["path"]) if train["form"]["format"] == "hub" else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
