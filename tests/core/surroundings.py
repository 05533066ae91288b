"""Reads environments.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from agnews_cli.core.machine.accelerator import Accelerator
from agnews_cli.core.machine.markers import ENV_NAMES, Traces
from agnews_cli.core.machine.platform import Facts, tpu_of

CPU = Accelerator("cpu", "Some CPU", has_fast_bf16=False)
GPUS = {
    "Tesla T4": Accelerator("cuda", "Tesla T4", 1, 16 * 10**9, (7, 5), False, "580.1"),
    "NVIDIA L4": Accelerator("cuda", "NVIDIA L4", 1, 24 * 10**9, (8, 9), True, "580.1"),
    "NVIDIA GeForce RTX 4090": Accelerator("cuda", "NVIDIA GeForce RTX 4090", 1, None, (8, 9)),
    "Apple GPU": Accelerator("mps", "Apple GPU"),
}


@dataclass(frozen=True)
class Environment:
    """One entry of the file."""

    name: str
    origin: str
    env: dict[str, str]
    paths: tuple[str, ...]
    mounts: dict[str, str]
    tty: tuple[bool, bool]
    window: tuple[int, int]
    shell: str
    gpu: str | None
    memory_gb: float
    expected: dict[str, Any]

    def facts(self) -> Facts:
        """As `host.detect` would record it: only the variables that it reads."""
        seen = Traces(
            {name: value for name, value in self.env.items() if name in ENV_NAMES},
            frozenset(self.paths),
            self.mounts,
        )
        tpu = tpu_of(seen)
        return Facts(
            surroundings=seen,
            stdin_isatty=self.tty[0],
            stdout_isatty=self.tty[1],
            window=self.window if self.tty[1] else None,
            accelerator=GPUS[self.gpu] if self.gpu else tpu[0] if tpu else CPU,
            cpu_count=4,
            memory_bytes=round(self.memory_gb * 10**9),
            disk_free_bytes=50 * 10**9,
            python="3.12.13",
            os="linux",
        )


def environments() -> tuple[Environment, ...]:
    text = Path(__file__).with_name("environments.yaml").read_text("utf-8")
    return tuple(
        Environment(
            name=row["name"],
            origin=row["from"],
            env=row.get("env", {}),
            paths=tuple(row.get("paths", ())),
            mounts=row.get("mounts", {}),
            tty=tuple(row.get("tty", (True, True))),
            window=tuple(row.get("window", (80, 24))),
            shell=row.get("shell", "none"),
            gpu=row.get("gpu"),
            memory_gb=row.get("memory_gb", 13),
            expected=row["is"],
        )
        for row in yaml.safe_load(text)["environments"]
    )
