"""The card of an ensemble: what joins its members, how good each is, and how it is used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from agnews_cli.core.run import recipes
from agnews_cli.core.run.diversity import MEASURES, Diversity
from agnews_cli.core.run.evaluation import Evaluation
from agnews_cli.core.run.job import CombineJob
from agnews_cli.learn import combiners
from agnews_cli.learn.kinds.combiner import Fitted
from agnews_cli.learn.stages.cards import by_class, escaped, fenced, figures
from agnews_cli.store.model import delivered
from agnews_cli.store.model.delivered import Delivered
from agnews_cli.store.run.runs import RunFolder

PICTURE = "diversity.svg"
_MOST_PAIRS = 45
"""Those of ten members."""
Shared = tuple[str, str, float]
"""(kind, folder, share) of a model that answers."""


def text(
    job: CombineJob, fitted: Fitted, evaluation: Evaluation, apart: Diversity, why: str
) -> str:
    """Markdown; the picture that it shows is `PICTURE`."""
    split = evaluation.test or evaluation.validation
    folder = Path(job.folder)
    parts = [
        f"# {len(job.dataset.labels)} classes of text, learnt from {escaped(job.dataset.name)}",
        f"An ensemble: {escaped(why)}.",
        "## How to use",
        *(usage(folder) if (folder / "delivery.json").exists() else [_ANSWERS_ALONE]),
        "## Figures",
        "\n".join(figures(evaluation)),
        "\n".join(by_class(split, job.dataset)),
        "What the members reach on the same rows, and how surely they differ from the whole, is in "
        "`comparison.json`. Each member has a card of its own.",
        *_diversity(apart),
    ]
    return "\n\n".join(parts) + "\n"


def _diversity(apart: Diversity) -> Iterator[str]:
    """Which members err alike: a picture, and a table that says the same."""
    if len(apart.members) < 2:
        return
    yield "## How alike the members err"
    yield (
        f"On the {apart.rows:,} validation rows: members help each other where they are wrong on "
        "different ones. 1 is always together, 0 as often as by chance."
    )
    yield f"![A square for each pair of members; the table below says the same]({PICTURE})"
    heads = ("members", *MEASURES.values())
    figures = {name: {(a, b): v for a, b, v in apart.pairs(name)} for name in MEASURES}
    pairs = sorted(figures["q"], key=lambda pair: -(figures["q"][pair] or -1.0))
    lines = [" | ".join(heads), " | ".join("---" for _ in heads)]
    for one, two in pairs[:_MOST_PAIRS]:
        values = (figures[name][one, two] for name in MEASURES)
        cells = ("–" if value is None else f"{value:.3f}" for value in values)
        lines.append(" | ".join((f"{escaped(one)} and {escaped(two)}", *cells)))
    yield "\n".join(f"| {line} |" for line in lines)
    if len(pairs) > _MOST_PAIRS:
        yield f"The {_MOST_PAIRS} most alike of {len(pairs):,} pairs; `comparison.json` has all."


_ANSWERS_ALONE = (
    "Its members were there as files of answers alone: it has figures, and no model for new texts."
)


def usage(folder: Path) -> Iterator[str]:
    """How what several models deliver in `folder` is used, with agnews and without."""
    whole = delivered.of_run(RunFolder(folder))
    yield "With agnews, in this folder (or give its path):\n\n" + fenced(recipes.load("."))
    shares = list(_shares(whole, folder, 1.0))
    if any(share is None for _, _, share in shares):
        yield (
            "Its members are not joined by fixed weights alone, so that plain Python for it would "
            "be long; `combiner/combiner.json` says what was learnt."
        )
        return
    if any(sorted(part.labels) != sorted(whole.labels) for part in _leaves(whole)):
        yield "A member calls the classes otherwise, so that plain Python for it would be long."
        return
    if any((Path(m.folder) / delivered.METHOD).exists() for p in _leaves(whole) for m in p.members):
        yield "A member needs its base model; its own card has the lines that open it."
        return
    if not all(part.long_texts.is_usual for part in _leaves(whole)):
        yield "A member does not cut long texts, so that plain Python for it would be long."
        return
    known = [(kind, path, share) for kind, path, share in shares if share]
    base = next((part.base.id for part in _leaves(whole) if part.base is not None), "")
    code = recipes.average(known, base=base, is_listed=True, temperature=_temperature(whole))
    yield "Without agnews, in this folder:\n\n" + fenced(code)


def _shares(
    found: Delivered, root: Path, share: float | None, *, is_whole: bool = True
) -> Iterator[tuple[str, str, float | None]]:
    """Each model's share of the mean; None where it is no mean of models alone."""
    from agnews_cli.learn.kinds import combiner

    for member in found.members:
        path = Path(member.folder).relative_to(root).as_posix()
        yield member.kind, path, None if share is None else share * member.share
    if found.combiner is None:
        return
    fitted = combiner.read(found.combiner)
    is_plain = combiners.is_mean(fitted) and (is_whole or fitted.temperature == 1.0)
    plain = fitted.weights if is_plain else None
    for number, part in enumerate(found.parts):
        mine = None if plain is None or share is None else share * plain[number]
        yield from _shares(part, root, mine, is_whole=False)


def _temperature(whole: Delivered) -> float:
    from agnews_cli.learn.kinds import combiner

    return combiner.read(whole.combiner).temperature if whole.combiner is not None else 1.0


def _leaves(found: Delivered) -> Iterator[Delivered]:
    if not found.parts:
        yield found
    for part in found.parts:
        yield from _leaves(part)
