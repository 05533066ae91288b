"""69: a service or a part of the installation cannot be reached."""

from __future__ import annotations

from agnews_cli.errors.base import AgnewsError


class ExtraMissing(AgnewsError):
    """This needs the {extra!r} extra: {module} is not installed."""

    exit_code = 69
    hint = "pip install 'agnews-cli[{extra}]'"


class PackageMissing(AgnewsError):
    """{setting} needs the package {package}, which is not installed."""

    exit_code = 69
    hint = "pip install {package}"


class ClientMissing(AgnewsError):
    """The store {store} needs the package {package}, which is not installed."""

    exit_code = 69
    hint = "{install}"


class DriveNotMounted(AgnewsError):
    """Google Drive is not mounted at {path}."""

    exit_code = 69
    hint = "Paste this into a cell and run it, then the same command again:\n{cell}"


class StoreTrouble(AgnewsError):
    """The store {store} could not {action}: {reason}."""

    exit_code = 69
    hint = "Check its address and your login, then push again: agnews checkpoints push RUN --store {store!q}"


class StoreBusy(StoreTrouble):
    """The store {store} could not {action} now: {reason}."""

    # Worth another try: a timeout, a lost connection, too many requests.
    hint = "Try again later: agnews checkpoints push RUN --store {store!q}"


class NotInStore(StoreTrouble):
    """The store {store} has no {name}."""


class HostUnknown(StoreTrouble):
    """The store {store} is not asked: nobody here knows its host's key ({kind}, {fingerprint}). If its keeper says that it is that one: mkdir -p ~/.ssh && echo {line} >> ~/.ssh/known_hosts"""

    # The way out is in the message: as a warning beside training it is all that is shown.
    hint = (
        "Whoever answers with a key that is accepted gets the login: ask the host's keeper first."
    )


class HostKeyChanged(StoreTrouble):
    """The store {store} is not asked: its key ({kind}, {fingerprint}) is not the one that is known. If its keeper says that it was changed: ssh-keygen -R {host}"""

    hint = "Somebody may stand between: no login was sent."


class StoreUntrusted(StoreTrouble):
    """The list of {store} lacks {missing}, which was sent there; nothing is removed from it now."""

    hint = "Its list may be late: try again in some minutes. agnews status shows what is where."


class HubUnreachable(AgnewsError):
    """{what} is on the hub, and {endpoint} does not answer within {timeout_s:g} s."""

    exit_code = 69
    hint = "Check the network (on Kaggle: Settings, Internet on), or name local files."


class HubRefused(AgnewsError):
    """The hub does not give {what}: {reason}"""

    exit_code = 69
    hint = "Check the name; for a private or gated one log in first: hf auth login"


class PortTaken(AgnewsError):
    """Port {port} of {host} is taken by another program."""

    exit_code = 69
    hint = "Take any free one: agnews {command} {run!q} --port 0"


class CannotListen(AgnewsError):
    """Nobody can listen at {host}, port {port}: {reason}."""

    exit_code = 69
    hint = "Leave out --host for this machine alone, or give one of its own addresses (ip addr); ports below 1024 are the system's."


class PublishTrouble(AgnewsError):
    """{address} was not written: {reason}."""

    exit_code = 69
    hint = "What it was before it still is. Try again: agnews publish {run!q} {address!q}"
