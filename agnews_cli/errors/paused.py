"""75: to be gone on with, now or later."""

from __future__ import annotations

from agnews_cli.errors.base import AgnewsError


class SessionOver(AgnewsError):
    """The session's time is up; {kept}."""

    word = "stopped"
    exit_code = 75
    hint = "{next}"


class PartsPaused(SessionOver):
    """The session's time is up; {done} of {count} parts of {run} are done and kept."""

    hint = "Go on with: {next}"


class RunBusy(AgnewsError):
    """Run {run} is being trained by {where} (last sign of life {beat})."""

    exit_code = 75
    hint = "Wait for it, stop it, or take the run over: agnews resume {again} --takeover"


class NotRunning(AgnewsError):
    """Run {run} is not being trained now, so that nobody can save it."""

    exit_code = 75
    hint = "agnews status {run} shows how it stands; agnews resume {run} goes on with it."


class NotAnswered(AgnewsError):
    """Run {run} has not saved a checkpoint within {seconds:.0f} s."""

    exit_code = 75
    hint = "It saves between two steps, and not while it validates: see agnews status {run}"


class Fenced(AgnewsError):
    """Another session owns this run by its number {newest}; this one (number {token}) stops writing."""

    exit_code = 75
    hint = "What each session saved is kept: agnews status shows what is where."


class TakenOver(AgnewsError):
    """{who} took this run over as session {newest}; this one, number {token}, has stopped; {kept}."""

    exit_code = 75
    hint = "agnews status {run} shows how it stands, and what is where."
