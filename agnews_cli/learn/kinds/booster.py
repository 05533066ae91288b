"""Libraries of gradient boosting, and how they are imported."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

from agnews_cli.errors import ExtraMissing

_FOR_OTHERS = ("sklearn", "pandas")
"""What each of them imports where it is found, for interfaces that nothing of ours uses."""


def library(name: str) -> ModuleType:
    """The module. Raises ExtraMissing where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ExtraMissing(extra="boosters", module=name) from None


def library_by_itself(name: str) -> ModuleType:
    """The module, without its interfaces to scikit-learn and pandas: those are most of its import.

    It lacks them from then on in the whole process, so only commands of ours may ask for it, never
    what answers in a user's notebook. What is imported already stays as it is. Raises ExtraMissing.
    """
    hidden = [other for other in _FOR_OTHERS if other not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: not to be found
    try:
        return library(name)
    finally:
        for other in hidden:
            del sys.modules[other]
