"""Faults are tried in memory where there is room: they sync so often that a disk takes the time."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY, NEEDED_BYTES = Path("/dev/shm"), 4 << 30


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < NEEDED_BYTES:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="agnews-test-", dir=MEMORY) as folder:
        yield Path(folder)
