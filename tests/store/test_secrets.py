"""No secret in any text: the shapes, the values, and everything that a failing store leaves."""

from __future__ import annotations

import base64
import html
import json
import random
import re
import shlex
import string
import subprocess
import sys
import traceback
from datetime import UTC, datetime
from urllib.parse import quote, quote_plus

import pytest

from agnews_cli.core.run.deadline import Deadline
from agnews_cli.core.text.redaction import HIDDEN, redact, secrets_in
from agnews_cli.errors import AgnewsError, StoreTrouble
from agnews_cli.store.remotes.faults import in_words
from agnews_cli.store.run import leases
from agnews_cli.store.run.checkpoints import Checkpoints, Draft
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.settings import secrets
from agnews_cli.store.transfer import parcels
from agnews_cli.workflows.sessions.couriers import Fleet

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


ODD = {
    "A_PASSWORD": "pa\"ss\\word-'12345",
    "B_PASSWORD": "hunter2",
    "C_SECRET": "ünï-cödé secret/+?",
    "D_TOKEN": "line1secretline1\nline2secretline2",
    "E_KEY": "tr0ub4dor&3<>x",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
}


def ways(secret: str) -> dict[str, str]:
    raw = secret.encode()
    return {
        "raw": secret,
        "JSON": json.dumps(secret),
        "JSON, not ASCII": json.dumps(secret, ensure_ascii=False),
        "JSON in JSON": json.dumps(json.dumps(secret)),
        "repr": repr(secret),
        "repr of bytes": repr(raw),
        "shell": shlex.quote(secret),
        "URL": quote(secret, safe=""),
        "URL, small": quote(secret, safe="").lower()
        if secret.islower()
        else quote(secret, safe=""),
        "form": quote_plus(secret),
        "HTML": html.escape(secret),
        "base64": base64.b64encode(raw).decode(),
        "base64 of a login": base64.b64encode(b"me:" + raw).decode(),
        "base64 of a longer login": base64.urlsafe_b64encode(b"user:" + raw + b":x").decode(),
        "hexadecimal": raw.hex(),
        "traceback": "".join(traceback.format_exception(RuntimeError(secret))),
    }


@pytest.mark.parametrize("name", ODD)
def test_a_secret_is_hidden_however_it_is_written(name):
    known = secrets_in({name: ODD[name]})
    assert known
    for way, written in ways(ODD[name]).items():
        shown = redact(f"login with {written} was refused", known)
        assert HIDDEN in shown, way
        bare = re.sub(r"\W", "", shown.replace(HIDDEN, "").replace("RuntimeError", ""))
        for line in ODD[name].splitlines():
            middle = re.sub(r"\W", "", line)[1:-1]
            assert middle not in bare, (way, shown)
        rest = re.sub(r"^login with |RuntimeError: | was refused$", "", shown.replace(HIDDEN, ""))
        most = 13 if "base64" in way else 8  # what else was encoded; quotes
        assert len(rest.strip()) <= most, (way, shown)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA_PARTITION_KEY", "customer-reviews"),
        ("SORT_KEY", "reviews_2024"),
        ("KEY", "label"),
        ("CACHE_KEY", "ag_news/train"),
        ("MODEL_KEY", "minilm"),
        ("DB_PASSWORD", "postgres"),
        ("USE_TOKEN", "true"),
        ("MAX_TOKENS", "4096"),
        ("PIN_SECRET", "1234"),
    ],
)
def test_ordinary_values_hide_nothing(name, value):
    text = f"/data/{value}/train.csv: {value} of {value}"
    assert redact(text, secrets_in({name: value})) == text


def test_a_token_longer_than_any_file_name_is_known_and_harmless(monkeypatch):
    monkeypatch.setenv("KAGGLE_USER_SECRETS_TOKEN", token := "eyJ0.a1B" * 700)
    assert token in secrets.known()
    assert secrets.hidden(f"with {token} it") == f"with {HIDDEN} it"


def test_the_path_of_credentials_is_no_secret(monkeypatch, tmp_path):
    (tmp_path / "login-1.json").touch()
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "login-1.json"))
    assert str(tmp_path / "login-1.json") not in secrets.known()


def test_what_is_read_back_is_never_hidden(tmp_path, monkeypatch):
    """A value that is part of the data's path, of a name and of a preset stays in the record."""
    value = "Tr4nsactions-x9"
    monkeypatch.setenv("PARTITION_KEY", value)
    monkeypatch.setenv("SOME_TOKEN", value)
    run = RunFolder(tmp_path / "runs" / "minilm-0123456789")
    run.path.mkdir(parents=True)
    asked = {"created_at": "2026-11-25T00:00:00+00:00", "order": {"data": f"/data/{value}/a b.csv"}}
    texts = {
        "created.json": json.dumps(asked),
        "preset.yaml": f"name: minilm\nsummary: {value} is its name\n",
        "line.json": json.dumps({f"checkpoints/{value}": ["m-1"]}),
    }
    for name, text in texts.items():
        (run.path / name).write_text(text)
    event = {"kind": "warning", "data": {"text": f"no {value} here", "name": value, "step": 3}}
    (run.path / "events.jsonl").write_text(json.dumps(event) + "\n")
    _, data = parcels.record(run, token=1, number=1, writer="aaaa")
    files = json.loads(data)["files"]
    assert {name: files[name] for name in texts} == texts
    told = json.loads(files["events.jsonl"])["data"]
    assert told == {"text": f"no {HIDDEN} here", "name": value, "step": 3}


def test_the_events_of_a_worker_hide_prose_and_keep_names(tmp_path, monkeypatch, capsys):
    from agnews_cli.learn.door.events import EventLog

    for name, value in ODD.items():
        monkeypatch.setenv(name, value)
    log = EventLog(tmp_path / "events.jsonl", started_monotonic_s=0, writes=True)
    for value in ODD.values():
        log("warning", text=f"login with {value} was refused", path=f"/data/{value}")
    lines = [
        json.loads(line)["data"] for line in (tmp_path / "events.jsonl").read_text().splitlines()
    ]
    assert {line["text"].replace(HIDDEN, "").strip() for line in lines} == {
        "login with  was refused"
    }
    assert [line["path"] for line in lines][1] == "/data/hunter2"


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
        notes += fleet.finish(Deadline("upload", None), is_stopped=lambda: False)
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


def test_the_workers_log_commands_no_terminal(tmp_path, capsys):
    from agnews_cli.learn.door.events import EventLog

    log = EventLog(tmp_path / "events.jsonl", started_monotonic_s=0, writes=True)
    log("warning", text="class 'é\x1b]52;c;aGk=\x07\u202e\x9b31m' has few rows")
    said = capsys.readouterr().out
    assert "é" in said
    assert said.replace("\n", "").isprintable()
    assert json.loads((tmp_path / "events.jsonl").read_text())["data"]["text"].count("\x1b") == 1


def test_the_workers_log_has_no_secret(tmp_path):
    value = "".join(random.Random(3).choices(string.ascii_letters, k=24))
    code = (
        "import sys\n"
        "from agnews_cli.learn.door.events import WithoutSecrets\n"
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
