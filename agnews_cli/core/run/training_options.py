"""Options of training in plain words, as the fields of a preset that they stand for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from agnews_cli.errors import SetTwice, ValueWrong

TOKENS_OF_A_TEXT = 64
"""What `--batch-size` counts a text as. A step is filled by tokens: it holds more short texts and
fewer long ones."""
FIELDS: Mapping[str, str] = {
    "epochs": "training.epochs",
    "lr": "training.lr",
    "batch_size": "training.batch_tokens",
}


def as_settings(
    given: Sequence[str], *, epochs: float | None, lr: float | None, batch_size: int | None
) -> tuple[str, ...]:
    """`given` (FIELD=VALUE, as for `--set`) with what the options stand for.

    Raises ValueWrong, and SetTwice where both say something else of one field.
    """
    if epochs is not None and not 0 < epochs < math.inf:
        raise ValueWrong(
            name="--epochs", given=f" {epochs:g}", expected="more than 0", hint=_EPOCHS
        )
    if lr is not None and not 0 < lr < 1:
        raise ValueWrong(
            name="--lr", given=f" {lr:g}", expected="a rate between 0 and 1", hint=_RATE
        )
    if batch_size is not None and batch_size < 1:
        raise ValueWrong(
            name="--batch-size", given=f" {batch_size}", expected="1 or more", hint=_BATCH
        )
    tokens = None if batch_size is None else batch_size * TOKENS_OF_A_TEXT
    values = {"epochs": epochs, "lr": lr, "batch_size": tokens}
    settings = list(given)
    for option, value in values.items():
        if value is None:
            continue
        field, other = FIELDS[option], _set(given, FIELDS[option])
        if other is None:
            settings.append(f"{field}={value!r}")
        elif not _is(other, value):
            raise SetTwice(
                option="--" + option.replace("_", "-"), field=field, value=value, other=other
            )
    return tuple(settings)


_EPOCHS = "Such as: --epochs 3"
_RATE = "Such as: --lr 2e-5"
_BATCH = "Such as: --batch-size 32"


def _set(given: Sequence[str], field: str) -> str | None:
    """What the last setting says of the field."""
    found = None
    for each in given:
        name, equals, value = each.partition("=")
        if equals and name.strip() == field:
            found = value.strip()
    return found


def _is(text: str, value: float) -> bool:
    try:
        return float(text) == value
    except ValueError:
        return False


def model_of(given: Sequence[str]) -> str | None:
    """The model that settings name."""
    return _set(given, "model.id")
