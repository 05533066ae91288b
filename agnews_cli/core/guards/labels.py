"""Labels: their spelling, contradictions, likely errors, and what gives them away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agnews_cli.core.guards.data_facts import Giveaway
from agnews_cli.core.guards.leaks import shown
from agnews_cli.core.guards.seen import DataSeen
from agnews_cli.core.machine.finding import Finding

_FEW_ROWS_A_CLASS = 20
_SKEW = 50
"""Of the largest class to the smallest: accuracy then says little of the smallest."""
_GIVEN_AWAY = 0.98
_MANY_SUSPECTS = 0.02
_SHOWN = 60
_WORDS_SHOWN = 3


def spellings(seen: DataSeen) -> Iterator[Finding]:
    """What the reader of the files found of labels and texts."""
    for warning in seen.reader_warnings:
        yield Finding("reading", "know", warning)
    if not seen.reader_warnings:
        yield Finding("reading", "good", "labels are spelt alike, no text reads like an empty cell")


def classes(seen: DataSeen) -> Iterator[Finding]:
    """How many rows each class has."""
    named = dict(zip(seen.labels, seen.class_rows, strict=True))
    least, most = min(named, key=named.__getitem__), max(named, key=named.__getitem__)
    said = f"{len(named)} classes of {named[least]:,} ({least}) to {named[most]:,} rows ({most})"
    if named[least] == named[most]:
        said = f"{len(named)} classes of {named[most]:,} rows each"
    if named[least] < _FEW_ROWS_A_CLASS:
        yield Finding(
            "classes", "know", f"{said}: under {_FEW_ROWS_A_CLASS} rows, a class is hardly learned"
        )
    elif named[most] >= _SKEW * named[least]:
        yield Finding(
            "classes", "know", f"{said}: judge by macro-F1, for accuracy hardly sees the small ones"
        )
    else:
        yield Finding("classes", "good", said)


def conflicts(seen: DataSeen) -> Iterator[Finding]:
    """One text, several labels."""
    found = seen.facts.repeats.conflicts
    rows = seen.facts.split_rows["train"]
    if not found.rows and not found.copies:
        yield Finding("label conflicts", "good", "no text stands with several labels")
        return
    parts = []
    if found.rows:
        parts.append(
            f"{found.texts:,} texts stand with several labels, in {found.rows:,} of {rows:,} "
            f"training rows: at least {found.unavoidable:,} of them are wrong"
        )
    if found.copies:
        parts.append(f"{found.copies:,} pairs of copies have different labels")
    pair = found.examples[0]
    names = f"{seen.labels[pair.one.label]}, {seen.labels[pair.other.label]}"
    text = f"{'; '.join(parts)}; such as {shown(pair)}: {names}"
    yield Finding("label conflicts", "know", text, seen.fix)


def suspects(seen: DataSeen) -> Iterator[Finding]:
    """Rows whose label the others speak against."""
    found = seen.facts.suspects
    if found is None or not found.asked:
        return
    share = found.count / found.asked
    of = f"{found.asked:,} rows asked (a linear model, right of {found.accuracy:.1%} unseen)"
    if not found.rows:
        yield Finding("label errors", "good", f"none likely among {of}")
        return
    first = found.rows[0]
    text = " ".join(first.place.text.split())
    cut = text if len(text) <= _SHOWN else text[: _SHOWN - 1].rstrip() + "…"
    said = (
        f"{found.count:,} likely ones among {of}; likeliest: {cut!r} (row {first.place.row + 1:,}) "
        f"is {seen.labels[first.place.label]} and reads like {seen.labels[first.likely]}"
    )
    if share >= _MANY_SUSPECTS:
        yield Finding("label errors", "know", said, f"{seen.fix}, and read its suspects.csv")
    else:
        yield Finding("label errors", "good", said)


def giveaways(seen: DataSeen) -> Iterator[Finding]:
    """A column, or a word in the texts, that says the label."""
    is_clean = True
    for column in seen.columns:
        told = column.told / column.again if column.again else 0.0
        is_known = column.again >= column.rows / 2 and told >= _GIVEN_AWAY
        if not is_known or column.commonest > 0.9:
            continue
        is_clean = False
        said = f"the column {column.name!r} tells the label of {told:.1%} of the rows"
        yield Finding("giveaways", "know", f"{said}: never make it part of the text")
    for words in _by_class(seen.facts.giveaways):
        is_clean = False
        yield _words(seen, words)
    if is_clean:
        yield Finding("giveaways", "good", "no column and no word tells the label by itself")


def _by_class(words: Sequence[Giveaway]) -> list[list[Giveaway]]:
    """Those of one class and of one weight together: a template has many, and says one thing."""
    found: dict[tuple[int, bool], list[Giveaway]] = {}
    for word in words:
        found.setdefault((word.label, word.coverage >= _GIVEN_AWAY), []).append(word)
    return list(found.values())


def _words(seen: DataSeen, words: Sequence[Giveaway]) -> Finding:
    first, *others = words
    label = seen.labels[first.label]
    said = (
        f"the word {first.word!r} stands in {first.coverage:.0%} of the texts of {label}, and "
        f"{first.precision:.1%} of the texts that have it are {label}"
    )
    if others:
        shown_words = ", ".join(repr(word.word) for word in others[:_WORDS_SHOWN])
        more = len(others) - _WORDS_SHOWN
        said += f"; so do {shown_words}" + (f" and {more} more" if more > 0 else "")
    if first.coverage >= _GIVEN_AWAY:
        why = "the text says its label, and figures are untrue of texts that do not"
        columns = ", ".join(seen.text_columns)
        mend = f"Take the word out of {columns}, or name other columns: --text-column NAME"
        return Finding("giveaways", "mend", f"{said}: {why}", mend)
    return Finding("giveaways", "know", f"{said}: will new texts have it too?")
