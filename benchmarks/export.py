"""An exported model beside the one that it was made from: size, latency, and test accuracy, paired.

    python benchmarks/export.py RUN EXPORTED [EXPORTED …] [--peer FOLDER …] [--rows 7600]
        [--data DIR] [--base FOLDER]

RUN and each EXPORTED are folders that `agnews predict` takes; `--base` is where the pretrained
model of embeddings lies. `--peer`: what `optimum-cli` wrote, one `.onnx` beside a
`tokenizer.json`, asked by ONNX Runtime as it comes. All are loaded in one process and asked in
turn, round by round, so that what else the machine does meets each alike. Latency is that of the
graph or of torch's forward alone, without tokens being made, of one shape: `--tokens` each, batches
of 1 and 32. It is told twice: what the clock says, and the time of the thread (`--threads 1`),
which is what an idle core would need. Test rows are read here, for figures, and choose nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agnews_cli.learn import predictor
from agnews_cli.learn.combine.compare import compare
from agnews_cli.learn.figures.blend import softmax
from agnews_cli.learn.graphs import runtime
from agnews_cli.learn.graphs.write import LOADERS
from agnews_cli.store.data import datasets
from agnews_cli.store.model import delivered
from agnews_cli.store.model.delivered import Delivered

BATCHES = (1, 32)
ROUNDS = {1: 40, 32: 6}
Forward = Callable[[Any, Any], Any]


def forward_of(found: Delivered, base: str) -> Forward | None:
    """(ids, mask) to logits, of one model; None of several."""
    if found.combiner is not None or len(found.members) != 1:
        return None
    (member,) = found.members
    if member.kind in ("onnx", "openvino"):
        return runtime.load(Path(member.folder), member.kind).run
    import torch

    model, _ = LOADERS[member.kind](Path(member.folder), delivered.order_of(found, lambda _: base))

    def run(ids: Any, mask: Any) -> Any:
        with torch.inference_mode():
            batch = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
            return model(**batch).logits.numpy()

    return run


def peer_forward(folder: Path) -> Forward:
    """(ids, mask) to logits, by ONNX Runtime with as many threads as the others have."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
    (file,) = folder.glob("*.onnx")
    graph = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    names = {one.name for one in graph.get_inputs()}

    def run(ids: Any, mask: Any) -> Any:
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        return graph.run(None, {name: given[name] for name in names})[0]

    return run


def peer_asked(folder: Path, texts: Sequence[str], most_tokens: int) -> Any:
    """As `asked`: 32 texts of like length at a time."""
    from tokenizers import Tokenizer

    run, tokenizer = peer_forward(folder), Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(most_tokens)
    tokenizer.no_padding()
    clock_s, process_s = time.perf_counter(), time.process_time()
    each = [one.ids for one in tokenizer.encode_batch(list(texts))]
    order = np.argsort([len(ids) for ids in each], kind="stable")
    logits: dict[int, Any] = {}
    for part in np.array_split(order, -(-len(order) // 32)):
        longest = max(len(each[at]) for at in part)
        ids, mask = np.zeros((2, len(part), longest), dtype=np.int64)
        for row, at in enumerate(part):
            ids[row, : len(each[at])], mask[row, : len(each[at])] = each[at], 1
        logits |= dict(zip(part.tolist(), run(ids, mask), strict=True))
    said = softmax(np.stack([logits[at] for at in range(len(each))]).astype(np.float64))
    return said, time.perf_counter() - clock_s, time.process_time() - process_s


def latencies(each: dict[str, Forward], tokens: int) -> dict[str, dict[int, Any]]:
    """Milliseconds a batch: of the clock (p50, p99), and of the thread (p50)."""
    found: dict[str, dict[int, Any]] = {name: {} for name in each}
    for rows in BATCHES:
        ids = np.random.default_rng(0).integers(1000, 20_000, (rows, tokens))
        mask = np.ones_like(ids)
        took: dict[str, list[tuple[float, float]]] = {name: [] for name in each}
        for number in range(ROUNDS[rows] + 2):
            for name, run in each.items():
                clock_s, thread_s = time.perf_counter(), time.thread_time()
                run(ids, mask)
                both = time.perf_counter() - clock_s, time.thread_time() - thread_s
                if number >= 2:  # what is made once is made
                    took[name].append(both)
        for name, times in took.items():
            clock, thread = 1e3 * np.asarray(times).T
            p50, p99 = np.percentile(clock, [50, 99])
            found[name][rows] = (p50, p99, float(np.median(thread)))
    return found


def asked(found: Delivered, texts: Sequence[str], base: str) -> Any:
    """Probabilities, and seconds of the clock and of the process."""
    opened = predictor.open_delivery(delivered.order_of(found, lambda _: base))
    clock_s, process_s = time.perf_counter(), time.process_time()
    parts = [opened(texts[at : at + 200]) for at in range(0, len(texts), 200)]
    return np.concatenate(parts), time.perf_counter() - clock_s, time.process_time() - process_s


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("exported", type=Path, nargs="+")
    parser.add_argument("--peer", type=Path, action="append", default=[])
    parser.add_argument("--peer-tokens", type=int, default=128)
    parser.add_argument("--rows", type=int, default=7600)
    parser.add_argument("--data", default="../shared/data/ag_news")
    parser.add_argument("--base", default="")
    parser.add_argument("--tokens", type=int, default=52)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-latency", action="store_true")
    args = parser.parse_args()
    import torch

    os.environ["OMP_NUM_THREADS"] = str(args.threads)  # of ONNX Runtime and OpenVINO, too
    torch.set_num_threads(args.threads)
    models = {path.name: delivered.at(path) for path in (args.run, *args.exported)}
    forwards = {name: forward_of(one, args.base) for name, one in models.items()}
    ready = {name: run for name, run in forwards.items() if run is not None}
    ready |= {path.name: peer_forward(path) for path in args.peer}
    ready = {} if args.no_latency else ready
    took = latencies(ready, args.tokens) if ready else {}
    for name, by_rows in took.items():
        shown = ", ".join(
            f"batch {rows}: p50 {p50:.1f} ms, p99 {p99:.1f}, thread {thread:.2f}"
            for rows, (p50, p99, thread) in by_rows.items()
        )
        print(f"{name}: {shown}", flush=True)
    for name, one in models.items():
        print(f"{name}: {delivered.size_bytes(one) / 1e6:.1f} MB", flush=True)
    if not args.rows:
        return
    data = datasets.find(args.data)
    read = datasets.read(data, "test")
    drawn = np.sort(np.random.default_rng(0).permutation(len(read.texts))[: args.rows])
    texts = [read.texts[row] for row in drawn]
    # Its labels may be in another order than those of the data; others end here.
    own = [models[args.run.name].labels.index(label) for label in data.labels]
    classes = np.asarray(own)[np.asarray(read.classes)[drawn]]
    first, said = args.run.name, {}
    for name, one in (models | {path.name: path for path in args.peer}).items():
        if isinstance(one, Path):
            said[name], clock_s, process_s = peer_asked(one, texts, args.peer_tokens)
        else:
            said[name], clock_s, process_s = asked(one, texts, args.base)
        accuracy = (said[name].argmax(1) == classes).mean()
        print(
            f"{name}: accuracy {accuracy:.4f}, {clock_s:.0f} s, {process_s:.0f} s of the process",
            flush=True,
        )
        if name == first:
            continue
        apart = np.abs(said[name].astype(float) - said[first]).max()
        flips = int((said[name].argmax(1) != said[first].argmax(1)).sum())
        found = compare({name: said[name], first: said[first]}, classes, against=first)
        print(f"{name}: |dp| {apart:.1e}, {flips} flips of {len(classes)}")
        print(json.dumps(found.differences[0].model_dump(mode="json")), flush=True)


if __name__ == "__main__":
    main()
