"""Files are read as they are: whatever the separator, the encoding, the archive or the shape."""

from __future__ import annotations

import bz2
import csv
import gzip
import hashlib
import io
import json
import lzma
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agnews_cli import errors
from agnews_cli.errors import BadRow
from agnews_cli.store.formats import tables
from agnews_cli.store.formats.table import ABSENT, Table

COLUMNS = ("text", "label")
ROWS = [("it rained, again", "weather"), ('a "good" day', "mood"), ("two\nlines", "weather")]


def is_header(fields: Sequence[str]) -> bool:
    return {"text", "label"} <= {field.strip().lower() for field in fields} or fields == ["text"]


def write(path: Path, content: str | bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def opened(path: Path, content: str | bytes, **options: Any) -> Table:
    return tables.open_file(write(path, content), is_header=is_header, **options)


def values(table: Table) -> list[tuple[object, ...]]:
    """All rows, none of them bad."""
    rows = [row for _, row in table.rows(range(len(table.columns)))]
    assert not [row for row in rows if isinstance(row, BadRow)]
    return [tuple(row) for row in rows if not isinstance(row, BadRow)]


def bad(table: Table) -> list[str]:
    return [row.message for _, row in table.rows([0]) if isinstance(row, BadRow)]


def separated(
    separator: str = ",", rows: Sequence[Sequence[str]] = ROWS, end: str = "\r\n", **options: Any
) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=separator, lineterminator=end, **options)
    writer.writerows([COLUMNS, *rows])
    return stream.getvalue()


def everything(table: Table) -> tuple[object, ...]:
    rows = [(line, str(row)) for line, row in table.rows(range(len(table.columns)))]
    return table.columns, table.sha256, table.size_bytes, table.bytes_read, table.class_names, rows


def assert_reopens(table: Table) -> None:
    again = tables.reopen(table.path, table.form, shards=table.shards, bytes_read=table.bytes_read)
    assert everything(again) == everything(table)


# ---- separators ---------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt", "", ".data"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found_whatever_the_suffix(tmp_path, separator, suffix):
    table = opened(tmp_path / f"x{suffix}", separated(separator))
    assert (table.columns, values(table)) == (COLUMNS, ROWS)
    assert_reopens(table)


def test_quoted_fields_with_line_breaks_come_first_and_hide_no_separator(tmp_path):
    rows = [(f"first;\r\nsecond, third {i}", "ab"[i % 2]) for i in range(9)]
    table = opened(tmp_path / "x.csv", "\ufeff" + separated(";", rows, quoting=csv.QUOTE_ALL))
    assert values(table) == rows
    assert [line for line, _ in table.rows([0])][:3] == [2, 4, 6]
    assert "separator: semicolon" in table.notes


def test_commas_in_the_texts_do_not_make_a_semicolon_file_one_of_commas(tmp_path):
    rows = [("yes, well", "a"), ("no", "b"), ("one, two, three", "a")] * 3
    assert values(opened(tmp_path / "x.csv", separated(";", rows))) == rows


@pytest.mark.parametrize("line", ["sep=;", "SEP=;", '"sep=;"'])
def test_excels_first_line_names_the_separator(tmp_path, line):
    table = opened(tmp_path / "x.csv", f"{line}\r\ntext;label\r\na;b\r\nc;d\r\n")
    assert (table.columns, values(table)) == (COLUMNS, [("a", "b"), ("c", "d")])
    assert [at for at, _ in table.rows([0])] == [3, 4]
    assert_reopens(table)


def test_quotes_between_tabs_that_mean_themselves(tmp_path):
    text = 'text\tlabel\n"so" he said\ta\n"open\tb\nb\ta\n'
    table = opened(tmp_path / "x.tsv", text)
    assert values(table) == [('"so" he said', "a"), ('"open', "b"), ("b", "a")]
    assert_reopens(table)


def test_a_late_quote_between_tabs_is_seen_too(tmp_path):
    text = "text\tlabel\n" + "a\tb\n" * 5000 + 'x\t"y" z\n'
    table = opened(tmp_path / "x.tsv", text)
    assert values(table)[-1] == ("x", '"y" z')


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_quotes_behind_a_backslash(tmp_path, separator):
    rows = ['"He said \\"hi\\", then left"@"a"', '"a path: C:\\\\x"@"b"', '"two\n\\"lines\\""@"a"']
    content = "\n".join(["text@label", *rows]).replace("@", separator)
    table = opened(tmp_path / "x.csv", content)
    assert values(table) == [
        ('He said "hi", then left', "a"), ("a path: C:\\x", "b"), ('two\n"lines"', "a")
    ]  # fmt: skip
    assert_reopens(table)
    plain = 'text,label\n"C:\\",a\n"b ""c""",d\n'  # a backslash that means itself
    assert values(opened(tmp_path / "y.csv", plain)) == [("C:\\", "a"), ('b "c"', "d")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(tmp_path, end):
    assert values(opened(tmp_path / "x.csv", separated(end=end, quoting=csv.QUOTE_ALL))) == ROWS


def test_mixed_line_ends_and_blank_lines(tmp_path):
    table = opened(tmp_path / "x.csv", "\ntext,label\r\n\r\na,1\rb,2\n   \nc,3")
    assert values(table) == [("a", "1"), ("b", "2"), ("c", "3")]
    assert [line for line, _ in table.rows([])] == [4, 5, 7]


def test_a_separator_behind_every_row(tmp_path):
    table = opened(tmp_path / "x.csv", "text,label,\na,1,\nb,2,\n")
    assert (table.columns, values(table)) == (
        ("text", "label", ""),
        [("a", "1", ""), ("b", "2", "")],
    )
    table = opened(tmp_path / "y.csv", "text,label\na,1,\nb,2,\n")
    assert (table.columns, len(values(table))) == (("text", "label", ""), 2)
    table = opened(tmp_path / "z.csv", "text,label,\na,1\nb,2\n")
    assert (table.columns, len(values(table))) == (COLUMNS, 2)


def test_names_of_rows_as_r_writes_them(tmp_path):
    table = opened(tmp_path / "x.tsv", 'text\tlabel\n"1"\t"a b"\t"x"\n"2"\t"c"\t"y"\n')
    assert table.columns == ("", "text", "label")
    assert values(table)[0] == ("1", "a b", "x")


def test_lines_of_text_are_a_column(tmp_path):
    lines = ["Hello, world", "a; b, c", 'she said "no"', "the end"]
    table = opened(tmp_path / "x.txt", "\n".join(lines))
    assert (table.columns, table.form.header) == (("column 1",), False)
    assert values(table) == [(line,) for line in lines]
    with pytest.raises(errors.UnsupportedFile):
        opened(tmp_path / "README", "Hello\nThis is a program.\n")


# ---- headers ------------------------------------------------------------------------------------

S140 = "".join(
    f'"{i % 2 * 4}","14678103{i}","Mon Apr 06 22:19:4{i} PDT 2009","NONE","u{i}","so it is"\n'
    for i in range(9)
)


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("1,A title,A text\n2,Other,More\n", ("class", "title", "description")),
        ("1,A text\n2,Other\n", ("class", "text")),
        ("1,A text\n2,B\n3,C\n4,D\n", ("column 1", "column 2")),  # numbers of rows
        ("1,a b,c d,e f\n2,g,h,i\n", ("class", "text 1", "text 2", "text 3")),
        (S140, tuple(f"column {i}" for i in range(1, 7))),
        (
            "rain fell all day long,a\nthe sun shone for hours,b\nit rains,a\n",
            ("column 1", "column 2"),
        ),
        ("rain fell all day long,a\nthe sun shone for hours,b\n", ("column 1", "column 2")),
        ("good,pos\nbad,neg\nfine,pos\n", ("column 1", "column 2")),  # pos stands again below
        ("rain fell again\nthe sun shone\n", ("column 1",)),
        ("rain\nsun\nsnow\n", ("column 1",)),
    ],
)
def test_files_without_a_header(tmp_path, content, columns):
    table = opened(tmp_path / "x.csv", content)
    assert (table.columns, table.form.header) == (columns, False)
    assert len(values(table)) == len(content.splitlines())
    assert any(note.startswith("no header, read as") for note in table.notes)
    assert_reopens(table)


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("0,1\n0,it rained all day\n1,the sun shone\n", ("0", "1")),  # pandas
        (",0,1\n0,0,it rained\n1,1,it shone\n", ("", "0", "1")),
        (",text,label\n0,a,b\n1,c,d\n", ("", "text", "label")),
        ("Zeit,Was war los?\n2024-01-02,nichts\n2024-01-03,alles\n", ("Zeit", "Was war los?")),
        ("How did you like your stay?,kind\nvery well I must say,a\nnot at all I am afraid,b\n",
         ("How did you like your stay?", "kind")),
        ("Meinung,Note\ngut,1\nschlecht,5\n", ("Meinung", "Note")),
        ("tweet\nit rained again today\nwhat a day it was\n", ("tweet",)),
        ("text\nyes\nno\n", ("text",)),
        (" text , label\na,b\n", COLUMNS),
    ],
)  # fmt: skip
def test_files_with_a_header(tmp_path, content, columns):
    table = opened(tmp_path / "x.csv", content)
    assert (table.columns, table.form.header) == (columns, True)
    assert len(values(table)) == len(content.splitlines()) - 1
    assert_reopens(table)


def test_what_the_user_says_of_the_header_is_obeyed(tmp_path):
    assert opened(tmp_path / "x.csv", "1,a\n2,b\n", header=True).columns == ("1", "a")
    table = opened(tmp_path / "y.csv", "text,label\na,b\n", header=False)
    assert (table.columns, len(values(table))) == (("column 1", "column 2"), 2)


def test_a_doubled_name_is_kept_under_another(tmp_path):
    table = opened(tmp_path / "x.csv", "id,text,id,label,id.1,,\n1,a,2,b,3,4,5\n")
    assert table.columns == ("id", "text", "id.2", "label", "id.1", "", "")
    assert table.doubled == ("id",)
    assert any("'id' stands more than once (line 1)" in note for note in table.notes)


# ---- bad rows -----------------------------------------------------------------------------------


def test_reading_goes_on_after_bad_rows_and_says_where_they_were(tmp_path):
    content = 'text,label\na,1\nb\n"c\nc",2,3\n"d"e,4\nf,5\n'
    table = opened(tmp_path / "x.csv", content)
    assert [line for line, row in table.rows([0]) if not isinstance(row, BadRow)] == [2, 7]
    first, second, third = bad(table)
    assert "x.csv, line 3: 1 field; expected 2 (text, label)" in first
    assert "line 4: 3 fields" in second
    assert "line 6: bad quoting" in third
    assert_reopens(table)


def test_an_open_quote_is_told_where_it_opens(tmp_path):
    table = opened(tmp_path / "x.csv", 'text,label\na,1\n"b,2\n' + "c,3\n" * 100)
    assert len(bad(table)) == 1 and "line 3: a quote that is never closed" in bad(table)[0]
    assert len(list(table.rows([0]))) == 2


def test_bad_lines_of_json(tmp_path):
    content = '{"text": "a", "label": NaN}\n{"text"\n[1]\n\n{"text": "\\ud800"}\n{"late": 1}\n'
    table = opened(tmp_path / "x.jsonl", content)
    assert table.columns == ("text", "label", "late")  # a key that comes late can be used
    rows = list(table.rows([0, 2]))
    assert [line for line, _ in rows] == [1, 2, 3, 5, 6]
    assert rows[0][1] == ["a", ABSENT] and rows[-1][1] == [ABSENT, 1]
    assert ["line 2: not JSON" in bad(table)[0], "line 3: a list" in bad(table)[1]] == [True, True]
    assert "line 5: half a surrogate pair" in bad(table)[2]


# ---- encodings ----------------------------------------------------------------------------------

FRENCH = [("Le café « coûte » l’été – déjà", "a"), ("rien", "b")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_encodings_are_found(tmp_path, encoding):
    table = opened(tmp_path / "x.csv", separated(rows=FRENCH).encode(encoding))
    assert (table.columns, values(table)) == (COLUMNS, FRENCH)
    assert_reopens(table)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_its_mark(tmp_path, encoding):
    table = opened(tmp_path / "x.csv", separated(rows=FRENCH).encode(encoding))
    assert values(table) == FRENCH and table.form.encoding == encoding
    assert_reopens(table)


def test_windows_1252_is_said_with_the_place(tmp_path):
    table = opened(tmp_path / "x.csv", b"text,label\na,b\ncaf\xe9,c\n")
    assert values(table)[1] == ("café", "c")
    note = "not UTF-8: read as Windows-1252 (line 3, byte 0xe9); --encoding names another"
    assert note in table.notes


FOREIGN = {
    "cp1251": "Сегодня весь день шёл дождь, а завтра обещают солнце",
    "koi8_r": "Сегодня весь день шёл дождь, а завтра обещают солнце",
    "shift_jis": "今日は一日中雨が降っていましたが、明日は晴れるそうです",
    "euc_kr": "오늘은 하루 종일 비가 왔지만 내일은 맑을 것이라고 합니다",
    "euc_jp": "今日は一日中雨が降っていましたが、明日は晴れるそうです",
    "big5": "今天整天都在下雨，但是明天應該會放晴",
    "gb18030": "今天整天都在下雨，但是明天应该会放晴",
    "cp1253": "Σήμερα έβρεχε όλη την ημέρα αλλά αύριο θα έχει ήλιο",
    "cp874": "วันนี้ฝนตกทั้งวัน แต่พรุ่งนี้อากาศจะแจ่มใส",
    "cp1255": "היום ירד גשם כל היום, אבל מחר תהיה שמש",
    "cp1256": "هطل المطر طوال اليوم ولكن غدا ستكون السماء صافية",
}


@pytest.mark.parametrize("encoding", FOREIGN)
def test_other_encodings_are_refused_with_a_hint_that_works(tmp_path, encoding):
    rows = [(FOREIGN[encoding], "a"), ("plain", "b")] * 3
    content = separated(rows=rows).encode(encoding)
    with pytest.raises(errors.BadEncoding, match=r"x.csv, line 2: byte 0x.. at position ") as e:
        opened(tmp_path / "x.csv", content)
    assert f"--encoding {encoding}" in e.value.advice
    table = opened(tmp_path / "x.csv", content, encoding=encoding)
    assert values(table) == rows
    assert_reopens(table)


LATIN = {
    "cp1250": "Dzień dobry, jak się masz dzisiaj, źle czy świetnie, tu jest Łódź",
    "cp1254": "Bugün hava çok güzel, güneşli ve sıcak, şimdi dışarı çıkıyoruz",
    "mac_roman": "L’élève a déjà été à l’école où il fait très chaud, ça va",
    "cp850": "L'élève a déjà été à l'école où il fait très chaud, ça va",
}


@pytest.mark.parametrize("encoding", LATIN)
def test_other_latin_letters_are_not_taken_for_windows_1252(tmp_path, encoding):
    rows = [(LATIN[encoding], "a")] * 3
    with pytest.raises(errors.BadEncoding) as caught:
        opened(tmp_path / "x.csv", separated(rows=rows).encode(encoding))
    assert f"--encoding {encoding}" in caught.value.advice


WESTERN = (
    "Das Wetter wird schöner, die Straße ist größer als früher – „gut“, äußerst übel",
    "El niño comió en la mañana, ¿qué pasó? ¡Increíble! Corazón de Año Nuevo",
    "A nação não tem ações à venda, é uma questão de opinião e coração, três irmãos",
    "Det är på högsta nivån som vi får se på en skön sjö; æblehøst på gården",
    "È così che la città è più bella perché c’è libertà, 20 € e 30° – œuvre, naïf",
    "Það er gott veður í dag og það rignir ekki þó að ský sé",
)


@pytest.mark.parametrize("text", WESTERN)
def test_western_languages_in_windows_1252_are_read(tmp_path, text):
    rows = [(text, "a"), ("plain", "b")]
    assert values(opened(tmp_path / "x.csv", separated(rows=rows).encode("cp1252"))) == rows


def test_damaged_utf_8_is_no_other_encoding(tmp_path):
    good = separated(rows=[("déjà vu à Besançon", "a")] * 3).encode()
    path = tmp_path / "my file.csv"
    with pytest.raises(errors.BadEncoding, match="line 5: byte 0xe9 at position 4") as caught:
        opened(path, good + b"caf\xe9,b\r\n")
    assert f"iconv -c -f UTF-8 -t UTF-8 '{path}' > mended.csv" in caught.value.advice
    with pytest.raises(errors.BadEncoding, match="line 5"):  # half a character at the end
        opened(path, good + b"x,\xe2\x82")
    with pytest.raises(errors.BadEncoding):
        opened(path, b"\xef\xbb\xbftext,label\ncaf\xe9,b\r\n")


def test_an_encoding_that_is_named_is_obeyed_or_refused(tmp_path):
    cyrillic = separated(rows=[(FOREIGN["cp1251"], "a")]).encode("cp1251")
    with pytest.raises(errors.BadEncoding, match="is not UTF-8") as caught:
        opened(tmp_path / "x.csv", cyrillic, encoding="utf8")
    assert "--encoding cp1251" in caught.value.advice
    with pytest.raises(errors.UnknownEncoding, match="'cp1215'") as unknown:
        opened(tmp_path / "x.csv", cyrillic, encoding="cp1215")
    assert unknown.value.exit_code == 2 and "cp125" in unknown.value.advice
    with pytest.raises(errors.UnknownEncoding):
        opened(tmp_path / "x.csv", cyrillic, encoding="base64")


def test_a_nul_byte_is_told_with_its_place(tmp_path):
    with pytest.raises(BadRow, match="line 3: a NUL byte at position 3") as caught:
        opened(tmp_path / "my x.csv", b"text,label\na,b\nc,\0\n")
    assert f"< '{tmp_path / 'my x.csv'}'" in caught.value.advice


# ---- archives -----------------------------------------------------------------------------------


def zipped(**files: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zip": lambda data: zipped(**{"train.csv": data.decode(), "__MACOSX/._train.csv": "x"}),
}


@pytest.mark.parametrize("name", ["x.csv", "x.csv.{kind}", "x.{kind}"])
@pytest.mark.parametrize("kind", PACKED)
def test_packed_files_are_known_by_their_content(tmp_path, kind, name):
    content = separated().encode()
    table = opened(tmp_path / name.format(kind=kind), PACKED[kind](content))
    assert (table.columns, values(table), table.form.compression) == (COLUMNS, ROWS, kind)
    assert table.sha256 == hashlib.sha256(content).hexdigest()
    assert_reopens(table)


def test_an_archive_with_several_tables_names_them(tmp_path):
    content = zipped(**{"a/train.csv": separated(), "a/test.csv": "text\na b\n", "README.txt": "x"})
    path = write(tmp_path / "my data.zip", content)
    assert tables.members(path) == ("a/train.csv", "a/test.csv")
    with pytest.raises(errors.SeveralTables, match=r"a/train.csv, a/test.csv") as caught:
        tables.open_file(path, is_header=is_header)
    assert f"unzip '{path}' -d '{tmp_path / 'my data'}'" in caught.value.advice
    table = tables.open_file(path, is_header=is_header, member="a/test.csv")
    assert values(table) == [("a b",)] and "a/test.csv" in table.place
    assert_reopens(table)
    assert tables.members(write(tmp_path / "x.csv", "a,b\n")) == ()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (zipped(**{"xl/workbook.xml": "", "[Content_Types].xml": ""}), "an Excel workbook"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 600, "an Excel workbook"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"SQLite format 3\0", "an SQLite"),
        (b"\x28\xb5\x2f\xfd123", "zstd"),
        (zipped(**{"a.png": ""}), "without a table"),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_what_is_no_table_is_called_by_its_name(tmp_path, content, said, suffix):
    with pytest.raises(errors.UnsupportedFile, match=said) as caught:
        opened(tmp_path / f"x{suffix}", content)
    assert caught.value.advice


@pytest.mark.parametrize("kind", PACKED)
def test_a_damaged_archive_is_told(tmp_path, kind):
    content = PACKED[kind](separated(rows=[(f"row {i}", "a") for i in range(3000)]).encode())
    with pytest.raises(errors.BadArchive, match=r"x.csv cannot be unpacked") as caught:
        opened(tmp_path / "x.csv", content[: len(content) // 2])
    assert caught.value.exit_code == 65


# ---- json ---------------------------------------------------------------------------------------

RECORDS = [{"text": text, "label": label} for text, label in ROWS]
BY_COLUMN = {
    name: {str(i): row[at] for i, row in enumerate(ROWS)} for at, name in enumerate(COLUMNS)
}
SHAPES: dict[str, str] = {
    "a list": json.dumps(RECORDS),
    "a list in many lines": json.dumps(RECORDS, indent=1),
    "lines": "\n".join(map(json.dumps, RECORDS)),
    "objects in many lines": "\n".join(json.dumps(r, indent=2) for r in RECORDS),
    "one object with a list": json.dumps({"version": 1, "data": RECORDS, "more": [1, 2]}, indent=1),
    "one object with a list in one line": json.dumps({"version": "1", "data": RECORDS}),
    "columns of pandas": json.dumps(BY_COLUMN),
    "columns of lists": json.dumps({n: list(v.values()) for n, v in BY_COLUMN.items()}, indent=1),
    "rows by name": json.dumps({f"id {i}": record for i, record in enumerate(RECORDS)}),
    "lines with commas": ",\n".join(map(json.dumps, RECORDS)),
    "rows by index": json.dumps(dict(enumerate(RECORDS))),
    "pandas' split": json.dumps({"columns": COLUMNS, "index": [0, 1, 2], "data": ROWS}),
    "with a mark and white space": "\ufeff \n " + json.dumps(RECORDS),
}


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".ndjson", ".csv", ""])
@pytest.mark.parametrize("shape", SHAPES)
def test_json_of_every_shape_and_name(tmp_path, shape, suffix):
    table = opened(tmp_path / f"x{suffix}", SHAPES[shape])
    assert (table.columns, values(table)) == (COLUMNS, ROWS)
    assert_reopens(table)


def test_values_of_json_stay_what_they_are(tmp_path):
    table = opened(tmp_path / "x.json", '[{"a": ["x"], "b": 1.0, "c": true, "d": null}]')
    assert values(table) == [(["x"], 1.0, True, None)]


def test_a_table_by_columns_may_have_gaps(tmp_path):
    content = '{"text": {"0": "a", "1": "b"}, "label": {"1": "x", "2": "y"}}'
    table = opened(tmp_path / "x.json", content)
    assert values(table) == [("a", ABSENT), ("b", "x"), (ABSENT, "y")]
    assert_reopens(table)


def test_a_damaged_list_is_told_with_row_and_place(tmp_path):
    content = json.dumps([*RECORDS, 7, RECORDS[0]], indent=1)
    table = opened(tmp_path / "x.json", content)
    assert [at for at, row in table.rows([0]) if not isinstance(row, BadRow)] == [1, 2, 3, 5]
    assert "line 4: a number" in bad(table)[0]
    table = opened(tmp_path / "y.json", content[:-20])
    assert "at line" in bad(table)[-1] and len(list(table.rows([0]))) == 5
    table = opened(tmp_path / "z.json", json.dumps(RECORDS) + "x")
    assert "more after the end" in bad(table)[-1]


def test_two_lists_in_one_object_are_named(tmp_path):
    content = json.dumps({"train": RECORDS, "test": RECORDS})
    with pytest.raises(errors.SeveralTables, match="'train', 'test'"):
        opened(tmp_path / "x.json", content)


def test_a_list_larger_than_what_is_read_at_once(tmp_path):
    records = [{"text": "é" * (i % 5000), "n": 10**i} for i in range(300)]
    table = opened(tmp_path / "x.json", json.dumps(records, ensure_ascii=False))
    assert values(table) == [(r["text"], r["n"]) for r in records]


# ---- parquet and arrow --------------------------------------------------------------------------


def arrow_table() -> Any:
    pyarrow = pytest.importorskip("pyarrow")
    features = {"label": {"_type": "ClassLabel", "names": ["neg", "pos"]}}
    described = json.dumps({"info": {"features": features}})
    table = pyarrow.table(
        {
            "text": [f"text {i}" for i in range(2500)],
            "label": [i % 2 for i in range(2500)],
            "kind": pyarrow.array(["a", None] * 1250).dictionary_encode(),
            "price": pyarrow.array([Decimal("1.50")] * 2500),
            "day": [date(2024, 1, 2)] * 2500,
            "at": pyarrow.array([1] * 2500, pyarrow.timestamp("ns")),
        }
    )
    return table.replace_schema_metadata({"huggingface": described})


def write_columnar(path: Path, kind: str) -> str:
    import pyarrow.ipc
    import pyarrow.parquet

    table = arrow_table()
    if kind == "parquet":
        pyarrow.parquet.write_table(table, path, row_group_size=700)
        return str(path)
    new = pyarrow.ipc.new_file if kind == "arrow file" else pyarrow.ipc.new_stream
    with new(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=900)
    return str(path)


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow", "x.csv"])
@pytest.mark.parametrize("kind", ["parquet", "arrow file", "arrow stream"])
def test_parquet_and_arrow_by_content(tmp_path, kind, name):
    arrow_table()
    if kind.startswith("arrow") and name == "x.parquet":
        with pytest.raises(errors.BadParquet):
            tables.open_file(write_columnar(tmp_path / name, kind), is_header=is_header)
        return
    table = tables.open_file(write_columnar(tmp_path / name, kind), is_header=is_header)
    assert table.class_names == {"label": ("neg", "pos")} and table.row_count == 2500
    rows = values(table)
    at = datetime(1970, 1, 1)  # noqa: DTZ001 (as the file has it)
    assert rows[1] == ("text 1", 1, None, Decimal("1.50"), date(2024, 1, 2), at)
    assert [line for line, _ in table.rows([])] == list(range(1, 2501))
    assert [tuple(row) for _, row in table.rows([1, 0])][-1] == (1, "text 2499")
    assert_reopens(table)


@pytest.mark.parametrize("kind", ["parquet", "arrow stream"])
def test_a_part_of_a_columnar_file_is_the_same_part_of_its_rows(tmp_path, kind):
    arrow_table()
    path = write_columnar(tmp_path / "x.arrow", kind)
    size = Path(path).stat().st_size
    table = tables.open_file(path, is_header=is_header, bytes_at_most=size // 2)
    assert len(values(table)) == pytest.approx(1250, abs=2)
    assert_reopens(table)


@pytest.mark.parametrize("kind", ["parquet", "arrow file", "arrow stream"])
def test_damaged_columnar_files_end_in_words_and_not_the_process(tmp_path, kind):
    arrow_table()
    content = Path(write_columnar(tmp_path / "x.arrow", kind)).read_bytes()
    refused = 0
    for at in range(8, len(content) - 8, len(content) // 40):
        damaged = content[:at] + b"\xff\x7f\xff\x7f" + content[at + 4 :]
        try:
            values(opened(tmp_path / "x.arrow", damaged))
        except errors.DataError as error:
            assert "cannot be read as" in error.message or "no rows" in error.message
            refused += 1
    assert refused


def test_a_packed_parquet_file(tmp_path):
    arrow_table()
    content = Path(write_columnar(tmp_path / "x.parquet", "parquet")).read_bytes()
    table = opened(tmp_path / "x.parquet.gz", gzip.compress(content))
    assert len(values(table)) == 2500
    assert_reopens(table)


# ---- shards -------------------------------------------------------------------------------------


def test_shards_are_one_table_and_errors_name_the_shard(tmp_path):
    first = opened(tmp_path / "train-0.csv", "text,label\na,1\nb,2\n")
    second = opened(tmp_path / "train-1.csv", "label,text\n3,c\nd\n4,é\n")
    table = tables.join([first, second])
    rows = list(table.rows([0, 1]))
    assert [tuple(r) for _, r in rows if not isinstance(r, BadRow)] == [
        ("a", "1"), ("b", "2"), ("c", "3"), ("é", "4")
    ]  # fmt: skip
    assert f"{second.path}, line 3: 1 field" in bad(table)[0]
    lines = [line for line, _ in rows]
    assert lines == sorted(lines) and len(set(lines)) == len(lines)
    assert [table.where(line) for line in lines[1:3]] == [(first.path, 3), (second.path, 2)]
    assert f"{second.path}, line 4" in table.bad_row(lines[-1], "x", "y").message
    assert table.shards == (first.path, second.path) and table.path == first.path
    assert_reopens(table)


def test_shards_of_parquet_count_their_rows_on(tmp_path):
    arrow_table()
    parts = [write_columnar(tmp_path / f"{i}.parquet", "parquet") for i in range(3)]
    table = tables.join([tables.open_file(part, is_header=is_header) for part in parts])
    assert [line for line, _ in table.rows([])] == list(range(1, 7501))
    assert table.class_names == {"label": ("neg", "pos")}
    assert_reopens(table)


def test_shards_may_be_cut(tmp_path):
    content = "text,label\n" + "abcd,1\n" * 100
    parts = [write(tmp_path / f"{i}.csv", content) for i in range(3)]
    whole = tables.open_file(parts[0], is_header=is_header)
    cut = tables.open_file(parts[1], is_header=is_header, bytes_at_most=11 + 7 * 10 + 3)
    table = tables.join([whole, cut, tables.open_file(parts[2], is_header=is_header)])
    assert len(values(table)) == 110
    assert table.bytes_read == len(content) + 11 + 73
    assert_reopens(table)


def test_shards_that_differ_are_refused(tmp_path):
    first = opened(tmp_path / "0.csv", "text,label\na,1\n")
    with pytest.raises(errors.ShardsDiffer, match=r"1.csv has the columns text, kind"):
        tables.join([first, opened(tmp_path / "1.csv", "text,kind\na,1\n", header=True)])
    with pytest.raises(errors.ShardsDiffer):
        tables.join([first, opened(tmp_path / "2.csv", gzip.compress(b"text,label\na,1\n"))])
    french = separated(rows=FRENCH)
    with pytest.raises(errors.ShardsDiffer):
        parts = (opened(tmp_path / f"{e}.csv", french.encode(e)) for e in ("utf-8", "cp1252"))
        tables.join(list(parts))


def test_a_plain_shard_is_read_as_the_others(tmp_path):
    plain = opened(tmp_path / "0.csv", separated())
    french = opened(tmp_path / "1.csv", separated(rows=FRENCH).encode("cp1252"))
    table = tables.join([plain, french])
    assert values(table) == ROWS + FRENCH
    assert_reopens(table)


def test_a_key_that_one_shard_of_json_lacks_is_absent_there(tmp_path):
    first = opened(tmp_path / "0.jsonl", '{"text": "a"}\n')
    second = opened(tmp_path / "1.jsonl", '{"label": 1, "text": "b"}\n')
    table = tables.join([first, second])
    assert values(table) == [("a", ABSENT), ("b", 1)]
    assert_reopens(table)


# ---- a part of a file ---------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_only_whole_rows_of_the_first_bytes_are_read(tmp_path, encoding):
    rows = [("né\nvu" * 3, "a"), ("été", "b")] * 10
    content = separated(rows=rows).encode(encoding)
    path = write(tmp_path / "x.csv", content)
    counts = []
    for most in range(100, len(content), 7):
        table = tables.open_file(path, is_header=is_header, header=True, bytes_at_most=most)
        found = values(table)
        assert found == rows[: len(found)]
        assert table.bytes_read == most
        assert table.sha256 == hashlib.sha256(content[:most]).hexdigest()
        counts.append(len(found))
        assert_reopens(table)
    assert counts == sorted(counts) and counts[-1] >= 18
    whole = tables.open_file(path, is_header=is_header, bytes_at_most=len(content))
    assert whole.bytes_read is None and values(whole) == rows


@pytest.mark.parametrize("shape", ["a list", "a list in many lines", "lines"])
def test_a_part_of_json(tmp_path, shape):
    content = gzip.compress(SHAPES[shape].encode())
    table = opened(tmp_path / "x.json.gz", content, bytes_at_most=len(SHAPES[shape]) - 10)
    assert values(table) == ROWS[:2]
    assert_reopens(table)


# ---- all of it ----------------------------------------------------------------------------------

CELL = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\ufeff"), max_size=12
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8),
    form=st.sampled_from([*",;\t|", "lines", "list", "columns"]),
    kind=st.sampled_from(["", *PACKED]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    share=st.sampled_from([None, 0.5, 0.9]),
)
def test_a_table_is_read_as_written_and_reopened_the_same(
    tmp_path, rows, form, kind, encoding, share
):
    records = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    if form == "lines":
        text = "".join(json.dumps(record) + "\n" for record in records)
    elif form in ("list", "columns"):
        columns = {name: {str(i): r[name] for i, r in enumerate(records)} for name in COLUMNS}
        text = json.dumps(records if form == "list" else columns)
    else:
        text = separated(form, rows, quoting=csv.QUOTE_ALL)
    content = text.encode(encoding if kind != "zip" else "utf-8")
    most = None if share is None else int(share * len(content))
    packed = PACKED[kind](content) if kind else content
    try:
        table = opened(tmp_path / "x.csv", packed, bytes_at_most=most)
    except errors.DataError:
        assert share is not None  # not even one row
        return
    found = values(table)
    if share is None:
        assert (table.columns, found) == (COLUMNS, rows)
    assert_reopens(table)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak there")
def test_a_large_file_takes_little_memory(tmp_path):
    row = b"a text of some words that goes on and on and on and on and on and on,%d\n"
    with (tmp_path / "x.csv").open("wb") as file:
        file.write(b"text,label\n")
        for _ in range(100):
            file.write(b"".join(row % (i % 4) for i in range(10_000)))
    code = (
        "import sys; from agnews_cli.store.formats import tables as t;"
        "table = t.open_file(sys.argv[1], is_header=lambda f: True);"
        "print(sum(1 for _ in table.rows([0, 1])));"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.csv")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    count, peak_kb = map(int, done.stdout.split())
    assert count == 1_000_000
    assert peak_kb < 60_000  # the file has 73 MB; Python itself takes 25
