"""F20: a store in which somebody put anything: passed over by name, in little time and memory.

Nothing here trains: a run that nobody trained, its records, leases, checkpoints, delivery and the
ledger's copies are edited as a stranger could, and real commands and the store's own doors look.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agnews_cli.core.hours.accounting import account
from agnews_cli.core.hours.session import Used
from agnews_cli.core.saving import fencing
from agnews_cli.core.text import strict_json
from agnews_cli.errors import (
    AgnewsError,
    CannotWrite,
    LinkInRun,
    ModelDamaged,
    ModelNotReadable,
    TooManySessions,
)
from agnews_cli.store.disk import files
from agnews_cli.store.hours import copies
from agnews_cli.store.hours.ledger import Ledger
from agnews_cli.store.model import delivered
from agnews_cli.store.remotes.folder import Folder
from agnews_cli.store.run import leases
from agnews_cli.store.run.checkpoints import Checkpoints
from agnews_cli.store.run.events import Events
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.settings import presets
from agnews_cli.store.transfer import claims, parcels, pulls
from agnews_cli.store.transfer.receipts import books, sending_s
from agnews_cli.store.transfer.sync import Sync
from agnews_cli.workflows.forecast import costs
from agnews_cli.workflows.runs.history import history
from agnews_cli.workflows.runs.status import status
from agnews_cli.workflows.sessions import saves
from agnews_cli.workflows.sessions.saves import pruned, verified
from agnews_cli.workflows.train import resume
from tests.store.test_copies import ledger_of, work
from tests.store.test_remotes import RUN, begin, complete, save

NOW = datetime.now(UTC).replace(microsecond=0)
MOST_S = 5.0
DEEP = "[" * 200_000
OTHER = "tiny-0000000000"


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGNEWS_HOME", str(tmp_path / "home"))


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """An unfinished run in the working store, with one checkpoint."""
    found = begin(tmp_path / "store")
    save(found, 3)
    return found


@pytest.fixture
def remote(tmp_path: Path, run: RunFolder) -> Folder:
    """A further store that has the run."""
    place = Folder(tmp_path / "further")
    sync = Sync(place, run, token=1, writer="aaaa")
    sync.push()
    sync.release()
    return place


def command(*arguments: object, most_s: float = 120.0) -> tuple[int, str]:
    """A real command under little memory: exit code, and all that it said."""
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30));"
    code = f"{limited} from agnews_cli.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=most_s,
        check=False,
    )
    said = (done.stdout + done.stderr).decode()
    assert "Traceback" not in said, said
    assert done.returncode != 70, said
    return done.returncode, said


def put(path: Path, content: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def pull_anew(remote: Folder, folder: Path) -> tuple[RunFolder, pulls.Pulled]:
    """On a machine that has nothing."""
    (one,) = (seen for seen in pulls.seen(remote, folder / "look") if seen.run == RUN)
    found = pulls.unpack_record(one, folder)
    return found, pulls.pull([remote], found)


# ---- leases -------------------------------------------------------------------------------------


def test_a_number_that_nobody_counted_up_to_stops_no_session(run: RunFolder) -> None:
    first = leases.claim(run.path, NOW)
    put(run.path / "leases" / "999999.json", "")
    first.release(NOW)
    for token in (2, 3):
        lease = leases.claim(run.path, NOW)
        assert lease.token == token == leases.newest_token(run.path)
        assert "leases/999999.json is passed over" in lease.warning
        lease.release(NOW)
    save(run, 9, token=3)
    newest, skipped = Checkpoints(run.checkpoints / "minilm").newest()
    assert newest is not None
    assert (newest.manifest.step, skipped) == (9, ())
    for _ in range(2):  # the second one span for ever
        pruned(RUN, run.path.parent, keep=1)


def test_numbers_end_in_words(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fencing, "_MOST_STEP", fencing.MOST)
    monkeypatch.setattr(fencing.newest, "__kwdefaults__", {"step": fencing.MOST})
    put(run.path / "leases" / "999999.json", "")
    with pytest.raises(TooManySessions, match="no fencing number left"):
        leases.claim(run.path, NOW)
    assert files.names(run.path / "leases") == ("999999.json",)


def test_a_number_above_all_in_a_further_store_fences_nobody(
    remote: Folder, run: RunFolder
) -> None:
    put(remote.root / RUN / "leases" / "999999.json", "")
    entries = remote.list(f"{RUN}/")
    assert claims.newest_token(entries) == 1
    bad = (f"{RUN}/leases/999999.json", "no session has counted up to 999999")
    assert claims.passed_over(entries) == bad
    save(run, 9, token=2)
    assert Sync(remote, run, token=2, writer="bbbb").push() == 1
    assert claims.newest_token(remote.list(f"{RUN}/")) == 2


def lease_text(**changes: object) -> str:
    return json.dumps(json.loads(leases.text("abcd", NOW, True)) | changes)


SENSELESS = {
    "deep": DEEP,
    "a list": "[]",
    "no text": b"\xff\xfe\x00",
    "huge": b" " * 5_000_000,
    "text as pid": lease_text(host="elsewhere", pid="x"),
    "infinite pid": lease_text(host="elsewhere").replace(str(os.getpid()), "1e999"),
    "half a pid": lease_text(pid=1.5),
    "a list as birth": lease_text(born=["x"]),
    "no pid": json.dumps({"beat_at": NOW.isoformat(), "open": True, "host": socket.gethostname()}),
    "the end of time": lease_text(host="elsewhere", beat_at="9999-12-31T23:59:59+00:00"),
    "before time": lease_text(host="elsewhere", beat_at="0001-01-01T00:00:00+23:00"),
    "no zone": lease_text(host="elsewhere", beat_at="2026-01-01T00:00:00"),
    "half a character": lease_text(host="\ud800"),
    "a long host": lease_text(host="x" * 9_000),
}


@pytest.mark.parametrize("name", SENSELESS)
def test_a_lease_that_makes_no_sense_holds_nothing(
    name: str, remote: Folder, run: RunFolder, tmp_path: Path
) -> None:
    put(run.path / "leases" / "000002.json", SENSELESS[name])
    assert not leases.is_held(run.path, NOW)
    lease = leases.claim(run.path, NOW)
    if name != "before time":  # one that is long over makes sense
        assert "leases/000002.json is passed over" in lease.warning
    assert lease.token == 3
    put(remote.root / RUN / "leases" / "000005-abcd-000001.json", SENSELESS[name])
    claims.require_free(remote, tmp_path / RUN, remote.list(f"{RUN}/"), NOW, tmp_path / "work")


LEASES = st.fixed_dictionaries(
    {
        name: st.one_of(
            st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.just(good)
        )
        for name, good in json.loads(leases.text("abcd", NOW, True)).items()
    }
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(facts=LEASES)
def test_any_values_of_a_lease_are_judged_in_words(facts: dict[str, object]) -> None:
    held = leases.parse(json.dumps(facts).encode("utf-8", "surrogatepass"), NOW)
    if held is not None:
        leases.is_gone(held)
        assert isinstance(NOW - datetime.fromisoformat(held["beat_at"]), timedelta)


# ---- what is no plain file ----------------------------------------------------------------------


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's path is short
        try:
            end.bind(path.name)
        finally:
            os.chdir(here)


def a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def a_folder(path: Path) -> None:
    path.mkdir()


def too_large(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


def deep(path: Path) -> None:
    path.write_text(DEEP)


ODD = (a_pipe, a_socket, a_device, a_folder, too_large, deep)
RECORDS = (
    "created.json", "preset.yaml", "outcome.json", "evaluation.json", "environment.json",
    "delivery.json", "line.json", "job.json", "events.jsonl", "leases/000002.json",
    "stores/0123456789ab.json",
)  # fmt: skip


@pytest.mark.parametrize("make", ODD, ids=lambda make: make.__name__)
def test_every_record_of_a_run_may_be_anything(
    make: Callable[[Path], None], run: RunFolder, tmp_path: Path
) -> None:
    store = run.path.parent
    other = store / OTHER
    began_s = time.process_time()
    for name in RECORDS:
        shutil.copytree(run.path, other)
        odd = other / name
        odd.parent.mkdir(exist_ok=True)
        odd.unlink(missing_ok=True)
        make(odd)
        there = RunFolder(other)
        assert {line.run for line in history(store)} - {OTHER} == {RUN}
        if name != "created.json":
            seen = status(OTHER, store)
            assert (seen.state, seen.is_running) == ("unfinished", False)
            assert verified(OTHER, store)
        assert parcels.run_state(there) == "unfinished"
        there.order(), there.ended(), there.evaluated(), books(there), sending_s(there)
        parcels.known_line(there)
        parcels.record(there, token=1, number=1, writer="aaaa")
        if make in (a_pipe, a_socket, a_device) and name != "created.json":
            with pytest.raises(LinkInRun, match="none of them is followed"):
                pruned(OTHER, store, keep=1)
        shutil.rmtree(other)
    assert time.process_time() - began_s < len(RECORDS) * MOST_S


def test_settings_may_be_a_pipe_and_a_link_to_a_file(tmp_path: Path) -> None:
    from agnews_cli.store.settings import limits, quota_settings, store_settings

    home = tmp_path / "home"
    for name, load in (
        ("stores.yaml", store_settings.load),
        ("quota.json", quota_settings.load),
        ("presets/platforms/kaggle.yaml", lambda: limits.load("kaggle")),
    ):
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        for make in (a_pipe, a_device, too_large):
            path.unlink(missing_ok=True)
            make(path)
            if path.is_file() or "platforms" not in name:
                with pytest.raises(AgnewsError):
                    load()
            else:  # a platform's file is laid over ours where it is one
                assert load()
        path.unlink()
    (tmp_path / "dotfiles.yaml").write_text("stores: [runs]")
    (home / "stores.yaml").symlink_to(tmp_path / "dotfiles.yaml")
    assert store_settings.load() == ("runs",)


def test_commands_meet_pipes_and_devices_as_records(run: RunFolder) -> None:
    store = run.path.parent
    for name, make in (("x", a_pipe), ("y", a_device), ("z", a_socket)):
        (store / name).mkdir()
        make(store / name / "created.json")
    code, said = command("runs", "--store", store)
    assert code == 0
    assert RUN in said
    assert "created.json is damaged in it: x, y, z" in said
    code, said = command("status", "y", "--store", store)
    assert (code, "No run 'y' in" in said, "created.json is damaged" in said) == (2, True, True)
    assert command("checkpoints", "verify", RUN, "--store", store)[0] == 0
    (run.path / "preset.yaml").unlink()
    a_pipe(run.path / "preset.yaml")
    code, said = command("resume", RUN, "--store", store)
    assert (code, "does not say what was asked for" in said) == (74, True) or code in (66, 78), said


EVENTS = {
    "deep": DEEP,
    "text as step": '{"step": "abc"}',
    "infinite step": '{"step": 1e999, "total_steps": 1e999}',
    "no step": '{"step": null}',
    "half a step": '{"step": 1.5, "total_steps": "many"}',
    "a list": "[1]",
    "long": json.dumps({"step": "9" * 4000}),
    "half a character": '{"step": "\\ud800"}',
}


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_may_say_anything(name: str, run: RunFolder) -> None:
    line = '{"kind": "progress", "at": "2026-01-01T00:00:00", "elapsed_s": 1, "data": %s}\n'
    good = line % '{"step": 7, "total_steps": 9}'
    run.events.write_text(good + line % EVENTS[name])
    seen = status(RUN, run.path.parent)
    assert seen.step in (7, None)
    with Ledger() as ledger:
        ledger.record_run(
            RUN, preset="p", dataset="d", seed=1, folder=str(run.path), now=NOW, state="running"
        )
        session = ledger.open_session(RUN, platform="local", accelerator="cpu", now=NOW)
        ledger.close_session(session, "finished", NOW, held_s=5.0)
        assert [s.seconds for s in ledger.sessions()] == [5.0]


# ---- links --------------------------------------------------------------------------------------


def test_links_in_a_run_are_not_followed(run: RunFolder, tmp_path: Path) -> None:
    store, outside = run.path.parent, tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    for name in ("worker.log", "events.jsonl", "predictions-linear.csv", "model", "leases"):
        (run.path / name).symlink_to(outside / ("precious" if "." in name else ""))
        with pytest.raises(LinkInRun, match=name) as refused:
            run.require_plain()
        for words in (
            ("checkpoints", "prune", RUN, "--store", store),
            ("checkpoints", "push", RUN, "--store", store, "--store", tmp_path / "to"),
        ):
            if name == "model":  # one is enough: each is a process
                code, said = command(*words)
                assert (code, "none of them is followed" in said) == (74, True), said
        # The hint works as it is: the link goes, what it leads to stays.
        subprocess.run(refused.value.advice.partition("stays: ")[2], shell=True, check=True)
        run.require_plain()
        assert [p.name for p in outside.iterdir()] == ["precious"]
        assert (outside / "precious").read_text() == "precious"
    assert not (tmp_path / "to").exists()


def test_checkpoints_that_lie_behind_a_link_stay(run: RunFolder, tmp_path: Path) -> None:
    save(run, 4)
    save(run, 5)
    run.checkpoints.rename(tmp_path / "elsewhere")
    run.checkpoints.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LinkInRun):
        pruned(RUN, run.path.parent, keep=1)
    assert verified(RUN, run.path.parent) == ()
    assert parcels.newest_local(run) == ()
    assert len(list((tmp_path / "elsewhere").rglob("m-*"))) == 3


def test_a_ledger_folder_that_is_a_link_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "ledger").symlink_to(tmp_path / "outside")
    with ledger_of(tmp_path, "a") as ledger:
        work(ledger, 1)
        with pytest.raises(CannotWrite, match="it is a link"):
            copies.ship(ledger, tmp_path / "ledger", now=NOW)
    assert not list((tmp_path / "outside").iterdir())


# ---- records ------------------------------------------------------------------------------------


def record_of(run: str, texts: dict[str, str], *, token: int = 9, says: str | None = None):
    """A record as a stranger makes it: its name fits its content."""
    facts = {"schema": "agnews.record/1", "run": says or run, "writer": "aaaa", "files": texts}
    data = json.dumps(facts).encode()
    digest = hashlib.sha256(data).hexdigest()[:16]
    return f"{run}/records/r-{token:06d}-000000009-aaaa-{digest}.json", data


def texts_of(run: RunFolder) -> dict[str, str]:
    return {n: (run.path / n).read_text() for n in ("created.json", "preset.yaml")}


def evil_record(
    changes: dict[str, str], **facts: object
) -> Callable[[RunFolder], dict[str, bytes]]:
    return lambda run: dict([record_of(RUN, {**texts_of(run), **changes}, **facts)])


HOSTILE: dict[str, Callable[[RunFolder], dict[str, bytes]]] = {
    "another run, deep": lambda run: {f"{OTHER}/created.json": DEEP.encode()},
    "another run's record, deep": lambda run: dict(
        [record_of(OTHER, {"created.json": DEEP, "preset.yaml": "x"})]
    ),
    "a record that is deep": lambda run: {
        f"{RUN}/records/r-000009-000000009-aaaa-"
        f"{hashlib.sha256(DEEP.encode()).hexdigest()[:16]}.json": DEEP.encode()
    },
    "of another run": evil_record({"outcome.json": '{"state": "completed"}'}, says=OTHER),
    "a number above all": evil_record({"outcome.json": '{"state": "completed"}'}, token=999_999),
    "deep outcome": evil_record({"outcome.json": DEEP}),
    "deep line": evil_record({"line.json": DEEP}),
    "no time": evil_record({"created.json": '{"created_at": ["x"], "order": {}}'}),
    "the end of time": evil_record(
        {"created.json": '{"created_at": "9999-12-31T23:59:59+00:00", "order": {}}'}
    ),
    "anchors": evil_record({"preset.yaml": "a: &a [x]\nb: *a\n"}),
    "no YAML": evil_record({"preset.yaml": "a: [", "whole.yaml": "{" * 100_000}),
    "a file outside": evil_record({"../../escaped": "x"}),
    "no files": lambda run: dict([record_of(RUN, ["x"])]),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_record_may_say_anything(
    name: str, remote: Folder, run: RunFolder, tmp_path: Path
) -> None:
    for called, data in HOSTILE[name](run).items():
        put(remote.root / called, data)
    began_s = time.process_time()
    seen = {one.run: one for one in pulls.seen(remote, tmp_path / "look")}
    assert time.process_time() - began_s < MOST_S
    assert OTHER not in seen
    assert seen[RUN].state == "unfinished"
    there, pulled = pull_anew(remote, tmp_path / "anew")
    assert [what.partition("/m-")[0] for what, _ in pulled.parcels] == ["checkpoints/minilm"]
    assert parcels.known_line(there) in ({}, parcels.known_line(run))
    assert texts_of(there) == texts_of(run)
    assert not list(tmp_path.rglob("*escaped*"))


def test_a_run_that_is_still_to_come_is_not_the_newest(
    remote: Folder, run: RunFolder, tmp_path: Path
) -> None:
    facts = json.dumps({"created_at": "2999-01-01T00:00:00+00:00", "order": {}})
    name, data = record_of(OTHER, {"created.json": facts, "preset.yaml": "name: tiny\n"})
    put(remote.root / name, data)
    id_, pulled = saves.pull(None, tmp_path / "anew", [str(remote.root)])
    assert (id_, len(pulled.parcels)) == (RUN, 1)
    seen = pulls.seen(remote, tmp_path / "look")
    assert [one.run for one in resume._merged((), seen)] == [RUN, OTHER]


@pytest.mark.parametrize("text", ["1e999", "-1e999", "NaN", "1" * 5000, DEEP, '"\\ud800"', "{", ""])
def test_json_is_data_of_some_depth_or_a_value_error(text: str) -> None:
    try:
        strict_json.parse(text)
    except ValueError:
        return
    assert text[0] in "1-N"


@pytest.mark.parametrize("page", ['{"address": "x", "processor_s": 1e999}', DEEP, "[]"])
def test_what_is_remembered_of_a_store_may_be_anything(page: str, run: RunFolder) -> None:
    put(run.path / "stores" / "abc.json", page)
    assert books(run) == ()
    assert sending_s(run) == 0.0


# ---- checkpoints --------------------------------------------------------------------------------


def foreign(
    folder: Path, *, of: str = RUN, candidate: str = "minilm", token: int = 1, **more
) -> str:
    """A checkpoint that verifies, in `folder`; not this run's unless said so."""
    data = b"weights"
    blob = hashlib.sha256(data).hexdigest()
    put(folder / "blobs" / blob, data)
    facts = {
        "schema": "agnews.checkpoint/1", "run": of, "candidate": candidate, "step": 99,
        "parent": None, "token": token, "writer": "aaaa", "made_at": "", "why": "interval",
        "blobs": {"weights": {"sha256": blob, "size_bytes": len(data)}}, "state": {},
        "fingerprint": {},
    } | more  # fmt: skip
    text = json.dumps(facts).encode()
    id_ = f"m-{token:06d}-000000099-aaaa-{hashlib.sha256(text).hexdigest()[:16]}"
    put(folder / f"{id_}.json", text)
    return id_


def deep_state() -> object:
    state: object = 1
    for _ in range(60):
        state = [state]
    return {"state": state}


@pytest.mark.parametrize(
    "facts",
    [
        {"of": "tiny-1111111111"},
        {"candidate": "another"},
        {"token": 999_999},
        {"state": deep_state()},
        {"blobs": {"weights": {"sha256": "a" * 64, "size_bytes": 1 << 40}}},
        {"blobs": {"weights": {"sha256": "a" * 64, "size_bytes": 10**30}}},
        {"blobs": {"../weights": {"sha256": "a" * 64, "size_bytes": 1}}},
    ],
    ids=str,
)
def test_a_checkpoint_of_anybody_is_passed_over(
    facts: dict, run: RunFolder, remote: Folder, tmp_path: Path
) -> None:
    for folder in (run.checkpoints / "minilm", remote.root / RUN / "checkpoints" / "minilm"):
        bad = foreign(folder, **facts)
        put(folder / "blobs" / ("a" * 64), b"")
        os.truncate(folder / "blobs" / ("a" * 64), 1 << 40)
    (_, wrong), (_, fine) = verified(RUN, run.path.parent)[:: 1 if "token" not in facts else -1]
    assert wrong
    assert fine is None
    there, pulled = pull_anew(remote, tmp_path / "anew")
    assert len(pulled.parcels) == 1
    assert any(bad in what or bad in why for what, why in pulled.skipped)
    newest, _ = Checkpoints(there.checkpoints / "minilm", owner=(RUN, "minilm")).newest()
    assert newest is not None
    assert newest.manifest.step == 3


class Counting(Folder):
    """A store that counts what it gives, and lies about sizes."""

    given_bytes = 0

    def list(self, prefix: str):
        return tuple(
            type(e)(e.name, min(e.size_bytes, 10), e.modified_s) for e in super().list(prefix)
        )

    def get(self, name: str, target: Path, most_bytes: int) -> None:
        try:
            super().get(name, target, most_bytes)
        finally:
            self.given_bytes += target.stat().st_size if target.exists() else 0


def test_no_more_is_fetched_than_may_be_there(
    remote: Folder, run: RunFolder, tmp_path: Path
) -> None:
    large = (
        f"{OTHER}/created.json",
        f"{OTHER}/records/r-000001-000000001-aaaa-0123456789abcdef.json",
        f"{RUN}/records/r-000009-000000009-aaaa-0123456789abcdef.json",
        f"{RUN}/leases/000001-abcd-000009.json",
        f"{RUN}/checkpoints/minilm/m-000001-000000099-aaaa-0123456789abcdef.json",
    )
    for name in large:
        put(remote.root / name, b"")
        os.truncate(remote.root / name, 1 << 40)
    liar = Counting(remote.root)
    began_s = time.process_time()
    (one,) = pulls.seen(liar, tmp_path / "look")
    claims.require_free(liar, tmp_path / RUN, liar.list(f"{RUN}/"), NOW, tmp_path / "look")
    there = pulls.unpack_record(one, tmp_path / "anew")
    pulled = pulls.pull([liar], there)
    assert len(pulled.parcels) == 1
    assert any("larger than" in why for _, why in pulled.skipped)
    assert liar.given_bytes < 10_000_000
    assert time.process_time() - began_s < MOST_S


# ---- deliveries ---------------------------------------------------------------------------------

MODEL = {"outcome.json": b'{"state": "completed"}', "model/config.json": b"{}"}


def deliver(place: Path, names: dict[str, bytes], *, token: int = 9, **facts: object) -> None:
    folder = place / RUN / "delivery"
    blobs, called = {}, {}
    for number, (name, data) in enumerate(names.items()):
        digest = hashlib.sha256(data).hexdigest()
        put(folder / "blobs" / digest, data)
        blobs[f"f{number:04d}"] = {"sha256": digest, "size_bytes": len(data)}
        called[f"f{number:04d}"] = name
    foreign_facts = {"step": 0, "why": "final", "blobs": blobs, "state": {"files": called}}
    text = json.dumps(
        {
            "schema": "agnews.checkpoint/1", "run": RUN, "candidate": "delivery", "parent": None,
            "token": token, "writer": "aaaa", "made_at": "", "fingerprint": {},
        } | foreign_facts | facts
    ).encode()  # fmt: skip
    digest = hashlib.sha256(text).hexdigest()[:16]
    put(folder / f"m-{token:06d}-000000000-aaaa-{digest}.json", text)


BAD_NAMES = (
    "../x", "/etc/x", "leases/000001.json", "checkpoints/x", "stores/x", "save-now", "line.json",
    ".hidden", "a\nb", "a\0b", "a\x1b[31m", "model/../../x", "LEASES/000001.json",
    "Model/config.json", "model", "Outcome.json", "job.json", "worker.log", "x" * 300,
    "model/evil.py", "model/x.pkl",
    "model/pytorch_model.bin", "model/config.json/x", "",
)  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_delivery_with_a_bad_name_is_refused_whole(
    name: str, remote: Folder, tmp_path: Path
) -> None:
    deliver(remote.root, MODEL | {name: b"x"})
    there, pulled = pull_anew(remote, tmp_path / "anew")
    assert not there.outcome.exists()
    assert not there.model.exists()
    assert [what.partition("/")[0] for what, _ in pulled.parcels] == ["checkpoints"]
    (_, why), *_ = pulled.skipped
    assert "names a file" in why


@pytest.mark.parametrize(
    ("names", "facts", "why"),
    [
        (MODEL, {"run": OTHER}, "is of another run or fine-tuning"),
        (MODEL, {"candidate": "minilm"}, "is of another run or fine-tuning"),
        ({"model/config.json": b"{}"}, {}, "has no outcome"),
        (MODEL, {"state": {"files": {}}}, "does not name its files"),
        (MODEL, {"state": {"files": {"f0000": "x", "f0001": "x"}}}, "names a file twice"),
        (MODEL, {"state": {"files": {"f0000": ["x"], "f0001": {}}}}, "names a file"),
    ],
)
def test_another_runs_result_is_never_taken(
    names: dict[str, bytes], facts: dict, why: str, remote: Folder, tmp_path: Path
) -> None:
    deliver(remote.root, names, **facts)
    there, pulled = pull_anew(remote, tmp_path / "anew")
    assert parcels.run_state(there) == "unfinished"
    assert any(why in reason for _, reason in pulled.skipped)


def test_a_good_delivery_below_a_bad_one_is_taken_and_changes_no_record(
    remote: Folder, run: RunFolder, tmp_path: Path
) -> None:
    forged = {"created.json": b'{"created_at": "2026-01-01T00:00:00+00:00", "order": {}}'}
    deliver(remote.root, MODEL | forged, token=8)
    deliver(remote.root, MODEL | {"model": b"x"}, token=9)
    there, pulled = pull_anew(remote, tmp_path / "anew")
    assert parcels.run_state(there) == "completed"
    assert there.order() == run.order()
    assert len(pulled.skipped) == 1


@pytest.mark.parametrize("named", ["../../elsewhere", "{}", "linked", "", "a\0b", "none"])
def test_what_predicts_lies_in_the_run(named: str, run: RunFolder, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (run.path / "linked").symlink_to(elsewhere)
    member = {"name": "m", "kind": "finetune", "folder": named.format(elsewhere), "share": 1.0}
    facts = {"labels": ["a", "b"], "max_length": 9, "members": [member], "text_columns": ["t"]}
    (run.path / "delivery.json").write_text(json.dumps(facts))
    if named:  # the run itself holds the files of its oldest form
        with pytest.raises(ModelNotReadable, match="no folder of the run"):
            delivered.of_run(run)
    else:
        assert delivered.of_run(run).members[0].folder == str(run.path)


def test_what_a_run_delivers_is_still_taken(run: RunFolder, tmp_path: Path) -> None:
    complete(run)
    (run.path / "notes.py").write_text("what a user put there stays")
    place = Folder(tmp_path / "further")
    Sync(place, run, token=1, writer="aaaa").push()
    there, pulled = pull_anew(place, tmp_path / "anew")
    assert not pulled.skipped
    assert (there.model / "model.safetensors").stat().st_size == 5000
    assert not (there.path / "notes.py").exists()


# ---- what is made of several runs ----------------------------------------------------------------

PART = {"id": OTHER, "run": OTHER, "title": "x", "kind": "train", "after": []}


def graph_of(**changes: object) -> str:
    return json.dumps({"target": OTHER, "nodes": [PART | changes]})


GRAPHS: dict[str, str | Callable[[Path], None]] = {
    "the folder above": graph_of(run=".."),
    "the store": graph_of(run="."),
    "a path": graph_of(run="../x-0123456789"),
    "NUL": graph_of(run="a\0b-0123456789"),
    "a name that is too long": graph_of(run="é" * 200),
    "an id that is none": graph_of(id="\x1b[2J"),
    "deep": DEEP,
    "a list": "[]",
    **{make.__name__: make for make in ODD},
}


@pytest.mark.parametrize("name", GRAPHS)
def test_the_parts_of_a_run_may_be_anything(name: str, run: RunFolder) -> None:
    made = GRAPHS[name]
    made(run.graph) if callable(made) else run.graph.write_text(made)
    seen = status(RUN, run.path.parent)
    assert (seen.state, seen.whole, seen.parts) == ("unfinished", None, ())


def a_delivery(folder: Path, **facts: object) -> None:
    """Of a linear model, or of what `facts` name."""
    words = {"labels": ["a", "b"], "max_length": 9, "text_columns": ["t"]}
    member = {"name": "m", "kind": "linear", "folder": "linear", "share": 1.0}
    (folder / "linear").mkdir(parents=True)
    (folder / "combiner").mkdir()
    said = words | (facts or {"members": [member]})
    (folder / "delivery.json").write_text(json.dumps(said))


@pytest.mark.parametrize(
    "parts",
    [
        ["members/0"] * 1000,
        ["members/0", "members/./0", "members//0"],
        ["members/0", "members/0/members/0"],
        ["."],
        ["members/0/.."],
        ["../x"],
        ["members/\0"],
        ["members/" + "x" * 300],
    ],
    ids=lambda parts: f"{parts[-1][:20]!r} {len(parts)}",
)
def test_the_parts_of_an_ensemble_are_its_own_folders_each_once(
    parts: list[str], run: RunFolder
) -> None:
    place, began_s = run.path, time.process_time()
    for _ in range(6):  # a thousand parts that each hold a thousand
        a_delivery(place, parts=parts, combiner="combiner")
        place = place / "members" / "0"
    a_delivery(place)
    with pytest.raises(ModelNotReadable):
        delivered.of_run(run)
    assert time.process_time() - began_s < MOST_S
    a_delivery(run.path / "good", parts=["members/0"], combiner="combiner")
    a_delivery(run.path / "good" / "members" / "0")
    assert len(delivered.of_run(RunFolder(run.path / "good")).parts) == 1


def test_a_delivery_has_not_more_members_than_folders(run: RunFolder) -> None:
    member = {"name": "m", "kind": "linear", "folder": "linear", "share": 0.0}
    a_delivery(run.path, members=[member] * 100_000)
    with pytest.raises(ModelNotReadable):
        delivered.of_run(run)


@pytest.mark.parametrize("make", [a_pipe, a_socket, a_device], ids=lambda make: make.__name__)
@pytest.mark.parametrize(
    "name", ["members/0/linear/config.json", "members/0/linear/words.safetensors", "combiner/x"]
)
def test_what_predicts_is_plain_files(
    name: str, make: Callable[[Path], None], run: RunFolder
) -> None:
    a_delivery(run.path, parts=["members/0"], combiner="combiner")
    a_delivery(run.path / "members" / "0")
    assert delivered.of_run(run).parts
    make(run.path / name)
    with pytest.raises(ModelDamaged, match="is no plain file"):
        delivered.of_run(run)


def test_an_ensemble_of_large_models_may_be_fetched(run: RunFolder) -> None:
    of_one = parcels.most_bytes(run)
    head = "name: x\ntier: ensemble\nsummary: x\norder: 1\n"
    run.preset.write_text(f"{head}members:\n  - preset: llama-3.2-1b-lora\n  - run: {OTHER}\n")
    assert (
        parcels.most_bytes(run)
        >= of_one + 8 * 4 * presets.load("llama-3.2-1b-lora").model.parameters
    )


# ---- the ledger of hours -------------------------------------------------------------------------


def journal_of(**changes: object) -> bytes:
    """The first line of a journal, its CRC right, with fields that a stranger chose."""
    sid = "20260101T000000-aaaaaaaaaaaa"
    moment = "2026-01-01T00:00:00+00:00"
    run = {
        "id": "r", "preset": "p", "dataset": "d", "seed": 0, "state": "running", "folder": "/x",
        "created_at": moment, "updated_at": moment,
    }  # fmt: skip
    session = {
        "id": sid, "seq": 1, "run": "r", "platform": "kaggle", "accelerator": "T4",
        "resource": "gpu", "machine": "other", "pid": 1, "entered_s": 0.0, "opened_at": moment,
        "beat_at": moment, "seconds": 1.0, "state": "open", "ended_at": None, "closed_seq": None,
        "split": None, "process": "",
    }  # fmt: skip
    entry: dict[str, object] = {"stream": sid, "seq": 1, "kind": "whole", "at": moment}
    for name, value in changes.items():
        where = next((facts for facts in (entry, run, session) if name in facts), session)
        where[name] = value
    entry["data"] = changes.get("data", {"run": run, "session": session})
    body = json.dumps(entry, separators=(",", ":")).encode()[:-1]
    return body + b',"crc":"%08x"}\n' % zlib.crc32(body)


def nested(depth: int) -> object:
    found: object = 1
    for _ in range(depth):
        found = [found]
    return found


JOURNALS = {
    "the end of time": {"updated_at": "9999-12-31T23:59:59.999999+00:00"},
    "before time": {"opened_at": "0001-01-01T00:00:00+23:00"},
    "still to come": {"opened_at": "2099-01-01T00:00:00+00:00"},
    "a large number": {"seq": 10**30},
    "a large pid": {"pid": 10**30},
    "a pid that is none": {"pid": None},
    "99 years": {"seconds": 99 * 365 * 86400.0},
    "no number": {"seconds": float("nan")},
    "negative": {"seconds": -5.0},
    "infinite": {"entered_s": float("inf")},
    "NUL": {"folder": "a\0b"},
    "half a character": {"folder": "\ud800"},
    "a list": {"folder": ["a"]},
    "a map": {"process": {"a": 1}},
    "a parts list": {"split": {"useful_s": "x"}},
    "no data": {"data": 7},
    "deep data": {"data": nested(500)},
    "another kind": {"kind": "used"},
    "a reading": {"kind": "reading", "data": {"id": "x"}},
}


def is_well(home: Path, store: Path | None = None) -> list[float]:
    """A session as every run has one, with that store; the hours that the ledger then knows."""
    with ledger_of(home, "a") as ledger:
        work(ledger, 2)
        if store is not None:
            copies.ship(ledger, store, now=NOW)
            assert any(name.endswith(".db") for name in files.names(store))
        return [s.seconds for s in ledger.sessions()]


@pytest.mark.parametrize("name", JOURNALS)
def test_a_journal_from_a_store_never_poisons_the_ledger(name: str, tmp_path: Path) -> None:
    store = tmp_path / "ledger"
    put(store / "20260101T000000-aaaaaaaaaaaa.5.jsonl", journal_of(**JOURNALS[name]))
    assert is_well(tmp_path, store) == [7200.0]
    said: list[str] = []
    with ledger_of(tmp_path, "a") as ledger:
        copies.ship(ledger, store, now=NOW, tell=said.append)
        assert not ledger.notes
        if "kind" not in JOURNALS[name]:
            assert "aaaaaaaaaaaa.5.jsonl is passed over" in " ".join(said)
    # A home that an older agnews poisoned heals.
    put(tmp_path / "a" / "journals" / "20260101T000000-aaaaaaaaaaaa.jsonl",
        journal_of(**JOURNALS[name]))  # fmt: skip
    if name not in ("still to come", "99 years"):
        assert is_well(tmp_path) == [7200.0, 7200.0]


def evil_copy(store: Path, sql: str, number: int = 900) -> str:
    """A copy whose name fits its content, changed by `sql` as a stranger can."""
    with ledger_of(store.parent / "evil", "b") as ledger:
        work(ledger, 1)
        draft = store.parent / "draft.db"
        draft.unlink(missing_ok=True)
        ledger.write_hidden_to(draft)
    with closing(sqlite3.connect(draft, isolation_level=None)) as conn:
        conn.executescript(sql)
    data = draft.read_bytes()
    name = f"ledger-{number:010}-deadbeef-{hashlib.sha256(data).hexdigest()[:16]}.db"
    put(store / name, data)
    return name


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
COPIES = {
    "the end of time": "UPDATE runs SET updated_at = '9999-12-31T23:59:59.999999+00:00'",
    "still to come": "UPDATE sessions SET opened_at = '2099-01-01T00:00:00.000000+00:00'",
    "99 years": "UPDATE sessions SET seconds = 3e9",
    "infinite": "UPDATE sessions SET seconds = 9e999",
    "a view": "PRAGMA foreign_keys = OFF; DROP TABLE readings; CREATE VIEW readings AS "
    f"{ENDLESS} SELECT x AS id FROM n",
    "a trigger": f"CREATE TRIGGER t INSERT ON runs BEGIN {ENDLESS[:0]} DELETE FROM runs; END",
    "a computed column": "ALTER TABLE used ADD COLUMN x TEXT AS (hex(zeroblob(900000000)))",
    "a large value": "PRAGMA foreign_keys = OFF; UPDATE runs SET state = 'running', "
    "preset = hex(zeroblob(3000000))",
    "no tables": "PRAGMA foreign_keys = OFF; DROP TABLE sessions; DROP TABLE runs",
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_from_a_store_never_poisons_the_ledger(name: str, tmp_path: Path) -> None:
    store, said = tmp_path / "ledger", []
    bad = evil_copy(store, COPIES[name])
    began_s = time.process_time()
    with ledger_of(tmp_path, "a") as ledger:
        work(ledger, 2)
        copies.ship(ledger, store, now=NOW, tell=said.append)
        assert [s.seconds for s in ledger.sessions()] == [7200.0]
        copies.ship(ledger, store, now=NOW)
    assert bad in " ".join(said)
    assert time.process_time() - began_s < 3 * MOST_S
    assert is_well(tmp_path) == [7200.0, 7200.0]


def test_a_copy_whose_number_is_the_last_stops_no_other(tmp_path: Path) -> None:
    store, said = tmp_path / "ledger", []
    bad = evil_copy(store, "", number=9_999_999_999)
    with ledger_of(tmp_path, "a") as a, ledger_of(tmp_path, "c") as c:
        for hours in (1, 2, 3, 4, 5):
            work(a, hours)
            copies.ship(a, store, now=NOW, tell=said.append)
        copies.merge(c, store, now=NOW)
        assert sum(s.seconds for s in c.sessions()) == 15 * 3600
    assert bad in said[0]
    assert all(copies.is_copy(n) or n.endswith(".jsonl") for n in files.names(store))


def test_many_copies_and_journals_take_little_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "ledger"
    monkeypatch.setattr(copies, "_MOST_JOURNALS", 20)
    for number in range(300):
        put(store / f"ledger-{number:010}-deadbeef-{number:016x}.db", b"x")
        put(store / f"20260101T000000-{number:012x}.5.jsonl", b"x")
    with ledger_of(tmp_path, "a") as ledger:
        said = dict(copies.merge(ledger, store, now=NOW).passed_over)
    assert len(said) == 20 + 20 + 2  # those that were looked at, and one that says it of the rest
    assert list(said.values()).count("there are too many such files") == 2
    assert is_well(tmp_path, store) == [7200.0]


def test_a_copy_in_a_store_names_no_run_no_folder_and_no_command(tmp_path: Path) -> None:
    store = tmp_path / "store" / "ledger"
    with ledger_of(tmp_path, "a") as a:
        for run in ("secret-project-0123456789", "shared-0123456789"):
            a.record_run(
                run, preset="private-preset", dataset="patients", seed=41, folder="/home/me/x",
                now=NOW,
            )  # fmt: skip
            session = a.open_session(
                run, platform="kaggle", accelerator="T4", resource="gpu", now=NOW
            )
            a.close_session(session, "finished", NOW, held_s=3600.0)
        a.record(Used("u-1", "kaggle", "gpu", NOW, 60.0, "imported from salaries.csv"))
        copies.ship(a, store, now=NOW)
        words = ("secret", "private", "patients", "/home", "salaries", "shared")
        for name in files.names(store):
            held = (store / name).read_bytes().decode("latin-1")
            assert not [word for word in words if word in held + name]
        copies.merge(a, store, now=NOW)  # and nothing here is forgotten
        assert {(r.id, r.folder, r.preset) for r in a.runs()} == {
            (run, "/home/me/x", "private-preset")
            for run in ("secret-project-0123456789", "shared-0123456789")
        }
    with ledger_of(tmp_path, "b") as b:  # who knows a run counts its hours
        copies.merge(b, store, now=NOW)
        assert [s.seconds for s in b.sessions("shared-0123456789")] == [3600.0]
        assert len(b.sessions()) == 2
        assert [u.source for u in b.used()] == ["told on another machine"]


def test_hours_beyond_the_calendar_are_refused_in_words() -> None:
    for began in ("9999-12-31T23:59Z", "2999-01-01T00:00Z", "0001-01-01T00:00:00+23:00"):
        code, said = command("quota", "log", "kaggle", "gpu", "3h", "--began", began)
        assert code == 2
        assert "--began" in said
    assert command("quota", "log", "kaggle", "gpu", "99999999999999999h")[0] == 2
    assert command("quota", "--offline")[0] == 0


# ---- whatever is well-formed ---------------------------------------------------------------------

SCALARS = st.one_of(
    st.sampled_from(
        [None, True, -1, 0, 10**30, -(10**30), 1e308, float("inf"), float("nan"), "", "\x1b[2J",
         "\u202e", "9" * 400, "../../x", "/etc/passwd", "9999-12-31T23:59:59.999999+00:00",
         "0001-01-01T00:00:00+23:59", "completed", "finetune", "progress", RUN]
    ),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS: dict[str, tuple[str, ...]] = {
    "created.json": ("created_at", "order", "id"),
    "outcome.json": ("state", "writer", "step", "total_steps", "candidates", "failure", "notes"),
    "evaluation.json": ("validation", "test", "labels"),
    "environment.json": ("accelerator", "versions"),
    "line.json": ("checkpoints/minilm", "x"),
    "job.json": ("run", "dataset", "preset"),
    "stores/0123456789ab.json": ("address", "parcels", "durations_s", "processor_s", "branches"),
    "events.jsonl": ("kind", "at", "elapsed_s", "data"),
}
DATA = ("step", "total_steps", "examples_per_s", "pause_s", "seconds", "why", "candidate", "name")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_values_in_a_runs_records_are_read_or_passed_over(
    run: RunFolder, data: st.DataObject
) -> None:
    store, other = run.path.parent, run.path.parent / OTHER
    shutil.rmtree(other, ignore_errors=True)
    shutil.copytree(run.path, other)
    for name in data.draw(st.lists(st.sampled_from(sorted(KEYS)), min_size=1, unique=True)):
        facts = {key: data.draw(VALUES) for key in KEYS[name]}
        if name == "events.jsonl":
            facts["kind"] = data.draw(
                st.sampled_from(["started", "progress", "saved", "candidate"])
            )
            facts["data"] = {key: data.draw(VALUES) for key in DATA}
        put(other / name, json.dumps(facts).encode("utf-8", "surrogatepass"))
    there = RunFolder(other)
    assert RUN in {line.run for line in history(store)}
    if there.created_at() is not None:
        assert json.dumps(status(OTHER, store).as_json())
    costs.MeasuredCosts.read(store, presets.load("minilm"))
    parcels.record(there, token=1, number=1, writer="aaaa")
    there.order(), there.ended(), there.evaluated(), books(there), sending_s(there)
    account(Events(there.events), NOW, 5.0)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_values_in_a_delivery_are_taken_or_passed_over(
    remote: Folder, tmp_path: Path, data: st.DataObject
) -> None:
    anew = tmp_path / "anew"
    shutil.rmtree(anew, ignore_errors=True)
    shutil.rmtree(remote.root / RUN / "delivery", ignore_errors=True)
    names = {str(data.draw(VALUES)): b"x" for _ in range(3)} | MODEL
    keys = data.draw(st.lists(st.sampled_from(["run", "candidate", "state", "blobs", "step"])))
    deliver(remote.root, names, **{key: data.draw(VALUES) for key in keys})
    there, pulled = pull_anew(remote, anew)
    assert len(pulled.parcels) == 1
    if there.outcome.exists():
        assert {"delivery"} == {what.partition("/")[0] for what, _ in pulled.parcels}
    written = {p.relative_to(tmp_path).parts[0] for p in tmp_path.iterdir()}
    assert written <= {"store", "further", "anew", "home", "look"}


# ---- many runs, and the source itself -----------------------------------------------------------


def test_many_runs_in_a_further_store_are_looked_through(tmp_path: Path) -> None:
    place = Folder(tmp_path / "further")
    created = json.dumps({"created_at": NOW.isoformat(), "order": {}})
    for number in range(400):
        folder = place.root / f"tiny-{number:010}"
        folder.mkdir(parents=True)
        (folder / "created.json").write_text(created)
        (folder / "preset.yaml").write_text("name: tiny\n")
    began_s = time.process_time()
    assert len(pulls.seen(place, tmp_path / "look")) == 400
    assert time.process_time() - began_s < MOST_S


ROOT = Path(parcels.__file__).parents[2]
OPENS = {"read_text", "read_bytes", "open"}
# Who opens a file in another way, and why that is no run's record and nothing of a store.
OWN_WAYS = {
    "store/disk/files.py": "the door",
    "store/disk/outputs.py": "writes what a user named",
    "store/disk/private.py": "writes files of our own",
    "store/model/model_facts.py": "a base model's settings, which are no run's",
    "store/remotes/sftp.py": "known_hosts, in the user's home",
    "store/model/models.py": "installed weights, hashed",
    "store/settings/secrets.py": "logins of other clients, in the user's home",
    "store/disk/processes.py": "/proc",
    "store/disk/drafts.py": "locks folders of its own",
    "store/hours/journal.py": "appends to the home's journals",
    "store/hours/copies.py": "what was written a moment ago",
    "store/transfer/parcels.py": "what was fetched into a scratch file",
    "store/remotes/drive.py": "/proc/mounts",
    "store/remotes/folder.py": "writes scratch files",
    "store/remotes/kaggle.py": "files that it made or fetched",
    "workflows/elsewhere/package.py": "agnews itself, as it is installed",
    "workflows/hours/usage.py": "the file that a user imports",
    "workflows/launch/wished.py": "the data that a user sends along",
    "workflows/machine/verify.py": "runs of its own in a folder of its own",
}


def test_records_and_stores_are_read_through_one_door() -> None:
    """`files.plain` and what is built on it: no pipe, device or link is ever opened."""
    found: dict[str, list[str]] = {}
    rooms = ("store", "workflows")
    for path in (p for room in rooms for p in (ROOT / room).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(("store/data/", "store/formats/")) and name != "store/data/answers.py":
            # the user's own tables, with guards of their own
            continue
        text = path.read_text("utf-8")
        if not any(f"{word}(" in text for word in (*OPENS, "loads")):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call):
                called = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if called in OPENS or called == "loads":
                    found.setdefault(name, []).append(f"{node.lineno}: {called}")
    assert {name: lines for name, lines in found.items() if name not in OWN_WAYS} == {}
    assert set(OWN_WAYS) <= set(found)
