"""What users type after `--store`, and the store that it means."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from agnews_cli.core.text.redaction import HIDDEN
from agnews_cli.errors import BadStore
from agnews_cli.store.remotes import kaggle
from agnews_cli.store.remotes.remote import Remote
from agnews_cli.store.remotes.urls import PACKAGES
from agnews_cli.store.settings.secrets import hidden

Kind = Literal["folder", "input", "drive", "hub", "kaggle", "url"]
DRIVE = "drive"
_OWNED = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")
_WORDS = {
    *PACKAGES,
    "hf",
    "kaggle",
    "memory",
    "http",
    "https",
    "ftp",
    "webdav",
    "smb",
    "oss",
    "hdfs",
}
_NO_STORES = {
    *("memory", "local", "asynclocal", "data", "http", "https", "git", "github", "gist"),
    *("zip", "tar", "libarchive", "reference", "generic", "dir", "async_wrapper", "asyncwrapper"),
    *("cached", "blockcache", "filecache", "simplecache", "jupyter", "jlab", "pyscript", "wandb"),
}
"""What fsspec knows besides: gone with the process, read-only, or wrapped around another one."""
_NEARLY = re.compile(r"([a-z][a-z0-9+.-]*)(?::|//)", re.I)
_HOST = re.compile(r"(?:([\w.-]+)(?::[^/@]*)?@)?([\w.-]+):")
_DRIVES = re.compile(r"(g(oogle)?[ _-]?|my[ _-]?)?drive(:.*)?", re.I)
_LOGIN = re.compile(r"(?<=:)[^/@]*:[^/@]+@|^[^/:@]+:[^/@]+@")
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
    """The address. Raises BadStore, also for what is nearly one: never a folder in silence."""
    text = given.strip()
    shown = _LOGIN.sub(f"{HIDDEN}@", hidden(text))
    if not text:
        raise BadStore(given=shown, reason="it is empty")
    if "\0" in text:
        raise BadStore(given=repr(shown), reason="no name has a zero byte")
    word, _, rest = text.partition(":")
    if word == DRIVE and not rest.startswith("//"):
        folder = rest.strip("/") or "agnews-runs"
        if ".." in Path(folder).parts:
            raise BadStore(given=shown, reason="a folder in Drive has no ..")
        return Address("drive", folder)
    match = _SCHEME.match(text)
    if match is None:
        _require_no_address(text, shown)
        return Address("input" if local(text).is_relative_to(kaggle.INPUT) else "folder", text)
    scheme = match[1].lower()
    if scheme == "file":
        return Address("folder", "/" + text[match.end() :].lstrip("/"))
    if not text[match.end(1) :].startswith("://"):
        _require_no_address(text, shown)
        host = f"sftp://{scheme}/{shown[match.end() :]}"
        raise _meant(shown, f"{scheme}: is no kind of store", host)
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


def local(name: str) -> Path:
    """A folder's path, absolute, `~` as the user's home. Raises BadStore."""
    try:
        return Path(name).expanduser().absolute()
    except RuntimeError:  # ~nobody
        raise BadStore(
            given=hidden(name),
            reason="no user of that name has a home here",
            hint=f"./{name} is a folder called so.",
        ) from None


def place(address: Address) -> tuple[str, str]:
    """What two addresses of one place have in common, whatever they are called and linked by."""
    if address.kind in {"folder", "input"}:
        return "folder", os.path.realpath(local(address.name))
    if address.kind == "drive":
        from agnews_cli.store.remotes import drive

        return "folder", os.path.realpath(drive.MOUNT / address.name)
    if address.kind == "url":
        parts = urlsplit(address.name)
        scheme = {"s3a": "s3", "gcs": "gs", "ssh": "sftp"}.get(parts.scheme, parts.scheme)
        host = parts.netloc.removesuffix(":22") if scheme == "sftp" else parts.netloc
        return scheme, f"{host}{re.sub('/+', '/', parts.path)}".rstrip("/")
    return address.kind, address.name


def _require_no_address(text: str, shown: str) -> None:
    """Raises BadStore where a folder's name is nearly another store's address."""
    if _DRIVES.fullmatch(text):
        folder = shown.partition(":")[2].strip("/")
        raise _meant(
            shown, "the mounted Drive is written small", f"{DRIVE}:{folder}" if folder else DRIVE
        )
    found = _NEARLY.match(text)
    if found and (scheme := found[1].lower()) in _WORDS:
        body = shown[found.end() :].lstrip("/").rpartition("@")[2]
        raise _meant(shown, f"expected {scheme}:// with two slashes", f"{scheme}://{body}")
    found = _HOST.match(text)
    if found and (found[1] or ("." in found[2] and text[found.end() :].startswith(("/", "~")))):
        user = f"{found[1]}@" if found[1] else ""
        body = text[found.end() :].lstrip("/")
        raise _meant(shown, "a host is no folder", f"sftp://{user}{found[2]}/{body}")
    if "://" in text:
        raise _meant(shown, "what comes before :// is no kind of store", "s3://bucket/folder")


def _meant(shown: str, reason: str, address: str) -> BadStore:
    folder = shlex.quote(f"./{shown}")
    hint = f"Write --store {shlex.quote(address)}; a folder of that name is {folder}"
    return BadStore(given=shown, reason=reason, hint=hint)


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

    if scheme not in known_implementations or scheme in _NO_STORES:
        reason = f"no store is known by {scheme}://, only such as s3, sftp, gs, az, hf and kaggle"
        if scheme == DRIVE:
            raise BadStore(given=shown, reason=reason, hint=f"Write --store {DRIVE}:{body} for it.")
        if scheme == "memory":
            reason = "what is in memory is gone when the command ends"
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

        return Folder(local(address.name))
    if address.kind == "drive":
        from agnews_cli.store.remotes.drive import Drive

        return Drive(address.name)
    if address.kind == "hub":
        from agnews_cli.store.remotes import hub

        return hub.connect(address.name)
    if address.kind == "input":
        return kaggle.input_at(Path(address.name))
    if address.kind == "kaggle":
        return kaggle.KaggleDataset(address.name)
    from agnews_cli.store.remotes.urls import Url

    return Url(address.name)
