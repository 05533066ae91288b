"""A journal loses at most the line that a dying machine was writing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agnews_cli.core.hours.session import JournalEntry
from agnews_cli.errors import CannotWrite
from agnews_cli.store.hours import journal

AT = datetime(2026, 11, 25, 8, tzinfo=UTC)


def entry(seq: int, **data: object) -> JournalEntry:
    return JournalEntry("s-1", seq, "beat", AT, data)


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "s-1.jsonl"
    entries = tuple(entry(seq, seconds=seq * 15.0, word="naïve \n ☃") for seq in range(1, 4))
    sizes = [journal.append(path, each) for each in entries]
    assert journal.read(path) == journal.Journal(entries, 0)
    assert sizes[-1] == path.stat().st_size
    assert path.read_text("utf-8").count("\n") == 3


def test_a_torn_last_line_is_dropped_and_the_next_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "s-1.jsonl"
    journal.append(path, entry(1))
    journal.append(path, entry(2))
    whole = path.read_bytes()
    second = len(journal.text([entry(1)]))
    for cut in range(second + 1, len(whole)):
        path.write_bytes(whole[:cut])
        is_whole = cut == len(whole) - 1  # only the line's end is missing
        assert journal.read(path).damaged == (0 if is_whole else 1)
        journal.append(path, entry(3))
        seqs = [e.seq for e in journal.read(path).entries]
        assert seqs == ([1, 2, 3] if is_whole else [1, 3])


@given(st.data())
def test_a_changed_byte_costs_its_own_line(data: st.DataObject) -> None:
    content = bytearray(journal.text(entry(seq, seconds=seq * 15.0) for seq in range(1, 6)))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    told = journal.parse(bytes(content))
    lost = {1, 2, 3, 4, 5} - {e.seq for e in told.entries}
    assert len(lost) <= 2  # two where the end of a line went
    assert all(e == entry(e.seq, seconds=e.seq * 15.0) for e in told.entries)


def test_what_is_no_journal_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "link.jsonl").symlink_to("/etc/passwd")
    assert journal.read(tmp_path / "link.jsonl") == journal.Journal((), 1)
    (tmp_path / "x.jsonl").write_bytes(b"\xff\x00 no\n\n{}\n")
    assert journal.read(tmp_path / "x.jsonl") == journal.Journal((), 2)


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s-1.jsonl").mkdir()
    with pytest.raises(CannotWrite):
        journal.append(tmp_path / "s-1.jsonl", entry(1))
