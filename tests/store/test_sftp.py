"""A login goes to the host that is meant: known keys are gone to, all others are refused."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agnews_cli.errors import HostKeyChanged, HostUnknown, StoreTrouble
from agnews_cli.store.remotes import address
from tests.servers.process import ServerProcess, free_port

paramiko = pytest.importorskip("paramiko")

PASSWORD = "S3cret-of-the-real-host"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder, port = tmp_path_factory.mktemp("sftp"), free_port()
    server = ServerProcess("tests.servers.sftp", str(folder), str(port), port=port)
    server.folder = folder
    yield server
    server.stop()


@pytest.fixture
def host(server: ServerProcess, tmp_path: Path, monkeypatch) -> ServerProcess:
    """The server, before anything is known of it."""
    Path(f"{server.folder}.logins").unlink(missing_ok=True)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("AGNEWS_SFTP_USER", "me")
    monkeypatch.setenv("AGNEWS_SFTP_PASSWORD", PASSWORD)
    server.name = f"[127.0.0.1]:{server.port}"
    return server


def know(tmp_path: Path, *lines: str) -> None:
    folder = tmp_path / "user" / ".ssh"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "known_hosts").write_text("".join(f"{line}\n" for line in lines))


def key_of(host: ServerProcess) -> paramiko.PKey:
    from tests.servers.sftp import key_of

    return key_of(host.folder)


def line(name: str, key: paramiko.PKey) -> str:
    return f"{name} {key.get_name()} {key.get_base64()}"


def ask(host: ServerProcess) -> tuple:
    return address.connect(address.parse(f"sftp://127.0.0.1:{host.port}/x")).list("")


def logins(host: ServerProcess) -> str:
    path = Path(f"{host.folder}.logins")
    return path.read_text() if path.exists() else ""


def test_an_unknown_host_gets_no_login_and_the_line_that_is_told_accepts_it(host, tmp_path):
    with pytest.raises(HostUnknown) as caught:
        ask(host)
    assert isinstance(caught.value, StoreTrouble)  # training goes on without that store
    assert key_of(host).fingerprint in caught.value.message
    assert f"sftp://127.0.0.1:{host.port}" in caught.value.message
    assert not logins(host)
    _, _, typed = caught.value.message.partition("that one: ")
    subprocess.run(["sh", "-c", typed], check=True)
    assert ask(host) == ()
    assert PASSWORD in logins(host)


def test_the_fingerprint_is_the_one_that_openssh_prints(host, tmp_path):
    public = tmp_path / "key.pub"
    key = key_of(host)
    public.write_text(f"{key.get_name()} {key.get_base64()}\n")
    try:
        done = subprocess.run(
            ["ssh-keygen", "-lf", public], capture_output=True, text=True, check=True
        )
    except FileNotFoundError:
        pytest.skip("no OpenSSH here")
    with pytest.raises(HostUnknown) as caught:
        ask(host)
    assert done.stdout.split()[1] in caught.value.message


@pytest.mark.parametrize(
    "known", ["another key", "another kind of key", "revoked", "revoked, though known too"]
)
def test_a_changed_or_revoked_key_is_always_refused(host, tmp_path, known):
    key = key_of(host)
    lines = {
        "another key": [line(host.name, paramiko.RSAKey.generate(2048))],
        "another kind of key": [line(host.name, paramiko.ECDSAKey.generate())],
        "revoked": [f"@revoked {line('*', key)}"],
        "revoked, though known too": [line(host.name, key), f"@revoked {line(host.name, key)}"],
    }
    know(tmp_path, *lines[known])
    with pytest.raises(HostKeyChanged) as caught:
        ask(host)
    assert key.fingerprint in caught.value.message
    assert shlex.quote(host.name) in caught.value.message
    assert not logins(host)


@pytest.mark.parametrize(
    "written", ["hashed", "pattern", "one of several", "two kinds", "amid rubbish"]
)
def test_a_known_host_is_gone_to_however_it_is_written_down(host, tmp_path, written):
    key = key_of(host)
    hashed = paramiko.HostKeys.hash_host(host.name)
    lines = {
        "hashed": [line(hashed, key)],
        "pattern": [line(f"other,[127.0.0.*]:{host.port}", key)],
        "one of several": [line(host.name, paramiko.RSAKey.generate(2048)), line(host.name, key)],
        "two kinds": [line(host.name, paramiko.ECDSAKey.generate()), line(host.name, key)],
        "amid rubbish": ["", "# word", "|1|x|y ssh-rsa AAAA", "h ssh-rsa !", line(host.name, key)],
    }  # fmt: skip
    know(tmp_path, *lines[written])
    assert ask(host) == ()


@pytest.mark.parametrize("name", ["127.0.0.1", "[127.0.0.1]:1", "[127.0.0.*]:*,![127.0.0.1]:*"])
def test_the_key_of_another_port_or_host_does_not_vouch_for_this_one(host, tmp_path, name):
    know(tmp_path, line(name, key_of(host)))
    with pytest.raises(HostUnknown):
        ask(host)
    assert not logins(host)
