"""SFTP to a host whose key is known, and to no other: a login goes to nobody else.

fsspec's client takes any key. Here `known_hosts` is the word, the user's and the system's, as for
OpenSSH: an unknown key is refused with its fingerprint and the line that accepts it, a changed or
revoked one always.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from agnews_cli.errors import HostKeyChanged, HostUnknown
from agnews_cli.store.disk.names import local

_SYSTEM = (Path("/etc/ssh/ssh_known_hosts"), Path("/etc/ssh/ssh_known_hosts2"))
_USUAL_PORT = 22
_HASHED = "|1|"


@cache
def known_host_only() -> Any:
    """fsspec's class of SFTP clients, such that it logs in at known hosts alone.

    To connect raises HostUnknown or HostKeyChanged, before any login is sent.
    """
    import paramiko  # with fsspec's class only where a store is one: an extra brings it
    from fsspec.implementations.sftp import SFTPFileSystem

    class KnownOnly(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]
        def __init__(self, host: str, port: int, keys: Sequence[Known]) -> None:
            self._host, self._port, self._keys = host, port, keys

        def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
            try:
                require_known(self._host, self._port, key, self._keys)
            except BaseException:
                client.close()
                raise

    class KnownHostOnly(SFTPFileSystem):  # type: ignore[misc]
        def _connect(self) -> None:
            port = int(self.ssh_kwargs.get("port") or _USUAL_PORT)
            keys = known(self.host, port)

            def transport(sock: Any, **options: Any) -> Any:
                made = paramiko.Transport(sock, **options)
                agreed = made.get_security_options()
                # The host is asked for a key of a kind that is known: it may have others too.
                kinds = sorted(agreed.key_types, key=lambda kind: not _is_kind(kind, keys))
                agreed.key_types = kinds
                return made

            self.client = paramiko.SSHClient()
            self.client.set_missing_host_key_policy(KnownOnly(self.host, port, keys))
            self.client.connect(self.host, transport_factory=transport, **self.ssh_kwargs)
            self.ftp = self.client.open_sftp()

    return KnownHostOnly


@dataclass(frozen=True, slots=True)
class Known:
    """One line of a `known_hosts` that speaks of a host."""

    key: Any
    """paramiko's."""
    is_revoked: bool


def require_known(host: str, port: int, key: Any, keys: Sequence[Known]) -> None:
    """Raises HostUnknown or HostKeyChanged unless `key` is one of those that are known."""
    found = [known for known in keys if known.key == key]
    if found and not any(known.is_revoked for known in found):
        return
    name = named(host, port)
    facts = {
        "store": f"sftp://{host}" + ("" if name == host else f":{port}"),
        "kind": key.get_name().removeprefix("ssh-"),
        "fingerprint": key.fingerprint,
    }
    if found or any(not known.is_revoked for known in keys):
        raise HostKeyChanged(**facts, host=shlex.quote(name))
    line = f"{name} {key.get_name()} {key.get_base64()}"
    raise HostUnknown(**facts, line=shlex.quote(line))


def named(host: str, port: int) -> str:
    """What `known_hosts` calls a host."""
    return host if port == _USUAL_PORT else f"[{host}]:{port}"


def known(host: str, port: int) -> tuple[Known, ...]:
    """Its keys in the user's and the system's `known_hosts`; damaged lines say nothing."""
    folder = local("~/.ssh")
    name, found = named(host.lower(), port), []
    for path in (folder / "known_hosts", folder / "known_hosts2", *_SYSTEM):
        for line in _lines(path):
            mark, _, rest = line.partition(" ") if line.startswith("@") else ("", "", line)
            if mark in {"", "@revoked"} and (key := _key(rest.strip(), name)) is not None:
                found.append(Known(key, bool(mark)))
    return tuple(found)


def _lines(path: Path) -> Iterator[str]:
    with suppress(OSError):
        for line in path.read_bytes().decode("utf-8", "replace").splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                yield " ".join(line.split())


def _key(line: str, name: str) -> Any:
    """paramiko's key; None where the line speaks of another host, or nobody can read it."""
    import paramiko
    from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

    if not _speaks_of(line.partition(" ")[0].split(","), name):
        return None
    try:
        entry = HostKeyEntry.from_line(line)
    except (InvalidHostKey, paramiko.SSHException, ValueError):
        return None
    return None if entry is None else entry.key


def _speaks_of(patterns: Sequence[str], name: str) -> bool:
    if any(one.startswith("!") and _is(one[1:], name) for one in patterns):
        return False
    return any(_is(one, name) for one in patterns)


def _is(pattern: str, name: str) -> bool:
    if pattern.startswith(_HASHED):
        from paramiko.hostkeys import HostKeys

        try:
            return bool(HostKeys.hash_host(name, pattern) == pattern)
        except (ValueError, AssertionError, IndexError):
            return False
    return fnmatchcase(name, pattern.lower().replace("[", "[[]"))


def _is_kind(kind: str, keys: Sequence[Known]) -> bool:
    """Whether a signature of `kind` would be one of a known key."""
    names = {known.key.get_name() for known in keys}
    return kind in names or ("ssh-rsa" in names and kind.startswith("rsa-sha2-"))
