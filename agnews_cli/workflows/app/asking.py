"""What the page asks of the model: one text, what its answer rests on, a file of texts.

One process answers, and one thread asks it, in the order in which the questions came.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from agnews_cli.core.run.looked_at import LookedAt
from agnews_cli.errors import AgnewsError
from agnews_cli.store.data import answers
from agnews_cli.store.data import texts as sheets
from agnews_cli.store.data.texts import AskedTexts, Item
from agnews_cli.store.model.delivered import Delivered
from agnews_cli.workflows.prediction.predict import best
from agnews_cli.workflows.serving.asked_model import AskedModel
from agnews_cli.workflows.serving.serve import kept

MOST_CHARACTERS = 10_000
"""Of one text."""
MOST_ROWS = 20_000
MOST_BYTES = 5_000_000
"""Of a file."""
SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".txt", ".parquet")
_CHUNK_ROWS = 64
"""Then whoever waits with a text is asked for in between."""


class Unanswerable(Exception):
    """Why a question has no answer, in words for whoever asked it."""


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """A file of answers. `counts`: rows by label."""

    path: Path
    rows: int
    without_text: int
    counts: dict[str, int]
    note: str


class AppModel:
    """The model behind the page. `folder`: for files of answers, the caller's to remove."""

    def __init__(self, model: Delivered, asked: AskedModel, folder: Path) -> None:
        self.model = model
        self._asked, self._folder = asked, folder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")

    def start(self) -> None:
        """Load it. Raises what loading it raises."""
        self._thread.submit(self._asked.open).result()

    def close(self) -> None:
        """End its process; whoever waits is told."""
        self._asked.close()
        self._thread.shutdown(cancel_futures=True)

    def text(self, text: str) -> Sequence[float]:
        """The probability of each class. Raises Unanswerable."""
        with _in_words():
            return self._ask([self._clean(text)])[0]

    def look(self, text: str) -> LookedAt:
        """Raises Unanswerable."""
        with _in_words():
            return self._thread.submit(self._asked.look, [self._clean(text)]).result()[0]

    def file(self, given: Path) -> LabelledFile:
        """Every row of it with its label and probabilities, in the same format where that can be
        written, else as CSV. Raises Unanswerable."""
        if given.stat().st_size > MOST_BYTES:
            raise Unanswerable(f"The file is larger than {MOST_BYTES / 1e6:.0f} MB.")
        with _in_words(given):
            return self._file(given)

    def _file(self, given: Path) -> LabelledFile:
        sheet = sheets.open_sheet(str(given), self.model, AskedTexts())
        found = sheets.count(sheet)
        if found.rows > MOST_ROWS:
            raise Unanswerable(f"The file has {found.rows:,} rows; at most {MOST_ROWS:,}.")
        head, note = answers.heading(sheet.table.columns, found.kinds, self.model.labels)
        suffix = given.suffix.lower() if given.suffix.lower() in (".tsv", ".jsonl") else ".csv"
        folder = Path(mkdtemp(dir=self._folder))
        target = answers.target(str(folder / f"{given.stem[:60]}-labelled{suffix}"))
        counts = dict.fromkeys(self.model.labels, 0)
        nothing = ("",) * len(sheet.table.columns)
        with answers.writing(target, head) as writer:
            for item, shares in self._answered(sheet.items()):
                label = self.model.labels[best(shares)] if shares else ""
                counts[label] = counts.get(label, 0) + 1
                writer.row(nothing if item.values is None else item.values, label, shares)
        without = counts.pop("", 0)
        said = "; ".join(filter(None, (sheet.note, note)))
        return LabelledFile(target.path, found.rows, without, counts, said)

    def _answered(self, items: Iterator[Item]) -> Iterator[tuple[Item, Sequence[float]]]:
        held: list[Item] = []
        for item in items:
            held.append(item)
            if len(held) == _CHUNK_ROWS:
                yield from self._each(held)
                held = []
        yield from self._each(held)

    def _each(self, held: Sequence[Item]) -> Iterator[tuple[Item, Sequence[float]]]:
        texts = [item.text for item in held if not item.problem]
        left = iter(self._ask(texts) if texts else ())
        for item in held:
            yield item, () if item.problem else next(left)

    def _clean(self, text: str) -> str:
        """As the model's own texts were. Raises Unanswerable."""
        if len(text) > MOST_CHARACTERS:
            raise Unanswerable(f"The text is longer than {MOST_CHARACTERS:,} characters.")
        whole = text.encode("utf-8", "replace").decode()  # half a letter is none
        (item,) = sheets.in_memory([whole], self.model).items()
        if item.problem:
            raise Unanswerable("There are no words in this text.")
        return item.text

    def _ask(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        return self._thread.submit(self._asked.ask, texts).result()


class _in_words:
    """Errors as Unanswerable. A path of this machine is no answer, and neither is a traceback."""

    def __init__(self, given: Path | None = None) -> None:
        self._given = given

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Unanswerable) or not isinstance(error, Exception):
            return
        if isinstance(error, AgnewsError):
            said = error.message
        else:
            said = f"This is an error of agnews's own; the details are in {kept(error)} there."
        if self._given is not None:
            said = said.replace(str(self._given), self._given.name)
        raise Unanswerable(said) from error
