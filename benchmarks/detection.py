"""How many surroundings agnews reads rightly, beside the tests that other libraries use.

Every entry of tests/core/environments.yaml (but those of our own override) is put before the real
functions of accelerate, kagglehub, transformers and huggingface_hub: a forked process gets exactly
those variables and, where the entry is the kernel itself, a `get_ipython()` of Colab's or Jupyter's
class. Each library is asked only what it has a test for. One test is no function of its own and is
transcribed: accelerate's for a TPU (accelerate 1.15.0, launchers.py, `notebook_launcher`), without
its condition that this be Colab or Kaggle.

The suite is ours, and agnews is developed against it: its own row shows that it holds, not how it
would do elsewhere. "Notebook?" means what a command needs to know, whether a person reads this in a
notebook; a library may rightly say no to "am I the kernel" in a child of one.

    python benchmarks/detection.py [--explain]       exits 1 when agnews gets one wrong
"""

from __future__ import annotations

import argparse
import builtins
import importlib
import importlib.machinery
import json
import os
import sys
import types
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from agnews_cli.core.machine.markers import OVERRIDE
from agnews_cli.core.machine.platform import identify
from tests.core.surroundings import Environment, environments

COLAB = frozenset({"colab", "colab-enterprise"})
QUESTIONS = ("Kaggle?", "Colab?", "Colab Enterprise?", "notebook?", "TPU?")
Answers = Mapping[str, bool]


# ---- Who is asked --------------------------------------------------------------------------------


def accelerate() -> Answers:
    """The real launcher is called and refused at its next line; its locals hold the answers."""
    from accelerate import notebook_launcher

    try:
        notebook_launcher(lambda: None, mixed_precision="no such precision")
    except Exception as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_name != "notebook_launcher":
            trace = trace.tb_next
        assert trace is not None
        found = trace.tb_frame.f_locals
    kaggle, colab = bool(found["in_kaggle"]), bool(found["in_colab"])
    has_tpu = os.environ.get("TPU_NAME") is not None or os.environ.get("PJRT_DEVICE", "") == "TPU"
    return {"Kaggle?": kaggle, "Colab?": colab, "TPU?": has_tpu}


def kagglehub() -> Answers:
    import kagglehub.env
    from kagglesdk.kaggle_env import is_in_kaggle_notebook

    env = importlib.reload(kagglehub.env)  # it looks when it is imported
    return {"Kaggle?": is_in_kaggle_notebook(), "Colab?": env.is_in_colab_notebook()}


def transformers() -> Answers:
    from transformers.utils.import_utils import is_in_notebook

    is_in_notebook.cache_clear()
    return {"notebook?": is_in_notebook()}


def huggingface_hub() -> Answers:
    from huggingface_hub.utils import _runtime

    runtime = importlib.reload(_runtime)  # it looks when it is imported
    return {
        "Colab?": runtime.is_google_colab(),
        "Colab Enterprise?": runtime.is_colab_enterprise(),
        "notebook?": runtime.is_notebook(),
    }


def ours(environment: Environment) -> Answers:
    found = identify(environment.facts())
    return {
        "Kaggle?": found.name == "kaggle",
        "Colab?": found.name in COLAB,
        "Colab Enterprise?": found.name == "colab-enterprise",
        "notebook?": found.run_mode == "notebook-child",
        "TPU?": found.accelerator.kind == "tpu",
    }


def truth(environment: Environment) -> Answers:
    expected = environment.expected
    return {
        "Kaggle?": expected["platform"] == "kaggle",
        "Colab?": expected["platform"] in COLAB,
        "Colab Enterprise?": expected["platform"] == "colab-enterprise",
        "notebook?": expected["run_mode"] == "notebook-child",
        "TPU?": expected.get("tpu") is not None,
    }


PEERS: Mapping[str, Callable[[], Answers]] = {
    "accelerate": accelerate,
    "kagglehub": kagglehub,
    "transformers": transformers,
    "huggingface_hub": huggingface_hub,
}


# ---- Asking --------------------------------------------------------------------------------------


def put_into(environment: Environment) -> None:
    """Make this process what the entry says, as far as libraries look."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    os.environ.clear()
    os.environ.update(kept | environment.env)
    if environment.shell != "kernel":
        return
    is_colab = environment.expected["platform"] in COLAB
    facts: dict[str, object] = {"__module__": "ipykernel.zmqshell", "config": {"IPKernelApp": {}}}
    kind = type("ZMQInteractiveShell", (), facts)
    if is_colab:
        kind = type("Shell", (kind,), {"__module__": "google.colab._shell"})
    shell = kind()
    ipython = types.ModuleType("IPython")
    ipython.__spec__ = importlib.machinery.ModuleSpec("IPython", None)
    ipython.get_ipython = lambda: shell  # type: ignore[attr-defined]
    sys.modules["IPython"] = ipython
    builtins.get_ipython = lambda: shell  # type: ignore[attr-defined]


def ask(environment: Environment) -> dict[str, dict[str, bool]]:
    """What every peer answers there, from a process of its own."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            put_into(environment)
            told = {name: dict(peer()) for name, peer in PEERS.items()}
            os.write(writing, json.dumps(told).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read()
    _, status = os.waitpid(pid, 0)
    if status != 0:
        sys.exit(f"the peers could not be asked in: {environment.name}")
    found: dict[str, dict[str, bool]] = json.loads(text)
    return found


def load_peers() -> None:
    """Once, before forking: it takes seconds. Their warnings are not our output."""
    import logging

    import accelerate.launchers
    import kagglehub.env
    import transformers.utils.import_utils
    from huggingface_hub.utils import _runtime

    del accelerate, kagglehub, transformers, _runtime
    logging.disable(logging.WARNING)


def main() -> int:
    parser = argparse.ArgumentParser(description="Detection beside other libraries' tests.")
    parser.add_argument("--explain", action="store_true", help="name what each gets wrong")
    is_explained = parser.parse_args().explain
    suite = [e for e in environments() if not e.env.get(OVERRIDE)]
    load_peers()
    right: dict[tuple[str, str], list[bool]] = {}
    wrong: list[tuple[str, str, str, bool]] = []

    def mark(who: str, question: str, said: bool, environment: Environment, is_shown: bool) -> None:
        is_right = said == truth(environment)[question]
        right.setdefault((who, question), []).append(is_right)
        if not is_right and is_shown:
            wrong.append((who, question, environment.name, said))

    names = 0
    for environment in suite:
        for who, answers in ask(environment).items():
            for question, said in answers.items():
                mark(who, question, said, environment, True)
        for question, said in ours(environment).items():
            mark("agnews", question, said, environment, True)
        found = identify(environment.facts())
        names += (found.name, found.run_mode) == (
            environment.expected["platform"],
            environment.expected["run_mode"],
        )
    print(f"{len(suite)} environments; right answers of each, to the questions it has a test for")
    print()
    print("| library | " + " | ".join(QUESTIONS) + " | all of its questions |")
    print("| --- |" + " ---: |" * (len(QUESTIONS) + 1))
    counts = [str(sum(truth(e)[question] for e in suite)) for question in QUESTIONS]
    print("| *where the answer is yes* | " + " | ".join(counts) + " | |")
    for who in (*PEERS, "agnews"):
        version = "" if who == "agnews" else " " + metadata.version(who)
        cells, all_right = [], [True] * len(suite)
        for question in QUESTIONS:
            marks = right.get((who, question))
            cells.append(str(sum(marks)) if marks else "–")
            if marks:
                all_right = [a and b for a, b in zip(all_right, marks, strict=True)]
        print(f"| {who}{version} | " + " | ".join(cells) + f" | {sum(all_right)} |")
    print()
    print(f"agnews names the platform (of 19) and the run mode (of 5) rightly in {names}.")
    if is_explained:
        print()
        for who, question, name, said in wrong:
            print(f"{who:<16} {question:<18} says {'yes' if said else 'no':<4} in: {name}")
    misses: list[Any] = [row for row in wrong if row[0] == "agnews"]
    return 1 if misses or names < len(suite) else 0


if __name__ == "__main__":
    sys.exit(main())
