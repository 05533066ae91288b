"""`!agnews` and `%agnews` in real kernels, with stand-ins for what only Colab and Kaggle have."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

STANDINS = str(Path(__file__).parent / "standins")
EXTENSION = "%load_ext agnews_cli"
WHAT_THE_CHILD_GETS = """
import os, pathlib, stat, sys
script = pathlib.Path("say").absolute()
script.write_text("#!/bin/sh\\nenv | grep -oE '^(HF|KAGGLE)_[A-Z_]*(TOKEN|KEY|NAME)'\\n")
script.chmod(0o755)
kept, sys.executable = sys.executable, str(script)
%agnews platform
sys.executable = kept
"""


@pytest.fixture
def on(notebooks, stock_python):
    """A kernel that takes itself for a platform's."""

    def start(platform: str, python: Path = stock_python, **env: str):
        path = os.pathsep.join([notebooks.env["PYTHONPATH"], STANDINS])
        env = {"AGNEWS_PLATFORM": platform, "PYTHONPATH": path} | env
        return notebooks.start(python, EXTENSION, **env)

    return start


def through(kernel) -> None:
    """What both kinds of kernel have in common."""
    drive = kernel.run("%agnews runs --store drive")
    assert "Mounted at /content/drive, as asked in process" in drive.text
    assert f"in process {kernel.pid}" in drive.text  # the child could not
    assert "HF_TOKEN" in drive.text
    assert "nobody-may-see" not in drive.text
    again = kernel.run("%agnews platform")
    assert "Colab notebook" in again.text
    assert "Mounted" not in again.text
    assert "HF_TOKEN" not in again.text  # asked for and told once
    assert kernel.run("print(_exit_code)").stream == "0\n"

    more = kernel.run("%%agnews platform  # with arguments below\n--explain  # the evidence\n")
    assert "known from" in more.text
    name = "{'plat' + 'form'}"
    assert "Colab notebook" in kernel.run(f"%agnews {name}").text

    quota = kernel.run("%agnews quota")
    assert "olab" in quota.text and "no quota is published" in " ".join(quota.text.split())
    child = kernel.run("!agnews platform")
    assert "Colab notebook" in child.text

    # Last: ipykernel 6 drops the cells that reach it within 0.1 s of one that failed.
    wrong = kernel.run("%agnews predict latest 'a text' --store nowhere")
    assert wrong.reply["status"] == "error"
    assert "agnews predict ended with exit code 2" in wrong.error
    assert "Traceback" not in wrong.text
    quote = kernel.run("%agnews predict 'half")
    assert "cannot read its arguments: No closing quotation" in quote.error
    for cell in (drive, again, more, wrong, quota, child):
        assert "\x1b" not in cell.text


def test_in_ipykernel_7(on):
    kernel = on("colab")
    assert "7." in kernel.run("import ipykernel; print(ipykernel.__version__)").text
    assert kernel.run("import os; print(os.environ['FORCE_COLOR'])").stream == "1\n"
    through(kernel)


@pytest.mark.slow
def test_in_colabs_kernel(on, colab_python):
    kernel = on("colab", colab_python)
    versions = kernel.run(
        "import IPython, ipykernel; print(IPython.__version__, ipykernel.__version__)"
    )
    assert versions.stream == "7.34.0 6.17.1\n"
    kernel.run("%load_ext colab_shell")
    assert kernel.run("!stty size; cat /dev/tty").stream.startswith("0 0\r\ncat: /dev/tty: No such")
    through(kernel)


def test_kaggles_secrets_reach_the_child_and_no_one_else(on):
    kernel = on("kaggle")
    shown = kernel.run("%agnews platform")
    assert "given: KAGGLE_API_TOKEN" in shown.text
    assert "HF_TOKEN" not in shown.text
    kept = kernel.run("import os; print('KAGGLE_API_TOKEN' in os.environ)")
    assert kept.stream == "False\n"
    # In place of the command: what says which of these variables it was given.
    said = kernel.run(WHAT_THE_CHILD_GETS).stream
    assert said == "KAGGLE_API_TOKEN\n"


def test_what_is_in_the_environment_is_not_asked_for():
    from agnews_cli.host import kernel

    assert kernel.secrets("local", {}) == {}
    assert kernel.secrets("colab", dict.fromkeys(kernel.SECRETS, "set")) == {}


@pytest.mark.parametrize(
    ("arguments", "env", "is_needed"),
    [
        (["auto", "--store", "drive"], {}, True),
        (["auto", "--store=drive:news"], {}, True),
        (["auto", "--data", "/content/drive/MyDrive/a.csv"], {}, True),
        (["auto"], {"AGNEWS_STORE": "hf://me/runs, drive"}, True),
        (["auto", "--data", "drivers.csv"], {"AGNEWS_STORE": ""}, False),
        (["predict", "latest", "drive"], {}, False),
        (["platform"], {}, False),
    ],
)
def test_drive_is_mounted_for_what_names_it(arguments, env, is_needed):
    from agnews_cli.host import kernel

    assert kernel.needs_drive(arguments, env) is is_needed


def test_the_package_itself_imports_no_ipython():
    import subprocess
    import sys

    code = "import sys, agnews_cli; print([m for m in sys.modules if m.split('.')[0] == 'IPython'])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
