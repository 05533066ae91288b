"""Weights & Biases: one run of the project `agnews`; offline where nobody is logged in."""

from __future__ import annotations

import netrc
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agnews_cli.core.run.tracking import PROJECT, Point, ToTrack

EXAMPLE: Mapping[str, str] = {"WANDB_MODE": "offline"}
_STEP = "step"


def begin(order: ToTrack, sent: Mapping[str, int]) -> _Run:
    """Offline nobody can be asked, so `sent` counts; online what the server has counts too."""
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    mode: Any = os.environ.get("WANDB_MODE") or ("online" if _is_known() else "offline")
    run = wandb.init(
        project=os.environ.get("WANDB_PROJECT") or PROJECT,
        id=order.name,
        name=order.name,
        dir=order.place,
        mode=mode,
        resume="allow",
        config=dict(order.settings),
        settings=wandb.Settings(
            console="off",
            silent=True,
            disable_git=True,
            save_code=False,
            x_disable_stats=True,
            x_save_requirements=False,
        ),
    )
    return _Run(run, dict(sent), is_offline=mode == "offline")


def _is_known() -> bool:
    """Whether a login is here: a key, or one that `wandb login` left."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai").hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


class _Run:
    def __init__(self, run: Any, sent: dict[str, int], *, is_offline: bool) -> None:
        self._run, self.sent, self._is_offline = run, sent, is_offline
        self._defined: set[str] = set()
        if run.resumed:  # by what the server has: the last step of each fine-tuning
            for axis, step in dict(run.summary).items():
                if axis.endswith(f"/{_STEP}") and isinstance(step, int):
                    self.sent[axis] = max(step, self.sent.get(axis, -1))

    @property
    def where(self) -> str:
        if self._is_offline:
            return f"wandb sync {shlex.quote(str(Path(self._run.dir).parent))}"
        return str(self._run.url)

    def add(self, points: Sequence[Point]) -> None:
        for point in points:
            axis = f"{point.tuning}/{_STEP}"
            if point.tuning not in self._defined:
                self._defined.add(point.tuning)
                self._run.define_metric(axis)
                self._run.define_metric(f"{point.tuning}/*", step_metric=axis)
            self._run.log({axis: point.step, **point.figures})
            self.sent |= dict.fromkeys((axis, *point.figures), point.step)

    def close(self, figures: Mapping[str, float], *, is_completed: bool) -> None:
        self._run.summary.update(dict(figures))
        self._run.finish(exit_code=0)
