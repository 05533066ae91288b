"""Fields of a recipe that cannot go together are one error, whoever says them and in what order."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from agnews_cli.core.run.contradictions import contradictions
from agnews_cli.errors import PresetInvalid, SettingInvalid
from agnews_cli.store.settings import presets

TOGETHER = {
    "two attacks": (["training.fgm=1", "training.pgd=1"], "pgd not beside fgm"),
    "other attacks": (["training.pgd=1", "training.freelb=1"], "freelb not beside pgd"),
    "two averages": (["training.ema=0.9", "training.swa=0.2"], "swa not beside ema"),
    "mixed rows have no class": (
        ["training.mixup=0.2", "training.contrastive=0.5"], "contrastive not beside mixup",
    ),
    "steps of no attack": (["training.attack_steps=5"], "with pgd above 0 or freelb above 0 alone"),
    "power of no polynomial": (["training.schedule_power=3"], "with schedule=polynomial alone"),
    "gamma of no focal loss": (["training.focal_gamma=1"], "is read with loss=focal alone"),
}  # fmt: skip
SENSE = {
    "attacked in steps": ["training.attack_steps=5", "training.pgd=1"],
    "a power": ["training.schedule_power=3", "training.schedule=polynomial"],
    "gamma": ["training.focal_gamma=1", "training.loss=focal"],
    "SAM of attacked rows": ["training.sam=0.1", "training.freelb=1", "training.r_drop=1"],
}


@pytest.mark.parametrize("name", TOGETHER)
def test_settings_that_contradict_each_other_are_refused_in_any_order(name):
    settings, why = TOGETHER[name]
    for order in permutations(settings):
        with pytest.raises(SettingInvalid, match=why):
            presets.with_settings(presets.load("minilm"), order)


@pytest.mark.parametrize("name", SENSE)
def test_settings_that_need_each_other_are_taken_in_any_order(name):
    for order in permutations(SENSE[name]):
        found = presets.with_settings(presets.load("minilm"), order)
        assert not list(contradictions(found.training))


def test_a_file_that_contradicts_itself_is_refused_with_its_line(tmp_path: Path):
    path = tmp_path / "own.yaml"
    text = presets.text("minilm").replace("name: minilm", "name: own")
    path.write_text(text.replace("training:\n", "training:\n  ema: 0.9\n  swa: 0.2\n"))
    line = path.read_text().splitlines().index("  swa: 0.2") + 1
    with pytest.raises(PresetInvalid, match=f"own.yaml:{line}: training.swa: not beside ema"):
        presets.load(str(path))


def test_every_preset_of_ours_agrees_with_itself():
    assert presets.load_all()
