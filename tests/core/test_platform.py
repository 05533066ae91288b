"""`identify` over constructed surroundings; each trap known from the field has a row."""

from __future__ import annotations

import ast
import inspect
from dataclasses import dataclass, field, replace

import pytest

from agnews_cli.core import platform as module
from agnews_cli.core.platform import (
    ENV_NAMES,
    MARKER_PATHS,
    NAMES,
    PLATFORMS,
    Accelerator,
    Evidence,
    Facts,
    describe,
    identify,
    together,
    tpu_of,
)

CPU = Accelerator("cpu", "Some CPU", has_fast_bf16=False)
T4 = Accelerator("cuda", "Tesla T4", 1, 16 * 10**9, (7, 5), False, "580.1")
COLAB_VM = {
    "COLAB_RELEASE_TAG": "release-colab_20250902",
    "COLAB_BACKEND_VERSION": "next",
    "TBE_RUNTIME_ADDR": "172.28.0.1:8011",
    "COLAB_GPU": "",
    "COLAB_TPU_1VM": "",
    "CUDA_VERSION": "12.5.1",
    "NVIDIA_VISIBLE_DEVICES": "all",
    "MODEL_PROXY_HOST": "https://mp.kaggle.net",
}
COLAB_PATHS = ("/var/colab/hostname", "/opt/colab", "/content")
KAGGLE_PATHS = ("/kaggle/working", "/kaggle/input", "/opt/kaggle", "/kaggle/src")


def facts(
    env: dict[str, str] | None = None,
    paths: tuple[str, ...] = (),
    stdin: bool = True,
    stdout: bool = True,
    window: tuple[int, int] | None = (80, 24),
    accelerator: Accelerator = CPU,
) -> Facts:
    return Facts(
        env=env or {},
        paths=frozenset(paths),
        stdin_isatty=stdin,
        stdout_isatty=stdout,
        window=window if stdout else None,
        accelerator=accelerator,
        cpu_count=4,
        memory_bytes=13 * 10**9,
        disk_free_bytes=50 * 10**9,
        python="3.12.13",
        os="linux",
    )


@dataclass(frozen=True)
class Case:
    id: str
    name: str
    mode: str
    confidence: str
    env: dict[str, str] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    stdin: bool = True
    stdout: bool = True
    window: tuple[int, int] | None = (80, 24)


RUN_TYPE = "KAGGLE_KERNEL_RUN_TYPE"
CASES = [
    Case("bare laptop", "local", "terminal", "assumed"),
    Case("laptop, output piped", "local", "pipe", "assumed", stdout=False),
    Case("laptop, input piped", "local", "pipe", "assumed", stdin=False),
    Case("laptop notebook", "local", "notebook-child", "assumed", {"JPY_PARENT_PID": "17"}),
    Case("empty JPY_PARENT_PID", "local", "terminal", "assumed", {"JPY_PARENT_PID": ""}),
    Case("notebook, redirected", "local", "notebook-child", "assumed", {"JPY_PARENT_PID": "1"}, (), True, False),  # noqa: E501
    # Kaggle
    Case("kaggle batch", "kaggle", "batch", "high", {RUN_TYPE: "Batch"}, KAGGLE_PATHS, False, False),  # noqa: E501
    Case("kaggle cell", "kaggle", "notebook-child", "high", {RUN_TYPE: "Interactive", "JPY_PARENT_PID": "8"}, KAGGLE_PATHS),  # noqa: E501
    Case("kaggle carries colab's variables", "kaggle", "notebook-child", "high", {**COLAB_VM, RUN_TYPE: "Interactive", "JPY_PARENT_PID": "8"}, (*KAGGLE_PATHS, *COLAB_PATHS)),  # noqa: E501
    Case("kaggle batch notebook has a kernel too", "kaggle", "batch", "high", {RUN_TYPE: "Batch", "JPY_PARENT_PID": "8"}),  # noqa: E501
    Case("kaggle batch shows terminals", "kaggle", "batch", "high", {RUN_TYPE: "Batch"}),
    Case("kaggle, a run type yet unseen", "kaggle", "terminal", "medium", {RUN_TYPE: "Nightly"}),
    Case("kaggle, environment scrubbed", "kaggle", "pipe", "medium", {"COLAB_RELEASE_TAG": "x"}, KAGGLE_PATHS, stdout=False),  # noqa: E501
    Case("kaggle run type empty", "local", "terminal", "assumed", {RUN_TYPE: ""}),
    Case("kaggle credentials on a laptop", "local", "terminal", "assumed", {"KAGGLE_USERNAME": "me", "KAGGLE_KEY": "k", "KAGGLE_API_TOKEN": "t"}),  # noqa: E501
    Case("working in a folder named kaggle", "local", "terminal", "assumed", {"PWD": "/kaggle/working"}, ("/kaggle/working",)),  # noqa: E501
    Case("kaggle's image on a laptop", "local", "terminal", "assumed", {"COLAB_RELEASE_TAG": "x"}, ("/opt/kaggle",)),  # noqa: E501
    # Colab
    Case("colab cell, 0 x 0", "colab", "notebook-child", "high", {**COLAB_VM, "JPY_PARENT_PID": "8"}, COLAB_PATHS, window=(0, 0)),  # noqa: E501
    Case("colab cell without a parent pid", "colab", "notebook-child", "high", COLAB_VM, COLAB_PATHS, window=(0, 0)),  # noqa: E501
    Case("colab terminal", "colab", "terminal", "high", COLAB_VM, COLAB_PATHS),
    Case("colab with a kaggle token", "colab", "terminal", "high", {**COLAB_VM, "KAGGLE_USERNAME": "me", "KAGGLE_KEY": "k"}, COLAB_PATHS),  # noqa: E501
    Case("colab with kaggle's folders made by hand", "colab", "terminal", "high", COLAB_VM, (*COLAB_PATHS, "/kaggle/input", "/kaggle/working")),  # noqa: E501
    Case("colab's runtime image at home", "colab", "terminal", "medium", {"COLAB_RELEASE_TAG": "r"}),  # noqa: E501
    Case("colab, environment scrubbed", "colab", "terminal", "medium", {}, COLAB_PATHS),
    Case("colab release tag empty", "local", "terminal", "assumed", {"COLAB_RELEASE_TAG": ""}),
    Case("COLAB_GPU set by hand", "local", "terminal", "assumed", {"COLAB_GPU": "1", "TPU_NAME": "x"}),  # noqa: E501
    Case("/content on a laptop", "local", "terminal", "assumed", {}, ("/content",)),
    Case("colab enterprise", "colab-enterprise", "notebook-child", "high", {**COLAB_VM, "VERTEX_PRODUCT": "COLAB_ENTERPRISE", "JPY_PARENT_PID": "8"}),  # noqa: E501
    Case("vertex workbench", "local", "terminal", "assumed", {"VERTEX_PRODUCT": "WORKBENCH_INSTANCE"}),  # noqa: E501
    # Others
    Case("zerogpu is a space too", "hf-zerogpu", "batch", "high", {"SPACES_ZERO_GPU": "true", "SPACE_ID": "a/b", "SPACE_HOST": "a-b.hf.space"}, (), False, False),  # noqa: E501
    Case("zerogpu false", "hf-space", "batch", "high", {"SPACES_ZERO_GPU": "false", "SPACE_ID": "a/b", "SPACE_HOST": "h"}, (), False, False),  # noqa: E501
    Case("space in dev mode", "hf-space", "terminal", "medium", {"SPACE_ID": "a/b"}),
    Case("hf job", "hf-job", "batch", "low", {"JOB_ID": "1", "ACCELERATOR": "t4"}, (), False, False),  # noqa: E501
    Case("some other JOB_ID", "local", "terminal", "assumed", {"JOB_ID": "1"}),
    Case("hub token only", "local", "terminal", "assumed", {"HF_TOKEN": "hf_x", "HF_HOME": "/x"}),
    Case("lightning studio", "lightning", "terminal", "high", {"LIGHTNING_CLOUD_SPACE_ID": "s", "LIGHTNING_INTERACTIVE": "true"}),  # noqa: E501
    Case("lightning job", "lightning", "batch", "high", {"LIGHTNING_CLOUD_SPACE_ID": "s"}, (), False, False),  # noqa: E501
    Case("lightning credentials", "local", "terminal", "assumed", {"LIGHTNING_USER_ID": "u", "LIGHTNING_API_KEY": "k", "LIGHTNING_CLOUD_SPACE_ID": ""}),  # noqa: E501
    Case("modal", "modal", "batch", "high", {"MODAL_IS_REMOTE": "1"}, (), False, False),
    Case("modal client on a laptop", "local", "terminal", "assumed", {"MODAL_IS_REMOTE": "0", "MODAL_TOKEN_ID": "t"}),  # noqa: E501
    Case("studio lab before sagemaker", "studio-lab", "terminal", "medium", {"SAGEMAKER_INTERNAL_IMAGE_URI": "u", "SAGEMAKER_APP_TYPE": "JupyterLab"}, ("/home/studio-lab-user",)),  # noqa: E501
    Case("sagemaker studio", "sagemaker", "terminal", "high", {"SAGEMAKER_APP_TYPE": "JupyterLab"}),
    Case("sagemaker, newer name", "sagemaker", "terminal", "low", {"SM_APP_TYPE": "x"}),
    Case("sagemaker instance", "sagemaker", "terminal", "medium", {}, ("/opt/ml/metadata/resource-metadata.json",)),  # noqa: E501
    Case("paperspace", "paperspace", "notebook-child", "medium", {"PAPERSPACE_NOTEBOOK_ID": "n", "JPY_PARENT_PID": "2"}),  # noqa: E501
    Case("paperspace by repository", "paperspace", "terminal", "medium", {"PAPERSPACE_NOTEBOOK_REPO_ID": "n"}),  # noqa: E501
    Case("codespaces", "codespaces", "terminal", "high", {"CODESPACES": "true"}),
    Case("codespaces false", "local", "terminal", "assumed", {"CODESPACES": "false"}),
    Case("gitpod", "gitpod", "terminal", "high", {"GITPOD_WORKSPACE_ID": "w"}),
    Case("binder", "binder", "notebook-child", "high", {"BINDER_LAUNCH_HOST": "h", "JPY_PARENT_PID": "2"}),  # noqa: E501
    Case("databricks", "databricks", "pipe", "high", {"DATABRICKS_RUNTIME_VERSION": "15"}, stdout=False),  # noqa: E501
    Case("azure ml", "azureml", "terminal", "medium", {"AZUREML_FRAMEWORK": "PyTorch"}),
    Case("slurm batch", "slurm", "batch", "medium", {"SLURM_JOB_ID": "9"}, (), False, False),
    Case("slurm, interactive", "slurm", "terminal", "medium", {"SLURM_JOB_ID": "9"}),
    Case("container", "local", "terminal", "assumed", {}, ("/.dockerenv",)),
    Case("0 x 0 elsewhere is a terminal", "local", "terminal", "assumed", window=(0, 0)),
    # CI
    Case("ci", "local", "ci", "assumed", {"CI": "true"}, (), False, False),
    Case("ci with a notebook", "local", "ci", "assumed", {"CI": "1", "JPY_PARENT_PID": "2"}),
    Case("ci false", "local", "terminal", "assumed", {"CI": "false"}),
    Case("ci empty", "local", "terminal", "assumed", {"CI": ""}),
    # The user knows better
    Case("override", "colab", "batch", "high", {"AGNEWS_PLATFORM": "colab", RUN_TYPE: "Batch"}),
    Case("override in another spelling", "colab-enterprise", "terminal", "high", {"AGNEWS_PLATFORM": " Colab_Enterprise "}),  # noqa: E501
    Case("override to local", "local", "terminal", "high", {**COLAB_VM, "AGNEWS_PLATFORM": "local"}),  # noqa: E501
    Case("override empty", "modal", "terminal", "high", {"AGNEWS_PLATFORM": "", "MODAL_IS_REMOTE": "1"}),  # noqa: E501
    Case("override with a name of one's own", "our-cluster", "terminal", "low", {"AGNEWS_PLATFORM": "our cluster", "CODESPACES": "true"}),  # noqa: E501
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_identify(case: Case) -> None:
    found = identify(facts(case.env, case.paths, case.stdin, case.stdout, case.window))
    assert (found.name, found.run_mode, found.confidence) == (case.name, case.mode, case.confidence)
    assert {"platform", "run mode"} <= {evidence.subject for evidence in found.evidence}


def test_every_platform_has_a_case_and_ids_are_unique() -> None:
    assert len(CASES) >= 60
    assert {case.name for case in CASES} >= set(NAMES)
    assert len({case.id for case in CASES}) == len(CASES)


def test_only_named_variables_matter() -> None:
    """`gather` records ENV_NAMES and MARKER_PATHS alone: the answers must not need more."""
    assert len(ENV_NAMES) >= 25 and len(MARKER_PATHS) >= 8
    for case in CASES:
        full = facts(case.env, case.paths, case.stdin, case.stdout, case.window)
        kept = replace(
            full,
            env={name: value for name, value in full.env.items() if name in ENV_NAMES},
            paths=full.paths & MARKER_PATHS,
        )
        assert identify(kept) == identify(full), case.id


def test_credentials_are_not_read_and_values_are_not_shown() -> None:
    assert not {n for n in ENV_NAMES if n.endswith(("_KEY", "_TOKEN", "_SECRET", "_USERNAME"))}
    found = identify(facts({"JOB_ID": "private-1", "ACCELERATOR": "private-2"}))
    assert "private" not in repr(found)


def test_every_sign_holds_for_its_own_markers() -> None:
    """No sign is unreachable: surroundings made of its markers alone give its platform."""
    for rule in PLATFORMS:
        for sign in rule.signs:
            env = {
                m.subject: (m.values or ("1",))[0] if m.test != "set" else "something"
                for m in sign.markers
                if m.test in {"set", "equals", "truthy"}
            }
            paths = tuple(m.subject for m in sign.markers if m.test == "path")
            assert identify(facts(env, paths)).name == rule.name, sign


def test_hints_and_notes() -> None:
    colab = identify(facts(COLAB_VM, COLAB_PATHS, accelerator=T4))
    assert "drive.mount" in str(colab.storage_hint)
    assert any("Free tier (assumed" in note for note in colab.notes)
    mounted = identify(facts(COLAB_VM, (*COLAB_PATHS, "/content/drive/MyDrive")))
    assert "drive.mount" not in str(mounted.storage_hint)
    l4 = replace(T4, name="NVIDIA L4", capability=(8, 9))
    paid = identify(facts(COLAB_VM, COLAB_PATHS, accelerator=l4))
    assert any("Paid tier (assumed" in note for note in paid.notes)
    p100 = replace(T4, name="Tesla P100-PCIE-16GB", capability=(6, 0))
    assert any("6.0" in note for note in identify(facts(accelerator=p100)).notes)
    assert identify(facts()).storage_hint is None and identify(facts()).notes == ()
    piped = identify(facts({"JPY_PARENT_PID": "1"}, stdout=False))
    assert any("pipe" in note for note in piped.notes)


def test_slurm_is_a_note_beside_another_platform() -> None:
    env = {"DATABRICKS_RUNTIME_VERSION": "1", "SLURM_JOB_ID": "9", "SLURM_JOB_END_TIME": "1790000"}
    found = identify(facts(env))
    assert found.name == "databricks"
    assert any("Slurm" in note and "1790000" in note for note in found.notes)


def test_describe() -> None:
    kaggle = identify(facts({RUN_TYPE: "Batch"}, accelerator=replace(T4, count=2)))
    assert describe(kaggle) == "Kaggle batch, 2 × T4, because KAGGLE_KERNEL_RUN_TYPE=Batch"
    local = "local terminal, 4 CPU cores, because no marker of a hosted platform was found"
    assert describe(identify(facts())) == local
    one = replace(identify(facts()), cpu_count=1, evidence=())
    assert describe(one) == "local terminal, 1 CPU core"


def test_accelerator_evidence_is_passed_on() -> None:
    why = Evidence("accelerator", "no CUDA: no driver", "NVML")
    assert why in identify(replace(facts(), accelerator_evidence=(why,))).evidence


@pytest.mark.parametrize(
    ("env", "paths", "expected"),
    [
        ({}, (), None),
        ({"COLAB_TPU_1VM": "", "TPU_ACCELERATOR_TYPE": ""}, (), None),
        ({"TPU_NAME": "node", "COLAB_GPU": "1"}, (), None),
        ({"PJRT_DEVICE": "TPU"}, (), None),
        ({"PJRT_DEVICE": "TPU"}, ("/dev/accel0",), ("TPU", 1)),
        ({"COLAB_TPU_1VM": "1", "TPU_ACCELERATOR_TYPE": "v5e-1"}, (), ("TPU v5e", 1)),
        ({"TPU_ACCELERATOR_TYPE": "v5e-8"}, (), ("TPU v5e", 8)),
        ({"TPU_ACCELERATOR_TYPE": "v5litepod-8"}, (), ("TPU v5e", 8)),
        ({"TPU_ACCELERATOR_TYPE": "v3-8"}, (), ("TPU v3", 4)),
        ({"ISTPUVM": "1"}, (), ("TPU", 1)),
    ],
)
def test_tpu(env: dict[str, str], paths: tuple[str, ...], expected: tuple[str, int] | None) -> None:
    found = tpu_of(env, frozenset(paths))
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert (found[0].name, found[0].count) == expected
        assert found[0].has_fast_bf16 and found[1]


def test_together_is_what_the_weakest_can_do() -> None:
    a100 = Accelerator("cuda", "NVIDIA A100", 1, 40 * 10**9, (8, 0))
    assert together((a100, a100)) == replace(a100, count=2, has_fast_bf16=True)
    mixed = together((a100, T4))
    assert (mixed.count, mixed.memory_bytes, mixed.capability) == (2, 16 * 10**9, (7, 5))
    assert mixed.has_fast_bf16 is False
    assert together((replace(a100, capability=None),)).has_fast_bf16 is None


def test_the_core_only_thinks() -> None:
    """No disk, clock, or slow import: `agnews platform` pays for all of this at start."""
    imported = {
        alias.name if isinstance(node, ast.Import) else str(node.module)
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported == {"__future__", "collections.abc", "dataclasses", "typing"}
