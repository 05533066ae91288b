"""Looks at this machine and records what `core.machine.platform` judges.

Asks only what answers at once and cannot fail the command: named variables, named paths, mounts,
NVML, /proc and cgroups. The network is asked on request alone, for that takes seconds. Whether the
accelerator really computes is for `host.probe`, in a child process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agnews_cli.core.machine.accelerator import Accelerator, together
from agnews_cli.core.machine.markers import (
    ENV_NAMES,
    MARKER_PATHS,
    MOUNT_POINTS,
    Evidence,
    Traces,
)
from agnews_cli.core.machine.platform import Facts, Network, Platform, identify, tpu_of
from agnews_cli.host import network


def detect(disk_path: str = ".", *, ask_network: bool = False) -> Platform:
    """This machine; `disk_path` is where its free disk space is measured.

    Raises PlatformUnknown for an override that names no platform.
    """
    return identify(gather(disk_path, ask_network=ask_network))


def gather(disk_path: str, *, ask_network: bool = False) -> Facts:
    """The surroundings of this process. Never raises for what a machine lacks."""
    surroundings = Traces(
        env={name: os.environ[name] for name in ENV_NAMES if name in os.environ},
        paths=frozenset(path for path in MARKER_PATHS if _exists(path)),
        mounts=_mounts(Path("/proc/mounts")),
    )
    accelerator, why_accelerator = _accelerator(surroundings)
    cpu_count, memory_bytes, why_sizes = _cpu_and_memory(Path("/"))
    disk_free_bytes, why_disk = _disk_free_bytes(disk_path)
    answer, why_network = _network() if ask_network else (None, ())
    stdout_isatty = _isatty(sys.stdout)
    return Facts(
        surroundings=surroundings,
        stdin_isatty=_isatty(sys.stdin),
        stdout_isatty=stdout_isatty,
        window=_window() if stdout_isatty else None,
        accelerator=accelerator,
        cpu_count=cpu_count,
        memory_bytes=memory_bytes,
        disk_free_bytes=disk_free_bytes,
        python=".".join(str(part) for part in sys.version_info[:3]),
        os=sys.platform,
        network=answer,
        measured=(*why_accelerator, *why_sizes, *why_disk, *why_network),
    )


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:  # not ours to read: on a shared machine that is no marker
        return False


def _mounts(table: Path) -> dict[str, str]:
    """The file system type of each of MOUNT_POINTS that is mounted."""
    rows = (line.split() for line in _read_text(table).splitlines())
    return {row[1]: row[2] for row in rows if len(row) > 2 and row[1] in MOUNT_POINTS}


def _isatty(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # closed, or None under pythonw
        return False


def _window() -> tuple[int, int] | None:
    try:
        size = os.get_terminal_size(1)
    except (OSError, ValueError):
        return None
    return size.columns, size.lines


# ---- Accelerator ---------------------------------------------------------------------------------


def _accelerator(surroundings: Traces) -> tuple[Accelerator, tuple[Evidence, ...]]:
    """What answered first: CUDA, TPU, Apple's GPU; otherwise the CPU with the reasons why not."""
    cuda, why = _cuda(os.environ.get("CUDA_VISIBLE_DEVICES"))
    if cuda is not None:
        return cuda, (why,)
    if tpu := tpu_of(surroundings):
        return tpu
    if sys.platform == "darwin" and os.uname().machine == "arm64":
        found = Evidence("accelerator", "macOS on arm64", "this machine")
        return Accelerator("mps", "Apple GPU"), (found,)
    cpu, evidence = _cpu(Path("/proc/cpuinfo"))
    return cpu, (why, *evidence)


def _cuda(visible: str | None) -> tuple[Accelerator | None, Evidence]:
    """The GPUs that NVML lists and CUDA_VISIBLE_DEVICES (`visible`) leaves."""
    if not _has_nvml():
        return None, Evidence("accelerator", "no CUDA: NVML's library is not here", "NVML")
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception as error:  # no package, no library, no driver, no permission
        return None, Evidence("accelerator", f"no CUDA: {error}", "NVML")
    try:
        driver = _text(pynvml.nvmlSystemGetDriverVersion())
        listed = tuple(_devices(pynvml, driver))
        chosen = _visible(listed, visible)
        if not chosen:
            reason = "NVML lists no usable GPU"
            if listed:
                reason = f"CUDA_VISIBLE_DEVICES={visible!r} hides {len(listed)} GPU(s)"
            return None, Evidence("accelerator", f"no CUDA: {reason}", "NVML")
        # A slice's siblings are no GPUs of ours that lie idle.
        is_sliced = any(uuid.startswith("MIG-") for uuid, _ in listed)
        hidden = 0 if is_sliced else len(listed) - len(chosen)
        gpus = together(tuple(gpu for _, gpu in chosen), hidden)
        kinds = sorted({gpu.name for _, gpu in chosen})
        finding = f"{gpus.count} of {len(listed)} GPU(s) visible: {', '.join(kinds)}"
        return gpus, Evidence("accelerator", finding, f"NVML, driver {driver}")
    except Exception as error:
        return None, Evidence("accelerator", f"no CUDA: {error}", "NVML")
    finally:
        _quietly(pynvml.nvmlShutdown)


def _has_nvml() -> bool:
    """Whether its library may be there. To import its package takes longer than most commands."""
    if sys.platform != "linux" or "pynvml" in sys.modules:
        return True
    from ctypes import CDLL

    try:
        CDLL("libnvidia-ml.so.1")  # as the package loads it
    except OSError:
        return False
    return True


def _devices(nvml: Any, driver: str) -> Iterator[tuple[str, Accelerator]]:
    """(UUID, device) in NVML's order; a GPU cut into MIG slices gives its slices instead."""
    for index in range(nvml.nvmlDeviceGetCount()):
        gpu = _quietly(nvml.nvmlDeviceGetHandleByIndex, index)
        if gpu is None:  # lost, or not ours
            continue
        # A slice does not answer for its capability; its GPU does.
        capability = _quietly(nvml.nvmlDeviceGetCudaComputeCapability, gpu)
        mode = _quietly(nvml.nvmlDeviceGetMigMode, gpu)
        handles = _slices(nvml, gpu) if mode is not None and mode[0] else [gpu]
        for handle in handles:
            memory = _quietly(nvml.nvmlDeviceGetMemoryInfo, handle)
            yield (
                _text(_quietly(nvml.nvmlDeviceGetUUID, handle) or ""),
                Accelerator(
                    kind="cuda",
                    name=_text(
                        _quietly(nvml.nvmlDeviceGetName, handle)
                        or _quietly(nvml.nvmlDeviceGetName, gpu)
                        or "GPU"
                    ),
                    memory_bytes=None if memory is None else int(memory.total),
                    capability=None if capability is None else (capability[0], capability[1]),
                    driver=driver,
                ),
            )


def _slices(nvml: Any, gpu: Any) -> list[Any]:
    count = _quietly(nvml.nvmlDeviceGetMaxMigDeviceCount, gpu) or 0
    handles = (_quietly(nvml.nvmlDeviceGetMigDeviceHandleByIndex, gpu, i) for i in range(count))
    return [handle for handle in handles if handle is not None]


def _visible(
    listed: tuple[tuple[str, Accelerator], ...], visible: str | None
) -> tuple[tuple[str, Accelerator], ...]:
    """CUDA's own reading of CUDA_VISIBLE_DEVICES: empty hides all; the list ends at the first
    entry that names nothing or repeats one; a process gets at most one MIG slice."""
    chosen: tuple[tuple[str, Accelerator], ...] = listed
    if visible is not None:
        chosen = ()
        for entry in visible.split(","):
            word = entry.strip()
            if word.isdecimal():
                found = listed[int(word) : int(word) + 1]
            else:
                found = tuple(d for d in listed if word and d[0].startswith(word))[:1]
            if not found or found[0] in chosen:
                break
            chosen += found
    slices = tuple(device for device in chosen if device[0].startswith("MIG-"))
    return slices[:1] or chosen


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)  # bytes before NVML 12


def _quietly(call: Any, *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except Exception:  # NVML refuses single questions on some devices, and that is no answer
        return None


def _cpu(cpuinfo: Path) -> tuple[Accelerator, tuple[Evidence, ...]]:
    name, flags = "CPU", None
    try:
        with cpuinfo.open(encoding="utf-8", errors="replace") as lines:  # long on many cores
            for line in lines:
                key, _, value = line.partition(":")
                if key.strip() == "model name":
                    name = value.strip() or name
                if key.strip() == "flags":
                    flags = frozenset(value.split())
                    break
    except OSError:  # not Linux
        pass
    if flags is None:
        return Accelerator("cpu", name), ()
    has_amx = "amx_bf16" in flags
    finding = "amx_bf16 is " + ("among" if has_amx else "not among") + " its flags"
    evidence = Evidence("accelerator", finding, str(cpuinfo))
    return Accelerator("cpu", name, has_fast_bf16=has_amx), (evidence,)


# ---- CPU, memory, disk ---------------------------------------------------------------------------


def _cpu_and_memory(root: Path) -> tuple[int, int | None, tuple[Evidence, ...]]:
    """Cores and bytes that this process may use: the machine's, cut by affinity and cgroups."""
    if hasattr(os, "sched_getaffinity"):
        cpu_count = len(os.sched_getaffinity(0))
    else:
        cpu_count = os.cpu_count() or 1
    try:
        memory_bytes: int | None = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        memory_bytes = None
    cpu_limits, memory_limits = _cgroup_limits(root)
    cores = min([cpu_count, *(max(1, int(limit + 0.5)) for limit in cpu_limits)])
    known = [*memory_limits, *([] if memory_bytes is None else [memory_bytes])]
    least = min(known, default=None)
    is_cut = least is not None and least != memory_bytes
    why_memory = "a cgroup's limit" if is_cut else "the machine's memory"
    return (
        cores,
        least,
        (
            Evidence(
                "cpu",
                f"{cpu_count} cores are ours"
                + (f", a cgroup leaves {cores}" if cores < cpu_count else ""),
                "affinity and cgroups",
            ),
            Evidence("memory", why_memory if known else "no limit is known", "sysconf and cgroups"),
        ),
    )


def _cgroup_limits(root: Path) -> tuple[list[float], list[int]]:
    """CPU and memory limits of our cgroup and all above it, versions 1 and 2."""
    mount = root / "sys/fs/cgroup"
    cpus: list[float] = []
    memories: list[int] = []
    for line in _read_text(root / "proc/self/cgroup").splitlines():
        _, controllers, group = (*line.split(":", 2), "", "")[:3]
        names = controllers.split(",")
        if not controllers:  # version 2
            for folder in _upwards(mount, group):
                quota = _read_text(folder / "cpu.max").split()
                cpus += _share(*quota) if len(quota) == 2 else []
                memories += _bytes(_read_text(folder / "memory.max"))
        if "memory" in names:
            for folder in _upwards(mount / "memory", group):
                memories += _bytes(_read_text(folder / "memory.limit_in_bytes"))
        if "cpu" in names:
            for folder in _upwards(mount / "cpu", group):
                cpus += _share(
                    _read_text(folder / "cpu.cfs_quota_us"),
                    _read_text(folder / "cpu.cfs_period_us"),
                )
    return cpus, memories


def _upwards(mount: Path, group: str) -> Iterator[Path]:
    """The group's folder and its parents up to the mount, which is our own inside a container."""
    parts = [part for part in group.strip().split("/") if part not in {"", ".", ".."}]
    for length in range(len(parts), -1, -1):
        yield mount.joinpath(*parts[:length])


def _share(quota: str, period: str) -> list[float]:
    quota, period = quota.strip(), period.strip()
    if quota.isdecimal() and period.isdecimal() and int(quota) > 0 and int(period) > 0:
        return [int(quota) / int(period)]
    return []  # "max" or -1: no limit


def _bytes(text: str) -> list[int]:
    text = text.strip()
    return [int(text)] if text.isdecimal() and int(text) > 0 else []


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _disk_free_bytes(disk_path: str) -> tuple[int | None, tuple[Evidence, ...]]:
    """Free space where `disk_path` is or will be: its nearest parent that exists."""
    import shutil

    path = Path(disk_path).absolute()
    for folder in (path, *path.parents):
        try:
            free_bytes = shutil.disk_usage(folder).free
        except FileNotFoundError:
            continue
        except OSError as error:
            return None, (Evidence("disk", f"{folder}: {error.strerror}", "statvfs", "low"),)
        # Quotas of mounted drives and of /kaggle/working are not in it.
        return free_bytes, (Evidence("disk", f"measured at {folder}", "statvfs", "medium"),)
    return None, ()


# ---- Network -------------------------------------------------------------------------------------


def _network() -> tuple[Network, tuple[Evidence, ...]]:
    if network.is_offline():
        return "off", (Evidence("network", "HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set", "you"),)
    has_answered = network.hub_answers()
    finding = f"{network.endpoint()} {'answers' if has_answered else 'does not answer'}"
    answer: Network = "answers" if has_answered else "silent"
    return answer, (Evidence("network", finding, "one request, 5 s"),)
