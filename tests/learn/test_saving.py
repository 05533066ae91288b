"""When a save is due, and what is kept of a session for its last one."""

from __future__ import annotations

import math

import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")


@pytest.fixture
def saver(tmp_path):
    from agnews_cli.learn.state.saving import Saver
    from agnews_cli.store.run.checkpoints import Checkpoints

    return Saver(
        Checkpoints(tmp_path / "checkpoints" / "m"), run="r", candidate="m", token=1,
        writer="aaaa", fingerprint={}, lifetime_s=1e6, every_s=1e6, log=lambda kind, **data: None,
    )  # fmt: skip


def test_a_request_makes_a_save_due_once(saver, tmp_path):
    from agnews_cli.learn.state.snapshot import Snapshot
    from agnews_cli.store.run.checkpoints import Checkpoints
    from agnews_cli.store.run.runs import SAVE_NOW

    assert not saver.is_due(left_s=math.inf)
    (tmp_path / SAVE_NOW).write_text("")
    assert saver.is_due(left_s=math.inf)
    saver.save(Snapshot({"weights": {"w": torch.ones(2)}}, {}), "interval", step=3, wait=True)
    saved = Checkpoints(tmp_path / "checkpoints" / "m").all()
    assert [each.manifest.why for each in saved] == ["asked"]
    assert not (tmp_path / SAVE_NOW).exists()
    assert not saver.is_due(left_s=math.inf)


def test_a_sessions_last_save_is_not_kept_waiting_by_another(saver, tmp_path):
    from agnews_cli.store.run.runs import SAVE_NOW

    saver.expect(500_000_000)  # guessed to take 5 s on a slow disk
    assert saver.reserve_s == 6.0
    (tmp_path / SAVE_NOW).write_text("")
    assert saver.is_due(left_s=5.5)
    assert not saver.is_due(left_s=4.5)


def test_a_measured_save_replaces_the_guess(saver):
    from agnews_cli.learn.state.snapshot import Snapshot

    saver.expect(500_000_000)
    saver.save(Snapshot({"weights": {"w": torch.ones(2)}}, {}), "interval", step=3, wait=True)
    assert 1.0 < saver.reserve_s < 3.0


def test_half_of_a_session_goes_by_before_a_save_is_measured(saver, monkeypatch):
    from agnews_cli.learn.state import saving
    from agnews_cli.learn.state.snapshot import Snapshot

    began_s = saving.time.monotonic()

    def is_due(*, passed_s: float, left_s: float) -> bool:
        monkeypatch.setattr(saving.time, "monotonic", lambda: began_s + passed_s)
        return saver.is_due(left_s=left_s)

    assert not is_due(passed_s=40, left_s=60)
    assert is_due(passed_s=51, left_s=49)
    assert not is_due(passed_s=51, left_s=math.inf)
    saver.save(Snapshot({"weights": {"w": torch.ones(2)}}, {}), "interval", step=3, wait=True)
    assert not is_due(passed_s=90, left_s=10)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_one_number_that_is_none_is_seen(dtype, wrong):
    from agnews_cli.learn.state.snapshot import are_finite

    weights = torch.linspace(-6e4, 6e4, 10_001).to(getattr(torch, dtype))  # their sum overflows
    others = {
        "positions": torch.arange(9),
        "seen": torch.tensor([True]),
        "none": torch.zeros(0, 3),
        "scalar": torch.tensor(1.0),
    }
    assert are_finite(others | {"weights": weights.reshape(73, 137)})
    for at in (0, 5_000, -1):
        spoilt = weights.clone()
        spoilt[at] = wrong
        assert not are_finite(others | {"weights": spoilt})


def test_what_sending_takes_makes_saves_rarer(tmp_path):
    from agnews_cli.core.saving.interval import save_interval
    from agnews_cli.learn.state.saving import Saver
    from agnews_cli.learn.state.snapshot import Snapshot
    from agnews_cli.store.run.checkpoints import Checkpoints

    told = []
    saver = Saver(
        Checkpoints(tmp_path / "checkpoints" / "m"), run="r", candidate="m", token=1,
        writer="aaaa", fingerprint={}, lifetime_s=4 * 3600.0, every_s=None,
        log=lambda kind, **data: told.append(data), sending_s=lambda: 8.0,
    )  # fmt: skip
    snapshot = Snapshot({"weights": {"w": torch.ones(2)}}, {}, pause_s=2.0)
    saver.save(snapshot, "interval", step=3, wait=True)
    assert saver.interval_s >= save_interval(10.0, 4 * 3600.0)
    assert saver.interval_s == pytest.approx(save_interval(10.0, 4 * 3600.0), rel=0.05)
    assert told[-1]["cost_s"] == pytest.approx(10.0, rel=0.05)
