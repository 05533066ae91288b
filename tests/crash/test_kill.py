"""F1: killed before, inside and after every file operation of everything that the store writes."""

from __future__ import annotations

import pytest

from tests.crash.faults import killed_at, operations
from tests.crash.subjects import SUBJECTS


@pytest.mark.parametrize("name", SUBJECTS)
def test_killed_at_every_operation(tmp_path, name):
    subject = SUBJECTS[name]
    subject.prepare(tmp_path / "count")
    total = operations(lambda: subject.act(tmp_path / "count"))
    print("F1", name, total, "points")
    assert total >= 8
    seen = set()
    for k in range(1, total + 1):
        folder = tmp_path / str(k)
        subject.prepare(folder)
        killed_at(k, lambda folder=folder: subject.act(folder))
        seen.add(subject.check(folder))
    # The fault fell on both sides of the commit; a lease is rewritten under its own number.
    assert len(seen) == (1 if name in ("beat", "release") else 2)
