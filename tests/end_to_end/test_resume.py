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
import yaml

pytestmark = pytest.mark.train
pytest.importorskip("torch")

from tests import tiny  # noqa: E402

LONG = (
    "--preset", "minilm", "--set", "model.id=./base", "--set", "training.epochs=4000",
    "--justify", "to be stopped",
    "--set", "training.patience=1000000", "--set", "training.evaluations_per_epoch=1",
    "--set", "training.r_drop=0", "--set", "training.linear_teacher=0",
    "--set", "training.yardstick=false", "--set", "data.cross_validated_below=0",
)  # fmt: skip
"""A run of many minutes, of a model that is loaded and saved within a second."""


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("OMP_NUM_THREADS")
    return tiny.make(tmp_path / "base")


def manifests(work: Path) -> list[Path]:
    return sorted(work.rglob("checkpoints/*/m-*.json"))


def step_of(work: Path) -> int:
    return max(int(path.name.split("-")[2]) for path in manifests(work))


def wait_for(what, process: subprocess.Popen, seconds: float = 300) -> None:
    give_up = time.monotonic() + seconds
    while not what():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < give_up
        time.sleep(0.05)


def events(work: Path) -> list[dict]:
    lines = next(work.rglob("events.jsonl")).read_text().splitlines()
    return [json.loads(line) for line in lines]


def interrupted_beyond(step: int, work: Path) -> tuple[int, str]:
    """The run gone on with by `auto`, and stopped when a later step is saved; code and output."""
    command = [sys.executable, "-m", "agnews_cli", "auto", *LONG, "--store", "runs"]
    process = subprocess.Popen(
        [*command, "--save-every", "1s"], cwd=work, env=os.environ, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    wait_for(lambda: step_of(work) > step, process)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    return process.returncode, out


def begin_and_kill_the_command(work: Path) -> int:
    """Killed when something is saved; its worker is frozen. The worker's process id."""
    command = [sys.executable, "-m", "agnews_cli", "auto", *LONG, "--store", "runs"]
    command += ["--save-every", "1s"]
    process = subprocess.Popen(
        command, cwd=work, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: manifests(work), process)
        worker = int(events(work)[0]["data"]["pid"])
        os.kill(worker, signal.SIGSTOP)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    return worker


def resumed_beside(worker: int, work: Path) -> tuple[int, str]:
    """A session that waits for the last one's worker, which is then woken; code and output."""
    command = [sys.executable, "-m", "agnews_cli", "resume", "--store", "runs"]
    process = subprocess.Popen(
        [*command, "--session-hours", "0.018"], cwd=work, env=os.environ, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        said = ""
        while "waiting for it" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
    finally:
        os.kill(worker, signal.SIGCONT)
    out, _ = process.communicate(timeout=120)
    return process.returncode, said + out


@pytest.fixture(params=["small", pytest.param("minilm", marks=pytest.mark.slow)])
def preset(request, tmp_path, agnews) -> str:
    """A preset of two small layers; at night that of real weights."""
    if request.param == "small":
        text = agnews("presets", "show", "minilm").out.replace("name: minilm", "name: small")
        model = yaml.safe_load(text)["model"]["id"]
        (tmp_path / "small.yaml").write_text(text.replace(f"id: {model}", "id: ./base"))
        return "small.yaml"
    return str(request.param)


def test_killed_at_random_and_resumed_equals_straight_bit_for_bit(agnews, preset):
    done = agnews("verify-resume", "--preset", preset, "--rows", "64", "--kills", "1", "--json")
    assert done.code == 0, done.out + done.err
    assert done.json["difference"] is None
    assert done.json["steps"] >= 6
    assert len(done.json["kills"]) == 1


def test_the_verdict_names_the_first_difference():
    from agnews_cli.workflows.machine.verify import _difference

    straight = [{"step": s, "rows": "a", "lr": "0x1", "loss": f"{s}"} for s in (1, 2, 3)]
    assert _difference(straight, [*straight[:2], *straight[1:]]) is None
    wrong = [*straight[:2], straight[2] | {"loss": "3.0000001"}]
    assert _difference(straight, wrong) == "step 3: loss is 3.0000001, was 3"
    assert _difference(straight, straight[:2]) == "step 3 is missing"
    assert "beyond" in (_difference(straight[:2], straight) or "")


def test_one_run_through_a_killed_command_a_session_end_and_a_damaged_checkpoint(tmp_path, agnews):
    """`resume` is typed right after the command was killed, while its worker still saves.

    Seen: two workers at once, and the first one's end taken for the second one's (exit 130).
    """
    worker = begin_and_kill_the_command(tmp_path)
    began_s = time.monotonic()
    code, out = resumed_beside(worker, tmp_path)
    assert code == 75, out
    assert time.monotonic() - began_s < 65
    said = events(tmp_path)
    kinds = [e["kind"] for e in said if e["kind"] in ("started", "ended")]
    assert kinds == ["started", "ended", "started", "ended"]
    saved = [e["data"]["step"] for e in said if e["kind"] == "saved"]
    assert saved == sorted(saved)
    first_end = [e["kind"] for e in said].index("ended")
    killed_at = max(e["data"]["step"] for e in said[:first_end] if e["kind"] == "saved")
    assert f"goes on at step {killed_at:,} " in out
    paused_at = step_of(tmp_path)
    assert f"step {paused_at} of " in out
    assert "is saved; nothing is lost" in out
    assert "agnews resume minilm-" in out
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
    code, out = interrupted_beyond(paused_at, tmp_path)
    assert code == 130, out
    assert f"{newest.stem} is passed over" in out
    assert "goes on at step" in out
    assert f"goes on at step {paused_at:,} " not in out
    assert [c["step"] for c in agnews("checkpoints", "ls", "--store", "runs", "--json").json]
    assert {r["state"] for r in agnews("runs", "--store", "runs", "--json").json} == {"interrupted"}

    # every session's time adds up, the killed one's too, and what was lost was done again
    from agnews_cli.store.hours.ledger import Ledger

    with Ledger() as ledger:
        sessions = ledger.sessions()
    assert [s.state for s in sessions] == ["died", "deadline", "interrupted"]
    for session in sessions:
        assert session.split is not None
        assert session.split.whole_s == pytest.approx(session.seconds, rel=0.01, abs=0.01)
    assert sessions[1].split.useful_s > 0
    assert sessions[2].split.redone_s > 0  # its newest checkpoint was damaged
    assert list((tmp_path / "runs" / "ledger").glob("ledger-*.db"))


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
    assert process.returncode == 129, err
    assert f"step {step_of(tmp_path)} of ".encode() in err
    assert b"is saved; nothing is lost" in err
    assert [path for path in manifests(tmp_path) if json.loads(path.read_text())["why"] == "final"]


def test_nothing_to_resume_is_one_clear_error(agnews):
    done = agnews("resume", "--store", "runs")
    assert done.code == 66
    assert "no unfinished run" in done.err
    assert "agnews auto" in done.err


def test_changed_data_is_refused(tmp_path, agnews, monkeypatch):
    from agnews_cli.store.run import runs
    from agnews_cli.workflows.train.auto import Request, prepare

    monkeypatch.chdir(tmp_path)
    rows = [f"text number {n} about {'cats' if n % 2 else 'dogs'},{n % 2}" for n in range(60)]
    data = tmp_path / "data.csv"
    data.write_text("\n".join(["text,label", *rows]))
    plan = prepare(Request.of(data="data.csv", preset="minilm"))
    runs.create(
        plan.scene.store, plan.run, preset=plan.preset, dataset=plan.scene.dataset, seed=0,
        order=plan.scene.order, now=datetime.now(UTC),
    )  # fmt: skip
    data.write_text("\n".join(["text,label", *rows[:-2]]))
    done = agnews("resume")
    assert done.code == 78
    assert "the data or the preset changed" in done.err
    data.unlink()
    gone = agnews("resume")
    assert gone.code == 66
    assert "no such file" in gone.err
