"""SVG of a matplotlib figure, for a page: small, in the page's colours, nothing from elsewhere.

Words stay words, so that they are read aloud, found and copied; what came with the data is a text
and never markup or mathematics. Colours are names that the page gives values to, in daylight, dark
and print (`INK`, `COLOURS`); where a page gives none, those that stand beside them hold.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT, PAPER = "#010203", "#010204", "#010205"
COLOURS = ("#010211", "#010212", "#010213", "#010214", "#010215", "#010216")
"""Stand-ins: each becomes a variable of the page."""
_SHADES = 11
_NAMES = {INK: "ink", FAINT: "faint", PAPER: "paper"} | {c: f"c{n}" for n, c in enumerate(COLOURS)}
_USUAL = {"ink": "#1b1f24", "faint": "#c9ced6", "paper": "#ffffff", "c0": "#2563b0"}
_USUAL |= {"c1": "#c2571a", "c2": "#2f7d4f", "c3": "#8b4fa3", "c4": "#8a6d1d", "c5": "#b03a5b"}
_SVG, _LINK = "http://www.w3.org/2000/svg", "{http://www.w3.org/1999/xlink}href"
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "agnews",
    "text.parse_math": False,
    "font.size": 10,
    "font.family": "sans-serif",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "legend.handlelength": 1.6,
}


@contextmanager
def axes(width: float = 5.2, height: float = 3.3) -> Iterator[tuple[Figure, Axes]]:
    """A figure of so many inches with one pair of axes, drawn without any window."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.add_subplot()


def shade(share: float) -> str:
    """A stand-in for a cell's colour, 0 to 1: the page mixes it of its own two."""
    return f"#0102{32 + round(min(1.0, max(0.0, share)) * (_SHADES - 1)):02x}"


def svg(figure: Figure, name: str, title: str) -> str:
    """The figure as markup for a page. `name`: of the picture, unique there; `title`: in words."""
    data = io.BytesIO()
    figure.savefig(data, format="svg", metadata={"Date": None, "Creator": None})
    root = ElementTree.fromstring(data.getvalue())
    _prune(root, name)
    root.attrib.pop("version", None)
    width, height = root.attrib.pop("width"), root.attrib.pop("height")
    root.set("style", f"--w:{width.removesuffix('pt')}")
    root.set("data-height", height.removesuffix("pt"))
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title")
    heading = ElementTree.Element(f"{{{_SVG}}}title", {"id": f"{name}-title"})
    heading.text = title
    root.insert(0, heading)
    ElementTree.register_namespace("", _SVG)
    return ElementTree.tostring(root, encoding="unicode")


def _prune(root: ElementTree.Element, name: str) -> None:
    """Without what describes the file; ids of this page alone; colours by name."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in ("metadata", "style"):
                parent.remove(child)
    for one in root.iter():
        for key, value in list(one.attrib.items()):
            if key == "id":
                one.set(key, f"{name}-{value}")
            elif key in (_LINK, "href"):
                del one.attrib[key]
                one.set("href", value.replace("#", f"#{name}-"))
            else:
                one.set(key, _coloured(value.replace("url(#", f"url(#{name}-")))


def _coloured(style: str) -> str:
    style = re.sub(r"font(-family)?: [^;]*?('[^;]*)", _font, style)
    for stand_in, variable in _NAMES.items():
        style = style.replace(stand_in, f"var(--{variable}, {_USUAL[variable]})")
    return re.sub(r"#0102(2[0-9a-f])", lambda m: _mixed(int(m[1], 16) - 32), style)


def _font(found: re.Match[str]) -> str:
    """The page's own letters, in the size that was asked for."""
    size = re.search(r"[\d.]+px", found[0])
    return f"font-size: {size[0]}" if size and not found[1] else "font-family: inherit"


def _mixed(step: int) -> str:
    share = round(100 * step / (_SHADES - 1))
    return f"color-mix(in srgb, var(--c0, {_USUAL['c0']}) {share}%, var(--paper, white))"
