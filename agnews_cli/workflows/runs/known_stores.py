"""Every folder on this machine that runs were kept in, as the ledger remembers them."""

from __future__ import annotations

from pathlib import Path

from agnews_cli.store.disk.home import home


def known(store: Path) -> tuple[Path, ...]:
    """`store` first, then all others that are still there; no others where the ledger does not
    answer."""
    from agnews_cli.store.hours.copies import glance

    found = glance(home() / "ledger.db")
    folders = [] if found is None else [run.folder for run in found.runs.values() if run.folder]
    others = (Path(folder).parent for folder in folders)
    return tuple(dict.fromkeys((store.absolute(), *(one for one in others if one.is_dir()))))
