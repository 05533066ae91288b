"""Answers as HTML: whatever people typed is text in it, and nothing is told by colour alone."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from agnews_cli.core.run.looked_at import LookedAt
from agnews_cli.workflows.app.asking import LabelledFile

_MOST_CLASSES, _MOST_NAMED = 12, 5
_LEAST_WEIGHT = 0.05
_HOWS = {
    "gradient × input": "how the answer would change with each word (gradient × input{of})",
    "leaving out each word": "how the answer's odds fall where a word is left out; gradients, "
    "which exported and linear models lack, are not used",
}

STYLE = """
.gradio-container { max-width: 52rem !important; margin: 0 auto !important; }
.gradio-container button[role="tab"].selected { color: var(--body-text-color); font-weight: 600; }
.agnews { font-size: 1rem; line-height: 1.5; color: var(--body-text-color); }
.gradio-container .agnews table { border: 0; }
.gradio-container .agnews table th, .gradio-container .agnews table td { border: 0; }
.agnews table { width: 100%; border-collapse: collapse; table-layout: fixed; }
.agnews tr { border: 0;
  border-bottom: 1px solid color-mix(in srgb, currentColor 15%, transparent); }
.agnews h1 { font-size: 1.6rem; font-weight: 700; margin: 0; }
.agnews h2 { font-size: 1rem; font-weight: 600; margin: 1rem 0 0.25rem; }
.agnews td, .agnews th { padding: 0.3rem 0.4rem; border: 0; text-align: left; font-weight: 400;
  overflow-wrap: anywhere; vertical-align: middle; }
.agnews th { width: 34%; }
.agnews td:last-child { width: 5.2rem; text-align: right; font-variant-numeric: tabular-nums; }
.agnews tr.best th, .agnews tr.best td { font-weight: 600; }
.agnews .bar { display: block; height: 0.7rem; border-radius: 0.35rem; background: #2563eb; }
.agnews .track { display: block; border-radius: 0.35rem;
  background: color-mix(in srgb, currentColor 12%, transparent); }
.agnews .words { overflow-wrap: anywhere; line-height: 2; }
.agnews .words span { padding: 0.15rem 0.2rem; border-radius: 0.25rem;
  border-bottom: 3px solid transparent; }
.agnews .for { background: rgba(37, 99, 235, calc(0.32 * var(--w))); }
.agnews .against { background: rgba(234, 88, 12, calc(0.32 * var(--w))); }
.agnews .words span.for { border-bottom-color: rgba(37, 99, 235, var(--w)); }
.agnews .words span.against { border-bottom: 3px dotted rgba(234, 88, 12, var(--w)); }
.agnews p { margin: 0.5rem 0; }
.agnews .small { font-size: 0.9rem; }
.agnews .refused { border-left: 4px solid #b91c1c; padding-left: 0.75rem; }
"""


def nothing() -> str:
    return ""


def answer(labels: Sequence[str], shares: Sequence[float]) -> str:
    """Probabilities, the likeliest class first."""
    order = sorted(range(len(labels)), key=lambda k: -shares[k])
    rows = Markup("").join(
        _row(labels[k], shares[k], is_best=n == 0) for n, k in enumerate(order[:_MOST_CLASSES])
    )
    left = order[_MOST_CLASSES:]
    more = f"{len(left)} more classes share {sum(shares[k] for k in left):.1%}."
    rest = Markup('<p class="small">{}</p>').format(more) if left else ""
    return _block(
        Markup(
            '<p role="status">It is <strong>{}</strong>, with a probability of {}.</p>'
            '<table aria-label="Probability of each class"><tbody>{}</tbody></table>{}'
        ).format(labels[order[0]], _percent(shares[order[0]]), rows, rest)
    )


def _row(label: str, share: float, *, is_best: bool) -> Markup:
    return Markup(
        '<tr class="{}"><th scope="row">{}</th><td><span class="track" aria-hidden="true">'
        '<span class="bar" style="width: {:.1f}%"></span></span></td><td>{}</td></tr>'
    ).format("best" if is_best else "", label, 100 * share, _percent(share))


def _percent(share: float) -> str:
    if share > 0.999:
        return "over 99.9%"
    return "under 0.1%" if share < 0.001 else f"{share:.1%}"


def look(found: LookedAt) -> str:
    """The text with what its answer rests on, and the strongest words by name."""
    words = Markup(" ").join(_word(piece.text, piece.weight) for piece in found.pieces)
    named = []
    for sign, what in ((1, "For"), (-1, "Against")):
        weights: dict[str, float] = {}
        for piece in found.pieces:
            if sign * piece.weight > _LEAST_WEIGHT:
                weights[piece.text] = max(weights.get(piece.text, 0.0), sign * piece.weight)
        most = sorted(weights, key=lambda word: -weights[word])[:_MOST_NAMED]
        if most:
            named.append(
                Markup("<p>{} {}: <strong>{}</strong></p>").format(
                    what, found.answer, ", ".join(most)
                )
            )
    of = f", of {found.of}" if found.of != "model" else ""
    how = _HOWS[found.how].format(of=of)
    return _block(
        Markup(
            '<h2>What the model looks at</h2><p class="words">{}</p>{}<p class="small">Measured by '
            "{}. Blue and underlined speaks for the answer, orange and dotted against it.</p>"
        ).format(words, Markup("").join(named), how)
    )


def _word(text: str, weight: float) -> Markup:
    strength = abs(weight)
    if strength < _LEAST_WEIGHT:
        return escape(text)
    kind = "for" if weight > 0 else "against"
    return Markup('<span class="{}" style="--w: {:.2f}" title="{:+.2f}">{}</span>').format(
        kind, strength, weight, text
    )


def file(found: LabelledFile) -> str:
    """How many rows got which label."""
    most = sorted(found.counts.items(), key=lambda one: -one[1])[:_MOST_CLASSES]
    total = max(1, found.rows - found.without_text)
    rows = Markup("").join(
        Markup(
            '<tr><th scope="row">{}</th><td><span class="track" aria-hidden="true"><span '
            'class="bar" style="width: {:.1f}%"></span></span></td><td>{:,}</td></tr>'
        ).format(label, 100 * count / total, count)
        for label, count in most
    )
    without = f"; {found.without_text:,} have no text, and no label" if found.without_text else ""
    note = Markup('<p class="small">{}</p>').format(found.note) if found.note else ""
    return _block(
        Markup(
            '<p role="status">{:,} rows are labelled{}.</p>'
            '<table aria-label="Rows by label"><tbody>{}</tbody></table>{}'
        ).format(found.rows - found.without_text, without, rows, note)
    )


def refused(said: str) -> str:
    return _block(Markup('<p class="refused" role="alert">{}</p>').format(said))


def _block(inside: Markup) -> str:
    return str(Markup('<div class="agnews">{}</div>').format(inside))


def heading(name: str, labels: Sequence[str]) -> str:
    """What answers here, and with which classes."""
    shown = ", ".join(labels[:_MOST_CLASSES])
    more = f" and {len(labels) - _MOST_CLASSES} more" if len(labels) > _MOST_CLASSES else ""
    return _block(
        Markup('<h1>Classify a text</h1><p class="small">{} answers: {}{}.</p>').format(
            name, shown, more
        )
    )


def waiting() -> str:
    return _block(Markup('<p class="small" role="status">Looking at what it rests on …</p>'))
