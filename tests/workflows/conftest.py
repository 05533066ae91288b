"""What `agnews auto` would be asked for, found out through its real parser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from unittest.mock import patch

import pytest

from agnews_cli.cli.main import app
from agnews_cli.workflows.train import auto
from agnews_cli.workflows.train.auto import Request


@pytest.fixture(scope="session")
def parsed() -> Callable[..., Request]:
    """Arguments of `agnews auto` → its Request, without the time it began."""

    def parse(*arguments: str) -> Request:
        with (
            patch.object(auto, "prepare", side_effect=StopIteration) as prepare,
            pytest.raises(StopIteration),
        ):
            app(args=["auto", *arguments], standalone_mode=False)
        request: Request = prepare.call_args.args[0]
        return replace(request, started_monotonic_s=0.0)

    return parse
