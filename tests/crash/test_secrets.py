"""F18: secrets of six shapes, planted wherever one may lie, are in nothing that is written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from agnews_cli.cli.main import main
from agnews_cli.core.text.redaction import HIDDEN, redact, secrets_in
from agnews_cli.errors import HubUnreachable

PLANTED = {
    "HF_TOKEN": "hf_" + "AbCdEfGh1234" * 3,
    "KAGGLE_KEY": "0123456789abcdef" * 2,
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "GITHUB_TOKEN": "ghp_" + "Zz9" * 12,
    "MY_PASSWORD": "correct-horse-battery-staple",
    "HTTPS_PROXY": "http://user:pr0xy-pa55word@127.0.0.1:9",
}
VALUES = (*(v for n, v in PLANTED.items() if n != "HTTPS_PROXY"), "pr0xy-pa55word")


@pytest.fixture
def planted(monkeypatch) -> None:
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)


def assert_none(text: str, where: object) -> None:
    for value in VALUES:
        assert value not in text, f"{where}: {value[:6]}…"


@pytest.mark.parametrize(
    "text",
    [
        "https://user:hunter2hunter2@host/path",
        "s3://AKIAABCDEFGHIJKLMNOP:secretsecret@bucket",
        "Authorization: Bearer abcdefgh.ijklmnop",
        "authorization: basic dXNlcjpwYXNzd29yZA==",
        "token hf_abcdefghijklmnop is refused",
        "push with ghp_0123456789abcdefghij failed",
        '{"username":"me","key":"0123456789abcdef0123456789abcdef"}',
        "https://host/file?X-Amz-Signature=abcdef0123456789&part=1",
        "aws_secret_access_key=abcdefghijklmnop",
        "KGAT_0123456789abcdef",
    ],
)
def test_what_has_the_shape_of_a_secret_is_hidden(text):
    hidden = redact(text)
    assert HIDDEN in hidden
    for word in ("hunter2", "secretsecret", "abcdefgh", "dXNlc", "0123456789abcdef"):
        assert word not in hidden


@pytest.mark.parametrize(
    "text",
    [
        "no space left at /home/me/agnews-runs: 3 MB free",
        "https://huggingface.co does not answer within 5 s",
        "basic training and bearer certificates",
        "lr=0.0001 tokens=4096 batch_tokens=1024",
        "m-000001-000000002-abcd-0123456789abcdef.json",
        "sentence-transformers/all-MiniLM-L6-v2",
    ],
)
def test_ordinary_words_stay(text):
    assert redact(text, secrets_in({"HF_TOKEN": "", "TOKENIZERS_PARALLELISM": "true"})) == text


def test_no_error_of_the_command_shows_one(planted, tmp_path, monkeypatch, capsys):
    from agnews_cli.workflows.runs import history

    def broken(*_: object) -> None:
        if kind == "ours":
            endpoint = f"https://me:{PLANTED['MY_PASSWORD']}@hub"
            raise HubUnreachable(
                what=f"x?token={PLANTED['HF_TOKEN']}", endpoint=endpoint, timeout_s=5
            )
        raise RuntimeError(" ".join(PLANTED.values()))

    monkeypatch.setattr(history, "newest", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for kind in ("ours", "not ours"):
        for more in ([], ["--json"]):
            with pytest.raises(SystemExit):
                main(["runs", *more])
            said = capsys.readouterr()
            assert HIDDEN in said.out + said.err
            assert_none(said.out + said.err, (kind, more))
    written = list(tmp_path.glob("agnews-error-*.txt"))
    assert written
    for path in written:
        assert_none(path.read_text(), path)


@pytest.mark.train
def test_no_file_of_a_worker_that_fails_shows_one(planted, tmp_path, agnews, monkeypatch):
    """The worker's own process; its error, its traceback and its events name every secret."""
    pytest.importorskip("torch")
    import subprocess
    import sys

    from agnews_cli.core.run.job import TrainJob
    from agnews_cli.workflows.train.auto import Request, prepare

    monkeypatch.chdir(tmp_path)
    plan = prepare(Request.of(data="sample:", preset="minilm"))
    job = TrainJob(
        run="r-1", folder=str(tmp_path), cache=str(tmp_path / "cache"), preset=plan.preset,
        model_path="nowhere", dataset=plan.scene.dataset, seed=0, started_monotonic_s=0,
    )  # fmt: skip
    (tmp_path / "job.json").write_text(job.model_dump_json())
    code = (
        "import os, sys; from agnews_cli.learn import worker\n"
        "from agnews_cli.learn.door import events\n"
        "def broken(job, log, stop):\n"
        "    text = ' '.join(os.environ[n] for n in sys.argv[2].split(','))\n"
        "    log('warning', text=text); print(text); print(text, file=sys.stderr)\n"
        "    raise RuntimeError(text)\n"
        "worker._work = broken\n"
        "worker.main(sys.argv)\n"
    )
    with (tmp_path / "worker.log").open("wb") as log:
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "job.json"), ",".join(PLANTED)],
            check=True, stdout=log, stderr=subprocess.STDOUT, cwd=Path(__file__).parents[2],
        )  # fmt: skip
    outcome = json.loads((tmp_path / "outcome.json").read_text())
    assert outcome["state"] == "failed"
    for name in ("worker.log", "events.jsonl", "outcome.json"):
        assert HIDDEN in (tmp_path / name).read_text()
        assert_none((tmp_path / name).read_text(), name)


@pytest.mark.train
@pytest.mark.slow
def test_a_whole_run_writes_none(planted, tmp_path, agnews, own_home):
    """Every file and every word of a real run, the ledger's bytes included."""
    pytest.importorskip("torch")
    settings = ("--limit-train", "64", "--set", "training.epochs=1", "--save-every", "1s")
    settings += ("--set", "data.cross_validated_below=0")
    done = agnews("auto", "--data", "sample:", "--preset", "minilm", *settings, **PLANTED)
    assert done.code == 0, done.err
    assert_none(done.out + done.err, "what the command said")
    failed = agnews("auto", "--data", f"https://u:{PLANTED['MY_PASSWORD']}@host/x.csv", **PLANTED)
    assert failed.code
    assert_none(failed.out + failed.err, "what the command said")
    seen = [p for folder in (tmp_path, own_home) for p in folder.rglob("*") if p.is_file()]
    names = {path.name for path in seen}
    assert {"worker.log", "events.jsonl", "environment.json", "job.json", "ledger.db"} <= names
    for path in seen:
        assert_none(path.read_bytes().decode("latin-1"), path)
    assert os.environ["HF_TOKEN"]
