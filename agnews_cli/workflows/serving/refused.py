"""A request that gets no answer from the model, and the HTTP status that says why."""

from __future__ import annotations

import math

OF_OUR_OWN = "an error of the server's own"


class RefusedRequest(Exception):
    """`detail` goes to the client: it names no path and nothing of another request."""

    def __init__(self, status: int, detail: str, *, retry_s: float | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retry_s = retry_s
        """After which the client may ask again; None: the same request would be refused again."""

    @property
    def headers(self) -> dict[str, str]:
        """Those that its status asks for."""
        found = {}
        if self.retry_s is not None:
            found["retry-after"] = str(math.ceil(self.retry_s))
        if self.status == 401:
            found["www-authenticate"] = "Bearer"
        return found
