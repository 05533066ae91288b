"""What `!` does on Colab, as an IPython extension: `%load_ext colab_shell`.

As measured on Colab's pinned versions (docs/notebooks.md): a terminal of 0 × 0 that controls
nothing; the stop button reaches the shell alone, first as SIGINT, and as
SIGTERM when the shell is still there some seconds later; a kernel that dies sends nothing.
"""

from __future__ import annotations

import codecs
import os
import pty
import select
import signal
import subprocess
import sys
import time

_BEFORE_TERM_S = 5.0


def load_ipython_extension(shell):
    shell.system = lambda command: _system(shell, shell.var_expand(command, depth=1))


def _system(shell, command):
    reader, writer = pty.openpty()  # nobody gives it a size
    process = subprocess.Popen(
        command,
        shell=True,
        executable="/bin/bash",
        stdin=writer,
        stdout=writer,
        stderr=writer,
        process_group=0,  # and no session: its leader would be controlled by the terminal
    )
    os.close(writer)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    asked_s = None
    while True:
        try:
            if select.select([reader], [], [], 0.1)[0]:
                try:
                    block = os.read(reader, 65536)
                except OSError:
                    block = b""
                if not block:
                    break
                sys.stdout.write(decoder.decode(block))
                sys.stdout.flush()
            elif process.poll() is not None:
                break
            if asked_s is not None and time.monotonic() - asked_s > _BEFORE_TERM_S:
                process.terminate()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            asked_s = time.monotonic()
    process.wait()
    os.close(reader)
    shell.user_ns["_exit_code"] = process.returncode
