"""No secret in any text: the shapes, the values, and everything that a failing store leaves."""

from __future__ import annotations

import random
import string
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from agnews_cli.core.redaction import HIDDEN, redact
from agnews_cli.errors import AgnewsError, StoreTrouble
from agnews_cli.store import leases
from agnews_cli.store.checkpoints import Checkpoints, Draft
from agnews_cli.store.remotes.faults import in_words
from agnews_cli.store.runs import RunFolder
from agnews_cli.workflows.couriers import Fleet

HUB = "hf_" + "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3f"
HEX = "0123456789abcdef0123456789abcdef"
CANARIES = {
    "HF_TOKEN": HUB,
    "KAGGLE_KEY": HEX,
    "AWS_SECRET_ACCESS_KEY": "canary/secret+key/of/forty/letters/00000",
    "AGNEWS_SFTP_PASSWORD": "canary password with spaces",
    "MY_API_KEY": "canary-value-without-a-shape",
    "SOME_TOKEN": "eyJcanary.payload.signature",
}


@pytest.mark.parametrize(
    "text",
    [
        f"401 for {HUB}",
        f"Authorization: Bearer {HEX}",
        f"authorization: basic {HEX}",
        f"https://me:{HEX}@host/x failed",
        f"https://{HEX}@host/x failed",
        f'{{"username": "me", "key": "{HEX}"}}',
        f"?X-Amz-Signature={HEX}&x=1",
        f"api_key={HEX}",
        f"'secret_access_key': '{HEX}'",
        f"password: {HEX}",
        "AKIAIOSFODNN7EXAMPLE is not known",
    ],
)
def test_what_looks_like_a_secret_is_hidden(text):
    shown = redact(text)
    assert HIDDEN in shown
    assert HEX not in shown
    assert HUB not in shown
    assert "AKIA" not in shown


@pytest.mark.parametrize(
    "text",
    [
        "step 12 of 3,000: loss 0.123, token count 52",
        "s3://bucket/agnews: step 7 is there",
        "m-000001-000000005-aaaa-0b0949bb5f164275 is passed over: its SHA-256 differs",
        "tokenizers_parallelism true",
    ],
)
def test_ordinary_text_stays(text):
    assert redact(text, ("short",)) == text


def test_a_failing_store_leaks_nothing_anywhere(tmp_path, monkeypatch, capfd):
    for name, value in CANARIES.items():
        monkeypatch.setenv(name, value)
    run = RunFolder(tmp_path / "runs" / "minilm-0123456789")
    run.path.mkdir(parents=True)
    (run.path / "preset.yaml").write_text("name: minilm\n")
    (run.path / "created.json").write_text('{"created_at": "2026-11-25T00:00:00+00:00"}')
    spilt = " ".join(f"{name}={value}" for name, value in CANARIES.items())
    (run.path / "events.jsonl").write_text(f'{{"text": "{spilt}"}}\n')
    draft = Draft(
        run=run.id, candidate="m", step=1, parent=None, token=1, writer="aaaa", why="interval",
        state={}, fingerprint={},
    )  # fmt: skip
    Checkpoints(run.checkpoints / "m").save(draft, {"weights": b"1"})

    class Leaky:
        """Every error that it raises has all secrets in its text; what arrives is kept."""

        def __init__(self, fails: bool) -> None:
            self.fails = fails

        def __getattr__(self, name):
            from agnews_cli.store.remotes.folder import Folder

            inner = getattr(Folder(tmp_path / "kept", address="leaky://"), name)
            if not callable(inner) or not self.fails:
                return inner

            def fail(*_):
                with in_words("leaky://", name):
                    raise RuntimeError(
                        f"401 Unauthorized: {spilt} https://u:{HEX}@host Bearer {HUB}"
                    )

            return fail

    notes = []
    for fails in (True, False):
        lease = leases.claim(run.path, datetime.now(UTC))
        fleet = Fleet((Leaky(fails),), run, token=lease.token, writer=lease.writer)
        fleet.start()
        notes += fleet.finish(None, is_stopped=lambda: False)
        lease.release(datetime.now(UTC))
    assert any("401 Unauthorized" in note.text for note in notes)
    with pytest.raises(StoreTrouble) as caught:
        Leaky(True).list("")
    assert isinstance(caught.value, AgnewsError)
    written = [
        p.read_bytes().decode("utf-8", "replace")
        for p in tmp_path.rglob("*")
        if p.is_file() and p.name != "events.jsonl"
    ]
    assert len(written) > 8
    out = capfd.readouterr()
    everything = "\n".join(
        [*written, *(n.text for n in notes), caught.value.message, out.out, out.err]
    )
    for name, value in CANARIES.items():
        assert value not in everything, name


def test_the_workers_log_has_no_secret(tmp_path):
    value = "".join(random.Random(3).choices(string.ascii_letters, k=24))
    code = (
        "import sys\n"
        "from agnews_cli.learn.events import WithoutSecrets\n"
        "sys.stdout, sys.stderr = WithoutSecrets(sys.stdout), WithoutSecrets(sys.stderr)\n"
        f"print('it is', '{value}')\n"
        f"raise RuntimeError('token {value} and {HUB}')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"ODD_TOKEN": value, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert HIDDEN in done.stdout
    assert value not in done.stdout
    assert "RuntimeError" in done.stderr
    assert HUB not in done.stderr
