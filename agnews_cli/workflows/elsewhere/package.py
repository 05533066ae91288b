"""Where a machine without agnews gets it from: from where this one got it.

An index or a repository is named. A folder of this disk is out of reach elsewhere, so then the
package itself is carried, as a wheel: the very version that is at work here.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

import agnews_cli
from agnews_cli.store.disk import home

NAME = "agnews-cli"
TRAINING = ("train", "embedded")
"""The extras that training needs."""
_STAMP = (1980, 1, 1, 0, 0, 0)  # the same files make the same wheel
_KEPT = ("METADATA", "WHEEL", "entry_points.txt")


@dataclass(frozen=True, slots=True)
class PackageSource:
    """What pip installs: `requirement`, or where that is empty `wheel`, named `file`."""

    requirement: str
    file: str = ""
    wheel: bytes = b""


@cache
def source(extras: tuple[str, ...] = TRAINING) -> PackageSource:
    """Of the package that runs here, with what training needs, or with other extras."""
    found = metadata.distribution(NAME)
    named = f"{NAME}[{','.join(extras)}]"
    origin = json.loads(found.read_text("direct_url.json") or "null")
    if origin is None:
        return PackageSource(f"{named}=={found.version}")
    url = str(origin.get("url", ""))
    if "vcs_info" in origin:
        kind, commit = origin["vcs_info"]["vcs"], origin["vcs_info"]["commit_id"]
        return PackageSource(f"{named} @ {kind}+{url}@{commit}")
    if url.startswith("https://"):
        return PackageSource(f"{named} @ {url}")
    return PackageSource("", f"agnews_cli-{found.version}-py3-none-any.whl", _wheel(found))


def _wheel(found: metadata.Distribution) -> bytes:
    """Stored and not deflated: what carries it compresses the whole better."""
    folder = f"agnews_cli-{found.version}.dist-info"
    files = dict(contents())
    files |= {f"{folder}/{name}": (found.read_text(name) or "").encode() for name in _KEPT}
    rows = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in files.items()]
    files[f"{folder}/RECORD"] = "\n".join([*rows, f"{folder}/RECORD,,", ""]).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, _STAMP), data)
    return out.getvalue()


def contents() -> Iterator[tuple[str, bytes]]:
    """Name in the wheel, and content. In a checkout presets lie beside the package."""
    package = Path(agnews_cli.__file__).parent
    *built_in, _ = home.preset_folders()
    beside = [(folder, "agnews_cli/presets") for folder in built_in if folder.parent != package]
    for root, name in ((package, "agnews_cli"), *beside):
        for path in sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield f"{name}/{path.relative_to(root).as_posix()}", path.read_bytes()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
