"""Sessions that start themselves: what ends a launch before its plan does."""

from __future__ import annotations

from agnews_cli.errors.base import AgnewsError


class LaunchBusy(AgnewsError):
    """Another command on this machine looks after launch {launch} already."""

    exit_code = 75
    hint = "Let it work, or end it: the sessions that it started run on and are found again."


class LaunchHeld(AgnewsError):
    """Nothing is begun now: {why}."""

    word = "stopped"
    exit_code = 75
    hint = "The same command goes on later: {next}"


class HoursSpent(AgnewsError):
    """No more sessions for now on {platform}: {why}."""

    word = "stopped"
    exit_code = 75
    hint = "What there is has come home; the same command goes on when they are back: {next}"


class SessionRuns(AgnewsError):
    """Session {name} runs on {platform}; this command looked once."""

    word = "stopped"
    exit_code = 75
    hint = "The same command looks again: {next}"


class SessionStopped(AgnewsError):
    """Session {name} was stopped on {platform}: {reason}."""

    word = "stopped"
    exit_code = 75
    hint = "What it had saved has come home. The same command goes on from there: {next}"


class SessionMissing(AgnewsError):
    """Session {name} is no longer on {platform}: it was deleted there, with what only it had."""

    exit_code = 69
    hint = "The same command goes on from what came home before: {next}"


class SessionFailed(AgnewsError):
    """Session {name} failed on {platform} and brought nothing new: {reason}."""

    exit_code = 70
    hint = "Look there: {url}. The same command, typed again, begins another session: {next}"


class SessionUnknown(AgnewsError):
    """{platform} has not answered {waited} about session {name}: {reason}."""

    exit_code = 69
    hint = "It may run; nothing else was begun. The same command looks again: {next}"


class SessionOverdue(AgnewsError):
    """Session {name} runs on {platform} though its {most} are over."""

    exit_code = 69
    hint = "Stop it there: {url} . Or, if nothing in it is needed: agnews launch cancel {launch}"


class BeginRefused(AgnewsError):
    """{platform} did not begin session {name}: {reason}."""

    exit_code = 69
    hint = "Nothing was begun. When that is mended, the same command tries again: {next}"


class LoginRefused(AgnewsError):
    """{platform} refuses the login ({reason}): nothing was begun by it."""

    exit_code = 77
    hint = "{login}"


class LauncherClientMissing(AgnewsError):
    """{platform} is asked through its own client, {package}, which is {problem}."""

    exit_code = 69
    hint = "pip install {package!q}"


class LaunchUnknown(AgnewsError):
    """No launch {name!r} is kept here{near}."""

    exit_code = 66
    hint = "agnews launch ls shows them."


class LaunchRecordDamaged(AgnewsError):
    """{path} does not tell of a launch: {reason}. Sessions of it may run, so nothing is begun."""

    exit_code = 74
    hint = "Look on the platform's page for what runs, then move the file away: mv {path!q} {path!q}.broken"


class CannotLaunch(AgnewsError):
    """This cannot be launched there: {reason}."""

    exit_code = 2
    hint = "{hint}"
