"""What a guard of the data looks at."""

from __future__ import annotations

from dataclasses import dataclass

from agnews_cli.core.guards.columns import ColumnFacts
from agnews_cli.core.guards.data_facts import DataFacts


@dataclass(frozen=True, slots=True)
class DataSeen:
    """A data set, measured."""

    facts: DataFacts
    labels: tuple[str, ...]
    class_rows: tuple[int, ...]
    """Training rows of each class."""
    text_columns: tuple[str, ...]
    columns: tuple[ColumnFacts, ...]
    """The others, but for the label."""
    reader_warnings: tuple[str, ...]
    """What reading the files found."""
    trained: tuple[tuple[str, int], ...]
    """Presets that train every weight, with how many these are."""
    source: str
    """The data, as they stand on a command line."""

    @property
    def fix(self) -> str:
        return f"agnews check {self.source} --fix cleaned"
