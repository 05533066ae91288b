"""The command line as a user meets it: help, start-up, errors, exit codes, plans."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "numpy", "pandas", "transformers", "sklearn", "datasets", "peft", "accelerate"}


def loaded_modules(*arguments: str) -> set[str]:
    """Top-level modules in `sys.modules` after a command."""
    code = (
        "import sys, json\n"
        "from agnews_cli.cli.main import main\n"
        f"try: main({list(arguments)!r})\n"
        "except SystemExit as e: assert not e.code, e.code\n"
        "print('\\n' + json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("platform",),
        ("platform", "--json"),
        ("presets", "ls"),
        ("presets", "show", "minilm"),
        ("runs",),
        ("auto", "--help"),
        ("wizard", "--help"),
    ],
    ids=" ".join,
)
def test_light_commands_load_nothing_heavy(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    modules = loaded_modules(*arguments)
    assert "agnews_cli" in modules
    assert not modules & HEAVY
    if arguments == ("--help",):
        assert not modules & {"pydantic", "rich", "yaml", "sqlite_utils"}


UNASKED = {
    "--help": {
        "pydantic",
        "rich",
        "yaml",
        "sqlite3",
        "json",
        "agnews_cli.core",
        "agnews_cli.store",
    },
    "platform": {"rich", "yaml", "sqlite3", "pynvml", "agnews_cli.core.run"},
    "quota": {"rich", "pynvml", "psutil", "agnews_cli.core.run.preset", "agnews_cli.store.run"},
    "plan": {
        *("sqlite3", "pynvml", "psutil", "agnews_cli.core.run.job", "agnews_cli.store.run"),
        *("agnews_cli.core.hours.session", "agnews_cli.core.hours.quota"),
    },
}
"""Modules that took time at the start of each of them, and answered nothing that it was asked."""


@pytest.mark.parametrize("command", UNASKED)
def test_a_command_imports_what_it_needs(command: str, tmp_path: Path) -> None:
    if Path("/dev/nvidiactl").exists() and command != "--help":
        pytest.skip("a GPU is to be asked")
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "agnews_cli", command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    timed = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    loaded = {line.rpartition("|")[2].strip() for line in timed}
    assert "agnews_cli.cli.main" in loaded
    assert not loaded & UNASKED[command]


@pytest.mark.parametrize("arguments", [("--version",), ("-V",)])
def test_the_version_is_said(agnews, arguments):
    assert agnews(*arguments).out.startswith("agnews 0.")


def test_presets_are_listed_as_objects(agnews):
    found = agnews("presets", "ls", "--json").json
    assert len(found) >= 10
    assert all({"name", "tier", "model", "method"} <= set(p) for p in found)
    assert any("minilm" in p["name"] and p["method"] == "full" for p in found)
    told = [one for p in found for one in p["measured"]]
    assert told and all(one["machine"] and one["as_of"] and one["commit"] for one in told)


def test_a_preset_of_ones_own_is_copied_explained_and_resolved(agnews, tmp_path):
    copied = agnews("presets", "copy", "minilm", "mine.yaml")
    assert "written:" in copied.out and "agnews auto --preset mine.yaml" in copied.out
    again = agnews("presets", "copy", "minilm", "mine.yaml")
    assert again.code == 73 and "--force" in again.err
    text = (tmp_path / "mine.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(f"{text}\ntraining:\n  lr: 1e-3  # as I like it\n")
    explained = agnews("presets", "explain", "mine.yaml").out
    assert "training.lr: 0.001" in explained and "Why: as I like it" in explained
    assert "Expected accuracy" not in explained, "it was measured with another rate"
    found = agnews("presets", "explain", "mine.yaml", "--json").json
    said = {one["field"]: one["said"] for one in found["fields"]}
    assert (said["training.lr"], said["training.r_drop"]) == ("own", "extended")
    assert "lr: 0.001" in agnews("presets", "show", "mine.yaml", "--resolved").out
    assert "extends: minilm" in agnews("presets", "show", "mine.yaml").out
    assert "91.1% measured" in agnews("presets", "validate", "minilm").out


def test_shown_preset_can_be_given_back(agnews, tmp_path):
    (tmp_path / "mine.yaml").write_text(agnews("presets", "show", "minilm").out)
    shown = agnews("presets", "show", "mine.yaml")
    assert shown.code == 0, shown.err


def test_dry_run_shows_the_plan_and_touches_nothing(agnews, tmp_path, own_home):
    pytest.importorskip("torch")
    before = sorted(tmp_path.rglob("*"))
    done = agnews("auto", "--dry-run", "--budget", "10m")
    assert done.code == 0, done.err
    for word in ("minilm", "480 rows", "10 min", "because", "Nothing was trained"):
        assert word in done.out
    assert sorted(tmp_path.rglob("*")) == before
    assert not (own_home / "data").exists()
    planned = agnews("auto", "--dry-run", "--json").json
    assert planned["state"] == "planned"
    assert planned["schema"] == "agnews.result/1"


BAD = {
    "missing file": (["--data", "no.csv"], 66, "no.csv: no such file"),
    "unknown preset": (["--preset", "minilmm"], 78, "did you mean 'minilm'"),
    "unknown field": (["--preset", "minilm", "--set", "training.lrr=1"], 78, "training.lr"),
    "ill-typed field": (["--preset", "minilm", "--set", "training.epochs=many"], 78, "epochs"),
    "no equals sign": (["--preset", "minilm", "--set", "training.lr"], 78, "training.lr"),
    "not a duration": (["--budget", "soon"], 2, "'soon' is not a duration"),
    "budget too short": (["--budget", "3s"], 2, "too short"),
    "unknown goal": (["--goal", "fame"], 2, "fame"),
    "unknown option": (["--bugdet", "5m"], 2, "--bugdet"),
    "negative seed": (["--seed", "-1"], 2, "seed"),
    "store is a file": (["--store", "there.txt"], 74, "there.txt"),
    "model folder missing": (["--preset", "minilm", "--set", "model.id=./none"], 66, "none"),
    "one class": (["--data", "one.csv"], 65, "at least two classes"),
    "header alone": (["--data", "header.csv"], 65, "no rows"),
    "empty file": (["--data", "empty.csv"], 65, "no rows"),
    "not utf-8": (["--data", "latin.csv"], 65, "not UTF-8"),
    "wrong column": (["--data", "ok.csv", "--text-column", "txt"], 65, "there is no column 'txt'"),
    "bad preset file": (["--preset", "bad.yaml"], 78, "bad.yaml:"),
    "hub out of reach": (["--data", "owner/name"], 69, "owner/name"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_clear_error(name, agnews, tmp_path):
    if name in {"store is a file", "hub out of reach"}:
        pytest.importorskip("torch")
    (tmp_path / "there.txt").write_text("x")
    (tmp_path / "one.csv").write_text("label,text\na,x y\na,z w\n")
    (tmp_path / "header.csv").write_text("label,text\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "latin.csv").write_bytes("label,text\na,мир\nb,труд\n".encode("cp1251"))
    (tmp_path / "ok.csv").write_text("label,text\n" + "a,x y\nb,z w\n" * 5)
    (tmp_path / "bad.yaml").write_text("name: bad\ntier: encodr\nepochs: 3\n")
    arguments, code, fragment = BAD[name]
    done = agnews("auto", *arguments)
    assert done.code == code, done.err
    assert fragment in " ".join(done.err.split()), done.err
    assert "Traceback" not in done.err + done.out
    if code != 2:
        as_json = agnews("auto", *arguments, "--json")
        assert as_json.json["error"]["exit_code"] == as_json.code == code
        assert as_json.json["error"]["hint"]


def test_a_part_of_the_rows_is_said_to_be_a_part(agnews):
    pytest.importorskip("torch")
    assert "200 of 480 rows" in agnews("auto", "--dry-run", "--limit-train", "200").out


def test_every_problem_of_a_preset_is_named_with_its_line(agnews, tmp_path):
    text = agnews("presets", "show", "minilm").out.replace("tier: encoder", "tier: encodr")
    text = text.replace("  epochs: 4", "  epochs: many\n  colour: red")
    (tmp_path / "bad.yaml").write_text(text)
    err = agnews("auto", "--preset", "bad.yaml").err
    lines = text.splitlines()
    for wrong in ("tier: encodr", "  epochs: many", "  colour: red"):
        assert f"bad.yaml:{lines.index(wrong) + 1}:" in err, err


def test_without_the_train_extra_the_next_command_is_named(tmp_path):
    """A process that cannot find torch, as on a laptop with the base install alone."""
    code = (
        "import importlib.util as u, sys\n"
        "real = u.find_spec\n"
        "u.find_spec = lambda n, *a: None if n == 'torch' else real(n, *a)\n"
        "from agnews_cli.cli.main import main\n"
        "main(['auto', '--data', sys.argv[1], '--preset', sys.argv[2]])"
    )
    (tmp_path / "config.json").write_text("{}")
    from agnews_cli.store.settings import presets

    preset = presets.text("minilm").replace("sentence-transformers/all-MiniLM-L6-v2", str(tmp_path))
    preset = preset.replace("  embedded:", "  # embedded:")
    (tmp_path / "minilm.yaml").write_text(preset)
    sample = Path(presets.__file__).parents[2] / "sample"
    done = subprocess.run(
        [sys.executable, "-c", code, str(sample), str(tmp_path / "minilm.yaml")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ,
        check=False,
    )
    assert done.returncode == 69, done.stderr
    assert "pip install 'agnews-cli[train]'" in done.stderr


def test_validate_says_what_each_model_is_trained_for(agnews):
    """Seen: two lines `minilm full 23 M +0`, one of them the student."""
    said = agnews("presets", "validate", "minilm-from-ensemble").out
    titles = [line.split("  ")[0] for line in said.splitlines() if "minilm   full" in line]
    assert titles == ["member 1", "member 2", "member 3", "student"]


def test_a_reader_who_leaves_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -m agnews_cli presets ls | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


@pytest.mark.parametrize("to", [">&-", "> /dev/full"])
@pytest.mark.parametrize("command", ["--help", "presets ls", "presets ls --json"])
def test_output_that_cannot_be_written_is_an_error_and_no_traceback(command, to, tmp_path):
    """Seen: exit code 0, and a traceback."""
    if "full" in to and not os.access("/dev/full", os.W_OK):
        pytest.skip("no /dev/full here")
    done = subprocess.run(
        ["/bin/sh", "-c", f'"{sys.executable}" -m agnews_cli {command} {to}'],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 74, done.stderr
    assert "Cannot write to standard output: " in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_models_are_listed_and_shown(agnews):
    listed = agnews("models", "ls")
    assert listed.code == 0 and "deberta-v3-base" in listed.out
    names = [model["name"] for model in agnews("models", "ls", "--json").json]
    assert len(names) == len(set(names)) >= 55
    shown = agnews("models", "show", "DeBERTa-v3-XLarge")
    assert "hub id" in shown.out and "deberta-v2-xlarge is meant" in shown.out
    assert agnews("models", "show", "Llama 2 7B", "--json").json["is_gated"] is True
    unknown = agnews("models", "show", "falcon40b")
    assert unknown.code == 78 and "'falcon-40b'" in unknown.err


def test_fit_says_whether_a_training_fits_and_what_would_help(agnews):
    fits = agnews("fit", "minilm-l6", "--on", "T4")
    assert fits.code == 0 and "fits: " in fits.out and "peak" in fits.out
    large = agnews("fit", "Llama 3 8B", "--on", "kaggle", "--json")
    said = large.json
    assert large.code == 69 and said["fits"] is False and said["devices"] == 2
    assert said["peak_bytes"] == sum(said["parts"].values()) > said["usable_bytes"]
    assert any(one["change"].startswith("--method qlora") for one in said["help"])
    helped = agnews("fit", "llama-3-8b", "--on", "kaggle", *said["help"][-1]["change"].split())
    assert helped.code == 0, helped.out
    here = agnews("fit", "minilm-l6")
    assert here.code == 0 and "this machine" in here.out


def test_fit_refuses_what_cannot_be_and_says_what_goes_wrong(agnews):
    refused = agnews("fit", "mixtral-8x7b", "--method", "qlora", "--on", "80GB")
    assert refused.code == 69 and "qlora cannot train mixtral-8x7b: " in refused.out
    assert "in fp32: " in agnews("fit", "deberta-v3-base", "--on", "T4").out
    for wrong in (("--method", "lorra"), ("--precision", "fp8"), ("--batch", "0")):
        assert agnews("fit", "minilm-l6", "--on", "T4", *wrong).code == 2
    assert agnews("fit", "minilm-l6", "--on", "nowhere").code != 0
