"""Comments in YAML, which say why a value is as it is; the reader itself passes them over."""

from __future__ import annotations

from dataclasses import dataclass

import yaml


@dataclass(frozen=True, slots=True)
class Comments:
    """Of one file. `head`: the lines before anything is said, as paragraphs."""

    head: str
    _beside: dict[int, str]
    _alone: dict[int, str]

    @classmethod
    def of(cls, text: str) -> Comments:
        """`text`: YAML that can be read."""
        lines = text.removeprefix("\ufeff").splitlines()
        ends = _ends(text.removeprefix("\ufeff"))
        beside: dict[int, str] = {}
        alone: dict[int, str] = {}
        for number, line in enumerate(lines, 1):
            rest = line[ends.get(number, 0) :].strip()
            if rest.startswith("#"):
                found = beside if ends.get(number) else alone
                found[number] = rest.removeprefix("#").strip()
        first = min((n for n, end in ends.items() if end), default=len(lines) + 1)
        head = "\n".join(alone.pop(n, "") for n in range(1, first)).strip()
        return cls(head, beside, alone)

    def why(self, line: int) -> str:
        """What stands beside a line, or in the lines right above it; empty where nothing does."""
        found = [self._beside[line]] if line in self._beside else []
        above = line - 1
        while not found and above in self._alone:
            above -= 1
        return " ".join(found or [self._alone[n] for n in range(above + 1, line)])


def _ends(text: str) -> dict[int, int]:
    """The column behind what is said in each line that says something."""
    found: dict[int, int] = {}
    for token in yaml.scan(text, yaml.SafeLoader):
        start, end = token.start_mark, token.end_mark
        for number in range(start.line, end.line):  # a text of several lines holds no comment
            found[number + 1] = 10**9
        if end.index > start.index:
            found[end.line + 1] = max(end.column, found.get(end.line + 1, 0))
    return found
