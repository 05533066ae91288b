"""Colab's Drive mount and Kaggle's inputs, with what is peculiar to them."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agnews_cli.core.run.request import Wish
from agnews_cli.errors import DriveNotMounted
from agnews_cli.store.remotes import address, drive, kaggle
from agnews_cli.store.run.checkpoints import Checkpoints, Draft
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.transfer import pulls
from agnews_cli.store.transfer.sync import Sync
from agnews_cli.workflows.runs import stores

ORDER = {
    "data": "sample:",
    "text_columns": [],
    "label_column": None,
    "limit_train": None,
    "budget_s": None,
    "seed": 0,
}

RUN = "minilm-0123456789"


def begin(folder: Path) -> RunFolder:
    run = RunFolder(folder / RUN)
    run.path.mkdir(parents=True)
    (run.path / "preset.yaml").write_text("name: minilm\n")
    moment = datetime(2026, 11, 25, tzinfo=UTC).isoformat()
    (run.path / "created.json").write_text(json.dumps({"created_at": moment, "order": ORDER}))
    return run


def save(run: RunFolder, step: int, parent: str | None = None) -> str:
    draft = Draft(
        run=RUN, candidate="m", step=step, parent=parent, token=1, writer="aaaa", why="interval",
        state={}, fingerprint={},
    )  # fmt: skip
    return Checkpoints(run.checkpoints / "m").save(draft, {"weights": bytes([step]) * 5000}).id


@pytest.fixture
def mount(tmp_path, monkeypatch) -> Path:
    mount = tmp_path / "content" / "drive" / "MyDrive"
    mount.mkdir(parents=True)
    (tmp_path / "mounts").write_text(f"drive {mount.parent} fuse.drive rw,nosuid 0 0\n")
    monkeypatch.setattr(drive, "MOUNT", mount)
    monkeypatch.setattr(drive, "MOUNTS", tmp_path / "mounts")
    return mount


def pushed(run: RunFolder, steps: int) -> list[str]:
    """Checkpoints 1 to `steps`, each sent to Drive; their ids."""
    ids: list[str] = []
    session = Sync(drive.Drive("runs"), run, token=1, writer="aaaa")
    for step in range(1, steps + 1):
        ids.append(save(run, step, ids[-1] if ids else None))
        session.push()
    assert set(session.book.page.parcels.values()) == {"sent"}  # never more than that
    return ids


def step_on_empty_machine(folder: Path) -> tuple[int, pulls.Pulled]:
    again = RunFolder(folder / RUN)
    again.path.mkdir(parents=True)
    came = pulls.pull([drive.Drive("runs")], again)
    newest, _ = Checkpoints(again.checkpoints / "m").newest()
    assert newest is not None
    return newest.manifest.step, came


@pytest.mark.parametrize("lost", ["bundle", "manifest", "half a bundle", "both"])
def test_last_writes_that_never_reached_drive_cost_one_checkpoint(mount, tmp_path, lost):
    ids = pushed(begin(tmp_path / "here"), 3)
    folder = mount / "runs" / RUN / "checkpoints" / "m"
    (bundle,) = folder.glob(f"{ids[-1]}.*.bundle")
    if lost in ("bundle", "both"):
        bundle.unlink()
    if lost == "half a bundle":
        bundle.write_bytes(bundle.read_bytes()[:2000])
    if lost in ("manifest", "both"):
        (folder / f"{ids[-1]}.json").unlink()
    step, came = step_on_empty_machine(tmp_path / "elsewhere")
    assert step == 2
    if lost not in ("manifest", "both"):
        assert ids[-1] in came.skipped[0][0]


def test_two_files_of_one_name_disturb_nobody(mount, tmp_path):
    ids = pushed(begin(tmp_path / "here"), 2)
    folder = mount / "runs" / RUN / "checkpoints" / "m"
    (bundle,) = folder.glob(f"{ids[-1]}.*.bundle")
    torn = bundle.with_name(f"{ids[-1]}.00000000.bundle")  # an earlier try to send it
    torn.write_bytes(b"torn")
    for path in list(folder.iterdir()):  # as the mount shows a second file of a name
        shutil.copyfile(path, path.with_name(f"{path.stem} (1){path.suffix}"))
    assert step_on_empty_machine(tmp_path / "elsewhere")[0] == 2


def test_what_is_removed_is_emptied_first_for_the_bin_counts(mount, tmp_path, monkeypatch):
    sizes: list[int] = []
    unlink = Path.unlink

    def watched(self: Path, missing_ok: bool = False) -> None:
        if mount in self.parents and self.exists() and not self.name.startswith("."):
            sizes.append(self.stat().st_size)
        unlink(self, missing_ok)

    run = begin(tmp_path / "here")
    monkeypatch.setattr(Path, "unlink", watched)
    pushed(run, 5)
    assert len(sizes) >= 6  # three manifests and three bundles
    assert set(sizes) == {0}


def test_a_mount_that_went_away_is_no_folder_to_write_to(mount, tmp_path):
    remote = drive.Drive("runs")
    (tmp_path / "mounts").write_text("/dev/sda1 / ext4 rw 0 0\n")
    assert not stores.visible(())
    with pytest.raises(DriveNotMounted):
        Sync(remote, begin(tmp_path / "here"), token=1, writer="aaaa").push()
    assert not (mount / "runs").exists()
    with pytest.raises(DriveNotMounted):
        stores.connect(("drive",))


def test_a_mounted_drive_is_looked_into_unasked(mount):
    assert [remote.address for remote in stores.visible(())] == ["drive:agnews-runs"]
    assert stores.visible(("drive:runs",)) == ()


@pytest.mark.parametrize("place", ["notebooks/me/slug/agnews-runs", "slug", "datasets/me/slug"])
def test_a_finished_notebooks_output_is_found_wherever_it_is_mounted(place, tmp_path, monkeypatch):
    monkeypatch.setattr(kaggle, "INPUT", tmp_path / "input")
    save(begin(tmp_path / "input" / place), 4)
    for path in (tmp_path / "input").rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    (remote,) = stores.visible(())
    assert remote.promises.is_read_only
    (one,) = pulls.seen(remote, tmp_path / "look")
    assert (one.run, one.state) == (RUN, "unfinished")
    assert one.newest is not None
    assert one.newest.step == 4
    again = pulls.unpack_record(one, tmp_path / "working")
    named = stores.connect(stores.choose((remote.address,), {}).remotes)  # as `resume` passes it on
    assert named[0].promises.is_read_only
    pulls.pull(named, again)
    assert Checkpoints(again.checkpoints / "m").newest()[0] is not None
    assert again.order() == Wish(data="sample:")


def test_a_dataset_of_ours_as_an_input_is_read_too(tmp_path, monkeypatch):
    monkeypatch.setattr(kaggle, "INPUT", tmp_path / "input")
    (tmp_path / "input").mkdir()
    run, folder = begin(tmp_path / "here"), tmp_path / "input" / "runs"
    save(run, 4)

    class Flat(drive.Folder):
        """As a version of a dataset looks: bundles, flat names."""

        def put(self, name: str, source: Path) -> None:
            super().put(kaggle.flat(name), source)

        def list(self, prefix: str):
            return kaggle.Input(folder, is_flat=True).list(prefix)

        def get(self, name: str, target: Path, most_bytes: int) -> None:
            super().get(kaggle.flat(name), target, most_bytes)

    promises = kaggle.KaggleDataset("me/runs").promises
    Sync(Flat(folder, promises), run, token=1, writer="aaaa").push()
    (folder / "agnews-index.txt").write_text("")
    assert all("/" not in p.relative_to(folder).as_posix() for p in folder.rglob("*"))
    (remote,) = stores.visible(())
    (one,) = pulls.seen(remote, tmp_path / "look")
    again = pulls.unpack_record(one, tmp_path / "working")
    assert pulls.pull([address.connect(address.parse(remote.address))], again).parcels
