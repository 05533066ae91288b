"""The `agnews` command: its parts, and the one place where errors become words and exit codes.

Heavy modules are imported inside the commands, so that `agnews --help` answers at once.
"""

import errno
import os
import signal
import sys
from typing import Annotated

import typer

from agnews_cli.cli import stopping
from agnews_cli.cli.lazy_group import Lazy, lazy_group
from agnews_cli.cli.manual import examples

_COMPLETE = "_AGNEWS_COMPLETE"
"""What a shell sets to ask what Tab offers."""
_PANELS: dict[str, dict[str, Lazy]] = {
    "Train": {
        "auto": Lazy("auto:auto", "From data to a usable model: choose, train, evaluate."),
        "wizard": Lazy("wizard:wizard", "Ask what auto would be told, then begin or save it."),
        "resume": Lazy("resume:resume", "Go on with an unfinished run, exactly where it stands."),
        "ensemble": Lazy("ensemble:ensemble", "Make one model of finished runs; train nothing."),
        "distill": Lazy("distill:distill", "A small model learns from a teacher that is there."),
        "advise": Lazy("advise:advise", "What to do with data, here: rows, labels, model, method."),
        "check": Lazy("check:check", "Look at data before training: leaks, repeats, labels."),
        "notebook": Lazy("notebook:notebook", "Write a ready notebook for Colab or Kaggle."),
        "launch": Lazy("launch:app", "Sessions that start themselves, until all is done."),
        "presets": Lazy("presets:app", "List, show and check presets: models with their recipes."),
        "models": Lazy("models:app", "Known base models: sizes, shapes, licences."),
    },
    "Use, runs and stores": {
        "predict": Lazy("predict:predict", "Label texts with a finished run's model."),
        "export": Lazy("export:export", "Write a model as ONNX or OpenVINO: no torch needed."),
        "app": Lazy("app:app", "Show a page on which people ask a finished run's model."),
        "serve": Lazy("serve:serve", "Answer over HTTP with a finished run's model."),
        "publish": Lazy("publish:publish", "Put a run's model on the Hugging Face Hub."),
        "runs": Lazy("runs:app", "List the runs in a store, the newest first."),
        "compare": Lazy(
            "compare:compare", "Finished runs on the same rows, and whether by chance."
        ),
        "repro": Lazy("repro:repro", "Make a finished run again, and compare both."),
        "report": Lazy("report:report", "All that is known of runs, in one file to open offline."),
        "status": Lazy("status:status", "How a run stands, and what of it is saved where."),
        "checkpoints": Lazy("checkpoints:app", "What is saved of unfinished runs: list, push, …"),
        "verify-resume": Lazy("verify:verify_resume", "Prove that a killed run goes on exactly."),
    },
    "Machine and quota": {
        "platform": Lazy("platform:platform", "Say what machine this is."),
        "doctor": Lazy("doctor:doctor", "Check all that training needs, and say what to mend."),
        "cache": Lazy("cache:cache", "What is kept of data that were read; clear it."),
        "quota": Lazy("quota:app", "What is left of each platform's hours, and when it returns."),
        "fit": Lazy("fit:fit", "Whether training a model fits a machine's memory."),
        "plan": Lazy("plan:plan", "Which sessions a training needs, and when it is finished."),
    },
}

_ELSEWHERE = {
    **dict.fromkeys(("train", "finetune", "fine-tune"), "auto"),
    **dict.fromkeys(("continue", "restart"), "resume"),
    **dict.fromkeys(("classify", "infer", "inference"), "predict"),
    **dict.fromkeys(("list", "ls"), "runs"),
    **dict.fromkeys(("leaderboard", "best"), "runs --leaderboard"),
    **dict.fromkeys(("init", "config", "setup"), "wizard"),
    **dict.fromkeys(("push", "upload"), "publish"),
    "version": "--version",
}
"""Commands of other tools, and what they are here."""

app = typer.Typer(
    name="agnews",
    cls=lazy_group(_PANELS, _ELSEWHERE),
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(context: typer.Context, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        import agnews_cli

        typer.echo(f"agnews {agnews_cli.__version__}")
        raise typer.Exit


@app.callback()
@examples(
    ("agnews auto reviews.csv", "train on your own table, to a usable model"),
    ('agnews predict latest "a text"', "use the newest model"),
)
def agnews(
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", help="Show the version.", is_eager=True, callback=_show_version
        ),
    ] = False,
) -> None:
    """Train text classifiers on free GPUs and CPUs: from data to a usable model."""


def main(argv: list[str] | None = None) -> None:
    """Run the command line; always ends in SystemExit with a documented code."""
    arguments = sys.argv[1:] if argv is None else argv
    # Looking for them reads the metadata of every package there is; none has a say in our records.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    if _COMPLETE in os.environ:
        from agnews_cli.cli.completion import answer_at_once

        answer_at_once()
    _stand_in_for_closed()
    stopping.answer()
    stopping.kept = ""
    try:
        code = app(args=arguments, prog_name="agnews", standalone_mode=False) or 0
        if code == _INTERRUPTED:  # the parser makes it of a KeyboardInterrupt, without a word
            raise KeyboardInterrupt
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else 1
    except BaseException as error:
        code = 0 if _is_of_output(error) else _report(error, arguments)
    _leave(code, is_process=argv is None)


_INTERRUPTED = 128 + signal.SIGINT
_SAY_WHAT_IS_KEPT = {"auto", "resume", "ensemble", "distill"}
"""Commands that say so in `stopping.kept` from when they begin something."""


def _stand_in_for_closed() -> None:
    """Give what was closed (`>&-`) a place: the next file that is opened would get its number."""
    for handle in (0, 1, 2):
        try:
            os.fstat(handle)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        from agnews_cli.cli.sink import Closed

        sys.stdout = Closed()


def _report(error: BaseException, arguments: list[str]) -> int:
    from agnews_cli.cli import misuse
    from agnews_cli.cli.output import Output
    from agnews_cli.errors import AgnewsError, FileMissing, InternalError, Interrupted
    from agnews_cli.store.settings.secrets import hidden

    if isinstance(error, KeyboardInterrupt):
        error = Interrupted(kept=stopping.kept or _cost(arguments), next="")
    if misuse.is_misuse(error):
        help_ = misuse.wants_help(error)
        if help_ is not None:
            typer.echo(help_)
            return 0
        error = misuse.in_our_words(error, arguments)
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        # Whatever was looked for by a name that was typed, or that a file says: it is not there.
        hint = "No file can be called so: a name has at most 255 bytes."
        error = FileMissing(path=f"{error.filename!s:.80} …", hint=hint)
    if not isinstance(error, AgnewsError):
        error = InternalError(what=f"{type(error).__name__}: {error}", log=_save_traceback(error))
    error.message, error.advice = hidden(error.message), hidden(error.advice)
    Output(json="--json" in arguments).error(error)
    return error.exit_code


def _cost(arguments: list[str]) -> str:
    """What a stop has cost of which a command has not said more yet."""
    is_ahead = bool(arguments) and arguments[0] in _SAY_WHAT_IS_KEPT
    return "nothing was begun" if is_ahead else "what was under way is not finished"


def _save_traceback(error: BaseException) -> str:
    import traceback

    from agnews_cli.store.disk import private
    from agnews_cli.store.settings import secrets

    try:
        return str(
            private.note(secrets.hidden("".join(traceback.format_exception(error))), kind="error")
        )
    except OSError as fault:  # no room for it, or nowhere to write
        return f"no file ({fault.strerror or fault})"


def _leave(code: int, *, is_process: bool) -> None:
    """End, with what was printed read or given up; a reader that left is no error of ours.

    `is_process`: it ends too. All is said then: one press more of Ctrl-C, or its second signal,
    ends it with the same code. Whoever called us from Python keeps its own handlers.
    """
    if is_process:
        signal.signal(signal.SIGINT, lambda *_: os._exit(code))
    sink = sys.modules.get("agnews_cli.cli.sink")
    refused = sink.refusals[0] if sink is not None and sink.refusals else _refusal
    if not _takes_more():
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        refused = refused or _refusal
    if refused and code == 0:
        from agnews_cli.errors import OutputLost

        code = _report(OutputLost(reason=refused), [])
    if sink is not None:
        sink.printer.end()
        sink.refusals.clear()
    if is_process:  # the interpreter puts handlers back before it ends, but not this
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise SystemExit(code)


def _is_of_output(error: BaseException) -> bool:
    """Whether the parser's own words, such as help, could not be printed."""
    global _refusal
    is_early = "agnews_cli.cli.sink" not in sys.modules
    if is_early and isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        _refusal = str(error.strerror)
        return True
    return False


_refusal = ""
"""Why standard output took no more, where its reader did not just leave."""


def _takes_more() -> bool:
    """Whether standard output takes what was written to it."""
    global _refusal
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as fault:
        if not isinstance(fault, BrokenPipeError):
            _refusal = getattr(fault, "strerror", None) or str(fault)
        return False
    return True


if __name__ == "__main__":
    main()
