"""One call of Kaggle's official client, in a child process that answers with one line of JSON.

The client is the user's to install, importing it logs in, and its requests have no time limit: so
nothing of it is imported here. The child ends with who started it, so that no call goes on alone.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import agnews_cli
from agnews_cli.host import children

PACKAGE = "kaggle>=2.2.1"
_MISSING = (403, 404)
_LIST = "ListKernelSessionOutput"
_NEEDED = {"timeout", "acc"}
"""What `kernels_push` takes since then."""


class NothingHeard(Exception):
    """No answer: whether something was done there is not known."""


def ask(call: str, *, timeout_s: float, **facts: Any) -> dict[str, Any]:
    """`{"ok": …}`, or `{"failed": kind, "code": …, "message": …}`. Raises NothingHeard.

    Kinds: `client` (none, or an old one), `login`, `refused` (with a status), `lost`, `other`.
    """
    order = json.dumps({"call": call, "parent": os.getpid(), **facts})
    try:
        answer = children.answer(
            children.module("agnews_cli.host.kaggle_client", order),
            timeout_s=timeout_s,
            env=children.environment({"PYTHONPATH": _python_path()}),
        )
    except OSError as error:
        raise NothingHeard(f"its client did not start: {error.strerror}") from error
    if answer is None:
        raise NothingHeard(f"no answer within {timeout_s:g} s")
    try:
        found = json.loads(answer[1].decode().strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise NothingHeard("its client gave no answer that can be read") from None
    if not isinstance(found, dict):
        raise NothingHeard("its client gave no answer that can be read")
    return found


def _python_path() -> str:
    root = str(Path(agnews_cli.__file__).parent.parent)
    return os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))


# ---- in the child --------------------------------------------------------------------------------


def main() -> None:
    """Print the answer as the last line; all that the client prints goes to standard error."""
    order = json.loads(sys.argv[1])
    children.end_with(order["parent"])
    out = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        found = answered(order)
    out.write(json.dumps(found) + "\n")
    out.flush()
    os._exit(0)  # a client's thread must not keep the answer waiting


def answered(order: Mapping[str, Any]) -> dict[str, Any]:
    """What `ask` gives, of a call that is made here."""
    try:
        api = _logged_in()
        return {"ok": _CALLS[order["call"]](api, order)}
    except (Exception, SystemExit) as error:
        return _failed(error)


class _ClientUnfit(Exception):
    pass


class _LoggedOut(Exception):
    pass


def _logged_in() -> Any:
    try:
        import kaggle
    except ImportError as error:
        missing = "not installed" if error.name == "kaggle" else f"broken ({error.name})"
        raise _ClientUnfit(missing) from error
    except SystemExit as error:  # an old client leaves the process without a token
        raise _LoggedOut("there is no Kaggle token here") from error
    api = kaggle.api
    takes = set(inspect.signature(api.kernels_push).parameters)
    if not takes >= _NEEDED or not hasattr(api, "quota_view"):
        version = getattr(kaggle, "__version__", "of unknown version")
        raise _ClientUnfit(f"too old here ({version})")
    if not api.config_values.get("username"):
        try:
            api.authenticate()  # importing it keeps silent about why that failed
        except SystemExit as error:
            raise _LoggedOut("there is no Kaggle token here") from error
    if not api.config_values.get("username"):
        raise _LoggedOut("there is no Kaggle token here")
    return api


def _failed(error: BaseException) -> dict[str, Any]:
    if isinstance(error, _ClientUnfit):
        return {"failed": "client", "code": None, "message": str(error)}
    if isinstance(error, _LoggedOut):
        return {"failed": "login", "code": None, "message": str(error)}
    response = _response_of(error)
    if response is not None:
        code = int(response.status_code)
        kind = "login" if code == 401 else "refused"
        after = response.headers.get("Retry-After", "")
        after_s = float(after) if after.isdecimal() else None
        message = f"status {code}"
        with contextlib.suppress(Exception):
            message = f"{response.json()['message']} ({code})"
        return {"failed": kind, "code": code, "message": message, "after_s": after_s}
    is_lost = any(isinstance(one, OSError) for one in _chain(error))
    said = f"{type(error).__name__}: {error}"[:300]
    return {"failed": "lost" if is_lost else "other", "code": None, "message": said}


def _response_of(error: BaseException) -> Any:
    """The answer that an error is about; the client puts some into words of its own."""
    found = (getattr(one, "response", None) for one in _chain(error))
    return next((one for one in found if getattr(one, "status_code", None) is not None), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    at: BaseException | None = error
    for _ in range(10):
        if at is None:
            return
        yield at
        at = at.__cause__ or at.__context__


def _me(api: Any, order: Mapping[str, Any]) -> dict[str, Any]:
    # A legacy key is believed without a question to Kaggle: ask one that needs it.
    api.quota_view()
    return {"user": api.config_values["username"]}


def _look(api: Any, order: Mapping[str, Any]) -> dict[str, Any]:
    code, found = _unless_missing(lambda: api.kernels_status(order["kernel"]))
    if code is None:
        return {"word": found.status.name, "message": found.failure_message or ""}
    # Kaggle answers 403 also for a kernel that is not there; its list tells them apart.
    return {"word": "", "code": code, "is_listed": _is_listed(api, order)}


def _unless_missing(call: Callable[[], Any]) -> tuple[int | None, Any]:
    """(403 or 404, None) or (None, what it gave). What is asked next is no part of this error."""
    try:
        return None, call()
    except Exception as error:
        response = _response_of(error)
        if response is None or response.status_code not in _MISSING:
            raise
        return int(response.status_code), None


def _is_listed(api: Any, order: Mapping[str, Any]) -> bool:
    owner, _, slug = order["kernel"].partition("/")
    for more in ({"search": slug}, {"sort_by": "dateRun"}):
        listed = api.kernels_list(mine=True, page_size=100, **more) or []
        if any(each.ref.lower() == f"{owner}/{slug}".lower() for each in listed):
            return True
    return False


def _push(api: Any, order: Mapping[str, Any]) -> dict[str, Any]:
    done = api.kernels_push(order["folder"], timeout=str(order["most_s"]), acc=order["accelerator"])
    bad = [*(done.invalid_kernel_sources or []), *(done.invalid_dataset_sources or [])]
    return {"error": done.error or "", "url": done.url or "", "not_attached": bad}


def _output(api: Any, order: Mapping[str, Any]) -> dict[str, Any]:
    try:
        files, _ = api.kernels_output(
            order["kernel"],
            order["folder"],
            file_pattern=order["pattern"],
            force=True,
            page_size=100,
        )
    except Exception as error:
        response = _response_of(error)
        # Of the list it means that there is none; of a file, that its address has run out.
        if response is None or response.status_code != 404 or _LIST not in response.url:
            raise
        return {"files": 0}
    return {"files": len(files)}


def _delete(api: Any, order: Mapping[str, Any]) -> dict[str, Any]:
    api.kernels_delete(order["kernel"], no_confirm=True)
    return {}


def _data(api: Any, order: Mapping[str, Any]) -> dict[str, Any]:
    """How a data set stands, which is made of a folder where there is none of its name."""
    code, status = _unless_missing(lambda: api.dataset_status(order["dataset"]))
    if code is None:
        return {"status": status}
    made = api.dataset_create_new(
        order["folder"], public=False, quiet=True, convert_to_csv=False, dir_mode="skip"
    )
    if made.error and "already in use" not in made.error:
        return {"status": "refused", "message": made.error}
    return {"status": "made"}


_CALLS: Mapping[str, Callable[[Any, Mapping[str, Any]], dict[str, Any]]] = {
    "me": _me,
    "look": _look,
    "push": _push,
    "output": _output,
    "delete": _delete,
    "data": _data,
}


if __name__ == "__main__":
    main()
