"""Whether what is saved outlives the session of this machine, and which store sees to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agnews_cli.core.machine.platform import Platform
from agnews_cli.store.remotes.remote import Remote

_ADD = {
    "colab": "--store drive (mount it first), or --store hf://NAME/runs, keeps it",
    "kaggle": "--store /kaggle/working/agnews-runs keeps it as the notebook's output",
}


@dataclass(frozen=True, slots=True)
class Lasting:
    """`text`: where what is saved stays. `is_lost`: nowhere that is known."""

    text: str
    is_lost: bool


def lasting(platform: Platform, store: Path, remotes: Sequence[Remote]) -> Lasting | None:
    """None where the disk stays with its user, or where nothing is known of it."""
    folder = platform.lasting_folder
    if folder == "/" or (folder is None and platform.storage_hint is None):
        return None
    sent_to = [remote.address for remote in remotes if not remote.promises.is_read_only]
    if folder is not None and store.is_relative_to(folder):
        hint = platform.storage_hint
        return Lasting(f"{store} is kept" + (f": {hint}" if hint else " after the session"), False)
    if sent_to:
        names = " and ".join(sent_to)
        return Lasting(f"this disk ends with the session; {names} keeps what is saved", False)
    more = _ADD.get(platform.name, "")
    if not more:
        place = f"{folder}/agnews-runs" if folder else "hf://NAME/runs"
        more = f"--store {place} keeps it"
    return Lasting(f"this disk, and all that is saved on it, ends with the session: {more}", True)
