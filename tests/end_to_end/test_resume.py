"""Runs that are killed, paused and gone on with: real commands, real `accelerate launch`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

pytestmark = pytest.mark.train
pytest.importorskip("torch")

LONG = (
    "--preset", "minilm", "--limit-train", "64", "--set", "training.epochs=400",
    "--set", "training.yardstick=false", "--set", "data.cross_validated_below=0",
)  # fmt: skip


def manifests(work: Path) -> list[Path]:
    return sorted(work.rglob("checkpoints/*/m-*.json"))


def step_of(work: Path) -> int:
    return max(int(path.name.split("-")[2]) for path in manifests(work))


def wait_for(what, process: subprocess.Popen, seconds: float = 120) -> None:
    give_up = time.monotonic() + seconds
    while not what():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < give_up
        time.sleep(0.05)


def begin_and_kill_the_command(work: Path) -> None:
    """Killed when something is saved; its worker is left alone."""
    command = [sys.executable, "-m", "agnews_cli", "auto", *LONG, "--store", "runs"]
    command += ["--save-every", "1s"]
    process = subprocess.Popen(
        command, cwd=work, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: manifests(work), process)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_killed_at_random_and_resumed_equals_straight_bit_for_bit(agnews):
    done = agnews("verify-resume", "--rows", "64", "--kills", "1", "--json")
    assert done.code == 0, done.out + done.err
    assert done.json["difference"] is None
    assert done.json["steps"] >= 6
    assert len(done.json["kills"]) == 1


def test_the_verdict_names_the_first_difference():
    from agnews_cli.workflows.verify import _difference

    straight = [{"step": s, "rows": "a", "lr": "0x1", "loss": f"{s}"} for s in (1, 2, 3)]
    assert _difference(straight, [*straight[:2], *straight[1:]]) is None
    wrong = [*straight[:2], straight[2] | {"loss": "3.0000001"}]
    assert _difference(straight, wrong) == "step 3: loss is 3.0000001, was 3"
    assert _difference(straight, straight[:2]) == "step 3 is missing"
    assert "beyond" in (_difference(straight[:2], straight) or "")


def test_one_run_through_a_killed_command_a_session_end_and_a_damaged_checkpoint(tmp_path, agnews):
    begin_and_kill_the_command(tmp_path)
    events = next(tmp_path.rglob("events.jsonl"))
    worker = json.loads(events.read_text().splitlines()[0])["data"]["pid"]
    give_up = time.monotonic() + 60
    while Path(f"/proc/{worker}").exists():
        assert time.monotonic() < give_up, "the worker goes on without anybody"
        time.sleep(0.1)
    killed_at = step_of(tmp_path)

    began_s = time.monotonic()
    paused = agnews("resume", "--store", "runs", "--session-hours", "0.01")
    assert paused.code == 75, paused.err
    assert time.monotonic() - began_s < 36
    assert f"goes on at step {killed_at} " in paused.out
    assert "everything is saved" in paused.err
    assert "agnews resume minilm-" in paused.err
    paused_at = step_of(tmp_path)
    assert paused_at > killed_at

    newest = manifests(tmp_path)[-1]
    moments = json.loads(newest.read_text())["blobs"]["optimizer"]["sha256"]
    blob = newest.parent / "blobs" / moments
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.write_bytes(data)
    seen = agnews("checkpoints", "verify", "--store", "runs")
    assert seen.code == 74
    assert "SHA-256" in seen.out
    again = agnews("auto", *LONG, "--store", "runs", "--session-hours", "0.01")
    assert again.code == 75, again.err
    assert f"{newest.stem} is passed over" in again.out
    assert "goes on at step" in again.out
    assert f"goes on at step {paused_at} " not in again.out
    assert [c["step"] for c in agnews("checkpoints", "ls", "--store", "runs", "--json").json]
    assert {r["state"] for r in agnews("runs", "--store", "runs", "--json").json} == {"paused"}

    # every session's time adds up, the killed one's too, and what was lost was done again
    from agnews_cli.store.ledger import Ledger

    with Ledger() as ledger:
        sessions = ledger.sessions()
    assert [s.state for s in sessions] == ["died", "deadline", "deadline"]
    for session in sessions:
        assert session.split is not None
        assert session.split.whole_s == pytest.approx(session.seconds, rel=0.01, abs=0.01)
    assert sessions[1].split.useful_s > 0
    assert sessions[2].split.redone_s > 0  # its newest checkpoint was damaged
    assert list((tmp_path / "runs" / "ledger").glob("ledger-*.db"))


def test_resume_typed_right_after_the_command_was_killed_waits_for_its_worker(tmp_path, agnews):
    """Seen: two workers at once, and the first one's end taken for the second one's (exit 130)."""
    begin_and_kill_the_command(tmp_path)
    again = agnews("resume", "--store", "runs", "--session-hours", "0.01")
    assert again.code == 75, again.out + again.err
    assert "waiting for it" in again.out
    lines = next(tmp_path.rglob("events.jsonl")).read_text().splitlines()
    events = [json.loads(line) for line in lines]
    kinds = [e["kind"] for e in events if e["kind"] in ("started", "ended")]
    assert kinds == ["started", "ended", "started", "ended"]
    saved = [e["data"]["step"] for e in events if e["kind"] == "saved"]
    assert saved == sorted(saved)


def test_a_reader_that_leaves_stops_the_run_in_good_order(tmp_path, agnews):
    command = [sys.executable, "-m", "agnews_cli", "auto", *LONG, "--store", "runs"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    seen = b""
    while b"fine-tuning minilm" not in seen:
        seen += os.read(process.stdout.fileno(), 4096)
    process.stdout.close()  # the next line finds nobody, at most half a minute later
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert b"everything up to now is saved" in err
    assert [path for path in manifests(tmp_path) if json.loads(path.read_text())["why"] == "final"]


def test_nothing_to_resume_is_one_clear_error(agnews):
    done = agnews("resume", "--store", "runs")
    assert done.code == 66
    assert "no unfinished run" in done.err
    assert "agnews auto" in done.err


def test_changed_data_is_refused(tmp_path, agnews, monkeypatch):
    from agnews_cli.store import runs
    from agnews_cli.workflows.auto import Request, order_of, prepare

    monkeypatch.chdir(tmp_path)
    rows = [f"text number {n} about {'cats' if n % 2 else 'dogs'},{n % 2}" for n in range(60)]
    data = tmp_path / "data.csv"
    data.write_text("\n".join(["text,label", *rows]))
    plan = prepare(Request(data="data.csv", preset="minilm"))
    runs.create(
        plan.store, plan.run, preset=plan.preset, dataset=plan.dataset, seed=0,
        order=order_of(plan), now=datetime.now(UTC),
    )  # fmt: skip
    data.write_text("\n".join(["text,label", *rows[:-2]]))
    done = agnews("resume")
    assert done.code == 78
    assert "the data or the preset changed" in done.err
    data.unlink()
    gone = agnews("resume")
    assert gone.code == 66
    assert "no such file" in gone.err
