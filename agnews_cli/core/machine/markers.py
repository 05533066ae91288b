"""The tables that tell machines apart, as data, and how one marker is read.

A marker is a test of a value or a path, never of mere presence: Colab's CPU machines have
COLAB_GPU and COLAB_TPU_1VM, empty. What identifies nothing, for each was believed and failed:
credentials (KAGGLE_KEY, LIGHTNING_API_KEY, SATURN_TOKEN), the current folder, /.dockerenv,
CUDA_VERSION and NVIDIA_VISIBLE_DEVICES (on Colab's CPU machines too), TPU_NAME (of the retired TPU
nodes), values that contain "kaggle" (Colab's MODEL_PROXY_HOST does).

Each sign carries its source and how far it is believed. docs/platforms.md shows the tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from agnews_cli.core.machine.notebook_cells import MOUNT_DRIVE, on_one_line

RunMode = Literal["terminal", "notebook-child", "batch", "ci", "pipe"]
Confidence = Literal["high", "medium", "low", "assumed"]

OVERRIDE = "AGNEWS_PLATFORM"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One reason: what it is about, what was found, where its meaning is known from, how sure."""

    subject: str
    finding: str
    source: str
    confidence: Confidence = "high"


@dataclass(frozen=True, slots=True)
class Marker:
    """One test of the facts. `set` needs a value that is not empty; so do all but `unlike`."""

    test: Literal["set", "equals", "truthy", "unlike", "path", "no path", "mount"]
    subject: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sign:
    """Markers that together prove something; the first one's finding is the reason shown."""

    markers: tuple[Marker, ...]
    confidence: Confidence
    source: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A platform and its signs; the first sign whose markers all hold decides."""

    name: str
    title: str
    signs: tuple[Sign, ...]
    is_batch_when_headless: bool = False


@dataclass(frozen=True, slots=True)
class ModeRule:
    mode: RunMode
    sign: Sign


@dataclass(frozen=True, slots=True)
class VariantRule:
    """What a platform lends under one name in several forms: a Studio or a job."""

    platform: str
    variant: str
    sign: Sign


@dataclass(frozen=True, slots=True)
class StorageRule:
    """The first of a platform's rules whose sign holds says where files outlive the session."""

    platform: str
    lasting_folder: str | None
    """`/` where all do, None where nothing does."""
    hint: str | None
    sign: Sign


def _set(name: str) -> Marker:
    return Marker("set", name)


def _equals(name: str, *values: str) -> Marker:
    return Marker("equals", name, values)


def _truthy(name: str) -> Marker:
    return Marker("truthy", name)


def _unlike(name: str, *values: str) -> Marker:
    return Marker("unlike", name, values)


def _path(path: str) -> Marker:
    return Marker("path", path)


def _no_path(path: str) -> Marker:
    return Marker("no path", path)


def _mount(path: str, *file_systems: str) -> Marker:
    return Marker("mount", path, file_systems)


def _sign(confidence: Confidence, source: str, *markers: Marker) -> Sign:
    return Sign(markers, confidence, source)


# ---- Platforms -----------------------------------------------------------------------------------

_KAGGLE_SDK = "kagglesdk 0.1.38, kagglehub 1.0.3"
_KAGGLE_IMAGE = "Kaggle/docker-python 78aaa43, 2026-08"
_COLAB_DUMP = "environment of a Colab VM, 2025-09; colabtools drive.py"
_HF_DOCS = "Hugging Face docs, 2026-07"
_MLFLOW = "mlflow-skinny 3.17.2"
_LIGHTNING = "lightning_sdk 2026.10.13"
_CODE_SEARCH = "code search, 2026-11"

# The order is the rule: Kaggle before Colab, since its image carries Colab's variables; ZeroGPU
# before Space, since it is one; Studio Lab before SageMaker; the scheduler last, since it is a
# platform only where nothing else is known.
PLATFORMS: tuple[Rule, ...] = (
    Rule(
        "kaggle",
        "Kaggle",
        (
            _sign("high", _KAGGLE_SDK, _equals("KAGGLE_KERNEL_RUN_TYPE", "Batch", "Interactive")),
            _sign("medium", _KAGGLE_SDK, _set("KAGGLE_KERNEL_RUN_TYPE")),
            _sign("medium", _KAGGLE_SDK, _set("KAGGLE_URL_BASE"), _set("KAGGLE_DATA_PROXY_URL")),
            _sign(
                "medium",
                "environments of Kaggle kernels",
                _set("KAGGLE_CONTAINER_NAME"),
                _path("/kaggle/working"),
            ),
            # /kaggle/working alone is what people create on Colab to run a Kaggle notebook there.
            _sign("medium", _KAGGLE_IMAGE, _path("/kaggle/working"), _path("/kaggle/src")),
            _sign("medium", _KAGGLE_IMAGE, _path("/kaggle/working"), _path("/opt/kaggle")),
        ),
    ),
    Rule(
        "colab-enterprise",
        "Colab Enterprise",
        (_sign("high", "colabtools, 2026-04", _equals("VERTEX_PRODUCT", "COLAB_ENTERPRISE")),),
    ),
    Rule(
        "colab",
        "Colab",
        (
            _sign("high", _COLAB_DUMP, _set("COLAB_RELEASE_TAG"), _path("/var/colab/hostname")),
            _sign("high", _COLAB_DUMP, _set("COLAB_RELEASE_TAG"), _set("TBE_RUNTIME_ADDR")),
            # Kaggle's image run elsewhere has the tag too.
            _sign("medium", _COLAB_DUMP, _set("COLAB_RELEASE_TAG"), _no_path("/opt/kaggle")),
            _sign("medium", _COLAB_DUMP, _path("/var/colab/hostname"), _no_path("/opt/kaggle")),
        ),
    ),
    Rule(
        "hf-zerogpu",
        "Hugging Face ZeroGPU",
        (_sign("high", "spaces 0.51.3", _truthy("SPACES_ZERO_GPU")),),
        is_batch_when_headless=True,
    ),
    Rule(
        "hf-space",
        "Hugging Face Space",
        (
            _sign("high", _HF_DOCS, _set("SPACE_ID"), _set("SPACE_HOST")),
            _sign("medium", _HF_DOCS, _set("SPACE_ID")),
        ),
        is_batch_when_headless=True,
    ),
    Rule(
        "hf-job",
        "Hugging Face job",
        (_sign("low", "memory", _set("JOB_ID"), _set("ACCELERATOR")),),
        is_batch_when_headless=True,
    ),
    Rule(
        "lightning",
        "Lightning",
        # LIGHTNING_USER_ID and LIGHTNING_API_KEY are credentials and prove nothing.
        (_sign("high", _LIGHTNING, _set("LIGHTNING_CLOUD_SPACE_ID")),),
        is_batch_when_headless=True,
    ),
    Rule(
        "modal",
        "Modal",
        (_sign("high", "modal 1.6.4", _equals("MODAL_IS_REMOTE", "1")),),
        is_batch_when_headless=True,
    ),
    Rule(
        "studio-lab",
        "SageMaker Studio Lab",
        (_sign("medium", "user report", _path("/home/studio-lab-user")),),
    ),
    Rule(
        "sagemaker",
        "SageMaker",
        (
            _sign("high", _MLFLOW, _set("SAGEMAKER_APP_TYPE")),
            _sign("low", _MLFLOW, _set("SM_APP_TYPE")),
            _sign("medium", _MLFLOW, _path("/opt/ml/metadata/resource-metadata.json")),
        ),
    ),
    Rule(
        "paperspace",
        "Paperspace",
        (
            _sign("medium", _CODE_SEARCH, _set("PAPERSPACE_NOTEBOOK_ID")),
            _sign("medium", _CODE_SEARCH, _set("PAPERSPACE_NOTEBOOK_REPO_ID")),
        ),
    ),
    Rule(
        "codespaces",
        "Codespaces",
        (_sign("high", "GitHub docs, 2026-11", _equals("CODESPACES", "true")),),
    ),
    Rule(
        "gitpod",
        "Gitpod",
        (
            _sign("high", "Gitpod docs, 2026-11", _set("GITPOD_WORKSPACE_ID")),
            _sign("medium", "Gitpod docs, 2026-11", _set("GITPOD_INSTANCE_ID")),
            _sign("medium", _CODE_SEARCH, _set("GITPOD_ENVIRONMENT_ID")),
        ),
    ),
    Rule(
        "binder",
        "Binder",
        (
            _sign("high", "binderhub source, 2026-11", _set("BINDER_LAUNCH_HOST")),
            _sign("medium", "binderhub source, 2026-11", _set("BINDER_REPO_URL")),
        ),
    ),
    Rule(
        "saturn",
        "Saturn Cloud",
        # SATURN_TOKEN and SATURN_BASE_URL are what its client needs outside of it.
        (
            _sign("high", "dask-saturn settings.py", _truthy("SATURN_IS_INTERNAL")),
            _sign("low", _CODE_SEARCH, _set("SATURN_RESOURCE_ID")),
        ),
    ),
    Rule(
        "databricks",
        "Databricks",
        (
            _sign("high", _MLFLOW, _set("DATABRICKS_RUNTIME_VERSION")),
            _sign("medium", _MLFLOW, _path("/databricks/DBR_VERSION")),
        ),
    ),
    Rule(
        "azureml",
        "Azure ML",
        (_sign("medium", _MLFLOW, _set("AZUREML_FRAMEWORK")),),
    ),
    Rule(
        "slurm",
        "Slurm",
        (_sign("medium", "memory", _set("SLURM_JOB_ID")),),
        is_batch_when_headless=True,
    ),
)

LOCAL = Rule("local", "local", ())
NAMES: tuple[str, ...] = (*(rule.name for rule in PLATFORMS), LOCAL.name)
ALIASES: Mapping[str, str] = {"ona": "gitpod", "zerogpu": "hf-zerogpu"}
"""Other names that the override takes."""

SCHEDULER = _sign("medium", "memory", _set("SLURM_JOB_ID"))
SCHEDULER_END = "SLURM_JOB_END_TIME"
"""Seconds since 1970 (memory)."""

VARIANTS: tuple[VariantRule, ...] = (
    VariantRule(
        "kaggle",
        "script",
        _sign(
            "medium",
            "user report, 2026-09",
            _equals("KAGGLE_KERNEL_RUN_TYPE", "Batch"),
            _path("/kaggle/src/script.py"),
        ),
    ),
    VariantRule(
        "kaggle", "batch", _sign("high", _KAGGLE_SDK, _equals("KAGGLE_KERNEL_RUN_TYPE", "Batch"))
    ),
    VariantRule(
        "kaggle",
        "interactive",
        _sign("high", _KAGGLE_SDK, _equals("KAGGLE_KERNEL_RUN_TYPE", "Interactive")),
    ),
    VariantRule(
        "colab", "managed", _sign("high", "kagglehub 1.0.3, clients.py", _set("TBE_RUNTIME_ADDR"))
    ),
    VariantRule(
        "lightning",
        "studio",
        _sign("high", _LIGHTNING, _equals("LIGHTNING_INTERACTIVE", "true")),
    ),
    VariantRule(
        "lightning", "job", _sign("high", _LIGHTNING, _unlike("LIGHTNING_INTERACTIVE", "true"))
    ),
    VariantRule("gitpod", "ona", _sign("medium", _CODE_SEARCH, _set("GITPOD_ENVIRONMENT_ID"))),
)

# ---- Run modes -----------------------------------------------------------------------------------

# What no sign settles, the terminal does. A batch run of a Kaggle notebook has JPY_PARENT_PID
# too, and so has a notebook executed by CI: nobody watches either, so both come first.
RUN_MODES: tuple[ModeRule, ...] = (
    ModeRule("batch", _sign("high", _KAGGLE_SDK, _equals("KAGGLE_KERNEL_RUN_TYPE", "Batch"))),
    # Woodpecker's value is its name, so this asks what the value is not.
    ModeRule(
        "ci",
        _sign(
            "high",
            "the convention of CI services",
            _set("CI"),
            _unlike("CI", "0", "false", "False", "FALSE", "no", "off"),
        ),
    ),
    ModeRule("ci", _sign("high", "GitHub docs, 2026-11", _truthy("GITHUB_ACTIONS"))),
    ModeRule("ci", _sign("medium", "memory: Azure Pipelines", _truthy("TF_BUILD"))),
    ModeRule("ci", _sign("medium", "memory: Jenkins", _set("JENKINS_URL"), _set("BUILD_ID"))),
    ModeRule(
        "notebook-child",
        _sign("high", "measured, ipykernel 6.17.1 and 7.4.0", _set("JPY_PARENT_PID")),
    ),
    ModeRule(
        "batch",
        _sign(
            "high",
            _LIGHTNING,
            _set("LIGHTNING_CLOUD_SPACE_ID"),
            _unlike("LIGHTNING_INTERACTIVE", "true"),
        ),
    ),
)

# ---- TPUs ----------------------------------------------------------------------------------------

# TPU_NAME belongs to the retired TPU nodes, and COLAB_TPU_1VM is there, empty, without a TPU.
TPU_TYPE = "TPU_ACCELERATOR_TYPE"
TPU_SIGNS: tuple[Sign, ...] = (
    _sign("high", "environment of Colab and Kaggle TPU VMs, 2026", _set(TPU_TYPE)),
    _sign("high", "environment of a Colab TPU VM, 2026", _equals("COLAB_TPU_1VM", "1")),
    _sign("high", "Kaggle/docker-python tpu/Dockerfile, 2026-03", _equals("ISTPUVM", "1")),
    _sign("medium", "torch_xla", _equals("PJRT_DEVICE", "TPU"), _path("/dev/accel0")),
    _sign("medium", "torch_xla", _equals("PJRT_DEVICE", "TPU"), _path("/dev/vfio/0")),
)

# ---- Storage -------------------------------------------------------------------------------------

_DRIVE = "/content/drive/MyDrive"
_MOUNT_CELL = on_one_line(MOUNT_DRIVE)
_ALWAYS: tuple[Marker, ...] = ()
STORAGE: tuple[StorageRule, ...] = (
    StorageRule(
        "kaggle",
        "/kaggle/working",
        "/kaggle/working is kept as the notebook's output when a batch run ends; nothing else is.",
        _sign("high", "Kaggle docs, 2026-08", *_ALWAYS),
    ),
    StorageRule(
        "colab",
        _DRIVE,
        f"Only what is copied to Drive survives: {_DRIVE}",
        # A folder of that name that no Drive is mounted on is this machine's own.
        _sign("high", "colabtools drive.py", _path(_DRIVE), _mount("/content/drive", "fuse.drive")),
    ),
    StorageRule(
        "colab",
        None,
        f"{_DRIVE} is a plain folder here, no Drive is mounted on it: nothing survives the "
        f"session. To keep files, run in a cell: {_MOUNT_CELL}",
        _sign("high", "colabtools drive.py", _path(_DRIVE)),
    ),
    StorageRule(
        "colab",
        None,
        f"Nothing here survives the session. To keep files, run in a cell: {_MOUNT_CELL}",
        _sign("high", "Colab FAQ, 2026-10", *_ALWAYS),
    ),
    StorageRule(
        "hf-zerogpu", None, "A Space's disk is emptied at each restart.", _sign("medium", _HF_DOCS)
    ),
    StorageRule(
        "hf-space", None, "A Space's disk is emptied at each restart.", _sign("medium", _HF_DOCS)
    ),
    StorageRule(
        "hf-job",
        None,
        "A job's disk is gone when it ends: push results to the hub.",
        _sign("medium", _HF_DOCS),
    ),
    StorageRule(
        "lightning",
        "/teamspace/studios/this_studio",
        None,
        _sign("low", "memory", _path("/teamspace/studios/this_studio")),
    ),
    StorageRule(
        "modal", None, "Only mounted volumes survive the function.", _sign("medium", "memory")
    ),
    StorageRule(
        "studio-lab",
        "/home/studio-lab-user",
        None,
        _sign("low", "memory", _path("/home/studio-lab-user")),
    ),
    StorageRule("paperspace", "/storage", None, _sign("low", "memory", _path("/storage"))),
    StorageRule(
        "codespaces", "/workspaces", None, _sign("medium", "GitHub docs", _path("/workspaces"))
    ),
    StorageRule("gitpod", "/workspace", None, _sign("medium", "Gitpod docs", _path("/workspace"))),
    StorageRule(
        "binder",
        None,
        "Nothing survives a Binder session: download results.",
        _sign("medium", "binderhub source, 2026-11"),
    ),
    StorageRule("local", "/", None, _sign("assumed", "this machine's own disk")),
)

# ---- Tiers ---------------------------------------------------------------------------------------

TIERED: frozenset[str] = frozenset({"colab", "lightning", "hf-zerogpu", "paperspace"})
"""Platforms whose limits hang on what the user pays, which no variable tells."""
PAID_GPUS: Mapping[str, tuple[str, ...]] = {"colab": ("L4", "A100", "H100", "RTX PRO 6000")}
PAID_MEMORY_BYTES: Mapping[str, int] = {"colab": 20 * 10**9}
"""Hardware that the free tier is not seen to lend: user reports, 2026-10."""


def _signs() -> Iterator[Sign]:
    for rule in PLATFORMS:
        yield from rule.signs
    for table in (RUN_MODES, VARIANTS, STORAGE):
        yield from (row.sign for row in table)
    yield from TPU_SIGNS


_MARKERS = tuple(marker for sign in _signs() for marker in sign.markers)
ENV_NAMES: frozenset[str] = frozenset({OVERRIDE, SCHEDULER_END}) | {
    m.subject for m in _MARKERS if m.test in {"set", "equals", "truthy", "unlike"}
}
MARKER_PATHS: frozenset[str] = frozenset(m.subject for m in _MARKERS if "path" in m.test)
MOUNT_POINTS: frozenset[str] = frozenset(m.subject for m in _MARKERS if m.test == "mount")

_TRUE = frozenset({"1", "true", "yes", "on", "y", "t"})


# ---- Reading -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Traces:
    """What markers are read from."""

    env: Mapping[str, str]
    """Only the variables in ENV_NAMES: no credentials."""
    paths: frozenset[str] = frozenset()
    """Those of MARKER_PATHS that exist."""
    mounts: Mapping[str, str] = field(default_factory=dict)
    """The file system of each of MOUNT_POINTS that is mounted."""


def read(sign: Sign, subject: str, surroundings: Traces) -> tuple[Evidence, ...] | None:
    """One Evidence per marker; None unless every marker holds."""
    findings = [_finding(marker, surroundings) for marker in sign.markers]
    if None in findings:
        return None
    return tuple(
        Evidence(subject, str(finding), sign.source, sign.confidence) for finding in findings
    )


def _finding(marker: Marker, surroundings: Traces) -> str | None:
    """What the marker found, in words; None when it does not hold. Shows a value only where the
    table names it: a marker such as JOB_ID may hold what is nobody's business."""
    name = marker.subject
    value = surroundings.env.get(name, "").strip()
    match marker.test:
        case "set":
            return f"{name} is set" if value else None
        case "equals":
            return f"{name}={value}" if value in marker.values else None
        case "truthy":
            return f"{name}={value}" if value.lower() in _TRUE else None
        case "unlike":
            return f"{name} is not {marker.values[0]}" if value not in marker.values else None
        case "path":
            return f"{name} exists" if name in surroundings.paths else None
        case "no path":
            return f"{name} does not exist" if name not in surroundings.paths else None
        case "mount":
            kind = surroundings.mounts.get(name)
            return f"{name} is a mount of type {kind}" if kind in marker.values else None
