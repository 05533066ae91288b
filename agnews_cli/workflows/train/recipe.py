"""What a preset, a model and settings that were named mean: `shape` for whatever tier.

`--model` needs a preset whose recipe trains it, and settings that put it in there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from agnews_cli.core.graph.advice import advice
from agnews_cli.core.graph.asked import (
    AnyPreset,
    Single,
    cycles_of,
    runs_in,
    singles,
    students,
    unmatched,
)
from agnews_cli.core.run.preset import Model, Preset
from agnews_cli.core.run.training_options import model_of
from agnews_cli.errors import ModelUnsuitable, SetTwice, TeacherHasNoHidden
from agnews_cli.host import network
from agnews_cli.store.settings import catalogue, preset_shapes, presets
from agnews_cli.workflows.train.weights import weighed


def shape(
    model: str | None,
    preset: str | None,
    settings: Sequence[str],
    *,
    hub: Callable[[], bool],
    timeout_s: float,
) -> tuple[AnyPreset | None, tuple[str, ...]]:
    """What is meant, of any tier, settings applied and weights known by content, and why; None
    where a preset is to be chosen.

    Raises like `recipe`, and PresetOfSeveral for --model beside a preset of several models.
    """
    if preset is not None and model is None:
        return given(preset_shapes.load(preset), settings)
    one, why = recipe(model, preset, settings, hub=hub, timeout_s=timeout_s)
    return None if one is None else weighed(Single(one)), why


def given(asked: AnyPreset, settings: Sequence[str]) -> tuple[AnyPreset, tuple[str, ...]]:
    """`asked` with settings applied and weights known by content; and why.

    Raises SettingInvalid or TeacherHasNoHidden.
    """
    found = preset_shapes.with_settings(asked, settings)
    for one in students(found):
        why = unmatched(one)
        if why:
            teacher, student = one.teacher.name, one.student.name
            raise TeacherHasNoHidden(teacher=teacher, student=student, reason=why)
    return weighed(found), (f"preset {found.name}: as asked{_of(found)}", *advice(found))


def _of(shape: AnyPreset) -> str:
    """Which models, in words, where there are several."""
    if isinstance(shape, Single):
        return ""
    names = [_in_cycles(one) for one in singles(shape)] + [one.run for one in runs_in(shape)]
    counted = Counter(names)
    return ": " + ", ".join(f"{n} x {name}" if n > 1 else name for name, n in counted.items())


def _in_cycles(one: Single) -> str:
    return f"{one.name} ({cycles_of(one)} snapshots)" if cycles_of(one) else one.name


def recipe(
    model: str | None,
    preset: str | None,
    settings: Sequence[str],
    *,
    hub: Callable[[], bool],
    timeout_s: float,
) -> tuple[Preset | None, tuple[str, ...]]:
    """The preset that is meant, settings applied, and why; None where it is to be chosen.

    Without --model it is the preset that is named. Raises PresetUnknown, PresetInvalid,
    SettingInvalid, SetTwice, ModelUnsuitable, FileMissing, HubUnreachable, HubRefused.
    """
    if model is None:
        if preset is None:
            return None, ()
        found = presets.with_settings(presets.load(preset), settings)
        return found, (f"preset {found.name}: as asked",)
    model, meant = _by_catalogue(model)
    other = model_of(settings)
    if other not in (None, model):
        raise SetTwice(option="--model", field="model.id", value=model, other=other)
    named = None if preset is None else presets.load(preset, action="--model")
    if named is not None and not named.method.needs_weights:
        raise ModelUnsuitable(model=model, reason=f"preset {named.name} trains no pretrained model")
    every = (named,) if named is not None else presets.load_all()
    whole = (each for each in every if each.network is None)
    same = [each for each in whole if each.model.id.casefold() == model.casefold()]
    if same:
        found = max(same, key=lambda each: each.order)
        return presets.with_settings(found, settings), (
            *meant,
            f"preset {found.name}: the recipe for --model {model}",
        )
    from agnews_cli.core.run.choose import nearest
    from agnews_cli.store.model import models
    from agnews_cli.store.model.model_facts import facts

    asked = Model(id=model, parameters=1, licence="unknown")
    where = models.resolve(asked, hub=hub, endpoint=network.endpoint(), timeout_s=timeout_s)
    known = facts(model, where, timeout_s=timeout_s)
    base = named or nearest(every, known.parameters, is_decoder=known.is_decoder)
    put = (
        f"model.id={model}",
        f"model.parameters={known.parameters}",
        f"model.licence={known.licence}",
        "model.revision=",
        "model.embedded=",
    )
    why = "as asked" if named else f"the nearest in size among {_tier(known.is_decoder)}"
    return presets.with_settings(base, [*put, *settings]), (
        *meant,
        f"model {model}: {known.kind}, {_weights(known.parameters)} weights, in no preset; "
        f"trained with the recipe of {base.name} ({why}), which nobody measured for it",
        f"the same: --preset {base.name} " + " ".join(f"--set {each}" for each in put),
    )


def _by_catalogue(model: str) -> tuple[str, tuple[str, ...]]:
    """The hub id of a model that was named as people call it, and that it is meant; a folder, and
    whatever has an owner, is what it says. Raises CatalogueInvalid."""
    if "/" in model or Path(model).exists():
        return model, ()
    found, note = catalogue.load().find(model)
    if found is None:
        return model, ()
    return found.entry.id, (note or f"{model} is {found.entry.id}, by the catalogue",)


def _tier(is_decoder: bool) -> str:
    return "language models" if is_decoder else "encoders"


def _weights(parameters: int) -> str:
    return f"{parameters / 1e6:,.0f} M" if parameters >= 1_000_000 else f"{parameters:,}"
