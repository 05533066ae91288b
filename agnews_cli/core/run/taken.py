"""What a process is asked that takes in what models not trained here said of rows."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from agnews_cli.core.run.dataset import Cleaning

TakenPart = Literal["train", "validation", "test"]


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Answers(_Facts):
    """`only`: a file that says which rows are wanted, by what a run said of them; None: all."""

    path: str
    only: str | None = None


class ToTakeIn(_Facts):
    """`tables`: by what their rows are for; written to `target/predictions/PART.safetensors`."""

    tables: dict[TakenPart, Answers]
    target: str
    labels: tuple[str, ...]
    label_values: tuple[str, ...]
    text_columns: tuple[str, ...]
    label_column: str
    cleaning: Cleaning


class TakenRows(_Facts):
    rows: dict[TakenPart, int]
