"""`agnews predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def predict(
    run: Annotated[str, typer.Argument(help="Run id, the beginning of one, `latest` or a folder.")],
    texts: Annotated[list[str] | None, typer.Argument(help="Texts to label.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="File with texts (.csv .tsv .jsonl .parquet).")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="CSV to write. [standard output]")] = None,
    text_column: Annotated[list[str] | None, typer.Option(help="Column with the text.")] = None,
    store: Annotated[Path | None, typer.Option(help="Folder for runs. [./agnews-runs]")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False,
) -> None:
    """Label texts with a finished run's model."""
    from agnews_cli.cli.output import Output
    from agnews_cli.errors import NothingToPredict
    from agnews_cli.store import runs
    from agnews_cli.workflows import history
    from agnews_cli.workflows import predict as work

    if not texts and file is None:
        raise NothingToPredict
    folder = runs.find(history.where(store), run)
    given = list(texts or []) + (work.texts_in(str(file), tuple(text_column or ())) if file else [])
    found = work.predict(folder, given)
    screen = Output(json=json)
    if out is not None:
        work.write_csv(out, found)
        screen.say(f"{len(found)} rows labelled in {out}")
    else:
        rows = [(p.label, f"{p.probabilities[p.label]:.1%}", p.text) for p in found]
        screen.table(("label", "probability", "text"), rows)
    screen.result([p.as_json() for p in found])
