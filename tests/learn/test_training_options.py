"""What class weights, token masking and averaged weights do to training."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")

from agnews_cli.core.preset import Training  # noqa: E402
from agnews_cli.learn.augment import Masking  # noqa: E402
from agnews_cli.learn.average import Average  # noqa: E402
from agnews_cli.learn.objective import Objective  # noqa: E402


def test_balanced_weights_make_rare_classes_count_as_much_as_frequent_ones():
    classes = np.asarray([0] * 90 + [1] * 10)
    objective = Objective.of(Training(lr=1e-3, class_weights="balanced"), classes, 2)
    logits, labels = torch.zeros(100, 2), torch.from_numpy(classes)
    whole = objective.loss(logits, labels)
    rare = objective.loss(logits[labels == 1], labels[labels == 1])
    assert rare.item() == pytest.approx(whole.item() / 2)
    assert whole.item() == pytest.approx(Objective().loss(logits, labels).item())


def test_masking_hides_its_share_differs_by_epoch_and_row_and_not_by_batch():
    def batch(rows: int) -> dict[str, torch.Tensor]:
        ids = torch.full((rows, 102), 7)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    masking, rows = Masking(0.25, mask_id=1, seed=3), np.arange(40)
    first = masking.masked(batch(40), rows, 0)["input_ids"]
    assert (first == 1).float().mean().item() == pytest.approx(0.245, abs=0.02)
    assert (first[:, 0] == 7).all() and (first[:, -1] == 7).all()
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first, masking.masked(batch(40), rows, 1)["input_ids"])
    alone = masking.masked(batch(2), rows[10:12], 0)["input_ids"]
    assert torch.equal(alone, first[10:12])


def test_the_average_follows_the_weights_and_gives_them_back():
    net = torch.nn.Linear(2, 1)
    net.weight.data.fill_(0.0)
    average = Average(net, decay=0.5)
    net.weight.data.fill_(8.0)
    for step in (100, 101):
        average.update(step)
    with average.entered():
        assert net.weight.data.tolist() == [[6.0, 6.0]]  # 8 - 8 / 2 / 2
    assert net.weight.data.tolist() == [[8.0, 8.0]]
