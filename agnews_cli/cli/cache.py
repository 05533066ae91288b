"""`agnews cache`."""

from typing import Annotated

from typer import Option

from agnews_cli.cli.manual import examples
from agnews_cli.cli.options import Json


@examples(
    ("agnews cache", "how much lies where"),
    ("agnews cache --clear", "remove it: clean rows, tokens, what devices do"),
)
def cache(
    clear: Annotated[bool, Option("--clear", help="Remove all of it.")] = False,
    json: Json = False,
) -> None:
    """What is kept so that data are read and tokenised once; all of it can be made again."""
    from agnews_cli.cli.output import Output
    from agnews_cli.store.disk.space import size
    from agnews_cli.workflows.machine.cached import cached

    out = Output(json=json)
    found = cached(clear=clear)
    out.result(found.as_json())
    did = "removed from" if found.is_cleared else "in"
    out.table(
        ("what", "files", "size", "for"),
        [(part.name, part.files, size(part.size_bytes), part.what) for part in found.parts],
    )
    out.screen(f"{size(found.size_bytes)} {did} {found.folder}")
