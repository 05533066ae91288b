"""The one predictor: a delivered folder is opened, texts go in, class probabilities come out.

Evaluation on test rows, `agnews predict` and whatever checks a delivery ask this one, so that what
is evaluated is what is delivered. A delivery is one model or the average of several. Every kind of
member is opened by one function here; a fine-tuned one by its method. What a member needs is
imported when it is opened: a linear model, and one that was exported, load without torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.long_texts import CUT, LongTexts
from agnews_cli.core.run.prediction import Member, MemberKind, Order
from agnews_cli.errors import AgnewsError, ModelDamaged
from agnews_cli.learn.door.memory import is_of_memory

if TYPE_CHECKING:
    from agnews_cli.learn.kinds.combiner import Fitted
    from agnews_cli.learn.loop.forward import Processes
    from agnews_cli.learn.rows.tokens import Tokens

Probabilities = NDArray[np.floating]
Hear = Callable[[int], None]
"""Hears how many rows are done."""
Reads = tuple[str, int, LongTexts]
"""All that decides the tokens of a text."""

_CHUNK_ROWS = 5_000
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json")


@dataclass(frozen=True, slots=True)
class Means:
    """With what is computed. `check` may raise between two batches."""

    batch_tokens: int = 4096
    processes: Processes | None = None
    """That share the rows of fine-tuned models; None: this one alone, on the GPU that is there."""
    check: Callable[[], None] = lambda: None
    is_exact: bool = False
    """In fp32 also where a member answers in another type."""


Ask = Callable[[Sequence[str], "Tokens | None", Hear], Probabilities]
"""(texts, their tokens where the part has a reader): probabilities, (texts, classes) float32."""


AskInside = Callable[[Sequence[str], "Tokens", Hear], tuple[Probabilities, NDArray[np.float32]]]
"""The same, and the last hidden states, (texts, width)."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Makes tokens of texts."""

    tokenizer: Any
    max_length: int
    key: str
    """The same of tokenizers that are the same."""
    long_texts: LongTexts = CUT

    @property
    def reads(self) -> Reads:
        """Two with one of these make the same tokens."""
        return self.key, self.max_length, self.long_texts

    def __call__(self, texts: Sequence[str], hear: Hear) -> Tokens:
        from agnews_cli.core.run.dataset import Rows
        from agnews_cli.learn.rows.reading import ends_of
        from agnews_cli.learn.rows.tokens import tokenise

        rows, how = Rows(texts, [0] * len(texts)), self.long_texts
        found = tokenise(rows, self.tokenizer, self.max_length, how=how, told=hear)
        if how.is_usual:
            return found
        return found.cut(self.max_length, ends_of(self.tokenizer), how)


@dataclass(frozen=True, slots=True)
class OpenedMember:
    """One member, opened."""

    ask: Ask
    reader: Reader | None = None
    """None: it takes the texts themselves."""
    inside: AskInside | None = None
    """None: it has no hidden states."""


@dataclass(frozen=True, slots=True)
class OpenedDelivery:
    """An opened delivery: members whose average answers, or the parts of an ensemble."""

    order: Order
    members: dict[str, OpenedMember]
    parts: tuple[OpenedDelivery, ...] = ()
    combiner: Fitted | None = None

    @property
    def asked(self) -> int:
        """How many models answer for a text."""
        return len(self.members) + sum(part.asked for part in self.parts)

    @property
    def _columns(self) -> list[int] | slice:
        """Of its classes, in the order of the whole's that it is a part of."""
        return list(self.order.columns) or slice(None)

    def each(
        self,
        texts: Sequence[str],
        hear_of: Callable[[str, int], Hear],
        read: dict[Reads, Tokens] | None = None,
    ) -> dict[str, Probabilities]:
        """What each member says, (texts, classes). `hear_of`: (what is done, of how many texts).

        Tokens are made once for all members that read alike; `read` holds them.
        """
        read = {} if read is None else read
        for part in self.members.values():
            if part.reader is not None and part.reader.reads not in read:
                told = hear_of("tokenising", len(texts))
                read[part.reader.reads] = part.reader(texts, told)
        found = {}
        for name, part in self.members.items():
            tokens = None if part.reader is None else read[part.reader.reads]
            found[name] = part.ask(texts, tokens, hear_of(name, len(texts)))
        return found

    def _answers(
        self,
        texts: Sequence[str],
        hear_of: Callable[[str, int], Hear],
        read: dict[Reads, Tokens],
    ) -> NDArray[np.floating]:
        from agnews_cli.learn.figures import blend

        if self.combiner is None:
            shares = {member.name: member.share for member in self.order.members}
            return blend.mix(self.each(texts, hear_of, read), shares)
        from agnews_cli.learn import combiners

        said = np.stack(
            [part._answers(texts, hear_of, read)[:, part._columns] for part in self.parts]
        )
        return combiners.apply(self.combiner, as_kept(said))

    @property
    def has_hidden(self) -> bool:
        """Whether it is one model that has hidden states."""
        return self.combiner is None and [m.inside is not None for m in self.members.values()] == [
            True
        ]

    def with_hidden(
        self, texts: Sequence[str], told: Hear = lambda rows: None
    ) -> tuple[Probabilities, NDArray[np.float32]]:
        """What it answers, (texts, classes), and its last hidden states, (texts, width): their mean
        over each text's tokens, of length 1. For one that `has_hidden`."""
        (member,) = self.members.values()
        assert member.inside is not None and member.reader is not None
        said, inside = member.inside(texts, member.reader(texts, lambda rows: None), told)
        if not (np.isfinite(said).all() and np.isfinite(inside).all()):
            where = self.order.members[0].folder
            raise ModelDamaged(path=where, reason="it answers with what is no number")
        return said, inside

    def __call__(
        self, texts: Sequence[str], told: Hear = lambda rows: None
    ) -> NDArray[np.floating]:
        """Class probabilities of what is delivered, (texts, classes). Raises ModelDamaged."""
        if not texts:  # a chunk of nothing but bad rows
            return np.empty((0, len(self.order.labels)), dtype=np.float32)
        before = -1

        def hear_of(what: str, total: int) -> Hear:
            nonlocal before
            if what == "tokenising":
                return lambda rows: None
            before += 1
            done = before * total
            return lambda rows: told((done + rows) // self.asked)

        mixed = self._answers(texts, hear_of, {})
        if not np.isfinite(mixed).all():
            where = self.order.combiner or self.order.members[0].folder
            raise ModelDamaged(path=where, reason="it answers with what is no number")
        return mixed


def open_delivery(order: Order, means: Means | None = None) -> OpenedDelivery:
    """All members, loaded. Raises what loading them raises; see `open_member`."""
    how = means or Means()
    members = {m.name: open_member(m, order, how) for m in order.members}
    if order.combiner is None:
        return OpenedDelivery(order, members)
    from agnews_cli.learn import combiners

    there = len(order.parts), len(order.labels)
    fitted = combiners.open_fitted(Path(order.combiner), there)
    parts = tuple(open_delivery(part, how) for part in order.parts)
    return OpenedDelivery(order, members, parts, fitted)


def as_kept(said: NDArray[np.floating]) -> NDArray[np.floating]:
    """What members say, as their files keep it: a combiner answers from either alike."""
    from agnews_cli.learn.combine.logits import log
    from agnews_cli.learn.figures.blend import softmax

    return np.stack([softmax(log(one).astype(np.float64)).astype(np.float32) for one in said])


def open_member(member: Member, order: Order, means: Means) -> OpenedMember:
    """One member, whatever its kind. Raises ModelDamaged where its files are not as delivered."""
    folder = Path(member.folder)
    _require_whole(folder, member)
    try:
        return _OPENERS[member.kind](folder, order, means)
    except (MemoryError, AgnewsError):
        raise
    except Exception as error:
        if is_of_memory(error):
            raise
        raise _damage(folder, error) from error


# ---- each kind ----------------------------------------------------------------------------------


def _linear(folder: Path, order: Order, means: Means) -> OpenedMember:
    from agnews_cli.learn.models.linear import Linear

    return _counted(Linear.load(folder).predict, means)


def _forest(folder: Path, order: Order, means: Means) -> OpenedMember:
    from agnews_cli.learn.models.forest import Forest

    return _counted(Forest.load(folder).predict, means)


def _counted(predict: Callable[[Sequence[str]], Probabilities], means: Means) -> OpenedMember:
    def ask(texts: Sequence[str], tokens: Tokens | None, hear: Hear) -> Probabilities:
        parts = []
        for start in range(0, len(texts), _CHUNK_ROWS):
            means.check()
            parts.append(predict(texts[start : start + _CHUNK_ROWS]))
            hear(min(len(texts), start + _CHUNK_ROWS))
        return np.concatenate(parts)

    return OpenedMember(ask)


def _embedding(folder: Path, order: Order, means: Means) -> OpenedMember:
    from agnews_cli.learn.models import embedding
    from agnews_cli.learn.models.model import load_encoder, load_tokenizer

    reader = _reader(folder, order, load_tokenizer(str(folder)))
    assert order.base is not None
    head = embedding.EmbeddingHead.load(folder)
    dtype = "float32" if means.is_exact else head.dtype
    encoder = embedding.in_type(load_encoder(order.base), dtype)

    def ask(texts: Sequence[str], tokens: Tokens | None, hear: Hear) -> Probabilities:
        assert tokens is not None
        embedded = embedding.embed(
            encoder,
            tokens,
            int(reader.tokenizer.pad_token_id),
            batch_tokens=means.batch_tokens,
            check=means.check,
            told=hear,
        )
        return head.predict(embedded)

    return OpenedMember(ask, reader)


def _finetuned(folder: Path, order: Order, means: Means) -> OpenedMember:
    import torch

    from agnews_cli.learn.loop.forward import Alone, predict, predict_with_hidden
    from agnews_cli.learn.models import kernels
    from agnews_cli.learn.models.model import load_delivery

    if means.processes is None:  # else who shares them has seen to it
        kernels.settle()
    model, tokenizer = load_delivery(folder, order.base)
    reader = _reader(folder, order, tokenizer)
    if model.config.num_labels != len(order.labels):
        raise ValueError(f"{model.config.num_labels} classes instead of {len(order.labels)}")
    alone = Alone(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    processes = means.processes or alone
    model.to(processes.device)

    def ask(texts: Sequence[str], tokens: Tokens | None, hear: Hear) -> Probabilities:
        assert tokens is not None
        return predict(
            model,
            tokens,
            int(reader.tokenizer.pad_token_id),
            processes,
            means.batch_tokens,
            autocast=False,
            check=means.check,
            told=hear,
        )

    def inside(
        texts: Sequence[str], tokens: Tokens, hear: Hear
    ) -> tuple[Probabilities, NDArray[np.float32]]:
        facts = (model, tokens, int(reader.tokenizer.pad_token_id), processes, means.batch_tokens)
        classes = len(order.labels)
        return predict_with_hidden(*facts, classes=classes, check=means.check, told=hear)

    return OpenedMember(ask, reader, inside)


def _graph(
    kind: Literal["onnx", "openvino"], folder: Path, order: Order, means: Means
) -> OpenedMember:
    from agnews_cli.learn.graphs import runtime

    graph = runtime.load(folder, kind)
    if graph.classes != len(order.labels):
        raise ValueError(f"{graph.classes} classes instead of {len(order.labels)}")

    def ask(texts: Sequence[str], tokens: Tokens | None, hear: Hear) -> Probabilities:
        return graph(texts, hear, means.check)

    return OpenedMember(ask)


_OPENERS: dict[MemberKind, Callable[[Path, Order, Means], OpenedMember]] = {
    "linear": _linear,
    "forest": _forest,
    "embedding": _embedding,
    "finetune": _finetuned,
    "onnx": partial(_graph, "onnx"),
    "openvino": partial(_graph, "openvino"),
}


def _reader(folder: Path, order: Order, tokenizer: Any) -> Reader:
    digest = hashlib.sha256()
    for name in _TOKENIZER:
        if (folder / name).is_file():
            digest.update((folder / name).read_bytes())
        else:
            digest.update(str(folder).encode())  # of a kind of its own
    return Reader(tokenizer, order.max_length, digest.hexdigest(), order.long_texts)


# ---- what can go wrong --------------------------------------------------------------------------


def _require_whole(folder: Path, member: Member) -> None:
    """Raises ModelDamaged, naming the file, unless all is there as it was delivered."""
    for name, expected in member.digests.items():
        path = folder / name
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ModelDamaged(path=path, reason=error.strerror or error) from None
        if found != expected:
            raise ModelDamaged(path=path, reason="its SHA-256 is not that of what was delivered")


def _damage(folder: Path, error: Exception) -> AgnewsError:
    """The error that names the file which cannot be read, else the folder."""
    for path in sorted(folder.glob("*")):
        try:
            if path.suffix == ".safetensors":
                from safetensors import safe_open

                with safe_open(path, framework="numpy") as tensors:
                    tensors.keys()
            elif path.suffix == ".json":
                json.loads(path.read_text("utf-8"))
        except Exception as why:
            return ModelDamaged(path=path, reason=first_line(why))
    return ModelDamaged(path=folder, reason=first_line(error))


def first_line(error: BaseException) -> str:
    said = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (said[0] if said else type(error).__name__).rstrip(".")
