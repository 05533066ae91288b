"""Members come beside each other by their rows, and what does not fit is one clear error."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("safetensors")
hypothesis = pytest.importorskip("hypothesis")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from agnews_cli import errors  # noqa: E402
from agnews_cli.learn.combine.given import Asked, read  # noqa: E402
from agnews_cli.learn.combine.logits import Logits, digests  # noqa: E402
from agnews_cli.learn.combine.members import UNKNOWN, align  # noqa: E402

LABELS = ("World", "Sports", "Business")
TEXTS = tuple(f"text {n}" for n in range(12))
TRUE = np.arange(12) % 3


def member(
    seed: int,
    rows: Sequence[int] = range(12),
    labels: Sequence[str] = LABELS,
    texts: Sequence[str] = TEXTS,
    true: Any = TRUE,
) -> Logits:
    """What one says of these rows, in this order, with its classes in this order."""
    said = np.random.default_rng(seed).dirichlet(np.ones(len(LABELS)), len(texts))
    order = [LABELS.index(label) for label in labels]
    number_of = np.argsort(order)
    chosen = list(rows)
    return Logits.of(
        labels, [texts[n] for n in chosen], number_of[true[chosen]], said[chosen][:, order], {}
    )


def same(one: Any, two: Any) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(two, name))
        for name in ("rows", "classes", "probabilities")
    )


# ---- what fits -----------------------------------------------------------------------------------


def test_rows_classes_and_parts_may_come_in_any_order() -> None:
    plain = align({"a": [member(1)], "b": [member(2)]})
    assert plain.names == ("a", "b") and plain.labels == LABELS
    assert plain.probabilities.shape == (2, 12, 3) and plain.probabilities.dtype == np.float32

    @settings(max_examples=25, deadline=None)
    @given(
        st.permutations(range(12)), st.permutations(LABELS), st.integers(1, 11), st.integers(0, 12)
    )
    def check(rows: list[int], labels: list[str], first: int, second: int) -> None:
        cuts = sorted((first, max(first, second)))
        pieces = [rows[: cuts[0]], rows[cuts[0] : cuts[1]], rows[cuts[1] :]]
        parts = [member(2, piece, labels) for piece in pieces if piece]
        assert same(align({"a": [member(1)], "b": parts}), plain)
        turned = align({"b": parts, "a": [member(1)]}).labels
        assert turned == tuple(labels)

    check()


def test_a_row_has_what_was_said_of_it() -> None:
    found = align({"a": [member(1, range(11, -1, -1))], "b": [member(2)]})
    said = [np.random.default_rng(seed).dirichlet(np.ones(3), 12) for seed in (1, 2)]
    for number, text in enumerate(TEXTS):
        at = int(np.flatnonzero((found.rows == digests([text])[0]).all(1))[0])
        assert found.classes[at] == TRUE[number]
        for one in range(2):
            assert found.probabilities[one, at] == pytest.approx(said[one][number], abs=1e-6)


def test_equal_texts_are_so_many_rows_and_keep_their_own_classes() -> None:
    texts = ["same", "same", "same", "other"]
    true = np.asarray([0, 1, 0, 2])
    one = member(1, range(4), texts=texts, true=true)
    two = member(2, (2, 3, 1, 0), texts=texts, true=true)
    found = align({"a": [one], "b": [two]})
    assert sorted(found.classes.tolist()) == [0, 0, 1, 2]
    folds = [member(2, part, texts=texts, true=true) for part in ((0, 3), (1, 2))]
    assert same(align({"a": [one], "b": folds}), align({"a": [one], "b": [two]}))
    fewer = member(2, (0, 1, 3), texts=texts, true=true)
    with pytest.raises(errors.MemberRowsDiffer, match="b says nothing of 1 of the 4 rows"):
        align({"a": [one], "b": [fewer]})


def test_a_member_that_does_not_know_the_classes_takes_them_from_the_others() -> None:
    known = member(2)
    unknown = replace(known, classes=np.full(12, UNKNOWN, np.int32))
    assert same(
        align({"a": [member(1)], "b": [unknown]}), align({"a": [member(1)], "b": [member(2)]})
    )
    with pytest.raises(errors.MemberClassesUnknown, match="b"):
        align({"b": [unknown]})


# ---- what does not -------------------------------------------------------------------------------


def nan(one: Logits) -> Logits:
    logits = one.delivered.copy()
    logits[3, 1] = np.nan
    return replace(one, delivered=logits)


BAD: dict[str, tuple[Any, Any, type[Exception], str]] = {
    "a row is missing": (
        [member(1)], [member(2, range(11))],
        errors.MemberRowsDiffer, "b says nothing of 1 of the 12 rows",
    ),
    "the first misses some": (
        [member(1, range(9))], [member(2)],
        errors.MemberRowsDiffer, "a says nothing of 3 of the 12 rows",
    ),
    "other rows": (
        [member(1)], [member(2, texts=[f"new {n}" for n in range(12)])],
        errors.MemberRowsDiffer, "says nothing of 12 of the 24 rows",
    ),
    "a fold is away": (
        [member(1)], [member(2, range(4)), member(2, range(4, 8))],
        errors.MemberRowsDiffer, "b says nothing of 4 of the 12 rows",
    ),
    "a fold twice": (
        [member(1)], [member(2, range(6)), member(2, range(6)), member(2, range(6, 12))],
        errors.RowsTwice, "b speaks 6 times of rows",
    ),
    "one row in two folds": (
        [member(1)], [member(2, range(7)), member(2, range(6, 12))],
        errors.RowsTwice, "b speaks 1 times of rows",
    ),
    "other labels": (
        [member(1)], [replace(member(2), labels=("World", "Sports", "Money"))],
        errors.MemberLabelsDiffer,
        "b knows other labels: World, Sports, Money; expected World, Sports, Business",
    ),
    "other classes": (
        [member(1)], [member(2, true=(TRUE + (np.arange(12) < 2)) % 3)],
        errors.MemberClassesDiffer, "b has another true class for 2 rows than a",
    ),
    "no numbers": (
        [member(1)], [nan(member(2))],
        errors.MemberNotNumbers, "b says what is no probability of 1 of 12 rows",
    ),
    "the same twice": (
        [member(1)], [member(1, range(11, -1, -1), ("Sports", "Business", "World"))],
        errors.MemberTwice, "a and b say the same of every row",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_one_clear_error(name: str) -> None:
    a, b, kind, words = BAD[name]
    with pytest.raises(kind, match=words):
        align({"a": a, "b": b})


def test_a_member_alone_speaks_of_all_rows_that_are_expected() -> None:
    folds = [member(1, range(6)), member(1, range(6, 12))]
    expected = digests(TEXTS)
    assert len(align({"a": folds}, expected=expected).classes) == 12
    with pytest.raises(errors.MemberRowsDiffer, match="a says nothing of 6 of the 12 rows"):
        align({"a": folds[:1]}, expected=expected)
    with pytest.raises(errors.MemberRowsDiffer, match="the data says nothing of 2 of the 12 rows"):
        align({"a": folds}, expected=expected[:10])
    with pytest.raises(errors.RowsTwice, match="a speaks 6 times"):
        align({"a": [*folds, folds[0]]})


# ---- tables of probabilities ---------------------------------------------------------------------


def table(
    path: Path, one: Logits, columns: dict[str, Sequence[object]], prefix: str = "p_"
) -> Path:
    said = np.exp(one.delivered.astype(float))
    shares = {f"{prefix}{label}": said[:, n].round(7) for n, label in enumerate(one.labels)}
    whole = columns | shares
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(whole)
        writer.writerows(zip(*whole.values(), strict=True))
    return path


def names(one: Logits) -> list[str]:
    return [one.labels[n] for n in one.classes]


def close(one: Logits, two: Logits) -> bool:
    return (
        np.array_equal(one.rows, two.rows)
        and np.array_equal(one.classes, two.classes)
        and np.allclose(np.exp(one.delivered), np.exp(two.delivered), atol=1e-6)
    )


def test_a_table_with_texts_says_what_the_run_says(tmp_path: Path) -> None:
    one = member(1)
    texts = [f"  <b>{text}</b> " for text in TEXTS]  # cleaned as the data set's are
    answered = table(
        tmp_path / "a.csv", one, {"text": texts, "label": names(one), "predicted": ["x"] * 12}
    )
    assert close(read(answered), one)
    moved = table(
        tmp_path / "b.csv",
        one,
        {"text": texts, "label": names(one), "predicted_label": ["x"] * 12, "p_value": [3] * 12},
        "predicted_p_",
    )
    assert close(read(moved), one)
    some = Asked(labels=LABELS[::-1])
    beside = {"text": texts, "label": names(one), "predicted": ["x"] * 12, "p_value": [3] * 12}
    assert close(read(table(tmp_path / "b.csv", one, beside), some), one)
    with pytest.raises(errors.NoProbabilities, match="p_value, p_World, p_Sports"):
        read(tmp_path / "b.csv", Asked(labels=(*LABELS, "Science")))
    plain = table(tmp_path / "c.csv", one, {"text": texts, "label": ["World"] * 12})
    assert (read(plain).classes == UNKNOWN).all(), "that label is the model's answer"
    assert close(
        read(
            table(tmp_path / "d.csv", one, {"body": texts, "truth": names(one)}),
            Asked(text_columns=("body",), label_column="truth"),
        ),
        one,
    )


def test_predictions_of_a_run_are_told_by_their_number(tmp_path: Path) -> None:
    one = member(1)
    path = table(
        tmp_path / "predictions.csv",
        one,
        {"row": range(12), "label": names(one), "predicted": ["x"] * 12},
    )
    assert close(read(path, Asked(texts=TEXTS)), one)
    with pytest.raises(errors.RowsUntold, match="texts that are not here"):
        read(path)
    with pytest.raises(errors.BadRow, match="row '5'; expected a number below 5"):
        read(path, Asked(texts=TEXTS[:5]))
    path.write_text(f"row,p_a,p_b\n{'9' * 5000},0.5,0.5\n")  # more than Python takes for a number
    with pytest.raises(errors.BadRow, match="expected a number below"):
        read(path, Asked(texts=TEXTS))


GOOD = "text,p_a,p_b\nx,0.5,0.5\n"
BAD_TABLES: dict[str, tuple[str, type[Exception], str]] = {
    "no probabilities": (
        "text,a\nx,1\n",
        errors.NoProbabilities,
        "no column p_LABEL for each class, but text, a",
    ),
    "no text": ("p_a,p_b\n0.5,0.5\n", errors.RowsUntold, "no text among p_a, p_b"),
    "more than one": (
        GOOD + "y,0.9,0.4\n",
        errors.BadRow,
        "line 3: probabilities that add up to 1.3",
    ),
    "not a number": (GOOD + "y,NaN,0.4\n", errors.BadRow, "line 3: p_a is 'NaN'"),
    "infinite": (GOOD + "y,inf,0.4\n", errors.BadRow, "line 3: p_a is 'inf'"),
    "negative": (GOOD + "y,-0.1,1.1\n", errors.BadRow, "line 3: p_a is '-0.1'"),
    "a word": (GOOD + "y,high,0.4\n", errors.BadRow, "line 3: p_a is 'high'"),
    "no cell": (GOOD + "y,,1\n", errors.BadRow, "line 3: p_a is ''"),
    "a text of nothing": (GOOD + " ,0.5,0.5\n", errors.BadRow, "line 3: empty; expected a text"),
    "an unknown label": (
        "text,label,predicted,p_a,p_b\nx,c,a,0.5,0.5\n",
        errors.BadRow,
        "the label 'c'; expected one of a, b",
    ),
    "no rows": ("text,p_a,p_b\n", errors.EmptyData, "holds no rows"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_bad_table_is_one_clear_error(name: str, tmp_path: Path) -> None:
    text, kind, words = BAD_TABLES[name]
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(kind, match=words):
        read(tmp_path / "x.csv")


def test_a_column_that_is_not_there_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(GOOD)
    with pytest.raises(errors.ColumnMissing, match="no column 'body'"):
        read(tmp_path / "x.csv", Asked(text_columns=("body",)))
    with pytest.raises(errors.FileMissing):
        read(tmp_path / "none.csv")
