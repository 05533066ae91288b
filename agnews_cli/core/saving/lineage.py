"""Who continues whom: the line of checkpoints that a run goes on from, and branches lost in forks.

Every reader finds the same winner: the highest token, then step, then digest. Links are missing,
since not every checkpoint is sent and old ones go; so each session notes what it went on from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agnews_cli.core.saving.checkpoint import Key


def line(parents: Mapping[Key, str | None], known: Iterable[Key] = ()) -> tuple[Key, ...]:
    """The winner and its ancestors, as far as links and `known` ones tell; the newest first."""
    found = set(known)
    at = max(parents, default=None)
    followed: set[Key] = set()
    while at is not None and at not in followed:
        followed.add(at)
        parent = parents.get(at)
        at = None if parent is None else Key.parse(f"{parent}.json")
    found |= followed
    return tuple(sorted(found, reverse=True))


def branches(parents: Mapping[Key, str | None], known: Iterable[Key] = ()) -> tuple[Key, ...]:
    """Checkpoints that the winner does not continue: what a second session wrote. Newest first.

    `known`: what sessions went on from. A checkpoint is an ancestor, though no link says so, when
    its writer is in the line with a later step.
    """
    ancestors = line(parents, known)
    furthest: dict[str, int] = {}
    for key in ancestors:
        furthest[key.writer] = max(furthest.get(key.writer, -1), key.step)
    lost = []
    for key in parents:
        if key in ancestors:
            continue
        if key.writer in furthest:
            is_lost = key.step >= furthest[key.writer]
        else:
            is_lost = key > ancestors[-1]
        if is_lost:
            lost.append(key)
    return tuple(sorted(lost, reverse=True))
