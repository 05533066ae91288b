"""Starts the worker through `accelerate launch`, in a process group of its own, and stops it.

accelerate passes neither signals nor exit codes on and silently reads the user's default config;
so it gets a config file of ours, signals go to the worker itself, and the Outcome file decides.
On several CPU processes accelerate would start one; torchrun starts them all, each in a process
session of its own. So what belongs to a launch is told by a mark on its command line, not by its
group.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from agnews_cli.core.machine.accelerator import Accelerator, Kind
from agnews_cli.host import children
from agnews_cli.store.disk import files, private
from agnews_cli.store.disk.processes import pid_namespace
from agnews_cli.store.disk.space import refusal

if TYPE_CHECKING:
    import psutil

_CONFIG = """\
compute_environment: LOCAL_MACHINE
distributed_type: {kind}
use_cpu: {cpu}
num_processes: {processes}
num_machines: 1
machine_rank: 0
mixed_precision: 'no'
"""
# How often a waiting OpenMP thread looks before it sleeps; libgomp's own 300,000 hold a core that
# another process needs. Measured in benchmarks/RESULTS.md, "Waiting threads".
_SPINS = 1000
_WORKER = "agnews_cli.learn.worker"
_CLOSING_S = 5.0
"""What was killed is gone within this, or waits for a disk that does not answer."""


class WorkerProcess:
    """A running worker, of one process or several. Its output goes to the run's log file.

    `mark`: stands on the command line of each of its processes, and of no others.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], log: IO[bytes], mark: str | None = None
    ) -> None:
        self._process, self._log, self._mark = process, log, mark

    def poll(self) -> int | None:
        """The launcher's exit code, None while it runs."""
        return self._process.poll()

    def ask_to_stop(self, pid: int | None) -> None:
        """SIGTERM to the worker; to the whole group when its pid is not known yet."""
        with suppress(ProcessLookupError):
            if pid is None:
                os.killpg(self._process.pid, signal.SIGTERM)
            else:
                os.kill(pid, signal.SIGTERM)

    def kill(self) -> None:
        """End everything at once, the launcher first: it starts no more then."""
        import psutil

        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for process in self._members():
            with suppress(psutil.Error):
                process.kill()

    def close(self) -> None:
        """Leave nothing behind: whatever of it still lives is killed, and its end awaited."""
        give_up_s = time.monotonic() + _CLOSING_S
        self.kill()
        self._process.wait()
        while self._members() and time.monotonic() < give_up_s:
            self.kill()
            time.sleep(0.01)
        self._log.close()

    def _members(self) -> list[psutil.Process]:
        return [] if self._mark is None else _with(self._mark)


def start(
    job: Path,
    log: Path,
    accelerator: Accelerator,
    *,
    processes: int,
    cpu_count: int,
    is_light: bool = False,
    card: int | None = None,
) -> WorkerProcess:
    """Launch the worker on `job`, with `processes` processes. Raises CannotWrite or NoDiskSpace.

    `is_light`: it needs no torch, and so no launcher. `card`: the only GPU that it sees, of those
    that this process sees.
    """
    on_cpu = accelerator.kind == "cpu"
    threads = max(1, cpu_count // processes) if on_cpu else max(1, cpu_count // (2 * processes))
    env = environment(threads, accelerator.kind)
    if card is not None:
        seen = env.get("CUDA_VISIBLE_DEVICES", "").split(",")
        env["CUDA_VISIBLE_DEVICES"] = seen[card] if len(seen) > card and seen[card] else str(card)
    mark = secrets.token_hex(8)
    worker = [_WORKER, os.path.realpath(job), mark]
    if is_light:
        launcher = []
    elif on_cpu and processes > 1:
        env["ACCELERATE_USE_CPU"] = "true"
        launcher = ["torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
        launcher += ["-m", children.START]
    else:
        config = job.with_name("accelerate.yaml")
        kind = "'NO'" if processes == 1 else "MULTI_GPU"
        files.write_text_atomically(
            config, _CONFIG.format(kind=kind, cpu=str(on_cpu).lower(), processes=processes)
        )
        launcher = ["accelerate.commands.launch", "--config_file", str(config)]
        launcher += [f"--num_cpu_threads_per_process={env['OMP_NUM_THREADS']}"]
        launcher += ["-m", children.START]
    try:
        sink = private.appending(log)
    except OSError as error:
        raise refusal(log, error, 0) from error
    process = children.start(
        children.module(*launcher, *worker),
        stdout=sink,
        stderr=subprocess.STDOUT,
        env=env,
        start_new_session=True,
    )
    return WorkerProcess(process, sink, mark)


def environment(threads: int, kind: Kind) -> dict[str, str]:
    """What a process is started with that computes there; what the user has set stays."""
    on_cpu = kind == "cpu"
    env = children.environment() | {
        "OMP_NUM_THREADS": str(_asked_threads() or threads),
        "PYTHONUNBUFFERED": "1",
    }
    env.setdefault("TOKENIZERS_PARALLELISM", "true")
    if on_cpu:
        # Gradients of an embedding table are new memory in every step: with huge pages it costs
        # 20 page faults instead of 10,000 (MiniLM: 7% of a step). Elsewhere torch ignores it.
        env.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    if kind == "mps":  # what Apple's GPU has no kernel for would end training (torch's MPS notes)
        env.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    if kind == "tpu":
        env.setdefault("PJRT_DEVICE", "TPU")
    if on_cpu and "OMP_WAIT_POLICY" not in env:
        env.setdefault("GOMP_SPINCOUNT", str(_SPINS))
    return env


def _asked_threads() -> int | None:
    """The first number of the user's own OMP_NUM_THREADS, which has one a level of nesting."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) else None


def left_behind(job: Path) -> list[psutil.Process]:
    """Launchers and workers on `job` that live: of this session, or of one that was killed.

    Those of other containers are not among them: they are not ours to judge, nor to end.
    """
    return _with(_WORKER, os.path.realpath(job))


def _with(*words: str) -> list[psutil.Process]:
    """Living processes of this PID namespace that have all of `words` on their command line."""
    import psutil

    here, wanted = pid_namespace(), set(words)
    found = psutil.process_iter(["cmdline", "status"])
    return [
        process
        for process in found
        if wanted <= set(process.info["cmdline"] or ())
        and process.info["status"] != psutil.STATUS_ZOMBIE
        and pid_namespace(process.pid) == here
    ]


def await_end(processes: Sequence[psutil.Process], timeout_s: float) -> None:
    """Until all have ended; those that have not after `timeout_s` are killed."""
    import psutil

    _, alive = psutil.wait_procs(processes, timeout=timeout_s)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=timeout_s)
