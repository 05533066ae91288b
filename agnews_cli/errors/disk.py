"""73 and 74: the disk, and what lies on it."""

from __future__ import annotations

from agnews_cli.errors.base import AgnewsError


class NoDiskSpace(AgnewsError):
    """No space left at {path}: {free} free, about {needed} needed."""

    exit_code = 74
    hint = "Free some space, or use another folder: --store DIR"


class CannotWrite(AgnewsError):
    """Cannot write to {path}: {reason}."""

    exit_code = 74
    hint = "Use a folder you can write to: --store DIR"


class OutputLost(AgnewsError):
    """Cannot write to standard output: {reason}."""

    exit_code = 74
    hint = "All the rest is done; only what was to be printed is lost."


class NothingToPull(AgnewsError):
    """No store has a whole checkpoint or model of {run}: {reasons}."""

    exit_code = 74
    hint = "Name a store that has one: agnews checkpoints pull RUN --store STORE"


class FileThere(AgnewsError):
    """{path} is there already."""

    exit_code = 73
    hint = "Write it over with --force, or name another file: -o FILE"


class ModelDamaged(AgnewsError):
    """{path} cannot be loaded: {reason}."""

    exit_code = 74
    hint = "The file is damaged or incomplete: copy the model's folder again, or train anew with --fresh."


class CheckpointDamaged(AgnewsError):
    """Checkpoint file {path} {reason}."""

    exit_code = 74
    hint = "See which are whole: agnews checkpoints verify"


class TooManySessions(AgnewsError):
    """Run {run} has no fencing number left: {folder} has leases up to the last one."""

    exit_code = 74
    hint = "No run has a million sessions. Remove what is no lease of yours: ls {folder!q}"


class LinkInRun(AgnewsError):
    """{path} is no plain file or folder, as all of a run must be ({count} of it are none); none of them is followed."""

    exit_code = 74
    hint = "Remove them; what they lead to stays: find {folder!q} ! -type f ! -type d -delete"
