"""How bytes are text: one pass over a file gives its SHA-256, its encoding and whatever is wrong.

UTF-8, with or without a byte order mark; UTF-16 and UTF-32 with one; UTF-16 without, where every
second byte is NUL; else Windows-1252, where the bytes look like a Western language in it. Anything
else is refused with its place: what an encoding means cannot be guessed for certain.
"""

from __future__ import annotations

import codecs
import difflib
import hashlib
import io
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from encodings.aliases import aliases
from typing import Final, NoReturn, TextIO

from agnews_cli.errors import BadEncoding, BadRow, EmptyData, UnknownEncoding
from agnews_cli.store.formats.likely import is_western, likely_codec
from agnews_cli.store.formats.source import CHUNK_BYTES, Source

_MARKS: Final = (  # longest first: the mark of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NO_TEXT = {"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem"}
_SPEC = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8", "cp1252": "Windows-1252"}
_UTF8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_ASCII: Final = bytes(range(128))
_NO_LEADS: Final = bytes(range(0xC0))  # every longer sequence of UTF-8 begins with another byte
_NO_LETTERS: Final = bytes(b for b in range(256) if not (b < 128 and chr(b).isalpha()))
_UNDEFINED: Final = frozenset(b"\x81\x8d\x8f\x90\x9d")  # in Windows-1252
_LETTERS: Final = frozenset(
    b for b in range(128, 256) if b not in _UNDEFINED and bytes([b]).decode("cp1252").isalpha()
)
_SIGN_IN_WORD = re.compile(  # a sign between letters is a letter of another encoding
    rb"(?<=[a-z])[\x82\x84\x86-\x89\x8b\x93\x94\x98\xa1-\xa9\xac\xaf-\xb3\xb6\xb8\xb9\xbb-\xbf\xd7\xf7]"
    rb"(?=[a-z])"
)
_LONGEST_LINE_BYTES = 64 << 20
_NO_LINES = "Write it as CSV, JSON Lines or Parquet, one row a line."
_LOOKED_BYTES = 16 << 20  # for what takes 20 ms a megabyte
_MOST_FOREIGN = 0.3  # of all letters; French has 4%, a Cyrillic text nearly all
_MOST_UTF8 = 0.2  # of what is not ASCII; true Windows-1252 has next to none


@dataclass(frozen=True, slots=True)
class Look:
    """What one pass over the bytes finds. `is_cut`: the file goes on where the stream ended."""

    sha256: str
    size_bytes: int
    is_cut: bool = False
    encoding: str = ""
    notes: tuple[str, ...] = ()
    has_quotes: bool = False
    has_escapes: bool = False
    """Whether a backslash stands before a quote."""
    has_returns: bool = True
    """Whether there are carriage returns: lines are found faster where there are none."""
    longest_line_bytes: int = 0
    """To the megabyte, from below."""


def hash_of(source: Source) -> Look:
    """SHA-256 and size alone, for what is no text."""
    digest, size_bytes = hashlib.sha256(), 0
    for chunk in _chunks(source):
        digest.update(chunk)
        size_bytes += len(chunk)
    return Look(digest.hexdigest(), size_bytes)


def look(source: Source, encoding: str | None = None) -> Look:
    """Reads everything once. `encoding`: as the user says; None: as the bytes say.

    Raises BadEncoding, BadRow at a NUL, EmptyData or UnknownEncoding.
    """
    decoding = _Decoding(source, encoding)
    digest = hashlib.sha256()
    has_quotes = has_escapes = has_returns = False
    size_bytes = line_bytes = longest = 0
    for chunk in _chunks(source):
        digest.update(chunk)
        size_bytes += len(chunk)
        has_quotes = has_quotes or b'"' in chunk
        has_escapes = has_escapes or b'\\"' in chunk
        has_returns = has_returns or b"\r" in chunk
        line_bytes = 0 if b"\n" in chunk or b"\r" in chunk else line_bytes + len(chunk)
        longest = max(longest, line_bytes)
        decoding.take(chunk)
    is_cut = size_bytes == source.bytes_at_most and _goes_on(source)
    if not size_bytes:
        raise EmptyData(path=source.place)
    name, notes = decoding.end(is_cut)
    return Look(
        sha256=digest.hexdigest(),
        size_bytes=size_bytes,
        is_cut=is_cut,
        encoding=name,
        notes=notes,
        has_quotes=has_quotes,
        has_escapes=has_escapes,
        has_returns=has_returns,
        longest_line_bytes=longest,
    )


def refuse_endless_lines(source: Source, look: Look) -> None:
    """A line must fit into memory. Raises BadRow."""
    if look.longest_line_bytes > _LONGEST_LINE_BYTES:
        found = f"a line of {look.longest_line_bytes >> 20} MB or more"
        expected = f"lines of at most {_LONGEST_LINE_BYTES >> 20} MB"
        raise BadRow(path=source.place, line=1, found=found, expected=expected, hint=_NO_LINES)


@contextmanager
def text_of(source: Source, look: Look) -> Iterator[TextIO]:
    """The decoded stream, its line ends as they are.

    Where the file is cut, half a character may stand at the end, and is left out.
    """
    errors = "ignore" if look.is_cut else "strict"
    newline = "" if look.has_returns else "\n"
    with source.open() as stream:
        text = io.TextIOWrapper(stream, look.encoding, errors, newline)
        text._CHUNK_SIZE = CHUNK_BYTES // 4  # type: ignore[attr-defined]  # 8 KiB are slow
        try:
            yield text
        except UnicodeDecodeError:  # it was readable a moment ago
            raise BadRow(
                path=source.place,
                line=0,
                found="other bytes than before",
                expected="an unchanged file",
            ) from None
        finally:
            text.detach()  # the stream has an owner who closes it


def codec_name(given: str) -> str:
    """Python's name of a text encoding. Raises UnknownEncoding, naming near ones."""
    try:
        found = codecs.lookup(given.strip())
    except (LookupError, ValueError, UnicodeError):
        found = None
    if found is None or not found._is_text_encoding or found.name in _NO_TEXT:
        known = {*aliases, *aliases.values()} - _NO_TEXT
        near = difflib.get_close_matches(re.sub(r"[^a-z0-9]+", "_", given.casefold()), known, 3)
        hint = f"Did you mean --encoding {' or '.join(near)}?" if near else ""
        raise UnknownEncoding(given=given, hint=hint)
    return found.name


def _chunks(source: Source) -> Iterator[bytes]:
    with source.open() as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk


def _goes_on(source: Source) -> bool:
    """Whether there is a byte after the last one that may be read."""
    longer = Source(source.path, source.compression, source.member)
    left = source.bytes_at_most or 0
    with longer.open() as stream:
        while left and (skipped := stream.read(min(left, CHUNK_BYTES))):
            left -= len(skipped)
        return bool(stream.read(1))


class _Decoding:
    """Decodes chunk by chunk, to see whether it can be done."""

    def __init__(self, source: Source, given: str | None) -> None:
        self._source, self._given = source, given
        with source.open() as stream:
            head = stream.read(4096)
        mark = next((name for sign, name in _MARKS if head.startswith(sign)), "")
        self._has_mark = bool(mark)
        self.encoding = mark or _wide(head) or "utf-8"
        if given is not None:
            self.encoding = codec_name(given)
            if mark.split("-sig")[0] == self.encoding:
                self.encoding = mark
            elif self.encoding == "utf-16" and not mark:
                self.encoding = _wide(head) or "utf-16"
        self._is_plain = self.encoding in ("utf-8", "utf-8-sig")
        plain = "utf-8" if self._is_plain else self.encoding  # offsets then count the mark
        self._decoder = codecs.getincrementaldecoder(plain)()
        self._read_bytes = 0
        self._valid = 0  # sequences of UTF-8 before the first bad byte
        self._bad_at = -1
        self._is_utf8_too: bool | None = None  # unknown while there is only ASCII
        self._western = _Western()

    def take(self, chunk: bytes) -> None:
        if self._bad_at >= 0:
            self._western.take(chunk)
        elif not (self._is_plain and chunk.isascii() and not self._decoder.getstate()[0]):
            self._decode(chunk)
        if self._given and not self._is_plain and self._is_utf8_too is None and not chunk.isascii():
            self._is_utf8_too = _is_utf8(chunk)
        if self._is_plain and b"\0" in chunk:
            self._refuse_nul(self._read_bytes + chunk.index(b"\0"))
        self._read_bytes += len(chunk)

    def _decode(self, chunk: bytes, final: bool = False) -> None:
        waiting = len(self._decoder.getstate()[0])
        try:
            text = self._decoder.decode(chunk, final)
        except UnicodeError as error:
            if not isinstance(error, UnicodeDecodeError):  # UTF-16 needs its mark
                self._refuse(0)
            self._bad_at = self._read_bytes - waiting + error.start
            if self.encoding != "utf-8" or self._given is not None:
                self._refuse(self._bad_at)
            self._western.take(error.object)  # with what waited
        else:
            if self.encoding == "utf-8":
                self._valid += len(chunk.translate(None, _NO_LEADS))
            elif not self._is_plain and "\0" in text:
                before = len(text[: text.index("\0")].encode(self.encoding, "replace"))
                self._refuse_nul(self._read_bytes + before)

    def end(self, is_cut: bool) -> tuple[str, tuple[str, ...]]:
        """The encoding and what to say of it. Half a character at the end of a part is none."""
        left = self._decoder.getstate()[0]
        if self._bad_at < 0 and left and not is_cut:
            self._decode(b"", final=True)
        if self._bad_at < 0:
            shown = "" if self._is_plain else f"read as {self.encoding.upper()}"
            if self._given is not None:
                doubt = f"the file is UTF-8, too, and {shown} as told: look at its texts"
                return self.encoding, (doubt,) if self._is_utf8_too else ()
            return self.encoding, (shown,) if shown else ()
        is_half = len(left) > 1  # of a character: the file ends too early
        if is_half or not self._western.is_likely(self._valid):
            self._refuse(self._bad_at)
        line, _, byte = _place(self._source, self._bad_at)
        note = f"not UTF-8: read as Windows-1252 (line {line}, byte 0x{byte:02x})"
        return "cp1252", (f"{note}; --encoding names another",)

    def _refuse(self, at: int) -> NoReturn:
        line, position, byte = _place(self._source, at)
        raise BadEncoding(
            path=self._source.place,
            line=line,
            byte=byte,
            position=position,
            encoding=_SPEC.get(self.encoding, self.encoding),
            hint=self._way_out(at),
        )

    def _way_out(self, at: int) -> str:
        tried = "cp1252" if self.encoding == "utf-8" and self._given is None else self.encoding
        sample = _sample(self._source, at)
        found = "" if self._given and _is_utf8(sample) else likely_codec(sample, tried)
        if self._given is not None:
            other = f"--encoding {found}" if found else "no --encoding, so that agnews looks"
            return f"Try {other}."
        if self._has_mark or self._western.is_mostly_utf8(self._valid) or not found:
            path = shlex.quote(self._source.path)
            loss = f"iconv -c -f UTF-8 -t UTF-8 {path} > mended.csv"
            named = "" if found else " Or name the encoding: --encoding NAME"
            return f"Leave the damaged bytes out: {loss}{named}"
        return f"It looks like {found}: --encoding {found}"

    def _refuse_nul(self, at: int) -> NoReturn:
        line, position, _ = _place(self._source, at)
        path = shlex.quote(self._source.path)
        raise BadRow(
            path=self._source.place,
            line=line,
            found=f"a NUL byte at position {position}",
            expected="text",
            hint=f"Remove it: tr -d '\\000' < {path} > mended.csv",
        )


class _Western:
    """Whether bytes that are not UTF-8 look like a Western language in Windows-1252."""

    def __init__(self) -> None:
        self._high: Counter[int] = Counter()
        self._ascii_letters = 0
        self._looked = self._looked_high = self._utf8 = self._utf8_bytes = self._signs = 0

    def take(self, chunk: bytes) -> None:
        high = chunk.translate(None, _ASCII)
        self._high.update(high)
        self._ascii_letters += len(chunk.translate(None, _NO_LETTERS))
        if self._looked > _LOOKED_BYTES:
            return
        self._looked += len(chunk)
        self._looked_high += len(high)
        found = _UTF8.findall(chunk)
        self._utf8 += len(found)
        self._utf8_bytes += sum(map(len, found))
        self._signs += len(_SIGN_IN_WORD.findall(chunk))

    def is_damaged_utf8(self, valid_before: int) -> bool:
        valid = valid_before + self._utf8
        invalid = self._looked_high - self._utf8_bytes
        return valid > _MOST_UTF8 * (valid + invalid)

    def is_mostly_utf8(self, valid_before: int) -> bool:
        """By bytes: in pairs of another encoding every third may look like UTF-8."""
        valid = 2 * valid_before + self._utf8_bytes
        return valid > 0.8 * (2 * valid_before + self._looked_high)

    def is_likely(self, valid_before: int) -> bool:
        if self.is_damaged_utf8(valid_before) or self._high.keys() & _UNDEFINED:
            return False
        letters = sum(self._high[byte] for byte in _LETTERS)
        return (
            letters <= _MOST_FOREIGN * (letters + self._ascii_letters)
            and self._signs <= 0.1 * self._looked_high
            and is_western(self._high)
        )


def _is_utf8(chunk: bytes) -> bool:
    """Its end may be half a character."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(chunk)
    except UnicodeDecodeError:
        return False
    return True


def _wide(head: bytes) -> str:
    """UTF-16 without its mark: every second byte is NUL, the others are not."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    most = len(head) // 2 * 0.4
    if len(head) < 8 or max(even, odd) <= most or min(even, odd) > 0:
        return ""
    return "utf-16-le" if odd > even else "utf-16-be"


def _place(source: Source, at: int) -> tuple[int, int, int]:
    """Line and position in the line, both from 1, and value of the byte at this offset."""
    line, line_start, begin = 1, 0, 0
    for chunk in _chunks(source):
        if begin + len(chunk) > at:
            break
        line += chunk.count(b"\n")
        if (last := chunk.rfind(b"\n")) >= 0:
            line_start = begin + last + 1
        begin += len(chunk)
    before = chunk[: at - begin]
    if (last := before.rfind(b"\n")) >= 0:
        line_start = begin + last + 1
    return line + before.count(b"\n"), at - line_start + 1, chunk[at - begin]


def _sample(source: Source, at: int, most: int = 1 << 16) -> bytes:
    """The lines that begin with the one at fault."""
    with source.open() as stream:
        left = max(0, at - most)
        while left and (skipped := stream.read(min(left, CHUNK_BYTES))):
            left -= len(skipped)
        data = stream.read(2 * most)
    fault = min(at, most)
    begin, end = data.rfind(b"\n", 0, fault) + 1, data.rfind(b"\n")
    return data[begin:end] if end > fault else data[begin:]
