"""Any store that fsspec knows: `s3://bucket/folder`, `sftp://host/folder`, …

Credentials come from the environment or the client's own login. Where a write is not atomic by
itself, as with SFTP, it goes to a draft that is renamed.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agnews_cli.errors import ClientMissing
from agnews_cli.store.remotes import byte_bounds
from agnews_cli.store.remotes.faults import in_words
from agnews_cli.store.remotes.remote import Entry, Promises, is_name

PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "sftp": "paramiko",
    "ssh": "paramiko",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
}
_WHOLE = {"s3", "s3a", "gs", "gcs", "az", "abfs", "memory"}
"""Where an object appears when its upload is complete, or not at all."""
_SFTP = {"sftp", "ssh"}
_TIMEOUT_S = 30


class Url:
    """Objects below `url`, through fsspec."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._scheme = urlsplit(url).scheme
        self._system: Any = None
        self._root = ""
        self._sizes: dict[str, int] = {}

    @property
    def address(self) -> str:
        return self._url

    @property
    def promises(self) -> Promises:
        return Promises()

    def put(self, name: str, source: Path) -> None:
        with in_words(self.address, f"store {name}"):
            path = self._path(name)
            self._fresh.makedirs(path.rpartition("/")[0], exist_ok=True)
            if self._scheme in _WHOLE:
                self._call(lambda fs: fs.put_file(str(source), path))
                return
            draft = f"{path.rpartition('/')[0]}/.{secrets.token_hex(8)}.tmp"
            self._call(lambda fs: fs.put_file(str(source), draft))
            self._call(lambda fs: fs.mv(draft, path))

    def create(self, name: str, data: bytes) -> bool:
        with in_words(self.address, f"store {name}"):
            path = self._path(name)
            self._fresh.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._call(lambda fs: fs.pipe_file(path, data))
        return True

    def get(self, name: str, target: Path, most_bytes: int) -> None:
        def stop(done_bytes: int, _of_bytes: int = 0) -> None:
            byte_bounds.require(done_bytes, most_bytes)

        def fetch(fs: Any) -> None:
            if self._scheme in {"sftp", "ssh"}:  # fsspec's own would tell nobody how much came
                fs.ftp.get(self._path(name), str(target), callback=stop)
            else:
                fs.get_file(self._path(name), str(target), callback=_telling(stop))

        with in_words(self.address, f"give {name}", missing=name):
            stop(self._sizes.get(name, 0))
            self._call(fetch)

    def list(self, prefix: str) -> tuple[Entry, ...]:
        with in_words(self.address, "list its objects"):
            try:
                top = self._path(prefix).rstrip("/")
                found = self._call(lambda fs: fs.find(top, detail=True))
            except FileNotFoundError:
                return ()
            root = f"{self._root}/"
            entries = [
                Entry(path.removeprefix(root), int(facts.get("size") or 0), _modified_s(facts))
                for path, facts in found.items()
                if path.startswith(root)
            ]
            self._sizes |= {entry.name: entry.size_bytes for entry in entries}
        return tuple(sorted((e for e in entries if is_name(e.name)), key=lambda e: e.name))

    def delete(self, name: str) -> None:
        with in_words(self.address, f"remove {name}"):
            try:
                self._call(lambda fs: fs.rm_file(self._path(name)))
            except FileNotFoundError:
                return

    def flush(self) -> None: ...

    def _path(self, name: str) -> str:
        _ = self._fresh  # the root is known once the client is there
        return f"{self._root}/{name}"

    def _call(self, act: Callable[[Any], Any]) -> Any:
        """Do it; after a failure the next call begins with a new connection."""
        system = self._fresh
        try:
            return act(system)
        except FileNotFoundError:
            raise
        except Exception:
            self._system = None
            raise

    @property
    def _fresh(self) -> Any:
        if self._system is None:
            self._system, self._root = self._connect()
        self._system.invalidate_cache()
        return self._system

    def _connect(self) -> tuple[Any, str]:
        import fsspec

        try:
            if self._scheme in _SFTP:
                from agnews_cli.store.remotes.sftp import known_host_only

                kind: Any = known_host_only()
            else:
                kind = fsspec.get_filesystem_class(self._scheme)
        except ImportError as error:
            package = PACKAGES.get(self._scheme, f"fsspec's client for {self._scheme}://")
            install = f"pip install {PACKAGES[self._scheme]}" if self._scheme in PACKAGES else ""
            raise ClientMissing(
                store=self.address, package=package, install=install or str(error)
            ) from error
        options = kind._get_kwargs_from_urls(self._url) | self._options()
        system = kind(skip_instance_cache=True, **options)
        return system, str(kind._strip_protocol(self._url)).rstrip("/")

    def _options(self) -> dict[str, Any]:
        if self._scheme in {"s3", "s3a"}:
            config = {
                "connect_timeout": _TIMEOUT_S,
                "read_timeout": _TIMEOUT_S,
                "retries": {"max_attempts": 1},
                # What is sent is read back and its SHA-256 compared; many stores know no others.
                "request_checksum_calculation": "when_required",
                "response_checksum_validation": "when_required",
            }
            return {"config_kwargs": config, "use_listings_cache": False}
        if self._scheme in _SFTP:
            wanted = {
                "username": os.environ.get("AGNEWS_SFTP_USER"),
                "password": os.environ.get("AGNEWS_SFTP_PASSWORD"),
                "key_filename": os.environ.get("AGNEWS_SFTP_KEY_FILE"),
            }
            limits = dict.fromkeys(("timeout", "banner_timeout", "auth_timeout"), _TIMEOUT_S)
            return {name: value for name, value in wanted.items() if value} | limits
        return {}


def _telling(took: Callable[[int], None]) -> Any:
    """fsspec's way of being told of progress, that may raise to stop it."""
    from fsspec.callbacks import Callback

    class Told(Callback):  # type: ignore[misc]
        def relative_update(self, inc: int = 1) -> None:
            super().relative_update(inc)
            took(self.value)

        def absolute_update(self, value: int) -> None:
            super().absolute_update(value)
            took(self.value)

    return Told()


def _modified_s(facts: dict[str, Any]) -> float | None:
    for name in ("LastModified", "mtime", "updated", "last_modified"):
        value = facts.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
    return None
