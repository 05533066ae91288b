"""What sending takes from the processor is measured and remembered, for the interval of saves."""

from __future__ import annotations

import json
import time

import pytest

from agnews_cli.store.remotes.folder import Folder
from agnews_cli.store.run.checkpoints import Checkpoints, Draft
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.transfer.receipts import sending_s
from agnews_cli.store.transfer.sync import Sync


@pytest.fixture
def run(tmp_path):
    run = RunFolder(tmp_path / "here" / "minilm-0123456789")
    run.path.mkdir(parents=True)
    (run.path / "preset.yaml").write_text("name: minilm\n")
    (run.path / "created.json").write_text(json.dumps({"created_at": "2026-11-20T12:00:00+00:00"}))
    draft = Draft(
        run=run.id, candidate="minilm", step=1, parent=None, token=1, writer="aaaa",
        why="interval", state={}, fingerprint={},
    )  # fmt: skip
    Checkpoints(run.checkpoints / "minilm").save(draft, {"weights": b"w" * 1000})
    return run


def busy(seconds):
    end_s = time.process_time() + seconds
    while time.process_time() < end_s:
        pass


@pytest.mark.parametrize(("spend", "least_s", "most_s"), [(busy, 0.3, 0.9), (time.sleep, 0, 0.2)])
def test_work_counts_and_waiting_does_not(run, tmp_path, spend, least_s, most_s):
    remote = Folder(tmp_path / "there")
    put = remote.put
    remote.put = lambda name, source: (spend(0.3) if "/blobs/" in name else None, put(name, source))
    assert sending_s(run) == 0.0
    sync = Sync(remote, run, token=1, writer="aaaa")
    sync.push()
    assert least_s <= sending_s(run) <= most_s
    assert sync.book.page.durations_s[-1] >= 0.3


def test_of_two_stores_the_costlier_counts(run, tmp_path):
    for name, spent_s in (("one", 0.0), ("two", 0.3), ("three", 0.0)):
        remote = Folder(tmp_path / name)
        put = remote.put
        remote.put = lambda name, source, put=put, s=spent_s: (busy(s), put(name, source))
        Sync(remote, run, token=1, writer="aaaa").push()
    assert sending_s(run) >= 0.3
