"""F5, F6: a disk that is full or broken at any operation, once or for good."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from agnews_cli.errors import CannotRead, CannotWrite, NoDiskSpace
from agnews_cli.store.disk import files
from agnews_cli.store.run import leases
from tests.crash.faults import DISK_ERRORS, READS, FailingAt, drafts_in, operations
from tests.crash.subjects import NOW, SUBJECTS


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("name", SUBJECTS)
def test_a_disk_that_fails_at_any_operation(tmp_path, name, lasting):
    subject = SUBJECTS[name]
    for number in DISK_ERRORS:
        with_reads = number == errno.EIO
        subject.prepare(tmp_path / f"count {number}")
        act = lambda at=tmp_path / f"count {number}": subject.act(at)  # noqa: E731
        total = operations(act, with_reads=with_reads)
        print("F5" if number != errno.EIO else "F6", name, total, "points")
        for k in range(1, total + 1):
            folder = tmp_path / f"{number} {k}"
            subject.prepare(folder)
            disk = FailingAt(k, number, lasting=lasting, with_reads=with_reads)
            is_told = False
            try:
                with files.observed(disk):
                    subject.act(folder)
            except (CannotWrite, NoDiskSpace, CannotRead) as error:
                assert isinstance(error, NoDiskSpace) == (number != errno.EIO) or (
                    isinstance(error, CannotRead) and number == errno.EIO
                )
                is_told = True
            op, path = disk.failed[0]
            is_a_draft_left = op.startswith("unlink") and path.name.endswith(files.DRAFT)
            # What cannot be read is walked past; a draft that cannot be removed hurts nobody.
            assert is_told or op in READS or is_a_draft_left, (k, op, path)
            if op == "fsync" and not lasting:  # the kernel may have dropped the pages
                assert [p for o, p in disk.seen if o == "fsync"].count(path) == 1
            if not lasting and not is_a_draft_left:
                assert not drafts_in(folder), (k, op)
            subject.check(folder)


def test_a_folder_whose_fsync_fails_is_told(tmp_path, monkeypatch):
    def broken(handle: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{handle}"):  # noqa: PTH112
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(CannotWrite, match="Input/output"):
        files.write_text_atomically(tmp_path / "a", "text")
    with pytest.raises(CannotWrite, match="Input/output"):
        leases.claim(tmp_path, NOW)


def test_leases_that_cannot_be_listed_are_not_taken_for_none(tmp_path):
    lease = leases.claim(tmp_path, NOW)
    with files.observed(FailingAt(1, errno.EIO, lasting=True, with_reads=True)):
        with pytest.raises(CannotRead):
            leases.newest_token(tmp_path)
        with pytest.raises((CannotRead, CannotWrite)):
            leases.claim(tmp_path, NOW, takeover=True)
    assert leases.newest_token(tmp_path) == lease.token


def test_what_libraries_wrote_is_synced_before_a_run_says_that_it_is_there(tmp_path):
    (tmp_path / "model").mkdir()
    for name in ("model/model.safetensors", "predictions.csv"):
        (tmp_path / name).write_bytes(b"x")
    seen: list[tuple[str, Path]] = []
    with files.observed(lambda op, path: seen.append((op, path.relative_to(tmp_path)))):
        files.sync_all(tmp_path)
    synced = {str(path) for op, path in seen if op in ("fsync-done", "fsync-folder-done")}
    assert synced == {".", "model", "model/model.safetensors", "predictions.csv"}
    for k in range(1, len(seen) + 1):
        disk = FailingAt(k, errno.EIO, lasting=False, with_reads=True)
        with files.observed(disk), pytest.raises(CannotWrite):
            files.sync_all(tmp_path)
