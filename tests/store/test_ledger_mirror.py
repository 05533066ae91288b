"""Two machines that share nothing but a further store agree on the hours."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from agnews_cli.errors import StoreTrouble
from agnews_cli.store.disk import files
from agnews_cli.store.hours import copies
from agnews_cli.store.hours.ledger import Ledger
from agnews_cli.store.hours.ledger_mirror import exchange
from agnews_cli.store.remotes.folder import Folder

NOW = datetime.now(UTC).replace(microsecond=0)


class Machine:
    """A ledger, and a folder for runs on its own disk."""

    def __init__(self, root: Path, name: str) -> None:
        self.ledger = Ledger(root / name / "home" / "ledger.db")
        self.ledger.machine = name
        self.ledger.__enter__()
        self.folder = root / name / "runs" / copies.FOLDER

    def work(self, hours: float) -> None:
        self.ledger.record_run("r", preset="p", dataset="d", seed=1, folder="f", now=NOW)
        session = self.ledger.open_session(
            "r", platform="kaggle", accelerator="T4", resource="gpu", now=NOW
        )
        self.ledger.close_session(session, "finished", NOW, held_s=hours * 3600)

    def meet(self, remote: Folder) -> int:
        """As a session does: its own copy, both ways, and what came is taken in."""
        copies.ship(self.ledger, self.folder)
        moved = exchange(remote, self.folder)
        copies.ship(self.ledger, self.folder)
        return moved

    @property
    def hours(self) -> list[float]:
        return sorted(round(s.seconds / 3600, 3) for s in self.ledger.sessions())


@pytest.fixture
def remote(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "remote")


def test_hours_reach_a_machine_that_shares_only_the_store(tmp_path: Path, remote: Folder) -> None:
    a, b = Machine(tmp_path, "a"), Machine(tmp_path, "b")
    a.work(2)
    assert a.meet(remote) == 1
    b.work(3)
    b.meet(remote)
    assert b.hours == [2, 3]
    b.meet(remote)
    a.meet(remote)
    assert a.hours == b.hours == [2, 3]


def test_old_copies_go_and_no_hour_with_them(tmp_path: Path, remote: Folder) -> None:
    a, b = Machine(tmp_path, "a"), Machine(tmp_path, "b")
    for hours in range(1, 16):
        a.work(hours)
        a.meet(remote)
    assert len(remote.list(f"{copies.FOLDER}/")) == 10
    b.meet(remote)
    assert b.hours == a.hours == list(range(1, 16))
    assert b.meet(remote) <= 1


def test_what_is_damaged_there_is_taken_in_by_nobody(tmp_path: Path, remote: Folder) -> None:
    a, b = Machine(tmp_path, "a"), Machine(tmp_path, "b")
    a.work(2)
    a.meet(remote)
    (there,) = remote.list(f"{copies.FOLDER}/")
    path = remote.path(there.name)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    (path.parent / "ledger-9999999999-evil.db").write_bytes(b"x")
    b.work(3)
    b.meet(remote)
    assert b.hours == [3]
    assert all(copies.is_copy(name) or name.endswith("jsonl") for name in files.names(b.folder))


def test_a_store_that_fails_changes_nothing_here(tmp_path: Path, remote: Folder) -> None:
    a = Machine(tmp_path, "a")
    a.work(2)
    copies.ship(a.ledger, a.folder)
    before = files.names(a.folder)
    remote.root.write_text("no folder")
    with pytest.raises(StoreTrouble):
        exchange(remote, a.folder)
    assert files.names(a.folder) == before
