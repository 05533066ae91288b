"""`agnews launch sky --print`: a task for SkyPilot's managed jobs, which start it again.

Fields as its YAML specification has them (docs.skypilot.co, read 2026-11-29). A run that paused
ends with 75, and 75 always recovers; the store is where it goes on from.
"""

from __future__ import annotations

from agnews_cli.errors import CannotLaunch
from agnews_cli.workflows.launch import elsewhere, wished
from agnews_cli.workflows.train.scene import Request

PLATFORM = "sky"
_PAUSED = 75
_RESTARTS = 2


def task(
    request: Request, *, accelerators: str, is_spot: bool, requirement: str | None = None
) -> str:
    """The YAML. Raises CannotLaunch, and what `auto` says of its words."""
    import yaml

    wish = wished.of(request, PLATFORM)
    elsewhere.require_reachable(wish, request)
    if not any(word == "--store" for word in wish.words):
        reason = "a machine that is taken away leaves nothing"
        hint = "Name a store that every machine reaches, such as --store s3://bucket/runs."
        raise CannotLaunch(reason=reason, hint=hint)
    whole = {
        "name": f"agnews-{wish.id}",
        "resources": {
            "accelerators": accelerators,
            "use_spot": is_spot,
            "job_recovery": {
                "max_restarts_on_errors": _RESTARTS,
                "recover_on_exit_codes": [_PAUSED],
            },
        },
        "setup": elsewhere.setup(elsewhere.installed(requirement)),
        "run": elsewhere.train(wish.words),
    }
    text: str = yaml.safe_dump(whole, sort_keys=False, width=1000)
    return text
