"""Limits are data: every figure has its source and date, and the user's file is laid over ours."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from agnews_cli.core.graph.asked import Ensemble
from agnews_cli.core.hours.limits import Figure, PlatformLimits, Window
from agnews_cli.core.machine.platform import PLATFORMS
from agnews_cli.core.run.diversity import DiversityLimits
from agnews_cli.errors import LimitsInvalid
from agnews_cli.store.settings import limits, model_limits, preset_shapes, presets

ROOT = Path(__file__).parents[2]


def mine(home: Path, name: str, text: str) -> Path:
    path = home / "data" / "presets" / "platforms" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_every_shipped_file_is_whole_and_names_a_platform_that_is_detected() -> None:
    names = limits.names()
    assert len(names) >= 7
    known = {rule.name for rule in PLATFORMS}
    figures = 0
    for name in names:
        found = limits.load(name)
        assert found is not None and found.offered
        assert name in known
        for limit in found.offered.values():
            values = [getattr(limit, field) for field in type(limit).model_fields]
            sourced = [v for v in values if isinstance(v, Figure | Window)]
            assert all(v.source and v.as_of for v in sourced)
            figures += len(sourced)
    assert figures >= 25


def test_what_kaggle_and_colab_allow() -> None:
    kaggle, colab = limits.load("kaggle"), limits.load("colab")
    assert kaggle is not None and colab is not None
    assert kaggle.resources["gpu"].quota_hours.value == 30  # type: ignore[union-attr]
    assert kaggle.resources["tpu"].quota_hours.value == 20  # type: ignore[union-attr]
    assert kaggle.resources["tpu"].session_hours.value == 9  # type: ignore[union-attr]
    assert colab.resources["gpu"].quota_hours is None
    assert limits.load("nowhere") is None


def test_the_users_file_says_only_what_differs(own_home: Path) -> None:
    figure = "{value: 45, source: my account, as_of: 2026-11-20, confidence: high}"
    mine(own_home, "kaggle", f"resources:\n  gpu:\n    quota_hours: {figure}\n")
    mine(own_home, "colab", "tier: pro_plus\n")
    kaggle, colab = limits.load("kaggle"), limits.load("colab")
    assert kaggle is not None and colab is not None
    gpu = kaggle.limit("gpu")
    assert gpu is not None and gpu.quota_hours is not None and gpu.session_hours is not None
    assert (gpu.quota_hours.value, gpu.quota_hours.source) == (45, "my account")
    assert gpu.session_hours.value == 12
    assert colab.limit("gpu").session_hours.value == 24  # type: ignore[union-attr]


def test_a_platform_of_ones_own(own_home: Path) -> None:
    mine(own_home, "lab", "platform: lab\ntitle: Lab\nresources:\n  gpu: {accelerator: A100}\n")
    assert "lab" in limits.names()
    assert isinstance(limits.load("lab"), PlatformLimits)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tier: prro\n", "there is no tier 'prro'; it has free, pro, pro_plus"),
        ("resources:\n  gpu:\n    quota_hours: 5\n", "colab.yaml:3: resources.gpu.quota_hours"),
        ("resources:\n  gpu:\n    weekly: 5\n", "colab.yaml:3: resources.gpu.weekly"),
        ("resources: [1\n", "colab.yaml:"),
        ("- 1\n", "should be fields and values"),
        ("tier: pro\ntier: free\n", "given twice, first in line 1"),
        ("platform: kaggle\n", "should be the file's name, 'colab'"),
        (
            "resources:\n  gpu:\n    quota_hours: "
            "{value: 5, source: me, as_of: 2026-11-20, confidence: high}\n",
            "quota_hours needs a window",
        ),
        (
            "resources:\n  gpu:\n    session_hours: {value: 5, source: me, as_of: yesterday}\n",
            "as_of",
        ),
    ],
)
def test_bad_files_are_refused_with_the_line(own_home: Path, text: str, problem: str) -> None:
    path = mine(own_home, "colab", text)
    with pytest.raises(LimitsInvalid) as caught:
        limits.load("colab")
    assert problem in caught.value.message
    assert str(path) in caught.value.message


@pytest.mark.slow
def test_a_wheel_carries_them(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", str(tmp_path), "."]
    subprocess.run(build, cwd=ROOT, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "agnews_cli/presets/platforms/kaggle.yaml" in names


def test_limits_of_ensembles_are_data_too_and_no_preset(own_home: Path) -> None:
    usual = model_limits.load().diversity
    assert (usual.members, usual.q, usual.correlation) == (10, 0.7, 0.85)
    path = own_home / "data" / "presets" / "limits.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("diversity:\n  q: 0.9\n")
    assert model_limits.load().diversity == usual.model_copy(update={"q": 0.9})
    assert "limits" not in presets.names()
    path.write_text("diversity:\n  q: 0.9\n  corelation: 1\n  members: ten\n")
    with pytest.raises(LimitsInvalid) as wrong:
        model_limits.load()
    said = wrong.value.message
    assert f"{path}:3: diversity.corelation" in said and f"{path}:4: diversity.members" in said


def test_an_ensemble_has_limits_of_its_own() -> None:
    shape = preset_shapes.load("ensemble-cpu")
    changed = preset_shapes.with_settings(shape, ["limits.q=0.5"])
    assert isinstance(changed, Ensemble)
    over = changed.limits.over(DiversityLimits(members=10, q=0.7, correlation=0.85))
    assert over == DiversityLimits(members=10, q=0.5, correlation=0.85)
