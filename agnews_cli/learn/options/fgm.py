"""FGM (Miyato et al. 2017, arXiv 1605.07725): each row passes once more with its word embeddings
moved by `fgm`, in the direction in which its loss rises fastest; both losses count.

r = ε g / ‖g‖₂ (their eq. 5), with g the gradient of a row's loss by its word embeddings, over all
its tokens. Of each row by itself, so neither batches nor processes change it.
"""

from __future__ import annotations

from agnews_cli.learn.kinds.option import Again, Option, Start
from agnews_cli.learn.models.words import WordEmbeddings, along

EXAMPLE = {"fgm": 0.5}


def begin(start: Start) -> Option | None:
    size = start.training.fgm
    if not size:
        return None
    words = WordEmbeddings(start.model)

    def again_moved(again: Again) -> None:
        words.move(along(words.gradient(), size))
        try:
            again()
        finally:
            words.move(None)

    return Option(after_backward=again_moved)
