"""Labels as people mean them: one spelling for one class, whatever the file's format made of it."""

from __future__ import annotations

import ast
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from agnews_cli.errors import BadRow
from agnews_cli.store.formats.table import Table, spelling

NOTHING_WORDS: Final = frozenset({"nan", "none", "null", "n/a", "na", "<na>", "nat"})
"""What programs write into a cell that is empty."""

_WHOLE = re.compile(r"[+-]?(?!0\d)\d+(?:\.0*)?")  # 01 is a code
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
_NO_LABEL: Final = NOTHING_WORDS | {"-", "?"}
_DECIMAL = re.compile(r"[+-]?\d+,(?:0|00|25|5|50|75)")  # stars, halves and quarters
_SEPARATORS = re.compile(r"\s*[,;|\n\r]\s*")
_MAYBE_SEPARATORS = re.compile(r"\s*[/+&、]\s*|\s+and\s+|\s+")
_LONGEST_CODE = 8
_TRUTHS: Final = {"true": "1", "false": "0", "1": "true", "0": "false"}


def canonical(value: str) -> str:
    """The one spelling of a label: `1`, `1.0` and `+1` are `1`, `True` is `true`, é is one sign.

    Upper and lower case are kept, since they may tell classes apart.
    """
    text = value.strip()
    if _WHOLE.fullmatch(text):
        return str(int(text.partition(".")[0])) if len(text) < 400 else text
    if text.lower() in ("true", "false"):
        return text.lower()
    text = unicodedata.normalize("NFC", text)
    if text[:1] in _BRACKETS and (listed := _listed(text)) is not None and len(listed) == 1:
        return canonical(listed[0])
    return text


_BRACKETS: Final = ("[", "(", "{")


def _listed(text: str) -> list[str] | None:
    """The members where `text` is a list of words as Python writes it."""
    if not text.endswith(("]", ")", "}")) or len(text) > 1000:
        return None
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    fits = isinstance(found, list | tuple | set) and all(isinstance(f, str | int) for f in found)
    return [str(f) for f in found] if fits else None


def in_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Numbers by size if all are numbers, else words by alphabet."""
    labels = list(labels)
    if all(_NUMBER.fullmatch(label) for label in labels):
        return tuple(sorted(labels, key=lambda label: (float(label), label)))
    return tuple(sorted(labels))


def known(label: str, classes: Collection[str]) -> str | None:
    """The class that `label`, spelt canonically, means.

    1 and true are one where no other is; and so are 1 and 01, since programs drop the zero.
    """
    if label in classes:
        return label
    others = [_TRUTHS.get(label, "")]
    if label.isdecimal():
        others.append(label.lstrip("0") or "0")
        others += [label.zfill(width) for width in range(2, _LONGEST_CODE + 1)]
    return next((other for other in others if other in classes), None)


@dataclass(slots=True)
class Labels:
    """The labels of a column, met row by row: how many rows each has, and how they were spelt."""

    rows: dict[str, int] = field(default_factory=dict)
    """Of each class, in the order in which they were met."""
    first_lines: dict[str, int] = field(default_factory=dict)
    spellings: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, label: str, spelt: str, line: int) -> None:
        """One row of `label`, which the file spells `spelt`."""
        self.rows[label] = self.rows.get(label, 0) + 1
        self.first_lines.setdefault(label, line)
        seen = self.spellings[label]
        seen[spelt] = seen.get(spelt, 0) + 1

    def join_truths(self) -> None:
        """`true` among 0 and 1 is 1: a column with a gap was written by several programs."""
        if not set(self.rows) <= set(_TRUTHS) or not {"0", "1"} & set(self.rows):
            return
        for word, number in (("true", "1"), ("false", "0")):
            if word in self.rows:
                self.rows[number] = self.rows.get(number, 0) + self.rows.pop(word)
                line = self.first_lines.pop(word)
                self.first_lines[number] = min(line, self.first_lines.get(number, line))
                self.spellings[number].update(self.spellings.pop(word))

    def joined(self) -> list[str]:
        """Notes on spellings that are one class here."""
        several = {c: s for c, s in self.spellings.items() if len(s) > 1}
        return [
            f"{' and '.join(_quoted(s, n) for s, n in sorted(spelt.items()))} are one class"
            for spelt in several.values()
        ]

    def near_equal(self) -> list[str]:
        """Warnings of classes that differ in case or white space alone, and of nan and its like."""
        groups: dict[str, list[str]] = defaultdict(list)
        for label in self.rows:
            groups[_bare(label)].append(label)
        found = [
            f"classes {_list([_quoted(label, self.rows[label]) for label in group])} differ only "
            "in case, white space or leading zeros: if they are one class, spell them the same"
            for group in groups.values()
            if len(group) > 1
        ]
        nothing = [label for label in self.rows if label.casefold() in _NO_LABEL]
        if "-1" in self.rows and _is_the_only_negative(self.rows):
            nothing.append("-1")
        return found + [
            f"class {_quoted(label, self.rows[label])} reads like an empty cell that a program "
            "wrote down: leave those rows out unless it is meant"
            for label in nothing
        ]

    def maybe_several(self) -> list[str]:
        """A warning of classes that may be several of the others: `action/drama`, `cs.LG cs.AI`."""
        found = []
        for label in self.rows:
            parts = {part for part in _MAYBE_SEPARATORS.split(label.strip("[]")) if part}
            if len(parts) > 1 and all(canonical(part) in self.rows for part in parts):
                found.append(_quoted(label, self.rows[label]))
        more = f" and {len(found) - 4} more" if len(found) > 4 else ""
        return found and [
            f"{', '.join(found[:4])}{more} may be several classes in one cell: agnews trains one "
            "label a row, and takes each for a class of its own"
        ]

    def several_in_a_cell(self) -> dict[str, int]:
        """Labels that are several of the others in one cell, with their rows; {} where none is."""
        listed = {label: _parts(label) for label in self.rows}
        alone = {label for label, parts in listed.items() if len(parts) == 1}
        several = {label: parts for label, parts in listed.items() if len(parts) > 1}
        if all(_DECIMAL.fullmatch(label) for label in several):
            return {}
        if len(several) > len(self.rows) / 2:  # hardly anything stands alone: the parts recur
            counts: dict[str, int] = defaultdict(int)
            for parts in several.values():
                for part in parts:
                    counts[part] += 1
            alone |= {part for part, count in counts.items() if count > 1}
        return {
            label: self.rows[label]
            for label, parts in several.items()
            if all(part in alone for part in parts) or label[:1] in _BRACKETS
        }


def _parts(label: str) -> list[str]:
    listed = _listed(label) if label[:1] in _BRACKETS else None
    if listed is not None:
        return [canonical(part) for part in listed]
    return [canonical(part) for part in _SEPARATORS.split(label) if part.strip()]


def _bare(label: str) -> str:
    """Without what is hardly seen: case, white space, joiners, zeros in front."""
    seen = (sign for sign in label.casefold() if unicodedata.category(sign) != "Cf")
    bare = "".join("".join(seen).replace("\ufe0f", "").split())
    return bare.lstrip("0") or "0" if bare.isdecimal() else bare


def _is_the_only_negative(labels: Iterable[str]) -> bool:
    """Of class numbers, -1 mostly means that there is none; -1, 0, 1 are an opinion."""
    numbers = [int(label) for label in labels if _WHOLE.fullmatch(label)]
    return bool(numbers) and max(numbers) > 1 and min(numbers) == -1


def _quoted(label: str, rows: int) -> str:
    return f"{label!r} ({rows:,} row{'s' * (rows != 1)})"


def _list(parts: Sequence[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else "".join(parts)


def spelt(table: Table, column: str, line: int, value: object) -> str | BadRow:
    """A label's cell as the file has it, text or BadRow; a list of one label is that label."""
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    elif isinstance(value, list | tuple) and len(value) > 1:
        parts = ", ".join(str(part) for part in value[:4])
        return table.bad_row(
            line, f"{column!r} has {len(value)} labels ({parts})", "one label a row"
        )
    elif isinstance(value, list | tuple):
        return ""
    return spelling(table, column, line, value)
