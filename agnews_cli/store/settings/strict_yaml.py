"""The one reader of YAML: as people mean it, with the line of every value, without surprises.

It is YAML 1.2's core schema, which has none of 1.1's surprises: `1e-4` is a number (1.1 makes it a
string), `no` and `12:30` are strings, `2026-01-01` is not a date. Integers may be grouped
(`22_700_000`). Anchors, aliases, merges, tags and repeated keys are refused: each has made
somebody's configuration mean something else than it said. So is a file that is larger than any of
these, rather than cut: the end of it may say what matters.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from agnews_cli.store.disk import files

Loc = tuple[str | int, ...]

SIZE_CAP_BYTES = 256 * 1024
"""A preset of a hundred models with all that it names takes a quarter of it."""
_DEPTH_CAP = 16
_LIBYAML = getattr(yaml, "CSafeLoader", None)


class _Composer(yaml.composer.Composer, yaml.resolver.BaseResolver):
    """PyYAML's composer over events that were looked at, with YAML 1.2's idea of a plain scalar."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def __init__(self, events: Iterable[yaml.Event]) -> None:
        yaml.composer.Composer.__init__(self)
        yaml.resolver.BaseResolver.__init__(self)
        self._events = deque(events)

    def check_event(self, *kinds: type[yaml.Event]) -> bool:
        return isinstance(self._events[0], kinds)

    def peek_event(self) -> yaml.Event:
        return self._events[0]

    def get_event(self) -> yaml.Event:
        return self._events.popleft()


_INT, _FLOAT, _BOOL, _NULL, _STR = (
    f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "null", "str")
)
# At most 18 digits: they fit 64 bits, and a longer one is a string that no number field takes.
_IMPLICIT = (
    (_NULL, r"~|null|Null|NULL|", "~nN\0"),
    (_BOOL, r"true|True|TRUE|false|False|FALSE", "tTfF"),
    (_INT, r"[-+]?[0-9](?:_?[0-9]){0,17}", "-+0123456789"),
    (
        _FLOAT,
        r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?",
        "-+.0123456789",
    ),
)
for _tag, _pattern, _first in _IMPLICIT:
    _Composer.add_implicit_resolver(
        _tag, re.compile(rf"^(?:{_pattern})$"), ["" if c == "\0" else c for c in _first]
    )


class _Dumper(yaml.SafeDumper):
    """Quotes what our own reader would not read as text, and nothing else."""

    yaml_implicit_resolvers = _Composer.yaml_implicit_resolvers

    def represent_str(self, data: str) -> yaml.ScalarNode:
        # PyYAML folds what Unicode calls a line end; escaped, it stays what it is.
        style = None if data.isprintable() else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)


def dump(data: Any, *, is_compact: bool = False) -> str:
    """Text that is read as the same. `is_compact`: what holds plain values alone is one line."""
    return str(
        yaml.dump(
            data,
            Dumper=_Dumper,
            sort_keys=False,
            allow_unicode=True,
            width=10**6,
            default_flow_style=None if is_compact else False,
        )
    )


class Refused(Exception):
    """YAML that is well-formed or not, but not taken; with its line."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


def content(path: Path, *, follows: bool = True) -> str:
    """The file's text. Raises Refused, or OSError where it is no plain file or cannot be read.

    `follows`: a link to one too, as people link their settings; never so in a store.
    """
    with files.plain(path, follows=follows) as stream:
        found = stream.read(SIZE_CAP_BYTES + 1)
    if len(found) > SIZE_CAP_BYTES:
        raise Refused(1, f"larger than {SIZE_CAP_BYTES // 1024} KB, the most that is read")
    try:
        return found.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = found.count(b"\n", 0, error.start) + 1
        raise Refused(line, f"byte 0x{found[error.start]:02x} is not UTF-8") from error


def read(path: Path, *, follows: bool = True) -> Document:
    """Of a file. Raises like `content`, and Refused for what is no such YAML."""
    return Document.parse(content(path, follows=follows))


def mapping(path: Path, invalid: Callable[..., Exception]) -> Document:
    """A file of fields and values; its `problems` may still be some.

    `invalid(path=…, problems=…)`: what is raised where it is none, with the place.
    """
    with refusals(path, invalid):
        document = read(path)
    if not isinstance(document.data, dict):
        found = "nothing" if document.data is None else shown(document.data)
        line = f"  {path}:{document.lines[()]}: should be fields and values (found {found})"
        raise invalid(path=path, problems=line)
    return document


@contextmanager
def refusals(path: Path, invalid: Callable[..., Exception]) -> Iterator[None]:
    """What the reader refuses, as `invalid(path=…, problems=…)`."""
    try:
        yield
    except Refused as error:
        line = f"  {path}:{error.line}: {error.reason}"
        raise invalid(path=path, problems=line) from error
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}" if path.is_file() else "not a file"
        raise invalid(path=path, problems=f"  {path}:1: {reason}") from error


@dataclass(slots=True)
class Document:
    """Plain data, and the line of every value by its path."""

    data: Any = None
    lines: dict[Loc, int] = field(default_factory=dict)
    problems: list[tuple[int, Loc, str]] = field(default_factory=list)

    @classmethod
    def parse(cls, content: str) -> Document:
        """Raises Refused for what makes the rest unreadable; `problems` has what does not."""
        document = cls()
        try:
            node = _node(content)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            reason = ", ".join(filter(None, (error.context, error.problem)))
            raise Refused(mark.line + 1 if mark else 1, f"not YAML: {reason}") from error
        except yaml.reader.ReaderError as error:
            line = content.count("\n", 0, error.position) + 1
            raise Refused(line, f"not YAML: {error.reason}") from error
        document.lines[()] = 1
        if node is None:
            return document
        document.lines[()] = node.start_mark.line + 1
        document.data = document._plain(node, ())
        return document

    def line(self, loc: Loc) -> int:
        """Of the value, or of the nearest thing around it where it is missing."""
        while loc not in self.lines:
            loc = loc[:-1]
        return self.lines[loc]

    def _plain(self, node: yaml.Node, loc: Loc) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, loc)
        if isinstance(node, yaml.SequenceNode):
            items = []
            for i, child in enumerate(node.value):
                self.lines[(*loc, i)] = child.start_mark.line + 1
                items.append(self._plain(child, (*loc, i)))
            return items
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, Any]:
        plain: dict[str, Any] = {}
        for key_node, child in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append((line, loc, "a key should be a word"))
                continue
            key = str(key_node.value)
            if key in plain:
                first = self.lines[(*loc, key)]
                self.problems.append((line, (*loc, key), f"given twice, first in line {first}"))
                continue
            self.lines[(*loc, key)] = line
            plain[key] = self._plain(child, (*loc, key))
        return plain


def _node(content: str) -> yaml.Node | None:
    """Read by libyaml where PyYAML has it, which is faster; what that does not take is read by
    PyYAML's own parser, which decides and whose words and lines a user sees."""
    if _LIBYAML is not None:
        with suppress(yaml.YAMLError, Refused, UnicodeEncodeError):
            return _composed(content, _LIBYAML)
    return _composed(content, yaml.SafeLoader)


def _composed(content: str, loader: Any) -> yaml.Node | None:
    return _Composer(_checked_events(content, loader)).get_single_node()


def _checked_events(content: str, loader: Any) -> Iterator[yaml.Event]:
    """Refuse before anything is built: what is deep, shared, tagged, or several documents."""
    depth = documents = 0
    for event in yaml.parse(content, loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            raise Refused(line, f"aliases are refused: write the value out (found *{event.anchor})")
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            raise Refused(line, f"anchors are refused: write the value out (found &{event.anchor})")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise Refused(line, f"tags are refused (found {shown(tag)})")
        if isinstance(event, yaml.ScalarEvent) and not event.value.isascii():
            try:
                event.value.encode()
            except UnicodeEncodeError:
                raise Refused(line, "half of a surrogate pair is no character") from None
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise Refused(line, "a second document: the file is one")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEPTH_CAP:
                raise Refused(line, f"nested deeper than {_DEPTH_CAP} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        yield event


def _scalar(node: yaml.Node) -> Any:
    value = str(node.value)
    if node.tag == _NULL:
        return None
    if node.tag == _BOOL:
        return value.lower() == "true"
    if node.tag == _INT:
        return int(value)
    return float(value) if node.tag == _FLOAT else value


def shown(value: Any) -> str:
    if value is None:
        return "nothing"
    shown = value if isinstance(value, str) else json.dumps(value)
    quoted = repr(shown) if isinstance(value, str) else shown
    return quoted if len(quoted) <= 60 else quoted[:57] + "..."


def ends(text: str) -> dict[int, int]:
    """The column behind what is said in each line that says something."""
    found: dict[int, int] = {}
    for token in yaml.scan(text, yaml.SafeLoader):
        start, end = token.start_mark, token.end_mark
        for number in range(start.line, end.line):  # a text of several lines holds no comment
            found[number + 1] = 10**9
        if end.index > start.index:
            found[end.line + 1] = max(end.column, found.get(end.line + 1, 0))
    return found
