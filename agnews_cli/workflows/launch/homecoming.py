"""A session's output comes home like any other store's: verified, into the folder of runs."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from agnews_cli.core.run.state import RunState
from agnews_cli.store.remotes.remote import Remote
from agnews_cli.store.transfer import pulls
from agnews_cli.workflows.runs import stores


@dataclass(frozen=True, slots=True)
class Homecoming:
    """What an output has, and what of it could not be brought."""

    has: tuple[str, ...] = ()
    """`RUN@done` and `RUN@<checkpoint>` (`core/launching/record`)."""
    done: tuple[str, ...] = ()
    """The runs that are finished, here."""
    problems: tuple[str, ...] = ()


def bring(output: Remote, store: Path) -> Homecoming:
    """Again, it brings nothing and says the same. Raises CannotWrite or NoDiskSpace."""
    with tempfile.TemporaryDirectory(prefix="agnews-launch-") as work:
        seen, problems = stores.found_in((output,), Path(work))
    has, done, trouble = [], [], list(problems)
    for one in seen:
        if one.newest is None and one.state != RunState.COMPLETED:
            continue
        folder = pulls.unpack_record(one, store)
        came = stores.bring((output,), folder)
        trouble += [f"{what}: {why}" for what, why in came.skipped]
        if folder.done():
            has.append(f"{one.run}@done")
            done.append(one.run)
        elif one.newest is not None:
            has.append(f"{one.run}@{one.newest.id}")
    return Homecoming(tuple(has), tuple(done), tuple(trouble))
