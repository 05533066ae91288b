"""`agnews platform` as a user and a script meet it."""

from __future__ import annotations

import pytest


def test_json_keeps_the_answers_apart(agnews) -> None:  # type: ignore[no-untyped-def]
    done = agnews("platform", "--json", "--network", KAGGLE_KERNEL_RUN_TYPE="Batch")
    told = done.json
    assert done.code == 0, done.err
    assert told["schema"] == "agnews.platform/1"
    assert (told["platform"], told["variant"], told["run_mode"]) == ("kaggle", "batch", "batch")
    assert told["lasting_folder"] == "/kaggle/working"
    assert told["network"] == "off"  # the tests forbid the network
    assert told["accelerator"]["kind"] in {"cuda", "tpu", "mps", "cpu"}
    assert told["confidences"]["platform"] == told["confidence"] == "high"
    assert {"subject", "finding", "source", "confidence"} == set(told["evidence"][0])
    assert "probe" not in told


def test_nothing_is_asked_without_request(agnews) -> None:  # type: ignore[no-untyped-def]
    assert agnews("platform", "--json").json["network"] is None


def test_explained(agnews) -> None:  # type: ignore[no-untyped-def]
    out = agnews("platform", "--explain", COLAB_RELEASE_TAG="r", TBE_RUNTIME_ADDR="a").out
    for word in ("COLAB_RELEASE_TAG is set", "assumed", "drive.mount", "colabtools", "not asked"):
        assert word in out


def test_a_wrong_override(agnews) -> None:  # type: ignore[no-untyped-def]
    done = agnews("platform", "--json", AGNEWS_PLATFORM="kagle")
    assert done.code == done.json["error"]["exit_code"] == 78
    assert "'kaggle'" in done.json["error"]["message"]
    assert "unset AGNEWS_PLATFORM" in done.json["error"]["hint"]


@pytest.mark.train
@pytest.mark.slow
def test_a_tpu_without_torch_xla_is_found_before_quota_is_spent(agnews) -> None:  # type: ignore[no-untyped-def]
    """The real child; slow where others use the machine."""
    pytest.importorskip("torch")
    told = agnews("platform", "--probe", "--json", TPU_ACCELERATOR_TYPE="v5e-8").json
    assert told["accelerator"]["kind"] == "tpu" and told["usable"]["kind"] == "cpu"
    assert "no-torch-xla" in {f["check"] for f in told["findings"]}
