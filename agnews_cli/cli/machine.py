"""How a machine, a probe of it and what a check found look on the screen and in JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from agnews_cli.cli import screens
from agnews_cli.cli.output import Output
from agnews_cli.core.machine.platform import Platform, answers, describe

if TYPE_CHECKING:
    from agnews_cli.core.machine.finding import Finding, Level
    from agnews_cli.core.machine.probe import ProbeReport
    from agnews_cli.host.probe import Verdict

_LEVELS = {"good": "good", "know": "worth knowing", "mend": "must be mended"}
_TINTS: dict[Level, screens.Meaning] = {"good": "good", "know": "warn", "mend": "bad"}


def as_json(found: Platform, verdict: Verdict | None = None) -> dict[str, Any]:
    """Schema `agnews.platform/1` (docs/json.md)."""
    facts = asdict(found)
    result: dict[str, Any] = {"schema": "agnews.platform/1", "platform": facts.pop("name"), **facts}
    result["confidences"] = dict(found.confidences)
    if verdict is not None:
        result["probe"] = verdict.report.model_dump(mode="json")
        result["probed_at"] = verdict.probed_at.isoformat()
        result["usable"] = asdict(verdict.accelerator)
        result["findings"] = [finding.as_json() for finding in verdict.findings]
    return result


def platform(out: Output, found: Platform, *, is_explained: bool) -> None:
    """One line, or all that is known with its evidence."""
    out.screen(describe(found))
    if is_explained:
        out.screen("")
        out.table(("about", "answer", "sure"), answers(found))
        out.screen("")
        rows = [(e.subject, e.finding, e.source, e.confidence) for e in found.evidence]
        out.table(("about", "found", "known from", "sure"), rows)
        said = [*found.notes, *([found.storage_hint] if found.storage_hint else [])]
        out.screen("", *said)


def probed(out: Output, found: Platform) -> Verdict:
    """The probe's verdict, after a word that it takes its time."""
    from agnews_cli.host.probe import verdict

    out.say("Probing the accelerator in a child process (up to 60 s) …")
    return verdict(found)


def verdict(out: Output, found: Verdict) -> None:
    """What each device did, and what follows."""
    report = found.report
    if report.devices:
        out.screen("")
        out.table(("device", "memory", "capability", "fp32", "fp16", "bf16"), _rows(report))
        out.screen(
            "TFLOP/s of a matrix product, rough: less while others use the machine. "
            f"Probed {found.probed_at:%Y-%m-%d %H:%M} UTC, remembered for a day.",
            "",
        )
    findings(out, found.findings)


def _rows(report: ProbeReport) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for device in report.devices:
        did = {
            o.precision: "fails" if o.error else f"{o.tflops:.3g}" if o.tflops else "works"
            for o in device.operations
        }
        memory = f"{device.memory_bytes / 1e9:.1f} GB" if device.memory_bytes else None
        capability = ".".join(map(str, device.capability)) if device.capability else None
        name = f"{device.kind} {device.index}: {device.name}" if device.kind != "cpu" else "CPU"
        each = (did.get(precision) for precision in ("fp32", "fp16", "bf16"))
        rows.append((name, memory, capability, *each))
    return rows


def findings(out: Output, found: Sequence[Finding]) -> None:
    """The findings, the worst nearest to what mends them, and last how many there are of each."""
    if out.is_json:
        return
    order: list[Level] = ["good", "know", "mend"]
    ranked = sorted(found, key=lambda finding: order.index(finding.level))
    rows = [(screens.tinted(_LEVELS[f.level], _TINTS[f.level]), f.check, f.text) for f in ranked]
    out.table(("", "check", "found"), rows)
    todo = [f for f in reversed(ranked) if f.mend]
    if todo:
        out.screen("")
        out.table(("check", "what to do"), [(f.check, f.mend) for f in todo])
    of = {level: sum(f.level == level for f in found) for level in reversed(order)}
    counted = ", ".join(f"{n} {_LEVELS[level]}" for level, n in of.items() if n)
    worst: Level = max((f.level for f in found), key=order.index, default="good")
    out.screen("", screens.tinted(counted, _TINTS[worst]))
