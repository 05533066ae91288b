"""A model's repository on the Hugging Face Hub: what is there, and one commit that changes it.

A file that is there with the same bytes is known by its git or LFS digest and is not sent again.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agnews_cli.errors import AgnewsError, HubLoginMissing, PublishRefused, PublishTrouble
from agnews_cli.store.disk import files
from agnews_cli.store.remotes.faults import status_of
from agnews_cli.store.remotes.hub import client
from agnews_cli.store.settings.secrets import hidden

_REASONS = {
    401: ("the hub does not know the token", "Log in again: hf auth login"),
    403: (
        "the token may not write there",
        "Make one that may write (huggingface.co/settings/tokens), and: hf auth login",
    ),
    404: ("there is no such owner", "hf auth whoami says which names are yours"),
}
_MOST_REASON = 300


@dataclass(frozen=True, slots=True)
class Repo:
    """As it stands. `digests` are git's or LFS's, by the file's name."""

    is_private: bool
    head: str | None
    digests: Mapping[str, str]

    def has(self, name: str, content: Path | bytes) -> bool:
        """Whether that file is there with these bytes. Raises OSError."""
        found = self.digests.get(name)
        return found is not None and found in _digests(content)


def _digests(content: Path | bytes) -> tuple[str, str]:
    """Of the bytes: git's name of a blob (SHA-1 with a head), and the SHA-256 that LFS goes by."""
    if isinstance(content, bytes):
        head = b"blob %d\0" % len(content)
        return hashlib.sha1(head + content).hexdigest(), hashlib.sha256(content).hexdigest()
    git, lfs = hashlib.sha1(b"blob %d\0" % content.stat().st_size), hashlib.sha256()
    with files.plain(content) as file:
        while piece := file.read(1 << 22):
            git.update(piece)
            lfs.update(piece)
    return git.hexdigest(), lfs.hexdigest()


class HubModel:
    """`owner/name`. `run` is what was typed for what is published, for hints."""

    def __init__(self, name: str, *, run: str) -> None:
        self.name, self.address, self._run = name, f"hf://{name}", run

    def require_login(self) -> None:
        """Raises HubLoginMissing where no token is found."""
        from huggingface_hub import get_token

        if not get_token():
            raise HubLoginMissing(address=self.address)

    def look(self) -> Repo | None:
        """What is there; None: no such repository, or none that this login sees.

        Raises PublishTrouble or PublishRefused.
        """
        with self._in_words():
            try:
                facts = client().repo_info(self.name)
            except Exception as error:
                if status_of(error) == 404:
                    return None
                raise
            tree = client().list_repo_tree(self.name, recursive=True, revision=facts.sha)
            digests = {f.path: _digest_of(f) for f in tree if hasattr(f, "size")}
        return Repo(bool(facts.private), facts.sha, digests)

    def create(self) -> None:
        """A private one. Raises PublishTrouble or PublishRefused."""
        with self._in_words():
            client().create_repo(self.name, private=True, exist_ok=True)

    def commit(self, contents: Mapping[str, Path | bytes], head: str | None) -> str:
        """Write these files at once, on top of `head`, and say the commit's name.

        Raises PublishTrouble or PublishRefused; then nothing is written.
        """
        from huggingface_hub import CommitOperationAdd

        adds = [
            CommitOperationAdd(name, content if isinstance(content, bytes) else str(content))
            for name, content in sorted(contents.items())
        ]
        with self._in_words(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the card's head; what is wrong with it is an error
            made = client().create_commit(
                self.name, operations=adds, commit_message="agnews publish", parent_commit=head
            )
        return str(made.oid)

    def make_public(self) -> None:
        """Raises PublishTrouble or PublishRefused."""
        with self._in_words():
            client().update_repo_settings(self.name, private=False)

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except AgnewsError:
            raise
        except Exception as error:
            status = status_of(error)
            if status in _REASONS:
                reason, mend = _REASONS[status]
                raise PublishRefused(address=self.address, reason=reason, mend=mend) from error
            if status == 412:
                reason = "somebody else wrote there meanwhile"
            else:
                said = hidden(f"{error}").strip() or type(error).__name__
                reason = " ".join(said.split())[:_MOST_REASON].rstrip(".")
            raise PublishTrouble(address=self.address, reason=reason, run=self._run) from error


def _digest_of(entry: Any) -> str:
    lfs = getattr(entry, "lfs", None)
    return str(lfs.sha256 if lfs is not None else entry.blob_id)
