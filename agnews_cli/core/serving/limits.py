"""How much a server takes at once; each limit has an HTTP status that says it was met."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServingLimits:
    """Of one server."""

    body_bytes: int = 4 << 20
    """Of a request's body; more is 413, and is not read."""
    predict_texts: int = 32
    """Of `/predict`; more is 413."""
    batch_texts: int = 1_000
    """Of `/batch`; more is 413."""
    characters: int = 10_000
    """Of a text; more is 413. A model reads far fewer, and tokenising reads them all."""
    waiting_texts: int = 4_000
    """That have come and are not with the model yet; where more would wait it is 503."""
    pass_texts: int = 64
    """That the model is given at once."""
    wait_s: float = 0.002
    """How long a pass waits for as many requests as went together lately."""
    answer_s: float = 30.0
    """From a request's last byte to its answer; later it is 503."""
    slow_s: float = 10.0
    """That a client may take for a request's head, and again for its body; later it is 408."""
    per_client_per_s: float | None = None
    """Requests of one client a second, in the long run; more is 429. None: as many as there are."""
    connections: int = 1_000
    """Open at once; of more, each request is 503."""
    ending_s: float = 30.0
    """Left to what is under way when the server is asked to end."""


def asked(
    per_client_per_s: float | None, batch_texts: int, body_mb: float, wait_s: float, answer_s: float
) -> ServingLimits:
    """Those that can be chosen, and the others as they follow from them."""
    usual = ServingLimits()
    return ServingLimits(
        per_client_per_s=per_client_per_s,
        batch_texts=batch_texts,
        waiting_texts=max(usual.waiting_texts, 4 * batch_texts),
        body_bytes=round(body_mb * (1 << 20)),
        wait_s=wait_s,
        answer_s=answer_s,
    )
