"""Real kernels: ipykernel 7 as installed, and Colab's ipykernel 6.17.1 with IPython 7.34.

Kernels see the checkout through PYTHONPATH, `agnews` through a script on their PATH, and a home of
their own. A cell's outputs are kept as a front end would get them.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any

import pytest

pytest.importorskip("ipykernel")
from jupyter_client.manager import KernelManager

from agnews_cli.host.kernel import SECRETS

CHECKOUT = Path(__file__).parents[2]
HERE = Path(__file__).parent
COLAB_PINS = ("ipykernel==6.17.1", "ipython==7.34.0", "jupyter_client<8")


@dataclass
class Cell:
    """One execution, as far as it went."""

    id: str
    stream: str = ""
    """Standard output and error, as sent: carriage returns and all."""
    displays: dict[str, list[str]] = field(default_factory=dict)
    """Texts of each display, in the order they were shown in its place."""
    error: str = ""
    reply: dict[str, Any] = field(default_factory=dict)
    is_idle: bool = False

    @property
    def is_over(self) -> bool:
        return self.is_idle and bool(self.reply)

    @property
    def text(self) -> str:
        """All that was ever shown."""
        shown = [text for texts in self.displays.values() for text in texts]
        return "\n".join([self.stream, *shown, self.error])


class Kernel:
    """A running kernel and its one client."""

    def __init__(self, name: str, cwd: Path, env: dict[str, str]) -> None:
        self.cwd = cwd
        self._manager = KernelManager(kernel_name=name)
        self._manager.start_kernel(cwd=str(cwd), env=env)
        self._connect()

    def _connect(self) -> None:
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=90)

    @property
    def pid(self) -> int:
        return int(self._manager.provisioner.process.pid)

    def begin(self, code: str) -> Cell:
        # No front end answers questions here: a prompt would be an error, and a hang a test's end.
        return Cell(self._client.execute(code, allow_stdin=False))

    def watch(self, cell: Cell, until: Callable[[Cell], bool], seconds: float = 120) -> Cell:
        """Collect what the cell puts out until something holds."""
        give_up_s = time.monotonic() + seconds
        while not until(cell):
            assert time.monotonic() < give_up_s, f"in vain, so far:\n{cell.text[-4000:]}"
            with contextlib.suppress(Empty):
                self._take(cell, self._client.get_iopub_msg(timeout=0.2))
            with contextlib.suppress(Empty):
                reply = self._client.get_shell_msg(timeout=0)
                if reply["parent_header"].get("msg_id") == cell.id:
                    cell.reply = reply["content"]
        return cell

    def run(self, code: str, seconds: float = 240) -> Cell:
        return self.watch(self.begin(code), lambda cell: cell.is_over, seconds)

    @staticmethod
    def _take(cell: Cell, message: dict[str, Any]) -> None:
        if message["parent_header"].get("msg_id") != cell.id:
            return
        content = message["content"]
        match message["msg_type"]:
            case "stream":
                cell.stream += content["text"]
            case "display_data" | "update_display_data":
                name = content.get("transient", {}).get("display_id", "")
                cell.displays.setdefault(name, []).append(content["data"]["text/plain"])
            case "error":
                cell.error = "\n".join([content["ename"], content["evalue"], *content["traceback"]])
            case "status":
                cell.is_idle = content["execution_state"] == "idle"

    def interrupt(self) -> None:
        """The stop button."""
        self._manager.interrupt_kernel()

    def restart(self) -> None:
        self._client.stop_channels()
        self._manager.restart_kernel()
        self._connect()

    def kill(self) -> None:
        """The kernel dies, and nobody tells its children."""
        os.kill(self.pid, 9)
        self._manager.provisioner.process.wait()
        self._client.stop_channels()

    def close(self) -> None:
        self._client.stop_channels()
        with contextlib.suppress(Exception):
            self._manager.shutdown_kernel(now=True)


@pytest.fixture(scope="session")
def stock_python() -> Path:
    return Path(sys.executable)


@pytest.fixture(scope="session")
def colab_python(request: pytest.FixtureRequest) -> Path:
    """Colab's kernel in an environment of its own, over this one's other packages. Kept between
    sessions in pytest's cache; AGNEWS_COLAB_KERNEL names another folder."""
    cache = getattr(request.config, "cache", None)  # `-p no:cacheprovider`: none
    kept = cache.mkdir("colab-kernel") if cache else None
    folder = Path(os.environ.get("AGNEWS_COLAB_KERNEL") or kept or HERE / ".colab-kernel")
    python = folder / "bin" / "python"
    ready = folder / "ready.json"
    if not ready.exists() or json.loads(ready.read_text()) != list(COLAB_PINS):
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *COLAB_PINS], check=True)
        own = next(folder.glob("lib/python3*/site-packages"))
        others = next(path for path in sys.path if path.endswith("site-packages"))
        (own / "others.pth").write_text(others + "\n")  # after its own in the order of imports
        ready.write_text(json.dumps(COLAB_PINS))
    return python


@pytest.fixture(scope="session")
def empty_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kernel with torch and pip and without agnews, as a machine is that nobody has used."""
    folder = tmp_path_factory.mktemp("empty")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "python"], check=True)
    image = folder / "image"
    image.mkdir()
    packages = next(Path(path) for path in sys.path if path.endswith("site-packages"))
    for path in packages.iterdir():
        if "agnews" not in path.name.lower() and path.suffix != ".pth":
            (image / path.name).symlink_to(path)
    own = next(folder.glob("python/lib/python3*/site-packages"))
    (own / "image.pth").write_text(f"{image}\n")
    return folder / "python" / "bin" / "python"


@dataclass
class Notebooks:
    """Starts kernels, and knows what they see."""

    folder: Path
    env: dict[str, str]
    _started: list[Kernel] = field(default_factory=list)

    def start(self, python: Path, *lines: str, **env: str) -> Kernel:
        """A kernel of `python` that has executed `lines`."""
        kernel = Kernel(self.spec(python), self.folder, self.env | env)
        self._started.append(kernel)
        for line in lines:
            done = kernel.run(line)
            assert done.reply["status"] == "ok", done.text
        return kernel

    def spec(self, python: Path) -> str:
        """The name of a kernel specification for `python`."""
        name = f"agnews-{abs(hash(str(python))):x}"
        folder = Path(os.environ["JUPYTER_PATH"]) / "kernels" / name
        folder.mkdir(parents=True, exist_ok=True)
        argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        order = {"argv": argv, "display_name": name, "language": "python"}
        (folder / "kernel.json").write_text(json.dumps(order))
        return name

    def close(self) -> None:
        for kernel in self._started:
            kernel.close()


@pytest.fixture
def notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebooks]:
    commands = tmp_path / "bin"
    commands.mkdir()
    script = commands / "agnews"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m agnews_cli "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    work = tmp_path / "work"
    work.mkdir()
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)
    env = os.environ | {
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(HERE)]),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # else old ipykernels warn at the start
        "AGNEWS_INSTALL": "no",
        "AGNEWS_STORE": str(work / "agnews-runs"),
    }
    made = Notebooks(work, env)
    yield made
    made.close()
