"""`python -m agnews_cli.start MODULE ARGUMENTS`."""

import runpy
import sys

from agnews_cli import start

if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    with start.unsearched():
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
