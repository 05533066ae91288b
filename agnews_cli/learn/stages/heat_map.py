"""How alike members err, as a picture: one square for each pair, darker where they are more alike.

Plain SVG, which any browser and page of Markdown shows; matplotlib is many times the weight of what
is drawn here, and no part of what training needs. Its text alternative is the table of the card.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from agnews_cli.core.run.diversity import MEASURES, Diversity, DiversityLimits

SHOWN = ("q", "correlation")
"""The measures that have limits."""
_CELL, _LINE, _GAP, _LETTER = 40, 18, 30, 7.2
_MOST_FIGURES, _SMALL_CELL = 20, 12
"""Of more members the figures would not fit, and squares are smaller."""
_FONT = 'font-family="sans-serif" font-size="13"'
_LIGHT, _DARK, _APART = (247, 251, 255), (8, 48, 107), (230, 97, 1)
"""Of 0, of 1, and of -1."""


def svg(found: Diversity, limits: DiversityLimits) -> str:
    """One map below the other; a frame marks a pair beyond its limit."""
    count = len(found.members)
    cell = _CELL if count <= _MOST_FIGURES else _SMALL_CELL
    names = [f"{number}  {name}" for number, name in enumerate(found.members, 1)]
    left = int(max(map(len, names)) * _LETTER) + 10
    height = _GAP + _LINE + count * cell
    parts = []
    for place, measure in enumerate(SHOWN):
        most = getattr(limits, measure)
        drawn = _map(found, measure, names, left, cell, most)
        parts.append(f'<g transform="translate(0 {place * height})">{"".join(drawn)}</g>')
    width = max(left + count * cell, 320) + 10
    title = "How alike the members err: " + ", ".join(MEASURES[one] for one in SHOWN)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" '
        f'height="{len(SHOWN) * height + 10}" viewBox="0 0 {width} {len(SHOWN) * height + 10}">'
        f"<title>{escape(title)}</title>"
        f'<rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n'
    )


def _map(
    found: Diversity,
    measure: str,
    names: Sequence[str],
    left: int,
    cell: int,
    most: float | None,
) -> Iterator[str]:
    matrix = getattr(found, measure)
    limit = "" if most is None else f", expected below {most:g}"
    yield f'<text x="4" y="20" {_FONT} font-weight="bold">{escape(MEASURES[measure])}{limit}</text>'
    top = _GAP + _LINE
    for column in range(len(names)):
        if cell == _CELL:
            x = left + (column + 0.5) * cell
            yield f'<text x="{x}" y="{top - 5}" {_FONT} text-anchor="middle">{column + 1}</text>'
    for row, name in enumerate(names):
        y = top + row * cell
        if cell == _CELL:
            yield f'<text x="4" y="{y + cell / 2 + 5}" {_FONT}>{escape(name)}</text>'
        for column in range(len(names)):
            if row != column:
                yield from _square(matrix[row][column], left + column * cell, y, cell, most)


def _square(value: float | None, x: int, y: int, cell: int, most: float | None) -> Iterator[str]:
    red, green, blue = (236, 236, 236) if value is None else _colour(value)
    is_beyond = value is not None and most is not None and value >= most
    frame = ' stroke="#c00000" stroke-width="2"' if is_beyond else ""
    size = cell - 2
    yield (
        f'<rect x="{x + 1}" y="{y + 1}" width="{size}" height="{size}" '
        f'fill="rgb({red},{green},{blue})"{frame}/>'
    )
    if cell == _CELL:
        ink = "white" if red + green + blue < 380 else "black"
        shown = "–" if value is None else f"{value:.2f}"
        yield (
            f'<text x="{x + cell / 2}" y="{y + cell / 2 + 5}" {_FONT} fill="{ink}" '
            f'text-anchor="middle">{shown}</text>'
        )


def _colour(value: float) -> tuple[int, int, int]:
    share = min(1.0, abs(value))
    end = _DARK if value >= 0 else _APART
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(_LIGHT, end, strict=True))
    return red, green, blue
