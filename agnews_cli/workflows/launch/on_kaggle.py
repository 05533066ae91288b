"""`agnews launch kaggle`: what is asked for, as sessions of Kaggle's own batch kernels."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from agnews_cli.core.hours.resource import Resource
from agnews_cli.core.launching.record import LaunchedSession, LaunchRecord
from agnews_cli.core.launching.rules import Hours, free_s
from agnews_cli.errors import CannotLaunch
from agnews_cli.host import kaggle_client
from agnews_cli.host.detect import detect
from agnews_cli.host.launcher import REPORT, STORE, SessionOrder
from agnews_cli.host.launchers import kaggle
from agnews_cli.workflows.elsewhere import notebook
from agnews_cli.workflows.elsewhere.notebook import BatchSession, NotebookOrder
from agnews_cli.workflows.hours import quota
from agnews_cli.workflows.launch import wished
from agnews_cli.workflows.launch.plans import LaunchPlan, utc_now
from agnews_cli.workflows.launch.wished import LaunchWish
from agnews_cli.workflows.train.scene import Request

_PLATFORM = "kaggle"
_CAP_S = 12 * 3600.0


def prepare(
    request: Request,
    *,
    accelerator: str = kaggle.USUAL,
    typed: Sequence[str] = (),
    once: bool = False,
    ask: kaggle.AskKaggle = kaggle_client.ask,
    now: Callable[[], datetime] = utc_now,
) -> LaunchPlan:
    """`typed`: the words after `agnews launch kaggle`. Asks Kaggle who asks, and begins nothing.

    Raises LoginRefused, LauncherClientMissing, LaunchHeld, CannotLaunch, and what `auto` says of
    its words.
    """
    wish = wished.of(request, _PLATFORM)
    again = f"agnews launch kaggle {shlex.join(typed)}".rstrip()
    if detect().name == _PLATFORM:
        reason = "a session of Kaggle's that starts others would keep itself going"
        raise CannotLaunch(reason=reason, hint="Type it on a machine of yours.")
    if accelerator.lower().startswith("tpu"):
        reason = "nobody has trained on a TPU with agnews yet: begin that by hand"
        raise CannotLaunch(reason=reason, hint="Leave out --accelerator, or give none for a CPU.")
    owner = kaggle.account(ask, again)
    launcher = kaggle.Kaggle(owner, lambda order: _body(order, wish), ask)
    resource = launcher.resource(accelerator)
    limit = quota.limits_of(_PLATFORM).limit(resource)
    cap_s = limit.session_hours.value * 3600 if limit and limit.session_hours else _CAP_S
    most = limit.concurrent_batch if limit else None
    session = request.session
    return LaunchPlan(
        record=LaunchRecord(
            id=wish.id,
            platform=_PLATFORM,
            owner=owner,
            accelerator=accelerator,
            resource=resource,
            data=wish.data_name,
            words=wish.words,
            store=str(wish.store),
        ),
        launcher=launcher,
        hours=lambda under_way, at: hours_of(resource, cap_s, under_way, at),
        cap_s=cap_s,
        at_once=int(most.value) if most else 2,
        again=again,
        longest_s=session.session_s,
        ends_at=now() + timedelta(seconds=session.until_s) if session.until_s else None,
        once=once,
        ready=_DataSent(ask, owner, wish).why_not,
        now=now,
    )


def hours_of(
    resource: Resource, cap_s: float, under_way: Sequence[LaunchedSession], now: datetime
) -> Hours:
    """What Kaggle says is left, above what the user keeps back and what these may use."""
    platform = quota.limits_of(_PLATFORM)
    limit = platform.limit(resource)
    if limit is None or limit.quota_hours is None:
        return Hours(None, cap_s, is_counted=False)
    budget = quota.budget_of(platform, resource, now)
    return Hours(
        free_s=free_s(budget, under_way),
        cap_s=cap_s,
        returns_at=budget.returns_at,
        reserve_s=budget.reserve_s,
        why_unknown="; ".join(budget.notes) or "Kaggle does not say",
    )


def _body(order: SessionOrder, wish: LaunchWish) -> dict[str, Any]:
    """The kernel's notebook: what `agnews notebook kaggle` writes, as a session of a launch."""
    session = BatchSession(
        launch=order.launch,
        number=order.number,
        store=STORE,
        report=REPORT,
        goes_on=bool(order.sources),
        data=order.data if wish.data is not None and wish.data.is_dir() else "",
    )
    return notebook.notebook(
        NotebookOrder("kaggle", Path("kernel.ipynb"), None, order.words, session=session)
    )


@dataclass(slots=True)
class _DataSent:
    """Sends the data of this disk once, and knows when they are there."""

    ask: kaggle.AskKaggle
    owner: str
    wish: LaunchWish
    is_ready: bool = False

    def why_not(self, order: SessionOrder) -> str:
        """Empty where they are there. Raises CannotLaunch."""
        if self.is_ready or self.wish.data is None:
            return ""
        for path in wished.files_of(self.wish.data):
            shutil.copyfile(path, order.folder / path.name)
        dataset = f"{self.owner}/{self.wish.data_name}"
        status, why = kaggle.send_data(self.ask, dataset, order.folder)
        if status == "refused":
            hint = f"Look there: kaggle.com/datasets/{dataset}"
            raise CannotLaunch(reason=f"Kaggle did not take the data: {why}", hint=hint)
        self.is_ready = status == "ready"
        return "" if self.is_ready else f"for the data at kaggle.com/datasets/{dataset}: {why}"
