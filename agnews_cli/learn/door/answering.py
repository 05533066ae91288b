"""A process that is asked once: one order as an argument, one line of JSON as the answer."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel

from agnews_cli.core.run.job import Failure
from agnews_cli.errors import AgnewsError, ExtraMissing, InternalError
from agnews_cli.store.settings.secrets import hidden

Order = TypeVar("Order", bound=BaseModel)


def answer(kind: type[Order], work: Callable[[Order], BaseModel]) -> None:
    """Print what `work` makes of the order; what goes wrong in words, with exit code 1."""
    try:
        found: BaseModel = work(kind.model_validate_json(sys.argv[1]))
        code = 0
    except Exception as error:
        found, code = _in_words(error), 1
    sys.stdout.write(found.model_dump_json() + "\n")
    raise SystemExit(code)


def _in_words(error: Exception) -> Failure:
    if isinstance(error, ModuleNotFoundError) and error.name:
        error = ExtraMissing(extra="train", module=error.name)
    if not isinstance(error, AgnewsError):
        traceback.print_exc()
        what = f"{type(error).__name__}: {error}"
        error = InternalError(what=what, log="the lines above")
    return Failure(
        kind=type(error).__name__,
        message=hidden(error.message),
        hint=hidden(error.advice),
        exit_code=error.exit_code,
    )
