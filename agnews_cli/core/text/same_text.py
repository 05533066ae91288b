"""When two texts are one: their letters and digits are the same, whatever the case."""

from __future__ import annotations

import hashlib
import re

_NEITHER_LETTER_NOR_DIGIT = re.compile(r"[\W_]+")


def digest(text: str) -> int:
    """64 bits that two texts share when a headline was cut, quoted or spaced another way.

    Among a million others, one in 10^13 is taken for another.
    """
    kept = _NEITHER_LETTER_NOR_DIGIT.sub("", text.casefold()) or text.strip()
    return int.from_bytes(
        hashlib.blake2b(kept.encode(errors="surrogatepass"), digest_size=8).digest()
    )


def spaced(text: str) -> str:
    """Its letters and digits without case, and one space for all that lies between them.

    What has neither, such as a face made of signs, stays as it is.
    """
    return _NEITHER_LETTER_NOR_DIGIT.sub(" ", text.casefold()).strip() or text.strip()
