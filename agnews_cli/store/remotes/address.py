"""What users type after `--store`, and the store that it means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from agnews_cli.errors import BadStore
from agnews_cli.store.remotes import kaggle
from agnews_cli.store.remotes.remote import Remote
from agnews_cli.store.secrets import hidden

Kind = Literal["folder", "input", "drive", "hub", "kaggle", "url"]
DRIVE = "drive"
_OWNED = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):/{1,2}", re.I)


@dataclass(frozen=True, slots=True)
class Address:
    """A store's kind and name: a path, `owner/name`, or a URL. Holds no secret."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        if self.kind == "drive":
            return f"{DRIVE}:{self.name}"
        prefix = {"hub": "hf://", "kaggle": "kaggle://"}.get(self.kind, "")
        return f"{prefix}{self.name}"


def parse(given: str) -> Address:
    """The address. Raises BadStore."""
    text = given.strip()
    shown = hidden(text)
    if not text:
        raise BadStore(given=shown, reason="it is empty")
    word, _, rest = text.partition(":")
    if word == DRIVE and not rest.startswith("//"):
        folder = rest.strip("/") or "agnews-runs"
        if ".." in Path(folder).parts:
            raise BadStore(given=shown, reason="a folder in Drive has no ..")
        return Address("drive", folder)
    match = _SCHEME.match(text)
    if match is None:
        return Address("input" if Path(text).is_relative_to(kaggle.INPUT) else "folder", text)
    scheme = match[1].lower()
    if scheme == "file":
        return Address("folder", "/" + text[match.end() :].lstrip("/"))
    if not text[match.end(1) :].startswith("://"):
        raise BadStore(given=shown, reason=f"expected {scheme}:// with two slashes")
    body = text[match.end() :].rstrip("/")
    _require_no_secret(text, shown)
    if scheme == "hf":
        plain = re.sub(r"^(buckets|models)/", "", body)
        if not _OWNED.fullmatch(plain):
            raise BadStore(given=shown, reason="expected hf://owner/name")
        return Address("hub", body)
    if scheme == "kaggle":
        if not _OWNED.fullmatch(body):
            raise BadStore(given=shown, reason="expected kaggle://owner/slug")
        return Address("kaggle", body)
    return _url(scheme, body, shown)


def _require_no_secret(text: str, shown: str) -> None:
    parts = urlsplit(text)
    is_user = parts.scheme.lower() in {"sftp", "ssh"} and parts.password is None
    if "@" in parts.netloc and not is_user:
        reason = "it holds a login; give that in the environment instead (docs/stores.md)"
        raise BadStore(given=shown, reason=reason)
    if parts.query or parts.fragment:
        raise BadStore(given=shown, reason="a query (?) or fragment (#) has no place in it")


def _url(scheme: str, body: str, shown: str) -> Address:
    from fsspec.registry import known_implementations

    if scheme not in known_implementations or scheme in {"http", "https"}:
        reason = f"no store is known by {scheme}://, only such as s3, sftp, gs, az, hf and kaggle"
        raise BadStore(given=shown, reason=reason)
    host, _, _ = body.partition("/")
    if not host:
        raise BadStore(given=shown, reason=f"expected {scheme}://bucket-or-host/folder")
    if ".." in body.split("/"):
        raise BadStore(given=shown, reason="a path has no ..")
    return Address("url", f"{scheme}://{body}")


def connect(address: Address) -> Remote:
    """The store, not yet asked anything. Raises ClientMissing or DriveNotMounted."""
    if address.kind == "folder":
        from agnews_cli.store.remotes.folder import Folder

        return Folder(Path(address.name).expanduser().absolute())
    if address.kind == "drive":
        from agnews_cli.store.remotes.drive import Drive

        return Drive(address.name)
    if address.kind == "hub":
        from agnews_cli.store.remotes import hub

        return hub.connect(address.name)
    if address.kind == "input":
        return kaggle.input_at(Path(address.name))
    if address.kind == "kaggle":
        return kaggle.Dataset(address.name)
    from agnews_cli.store.remotes.urls import Url

    return Url(address.name)
