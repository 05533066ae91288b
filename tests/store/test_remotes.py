"""One contract for every store: what goes there comes back, and what is damaged is not used."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import random
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.request import Request, urlopen

import pytest

from agnews_cli.core.run.request import Wish
from agnews_cli.core.saving.checkpoint import Key
from agnews_cli.errors import AgnewsError, Fenced, NotInStore, RunBusy, StoreTrouble
from agnews_cli.store.remotes import address
from agnews_cli.store.remotes.folder import Folder
from agnews_cli.store.remotes.patience import Patient
from agnews_cli.store.remotes.remote import Entry, Remote
from agnews_cli.store.run.checkpoints import Checkpoints, Draft
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.transfer import claims, pulls
from agnews_cli.store.transfer.sync import Sync
from tests.servers.hub import StandInHub
from tests.servers.kaggle import StandInKaggle
from tests.servers.process import ServerProcess, free_port

ORDER = {
    "data": "sample:",
    "text_columns": [],
    "label_column": None,
    "limit_train": None,
    "budget_s": None,
    "seed": 0,
}

RUN = "minilm-0123456789"
NOW = datetime(2026, 11, 25, tzinfo=UTC)


# ---- the places ---------------------------------------------------------------------------------


@dataclass
class Place:
    """A store under test."""

    kind: str
    address: str
    files: Path | None = None
    """Where its objects lie as files, if they do."""
    server: Any = None
    client: Remote | None = None

    def connect(self) -> Remote:
        """A client; S3's is kept, since making one takes a second and it caches nothing."""
        if self.client is None or self.kind not in {"s3", "kaggle"}:
            self.client = address.connect(address.parse(self.address))
        return self.client

    def damage(self, name: str) -> None:
        remote = self.connect()
        copy = Path(os.environ["AGNEWS_HOME"]) / "copy"
        copy.parent.mkdir(parents=True, exist_ok=True)
        remote.get(name, copy, 1 << 30)
        data = bytearray(copy.read_bytes())
        data[len(data) // 2] ^= 1
        copy.write_bytes(data)
        remote.put(name, copy)
        remote.flush()


def need(*modules: str) -> None:
    for module in modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[ServerProcess]:
    need("moto", "flask", "s3fs")
    port = free_port()
    server = ServerProcess("moto.server", "-H", "127.0.0.1", "-p", str(port), port=port)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def sftp_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    need("paramiko")
    from tests.servers.sftp import key_of

    folder, port = tmp_path_factory.mktemp("sftp"), free_port()
    server = ServerProcess("tests.servers.sftp", str(folder), str(port), port=port)
    server.folder = folder
    key = key_of(folder)
    server.line = f"[127.0.0.1]:{port} {key.get_name()} {key.get_base64()}\n"
    yield server
    server.stop()


def make_bucket(server: ServerProcess) -> None:
    urlopen(Request(f"http://127.0.0.1:{server.port}/bucket", method="PUT")).close()


@pytest.fixture
def hub_place(monkeypatch) -> Iterator[Place]:
    """The real client against a stand-in, over HTTP."""
    import huggingface_hub.constants

    hub = StandInHub()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    yield Place("hub", "hf://models/me/runs", server=hub)
    assert not hub.unknown
    assert all(repo["private"] for repo in hub.repos.values())
    hub.stop()


@pytest.fixture
def bucket_place(monkeypatch) -> Place:
    """The thinnest edge fake: a bucket's bytes travel by a protocol of their own (hf_xet)."""
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "HfApi", FakeBuckets({}))
    return Place("bucket", "hf://me/runs")


@pytest.fixture
def kaggle_place(monkeypatch) -> Iterator[Place]:
    """The real client against a stand-in, over HTTP; new versions are served late."""
    need("kagglehub")
    from kagglehub import clients
    from kagglesdk import kaggle_env

    # At each request it looks through the stack for its callers' names, in all modules that this
    # process has: minutes in a process that has run other tests.
    monkeypatch.setattr(clients, "get_user_agent", lambda: "kagglehub")
    kaggle = StandInKaggle()
    kaggle.delay = 2
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.LOCAL, kaggle.url)
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
    monkeypatch.setenv("KAGGLE_USERNAME", "me")
    monkeypatch.setenv("KAGGLE_KEY", "0123456789abcdef0123456789abcdef")
    monkeypatch.setattr("agnews_cli.store.remotes.kaggle._FIRST_PAUSE_S", 0.01)
    yield Place("kaggle", "kaggle://me/runs", server=kaggle)
    assert not kaggle.unknown
    assert all(kaggle.is_private)
    kaggle.stop()


class FakeBuckets:
    """As `HfApi`, for buckets only; every client sees the same files."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.is_private = files, None

    def __call__(self, endpoint=None) -> FakeBuckets:
        return self

    def create_bucket(self, bucket_id, *, private, exist_ok) -> None:
        self.is_private = private

    def bucket_info(self, bucket_id):
        return SimpleNamespace(private=self.is_private)

    def batch_bucket_files(self, bucket_id, *, add=(), delete=()) -> None:
        for source, name in add:
            self.files[name] = source if isinstance(source, bytes) else Path(source).read_bytes()
        for name in delete:
            self.files.pop(name, None)

    def list_bucket_tree(self, bucket_id, *, prefix, recursive):
        inside = {n: d for n, d in self.files.items() if n.startswith(prefix or "")}
        return iter([SimpleNamespace(path=n, size=len(d)) for n, d in inside.items()])

    def download_bucket_files(self, bucket_id, files, *, raise_on_missing_files) -> None:
        for name, target in files:
            if name not in self.files:
                raise FileNotFoundError(name)
            Path(target).write_bytes(self.files[name])


def mounted_drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    mount = tmp_path / "content" / "drive" / "MyDrive"
    mount.mkdir(parents=True)
    (tmp_path / "mounts").write_text(f"drive {mount.parent} fuse.drive rw,nosuid 0 0\n")
    monkeypatch.setattr("agnews_cli.store.remotes.drive.MOUNT", mount)
    monkeypatch.setattr("agnews_cli.store.remotes.drive.MOUNTS", tmp_path / "mounts")
    return mount


@pytest.fixture(params=["folder", "s3", "sftp", "hub", "bucket", "kaggle", "drive"])
def place(request, tmp_path, monkeypatch) -> Place:
    kind, name = request.param, f"p{random.getrandbits(40):x}"
    if kind == "folder":
        return Place(kind, str(tmp_path / "second"), tmp_path / "second")
    if kind == "s3":
        server = request.getfixturevalue("s3_server")
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        make_bucket(server)
        return Place(kind, f"s3://bucket/{name}", server=server)
    if kind == "hub":
        return request.getfixturevalue("hub_place")
    if kind == "bucket":
        return request.getfixturevalue("bucket_place")
    if kind == "kaggle":
        return request.getfixturevalue("kaggle_place")
    if kind == "drive":
        mount = mounted_drive(tmp_path, monkeypatch)
        return Place(kind, "drive:agnews", mount / "agnews")
    server = request.getfixturevalue("sftp_server")
    monkeypatch.setenv("AGNEWS_SFTP_USER", "me")
    monkeypatch.setenv("AGNEWS_SFTP_PASSWORD", "any password")
    (tmp_path / "user" / ".ssh").mkdir(parents=True)
    (tmp_path / "user" / ".ssh" / "known_hosts").write_text(server.line)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    return Place(
        kind, f"sftp://127.0.0.1:{server.port}/{name}", server.folder / name, server=server
    )


# ---- a run that nobody trained ------------------------------------------------------------------


def contents(step: int) -> dict[str, bytes]:
    rng = random.Random(step)
    return {
        "weights": rng.randbytes(300_000),
        "optimizer": rng.randbytes(2_000),
        "best": b"the same at every step" * 20,
    }


def begin(folder: Path) -> RunFolder:
    run = RunFolder(folder / RUN)
    run.path.mkdir(parents=True)
    (run.path / "preset.yaml").write_text("name: minilm\n")
    facts = {"created_at": NOW.isoformat(), "order": ORDER}
    (run.path / "created.json").write_text(json.dumps(facts))
    return run


def save(run: RunFolder, step: int, *, token: int = 1, writer: str = "aaaa", parent=None) -> str:
    draft = Draft(
        run=RUN, candidate="minilm", step=step, parent=parent, token=token, writer=writer,
        why="interval", state={"step": step}, fingerprint={},
    )  # fmt: skip
    return Checkpoints(run.checkpoints / "minilm").save(draft, contents(step)).id


def complete(run: RunFolder) -> None:
    (run.path / "model").mkdir()
    (run.path / "model" / "model.safetensors").write_bytes(random.Random(9).randbytes(5000))
    (run.path / "model" / "config.json").write_text("{}")
    (run.path / "evaluation.json").write_text("{}")
    (run.path / "worker.log").write_text("not sent")
    (run.path / "outcome.json").write_text('{"state": "completed"}')
    shutil.rmtree(run.checkpoints)


def syncing(place: Place, run: RunFolder, token: int = 1, writer: str = "aaaa") -> Sync:
    return Sync(place.connect(), run, token=token, writer=writer)


def pulled(place: Place, folder: Path) -> tuple[RunFolder, pulls.Pulled]:
    """On a machine that has nothing."""
    remote = place.connect()
    (one,) = pulls.seen(remote, folder / "look", RUN)
    run = pulls.unpack_record(one, folder)
    return run, pulls.pull([remote], run)


def assert_step(run: RunFolder, step: int) -> None:
    newest, skipped = Checkpoints(run.checkpoints / "minilm").newest()
    assert newest is not None
    assert not skipped
    assert newest.manifest.step == step
    found = {n: Checkpoints(run.checkpoints / "minilm").read(newest, n) for n in contents(step)}
    assert found == contents(step)


def manifests(place: Place) -> list[int]:
    names = [entry.name for entry in place.connect().list(f"{RUN}/")]
    keys = [Key.parse(name.rpartition("/")[2]) for name in names if "/checkpoints/" in name]
    return sorted(key.step for key in keys if key)


# ---- objects ------------------------------------------------------------------------------------


def test_objects_come_back_as_they_went(place, tmp_path):
    remote = place.connect()
    assert remote.list("") == ()
    data = random.Random(1).randbytes(100_000)
    (tmp_path / "source").write_bytes(data)
    for name in ("run/a/one.json", "run/two", "other/three"):
        remote.put(name, tmp_path / "source")
    remote.put("run/two", tmp_path / "source")
    remote.flush()
    elsewhere = place.connect()
    assert [e.name for e in elsewhere.list("run/")] == ["run/a/one.json", "run/two"]
    assert {e.size_bytes for e in elsewhere.list("")} == {len(data)}
    elsewhere.get("run/a/one.json", tmp_path / "copy", len(data))
    assert (tmp_path / "copy").read_bytes() == data
    with pytest.raises(NotInStore):
        elsewhere.get("run/none", tmp_path / "none", len(data))
    for client in (elsewhere, place.connect()):  # one that has listed, and one that has not
        if place.kind not in {"hub", "bucket"} or client is elsewhere:  # these give what they list
            with pytest.raises(StoreTrouble, match="larger than the 99999 bytes"):
                client.get("run/a/one.json", tmp_path / "large", len(data) - 1)
    for _ in range(2):
        remote.delete("run/two")
        if place.kind == "kaggle":  # no new version for a removal alone
            remote.put("run/a/one.json", tmp_path / "source")
        remote.flush()
    assert [e.name for e in place.connect().list("run/")] == ["run/a/one.json"]


def test_a_run_comes_back_on_an_empty_machine_under_another_path(place, tmp_path):
    run = begin(tmp_path / "here")
    for step in (1, 2):
        save(run, step)
    assert syncing(place, run).push() == 1
    state = "verified" if place.connect().promises.proves else "sent"
    assert set(Sync(place.connect(), run, token=1, writer="aaaa").book.page.parcels.values()) == {
        state
    }
    shutil.rmtree(tmp_path / "here")
    again, came = pulled(place, tmp_path / "elsewhere" / "deep")
    assert len(came.parcels) == 1
    assert not came.skipped
    assert_step(again, 2)
    assert again.order() == Wish(data="sample:")
    assert (again.path / "preset.yaml").read_text() == "name: minilm\n"
    assert not list(again.path.glob("stores/work*"))


def test_what_is_there_is_not_sent_again_and_old_checkpoints_go(place, tmp_path):
    run, parent = begin(tmp_path), None
    sent: list[str] = []
    remote = place.connect()
    put = remote.put
    remote.put = lambda name, source: (sent.append(name), put(name, source))[1]  # type: ignore
    one = Sync(remote, run, token=1, writer="aaaa")
    for step in range(1, 6):
        parent = save(run, step, parent=parent)
        assert one.push() == 1
        assert one.push() == 0
    keeps = remote.promises.keeps
    late = 1 if place.kind == "kaggle" else 0  # what was removed goes with the next version
    assert manifests(place) == list(range(6 - keeps - late, 6))
    if not remote.promises.is_bundled:
        best = [name for name in sent if "/blobs/" in name]
        assert len(best) == len(set(best)) == 11  # five times two blobs, and the best weights once
        there = [e.name for e in place.connect().list(f"{RUN}/") if "/blobs/" in e.name]
        assert len(there) == 2 * keeps + 1
    assert_step(pulled(place, tmp_path / "elsewhere")[0], 5)


def test_a_damaged_checkpoint_is_passed_over_with_its_reason(place, tmp_path):
    if place.connect().promises.keeps < 2:
        pytest.skip("it keeps one checkpoint only")
    run = begin(tmp_path)
    one = syncing(place, run)
    first = save(run, 1)
    one.push()
    second = save(run, 2, parent=first)
    one.push()
    weights = Checkpoints(run.checkpoints / "minilm").all()[0].manifest.blobs["weights"].sha256
    names = [e.name for e in place.connect().list(f"{RUN}/")]
    bundle = [n for n in names if f"/{second}." in n and n.endswith(".bundle")]
    place.damage(bundle[0] if bundle else f"{RUN}/checkpoints/minilm/blobs/{weights}")
    again, came = pulled(place, tmp_path / "elsewhere")
    assert [what for what, _ in came.parcels] == [f"checkpoints/minilm/{first}"]
    assert second in came.skipped[0][0]
    assert "SHA-256" in came.skipped[0][1]
    assert_step(again, 1)


def test_a_delivered_model_comes_back_and_replaces_the_checkpoints(place, tmp_path):
    run = begin(tmp_path / "here")
    save(run, 1)
    one = syncing(place, run)
    one.push()
    complete(run)
    assert one.push() == 1
    one.push()
    if place.connect().promises.proves and place.kind != "kaggle":
        assert manifests(place) == []
    again, came = pulled(place, tmp_path / "elsewhere")
    assert came.parcels[0][0].startswith("delivery/")
    for name in ("model/model.safetensors", "model/config.json", "outcome.json"):
        assert (again.path / name).read_bytes() == (run.path / name).read_bytes()
    assert not (again.path / "worker.log").exists()
    assert not again.checkpoints.exists()


def test_two_sessions_do_not_both_own_a_run(place, tmp_path):
    if not place.connect().promises.beats:
        pytest.skip("it has no leases: a fork is made harmless, not prevented")
    run, other = begin(tmp_path / "one"), begin(tmp_path / "two")
    save(run, 1)
    save(other, 7, writer="bbbb")
    first = syncing(place, run)
    first.push()
    remote = place.connect()
    (tmp_path / "work").mkdir()
    with pytest.raises(RunBusy):
        claims.require_free(remote, tmp_path / RUN, remote.list(f"{RUN}/"), NOW, tmp_path / "work")
    # A second session that saw nothing of the first, with the same number:
    second = syncing(place, other, writer="bbbb")
    outcomes = []
    for session in (second, first):
        try:
            session.push()
            outcomes.append("went on")
        except Fenced:
            outcomes.append("stopped")
    assert outcomes.count("went on") == 1
    if remote.promises.is_exclusive:
        assert outcomes == ["stopped", "went on"]
    taken = syncing(place, other, token=claims.newest_token(remote.list(f"{RUN}/")) + 1)
    taken.push()
    with pytest.raises(Fenced):
        first.push()
    taken.release()
    later = place.connect()
    claims.require_free(later, tmp_path / RUN, later.list(f"{RUN}/"), NOW, tmp_path / "work")


def test_a_fork_is_seen_by_any_reader_and_the_loser_is_kept(place, tmp_path):
    run, other = begin(tmp_path / "one"), begin(tmp_path / "two")
    first = save(run, 1)
    one = syncing(place, run)
    one.push()
    lost = save(run, 5, parent=first)
    Sync(place.connect(), run, token=1, writer="aaaa", is_claimed=False).push()
    save(other, 3, token=2, writer="bbbb", parent=first)
    two = syncing(place, other, token=2, writer="bbbb")
    two.push()
    third = save(other, 3, token=2, writer="bbbb", parent=first)
    save(other, 4, token=2, writer="bbbb", parent=third)
    two.push()
    assert two.book.page.branches == [f"checkpoints/minilm/{lost}"]
    assert 5 in manifests(place)
    assert_step(pulled(place, tmp_path / "elsewhere")[0], 4)


# ---- servers that die ---------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["s3", "sftp"], indirect=True)
def test_a_server_killed_in_the_middle_of_an_upload_is_caught_up_with(place, tmp_path, monkeypatch):
    assert place.server is not None
    run = begin(tmp_path)
    save(run, 1)
    remote = place.connect()
    Sync(remote, run, token=1, writer="aaaa").push()
    save(run, 2)
    server, put = place.server, remote.put
    killers: list[threading.Timer] = []

    def put_and_kill(name, source):
        if "/blobs/" in name and not killers:
            killers.append(threading.Timer(0.02, server.kill))
            killers[0].start()
            time.sleep(0.01)
        put(name, source)
        if killers:  # too fast for the timer
            killers[0].join()

    monkeypatch.setattr(remote, "put", put_and_kill)
    dying = Sync(Patient(remote, tries=2, sleep=lambda s: None), run, token=1, writer="aaaa")
    with pytest.raises(AgnewsError):
        dying.push()
        dying.push()
    server.start()
    if place.kind == "s3":  # this server keeps its objects in memory: all that was sent is lost
        make_bucket(server)
    monkeypatch.undo()
    for name, value in (("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.port}"),
                        ("AWS_ACCESS_KEY_ID", "testing"), ("AWS_SECRET_ACCESS_KEY", "testing"),
                        ("AWS_DEFAULT_REGION", "us-east-1"), ("AGNEWS_SFTP_USER", "me"),
                        ("AGNEWS_SFTP_PASSWORD", "any password"),
                        ("HOME", str(tmp_path / "user"))):  # fmt: skip
        monkeypatch.setenv(name, value)
    recovered = Sync(Patient(place.connect(), tries=3), run, token=1, writer="aaaa")
    for _ in range(6):  # what was known to be there and is lost is first waited for
        try:
            recovered.push()
            break
        except StoreTrouble:
            continue
    assert_step(pulled(place, tmp_path / "elsewhere")[0], 2)


def test_a_store_out_of_reach_is_one_error_that_says_so(tmp_path, monkeypatch):
    need("paramiko")
    remote = address.connect(address.parse(f"sftp://127.0.0.1:{free_port()}/x"))
    with pytest.raises(StoreTrouble) as caught:
        Patient(remote, tries=2, sleep=lambda s: None).list("")
    assert "sftp://127.0.0.1" in caught.value.message


def test_a_folder_store_can_be_worked_in(tmp_path):
    run = begin(tmp_path / "here")
    save(run, 3)
    Sync(Folder(tmp_path / "second"), run, token=1, writer="aaaa").push()
    there = RunFolder(tmp_path / "second" / RUN)
    assert there.created_at() == NOW
    assert_step(there, 3)
    assert isinstance(Folder(tmp_path / "second").list("")[0], Entry)


@pytest.mark.parametrize("reason", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK])
def test_a_file_system_without_links_is_a_store_like_any_other(tmp_path, monkeypatch, reason):
    """exFAT, and many a network drive: claims stay exclusive, and what is saved arrives."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(os, "link", refuse)
    run, remote = begin(tmp_path / "here"), Folder(tmp_path / "second")
    saved = save(run, 3)
    sync = Sync(remote, run, token=1, writer="aaaa")
    sync.push()
    sync.release()
    assert_step(pulled(Place("folder", str(remote.root)), tmp_path / "elsewhere")[0], 3)
    assert saved
    assert remote.create(f"{RUN}/leases/000007.json", b"mine")
    assert not remote.create(f"{RUN}/leases/000007.json", b"another's")
    assert (remote.root / RUN / "leases" / "000007.json").read_bytes() == b"mine"
    assert not list(remote.root.rglob("*.tmp"))
