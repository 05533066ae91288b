"""Presets of any tier as what they mean: every preset that one names, in its place.

A name that leads back to itself, a member twice, or a student that cannot learn is a problem of the
file, with its line, as all others are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from agnews_cli.core.graph import asked
from agnews_cli.core.graph.asked import AnyPreset, Distilled, Ensemble, Finished, Single, mapped
from agnews_cli.core.run.diversity import DiversityLimits
from agnews_cli.core.run.identity import without_defaults
from agnews_cli.core.run.method import WordCounts
from agnews_cli.core.run.preset import Preset, Tier
from agnews_cli.errors import (
    FileMissing,
    PresetUnknown,
    SettingInvalid,
)
from agnews_cli.store.settings import changed, presets, strict_yaml
from agnews_cli.store.settings.presets import Written
from agnews_cli.store.settings.strict_yaml import Loc

if TYPE_CHECKING:
    from agnews_cli.core.run.composed import Composed, DistilledPreset, EnsemblePreset, MemberOf

MOST_MODELS = 400
"""Of one preset, however deep they lie."""


def load(name_or_path: str) -> AnyPreset:
    """What a preset means. Raises PresetUnknown, FileMissing or PresetInvalid."""
    return _of_file(name_or_path, presets.locate(name_or_path), (), {})


def load_all() -> tuple[AnyPreset, ...]:
    """All that there are, by tier, then the preferred first. Raises PresetInvalid."""
    tiers = get_args(Tier)
    return tuple(
        sorted(
            (_of_file(name, path, (), {}) for name, path in sorted(presets.files().items())),
            key=lambda shape: (tiers.index(shape.tier), -shape.order, shape.name),
        )
    )


def resolved_text(shape: AnyPreset) -> str:
    """One file that says all, for wherever no preset of that name is. It is read as the same."""
    return strict_yaml.dump(_mapping(shape), is_compact=True)


# ---- reading ------------------------------------------------------------------------------------


def _of_file(
    name: str, path: Path, above: tuple[Path, ...], known: dict[Path, AnyPreset]
) -> AnyPreset:
    """`known`: what was read for the same preset; each file is read once."""
    if path not in known:
        file = presets.written(path, is_named=not presets.is_path(name))
        shape = _Reading(file, (*above, path.resolve()), known).shape(())
        file.require_none()
        assert shape is not None
        known[path] = shape
    return known[path]


@dataclass(frozen=True, slots=True)
class _Reading:
    """`chain`: the files that led here, this one last."""

    file: Written
    chain: tuple[Path, ...]
    known: dict[Path, AnyPreset]

    def shape(self, loc: Loc) -> AnyPreset | None:
        """What the mapping there means; None where it has problems, which are noted."""
        found = self.file.at(loc)
        if found is None or isinstance(found, Preset):
            return None if found is None else Single(found)
        from agnews_cli.core.run.composed import EnsemblePreset

        if isinstance(found, EnsemblePreset):
            return self.checked(self.ensemble(found, loc), loc)
        return self.checked(self.distilled(found, loc), loc)

    def ensemble(self, of: EnsemblePreset, loc: Loc) -> Ensemble | None:
        found: dict[Any, int] = {}
        members = []
        for number, member in enumerate(of.members):
            place = (*loc, "members", number)
            one = self.member(member, place)
            if one is None:
                continue
            first = found.setdefault(asked.identity(one), number)
            if first != number:
                self.file.note(place, f"is members.{first} once more: give it another seed")
            members.append(one)
        if len(members) < len(of.members):
            return None
        named = (of.name, tuple(members), of.how, of.folds, of.limits, of.data)
        return Ensemble(*named, **_said(of))

    def distilled(self, of: DistilledPreset, loc: Loc) -> Distilled | None:
        for name, one in (("teacher", of.teacher), ("student", of.student)):
            if one.snapshots is not None:
                self.file.note((*loc, name, "snapshots"), "are members: of an ensemble alone")
        teacher = self.member(of.teacher, (*loc, "teacher"))
        student = self.member(of.student, (*loc, "student"))
        place = (*loc, "student", "preset")
        if isinstance(student, Finished):
            self.file.note((*loc, "student", "run"), "should be a preset: the student is trained")
            return None
        if isinstance(student, Ensemble | Distilled):
            self.file.note(place, f"should be one model ({student.name} is {student.tier})")
            return None
        if student is not None and isinstance(student.preset.method, WordCounts):
            self.file.note(place, "a linear model learns from labels alone")
        if teacher is None or student is None:
            return None
        how = of.distillation
        found = Distilled(of.name, teacher, student, how, of.folds, export=of.export, **_said(of))
        why = asked.unmatched(found)
        if why:
            self.file.note((*loc, "distillation", "hidden"), f"{teacher.name}: {why}")
        return found

    def member(self, member: MemberOf, loc: Loc) -> AnyPreset | None:
        if member.run is not None:
            return Finished(member.run, member.has_model)
        place = (*loc, "preset")
        found = (
            self.named(member.preset, place)
            if isinstance(member.preset, str)
            else self.shape(place)
        )
        if found is None:
            return None
        try:
            found = with_settings(found, member.settings)
        except SettingInvalid as error:
            given, reason = error.facts["given"], error.facts["reason"]
            self.file.note((*loc, "settings"), f"{given}: {reason}")
        if member.snapshots is not None:
            found = self.cyclic(found, member.snapshots, (*loc, "snapshots"))
        return mapped(found, lambda one: replace(one, seed=one.seed + member.seed))

    def cyclic(self, of: AnyPreset, snapshots: int, loc: Loc) -> AnyPreset:
        """The model that answers, trained in so many cycles."""
        settings = ("training.schedule=cyclic", f"training.snapshots={snapshots}")
        try:
            match of:
                case Single():
                    return with_settings(of, settings)
                case Distilled():
                    student = replace(
                        of.student, preset=presets.with_settings(of.student.preset, settings)
                    )
                    return replace(of, student=student)
        except SettingInvalid as error:
            self.file.note(loc, f"{error.facts['reason']}")
            return of
        self.file.note(loc, f"are of one training ({of.name} is {of.tier})")
        return of

    def named(self, name: str, loc: Loc) -> AnyPreset | None:
        try:
            path = presets.locate(name, beside=self.file.folder(loc))
        except PresetUnknown as error:
            self.file.note(loc, f"there is no preset {name!r}{error.facts['near']}")
            return None
        except FileMissing:
            self.file.note(loc, f"there is no file {name!r} beside this one")
            return None
        if path.resolve() in self.chain:
            again = self.chain[self.chain.index(path.resolve()) :]
            way = " → ".join([*(each.stem for each in again), path.stem])
            self.file.note(loc, f"leads back to itself: {way}")
            return None
        return _of_file(name, path, self.chain, self.known)

    def checked(self, shape: Ensemble | Distilled | None, loc: Loc) -> AnyPreset | None:
        if shape is None:
            return None
        if len(list(islice(asked.each(shape), MOST_MODELS + 1))) > MOST_MODELS:
            self.file.note(loc, f"more than {MOST_MODELS} models")
            return None
        why = asked.problem(shape)
        if why:
            self.file.note((*loc, "folds"), why)
        return shape


def _said(of: Composed) -> dict[str, Any]:
    """For people."""
    said = ("summary", "order", "tier", "measured", "published")
    return {name: getattr(of, name) for name in said}


# ---- writing ------------------------------------------------------------------------------------


def _mapping(shape: AnyPreset) -> dict[str, Any]:
    """As its file would say it; what is usual is left out."""
    if isinstance(shape, Single):
        found: dict[str, Any] = without_defaults(shape.preset)
        return found
    assert not isinstance(shape, Finished)
    said: dict[str, Any] = {"name": shape.name, "tier": shape.tier}
    said |= {"summary": shape.summary, "order": shape.order}
    match shape:
        case Ensemble():
            said |= {"members": list(map(_member, shape.members))}
            said |= {"how": without_defaults(shape.how)}
            if shape.limits != DiversityLimits():
                said |= {"limits": without_defaults(shape.limits)}
            if shape.data is not None:
                said |= {"data": without_defaults(shape.data)}
        case Distilled():
            said |= {"teacher": _member(shape.teacher), "student": _member(shape.student)}
            said |= {"distillation": without_defaults(shape.distillation)}
            if shape.export is not None:
                said |= {"export": shape.export}
    expected = {"measured": shape.measured, "published": shape.published}
    said |= {name: without_defaults(each) for name, each in expected.items() if each}
    return said if shape.folds is None else said | {"folds": shape.folds}


def _member(shape: AnyPreset) -> dict[str, Any]:
    if isinstance(shape, Finished):
        return {"run": shape.run} | ({} if shape.has_model else {"has_model": False})
    seed = shape.seed if isinstance(shape, Single) else 0
    return {"preset": _mapping(shape)} | ({"seed": seed} if seed else {})


# ---- changing -----------------------------------------------------------------------------------


def with_settings(shape: AnyPreset, settings: Sequence[str]) -> AnyPreset:
    """The same with `field.path=value` applied: how members become one, how a student learns, the
    folds; and what is a model's, to each model that has such a field.

    Raises SettingInvalid, also for a field that none has, and for `model`, of which there are
    several.
    """
    if isinstance(shape, Single):
        return replace(shape, preset=presets.with_settings(shape.preset, settings))
    of_models = []
    for given in settings:
        assert not isinstance(shape, Finished)
        name = given.partition("=")[0].strip()
        if name.partition(".")[0] in _OF_ALL[type(shape)]:
            shape = _with(shape, given)
        elif name == "model" or name.startswith("model."):
            reason = "the preset has several models; name another preset for one of them"
            raise SettingInvalid(given=given, reason=reason, preset=shape.name)
        else:
            of_models.append(given)
    every = list(asked.each(shape))
    for given in of_models:
        if not every:
            raise SettingInvalid(given=given, reason="no model is trained", preset=shape.name)
        if not any(changed.takes(one.preset, given) for one in every):
            presets.with_settings(every[0].preset, [given])  # says what is wrong with it

    def with_mine(one: Single) -> Single:
        mine = [given for given in of_models if changed.takes(one.preset, given)]
        return replace(one, preset=presets.with_settings(one.preset, mine))

    shape = mapped(shape, with_mine)
    if not settings or isinstance(shape, Single | Finished):
        return shape
    return replace(shape, measured=(), published=())


_OF_ALL: dict[type, tuple[str, ...]] = {
    Ensemble: ("how", "folds", "limits"),
    Distilled: ("distillation", "folds", "export"),
}


def _with(shape: Ensemble | Distilled, given: str) -> Ensemble | Distilled:
    from agnews_cli.core.run.composed import DistilledPreset, EnsemblePreset

    if isinstance(shape, Ensemble):
        members = EnsemblePreset.model_validate(_mapping(shape))
        said = changed.with_setting(members, given)
        return replace(shape, how=said.how, folds=said.folds, limits=said.limits)
    pair = changed.with_setting(DistilledPreset.model_validate(_mapping(shape)), given)
    how, folds = pair.distillation, pair.folds
    return replace(shape, distillation=how, folds=folds, export=pair.export)
