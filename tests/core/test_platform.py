"""`identify` over recorded and constructed surroundings; each fact and each trap has one."""

from __future__ import annotations

import ast
import inspect
from dataclasses import replace

import pytest

from agnews_cli.core.machine import accelerator, markers, platform
from agnews_cli.core.machine.accelerator import Accelerator
from agnews_cli.core.machine.markers import (
    ENV_NAMES,
    LOCAL,
    MARKER_PATHS,
    NAMES,
    PLATFORMS,
    RUN_MODES,
    STORAGE,
    TPU_SIGNS,
    VARIANTS,
    Evidence,
    Sign,
    Traces,
    read,
)
from agnews_cli.core.machine.platform import Facts, answers, describe, identify
from agnews_cli.errors import PlatformUnknown
from tests.core.surroundings import GPUS, Environment, environments

ENVIRONMENTS = environments()
T4 = GPUS["Tesla T4"]
NAMED = {e.name: e for e in ENVIRONMENTS}

# Each of these was taken for a platform by some library or snippet, and is none.
NO_MARKERS = {
    "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN", "KAGGLE_CONFIG_DIR", "MODEL_PROXY_HOST",
    "COLAB_GPU", "COLAB_TPU_1VM", "TPU_NAME", "CUDA_VERSION", "NVIDIA_VISIBLE_DEVICES", "PWD",
    "VERTEX_PRODUCT", "LIGHTNING_USER_ID", "LIGHTNING_API_KEY", "MODAL_TOKEN_ID", "JOB_ID",
    "HF_TOKEN", "HF_JOBS_ARTIFACTS_MOUNT_PATH", "SATURN_TOKEN", "SATURN_BASE_URL", "GITPOD_HOST",
    "SLURM_CONF", "PJRT_DEVICE", "FORCE_COLOR",
    "/.dockerenv", "/content", "/kaggle/working", "/kaggle/input", "/opt/kaggle", "/notebooks",
    "/storage",
}  # fmt: skip


def facts(
    env: dict[str, str] | None = None,
    paths: tuple[str, ...] = (),
    stdout: bool = True,
    accelerator: Accelerator | None = None,
) -> Facts:
    bare = NAMED["a bare laptop"].facts()
    return replace(
        bare,
        surroundings=Traces(env or {}, frozenset(paths)),
        stdout_isatty=stdout,
        accelerator=accelerator or bare.accelerator,
    )


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda e: e.name)
def test_identify(environment: Environment) -> None:
    found = identify(environment.facts())
    device, scheduler = found.accelerator, found.scheduler
    told = {
        "platform": found.name,
        "run_mode": found.run_mode,
        "confidence": found.confidence,
        "variant": found.variant,
        "tier": found.tier,
        "lasting_folder": found.lasting_folder,
        "scheduler": scheduler and [scheduler.name, scheduler.ends_at_s],
        "tpu": [device.name, device.count] if device.kind == "tpu" else None,
    }
    expected = environment.expected
    assert {"platform", "run_mode", "confidence"} <= set(expected)
    assert {key: told[key] for key in expected} == expected
    assert {"platform", "run mode", "storage"} <= set(found.confidences)
    assert found.confidences["platform"] == found.confidence


def test_every_platform_and_every_trap_has_an_environment() -> None:
    assert len(ENVIRONMENTS) >= 100
    assert len(NAMED) == len(ENVIRONMENTS)
    assert {e.expected["platform"] for e in ENVIRONMENTS} == set(NAMES)
    assert {e.expected["run_mode"] for e in ENVIRONMENTS} == {
        "terminal", "notebook-child", "batch", "ci", "pipe"
    }  # fmt: skip
    assert all(e.origin.startswith(("fact: ", "trap: ")) for e in ENVIRONMENTS)
    assert sum(e.origin.startswith("trap: ") for e in ENVIRONMENTS) >= 40
    local = [e for e in ENVIRONMENTS if e.expected["platform"] == LOCAL.name]
    seen = {name for e in local for name in (*e.env, *e.paths)}
    assert seen >= NO_MARKERS


def test_every_sign_decides_some_environment() -> None:
    """Each row of each table is why some environment is what it is: none is dead or untested."""

    def first(signs: list[Sign], environment: Environment) -> Sign | None:
        seen = environment.facts().surroundings
        return next((sign for sign in signs if read(sign, "", seen) is not None), None)

    lists = [
        [sign for rule in PLATFORMS for sign in rule.signs],
        [row.sign for row in RUN_MODES],
        list(TPU_SIGNS),
    ]
    for platform_name in {row.platform for row in VARIANTS}:
        lists.append([row.sign for row in VARIANTS if row.platform == platform_name])
    assert sum(map(len, lists)) >= 50
    for signs in lists:
        deciding = [first(signs, environment) for environment in ENVIRONMENTS]
        assert [sign for sign in signs if sign not in deciding] == []


def test_only_named_variables_matter() -> None:
    """`gather` records MARKER_PATHS and ENV_NAMES alone: the answers must not need more."""
    assert len(ENV_NAMES) >= 40 and len(MARKER_PATHS) >= 15
    for environment in ENVIRONMENTS:
        kept = environment.facts()
        seen = kept.surroundings
        full = replace(kept, surroundings=replace(seen, env=environment.env))
        less = replace(kept, surroundings=replace(seen, paths=seen.paths & MARKER_PATHS))
        assert identify(full) == identify(kept) == identify(less), environment.name


def test_credentials_are_not_read_and_values_are_not_shown() -> None:
    assert not {n for n in ENV_NAMES if n.endswith(("_KEY", "_TOKEN", "_SECRET", "_USERNAME"))}
    found = identify(facts({"JOB_ID": "private-1", "ACCELERATOR": "private-2"}))
    assert "private" not in repr(found) + repr(answers(found))


def test_a_wrong_override_is_one_clear_error() -> None:
    with pytest.raises(PlatformUnknown) as raised:
        identify(facts({"AGNEWS_PLATFORM": "kagle", "CODESPACES": "true"}))
    assert "'kagle'" in raised.value.message and "'kaggle'" in raised.value.message
    assert "unset AGNEWS_PLATFORM" in raised.value.advice and "modal" in raised.value.advice
    assert raised.value.exit_code == 78
    with pytest.raises(PlatformUnknown) as raised:
        identify(facts({"AGNEWS_PLATFORM": "xyzzy 42"}))
    assert "did you mean" not in raised.value.message


def test_storage_says_what_to_do() -> None:
    hints = {
        name: identify(NAMED[name].facts()).storage_hint
        for name in (
            "Colab, CPU, `!` in a cell",
            "Colab, Drive mounted",
            "Colab, a folder where Drive was",
            "Kaggle, a batch run",
            "a bare laptop",
            "Azure ML",
        )
    }
    colab, mounted, stale, kaggle, laptop, azure = hints.values()
    assert "drive.mount" in str(colab) and "drive.mount" not in str(mounted)
    assert "plain folder" in str(stale) and "drive.mount" in str(stale)
    assert "/kaggle/working" in str(kaggle)
    assert laptop is None and azure is None
    assert identify(NAMED["Azure ML"].facts()).confidences["storage"] == "assumed"
    assert {row.platform for row in STORAGE} <= set(NAMES)


def test_a_tier_is_said_to_be_assumed() -> None:
    tiered = [f for f in map(identify, (e.facts() for e in ENVIRONMENTS)) if f.tier]
    assert len(tiered) >= 10
    for found in tiered:
        assert found.confidences["tier"] == "assumed"
        assert any("assumed" in note for note in found.notes)
    paid = identify(NAMED["Colab, L4"].facts())
    assert any("Paid tier (assumed: from the L4)" in note for note in paid.notes)


def test_notes() -> None:
    p100 = replace(T4, name="Tesla P100-PCIE-16GB", capability=(6, 0))
    assert any("6.0" in note for note in identify(facts(accelerator=p100)).notes)
    piped = identify(facts({"JPY_PARENT_PID": "1"}, stdout=False))
    assert any("pipe" in note for note in piped.notes)
    ends = {"SLURM_JOB_ID": "9", "SLURM_JOB_END_TIME": "1790000000"}
    assert any("1790000000" in note for note in identify(facts(ends)).notes)
    never = identify(facts(ends | {"SLURM_JOB_END_TIME": "Unknown"}))
    assert never.scheduler is not None and never.scheduler.ends_at_s is None
    assert identify(facts()).notes == ()


def test_describe() -> None:
    batch = {"KAGGLE_KERNEL_RUN_TYPE": "Batch"}
    kaggle = identify(facts(batch, accelerator=replace(T4, count=2)))
    assert describe(kaggle) == "Kaggle batch, 2 × T4, because KAGGLE_KERNEL_RUN_TYPE=Batch"
    local = "local terminal, 4 CPU cores, because no marker of a hosted platform was found"
    assert describe(identify(facts())) == local
    one = replace(identify(facts()), cpu_count=1, evidence=())
    assert describe(one) == "local terminal, 1 CPU core"


def test_answers_are_kept_apart_each_with_its_confidence() -> None:
    told = {about: (said, sure) for about, said, sure in answers(identify(facts(accelerator=T4)))}
    assert set(told) == {
        "platform", "run mode", "accelerator", "cpu", "memory", "disk", "storage", "network"
    }  # fmt: skip
    assert told["accelerator"][0] == "1 × T4, 16.0 GB each, capability 7.5"
    assert told["platform"] == ("local", "assumed")
    assert "not asked" in told["network"][0]
    silent = answers(identify(replace(facts(), network="silent")))
    assert ("network", "the hub does not answer", "") in silent


def test_what_was_measured_is_passed_on() -> None:
    why = Evidence("accelerator", "no CUDA: no driver", "NVML")
    assert why in identify(replace(facts(), measured=(why,))).evidence


@pytest.mark.parametrize(
    ("accelerator_type", "name", "count", "knows_memory"),
    [
        ("v5e-8", "TPU v5e", 8, True),
        ("v5litepod-8", "TPU v5e", 8, True),
        ("v6e-1", "TPU v6e", 1, False),
        ("v3-8", "TPU v3", 4, False),
        ("", "TPU", 1, False),
        ("strange", "TPU", 1, False),
    ],
)
def test_tpu(accelerator_type: str, name: str, count: int, knows_memory: bool) -> None:
    found = accelerator.tpu(accelerator_type)
    assert (found.name, found.count, found.has_fast_bf16) == (name, count, True)
    assert (found.memory_bytes is not None) == knows_memory


def test_together_is_what_the_weakest_can_do() -> None:
    a100 = Accelerator("cuda", "NVIDIA A100", 1, 40 * 10**9, (8, 0))
    assert accelerator.together((a100, a100)) == replace(a100, count=2, has_fast_bf16=True)
    mixed = accelerator.together((a100, T4), hidden=1)
    assert (mixed.count, mixed.memory_bytes, mixed.capability) == (2, 16 * 10**9, (7, 5))
    assert mixed.has_fast_bf16 is False and mixed.hidden == 1
    assert accelerator.together((replace(a100, capability=None),)).has_fast_bf16 is None


@pytest.mark.parametrize("module", [accelerator, markers, platform], ids=lambda m: m.__name__)
def test_detection_imports_nothing_slow(module: object) -> None:
    """`agnews platform` pays for all of this at start; what an error alone needs waits for it."""
    tree = ast.parse(inspect.getsource(module))  # type: ignore[arg-type]
    imported = {
        alias.name if isinstance(node, ast.Import) else str(node.module)
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    ours = {name for name in imported if name.startswith("agnews_cli.")}
    assert imported - ours <= {"__future__", "collections.abc", "dataclasses", "typing"}
    core = ("machine.accelerator", "machine.markers", "machine.notebook_cells", "text.spelling")
    assert ours <= {*(f"agnews_cli.core.{name}" for name in core), "agnews_cli.errors"}
