"""Comments in YAML, which say why a value is as it is; the reader itself passes them over."""

from __future__ import annotations

from dataclasses import dataclass

from agnews_cli.store.settings import strict_yaml


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
        ends = strict_yaml.ends(text.removeprefix("\ufeff"))
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
