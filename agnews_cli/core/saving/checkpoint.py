"""A checkpoint is its manifest: what was saved, by whom, and the SHA-256 of every part.

Manifests come from stores that may be broken or hostile, so they are strict: unknown keys, odd
names and wrong digests are refused. Order comes from the fencing number and the step, never from a
clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Why = Literal["interval", "validation", "final", "asked"]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Writer = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{4,16}$")]

_FILE = re.compile(r"m-([0-9]{6})-([0-9]{9})-([a-z0-9]{4,16})-([0-9a-f]{16})\.json")


class Blob(BaseModel):
    """One immutable file, named by its content."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    sha256: Digest
    size_bytes: Annotated[int, Field(ge=0, lt=10**15)]


class Manifest(BaseModel):
    """All there is to know of one checkpoint."""

    # Without "constants" an infinite best loss is written as null, and read as None.
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        populate_by_name=True,
        ser_json_inf_nan="constants",
    )

    schema_: Literal["agnews.checkpoint/1"] = Field("agnews.checkpoint/1", alias="schema")
    run: str
    candidate: str
    """Which fine-tuning of the run."""
    step: Annotated[int, Field(ge=0, lt=10**9)]
    parent: str | None = None
    """Id of the checkpoint that this one continues."""
    token: Annotated[int, Field(ge=0, lt=10**6)]
    """Fencing number of the session that wrote it."""
    writer: Writer
    made_at: str
    """UTC, for people; nothing is ordered by it."""
    why: Why
    blobs: dict[Name, Blob]
    state: dict[str, Any]
    """What training needs besides tensors: position, counters, metrics."""
    fingerprint: dict[str, str]
    """Code, libraries and machine class."""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What a manifest's file name says; the highest key is the newest checkpoint."""

    token: int
    step: int
    digest: str
    """The first 16 hex digits of the SHA-256 of the manifest's bytes."""
    writer: str

    @property
    def id(self) -> str:
        return f"m-{self.token:06d}-{self.step:09d}-{self.writer}-{self.digest}"

    @classmethod
    def parse(cls, file_name: str) -> Key | None:
        """None for a file that is no manifest's."""
        match = _FILE.fullmatch(file_name)
        if match is None:
            return None
        token, step, writer, digest = match.groups()
        return cls(int(token), int(step), digest, writer)
