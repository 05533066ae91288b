"""ckpt-chaos on our loop and on the transformers Trainer: killed at every file event of a save.

    pip install ckpt-chaos
    python benchmarks/chaos.py ours FOLDER
    python benchmarks/chaos.py trainer FOLDER [EVERY]     # each EVERY-th event only

The package's own injector, job for the Trainer and rules for verdicts (ckpt_chaos.inject, .targets,
.invariants); its runner is replaced by forks of one process that has imported torch, which makes a
trial cost a second instead of half a minute. Modes: `before` (the file never appears) and `torn`
(half of it; the injector can do that to writers in C and to `open`; our store uses `os.open`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "TRANSFORMERS_VERBOSITY": "error"}

import torch
from ckpt_chaos import inject
from ckpt_chaos.invariants import ResumeOutcome, classify

Act = Callable[[Path], object]


def forked(act: Act, out: Path, log: Path, crash_at: int | None = None, mode: str = "") -> int:
    """Exit code of `act` on `out` in a fork; with `mode`, under the injector."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            torch.set_num_threads(1)
            handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            if mode:
                os.environ["CKPT_CHAOS_WATCH"] = str(out)
                os.environ["CKPT_CHAOS_LOG"] = str(log.with_suffix(".events"))
                os.environ["CKPT_CHAOS_CRASH_AT"] = str(crash_at or "")
                os.environ["CKPT_CHAOS_MODE"] = mode
            act(out)
            code = 0
        except SystemExit as error:
            code = int(error.code or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Ours:
    """Our loop (chaos_job.py), armed over the whole run: three saves, pruning, the result."""

    modes = ("before",)

    def train(self, out: Path) -> None:
        import chaos_job

        if os.environ.get("CKPT_CHAOS_WATCH"):
            crash_at = int(os.environ["CKPT_CHAOS_CRASH_AT"] or 0) or None
            inject.arm(
                str(out), crash_at=crash_at, mode=os.environ["CKPT_CHAOS_MODE"],
                log_path=os.environ["CKPT_CHAOS_LOG"] + ".rank0", torn_python=True,
            )  # fmt: skip
        chaos_job.main(out)

    resume = train
    reference = train

    def result(self, out: Path) -> bytes | None:
        path = out / "final.bin"
        return path.read_bytes() if path.exists() else None

    def newest_complete(self, out: Path) -> int:
        """The furthest step whose manifest's every blob hashes to its name."""
        steps = [0]
        for path in (out / "checkpoints").glob("m-*.json"):
            try:
                facts = json.loads(path.read_bytes())
                for blob in facts["blobs"].values():
                    data = (out / "checkpoints" / "blobs" / blob["sha256"]).read_bytes()
                    assert hashlib.sha256(data).hexdigest() == blob["sha256"]
                steps.append(facts["step"])
            except (OSError, ValueError, KeyError, AssertionError):
                continue
        return max(steps)

    def resumed(self, out: Path, said: str) -> tuple[str | None, int]:
        step = re.search(r"resumed from step (\d+)", said)
        return None, int(step[1]) if step else 0


class Trainer:
    """The package's own job on the Trainer, armed while checkpoint-10 is saved."""

    modes = ("before", "torn")

    def _phase(self, name: str, out: Path) -> None:
        from ckpt_chaos.targets import hf_trainer

        sys.argv = ["hf_trainer", name, "--out", str(out)]
        hf_trainer.main()

    def reference(self, out: Path) -> None:
        self._phase("reference", out)

    def train(self, out: Path) -> None:
        self._phase("train", out)

    def resume(self, out: Path) -> None:
        self._phase("resume", out)

    def result(self, out: Path) -> bytes | None:
        path = out / "final_rank0.pt"
        if not path.exists():
            return None
        parts = sorted(torch.load(path, weights_only=True).items())
        return b"".join(name.encode() + tensor.numpy().tobytes() for name, tensor in parts)

    def newest_complete(self, out: Path) -> int:
        from ckpt_chaos.runner import _newest_complete, _profile

        return _newest_complete(out, _profile(self.healthy / "checkpoint-10"))

    def resumed(self, out: Path, said: str) -> tuple[str | None, int]:
        facts = json.loads((out / "outcome_rank0.json").read_text())
        return facts["raised"], facts["resumed_from_step"] or 0


def main(what: str, folder: Path, every: int = 1) -> None:
    job = {"ours": Ours, "trainer": Trainer}[what]()
    if what == "ours":
        import chaos_job  # noqa: F401  # before the forks
    else:
        from ckpt_chaos.targets import hf_trainer  # noqa: F401
    straight, dry = folder / "straight" / "out", folder / "dry" / "out"
    for out, act in ((straight, job.reference), (dry, job.train)):
        out.mkdir(parents=True)
        mode = "before" if out is dry else ""
        code = forked(act, out, out.parent / "log.txt", None, mode)
        assert code == 0, (out.parent / "log.txt").read_text()
    job.healthy = dry
    events = (dry.parent / "log.events.rank0").read_text().splitlines()
    print(f"{what}: {len(events)} file events", flush=True)
    verdicts: Counter[str] = Counter()
    for mode in job.modes:
        for number, event in enumerate(events, 1):
            if number % every:
                continue
            if mode == "torn" and not event.endswith("\t1"):  # it tears only writers in C
                continue
            out = folder / f"{mode}-{number}" / "out"
            out.mkdir(parents=True)
            code = forked(job.train, out, out.parent / "crash.txt", number, mode)
            newest = job.newest_complete(out)
            code_again = forked(job.resume, out, out.parent / "resume.txt")
            said = (out.parent / "resume.txt").read_text()
            raised, step = job.resumed(out, said) if code_again in (0, 3) else ("crash", 0)
            same = job.result(out) is not None and job.result(out) == job.result(straight)
            verdict = classify(ResumeOutcome(raised, step, newest, 0.0 if same else 1.0))
            verdicts[verdict] += 1
            where = re.sub(r"[0-9a-f]{16,}", "…", event.replace(str(out), "").replace(str(dry), ""))
            print(f"{mode} {number} {verdict} exit {code}, from {step}: {where[:90]}", flush=True)
    print(json.dumps({"job": what, "tries": sum(verdicts.values()), **verdicts}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:4]))
