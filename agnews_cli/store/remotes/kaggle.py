"""Kaggle: a private dataset whose versions each hold everything, and inputs of a notebook.

A version is made as a whole and holds nothing of the one before. So everything that is to be in
it lies in a folder on this machine, filled from the served version first, and `flush` uploads that
folder and waits until a version with our manifest is served. Names are flat, since Kaggle allows
50 files on top; bundles and records have endings that Kaggle does not unpack.

What lies under /kaggle/input is read-only: a finished notebook's output, or such a dataset.
"""

from __future__ import annotations

import builtins
import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from agnews_cli.errors import ClientMissing, StoreBusy, StoreTrouble
from agnews_cli.store.remotes import byte_bounds
from agnews_cli.store.remotes.faults import in_words, status_of
from agnews_cli.store.remotes.folder import Folder
from agnews_cli.store.remotes.remote import Entry, Promises, is_name

INPUT = Path("/kaggle/input")
_SLASH = "__"
_INDEX = "agnews-index.txt"
_LONGEST_WAIT_S, _TIMEOUT_S = 600.0, 600.0
_FIRST_PAUSE_S = 1.0
_DEEPEST = 5
_RUN_FILE = "created.json"


def flat(name: str) -> str:
    """An object's file name in a dataset."""
    return name.replace("/", _SLASH)


def unflat(name: str) -> str:
    return name.replace(_SLASH, "/")


class KaggleDataset:
    """Objects as files of a private dataset's newest version."""

    def __init__(
        self,
        handle: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        wait_s: float = _LONGEST_WAIT_S,
    ) -> None:
        self._owner, _, self._slug = handle.partition("/")
        self._sleep, self._wait_s = sleep, wait_s
        self._staging: tempfile.TemporaryDirectory[str] | None = None
        self._is_changed = self._is_there = False

    @property
    def address(self) -> str:
        return f"kaggle://{self._owner}/{self._slug}"

    @property
    def promises(self) -> Promises:
        return Promises(is_atomic=True, is_bundled=True, keeps=1, beats=False)

    def put(self, name: str, source: Path) -> None:
        with in_words(self.address, f"store {name}"):
            shutil.copyfile(source, self._filled() / flat(name))
            self._is_changed = True

    def create(self, name: str, data: bytes) -> bool:
        with in_words(self.address, f"store {name}"):
            (self._filled() / flat(name)).write_bytes(data)
            self._is_changed = True
        return True

    def get(self, name: str, target: Path, most_bytes: int) -> None:
        with in_words(self.address, f"give {name}", missing=name, is_missing=_is_missing):
            self._download(flat(name), target, most_bytes)

    def list(self, prefix: str) -> tuple[Entry, ...]:
        with in_words(self.address, "list its objects"):
            try:
                found = dict(self._files())
            except Exception as error:
                if _is_missing(error):
                    return ()
                raise
        found.pop(_INDEX, None)
        entries = (Entry(unflat(n), s) for n, s in found.items() if is_name(unflat(n)))
        return tuple(
            sorted((e for e in entries if e.name.startswith(prefix)), key=lambda e: e.name)
        )

    def delete(self, name: str) -> None:
        with in_words(self.address, f"remove {name}"):
            # Gone with the next version: a version for that alone is not worth it.
            (self._filled() / flat(name)).unlink(missing_ok=True)

    def flush(self) -> None:
        if not self._is_changed or self._staging is None:
            return
        folder = Path(self._staging.name)
        with in_words(self.address, "make a new version"):
            names = sorted(p.name for p in folder.iterdir() if p.name != _INDEX)
            text = "".join(f"{_sha256(folder / name)}  {name}\n" for name in names)
            (folder / _INDEX).write_text(text, "utf-8")
            try:
                self._make_version([folder / name for name in (*names, _INDEX)])
            except Exception as error:
                if status_of(error) == 403:  # while the version before is still processed
                    raise StoreBusy(
                        store=self.address, action="make a new version", reason="403, not yet"
                    ) from error
                raise
            self._wait_for(text)
        self._is_there, self._is_changed = True, False

    def _make_version(self, files: builtins.list[Path]) -> None:
        from kagglehub.exceptions import handle_mutate_call
        from kagglesdk.datasets.types.dataset_api_service import (
            ApiCreateDatasetRequest,
            ApiCreateDatasetVersionRequest,
            ApiCreateDatasetVersionRequestBody,
            ApiDatasetNewFile,
        )

        with _client(self.address) as client:
            sent = []
            for path in files:
                file = ApiDatasetNewFile()
                file.token = _upload(client, path)
                sent.append(file)
            api = client.datasets.dataset_api_client
            if self._is_there:
                version = ApiCreateDatasetVersionRequest()
                version.owner_slug, version.dataset_slug = self._owner, self._slug
                version.body = ApiCreateDatasetVersionRequestBody()
                version.body.version_notes, version.body.files = "agnews", sent
                handle_mutate_call(lambda: api.create_dataset_version(version))
                return
            new = ApiCreateDatasetRequest()
            new.owner_slug, new.slug, new.title = self._owner, self._slug, self._slug
            new.is_private, new.files = True, sent
            handle_mutate_call(lambda: api.create_dataset(new))

    def _wait_for(self, index: str) -> None:
        """Until the version that is served has our index: uploads are processed for minutes."""
        give_up_s, pause_s = time.monotonic() + self._wait_s, _FIRST_PAUSE_S
        with tempfile.TemporaryDirectory() as folder:
            while True:
                copy = Path(folder) / "index"
                with contextlib.suppress(Exception):
                    self._download(_INDEX, copy, len(index.encode()))
                    if copy.read_text("utf-8") == index:
                        return
                if time.monotonic() > give_up_s:
                    raise StoreBusy(
                        store=self.address, action="serve the new version", reason="not yet served"
                    )
                self._sleep(pause_s)
                pause_s = min(pause_s * 1.5, 20.0)

    def _filled(self) -> Path:
        """The folder that becomes the next version; first it is what is served now."""
        if self._staging is None:
            staging = tempfile.TemporaryDirectory(prefix="agnews-kaggle-")
            self._require_private()
            for entry in self.list(""):
                file = flat(entry.name)
                self._download(file, Path(staging.name) / file, entry.size_bytes)
            self._staging = staging
        return Path(self._staging.name)

    def _require_private(self) -> None:
        from kagglesdk.datasets.types.dataset_api_service import ApiGetDatasetRequest

        request = ApiGetDatasetRequest()
        request.owner_slug, request.dataset_slug = self._owner, self._slug
        try:
            with _client(self.address) as client:
                facts = client.datasets.dataset_api_client.get_dataset(request)
        except Exception as error:
            if _is_missing(error):
                return
            raise
        if not facts.is_private:
            raise StoreTrouble(store=self.address, action="be used", reason="it is public")
        self._is_there = True

    def _files(self) -> Iterator[tuple[str, int]]:
        from kagglesdk.datasets.types.dataset_api_service import ApiListDatasetFilesRequest

        request = ApiListDatasetFilesRequest()
        request.owner_slug, request.dataset_slug = self._owner, self._slug
        request.page_size = 200
        with _client(self.address) as client:
            while True:
                answer = client.datasets.dataset_api_client.list_dataset_files(request)
                for file in answer.dataset_files:
                    yield file.name, int(file.total_bytes)
                if not answer.next_page_token:
                    return
                request.page_token = answer.next_page_token

    def _download(self, file: str, target: Path, most_bytes: int) -> None:
        from kagglesdk.datasets.types.dataset_api_service import ApiDownloadDatasetRequest

        request = ApiDownloadDatasetRequest()
        request.owner_slug, request.dataset_slug = self._owner, self._slug
        request.file_name = file
        with _client(self.address) as client:
            answer = client.datasets.dataset_api_client.download_dataset(request)
            answer.raise_for_status()
            pieces = answer.iter_content(1 << 20)
            with target.open("wb") as sink:
                byte_bounds.copy(lambda _: next(pieces, b""), sink, most_bytes)


class Input:
    """One place under /kaggle/input that holds runs; nothing can be written there."""

    def __init__(self, root: Path, *, is_flat: bool) -> None:
        promises = Promises(is_read_only=True, proves=True, is_bundled=is_flat)
        self._inner, self._is_flat = Folder(root, promises, str(root)), is_flat

    @property
    def address(self) -> str:
        return self._inner.address

    @property
    def promises(self) -> Promises:
        return self._inner.promises

    def put(self, name: str, source: Path) -> None:
        raise StoreTrouble(store=self.address, action=f"take {name}", reason="it is read-only")

    def create(self, name: str, data: bytes) -> bool:
        raise StoreTrouble(store=self.address, action=f"take {name}", reason="it is read-only")

    def get(self, name: str, target: Path, most_bytes: int) -> None:
        self._inner.get(flat(name) if self._is_flat else name, target, most_bytes)

    def list(self, prefix: str) -> tuple[Entry, ...]:
        if not self._is_flat:
            return self._inner.list(prefix)
        found = (
            Entry(unflat(entry.name), entry.size_bytes, entry.modified_s)
            for entry in self._inner.list("")
        )
        return tuple(entry for entry in found if entry.name.startswith(prefix))

    def delete(self, name: str) -> None: ...

    def flush(self) -> None: ...


def input_at(root: Path) -> Input:
    """The runs below `root`, as a dataset or a notebook's output."""
    return Input(root, is_flat=(root / _INDEX).exists())


def inputs() -> tuple[Input, ...]:
    """Everything under /kaggle/input that holds runs. Where things are mounted varies: searched."""
    found: dict[Path, bool] = {}
    if not INPUT.is_dir():
        return ()
    for folder, folders, names in os.walk(INPUT):
        here = Path(folder)
        if len(here.relative_to(INPUT).parts) >= _DEEPEST:
            folders.clear()
        if _INDEX in names:
            found[here] = True
            folders.clear()
        elif _RUN_FILE in names:
            found.setdefault(here.parent, False)
            folders.clear()
    return tuple(Input(root, is_flat=is_flat) for root, is_flat in sorted(found.items()))


def _client(address: str) -> Any:
    try:
        from kagglehub.clients import build_kaggle_client
    except ImportError as error:
        raise ClientMissing(
            store=address, package="kagglehub", install="pip install kagglehub"
        ) from error
    return build_kaggle_client()


def _upload(client: Any, path: Path) -> str:
    """Send one file; the token by which a version names it."""
    import requests
    from kagglesdk.blobs.types.blob_api_service import ApiBlobType, ApiStartBlobUploadRequest

    request = ApiStartBlobUploadRequest()
    request.type, request.name = ApiBlobType.DATASET, path.name
    request.content_length = path.stat().st_size
    request.last_modified_epoch_seconds = int(path.stat().st_mtime)
    begun = client.blobs.blob_api_client.start_blob_upload(request)
    with path.open("rb") as file:
        kind = {"Content-Type": "application/octet-stream"}
        answer = requests.put(begun.create_url, data=file, headers=kind, timeout=_TIMEOUT_S)
    answer.raise_for_status()
    return str(begun.token)


def _is_missing(error: Exception) -> bool:
    # Kaggle answers 403 for a dataset that is not there as well as for one that is not ours.
    return isinstance(error, FileNotFoundError) or status_of(error) in {403, 404}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
