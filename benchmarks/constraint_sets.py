"""Would installing agnews change a package of a hosted machine? Resolved against what it has.

    pip install uv
    python benchmarks/constraint_sets.py FREEZE [--python 3.13] [--pins FILE]

FREEZE is a machine's `pip freeze`: Colab publishes its own in googlecolab/backend-info
(`pip-freeze.gpu.txt`, `.tpu.txt`), and Kaggle's image is Colab's of some weeks before with the
requirements in Kaggle/docker-python on top (`--pins`: lines NAME==VERSION that replace those of
FREEZE). For the package alone and with each extra, uv resolves our requirements where every
installed package is held at its version, and says how many stay as they are, which are new, and
which cannot stay. torch is there already, whatever its wheels ask of CUDA: nothing is resolved
below it. Nothing is installed.

Exits 1 where a set cannot be resolved with the machine's own versions.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SETS = (
    "", "train", "stores", "s3", "export", "serve", "app", "boosters",
    "tensorboard", "mlflow", "wandb",
)  # fmt: skip
_WORDS = 400


def frozen(*files: Path) -> dict[str, str]:
    """Versions by normal name, the last file's first, without what they have of a build
    (`+cu128`)."""
    found: dict[str, str] = {}
    for file in files:
        for line in file.read_text("utf-8").splitlines():
            name, _, version = line.partition("==")
            if not version:  # from an address: its wheel's name has the version
                name, _, address = line.partition(" @ ")
                version = (re.findall(r"/[\w.]+-(\d[\w.]*)(?:%2B|\+|-)", address) or [""])[-1]
            if version and not line.startswith("#"):
                found[normal(name)] = version.strip().partition("+")[0]
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def resolved(extra: str, held: dict[str, str], python: str, folder: Path) -> dict[str, str] | str:
    """Versions by name; in words where there are none."""
    constraints, out = folder / "held.txt", folder / "out.txt"
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in held.items()))
    settings = folder / "uv.toml"
    settings.write_text(
        "".join(
            f'dependency-metadata = [{{name="{name}", version="{held[name]}", requires-dist=[]}}]\n'
            for name in {"torch"} & set(held)
        )
    )
    command = [
        "uv",
        "pip",
        "compile",
        "--quiet",
        "--no-header",
        "--no-annotate",
        str(ROOT / "pyproject.toml"),
    ]
    command += [
        "--python-version",
        python,
        "--constraint",
        str(constraints),
        "--output-file",
        str(out),
    ]
    command += ["--config-file", str(settings)]
    command += ["--extra", extra] if extra else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return " ".join(done.stderr.split())[-_WORDS:]
    return frozen(out)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("freeze", type=Path)
    parser.add_argument("--python", default="3.13")
    parser.add_argument("--pins", type=Path, action="append", default=[])
    given = parser.parse_args()
    held, failed = frozen(given.freeze, *given.pins), 0
    print("| extra | packages | as they are | new |\n| --- | ---: | ---: | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for extra in SETS:
            found = resolved(extra, held, given.python, Path(folder))
            if isinstance(found, str):
                failed += 1
                print(f"| {extra or 'none'} | | | cannot: {found} |")
                continue
            new = sorted(set(found) - set(held))
            assert all(found[name] == held[name] for name in set(found) & set(held))
            kept = len(found) - len(new)
            print(f"| {extra or 'none'} | {len(found)} | {kept} | {', '.join(new) or 'none'} |")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
