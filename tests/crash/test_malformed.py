"""F15: malformed YAML and tables: words, a place and an exit code within two seconds."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agnews_cli.errors import AgnewsError, PresetInvalid
from agnews_cli.store.data import datasets
from agnews_cli.store.settings import presets
from tests.crash.faults import SEED, tiers

MOST_S = 2.0
CODES = (2, 65, 66, 69, 78)

GOOD_YAML = (Path(__file__).parents[2] / "presets" / "minilm.yaml").read_bytes()
GOOD_CSV = b"label,title,text\n" + b"".join(
    b'%d,"Title, %d","Some ""quoted"" words\nand a second line %d"\n' % (n % 3, n, n)
    for n in range(12)
)
GOOD_JSONL = b"".join(
    b'{"label": "a%d", "text": "words \\u00e9 %d"}\n' % (n % 2, n) for n in range(9)
)
GOOD_TSV = GOOD_CSV.replace(b",", b"\t")


def in_words(read: Callable[[], object], most_s: float = MOST_S) -> str:
    """Reads, or refuses in words; never slowly, never with anything else."""
    began_s = time.process_time()
    try:
        read()
        outcome = "read"
    except AgnewsError as error:
        assert error.exit_code in CODES, error
        assert error.message.strip()
        assert len(error.message) < 20_000
        outcome = type(error).__name__
    assert time.process_time() - began_s < most_s
    return outcome


BOMBS: dict[str, bytes] = {
    "alias bomb": b"a: &a [x,x]\n"
    + b"".join(b"%c: &%c [*%c,*%c,*%c]\n" % (n, n, n - 1, n - 1, n - 1) for n in range(98, 122)),
    "merge": b"a: &a {b: 1}\nc:\n  <<: *a\n",
    "python object": b"!!python/object/apply:os.system ['true']",
    "tag": b"!!binary aGVsbG8=",
    "deep flow": b"[" * 30_000,
    "deep mapping": b"{a: " * 15_000,
    "deep block": b"".join(b" " * n + b"a:\n" for n in range(300)),
    "many keys": b"".join(b"k%d: 1\n" % n for n in range(6000)),
    "one key often": b"name: a\n" * 7000,
    "long line": b"name: " + b"x" * 60_000,
    "question marks": b"? " * 30_000,
    "dashes": b"- " * 30_000,
    "colons": b"a: " * 20_000,
    "percent": b"%" * 60_000,
    "open quote": b'name: "' + b"\\" * 60_000,
    "open block": b"name: |\n" + b" x\n" * 20_000,
    "NUL": b"name: a\0b",
    "UTF-16": "name: minilm".encode("utf-16"),
    "latin 1": "name: café".encode("latin-1"),
    "BOM twice": b"\xef\xbb\xbf\xef\xbb\xbfname: a",
    "bell": b"name: \x07",
    "surrogate": b'name: "\\ud800"',
    "huge number": b"order: " + b"9" * 10_000,
    "endless float": b"training: {lr: 1" + b"0" * 10_000 + b"e-99999}",
    "not a number": b"training: {lr: .nan}",
    "two documents": b"--- {}\n--- {}\n",
    "tabs": b"\tname:\t a\n",
    "nothing": b"",
    "spaces": b"   \n \n",
}


@pytest.mark.parametrize("name", BOMBS)
def test_yaml_that_is_no_preset(tmp_path, name):
    path = tmp_path / "p.yaml"
    path.write_bytes(BOMBS[name])
    assert in_words(lambda: presets.load(str(path))) == "PresetInvalid"
    with pytest.raises(PresetInvalid) as caught:
        presets.load(str(path))
    assert f"{path}:" in caught.value.message  # with its line


TABLES: dict[str, bytes] = {
    "one long line.csv": b"label,text\n1,a\n2," + b"x" * 30_000_000 + b"\n",
    "one line of commas.csv": b"," * 3_000_000,
    "one line of quotes.csv": b"label,text\n1," + b'"' * 3_000_001,
    "open quote.csv": b'label,text\n1,"a\n' + b"2,b\n" * 200_000,
    "ragged.csv": GOOD_CSV + b"1,2\n",
    "one column.csv": b"label\n1\n2\n",
    "only a header.csv": b"label,text\n",
    "many columns.csv": b",".join(b"c%d" % n for n in range(20_000)) + b"\n1\n",
    "carriage returns.csv": b"label,text\r1,a\r2,b\r",
    "half of UTF-16.csv": GOOD_CSV.decode().encode("utf-16")[:-1],
    "half of UTF-32.csv": GOOD_CSV.decode().encode("utf-32")[:-2],
    "latin 1.csv": b"label,text\n1,caf\xe9\n2,a\n",
    "NUL.csv": b"label,text\n1,a\0b\n",
    "BOM inside.csv": b"label,text\n1,\xef\xbb\xbf\n2,\xef\xbb\xbf\n",
    "overlong UTF-8.csv": b"label,text\n1,\xc0\x80\n",
    "half a character.csv": b"label,text\n1,\xe2\x82",
    "an archive.csv": b"PK\x03\x04" + random.Random(0).randbytes(10_000),
    "gzip.csv": b"\x1f\x8b\x08" + random.Random(0).randbytes(10_000),
    "one class.csv": b"label,text\n" + b"1,a\n" * 50,
    "each its class.csv": b"label,text\n" + b"".join(b"%d,a\n" % n for n in range(500)),
    "blank.csv": b" \n" * 100_000,
    "deep.jsonl": b'{"a":' * 100_000,
    "brackets.jsonl": b"[" * 1_000_000,
    "digits.jsonl": b'{"label": ' + b"9" * 100_000 + b', "text": "a"}\n',
    "one long line.jsonl": b'{"label": 1, "text": "' + b"x" * 20_000_000 + b'"}\n',
    "surrogate.jsonl": b'{"label": 1, "text": "\\ud800"}\n',
    "not objects.jsonl": b"1\n2\n3\n",
    "other keys.jsonl": b"".join(b'{"k%d": 1}\n' % n for n in range(5000)),
    "infinite.jsonl": b'{"label": Infinity, "text": "a"}\n{"label": NaN, "text": "b"}\n',
    "nested.jsonl": b'{"label": {"a": 1}, "text": ["b"]}\n',
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_that_are_none(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(TABLES[name])
    outcome = in_words(lambda: datasets.find(str(path)))
    assert outcome != "read", "this was taken for data"


WIDE = {"16.csv": GOOD_CSV.decode().encode("utf-16"), "32.csv": GOOD_CSV.decode().encode("utf-32")}


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", *WIDE])
def test_what_the_fuzzer_starts_from_is_read(tmp_path, name):
    good = {"a.csv": GOOD_CSV, "a.tsv": GOOD_TSV, "a.jsonl": GOOD_JSONL, **WIDE}[name]
    (tmp_path / name).write_bytes(good)
    assert in_words(lambda: datasets.find(str(tmp_path / name))) == "read"


def mutated(good: bytes, rng: random.Random) -> bytes:
    data = bytearray(good)
    for _ in range(rng.choice([1, 1, 2, 5, 30])):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(6)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at:at] = rng.choice(TOKENS) * rng.choice([1, 1, 50])
        elif kind == 2:
            del data[at : at + rng.randrange(1, 40)]
        elif kind == 3:
            other = rng.randrange(len(data) + 1)
            data[at:at] = data[other : other + rng.randrange(200)]
        elif kind == 4:
            data[at : at + 4] = rng.randbytes(4)
        else:
            line = data.find(b"\n", at) + 1
            data[line:line] = data[:line]
        data = data or bytearray(b"\n")
    return bytes(data)


TOKENS = [
    b"\0", b"\xff", b"\xef\xbb\xbf", b"\r", b"\n", b'"', b"'", b",", b"\t", b":", b"- ", b"{", b"[",
    b"]", b"}", b"&a ", b"*a", b"<<: ", b"!!x ", b"|", b">", b"%", b"@", b"`", b"#", b"? ",
    b"---\n", b"...\n", b"\\ud800", b"\xe2\x80\xa8", b"9" * 30, b"1e999", b"null", b"  ",
]  # fmt: skip


@tiers(300, 20_000)
def test_fuzzed_files_are_read_or_refused_in_words(tmp_path, tries):
    seen: dict[str, int] = {}
    for number in range(tries):
        rng = random.Random(f"F15 {SEED} {number}")
        kind = rng.choice(["yaml", "yaml", "csv", "tsv", "jsonl"])
        good = {"yaml": GOOD_YAML, "csv": GOOD_CSV, "tsv": GOOD_TSV, "jsonl": GOOD_JSONL}[kind]
        path = tmp_path / f"fuzzed.{kind}"
        path.write_bytes(mutated(good, rng))
        read = presets.load if kind == "yaml" else datasets.find
        try:
            outcome = in_words(lambda path=path, read=read: read(str(path)))
        except BaseException as error:
            raise AssertionError(f"AGNEWS_TEST_SEED={SEED}, number {number}: {error!r}") from error
        seen[f"{kind} {outcome}"] = seen.get(f"{kind} {outcome}", 0) + 1
    print("F15", seen)
    assert len(seen) > 8 or tries < 100


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=400), st.sampled_from(["yaml", "csv", "tsv", "jsonl"]))
def test_any_bytes_are_read_or_refused_in_words(tmp_path, data, kind):
    path = tmp_path / f"any.{kind}"
    path.write_bytes(data)
    in_words(lambda: (presets.load if kind == "yaml" else datasets.find)(str(path)))
