"""What goes wrong in a store, in words and sorted: worth another try or not. No secret passes."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from agnews_cli.errors import AgnewsError, NotInStore, StoreBusy, StoreTrouble
from agnews_cli.store.settings.secrets import hidden

_LASTING = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.ENAMETOOLONG,
    errno.EINVAL,
    errno.EFBIG,
    errno.ELOOP,
    errno.ENXIO,
}
_BUSY_STATUS = {408, 409, 412, 423, 425, 429, 500, 502, 503, 504, 509, 520, 522, 524}
_BUSY_WORDS = re.compile(
    r"timed? ?out|timeout|connection|reset by peer|broken pipe|temporar|unavailable|slow ?down|"
    r"too many requests|rate.?limit|throttl|incomplete|session closed|socket|no route|"
    r"name resolution|server disconnected|EOF|banner|internal ?error|still.{0,20}process|"
    r"channel closed|SSHException|no valid connections",
    re.I,
)


def status_of(error: BaseException) -> int | None:
    """The HTTP status behind an error of requests, httpx, botocore or huggingface_hub."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return int(found) if found else None
    found = getattr(response, "status_code", None) or getattr(error, "status", None)
    return int(found) if isinstance(found, int) else None


def is_transient(error: BaseException) -> bool:
    """Whether the same call may work a little later."""
    chain: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in chain:
        chain.append(at)
        at = at.__cause__ or at.__context__
    for one in chain:
        status = status_of(one)
        if status is not None:
            return status in _BUSY_STATUS
    for one in chain:
        if isinstance(one, TimeoutError | ConnectionError | EOFError):
            return True
        if isinstance(one, OSError) and one.errno is not None:
            return one.errno not in _LASTING
    return any(_BUSY_WORDS.search(f"{type(one).__name__} {one}") for one in chain)


@contextmanager
def in_words(
    store: str,
    action: str,
    *,
    missing: str = "",
    is_missing: Callable[[Exception], bool] = lambda error: isinstance(error, FileNotFoundError),
) -> Iterator[None]:
    """Turn what a client raises into StoreBusy, NotInStore or StoreTrouble."""
    try:
        yield
    except AgnewsError:
        raise
    except Exception as error:
        if missing and is_missing(error):
            raise NotInStore(store=store, name=missing) from error
        text = hidden(f"{error}" or type(error).__name__)
        reason = text.splitlines()[0][:300] if text.strip() else type(error).__name__
        kind = StoreBusy if is_transient(error) else StoreTrouble
        raise kind(store=store, action=action, reason=reason) from error
