"""The user's own stores: `<home>/stores.yaml`, which every command that takes stores reads.

stores: [runs, s3://bucket/agnews]
"""

from __future__ import annotations

import os
from pathlib import Path

from agnews_cli.errors import StoresInvalid
from agnews_cli.store.disk.home import home


def path() -> Path:
    return home() / "stores.yaml"


def load() -> tuple[str, ...]:
    """Addresses, in the file's order; none without a file. Raises StoresInvalid."""
    file = path()
    if not os.path.lexists(file):
        return ()
    from agnews_cli.store.settings import strict_yaml
    from agnews_cli.store.settings.strict_yaml import Refused, shown

    try:
        document = strict_yaml.read(file)
    except Refused as error:
        raise StoresInvalid(path=file, line=error.line, reason=error.reason) from error
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        raise StoresInvalid(path=file, line=1, reason=reason) from error
    for line, _, reason in document.problems:
        raise StoresInvalid(path=file, line=line, reason=reason)
    data = document.data
    if not isinstance(data, dict) or set(data) != {"stores"}:
        reason = f"should be one key, stores (found {shown(data)})"
        raise StoresInvalid(path=file, line=1, reason=reason)
    stores = data["stores"]
    if not isinstance(stores, list) or not all(isinstance(one, str) for one in stores):
        reason = f"stores should be a list of addresses (found {shown(stores)})"
        raise StoresInvalid(path=file, line=document.line(("stores",)), reason=reason)
    return tuple(stores)
