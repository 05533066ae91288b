"""A package that a setting needs and that is not there is said before anything is loaded."""

from __future__ import annotations

import pytest

from agnews_cli.errors import PackageMissing
from agnews_cli.store.settings import presets
from agnews_cli.workflows.train import single


@pytest.mark.parametrize("setting", ["training.optimizer=adamw_8bit", "method.kind=qlora"])
def test_a_setting_without_its_package_is_an_error_with_the_command(monkeypatch, setting):
    monkeypatch.setattr(single.importlib.util, "find_spec", lambda name: None)
    plain = presets.load("minilm")
    single.require_packages(plain)
    with pytest.raises(PackageMissing, match=f"{setting} needs the package bitsandbytes") as found:
        single.require_packages(presets.with_settings(plain, [setting]))
    assert found.value.advice == "pip install bitsandbytes"
