"""Which machine this is, and why we think so.

`host.detect` records Facts; `identify` reads them against the tables of `core.machine.markers` and
says nothing that a table does not say. The answers stay separate: the platform (who lends the
machine) and its variant and tier, the scheduler, the run mode (what reads our output), the
accelerator (asked of the hardware, never of a platform's marker), where files outlive the session,
memory, disk and network. Every answer carries its Evidence, and every Evidence how sure it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from agnews_cli.core.machine.accelerator import LEAST_CAPABILITY, Accelerator, dotted, short, tpu
from agnews_cli.core.machine.markers import (
    ALIASES,
    LOCAL,
    NAMES,
    OVERRIDE,
    PAID_GPUS,
    PAID_MEMORY_BYTES,
    PLATFORMS,
    RUN_MODES,
    SCHEDULER,
    SCHEDULER_END,
    STORAGE,
    TIERED,
    TPU_SIGNS,
    TPU_TYPE,
    VARIANTS,
    Confidence,
    Evidence,
    Rule,
    RunMode,
    Traces,
    read,
)
from agnews_cli.core.text.spelling import nearest
from agnews_cli.errors import PlatformUnknown

Network = Literal["answers", "silent", "off"]
"""The hub answers, does not, or the user forbade asking (HF_HUB_OFFLINE)."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The recorded surroundings of this process; holds no credentials."""

    surroundings: Traces
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
    network: Network | None = None
    """None where nobody asked: it takes seconds."""
    measured: tuple[Evidence, ...] = ()
    """How accelerator, memory, disk and network were found."""


@dataclass(frozen=True, slots=True)
class Scheduler:
    """What gave this process its machine, beside the platform."""

    name: str
    ends_at_s: int | None
    """When its job must end, in seconds since 1970; None where it does not say."""


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
    """A sentence on which files survive the session; None where there is nothing to heed."""
    confidence: Confidence
    """Of the name alone; `confidences` has the others."""
    evidence: tuple[Evidence, ...]
    notes: tuple[str, ...] = ()
    variant: str | None = None
    """The form in which the platform lends it: `batch`, `script`, `studio`, `job`, …"""
    tier: str | None = None
    """`free` or `paid`, always assumed; None where the platform has no tiers."""
    scheduler: Scheduler | None = None
    lasting_folder: str | None = None
    """Where files outlive the session; `/` where all do, None where nothing is known to."""
    network: Network | None = None
    """None where nobody asked."""

    @property
    def confidences(self) -> Mapping[str, Confidence]:
        """How sure each answer is, by its subject: that of the first evidence for it."""
        return {e.subject: e.confidence for e in reversed(self.evidence)}


def identify(facts: Facts) -> Platform:
    """The platform that `facts` show: every facts give an answer, at worst `local`.

    Raises PlatformUnknown for an override that names none.
    """
    rule, why_name = _name(facts.surroundings)
    scheduler, why_scheduler = _scheduler(facts.surroundings)
    mode, why_mode = _run_mode(facts, rule, scheduler)
    variant, why_variant = _variant(facts.surroundings, rule)
    tier, why_tier = _tier(facts, rule)
    folder, hint, why_storage = _storage(facts.surroundings, rule)
    return Platform(
        name=rule.name,
        run_mode=mode,
        accelerator=facts.accelerator,
        cpu_count=facts.cpu_count,
        memory_bytes=facts.memory_bytes,
        disk_free_bytes=facts.disk_free_bytes,
        storage_hint=hint,
        confidence=why_name[0].confidence,
        evidence=(
            *why_name,
            *why_variant,
            *why_tier,
            *why_scheduler,
            *why_mode,
            *facts.measured,
            *why_storage,
        ),
        notes=tuple(_notes(facts, mode, scheduler, why_tier)),
        variant=variant,
        tier=tier,
        scheduler=scheduler,
        lasting_folder=folder,
        network=facts.network,
    )


def tpu_of(surroundings: Traces) -> tuple[Accelerator, tuple[Evidence, ...]] | None:
    """The TPU that the environment proves, as no library can be asked without torch_xla.

    None where PJRT_DEVICE=CPU says, as to torch_xla, that the host is to compute.
    """
    if surroundings.env.get("PJRT_DEVICE") == "CPU":
        return None
    for sign in TPU_SIGNS:
        if found := read(sign, "accelerator", surroundings):
            return tpu(surroundings.env.get(TPU_TYPE, "")), found
    return None


# ---- One answer each -----------------------------------------------------------------------------

_Why = tuple[Evidence, ...]


def _name(surroundings: Traces) -> tuple[Rule, _Why]:
    wanted = surroundings.env.get(OVERRIDE, "").strip()
    if wanted:
        return _overridden(wanted), (Evidence("platform", f"{OVERRIDE}={wanted}", "you"),)
    for rule in PLATFORMS:
        for sign in rule.signs:
            if found := read(sign, "platform", surroundings):
                return rule, found
    nothing = "no marker of a hosted platform was found"
    return LOCAL, (Evidence("platform", nothing, "this machine", "assumed"),)


def _overridden(wanted: str) -> Rule:
    name = "-".join(wanted.lower().replace("_", " ").replace("-", " ").split())
    name = ALIASES.get(name, name)
    for rule in (*PLATFORMS, LOCAL):
        if rule.name == name:
            return rule
    raise PlatformUnknown(
        variable=OVERRIDE,
        given=wanted,
        near=nearest(name, (*NAMES, *ALIASES)),
        known=", ".join(NAMES),
    )


def _scheduler(surroundings: Traces) -> tuple[Scheduler | None, _Why]:
    found = read(SCHEDULER, "scheduler", surroundings)
    if not found:
        return None, ()
    ends = surroundings.env.get(SCHEDULER_END, "").strip()
    return Scheduler("slurm", int(ends) if ends.isdecimal() else None), found


def _run_mode(facts: Facts, rule: Rule, scheduler: Scheduler | None) -> tuple[RunMode, _Why]:
    for candidate in RUN_MODES:
        if found := read(candidate.sign, "run mode", facts.surroundings):
            return candidate.mode, found
    mode: RunMode = "terminal"
    headless: RunMode = "batch" if rule.is_batch_when_headless or scheduler else "pipe"
    if not facts.stdout_isatty:
        mode, finding = headless, "standard output is not a terminal"
    elif not facts.stdin_isatty:
        mode, finding = headless, "standard input is not a terminal"
    elif rule.name in {"colab", "colab-enterprise"} and facts.window == (0, 0):
        mode, finding = "notebook-child", "the terminal is 0 × 0, as Colab's cells give it"
    else:
        finding = "standard input and output are terminals"
    return mode, (Evidence("run mode", finding, "this process"),)


def _variant(surroundings: Traces, rule: Rule) -> tuple[str | None, _Why]:
    for row in VARIANTS:
        if row.platform == rule.name:
            found = read(row.sign, "variant", surroundings)
            if found:
                return row.variant, found
    return None, ()


def _tier(facts: Facts, rule: Rule) -> tuple[str | None, _Why]:
    """No variable tells a tier; hardware that is not lent for nothing does."""
    if rule.name not in TIERED:
        return None, ()
    tier, finding = "free", "no variable tells"
    gpu = facts.accelerator.name if facts.accelerator.kind == "cuda" else ""
    is_tpu = facts.accelerator.kind == "tpu"  # its host has much memory on the free tier too
    most_bytes = PAID_MEMORY_BYTES.get(rule.name)
    if any(paid in gpu for paid in PAID_GPUS.get(rule.name, ())):
        tier, finding = "paid", f"from the {short(gpu)}"
    elif not is_tpu and most_bytes is not None and (facts.memory_bytes or 0) >= most_bytes:
        tier, finding = "paid", "from its memory"
    return tier, (Evidence("tier", finding, "user reports, 2026-10", "assumed"),)


def _storage(surroundings: Traces, rule: Rule) -> tuple[str | None, str | None, _Why]:
    for row in STORAGE:
        if row.platform != rule.name:
            continue
        found = read(row.sign, "storage", surroundings)
        if found is not None:
            always = Evidence(
                "storage",
                f"so it is on every {rule.title} machine",
                row.sign.source,
                row.sign.confidence,
            )
            return row.lasting_folder, row.hint, found or (always,)
    unknown = Evidence("storage", "what outlives the session is not known here", "–", "assumed")
    return None, None, (unknown,)


def _notes(
    facts: Facts, mode: RunMode, scheduler: Scheduler | None, why_tier: _Why
) -> Iterator[str]:
    if scheduler is not None:
        yield "Slurm schedules this process" + (
            f"; its job ends at {scheduler.ends_at_s} (seconds since 1970, UTC)."
            if scheduler.ends_at_s is not None
            else "."
        )
    for why in why_tier:
        tier = "Paid" if why.finding.startswith("from") else "Free"
        yield f"{tier} tier (assumed: {why.finding})."
    if mode == "notebook-child" and not facts.stdout_isatty:
        yield "The notebook does not see this output: it goes into a pipe or a file."
    accelerator = facts.accelerator
    if accelerator.capability is not None and accelerator.capability < LEAST_CAPABILITY:
        yield (
            f"{accelerator.name} has capability {dotted(accelerator.capability)}; current PyTorch "
            f"needs {dotted(LEAST_CAPABILITY)} and fails at the first operation. "
            "`agnews platform --probe` tells for this torch."
        )


# ---- In words ------------------------------------------------------------------------------------

_MODE_WORDS: Mapping[RunMode, str] = {
    "terminal": "terminal",
    "notebook-child": "notebook",
    "batch": "batch",
    "ci": "CI",
    "pipe": "pipe",
}
_NETWORK_WORDS: Mapping[Network | None, str] = {
    "answers": "the hub answers",
    "silent": "the hub does not answer",
    "off": "not asked: the user set HF_HUB_OFFLINE",
    None: "not asked (--network asks)",
}
_TITLES: Mapping[str, str] = {rule.name: rule.title for rule in PLATFORMS}


def _hardware(platform: Platform) -> str:
    accelerator = platform.accelerator
    if accelerator.kind == "cpu":
        cores = platform.cpu_count
        return f"{cores} CPU core{'' if cores == 1 else 's'}"
    if accelerator.kind == "mps":
        return accelerator.name
    return f"{accelerator.count} × {short(accelerator.name)}"


def describe(platform: Platform) -> str:
    """One line: `Kaggle batch, 2 × T4, because KAGGLE_KERNEL_RUN_TYPE=Batch`."""
    title = _TITLES.get(platform.name, platform.name)
    reasons = [e.finding for e in platform.evidence if e.subject == "platform"]
    because = f", because {reasons[0]}" if reasons else ""
    return f"{title} {_MODE_WORDS[platform.run_mode]}, {_hardware(platform)}{because}"


def answers(platform: Platform) -> tuple[tuple[str, str, str], ...]:
    """Every answer in words: what it is about, the answer, how sure."""
    accelerator = platform.accelerator
    device = accelerator.name if accelerator.kind == "cpu" else _hardware(platform)
    if accelerator.memory_bytes is not None:
        device += f", {_size(accelerator.memory_bytes)} each"
    if accelerator.capability is not None:
        device += f", capability {dotted(accelerator.capability)}"
    lasting = {"/": "every file outlives the session", None: "nothing is known to outlive it"}
    ends = platform.scheduler and platform.scheduler.ends_at_s
    found: dict[str, str | None] = {
        "platform": _TITLES.get(platform.name, platform.name),
        "variant": platform.variant,
        "tier": platform.tier,
        "scheduler": f"Slurm{f', until {ends}' if ends else ''}" if platform.scheduler else None,
        "run mode": _MODE_WORDS[platform.run_mode],
        "accelerator": device,
        "cpu": _hardware_cpu(platform),
        "memory": _size(platform.memory_bytes),
        "disk": f"{_size(platform.disk_free_bytes)} free",
        "storage": lasting.get(platform.lasting_folder, f"{platform.lasting_folder} lasts"),
        "network": _NETWORK_WORDS[platform.network],
    }
    sure = platform.confidences
    return tuple((about, said, sure.get(about, "")) for about, said in found.items() if said)


def _hardware_cpu(platform: Platform) -> str:
    return f"{platform.cpu_count} core{'' if platform.cpu_count == 1 else 's'}"


def _size(size_bytes: int | None) -> str:
    return "unknown" if size_bytes is None else f"{size_bytes / 1e9:.1f} GB"
