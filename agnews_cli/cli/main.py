"""The `agnews` command: its parts, and the one place where errors become words and exit codes.

Heavy modules are imported inside the commands, so that `agnews --help` answers at once.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from agnews_cli.cli import (
    auto,
    checkpoints,
    doctor,
    notebook,
    plan,
    platform,
    predict,
    presets,
    quota,
    resume,
    runs,
    status,
    verify,
    wizard,
)
from agnews_cli.cli.lazy_group import Part, lazy_group

_PARTS: dict[str, Part] = {
    "auto": auto.auto,
    "wizard": wizard.wizard,
    "resume": resume.resume,
    "predict": predict.predict,
    "plan": plan.plan,
    "platform": platform.platform,
    "doctor": doctor.doctor,
    "runs": runs.runs,
    "notebook": notebook.notebook,
    "status": status.status,
    "verify-resume": verify.verify_resume,
    "checkpoints": checkpoints.app,
    "presets": presets.app,
    "quota": quota.app,
}

app = typer.Typer(
    name="agnews",
    cls=lazy_group(_PARTS),
    help="Train text classifiers on free GPUs and CPUs: one command from data to a usable model.",
    epilog="Begin with `agnews auto`. Exit codes and files: docs/ in the project.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(asked: bool) -> None:
    if asked:
        import agnews_cli

        typer.echo(f"agnews {agnews_cli.__version__}")
        raise typer.Exit


@app.callback()
def agnews(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version),
    ] = False,
) -> None:
    """Train text classifiers on free GPUs and CPUs: one command from data to a usable model."""


def main(argv: list[str] | None = None) -> None:
    """Run the command line; always ends in SystemExit with a documented code."""
    arguments = sys.argv[1:] if argv is None else argv
    try:
        code = app(args=arguments, prog_name="agnews", standalone_mode=True) or 0
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else 1
    except BaseException as error:
        code = _report(error, as_json="--json" in arguments)
    _leave(code)


def _report(error: BaseException, *, as_json: bool) -> int:
    from agnews_cli.cli.output import Output
    from agnews_cli.core.redaction import redact, secrets_in
    from agnews_cli.errors import AgnewsError, InternalError, Interrupted

    if isinstance(error, KeyboardInterrupt):
        error = Interrupted(kept="nothing was begun", next="")
    if not isinstance(error, AgnewsError):
        error = InternalError(what=f"{type(error).__name__}: {error}", log=_save_traceback(error))
    secrets = secrets_in(os.environ)
    error.message, error.advice = redact(error.message, secrets), redact(error.advice, secrets)
    Output(json=as_json).error(error)
    return error.exit_code


def _save_traceback(error: BaseException) -> str:
    import tempfile
    import traceback
    from pathlib import Path

    from agnews_cli.core.redaction import redact, secrets_in

    path = Path(tempfile.gettempdir()) / f"agnews-error-{os.getpid()}.txt"
    text = redact("".join(traceback.format_exception(error)), secrets_in(os.environ))
    path.write_text(text, "utf-8")
    return str(path)


def _leave(code: int) -> None:
    """Flush what the reader may have stopped reading; a closed pipe is no error of ours."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
