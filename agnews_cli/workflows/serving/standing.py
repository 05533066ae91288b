"""How a server stands: it loads, it answers, it ends."""

from __future__ import annotations


class ServerState:
    """Changed by who runs the server, read by `/ready` and the door."""

    def __init__(self) -> None:
        self.word = "loading"

    @property
    def is_ready(self) -> bool:
        return self.word == "ready"
