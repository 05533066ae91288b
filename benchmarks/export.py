"""An exported model beside the one that it was made from: size, latency, and test accuracy, paired.

    python benchmarks/export.py RUN EXPORTED [EXPORTED …] [--peer FOLDER …] [--rows 7600]
        [--data DIR] [--base FOLDER]

RUN and each EXPORTED are folders that `agnews predict` takes; `--base` is where the pretrained
model of embeddings lies. `--peer`: what `optimum-cli` wrote, one `.onnx` beside a
`tokenizer.json`, asked by ONNX Runtime as it comes. Latency is that of the graph or of torch's
forward alone, without tokens being made, of one shape: `--tokens` each, batches of 1 and 32. Each
model has three turns, each in a process of its own: threads that wait for work hold a core. It is
told twice: what the clock says, and the time of the thread, which with `--threads 1` is what an
idle core would need. Test rows are read here, for figures, and choose nothing.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
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
TURNS = 3
Times = dict[int, list[tuple[float, float]]]
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


def timed(folder: Path, is_peer: bool, base: str, tokens: int, threads: int) -> Times | None:
    """Seconds of the clock and of the thread for each pass, by its rows; None of several models."""
    computing_with(threads)
    run = peer_forward(folder) if is_peer else forward_of(delivered.at(folder), base)
    if run is None:
        return None
    found: Times = {}
    for rows in BATCHES:
        ids = np.random.default_rng(0).integers(1000, 20_000, (rows, tokens))
        mask = np.ones_like(ids)
        for number in range(ROUNDS[rows] + 2):
            clock_s, thread_s = time.perf_counter(), time.thread_time()
            run(ids, mask)
            both = time.perf_counter() - clock_s, time.thread_time() - thread_s
            if number >= 2:  # what is made once is made
                found.setdefault(rows, []).append(both)
    return found


def latencies(folders: dict[Path, bool], base: str, tokens: int, threads: int) -> None:
    """Prints milliseconds a pass: of the clock (p50, p99), and of the thread (p50)."""
    took: dict[str, Times] = {}
    alone = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=alone, max_tasks_per_child=1) as pool:
        for _ in range(TURNS):
            for folder, is_peer in folders.items():
                found = pool.submit(timed, folder, is_peer, base, tokens, threads).result()
                for rows, times in (found or {}).items():
                    took.setdefault(folder.name, {}).setdefault(rows, []).extend(times)
    for name, by_rows in took.items():
        shown = []
        for rows, times in by_rows.items():
            clock, thread = 1e3 * np.asarray(times).T
            p50, p99 = np.percentile(clock, [50, 99])
            shown.append(
                f"batch {rows}: p50 {p50:.1f} ms, p99 {p99:.1f}, thread {np.median(thread):.2f}"
            )
        print(f"{name}: {', '.join(shown)}", flush=True)


def computing_with(threads: int) -> None:
    """In this process, from here on: torch, ONNX Runtime and OpenVINO."""
    import torch

    os.environ["OMP_NUM_THREADS"] = str(threads)
    torch.set_num_threads(threads)


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
    computing_with(args.threads)
    models = {path.name: delivered.at(path) for path in (args.run, *args.exported)}
    if not args.no_latency:
        folders = dict.fromkeys((args.run, *args.exported), False) | dict.fromkeys(args.peer, True)
        latencies(folders, args.base, args.tokens, args.threads)
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
