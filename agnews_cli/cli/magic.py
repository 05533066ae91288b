"""`%agnews …` in a notebook: the command as a child, with what only the kernel can give it.

Drive is mounted where a store is on it, the notebook's secrets are passed on, and the line of
progress is one display that is updated in place: only its last state is saved with the notebook.
The lines that stay are printed below it.
"""

from __future__ import annotations

import os
import shlex
import time
from typing import Any

from agnews_cli.cli.output import Output
from agnews_cli.core.machine.platform import Platform
from agnews_cli.core.text import duration
from agnews_cli.host import kernel

_IS_FINE = frozenset({0, 75})  # 75: paused in time, to be gone on with; the cells below may run


class AgnewsFailed(Exception):
    """`%agnews` failed; the command's own words are in the output."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the cell fails, so that "Run all" stops, and no traceback."""
        return [str(self)]


def register(shell: Any) -> None:
    """Give `shell` the line magic and the cell magic."""
    magic = _Magic(shell)
    shell.register_magic_function(magic.agnews, "line_cell", "agnews")


class _Magic:
    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._platform: Platform | None = None
        self._secrets: dict[str, str] | None = None

    def agnews(self, line: str, cell: str | None = None) -> None:
        """Run the agnews command; `%agnews --help` shows its parts.

        In a cell that begins with %%agnews, the lines below are more arguments; # begins a comment.
        """
        try:
            arguments = shlex.split(f"{line}\n{cell or ''}", comments=True)
        except ValueError as error:
            raise AgnewsFailed(f"%agnews cannot read its arguments: {error}") from None
        if self._platform is None:
            from agnews_cli.host.detect import detect

            self._platform = detect()
        area = _Area()
        if self._platform.name == "colab" and kernel.needs_drive(arguments, os.environ):
            kernel.mount_drive()
        began_s = time.monotonic()
        code = kernel.run(arguments, area, more=self._passed_on(self._platform.name, area))
        what = " ".join(["agnews", *arguments[:1]])
        area.close(f"{what}: {duration.show(time.monotonic() - began_s)}")
        self._shell.user_ns["_exit_code"] = code
        if code not in _IS_FINE:
            raise AgnewsFailed(f"{what} ended with exit code {code}")

    def _passed_on(self, platform: str, area: _Area) -> dict[str, str]:
        """Asked for once a kernel: Colab shows a dialog for each secret."""
        if self._secrets is None:
            self._secrets = kernel.secrets(platform, os.environ)
            if self._secrets:
                names = ", ".join(self._secrets)
                area.line(f"Secrets of the notebook that agnews is given: {names}")
        return self._secrets


class _Area:
    """The output area of a cell."""

    def __init__(self) -> None:
        self._out = Output()
        self._display: Any = None

    def line(self, text: str) -> None:
        self._out.say(text)

    def renew(self, text: str) -> None:
        bundle = {"text/plain": text}
        if self._display is None:
            from IPython.display import display

            self._display = display(bundle, raw=True, display_id=True)
        else:
            self._display.update(bundle, raw=True)

    def close(self, text: str) -> None:
        """What stays of the line of progress, where there was one."""
        if self._display is not None:
            self.renew(text)
