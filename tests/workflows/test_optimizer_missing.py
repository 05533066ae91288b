"""An optimizer of a package that is not there is said before anything is loaded."""

from __future__ import annotations

import pytest

from agnews_cli.errors import OptimizerMissing
from agnews_cli.store.settings import presets
from agnews_cli.workflows.train import single


def test_an_optimizer_without_its_package_is_an_error_with_the_command(monkeypatch):
    monkeypatch.setattr(single.importlib.util, "find_spec", lambda name: None)
    plain = presets.load("minilm")
    single.require_optimizer(plain)
    of_8_bits = presets.with_settings(plain, ["training.optimizer=adamw_8bit"])
    with pytest.raises(
        OptimizerMissing, match="adamw_8bit needs the package bitsandbytes"
    ) as found:
        single.require_optimizer(of_8_bits)
    assert found.value.advice == "pip install bitsandbytes"
