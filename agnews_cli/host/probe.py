"""Proves the accelerator: a child process runs one real operation in each precision on each device.

A child, since a device may hang or kill whoever touches it, and since this world has no torch. It
gets a minute; what it had reported by then counts. A probe that came to its end is remembered for
a day, for the same torch, driver and devices.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from agnews_cli.core.machine.accelerator import Accelerator
from agnews_cli.core.machine.finding import Finding
from agnews_cli.core.machine.platform import Platform
from agnews_cli.core.machine.probe import ProbeReport, judge, settle
from agnews_cli.host import children
from agnews_cli.store.disk import files
from agnews_cli.store.disk.home import cache

TIMEOUT_S = 60.0
_CLOSING_S = 5.0
_REMEMBERED = timedelta(days=1)
_MOST_BYTES = 1_000_000
_CHILD = "agnews_cli.learn.probe_device"
# They make torch_xla wait for hosts that are not there (transformers#28204, lightning#19313).
_MISLEADING = ("TPU_PROCESS_ADDRESSES", "CLOUD_TPU_TASK_ID")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the probe says: the accelerator that computes, and what is worth knowing or mending."""

    accelerator: Accelerator
    report: ProbeReport
    findings: tuple[Finding, ...]
    probed_at: datetime


def usable(
    platform: Platform,
    *,
    processes: int | None = None,
    remember: bool = True,
    timeout_s: float = TIMEOUT_S,
) -> tuple[Accelerator, tuple[str, ...]]:
    """The accelerator that really computes here, and what to tell the user about it.

    Where a GPU or TPU does not compute, that is the CPU, and a note says why and what mends it. A
    CPU is believed without a probe: there is nothing to lose. Without `remember` nothing is
    written.
    """
    if platform.accelerator.kind == "cpu":
        return platform.accelerator, ()
    found = verdict(platform, processes=processes, remember=remember, timeout_s=timeout_s)
    notes = tuple(
        f"{finding.text}. {finding.mend}" for finding in found.findings if finding.level != "good"
    )
    return found.accelerator, notes


def verdict(
    platform: Platform,
    *,
    processes: int | None = None,
    timeout_s: float = TIMEOUT_S,
    remember: bool = True,
    now: datetime | None = None,
) -> Verdict:
    """Probe this machine, or recall the probe of the last day, and judge it."""
    now = now or datetime.now(UTC)
    believed = platform.accelerator
    path = cache() / "probe" / f"{_key(believed)}.json"
    recalled = _recalled(path, now) if remember else None
    report = recalled.report if recalled else run(believed, timeout_s)
    probed_at = recalled.probed_at if recalled else now
    if recalled is None and remember and report.state == "done" and report.torch is not None:
        _keep(path, _Kept(probed_at=now, report=report))
    return Verdict(
        accelerator=settle(report, believed),
        report=report,
        findings=judge(report, believed, platform=platform.name, processes=processes),
        probed_at=probed_at,
    )


# ---- The child -----------------------------------------------------------------------------------


def run(
    believed: Accelerator, timeout_s: float = TIMEOUT_S, command: tuple[str, ...] = ()
) -> ProbeReport:
    """The child's last report, with how it ended. `command` stands for it in tests."""
    if not command and _torch_version() is None:
        return ProbeReport(state="done", stage="looking for torch")
    env = children.environment()
    if believed.kind == "tpu":
        for name in _MISLEADING:
            env.pop(name, None)
    child = children.start(
        command or children.module(_CHILD, f"{timeout_s + 5:g}", str(os.getpid())),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        start_new_session=True,  # what it started must go with it
        text=True,
        errors="replace",
    )
    try:
        out, err = child.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        return _last(_ended(child)).model_copy(update={"state": "timed out"})
    except BaseException:
        _ended(child)
        raise
    report = _last(out)
    if report.state == "done":
        return report
    return report.model_copy(update={"state": "died", "error": _how(child.returncode, err)})


def _ended(child: subprocess.Popen[str]) -> str:
    """End the child and all that it started; what it had written."""
    import signal

    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    try:
        return child.communicate(timeout=_CLOSING_S)[0]
    except subprocess.TimeoutExpired as late:  # what left the group still holds the pipe
        said = late.output or b""
        return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)


def _last(out: str) -> ProbeReport:
    """The last line that is a Report: the very last may be cut off."""
    for line in reversed(out.splitlines()):
        with suppress(ValidationError):
            return ProbeReport.model_validate_json(line, strict=True)
    return ProbeReport()


def _how(code: int, err: str) -> str:
    import signal

    lines = [line.strip() for line in err.splitlines() if line.strip()]
    last = f": {lines[-1]}" if lines else ""
    if code < 0:
        with suppress(ValueError):
            return f"the process was ended by {signal.Signals(-code).name}{last}"
    return f"the process ended with exit code {code}{last}"


# ---- Remembering ---------------------------------------------------------------------------------


class _Kept(BaseModel):
    """What a probe's file holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    probed_at: AwareDatetime
    report: ProbeReport


def _key(believed: Accelerator) -> str:
    """Names torch, driver and devices: another of these is another probe."""
    facts = (
        _torch_version(),
        _version("torch_xla"),
        believed,
        os.environ.get("CUDA_VISIBLE_DEVICES"),
        sys.executable,
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _recalled(path: Path, now: datetime) -> _Kept | None:
    try:
        kept = _Kept.model_validate_json(files.read_plain(path, _MOST_BYTES))
    except (OSError, ValueError):  # not there, or no file of ours
        return None
    age = now - kept.probed_at
    return kept if timedelta() <= age < _REMEMBERED else None


def _keep(path: Path, kept: _Kept) -> None:
    from agnews_cli.errors import AgnewsError
    from agnews_cli.store.disk import private
    from agnews_cli.store.disk.files import write_text_atomically

    with suppress(OSError, AgnewsError):  # a cache that cannot be written costs a probe each time
        private.make_folder(path.parent)
        write_text_atomically(path, kept.model_dump_json(indent=2))


def _torch_version() -> str | None:
    return _version("torch")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
