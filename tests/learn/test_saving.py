"""The saver looks at a file by which anybody can ask for a checkpoint."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")


def test_a_request_makes_a_save_due_once(tmp_path):
    from agnews_cli.learn.saving import Saver
    from agnews_cli.learn.snapshot import Snapshot
    from agnews_cli.store.checkpoints import Checkpoints
    from agnews_cli.store.runs import SAVE_NOW

    checkpoints = Checkpoints(tmp_path / "checkpoints" / "m")
    saver = Saver(
        checkpoints, run="r", candidate="m", token=1, writer="aaaa", fingerprint={},
        lifetime_s=1e6, every_s=1e6, log=lambda kind, **data: None,
    )  # fmt: skip
    assert not saver.is_due()
    (tmp_path / SAVE_NOW).write_text("")
    assert saver.is_due()
    saver.save(Snapshot({"weights": {"w": torch.ones(2)}}, {}), "interval", step=3, wait=True)
    assert [saved.manifest.why for saved in checkpoints.all()] == ["asked"]
    assert not (tmp_path / SAVE_NOW).exists()
    assert not saver.is_due()
