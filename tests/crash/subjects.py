"""Everything that the store writes, as acts that a fault can be put into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from agnews_cli.core.run.dataset import Dataset, File, Form
from agnews_cli.core.run.preset import Preset
from agnews_cli.store.disk import files
from agnews_cli.store.run import leases, runs
from agnews_cli.store.run.checkpoints import Checkpoints
from agnews_cli.store.settings import presets
from tests.crash.faults import assert_whole, contents, draft, saved_until

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@cache
def preset() -> Preset:
    """Read once, before any disk fails."""
    return presets.load("minilm")


def dataset() -> Dataset:
    return Dataset(
        name="ag",
        train=File(path="/a/train.csv", form=Form(format="csv"), rows=4, sha256="aa"),
        text_columns=("title", "body"),
        label_column="class",
        labels=("World", "Sports"),
        label_values=("1", "2"),
    )


@dataclass(frozen=True)
class Subject:
    """`prepare` and `act` on a folder; `check` that what was there is whole, old or new."""

    prepare: Callable[[Path], None]
    act: Callable[[Path], None]
    check: Callable[[Path], object]


def create_run(folder: Path) -> None:
    runs.create(
        folder / "store", "r-1", preset=preset(), dataset=dataset(), seed=1, now=NOW, order={"a": 1}
    )


def check_run(folder: Path) -> bool:
    """Not there, or whole; and creating it again works."""
    run = runs.RunFolder(folder / "store" / "r-1")
    is_there = run.created_at() is not None
    assert [r.id for r in runs.list_runs(folder / "store")] == (["r-1"] if is_there else [])
    create_run(folder)
    assert run.created_at() == NOW
    assert presets.load(str(run.preset)) == preset()
    return is_there


def save_and_prune(folder: Path) -> None:
    checkpoints = Checkpoints(folder)
    checkpoints.save(draft(3), contents(3))
    checkpoints.prune(keep=1)


def check_checkpoints(folder: Path) -> int:
    """The newest is whole, and saving and pruning go on."""
    checkpoints = Checkpoints(folder)
    step = assert_whole(checkpoints, 2)
    assert [wrong for _, wrong in checkpoints.verify()] == [None] * len(checkpoints.keys())
    checkpoints.save(draft(4, token=2), contents(4))
    checkpoints.prune(keep=1)
    assert assert_whole(checkpoints, 4) == 4
    assert [s.manifest.step for s in checkpoints.all()] == [4]
    return step


def own(folder: Path) -> leases.Lease:
    return leases.Lease(folder, leases.newest_token(folder), "abcd")


def check_lease(folder: Path) -> int:
    """Whole leases only, and the next session gets a higher number."""
    last = leases.newest_token(folder)
    for token in range(1, last + 1):
        assert leases._read(folder / "leases" / f"{token:06d}.json", NOW) is not None
    assert leases.claim(folder, NOW, takeover=True).token == last + 1
    return last


def check_text(folder: Path) -> str:
    text = (folder / "outcome.json").read_text()
    assert text in ("old" * 1000, "new" * 2000)
    return text


def nothing(folder: Path) -> None:
    folder.mkdir(parents=True)


def unread(folder: Path) -> None:
    nothing(folder)
    preset()


def claimed(folder: Path) -> None:
    nothing(folder)
    leases.claim(folder, NOW)


def old_text(folder: Path) -> None:
    nothing(folder)
    (folder / "outcome.json").write_text("old" * 1000)


SUBJECTS = {
    "save and prune": Subject(
        lambda folder: (saved_until(folder, 2), None)[1], save_and_prune, check_checkpoints
    ),
    "claim": Subject(nothing, lambda folder: (leases.claim(folder, NOW), None)[1], check_lease),
    "take over": Subject(
        claimed, lambda folder: (leases.claim(folder, NOW, takeover=True), None)[1], check_lease
    ),
    "beat": Subject(claimed, lambda f: own(f).beat(NOW + timedelta(seconds=15)), check_lease),
    "release": Subject(claimed, lambda f: own(f).release(NOW), check_lease),
    "create a run": Subject(unread, create_run, check_run),
    "replace a text": Subject(
        old_text,
        lambda folder: files.write_text_atomically(folder / "outcome.json", "new" * 2000),
        check_text,
    ),
}
