"""Whether the Hugging Face hub can be reached: one question with a hard limit on its time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime

DEFAULT_ENDPOINT = "https://huggingface.co"
_TRUE = frozenset({"1", "on", "yes", "true"})  # as huggingface_hub reads its own variables


def endpoint() -> str:
    """The hub's address: HF_ENDPOINT where it is set and not empty."""
    return (os.environ.get("HF_ENDPOINT", "").strip() or DEFAULT_ENDPOINT).rstrip("/")


def is_offline() -> bool:
    """Whether the user forbade the network to Hugging Face's libraries."""
    chosen = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return chosen.strip().lower() in _TRUE


@dataclass(frozen=True, slots=True)
class HubAnswer:
    """That the hub answered, with any HTTP status."""

    date: datetime | None
    """The hub's clock, to the second."""


def hub_answers(timeout_s: float = 5.0) -> bool:
    """Whether the hub answers with any HTTP status within `timeout_s`, all steps together."""
    return ask(timeout_s) is not None


def ask(timeout_s: float = 5.0) -> HubAnswer | None:
    """The hub's answer; None where none came within `timeout_s` or the user forbade asking.

    The request runs in a daemon thread that is left behind when time is up: a resolver that hangs
    and a server that drips bytes heed no socket timeout.
    """
    if is_offline() or timeout_s <= 0:
        return None
    import threading

    answered: list[HubAnswer | None] = []
    thread = threading.Thread(
        target=lambda: answered.append(_answer(endpoint(), timeout_s)), daemon=True
    )
    thread.start()
    thread.join(timeout_s)
    return answered[0] if answered else None


def _answer(url: str, timeout_s: float) -> HubAnswer | None:
    import urllib.error
    import urllib.request

    class NoRedirect(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *arguments: object) -> None:
            return None

    if not url.lower().startswith(("http://", "https://")):
        return None  # urllib would open file: and answer for the disk
    try:
        request = urllib.request.Request(url, method="HEAD", headers={"User-Agent": "agnews-cli"})
        # The environment's proxies apply, as they do to the download that comes next.
        with urllib.request.build_opener(NoRedirect).open(request, timeout=timeout_s) as answer:
            return HubAnswer(_date(answer.headers.get("Date")))
    except urllib.error.HTTPError as refusal:
        refusal.close()
        return HubAnswer(_date(refusal.headers.get("Date")))
    except Exception:  # refused, unknown host, bad certificate, bad address, not HTTP
        return None


def _date(header: str | None) -> datetime | None:
    from email.utils import parsedate_to_datetime

    try:
        found = parsedate_to_datetime(header or "")
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
