"""What a training said of its validation rows, kept so that no torch is needed to read it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("safetensors")

from safetensors.numpy import save_file  # noqa: E402

from agnews_cli.errors import CannotRead  # noqa: E402
from agnews_cli.learn.combine import logits  # noqa: E402
from agnews_cli.learn.combine.logits import Logits, digests, read, write  # noqa: E402


def kept(rows: int = 5, classes: int = 3, **changes: Any) -> Logits:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(classes), rows)
    probabilities[0] = np.eye(classes)[0]  # a model may be wholly sure
    texts = [f"text {n}" for n in range(rows)]
    facts = {
        "labels": tuple("abc"[:classes]), "texts": texts, "classes": np.arange(rows) % classes,
        "delivered": probabilities, "each": {"linear": probabilities, "x.y": probabilities[::-1]},
    } | changes  # fmt: skip
    return Logits.of(**facts)


def test_what_was_written_is_read_and_softmax_gives_the_probabilities(tmp_path: Path) -> None:
    one = kept()
    assert write(tmp_path / "predictions" / "validation.safetensors", one)
    two = read(tmp_path / "predictions" / "validation.safetensors")
    assert two.labels == one.labels and set(two.each) == {"linear", "x.y"}
    for name in ("rows", "classes", "delivered"):
        a, b = getattr(one, name), getattr(two, name)
        assert a.dtype == b.dtype and np.array_equal(a, b)
    again = np.exp(two.delivered.astype(float))
    assert again.sum(1) == pytest.approx(np.ones(5)) and again[0].argmax() == 0
    first = (tmp_path / "predictions" / "validation.safetensors").read_bytes()
    write(tmp_path / "other" / "validation.safetensors", kept())
    assert (tmp_path / "other" / "validation.safetensors").read_bytes() == first


def test_the_same_text_is_the_same_row_wherever_it_stands() -> None:
    one, two = digests(["a", "b", "é"]), digests(["é", "a"])
    assert np.array_equal(one[2], two[0]) and np.array_equal(one[0], two[1])
    assert one.shape == (3, 16) and digests([]).shape == (0, 16)


WRONG: dict[str, dict[str, Any]] = {
    "no rows": {"rows": None},
    "no labels": {"labels": None},
    "other rows": {"rows": np.zeros((4, 16), np.uint8)},
    "not a number": {"logits": np.full((5, 3), np.nan, np.float32)},
    "another precision": {"logits": np.zeros((5, 3))},
    "a class too few": {"logits": np.zeros((5, 2), np.float32)},
    "a class that is none": {"classes": np.full(5, 3, np.int32)},
    "labels that are no list": {"labels": "7"},
    "labels that are deep": {"labels": "[" * 200_000 + "]" * 200_000},
    "labels that are no names": {"labels": '[{"a": 1}, [2], 3]'},
    "two labels of one name": {"labels": '["a", "b", "a"]'},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_damaged_file_is_one_clear_error(name: str, tmp_path: Path) -> None:
    one = kept()
    facts: dict[str, Any] = {
        "rows": one.rows, "classes": one.classes, "logits": one.delivered,
        "labels": '["a", "b", "c"]',
    } | WRONG[name]  # fmt: skip
    labels = facts.pop("labels")
    arrays = {key: array for key, array in facts.items() if array is not None}
    save_file(arrays, tmp_path / "x.safetensors", {"labels": labels} if labels else None)
    with pytest.raises(CannotRead):
        read(tmp_path / "x.safetensors")
    for junk in (b"", b"\xff" * 40, b"\x08\0\0\0\0\0\0\0{}      "):
        (tmp_path / "x.safetensors").write_bytes(junk)
        with pytest.raises(CannotRead):
            read(tmp_path / "x.safetensors")
    with pytest.raises(CannotRead):
        read(tmp_path / "none.safetensors")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.safetensors")
    with pytest.raises(CannotRead, match="no plain file"):
        read(tmp_path / "x.safetensors")


def test_what_is_too_large_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "predictions" / "validation.safetensors"
    assert write(path, kept())
    monkeypatch.setattr(logits, "MOST_BYTES", 100)
    assert not write(path, kept())
    assert not path.exists(), "no older one stands for it"


def test_reading_needs_no_torch(tmp_path: Path) -> None:
    write(tmp_path / "x.safetensors", kept())
    code = (
        "import sys\nfrom pathlib import Path\nfrom agnews_cli.learn.combine.logits import read\n"
        "assert read(Path(sys.argv[1])).labels == ('a', 'b', 'c')\n"
        "assert not {'torch', 'transformers', 'sklearn', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "x.safetensors")], check=True)
