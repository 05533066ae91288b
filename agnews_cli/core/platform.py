"""Which machine this is, and why we think so.

`host.detect` records Facts; `identify` reads them against tables of markers and says nothing that
a table does not say. Four answers stay separate: the platform (who lends the machine), the run
mode (what reads our output), the accelerator (asked of the hardware, never of a platform's marker)
and where files survive. Every answer carries its Evidence.

The traps the tables are built around: Kaggle's image is made from Colab's, so Kaggle is tested
first; an empty variable is an absent one; credentials and the current folder identify nothing;
a child of a notebook sees a terminal and is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["cuda", "tpu", "mps", "cpu"]
RunMode = Literal["terminal", "notebook-child", "batch", "ci", "pipe"]
Confidence = Literal["high", "medium", "low", "assumed"]

OVERRIDE = "AGNEWS_PLATFORM"
FAST_BF16_CAPABILITY = (8, 0)
"""Below it bf16 is emulated: `torch.cuda.is_bf16_supported()` says True on a T4 (torch 2.15)."""
LEAST_CAPABILITY = (7, 5)
"""The oldest GPU that current PyTorch wheels run on (pytorch#190385)."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One reason: what it is about, what was found, and where its meaning is known from."""

    subject: str
    finding: str
    source: str


@dataclass(frozen=True, slots=True)
class Accelerator:
    """What computes. With several devices: the least memory and capability among them."""

    kind: Kind
    name: str
    count: int = 1
    memory_bytes: int | None = None
    """Of one device; None where it shares the host's memory or is unknown."""
    capability: tuple[int, int] | None = None
    has_fast_bf16: bool | None = None
    """In hardware, not emulated; None is unknown."""
    driver: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """The recorded surroundings of this process; holds no credentials."""

    env: Mapping[str, str]
    """Only the variables in ENV_NAMES."""
    paths: frozenset[str]
    """Those of MARKER_PATHS that exist."""
    stdin_isatty: bool
    stdout_isatty: bool
    window: tuple[int, int] | None
    """Columns and rows of the terminal; Colab's is (0, 0). None without a terminal."""
    accelerator: Accelerator
    cpu_count: int
    memory_bytes: int | None
    disk_free_bytes: int | None
    python: str
    os: str
    accelerator_evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Platform:
    """This machine, as far as the evidence goes."""

    name: str
    run_mode: RunMode
    accelerator: Accelerator
    cpu_count: int
    memory_bytes: int | None
    disk_free_bytes: int | None
    storage_hint: str | None
    """A sentence on which files survive the session; None where all do."""
    confidence: Confidence
    """Of the name alone."""
    evidence: tuple[Evidence, ...]
    notes: tuple[str, ...] = ()


# ---- The tables ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Marker:
    """One test of the facts. `set` needs a value that is not empty; so do all but `unlike`."""

    test: Literal["set", "equals", "truthy", "unlike", "path", "no path"]
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
class StorageRule:
    """`needs` is a path that must exist for the hint to hold; empty: always."""

    platform: str
    needs: str
    hint: str


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


def _sign(confidence: Confidence, source: str, *markers: Marker) -> Sign:
    return Sign(markers, confidence, source)


_KAGGLE_SDK = "kagglesdk 0.1.38, kagglehub 1.0.3"
_KAGGLE_IMAGE = "Kaggle/docker-python 78aaa43, 2026-08"
_COLAB_DUMP = "environment of a Colab VM, 2025-09; colabtools drive.py"

# The order is the rule: Kaggle before Colab, since its image carries Colab's variables; ZeroGPU
# before Space, since it is one; Studio Lab before SageMaker; the scheduler last.
PLATFORMS: tuple[Rule, ...] = (
    Rule(
        "kaggle",
        "Kaggle",
        (
            _sign("high", _KAGGLE_SDK, _equals("KAGGLE_KERNEL_RUN_TYPE", "Batch", "Interactive")),
            _sign("medium", _KAGGLE_SDK, _set("KAGGLE_KERNEL_RUN_TYPE")),
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
            _sign("high", "Hugging Face docs, 2026-07", _set("SPACE_ID"), _set("SPACE_HOST")),
            _sign("medium", "Hugging Face docs, 2026-07", _set("SPACE_ID")),
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
        (_sign("high", "lightning_sdk 2026.10.13", _set("LIGHTNING_CLOUD_SPACE_ID")),),
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
            _sign("high", "mlflow-skinny 3.17.2", _set("SAGEMAKER_APP_TYPE")),
            _sign("low", "mlflow-skinny 3.17.2", _set("SM_APP_TYPE")),
            _sign(
                "medium", "mlflow-skinny 3.17.2", _path("/opt/ml/metadata/resource-metadata.json")
            ),
        ),
    ),
    Rule(
        "paperspace",
        "Paperspace",
        (
            _sign("medium", "code search, 2026-09", _set("PAPERSPACE_NOTEBOOK_ID")),
            _sign("medium", "code search, 2026-09", _set("PAPERSPACE_NOTEBOOK_REPO_ID")),
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
        "databricks",
        "Databricks",
        (
            _sign("high", "mlflow-skinny 3.17.2", _set("DATABRICKS_RUNTIME_VERSION")),
            _sign("medium", "mlflow-skinny 3.17.2", _path("/databricks/DBR_VERSION")),
        ),
    ),
    Rule(
        "azureml",
        "Azure ML",
        (_sign("medium", "mlflow-skinny 3.17.2", _set("AZUREML_FRAMEWORK")),),
    ),
    Rule(
        "slurm",
        "Slurm",
        (_sign("medium", "memory", _set("SLURM_JOB_ID")),),
        is_batch_when_headless=True,
    ),
)

LOCAL = Rule("local", "local", ())

# What no sign settles, the terminal does. A batch run of a Kaggle notebook has JPY_PARENT_PID
# too, and so has a notebook executed by CI: nobody watches either, so both come first.
RUN_MODES: tuple[ModeRule, ...] = (
    ModeRule("batch", _sign("high", _KAGGLE_SDK, _equals("KAGGLE_KERNEL_RUN_TYPE", "Batch"))),
    ModeRule("ci", _sign("high", "the convention of CI services", _truthy("CI"))),
    ModeRule(
        "notebook-child",
        _sign("high", "measured, ipykernel 6.17.1 and 7.4.0", _set("JPY_PARENT_PID")),
    ),
    ModeRule(
        "batch",
        _sign(
            "high",
            "lightning_sdk 2026.10.13",
            _set("LIGHTNING_CLOUD_SPACE_ID"),
            _unlike("LIGHTNING_INTERACTIVE", "true"),
        ),
    ),
)

# TPU_NAME belongs to the retired TPU nodes, and COLAB_TPU_1VM is there, empty, without a TPU.
TPU_SIGNS: tuple[Sign, ...] = (
    _sign("high", "environment of Colab and Kaggle TPU VMs, 2026", _set("TPU_ACCELERATOR_TYPE")),
    _sign("high", "environment of a Colab TPU VM, 2026", _equals("COLAB_TPU_1VM", "1")),
    _sign("high", "Kaggle/docker-python tpu/Dockerfile, 2026-03", _equals("ISTPUVM", "1")),
    _sign("medium", "torch_xla", _equals("PJRT_DEVICE", "TPU"), _path("/dev/accel0")),
    _sign("medium", "torch_xla", _equals("PJRT_DEVICE", "TPU"), _path("/dev/vfio/0")),
)

_DRIVE = "/content/drive/MyDrive"
STORAGE: tuple[StorageRule, ...] = (
    StorageRule(
        "kaggle",
        "",
        "/kaggle/working is kept as the notebook's output when a batch run ends; nothing else is.",
    ),
    StorageRule("colab", _DRIVE, f"Only what is copied to Drive survives: {_DRIVE}"),
    StorageRule(
        "colab",
        "",
        "Nothing here survives the session. To keep files, run in a cell: "
        "from google.colab import drive; drive.mount('/content/drive')",
    ),
    StorageRule("hf-zerogpu", "", "A Space's disk is emptied at each restart."),
    StorageRule("hf-space", "", "A Space's disk is emptied at each restart."),
    StorageRule("hf-job", "", "A job's disk is gone when it ends: push results to the hub."),
    StorageRule("modal", "", "Only mounted volumes survive the function."),
    StorageRule("binder", "", "Nothing survives a Binder session: download results."),
)

_READ_BESIDE = (OVERRIDE, "SLURM_JOB_ID", "SLURM_JOB_END_TIME")


def _signs() -> Iterator[Sign]:
    for rule in PLATFORMS:
        yield from rule.signs
    for mode in RUN_MODES:
        yield mode.sign
    yield from TPU_SIGNS


_MARKERS = tuple(marker for sign in _signs() for marker in sign.markers)
ENV_NAMES = frozenset(_READ_BESIDE) | {m.subject for m in _MARKERS if "path" not in m.test}
MARKER_PATHS = frozenset(rule.needs for rule in STORAGE if rule.needs) | {
    m.subject for m in _MARKERS if "path" in m.test
}
NAMES: tuple[str, ...] = (*(rule.name for rule in PLATFORMS), LOCAL.name)

_TRUE = frozenset({"1", "true", "yes", "on", "y", "t"})


# ---- Reading the facts ---------------------------------------------------------------------------


def _finding(marker: Marker, env: Mapping[str, str], paths: frozenset[str]) -> str | None:
    """What the marker found, in words; None when it does not hold. Shows a value only where the
    table names it: a marker such as JOB_ID may hold what is nobody's business."""
    name = marker.subject
    value = env.get(name, "").strip()
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
            return f"{name} exists" if name in paths else None
        case "no path":
            return f"{name} does not exist" if name not in paths else None


def _read(
    sign: Sign, subject: str, env: Mapping[str, str], paths: frozenset[str]
) -> tuple[Evidence, ...]:
    """One Evidence per marker; empty unless every marker holds."""
    findings = [_finding(marker, env, paths) for marker in sign.markers]
    if None in findings:
        return ()
    return tuple(Evidence(subject, str(finding), sign.source) for finding in findings)


def _name(facts: Facts) -> tuple[Rule, Confidence, tuple[Evidence, ...], tuple[str, ...]]:
    wanted = facts.env.get(OVERRIDE, "").strip()
    if wanted:
        name = "-".join(wanted.lower().replace("_", " ").replace("-", " ").split())
        evidence = (Evidence("platform", f"{OVERRIDE}={wanted}", "you"),)
        for rule in (*PLATFORMS, LOCAL):
            if rule.name == name:
                return rule, "high", evidence, ()
        note = f"{OVERRIDE} names {name!r}, of which agnews knows no limits; it knows " + ", ".join(
            NAMES
        )
        return Rule(name, name, ()), "low", evidence, (note,)
    for rule in PLATFORMS:
        for sign in rule.signs:
            if found := _read(sign, "platform", facts.env, facts.paths):
                return rule, sign.confidence, found, ()
    nothing = Evidence("platform", "no marker of a hosted platform was found", "this machine")
    return LOCAL, "assumed", (nothing,), ()


def _run_mode(facts: Facts, rule: Rule) -> tuple[RunMode, tuple[Evidence, ...]]:
    for candidate in RUN_MODES:
        if found := _read(candidate.sign, "run mode", facts.env, facts.paths):
            return candidate.mode, found
    mode: RunMode
    if not facts.stdout_isatty:
        mode = "batch" if rule.is_batch_when_headless else "pipe"
        finding = "standard output is not a terminal"
    elif not facts.stdin_isatty:
        mode = "batch" if rule.is_batch_when_headless else "pipe"
        finding = "standard input is not a terminal"
    elif rule.name in {"colab", "colab-enterprise"} and facts.window == (0, 0):
        mode = "notebook-child"
        finding = "the terminal is 0 × 0, as Colab's cells give it"
    else:
        mode = "terminal"
        finding = "standard input and output are terminals"
    return mode, (Evidence("run mode", finding, "this process"),)


def identify(facts: Facts) -> Platform:
    """The platform that `facts` show. Total: every facts give an answer, at worst `local`."""
    rule, confidence, why_name, notes = _name(facts)
    mode, why_mode = _run_mode(facts, rule)
    hints = (
        row.hint
        for row in STORAGE
        if row.platform == rule.name and (not row.needs or row.needs in facts.paths)
    )
    return Platform(
        name=rule.name,
        run_mode=mode,
        accelerator=facts.accelerator,
        cpu_count=facts.cpu_count,
        memory_bytes=facts.memory_bytes,
        disk_free_bytes=facts.disk_free_bytes,
        storage_hint=next(hints, None),
        confidence=confidence,
        evidence=(*why_name, *why_mode, *facts.accelerator_evidence),
        notes=(*notes, *_notes(facts, rule, mode)),
    )


def _notes(facts: Facts, rule: Rule, mode: RunMode) -> Iterator[str]:
    accelerator = facts.accelerator
    if facts.env.get("SLURM_JOB_ID", "").strip():
        ends = facts.env.get("SLURM_JOB_END_TIME", "").strip()
        yield "Slurm schedules this process" + (
            f"; its job ends at {ends} (seconds since 1970, UTC)." if ends else "."
        )
    if rule.name == "colab":
        yield _colab_tier(facts)
    if mode == "notebook-child" and not facts.stdout_isatty:
        yield "The notebook does not see this output: it goes into a pipe or a file."
    if accelerator.capability is not None and accelerator.capability < LEAST_CAPABILITY:
        yield (
            f"{accelerator.name} has capability {_dotted(accelerator.capability)}; current PyTorch "
            f"needs {_dotted(LEAST_CAPABILITY)} and fails at the first operation."
        )


_PAID_GPUS = ("L4", "A100", "H100", "RTX PRO 6000")
_PAID_MEMORY_BYTES = 20 * 10**9


def _colab_tier(facts: Facts) -> str:
    """No variable tells Colab's tier; hardware that is not lent for nothing does."""
    gpu = facts.accelerator.name if facts.accelerator.kind == "cuda" else ""
    if any(paid in gpu for paid in _PAID_GPUS):
        return f"Paid tier (assumed, from the {_short(gpu)})."
    is_tpu = facts.accelerator.kind == "tpu"  # a TPU's host has much memory on the free tier too
    if not is_tpu and (facts.memory_bytes or 0) >= _PAID_MEMORY_BYTES:
        return "Paid tier (assumed, from its memory)."
    return "Free tier (assumed: no variable tells)."


# ---- Accelerators --------------------------------------------------------------------------------

_V5E_CHIP_BYTES = round(15.7 * 2**30)  # seen live on Kaggle, 2026-08


def tpu_of(
    env: Mapping[str, str], paths: frozenset[str]
) -> tuple[Accelerator, tuple[Evidence, ...]] | None:
    """The TPU that the environment proves, as no library can be asked without torch_xla."""
    for sign in TPU_SIGNS:
        found = _read(sign, "accelerator", env, paths)
        if not found:
            continue
        generation, _, size = env.get("TPU_ACCELERATOR_TYPE", "").strip().rpartition("-")
        generation = generation.replace("v5litepod", "v5e")
        count = int(size) if size.isdecimal() else 1
        if generation in {"v2", "v3", "v4", "v5p"}:  # these are sized in cores, two to a chip
            count = max(1, count // 2)
        tpu = Accelerator(
            kind="tpu",
            name=f"TPU {generation}".strip(),
            count=count,
            memory_bytes=_V5E_CHIP_BYTES if generation == "v5e" else None,
            has_fast_bf16=True,
        )
        return tpu, found
    return None


def together(devices: tuple[Accelerator, ...]) -> Accelerator:
    """Several GPUs as one Accelerator: what the weakest can do. Needs at least one."""
    memories = [d.memory_bytes for d in devices if d.memory_bytes is not None]
    capabilities = [d.capability for d in devices if d.capability is not None]
    capability = min(capabilities, default=None)
    return replace(
        devices[0],
        count=len(devices),
        memory_bytes=min(memories, default=None),
        capability=capability,
        has_fast_bf16=None if capability is None else capability >= FAST_BF16_CAPABILITY,
    )


# ---- In words ------------------------------------------------------------------------------------

_MODE_WORDS: dict[RunMode, str] = {
    "terminal": "terminal",
    "notebook-child": "notebook",
    "batch": "batch",
    "ci": "CI",
    "pipe": "pipe",
}


def _dotted(capability: tuple[int, int]) -> str:
    return f"{capability[0]}.{capability[1]}"


def _short(name: str) -> str:
    return name.removeprefix("NVIDIA ").removeprefix("Tesla ")


def _hardware(platform: Platform) -> str:
    accelerator = platform.accelerator
    if accelerator.kind == "cpu":
        cores = platform.cpu_count
        return f"{cores} CPU core{'' if cores == 1 else 's'}"
    if accelerator.kind == "mps":
        return accelerator.name
    return f"{accelerator.count} × {_short(accelerator.name)}"


def describe(platform: Platform) -> str:
    """One line: `Kaggle batch, 2 × T4, because KAGGLE_KERNEL_RUN_TYPE=Batch`."""
    titles = {rule.name: rule.title for rule in PLATFORMS}
    title = titles.get(platform.name, platform.name)
    reasons = [e.finding for e in platform.evidence if e.subject == "platform"]
    because = f", because {reasons[0]}" if reasons else ""
    return f"{title} {_MODE_WORDS[platform.run_mode]}, {_hardware(platform)}{because}"
