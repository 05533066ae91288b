"""`--set`: presets with fields changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel

from agnews_cli.core.run.contradictions import contradictions, of_network
from agnews_cli.core.run.method import Method
from agnews_cli.core.run.preset import Preset, ShortOfTime, Training
from agnews_cli.core.text.spelling import nearest
from agnews_cli.errors import SettingInvalid
from agnews_cli.store.settings import checked
from agnews_cli.store.settings.strict_yaml import Document, Refused

M = TypeVar("M", bound=BaseModel)
_NOT_SET = ("measured", "published", "beyond_limits")


def with_settings(preset: Preset, settings: Sequence[str]) -> Preset:
    """The preset with `field.path=value` applied in order, the value read as YAML.

    A field that holds text takes the value as typed (`model.revision=0123`). What was measured
    or published was so without the settings, so it is dropped. A length or number of epochs that
    was set is not adapted to the data. A `kind` is set first, for it decides which fields there
    are; `method=lora` sets it, too, and a method's usual learning rate with it, unless one is set.
    Raises SettingInvalid, also for fields that cannot go together when all are set.
    """
    before = preset.method
    settings = [_whole(type(preset), given) for given in settings]
    for given in sorted(settings, key=lambda given: not _sets_kind(preset, given)):
        preset = with_setting(preset, given)
    asked = {given.partition("=")[0].strip() for given in settings}
    preset = _at_usual_rate(preset, before, asked)
    exact: dict[str, int] = {}
    if "training.max_length" in asked and "training.longest" not in asked:
        exact["longest"] = preset.training.max_length
    if "training.epochs" in asked and "training.least_steps" not in asked:
        exact["least_steps"] = 0
    is_cyclic = preset.training.schedule == "cyclic"
    if settings and not is_cyclic and "training.snapshots" not in asked:
        # Left of a schedule that was set aside.
        exact["snapshots"] = type(preset.training).model_fields["snapshots"].default
    if exact:
        training = preset.training.model_copy(update=exact)
        preset = preset.model_copy(update={"training": training})
    for field, why in contradictions(preset.training):
        about = [
            given for given in settings if given.partition("=")[0].strip().startswith("training.")
        ]
        raise SettingInvalid(
            given=" --set ".join(about), reason=f"training.{field} {why}", preset=preset.name
        )
    unfit = of_network(preset) if settings else None
    if unfit is not None:
        given, reason = " --set ".join(settings), f"its network {unfit}"
        raise SettingInvalid(given=given, reason=reason, preset=preset.name)
    return preset.model_copy(update={"measured": (), "published": ()}) if settings else preset


def takes(preset: Preset, given: str) -> bool:
    """Whether it has the field that `field.path=value` is about."""
    name = _whole(type(preset), given).partition("=")[0].strip()
    group, _, last = name.rpartition(".")
    if group in checked.unions(type(preset)):
        there = getattr(preset, group)
        return last == "kind" or (there is not None and last in type(there).model_fields)
    return name in checked.fields(Preset) and preset.reads(name)


def _whole(model: type[BaseModel], given: str) -> str:
    """`method=lora` means its kind."""
    name, equals, value = given.partition("=")
    is_kind = equals and name.strip() in checked.unions(model)
    return f"{name.strip()}.kind={value}" if is_kind else given


def _at_usual_rate(preset: Preset, before: Method, asked: set[str]) -> Preset:
    """With the learning rates of another method's preset, unless they are `asked` for: what trains
    fewer weights takes higher ones."""
    times = preset.method.usual_rate / before.usual_rate
    groups: dict[str, Training | ShortOfTime] = {
        "training": preset.training,
        "short_of_time": preset.short_of_time,
    }
    found = {
        name: group.model_copy(update={"lr": min(0.5, float(f"{group.lr * times:.3g}"))})
        for name, group in groups.items()
        if times != 1 and group.lr is not None and f"{name}.lr" not in asked
    }
    return preset.model_copy(update=found) if found else preset


def _sets_kind(preset: Preset, given: str) -> bool:
    group, _, last = given.partition("=")[0].strip().rpartition(".")
    return group in checked.unions(type(preset)) and last == "kind"


def with_setting(preset: M, given: str) -> M:
    """A preset of any tier with one of its own fields changed. Raises SettingInvalid."""

    def refuse(reason: str) -> SettingInvalid:
        return SettingInvalid(given=given, reason=reason, preset=getattr(preset, "name", ""))

    name, equals, raw = _whole(type(preset), given).partition("=")
    name, known = (
        name.strip(),
        [field for field in checked.fields(type(preset)) if field not in _NOT_SET],
    )
    if not equals:
        raise refuse("expected FIELD=VALUE, such as training.lr=3e-5")
    if name not in known:
        inside = [field for field in known if field.startswith(f"{name}.")]
        if inside:
            raise refuse(f"{name!r} is a group; set one of {', '.join(inside)}")
        raise refuse(f"there is no field {name!r}{_nearest_field(name, known)}")
    if isinstance(preset, Preset) and not preset.reads(name):
        raise refuse("a linear model does not read it")
    group, _, last = name.rpartition(".")
    if group in checked.unions(type(preset)) and getattr(preset, group) is None and last != "kind":
        kinds = checked.either(checked.kinds(type(preset), group))
        raise refuse(f"it has no {group}; first --set {group}=KIND, which is {kinds}")
    try:
        document = Document.parse(raw)
    except Refused as error:
        raise refuse(error.reason) from error
    if document.problems:
        raise refuse(document.problems[0][2])
    changed, errors = checked.validate(type(preset), _replaced(preset, name, document.data))
    if changed is None and not isinstance(document.data, dict | list | None):
        # `0123` is a number to YAML and a revision to the user.
        again, _ = checked.validate(type(preset), _replaced(preset, name, raw.strip()))
        changed = again or changed
    if changed is None:
        raise refuse("; ".join(reason for _, reason in errors))
    return changed


def _replaced(preset: BaseModel, name: str, value: Any) -> dict[str, Any]:
    data: dict[str, Any] = preset.model_dump(mode="json")
    *groups, last = name.split(".")
    target = data
    for group in groups:
        if target[group] is None:
            target[group] = {}
        target = target[group]
    is_kind = last == "kind" and groups[0] in checked.unions(type(preset))
    if is_kind and target.get(last) != value:
        target.clear()  # another kind has other fields
    target[last] = value
    return data


_OTHER_NAMES = {
    "learning_rate": "training.lr",
    "batch_size": "training.batch_tokens",
    "max_seq_length": "training.max_length",
    "warmup_ratio": "training.warmup",
    "num_train_epochs": "training.epochs",
}


def _nearest_field(name: str, known: Sequence[str]) -> str:
    """By the last word where that is known (`lr`, or another trainer's word), else by the path."""
    last = name.rpartition(".")[2]
    same = [field for field in known if field.rpartition(".")[2] == last]
    same += [_OTHER_NAMES[last]] if last in _OTHER_NAMES else []
    return f" (did you mean {same[0]!r}?)" if same else nearest(name, known)
