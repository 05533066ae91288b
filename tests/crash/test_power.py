"""F4: power cuts. What was not synced is lost, zeroed, shorter or out of order (ALICE, 2014).

The operations of a session are recorded through the door to the disk. Every prefix is a moment at
which the power may go; for each, what had not been synced by then persists in every part, or with
a zeroed tail, or with its old length. Every such disk is made and recovered from.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from agnews_cli.store.disk import files
from agnews_cli.store.run import leases, runs
from agnews_cli.store.run.checkpoints import Checkpoints
from agnews_cli.store.settings import presets
from tests.crash.faults import SEED, assert_whole, contents, draft, tiers
from tests.crash.subjects import NOW, create_run, preset


@dataclass(frozen=True)
class Operation:
    """`kind`: create, write, fsync, name, remove, folder, fsync-folder. Paths are relative."""

    kind: str
    path: str
    file: int = 0
    data: bytes = b""

    @property
    def folder(self) -> str:
        return str(Path(self.path).parent)


@dataclass
class Recording:
    """What was done to the disk in `root`, and after how many operations what was promised."""

    root: Path
    operations: list[Operation] = field(default_factory=list)
    promises: list[tuple[int, str, int]] = field(default_factory=list)
    _files: dict[str, int] = field(default_factory=dict)
    _draft: str = ""

    def promise(self, what: str, value: int) -> None:
        self.promises.append((len(self.operations), what, value))

    def __call__(self, op: str, path: Path) -> None:
        if not path.is_relative_to(self.root):  # what is only read
            return
        name = str(path.relative_to(self.root))
        add = self.operations.append
        if op == "open-done":
            self._files[name] = len(self.operations) + 1
            self._draft = name
            add(Operation("create", name, self._files[name]))
        elif op in ("write-torn", "write-done"):
            add(Operation("write", name, self._files[name], path.read_bytes()))
        elif op == "fsync-done":
            add(Operation("fsync", name, self._files[name]))
        elif op in ("rename-done", "link-done"):
            self._files[name] = self._files[self._draft]
            add(Operation("name", name, self._files[name]))
            if op == "rename-done":
                add(Operation("remove", self._draft))
        elif op == "unlink-done":
            add(Operation("remove", name))
        elif op == "mkdir-done":
            add(Operation("folder", name))
        elif op == "fsync-folder-done":
            add(Operation("fsync-folder", name))


Disk = dict[str, bytes | None]  # None: a folder


def disks_after(done: list[Operation]) -> Iterator[Disk]:
    """Every disk that a power cut after `done` may leave, the one with nothing lost first."""
    unsynced = [at for at, op in enumerate(done) if not _is_synced(at, op, done)]
    if len(unsynced) <= 6:
        subsets = [n for size in range(7) for n in combinations(unsynced, size)]
    else:
        subsets = [(), tuple(unsynced), *((at,) for at in unsynced)]
    for lost in subsets:
        yield _disk(done, set(lost))
    for at in unsynced:
        data = done[at].data
        if done[at].kind == "write" and data:
            half = len(data) // 2
            yield _disk(done, set(), {at: data[:half] + bytes(len(data) - half)})
            yield _disk(done, set(), {at: data[:half]})
            yield _disk(done, set(), {at: b""})


def _is_synced(at: int, op: Operation, done: list[Operation]) -> bool:
    if op.kind in ("fsync", "fsync-folder"):
        return True
    if op.kind == "write":
        return any(o.kind == "fsync" and o.file == op.file for o in done[at:])
    return any(o.kind == "fsync-folder" and o.path == op.folder for o in done[at:])


def _disk(done: list[Operation], lost: set[int], instead: dict[int, bytes] | None = None) -> Disk:
    names: dict[str, int | None] = {}
    data: dict[int, bytes] = {}
    for at, op in enumerate(done):
        if at in lost:
            continue
        if op.kind in ("create", "name"):
            names[op.path] = op.file
        elif op.kind == "write":
            data[op.file] = (instead or {}).get(at, op.data)
        elif op.kind == "remove":
            names.pop(op.path, None)
        elif op.kind == "folder":
            names[op.path] = None
    there = {"."} | {name for name, file in names.items() if file is None}

    def is_reachable(name: str) -> bool:
        return all(str(parent) in there for parent in Path(name).parents)

    return {
        name: None if file is None else data.get(file, b"")
        for name, file in sorted(names.items())
        if is_reachable(name)
    }


def made(disk: Disk, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, data in disk.items():
        if data is None:
            (folder / name).mkdir(parents=True)
        else:
            (folder / name).write_bytes(data)


def recovered(folder: Path, promised: dict[str, int]) -> None:
    """N1 to N4 on what a power cut left."""
    checkpoints = Checkpoints(folder / "checkpoints")
    if "step" in promised:
        assert_whole(checkpoints, promised["step"])
    assert all(wrong is None for _, wrong in checkpoints.verify())
    assert leases.newest_token(folder) >= promised.get("token", 0)
    for name in files.names(folder / "leases"):
        assert name.endswith(files.DRAFT) or leases._read(folder / "leases" / name, NOW)
    run = runs.RunFolder(folder / "store" / "r-1")
    if "run" in promised:
        assert run.created_at() == NOW
    if run.created_at() is not None:
        assert presets.load(str(run.preset)) == preset()
    text = folder / "outcome.json"
    found = int(text.read_text()) if text.exists() else 0
    assert found >= promised.get("text", 0)
    checkpoints.save(draft(99, token=9), contents(99))
    checkpoints.prune(keep=1)
    assert_whole(checkpoints, 99)


def assert_survives(act: Callable[[Recording], None], tmp_path: Path) -> int:
    root, again = tmp_path / "recorded", tmp_path / "again"
    root.mkdir(parents=True)
    recording = Recording(root)
    with files.observed(recording):
        act(recording)
    seen = set()
    for length in range(len(recording.operations) + 1):
        promised: dict[str, int] = {}
        for at, what, value in recording.promises:
            if at <= length:
                promised[what] = value
        for disk in disks_after(recording.operations[:length]):
            state = (tuple(disk.items()), tuple(promised.items()))
            if state not in seen:
                seen.add(state)
                made(disk, again)
                recovered(again, promised)
    return len(seen)


def session(folder: Path, recording: Recording) -> None:
    create_run(folder)
    recording.promise("run", 1)
    lease = leases.claim(folder, NOW)
    recording.promise("token", lease.token)
    checkpoints = Checkpoints(folder / "checkpoints")
    for step in range(1, 5):
        checkpoints.save(draft(step), contents(step))
        recording.promise("step", step)
        checkpoints.prune(keep=2)
        lease.beat(NOW)
    for value in (1, 2):
        files.write_text_atomically(folder / "outcome.json", str(value))
        recording.promise("text", value)
    lease.release(NOW)
    recording.promise("token", leases.claim(folder, NOW).token)


def test_a_session_survives_every_power_cut(tmp_path):
    states = assert_survives(lambda r: session(r.root, r), tmp_path)
    print("F4", states, "different disks")
    assert states > 250


@tiers(10, 300)
def test_short_workloads_survive_every_power_cut(tmp_path, tries):
    """Three acts in a random order: most known bugs need no more (Mohan et al. 2018)."""
    states = 0
    for number in range(tries):
        rng = random.Random(f"{SEED} {number}")

        def act(recording: Recording, rng: random.Random = rng) -> None:
            folder, step = recording.root, 0
            checkpoints = Checkpoints(folder / "checkpoints")
            for _ in range(3):
                kind = rng.choice(["save", "save", "prune", "claim", "text", "run"])
                if kind == "save":
                    step += 1
                    checkpoints.save(draft(step), contents(step))
                    recording.promise("step", step)
                elif kind == "prune":
                    checkpoints.prune(keep=1)
                elif kind == "claim":
                    token = leases.claim(folder, NOW, takeover=True).token
                    recording.promise("token", token)
                elif kind == "text":
                    files.write_text_atomically(folder / "outcome.json", str(step + 1))
                    recording.promise("text", step + 1)
                else:
                    create_run(folder)
                    recording.promise("run", 1)

        states += assert_survives(act, tmp_path / str(number))
    print("F4", states, "different disks of", tries, "short workloads")
