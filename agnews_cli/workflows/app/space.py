"""The page as a Hugging Face Space: a folder with the model, the code and what it needs.

Where this package came from an index or a repository, the Space's requirements name that; else the
very code that runs here lies beside `app.py`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from packaging.requirements import Requirement

from agnews_cli.store.disk import drafts, files
from agnews_cli.store.disk.names import local
from agnews_cli.store.model import carried, delivered
from agnews_cli.store.model.delivered import Delivered
from agnews_cli.workflows.app import page
from agnews_cli.workflows.app.asking import MOST_BYTES, AppModel
from agnews_cli.workflows.elsewhere import package
from agnews_cli.workflows.runs import history
from agnews_cli.workflows.serving.asked_model import AskedModel

SCHEMA = "agnews.space/1"
_MODEL = "model"
_GRADIO = "6.31.0"
"""Written where gradio is not installed here."""
_PYTHON = "3.11"
_APP = '''\
"""A Space that agnews wrote: the model in ./{model}, on the page of `agnews app`."""

from pathlib import Path

from agnews_cli.workflows.app.space import launch

launch(Path(__file__).parent / "{model}", "{name}")
'''


@dataclass(frozen=True, slots=True)
class WrittenSpace:
    """`needs`: what the Space installs."""

    of: str
    folder: Path
    needs: tuple[str, ...]
    size_bytes: int

    def lines(self) -> tuple[str, ...]:
        """Said when it is done."""
        return (
            f"{self.of} as a Space: {self.folder} ({self.size_bytes / 1e6:,.1f} MB)",
            f"here   python {self.folder / 'app.py'}",
            "there  hf repos create ME/NAME --type space --sdk gradio, then "
            f"hf upload ME/NAME {self.folder} . --type space",
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "of": self.of,
            "folder": str(self.folder),
            "needs": list(self.needs),
            "size_bytes": self.size_bytes,
        }


def write(run: str, given: Path, *, store: Path | None = None) -> WrittenSpace:
    """The folder, whole or not at all.

    Raises what `delivered.find` raises, FileThere, NoDiskSpace and CannotWrite.
    """
    model = delivered.find(history.where(store), run)
    target = local(given).absolute()
    needs, code = _needed(model)
    with drafts.whole_folder(target, option="--space") as draft:
        carried.carry(model, draft / _MODEL)
        for name, data in code.items():
            files.make_folder((draft / name).parent)
            files.write_new(draft / name, iter((data,)))
        for name, text in (
            ("app.py", _APP.format(model=_MODEL, name=_plain(model.name))),
            ("requirements.txt", "\n".join(needs) + "\n"),
            ("README.md", _readme(model)),
        ):
            files.write_text_atomically(draft / name, text)
        size_bytes = sum(path.stat().st_size for path in draft.rglob("*") if path.is_file())
    return WrittenSpace(model.name, target, needs, size_bytes)


def _readme(model: Delivered) -> str:
    facts = {
        "title": model.name[:60],
        "emoji": "🗂️",
        "colorFrom": "blue",
        "colorTo": "gray",
        "sdk": "gradio",
        "sdk_version": _gradio(),
        "python_version": _PYTHON,
        "app_file": "app.py",
        "pinned": False,
        "short_description": f"{len(model.labels)} classes of text",
    }
    head = yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)
    labels = ", ".join(model.labels[:30])
    return (
        f"---\n{head}---\n\nText in, probabilities out, and what the model looks at; a file in and "
        f"out. {model.name} answers with one of: {labels}.\n\nWritten by agnews; it asks nobody "
        "for anything, keeps no text, and counts nobody.\n"
    )


def _plain(name: str) -> str:
    """A folder may have any name; this one stands between quotes in Python."""
    return re.sub(r"[^\w.+ -]", "", name)


def _gradio() -> str:
    try:
        return metadata.version("gradio")
    except metadata.PackageNotFoundError:
        return _GRADIO


# ---- what it installs ---------------------------------------------------------------------------


def _needed(model: Delivered) -> tuple[tuple[str, ...], dict[str, bytes]]:
    """(lines of requirements.txt, files of this package where no line brings it)."""
    extras = ("app", *sorted({_extra(kind) for kind in _kinds(model)}))
    source = package.source(extras)
    if source.requirement:
        return (source.requirement,), {}
    return tuple(_requirements(extras)), {
        name: data for name, data in package.contents() if not name.endswith(".csv")
    }


def _extra(kind: str) -> str:
    return {"onnx": "export", "openvino": "openvino"}.get(kind, "train")


def _kinds(model: Delivered) -> Iterator[str]:
    if model.combiner is not None:
        yield "combiner"
    yield from (member.kind for member in model.members)
    for part in model.parts:
        yield from _kinds(part)


def _requirements(extras: tuple[str, ...]) -> Iterator[str]:
    """Of this package, as its own metadata say; the Space brings gradio itself."""
    wanted, name = list(extras), package.NAME
    every = [Requirement(line) for line in metadata.requires(name) or ()]
    for extra in wanted:  # grows where an extra names another
        for one in every:
            is_meant = one.marker is not None and one.marker.evaluate({"extra": extra})
            if is_meant and one.name == name:
                wanted += [other for other in one.extras if other not in wanted]
    found = {}
    for one in every:
        is_base = one.marker is None or one.marker.evaluate({"extra": ""})
        if is_base or any(one.marker.evaluate({"extra": e}) for e in wanted if one.marker):
            found[one.name] = f"{one.name}{one.specifier}"
    for left_out in (name, "gradio"):
        found.pop(left_out, None)
    yield from sorted(found.values())


# ---- in the Space -------------------------------------------------------------------------------


def launch(folder: Path, name: str) -> None:
    """What its `app.py` calls: show the delivered model in `folder` until the process ends."""
    code = folder.absolute().parent
    if (code / "agnews_cli").is_dir():  # the model's process looks into no current folder
        os.environ["PYTHONPATH"] = str(code)
    with TemporaryDirectory(prefix="agnews-app-") as work:
        page.quiet(Path(work))
        model = replace(delivered.at(folder.absolute()), name=name)
        asking = AppModel(model, AskedModel(model), Path(work))
        try:
            asking.start()
            page.page(asking).launch(
                share=False,
                inbrowser=False,
                quiet=True,
                max_file_size=MOST_BYTES,
                mcp_server=False,
                enable_monitoring=False,
                **page.shown(),
            )
        finally:
            asking.close()
