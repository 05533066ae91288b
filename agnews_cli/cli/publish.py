"""`agnews publish`."""

from typing import Annotated

from typer import Argument, Option

from agnews_cli.cli.completion import runs
from agnews_cli.cli.manual import examples
from agnews_cli.cli.options import Folder, Json, Quiet


@examples(
    ("agnews publish latest hf://me/news", "for you alone"),
    ("agnews publish RUN hf://me/news --public", "for all, once it is whole"),
)
def publish(
    run: Annotated[
        str,
        Argument(
            help="Run id, the beginning of one, `latest`, a run's folder, or a delivered model's.",
            autocompletion=runs,
        ),
    ],
    repository: Annotated[str, Argument(help="hf://owner/name")],
    public: Annotated[
        bool, Option("--public", help="Show it to all. [private, and refused where it is not]")
    ] = False,
    store: Folder = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Put a run's model, its card and its figures on the Hugging Face Hub.

    Typed again it sends only what differs. What a run keeps besides, such as predictions, stays.
    """
    from agnews_cli.cli.output import Output
    from agnews_cli.host.predictor import stoppable
    from agnews_cli.workflows.publishing import publish as work

    screen = Output(json=json, quiet=quiet)
    with stoppable(kept="the repository is as it was, or whole"):
        done = work.publish(run, repository, store=store, is_public=public, say=screen.say)
    screen.result(done.as_json())
    screen.screen(*done.lines())
