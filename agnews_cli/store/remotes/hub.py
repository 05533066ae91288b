"""Hugging Face Hub: a private bucket where the client has them, else a private repository.

A repository changes by commits, and a commit names the one it continues: a session that another
one has overtaken cannot write any more. What was put appears all at once, by one commit, since the
Hub allows 128 of them an hour. A bucket has neither. Neither is ever public: an existing public
one is refused. Downloads are hashed by whoever asks for them, for the client does not.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from agnews_cli.errors import StoreTrouble
from agnews_cli.store.remotes import byte_bounds
from agnews_cli.store.remotes.faults import in_words, status_of
from agnews_cli.store.remotes.remote import Entry, Promises, is_name

_CONFLICTS = {409, 412}


def connect(name: str) -> Repository | Bucket:
    """`owner/name`, `buckets/owner/name` or `models/owner/name` (a repository)."""
    kind, _, rest = name.partition("/")
    if kind in {"models", "buckets"}:
        return (
            Repository(rest, f"hf://{name}") if kind == "models" else Bucket(rest, f"hf://{name}")
        )
    if _has_buckets():
        return Bucket(name, f"hf://{name}")
    return Repository(name, f"hf://{name}")


def _has_buckets() -> bool:
    import huggingface_hub

    return hasattr(huggingface_hub.HfApi, "batch_bucket_files")


def client() -> Any:
    """The Hub's client, quiet, for the endpoint that is set."""
    from huggingface_hub import HfApi
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT"))


def _is_missing(error: Exception) -> bool:
    return isinstance(error, FileNotFoundError) or status_of(error) == 404


class Repository:
    """Objects as files of a private model repository."""

    def __init__(self, repo: str, address: str) -> None:
        self._repo, self._address = repo, address
        self._head: str | None = None
        self._sizes: dict[str, int] = {}
        """As last listed: the Hub does not give more than it lists."""
        self._is_private = False
        self._puts: dict[str, Path] = {}
        self._deletes: set[str] = set()

    @property
    def address(self) -> str:
        return self._address

    @property
    def promises(self) -> Promises:
        return Promises(is_exclusive=True, is_atomic=True)

    def put(self, name: str, source: Path) -> None:
        self._puts[name] = source
        self._deletes.discard(name)

    def create(self, name: str, data: bytes) -> bool:
        if any(entry.name == name for entry in self.list(name.rpartition("/")[0] + "/")):
            return False
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "object"
            path.write_bytes(data)
            self._commit({name: path}, set(), f"claim {name}")
        return True

    def get(self, name: str, target: Path, most_bytes: int) -> None:
        with (
            in_words(self.address, f"give {name}", missing=name, is_missing=_is_missing),
            tempfile.TemporaryDirectory(dir=target.parent) as folder,
        ):
            byte_bounds.require(self._sizes.get(name, 0), most_bytes)
            found = client().hf_hub_download(
                self._repo, name, revision=self._head, local_dir=folder, force_download=True
            )
            Path(found).replace(target)

    def list(self, prefix: str) -> tuple[Entry, ...]:
        with in_words(self.address, "list its objects"):
            try:
                self._head = client().repo_info(self._repo).sha
                found = client().list_repo_tree(
                    self._repo,
                    path_in_repo=prefix.rstrip("/") or None,
                    recursive=True,
                    revision=self._head,
                )
                entries = [
                    Entry(f.path, f.size) for f in found if hasattr(f, "size") and is_name(f.path)
                ]
                self._sizes |= {entry.name: entry.size_bytes for entry in entries}
            except Exception as error:
                if _is_missing(error):  # no such repository or folder yet
                    return ()
                raise
        return tuple(sorted(entries, key=lambda entry: entry.name))

    def delete(self, name: str) -> None:
        self._puts.pop(name, None)
        self._deletes.add(name)

    def flush(self) -> None:
        # What a round that failed has left behind is put again by the next one.
        self._puts = {name: path for name, path in self._puts.items() if path.exists()}
        if not self._puts and not self._deletes:
            return
        self._commit(self._puts, self._deletes, "agnews")
        self._puts, self._deletes = {}, set()

    def _commit(self, puts: dict[str, Path], deletes: set[str], message: str) -> None:
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        with in_words(self.address, "commit"):
            self._require_private()
            there = {entry.name for entry in self._as_of_head()} if deletes else set()
            adds = [CommitOperationAdd(name, str(path)) for name, path in puts.items()]
            removals = [CommitOperationDelete(name) for name in sorted(deletes & there)]
            if not adds and not removals:
                return
            try:
                made = client().create_commit(
                    self._repo,
                    operations=[*adds, *removals],
                    commit_message=message,
                    parent_commit=self._head,
                )
            except Exception as error:
                if status_of(error) in _CONFLICTS:
                    # No other try: whoever wrote meanwhile may own the run now. The next round
                    # lists first, and finds out.
                    reason = "another commit came in between"
                    raise StoreTrouble(
                        store=self.address, action="commit", reason=reason
                    ) from error
                raise
            self._head = made.oid

    def _as_of_head(self) -> tuple[Entry, ...]:
        head = self._head
        entries = self.list("")
        self._head = head  # the fence stays where our last look was
        return entries

    def _require_private(self) -> None:
        if self._is_private:
            return
        api = client()
        api.create_repo(self._repo, private=True, exist_ok=True)
        facts = api.repo_info(self._repo)
        if not facts.private:
            raise StoreTrouble(store=self.address, action="be used", reason="it is public")
        self._head = self._head or facts.sha
        self._is_private = True


class Bucket:
    """Objects in a private bucket: no history, no fence."""

    def __init__(self, bucket: str, address: str) -> None:
        self._bucket, self._address = bucket, address
        self._is_private = False
        self._sizes: dict[str, int] = {}

    @property
    def address(self) -> str:
        return self._address

    @property
    def promises(self) -> Promises:
        return Promises()

    def put(self, name: str, source: Path) -> None:
        with in_words(self.address, f"store {name}"):
            self._require_private()
            client().batch_bucket_files(self._bucket, add=[(str(source), name)])

    def create(self, name: str, data: bytes) -> bool:
        with in_words(self.address, f"store {name}"):
            self._require_private()
            client().batch_bucket_files(self._bucket, add=[(data, name)])
        return True

    def get(self, name: str, target: Path, most_bytes: int) -> None:
        with in_words(self.address, f"give {name}", missing=name, is_missing=_is_missing):
            byte_bounds.require(self._sizes.get(name, 0), most_bytes)
            client().download_bucket_files(
                self._bucket, [(name, str(target))], raise_on_missing_files=True
            )

    def list(self, prefix: str) -> tuple[Entry, ...]:
        with in_words(self.address, "list its objects"):
            try:
                found = list(
                    client().list_bucket_tree(
                        self._bucket, prefix=prefix.rstrip("/") or None, recursive=True
                    )
                )
            except Exception as error:
                if _is_missing(error):
                    return ()
                raise
        entries = [Entry(f.path, f.size, _seconds(f)) for f in found if hasattr(f, "size")]
        inside = [e for e in entries if e.name.startswith(prefix) and is_name(e.name)]
        self._sizes |= {entry.name: entry.size_bytes for entry in inside}
        return tuple(sorted(inside, key=lambda entry: entry.name))

    def delete(self, name: str) -> None:
        with in_words(self.address, f"remove {name}"):
            try:
                client().batch_bucket_files(self._bucket, delete=[name])
            except Exception as error:
                if not _is_missing(error):
                    raise

    def flush(self) -> None: ...

    def _require_private(self) -> None:
        if self._is_private:
            return
        api = client()
        api.create_bucket(self._bucket, private=True, exist_ok=True)
        if not api.bucket_info(self._bucket).private:
            raise StoreTrouble(store=self.address, action="be used", reason="it is public")
        self._is_private = True


def _seconds(facts: Any) -> float | None:
    moment = getattr(facts, "uploaded_at", None)
    return moment.timestamp() if moment is not None else None
