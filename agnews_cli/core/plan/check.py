"""Judges a schedule against its instance. Written apart from the planner and shares no code with
it: it reads the finished answer, counts, and says what is broken."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from agnews_cli.core.plan.instance import Instance, Resource
from agnews_cli.core.plan.schedule import Booking, Part, Schedule

_SLACK_S = 1e-3


def check(schedule: Schedule, instance: Instance) -> tuple[str, ...]:
    """Every broken constraint in words; empty when the schedule can be carried out as written."""
    resources = {r.name: r for r in instance.resources}
    broken: list[str] = []
    for number, session in enumerate(schedule.sessions, 1):
        label = f"session {number} ({session.resource})"
        if session.resource not in resources:
            broken.append(f"{label}: no such resource")
            continue
        broken += [f"{label}: {what}" for what in _session(session, resources[session.resource])]
    for resource in instance.resources:
        mine = [s for s in schedule.sessions if s.resource == resource.name]
        broken += [f"{resource.name}: {what}" for what in _places(mine, resource)]
        broken += [f"{resource.name}: {what}" for what in _quota(mine, resource)]
    return (*broken, *_jobs(schedule, instance, resources))


def _session(session: Booking, resource: Resource) -> list[str]:
    broken = []
    if session.ends_s - session.begins_s > resource.session_s + _SLACK_S:
        broken.append(f"lasts {session.seconds:.0f} s, at most {resource.session_s:.0f} are given")
    if session.begins_s < resource.from_s - _SLACK_S:
        broken.append("begins before the resource is there")
    if not session.parts:
        broken.append("holds nothing")
    cards: dict[int, list[Part]] = defaultdict(list)
    for part in session.parts:
        cards[part.card].append(part)
        if part.begins_s < session.begins_s + resource.startup_s - _SLACK_S:
            broken.append(f"{part.job} runs while the session still starts")
        if part.ends_s > session.ends_s + _SLACK_S:
            broken.append(f"{part.job} runs past the session's end")
    for card, parts in cards.items():
        if not 0 <= card < resource.cards:
            broken.append(f"there is no card {card}")
        broken += [
            f"{b.job} runs on card {card} while {a.job} does"
            for a, b in pairwise(sorted(parts, key=lambda p: p.begins_s))
            if b.begins_s < a.ends_s - _SLACK_S
        ]
    return broken


def _places(sessions: list[Booking], resource: Resource) -> list[str]:
    broken = []
    by_place: dict[int, list[Booking]] = defaultdict(list)
    for session in sessions:
        by_place[session.place].append(session)
    for place, held in by_place.items():
        if not 0 <= place < resource.sessions_at_once:
            broken.append(f"only {resource.sessions_at_once} sessions may be open at once")
        broken += [
            f"two sessions in place {place} with less than {resource.rest_s:.0f} s between them"
            for a, b in pairwise(sorted(held, key=lambda s: s.begins_s))
            if b.begins_s < a.ends_s + resource.rest_s - _SLACK_S
        ]
    return broken


def _quota(sessions: list[Booking], resource: Resource) -> list[str]:
    if resource.quota is None or not sessions:
        return []
    broken, last = [], max(s.ends_s for s in sessions)
    for begins_s, ends_s, most_s in resource.quota.periods():
        if begins_s >= last:
            break
        used_s = sum(max(0.0, min(s.ends_s, ends_s) - max(s.begins_s, begins_s)) for s in sessions)
        if used_s > most_s + _SLACK_S:
            broken.append(f"{used_s:.0f} s of quota used before {ends_s:.0f} s, {most_s:.0f} given")
    return broken


def _jobs(
    schedule: Schedule, instance: Instance, resources: dict[str, Resource]
) -> tuple[str, ...]:
    broken = []
    held: dict[str, list[tuple[Part, Booking]]] = defaultdict(list)
    for session in schedule.sessions:
        for part in session.parts:
            held[part.job].append((part, session))
    broken += [f"{name} is no job" for name in held.keys() - {j.name for j in instance.jobs}]
    ends = {name: max(p.ends_s for p, _ in parts) for name, parts in held.items()}
    for job in instance.jobs:
        if job.name in schedule.unplaced:
            continue
        parts = sorted(held[job.name], key=lambda pair: pair[0].begins_s)
        done = 0
        for part, session in parts:
            resource = resources.get(session.resource)
            step_s = job.step_s.get(resource.kind) if resource else None
            if resource is None or step_s is None:
                broken.append(f"{job.name} cannot run on {session.resource}")
                continue
            if resource.memory_bytes is not None and job.memory_bytes > resource.memory_bytes:
                broken.append(f"{job.name} needs more memory than {resource.name} has")
            needed_s = job.load_s + part.steps * step_s + job.save_s
            if part.ends_s - part.begins_s < needed_s - _SLACK_S:
                broken.append(f"{job.name}: {part.steps} steps need {needed_s:.0f} s")
            if part.steps < 1 or part.first_step != done:
                broken.append(f"{job.name}: step {done} is not followed by the next")
            done += part.steps
        broken += [
            f"{job.name} runs twice at once"
            for (a, _), (b, _) in pairwise(parts)
            if b.begins_s < a.ends_s - _SLACK_S
        ]
        if done != job.steps:
            broken.append(f"{job.name}: {done} of {job.steps} steps are planned")
        if not job.is_divisible and len(parts) > 1:
            broken.append(f"{job.name} must not be cut")
        for other in job.after:
            if other not in ends or (parts and parts[0][0].begins_s < ends[other] - _SLACK_S):
                broken.append(f"{job.name} begins before {other} has ended")
    return tuple(broken)
