"""How the libraries that stacks are learnt by are imported: what they need not is left out."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from agnews_cli.errors import ExtraMissing


def booster(name: str) -> ModuleType:
    """A library of gradient boosting. Raises ExtraMissing where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ExtraMissing(extra="boosters", module=name) from None


@contextmanager
def without(*names: str) -> Iterator[None]:
    """What is imported inside does not find these modules, unless they are there already.

    XGBoost, LightGBM and scikit-learn import others where they find them, for interfaces that
    nothing of ours uses, and that takes most of their import. They lack those from then on in the
    whole process: so only commands of ours may do this, never what answers in a user's notebook.
    """
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: not to be found
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
