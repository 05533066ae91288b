"""Two-line cells to paste into a notebook, for what only its kernel may do."""

from __future__ import annotations

DRIVE = "/content/drive"
MOUNT_DRIVE = f"from google.colab import drive\ndrive.mount({DRIVE!r})"
"""Colab's kernel must ask the browser."""

_SECRET = {
    "colab": (
        "import os; from google.colab import userdata",
        "os.environ[{name!r}] = userdata.get({name!r})",
    ),
    "kaggle": (
        "import os; from kaggle_secrets import UserSecretsClient",
        "os.environ[{name!r}] = UserSecretsClient().get_secret({name!r})",
    ),
}


def pass_secret(name: str, platform: str) -> str | None:
    """The cell that puts a secret of the notebook where `!agnews` sees it.

    None where `platform` keeps no secrets: there an environment variable is all there is.
    """
    lines = _SECRET.get(platform)
    return None if lines is None else "\n".join(lines).format(name=name)


def on_one_line(cell: str) -> str:
    """The same, where there is room for one line."""
    return "; ".join(cell.splitlines())
