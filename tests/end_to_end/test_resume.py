"""Runs that are killed, paused and gone on with: real commands, real `accelerate launch`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.train
pytest.importorskip("torch")

LONG = ("--preset", "minilm", "--limit-train", "64", "--set", "training.epochs=400")


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


def test_killed_at_random_and_resumed_equals_straight_bit_for_bit(agnews):
    done = agnews("verify-resume", "--rows", "64", "--kills", "2", "--json")
    assert done.code == 0, done.out + done.err
    assert done.json["difference"] is None
    assert done.json["steps"] >= 6
    assert len(done.json["kills"]) == 2


def test_the_verdict_names_the_first_difference():
    from agnews_cli.workflows.verify import _difference

    straight = [{"step": s, "rows": "a", "lr": "0x1", "loss": f"{s}"} for s in (1, 2, 3)]
    assert _difference(straight, [*straight[:2], *straight[1:]]) is None
    wrong = [*straight[:2], straight[2] | {"loss": "3.0000001"}]
    assert _difference(straight, wrong) == "step 3: loss is 3.0000001, was 3"
    assert _difference(straight, straight[:2]) == "step 3 is missing"
    assert "beyond" in (_difference(straight[:2], straight) or "")


def test_a_session_stops_before_its_end_and_the_next_goes_on(agnews, tmp_path):
    began_s = time.monotonic()
    first = agnews("auto", *LONG, "--store", "runs", "--session-hours", "0.01")
    assert first.code == 75, first.err
    assert time.monotonic() - began_s < 36
    assert "everything is saved" in first.err
    assert "agnews resume minilm-" in first.err
    reached = step_of(tmp_path)
    second = agnews("resume", "--store", "runs", "--session-hours", "0.01")
    assert second.code == 75, second.err
    assert f"goes on at step {reached} " in second.err
    assert step_of(tmp_path) > reached


def test_the_command_alone_killed_the_worker_saves_and_ends_and_resume_goes_on(tmp_path, agnews):
    command = [sys.executable, "-m", "agnews_cli", "auto", *LONG, "--store", "runs"]
    command += ["--save-every", "1s"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: manifests(tmp_path), process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    events = next(tmp_path.rglob("events.jsonl"))
    worker = json.loads(events.read_text().splitlines()[0])["data"]["pid"]
    give_up = time.monotonic() + 60
    while Path(f"/proc/{worker}").exists():
        assert time.monotonic() < give_up, "the worker goes on without anybody"
        time.sleep(0.1)
    last = step_of(tmp_path)
    done = agnews("resume", "--store", "runs", "--session-hours", "0.01")
    assert done.code == 75, done.err
    assert f"goes on at step {last} " in done.err


def test_a_damaged_checkpoint_is_passed_over_and_said(tmp_path, agnews):
    command = ("auto", *LONG, "--store", "runs", "--session-hours", "0.012", "--save-every", "2s")
    assert agnews(*command).code == 75
    newest = manifests(tmp_path)[-1]
    weights = json.loads(newest.read_text())["blobs"]["optimizer"]["sha256"]
    blob = newest.parent / "blobs" / weights
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.write_bytes(data)
    seen = agnews("checkpoints", "verify", "--store", "runs")
    assert seen.code == 74
    assert "content changed" in seen.out
    done = agnews("resume", "--store", "runs", "--session-hours", "0.01")
    assert done.code == 75, done.err
    assert f"{newest.stem} is passed over" in done.err
    assert "goes on at step" in done.err


def test_nothing_to_resume_is_one_clear_error(agnews):
    done = agnews("resume", "--store", "runs")
    assert done.code == 66
    assert "no unfinished run" in done.err
    assert "agnews auto" in done.err


def test_changed_data_is_refused(tmp_path, agnews):
    rows = [f"text number {n} about {'cats' if n % 2 else 'dogs'},{n % 2}" for n in range(60)]
    data = tmp_path / "data.csv"
    data.write_text("\n".join(["text,label", *rows]))
    order = ("--set", "training.epochs=900", "--session-hours", "0.01")
    assert agnews("auto", "--data", data, "--preset", "minilm", *order).code == 75
    data.write_text("\n".join(["text,label", *rows[:-2]]))
    done = agnews("resume")
    assert done.code == 78
    assert "the data or the preset changed" in done.err
