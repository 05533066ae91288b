"""Hours per week as a picture: SVG by hand, which every browser and notebook shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 720, 300, 48, 40, 36
_COLOURS = ("#2a6f97", "#e07a5f", "#81b29a", "#f2cc8f", "#6d597a", "#3d405b")


@dataclass(frozen=True, slots=True)
class Week:
    """One week's hours, by what they were spent on."""

    start: datetime
    hours: dict[str, float]

    @property
    def total(self) -> float:
        return sum(self.hours.values())


def svg(weeks: Sequence[Week], title: str) -> str:
    """Stacked bars, one a week, with a legend and a scale; readable without colour."""
    names = sorted({name for week in weeks for name in week.hours})
    most = max([week.total for week in weeks] + [1.0])
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10**6) if most / s <= 6)
    top = step * (int(most / step) + 1)
    plot = _HEIGHT - _TOP - _BOTTOM
    wide = (_WIDTH - _LEFT - 16) / max(1, len(weeks))

    def y(hours: float) -> float:
        return _TOP + plot * (1 - hours / top)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'font-family="sans-serif" font-size="12" role="img" aria-label="{escape(title)}">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="18" font-size="14">{escape(title)}</text>',
    ]
    for tick in range(0, top + 1, step):
        parts.append(
            f'<path d="M{_LEFT} {y(tick):.1f}H{_WIDTH - 16}" stroke="#ddd"/>'
            f'<text x="{_LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick} h</text>'
        )
    for place, week in enumerate(weeks):
        x, below = _LEFT + place * wide, 0.0
        for name in names:
            hours = week.hours.get(name, 0.0)
            if hours > 0:
                parts.append(
                    f'<rect x="{x + wide * 0.15:.1f}" y="{y(below + hours):.1f}" '
                    f'width="{wide * 0.7:.1f}" height="{y(below) - y(below + hours):.1f}" '
                    f'fill="{_COLOURS[names.index(name) % len(_COLOURS)]}">'
                    f"<title>{escape(name)}: {hours:.1f} h</title></rect>"
                )
                below += hours
        if week.total > 0:
            parts.append(_middle(x + wide / 2, y(week.total) - 4, f"{week.total:.1f}"))
        parts.append(_middle(x + wide / 2, _HEIGHT - 16, f"{week.start:%d %b}"))
    for place, name in enumerate(names):
        x = _WIDTH - 16 - 130 * (len(names) - place)
        colour = _COLOURS[place % len(_COLOURS)]
        parts.append(
            f'<rect x="{x}" y="24" width="10" height="10" fill="{colour}"/>'
            f'<text x="{x + 14}" y="33">{escape(name)}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _middle(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{escape(text)}</text>'
