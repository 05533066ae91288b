"""70: training or prediction could not go on."""

from __future__ import annotations

from agnews_cli.errors.base import AgnewsError


class TrainingFailed(AgnewsError):
    """{message}"""

    exit_code = 70


class NonFiniteLoss(TrainingFailed):
    """The loss became {value} at step {step} (learning rate {lr:.2g}, {precision}); {kept}."""

    hint = (
        "Try a smaller rate: --set training.lr={suggestion:.2g}, or --set training.precision=fp32"
    )


class WorkerDied(TrainingFailed):
    """The training process ended without an outcome ({how}); {kept}."""

    hint = "Its last words are in {log}. {next}"


class PartsFailed(TrainingFailed):
    """{count} of the parts of {run} failed, and nothing else is left that can be done without:
    {names}"""

    hint = "What is done is kept. Mend that, then go on with: {next}"


class CannotSave(TrainingFailed):
    """{times} checkpoints in a row could not be written; the last time: {reason}"""

    hint = "Mend that, then type the same command: it goes on from what is saved."


class VerificationFailed(TrainingFailed):
    """`agnews {command}` ended with exit code {code} while it was being verified: {last}"""

    hint = "Try that command by itself; agnews platform shows what was found here."


class PredictorDied(TrainingFailed):
    """The predicting process ended before it had answered ({how})."""

    hint = "Nothing was written. Free memory, or use a machine with more, and type the same command again."


class PredictionTooLarge(TrainingFailed):
    """The model does not fit into memory: {reason}."""

    hint = "Nothing was written. Free memory, or predict on a machine with more."


class NotDeterministic(TrainingFailed):
    """The model needs an operation that does not repeat bit for bit here: {reason}."""

    hint = "Try --set training.deterministic=false"


class OutOfMemory(TrainingFailed):
    """Out of memory: {reason}."""

    hint = "Try --set training.micro_batch_tokens={suggestion}"


class OneTextTooLarge(TrainingFailed):
    """Out of memory at step {step} with one text of {tokens} tokens in a pass, and no less can be done at once: {reason}."""

    hint = "Any of these needs less: {ways}. Other models are in: agnews presets ls"


class TooLittleMemory(TrainingFailed):
    """{rows} rows need about {needed} of memory with the model, and {free} are free."""

    hint = "Close other programs, or train on fewer rows: --limit-train {fits}"


class TestRowsLocked(TrainingFailed):
    """{path} holds test rows, and what trains, tunes or chooses asked for it: they are read by the
    final evaluation alone."""

    __test__ = False  # no test, whatever it is called
    hint = "Its figures would be untrue, so nothing was evaluated. Have it validate on other rows."
