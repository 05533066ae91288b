"""Whether what is asked for stays within `presets/limits.yaml`; what does not needs a reason."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from agnews_cli.core.graph.asked import AnyPreset, cycles_of, each, ensembles
from agnews_cli.core.run.anatomy import Anatomy
from agnews_cli.core.run.method import Dora, Full, Lora, Qlora
from agnews_cli.core.run.model_limits import MEMBERS, Excess, ModelLimits, excesses
from agnews_cli.core.run.preset import Preset
from agnews_cli.core.run.training_options import FIELDS
from agnews_cli.errors import BeyondLimits, ValueWrong
from agnews_cli.store.settings import catalogue, model_limits, presets
from agnews_cli.workflows.train import replay
from agnews_cli.workflows.train.scene import Request

_EXAMPLE: Final = "why it must be"
_LONGEST: Final = 300
_BEFORE: Final = "it began before there was the limit"
_FEW: Final = 100
"""No update of lower rank reaches 500 million weights: of 7 billion, rank 100 trains 250."""
_USUAL_CLASSES: Final = 4


def require(shape: AnyPreset, request: Request, *, is_typed: bool) -> tuple[str, ...]:
    """What goes beyond limits, each with its reason, for the record; of a preset that says why
    itself, nothing.

    `is_typed`: whether `agnews auto` and what was asked for say all of it. Raises BeyondLimits
    where there is no reason, ValueWrong for one that is none, LimitsInvalid.
    """
    reason = _reason(request.wish.justify)
    found = tuple(dict.fromkeys(_beyond(shape, model_limits.load())))
    open_ = [one for one in found if not (one.why or reason)]
    if open_ and not request.is_begun:
        raise BeyondLimits(
            excesses="\n".join(f"  {one.words}" for one in open_),
            inside=_inside(shape, request, open_, is_typed=is_typed),
            again=_again(request, is_typed=is_typed),
        )
    told = [one.because(reason or _BEFORE) for one in found if not one.why]
    if reason and not told:
        told.append(f"--justify was not needed: nothing goes beyond a limit ({reason})")
    return tuple(told)


def kept(preset: Preset, justify: str | None) -> tuple[str, ...]:
    """What of one training goes beyond limits, as its card says it."""
    found = excesses(preset, model_limits.load(), _anatomy(preset))
    return tuple(one.because(one.why or justify or _BEFORE) for one in found)


def _reason(given: str | None) -> str:
    if given is None:
        return ""
    reason = " ".join(given.split())
    if not reason or len(reason) > _LONGEST:
        expected = f"a reason in words, of at most {_LONGEST} characters"
        raise ValueWrong(name="--justify ", given=repr(given[:40]), expected=expected)
    return reason


def _beyond(shape: AnyPreset, limits: ModelLimits) -> Iterator[Excess]:
    for one in each(shape):
        yield from excesses(one.preset, limits, _anatomy(one.preset))
    for ensemble in ensembles(shape):
        most = ensemble.limits.over(limits.diversity).members
        members = sum(max(1, cycles_of(member)) for member in ensemble.members)
        if most is not None and members > most:
            yield Excess(ensemble.name, MEMBERS, members, most)


def _anatomy(preset: Preset) -> Anatomy:
    """As far as it is known without loading anything."""
    method = preset.method
    if isinstance(method, Lora | Dora | Qlora) and method.rank > _FEW:
        known = catalogue.around([preset.model.id]).by_id(preset.model.id)
        if known is not None:
            return known.anatomy(_USUAL_CLASSES)
    return Anatomy(preset.model.parameters)


# ---- the two next commands -----------------------------------------------------------------------


def _again(request: Request, *, is_typed: bool) -> str:
    if not is_typed:
        return f"the same command, and --justify {shlex.quote(_EXAMPLE)}"
    return replay.command(replace(request, wish=replace(request.wish, justify=_EXAMPLE)))


def _inside(shape: AnyPreset, request: Request, found: list[Excess], *, is_typed: bool) -> str:
    """A command that stays within all limits, as far as one can be named."""
    if any(one.field == MEMBERS for one in found):
        if not is_typed:
            return "the same command with fewer runs"
        return f"agnews presets copy {shlex.quote(shape.name)} mine.yaml, with fewer members"
    changes = [f"{one.field}={one.limit:g}" for one in found if one.field.startswith("training.")]
    changes += _hurried(shape, found)
    wish = request.wish
    if any(one.field == "trained_parameters" for one in found):
        other = _smaller(shape)
        if other is None:
            return "agnews presets ls"
        wish, changes = replace(wish, preset=other, settings=()), []
    fields = {change.partition("=")[0] for change in changes}
    settings = tuple(one for one in wish.settings if one.partition("=")[0] not in fields)
    plain: dict[str, Any] = {name: None for name, field in FIELDS.items() if field in fields}
    if not is_typed:
        return "the same command with " + " ".join(f"--set {change}" for change in changes)
    wish = replace(wish, settings=(*settings, *changes), **plain)
    return replay.command(replace(request, wish=wish))


def _hurried(shape: AnyPreset, found: list[Excess]) -> Iterator[str]:
    """What a budget puts in the place of a field must stay within its limit too."""
    hurried = [one.preset.short_of_time for one in each(shape)]
    for one in found:
        name = one.field.removeprefix("training.")
        if any((getattr(each_, name, None) or 0) > one.limit for each_ in hurried):
            yield f"short_of_time.{name}={one.limit:g}"


def _smaller(shape: AnyPreset) -> str | None:
    """The preset nearest in size that trains few weights of a model of its kind."""
    large = next(one.preset for one in each(shape) if isinstance(one.preset.method, Full | Lora))
    few = [
        one for one in presets.load_all() if isinstance(one.method, Lora) and one.tier == large.tier
    ]
    size = large.model.parameters
    return min(few, key=lambda one: abs(one.model.parameters - size)).name if few else None
