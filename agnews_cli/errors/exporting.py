"""70 and 78: what cannot be exported, or did not come out as the model is."""

from __future__ import annotations

from agnews_cli.errors.base import AgnewsError


class NotExportable(AgnewsError):
    """{path} cannot be exported: {reason}."""

    exit_code = 78
    hint = "It can be used as it is: agnews predict {path!q} 'a text'"


class FormUnfit(AgnewsError):
    """{path} ({architecture}) cannot be written as {form}: {reason}."""

    exit_code = 78
    hint = "It can be used as it is: agnews predict {path!q} 'a text'. docs/export.md names architectures that export."


class ExportUnverified(AgnewsError):
    """There are no rows to verify the export on: {reason}."""

    exit_code = 78
    hint = "Name a file of rows like those that it was trained on, with labels if you have them: agnews export {path!q} --to {form} --data FILE"


class ExportDiffers(AgnewsError):
    """What was exported differs from the model: on {rows:,} rows a probability by up to {apart:.1e}, more than {most:.0e}; nothing is written."""

    exit_code = 70
    hint = "Use the model as it is: agnews predict {path!q} 'a text'; and please report its architecture."


class ExportLoses(AgnewsError):
    """In INT8 the model loses {lost:.2f} points of accuracy on {rows:,} rows (95%: {low:.2f} to {high:.2f}), surely more than {most:.1f}; nothing is written."""

    exit_code = 70
    hint = "Export it in fp32: agnews export {path!q} --to onnx"


class ExporterDied(AgnewsError):
    """The exporting process ended without an answer ({how})."""

    exit_code = 70
    hint = "With too little memory it was ended by the system: close other programs, or export on a larger machine."
