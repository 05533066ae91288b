"""Asks what needs NumPy of a short-lived process: one order goes in, one answer comes out."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from agnews_cli.core.advice.measured import MeasuredData, ToMeasure
from agnews_cli.core.guards.data_facts import DataFacts, ToCheck
from agnews_cli.core.report.figures import Figured, ToReport
from agnews_cli.core.report.trials import ToTry, Tried
from agnews_cli.core.run.comparison import Comparison, ToCompare
from agnews_cli.core.run.job import Failure
from agnews_cli.core.run.likeness import Likeness, ToLiken
from agnews_cli.core.run.taken import TakenRows, ToTakeIn
from agnews_cli.errors import InternalError, ReportedError
from agnews_cli.host import children

Answer = TypeVar("Answer", bound=BaseModel)


def compare(order: ToCompare) -> Comparison:
    """Raises what the process put into words (ReportedError)."""
    return _asked("agnews_cli.learn.compare_runs", order, Comparison)


def take_in(order: ToTakeIn) -> TakenRows:
    """Raises what the process put into words (ReportedError)."""
    return _asked("agnews_cli.learn.take_in", order, TakenRows)


def check_data(order: ToCheck) -> DataFacts:
    """Raises what the process put into words (ReportedError)."""
    return _asked("agnews_cli.learn.check_data", order, DataFacts)


def measure_data(order: ToMeasure) -> MeasuredData:
    """Raises what the process put into words (ReportedError)."""
    return _asked("agnews_cli.learn.measure_data", order, MeasuredData)


def report(order: ToReport) -> Figured:
    """Raises what the process put into words (ReportedError)."""
    return _asked("agnews_cli.learn.report_figures", order, Figured)


def liken(order: ToLiken) -> Likeness:
    """Raises what the process put into words (ReportedError)."""
    return _asked("agnews_cli.learn.liken_runs", order, Likeness)


def try_model(order: ToTry) -> Tried:
    """Raises what the process put into words (ReportedError)."""
    return _asked("agnews_cli.learn.try_model", order, Tried)


def _asked(module: str, order: BaseModel, kind: type[Answer]) -> Answer:
    command: Sequence[str] = children.module(module, order.model_dump_json())
    process = children.start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, err = process.communicate()
    except BaseException:
        process.kill()
        process.wait()
        raise
    try:
        if process.returncode == 0:
            return kind.model_validate_json(out)
        failure = Failure.model_validate_json(out)
    except ValidationError:
        last = err.decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        raise InternalError(what=f"{module} ended: {last[0]}", log="no file") from None
    raise ReportedError(failure.message, failure.hint, failure.exit_code, failure.kind)
