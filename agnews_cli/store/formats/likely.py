"""Which encoding some bytes look like, for a hint: never used to read by itself."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

_CYRILLIC = "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё"
_SIGNS = "’‘“”„–—…€£«»°·•©®™¿¡§\u00a0"
# Codecs of one byte a letter, with the small letters beyond ASCII that their languages use.
_OTHER_SCRIPTS: Final = {  # Hebrew first: its bytes are Russian letters, but not all of them
    "cp1255": "יוהלאתרשבמנדעכקחפצזגטםןסךץף",
    "cp1251": _CYRILLIC + "іїєґјљњћџў",
    "koi8_r": _CYRILLIC,
    "cp866": _CYRILLIC,
    "cp1253": "ατεοινσρκπηςλμυάίέόήύώδγωχθφβξζψ",
    "cp1256": "اليمونرتبهةدعفسكقحجشصطخذزضغثظءأإآىئؤ",
    "cp874": "นรากเมีงท่ลวยอสัดตคไป้ิ็บหะขใแพจชีุึโถผซญธภณศษฉู์ๆำฐ",
}
_LATIN: Final = {
    "cp1252": "äöüßéèêëàâçîïôûùœæåøñáíóúãõìòðþýÄÖÜÉÈÀÇÅØÆÑÓÁÚÍÎÊÔÞÐ" + _SIGNS,
    "cp1250": "ąęółśżźćńáíéěšřčžýůúťňďľĺŕôöüőűăîâşţäßđŁŚŻŹČŘŠŽÁÍÉÓÚŐ" + _SIGNS,
    "cp1254": "ışğüöçİŞĞÜÖÇâîû" + _SIGNS,
    "mac_roman": "éèàçêîôûëïüäößáíóúñùœæåø’‘“”–—…«»",
    "cp850": "éèàçêîôûëïüäößáíóúñùæåøÄÖÜÉ",
}
_LEAST = 0.6  # of the signs beyond ASCII; capitals and punctuation are the others
_SURELY = 0.95
_DENSE = 0.45  # of all letters are beyond ASCII, in scripts that are not Latin
_WIDE_SIGNS = "、。，．・「」『』（）！？：；…“”‘’《》—～　"


def likely_codec(sample: bytes, but: str = "") -> str:
    """The codec that makes words of `sample`; "" if none does."""
    if but != "cp874" and _shares(_counted(sample), _OTHER_SCRIPTS)["cp874"] > _SURELY:
        return "cp874"  # its pairs of bytes are usual Chinese signs, too
    for codec, fits in _WIDE.items():
        if codec != but and (signs := _beyond_ascii(sample, codec)) and fits(signs):
            return codec
    shares = _shares(_counted(sample), _OTHER_SCRIPTS if _is_dense(sample) else _LATIN)
    shares.pop(but, None)
    best = max(shares, key=lambda codec: shares[codec])
    return best if shares[best] >= _LEAST else ""


def is_western(counts: Mapping[int, int]) -> bool:
    """Whether no other Latin codec fits these bytes better than Windows-1252.

    Turkish in its codec and Icelandic in this one share their bytes: the other letters tell.
    """
    shares = _shares(counts, _LATIN)
    ours = shares.pop("cp1252")
    is_turkish = sum(counts.get(byte, 0) for byte in _TURKISH) > 0.2 * sum(counts.values())
    return ours >= max(shares.values()) and not (is_turkish and shares["cp1254"] >= ours)


_TURKISH: Final = "ışğİŞĞ".encode("cp1254")


def _counted(sample: bytes) -> Counter[int]:
    return Counter(byte for byte in sample if byte > 127)


def _is_dense(sample: bytes) -> bool:
    letters = sum(chr(byte).isalpha() for byte in sample if byte < 128)
    high = _counted(sample).total()
    return high > _DENSE * (letters + high)


def _shares(counts: Mapping[int, int], codecs: Mapping[str, str]) -> dict[str, float]:
    total = sum(counts.values()) or 1
    return {
        codec: sum(counts.get(byte, 0) for byte in set(letters.encode(codec, "ignore"))) / total
        for codec, letters in codecs.items()
    }


def _beyond_ascii(sample: bytes, codec: str) -> str:
    try:
        text = sample.decode(codec)
    except UnicodeDecodeError as error:
        if error.start < len(sample) - 4:  # half a character at the end says nothing
            return ""
        text = sample[: error.start].decode(codec)
    return "".join(sign for sign in text if sign > "\x7f" and sign not in _WIDE_SIGNS)


# ---- of several bytes a letter: the more particular first ---------------------------------------


def _is_japanese(signs: str) -> bool:
    kana = _of(signs, "HIRAGANA")
    return kana > 0.15 and kana + _of(signs, "KATAKANA", "CJK") > 0.9


def _is_korean(signs: str) -> bool:
    return _of(signs, "HANGUL") > 0.9


def _is_chinese(signs: str) -> bool:
    """Nearly all that people write is in the small set of 1980."""
    return _of(signs, "CJK") > 0.8 and sum(map(_is_usual, signs)) > 0.9 * len(signs)


def _is_traditional(signs: str) -> bool:
    return _of(signs, "CJK") > 0.9


_WIDE: Final[dict[str, Callable[[str], bool]]] = {
    "shift_jis": _is_japanese,
    "euc_jp": _is_japanese,
    "euc_kr": _is_korean,
    "gb18030": _is_chinese,
    "big5": _is_traditional,
}


def _of(signs: Sequence[str], *scripts: str) -> float:
    return sum(unicodedata.name(sign, "").startswith(scripts) for sign in signs) / len(signs)


def _is_usual(sign: str) -> bool:
    try:
        sign.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True
