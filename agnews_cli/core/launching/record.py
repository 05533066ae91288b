"""What is kept of a launch, on the disk before anything is done: from it alone a command goes on.

A session is `tried` (its hours are booked; whether the platform has it is not known), `alive` (the
platform said so), `over` (it has ended there, and its output is not here yet) and `home`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from agnews_cli.core.hours.resource import Resource
from agnews_cli.core.launching.names import session_name

Stage = Literal["tried", "alive", "over", "home"]
Ending = Literal["", "finished", "paused", "failed", "stopped", "missing"]
"""How it ended. `finished`: the result is there; `paused`: time was up and there is more to do."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)


class LaunchedSession(_Strict):
    """One session: at most one on the platform, whatever is killed here and when."""

    number: int = Field(ge=1, le=10_000)
    name: str = Field(pattern=r"^agnews-[a-z0-9-]{1,60}$")
    stage: Stage = "tried"
    most_s: float = Field(gt=0)
    """What it costs at most, booked before it begins."""
    tried_at: AwareDatetime
    """The last try to begin it, written before the try; of one that was found, when it was."""
    waited_until: AwareDatetime | None = None
    """When it was last seen to wait for a machine: what it costs is counted from there."""
    runs_since: AwareDatetime | None = None
    """When it was first seen to run: from there it is late."""
    missing_since: AwareDatetime | None = None
    """Since when every answer says that nothing has this name."""
    ended_at: AwareDatetime | None = None
    end: Ending = ""
    message: str = ""
    url: str = ""
    has: tuple[str, ...] = ()
    """Of each run in its output how far it is: `RUN@done`, `RUN@<checkpoint>`."""
    is_told: bool = False
    """Whether the user was told of its bad end: the same command then goes on."""

    def changed(self, **fields: object) -> LaunchedSession:
        return self.model_validate(self.model_dump() | fields)


class LaunchRecord(_Strict):
    """A launch: what was asked for, where, and its sessions so far."""

    id: str = Field(pattern=r"^[a-z0-9-]{1,40}$")
    platform: str
    owner: str
    """The account; sessions of another one are not ours."""
    accelerator: str
    resource: Resource
    data: str = ""
    """What uploaded data are called there."""
    words: tuple[str, ...]
    """What follows `agnews auto` there."""
    store: str
    """The folder that output comes home to."""
    sessions: tuple[LaunchedSession, ...] = ()

    @property
    def open(self) -> LaunchedSession | None:
        """The session that is not home yet; there is one at most."""
        return next((each for each in self.sessions if each.stage != "home"), None)

    @property
    def newest(self) -> LaunchedSession | None:
        return self.sessions[-1] if self.sessions else None

    @property
    def sources(self) -> tuple[str, ...]:
        """The sessions with something to go on from."""
        return tuple(each.name for each in self.sessions if each.has)

    def is_news(self, session: LaunchedSession) -> bool:
        """Whether it left more than the sessions before it had."""
        earlier = {
            one for each in self.sessions if each.number < session.number for one in each.has
        }
        return not earlier.issuperset(session.has)

    def put(self, session: LaunchedSession) -> LaunchRecord:
        """With this session in the place of its number's, or after all."""
        others = [each for each in self.sessions if each.number != session.number]
        every = sorted((*others, session), key=lambda each: each.number)
        return self.model_copy(update={"sessions": tuple(every)})

    @property
    def next_number(self) -> int:
        return len(self.sessions) + 1

    def session(self, most_s: float, now: datetime) -> LaunchedSession:
        """The next one, tried now: the one that is open again, or the one after all there were."""
        number = self.open.number if self.open else self.next_number
        name = session_name(self.id, number)
        return LaunchedSession(number=number, name=name, most_s=most_s, tried_at=now)
