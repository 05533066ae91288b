"""What a report measures of answers, beside scikit-learn and SciPy, and its pictures."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("sklearn")

from sklearn.calibration import calibration_curve  # noqa: E402
from sklearn.metrics import precision_recall_fscore_support  # noqa: E402

from agnews_cli.core.report.curves import Curve, TrainedPoint, ValidatedPoint  # noqa: E402
from agnews_cli.core.report.figures import ToReport  # noqa: E402
from agnews_cli.learn.combine.logits import Logits  # noqa: E402
from agnews_cli.learn.figures.accuracy import calibration_error  # noqa: E402
from agnews_cli.learn.figures.blend import softmax  # noqa: E402
from agnews_cli.learn.figures.evaluate import evaluate  # noqa: E402
from agnews_cli.learn.kinds.combiner import Fitted  # noqa: E402
from agnews_cli.learn.report.by_class import by_class  # noqa: E402
from agnews_cli.learn.report.reliability import bins, reliability  # noqa: E402
from agnews_cli.learn.report_figures import figured  # noqa: E402
from tests import finished_runs as finished  # noqa: E402

LABELS = ("World", "<script>alert(1)</script>", "$x_1$ & | \x00\u2028y", "_")


def drawn_answers(rows: int, sharpness: float, seed: int = 0):
    """Probabilities that are as sure as they should be, made sharper; and classes."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 1.5, (rows, len(LABELS)))
    true = softmax(scores)
    classes = np.array([rng.choice(len(LABELS), p=p) for p in true])
    return softmax(scores * sharpness), classes


def said(probabilities, classes, of: str = "row") -> Logits:
    texts = [f"{of} {n}" for n in range(len(classes))]
    return Logits.of(LABELS, texts, classes, probabilities, {})


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_reliability_and_calibration_error_are_scikit_learns(sharpness: float) -> None:
    probabilities, classes = drawn_answers(2000, sharpness)
    sure, right = probabilities.max(1), probabilities.argmax(1) == classes
    share, mean = calibration_curve(right, sure, n_bins=10)
    found = bins(probabilities, classes)
    assert np.allclose([one.right for one in found], share)
    assert np.allclose([one.confidence for one in found], mean)
    share, mean = calibration_curve(right, sure, n_bins=15)
    counts, _ = np.histogram(sure, bins=np.linspace(0, 1, 16))
    expected = np.average(np.abs(share - mean), weights=counts[counts > 0])
    assert calibration_error(probabilities, classes) == pytest.approx(expected)


def test_a_temperature_from_the_validation_rows_mends_the_test_rows() -> None:
    held, test = drawn_answers(1500, 3.0, seed=1), drawn_answers(1500, 3.0, seed=2)
    found = reliability(said(*held), said(*test))
    assert found is not None and (found.on, found.how) == ("test", "fitted")
    assert found.temperature == pytest.approx(3.0, abs=0.5)
    assert found.error_after < 0.05 < 0.2 < found.error_before
    assert found.error_before == pytest.approx(calibration_error(*test), abs=1e-5)


def test_of_validation_rows_alone_each_half_is_mended_by_the_other() -> None:
    held = drawn_answers(1500, 3.0)
    found = reliability(said(*held), None)
    assert found is not None and found.on == "validation"
    assert found.error_after < 0.06 < found.error_before


def test_a_temperature_that_is_built_in_is_taken_out_for_what_was_before() -> None:
    probabilities, classes = drawn_answers(1500, 1.0)
    found = reliability(None, said(probabilities, classes), 2.5)
    assert found is not None and (found.temperature, found.how) == (2.5, "built in")
    sharper = softmax(np.log(probabilities) * 2.5)
    assert found.error_before == pytest.approx(calibration_error(sharper, classes), abs=1e-5)
    assert found.error_after < found.error_before


def test_too_few_rows_or_no_classes_are_no_diagram() -> None:
    probabilities, classes = drawn_answers(10, 1.0)
    assert reliability(said(probabilities, classes), None) is None
    many, _ = drawn_answers(100, 1.0)
    assert reliability(None, said(many, np.full(100, -1))) is None


def test_figures_of_each_class_are_scikit_learns_and_lie_in_their_intervals() -> None:
    probabilities, classes = drawn_answers(300, 1.0)
    classes = np.where(classes == 3, 0, classes)  # a class without rows
    split = evaluate(probabilities, classes, LABELS)
    found = by_class(LABELS, split.confusion)
    answers, numbers = probabilities.argmax(1), range(len(LABELS))
    expected = precision_recall_fscore_support(classes, answers, labels=numbers, zero_division=0.0)
    for name, values in zip(("precision", "recall", "f1"), expected, strict=False):
        each = [getattr(one, name) for one in found]
        assert [one.value for one in each] == pytest.approx(list(values))
        assert all(0 <= one.low <= one.value <= one.high <= 1 for one in each)
    assert found[3].recall.low == 0 and found[3].recall.high == 1


def test_an_interval_of_f1_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        truth = rng.random(150) < 0.3
        answer = np.where(truth, rng.random(150) < 0.8, rng.random(150) < 0.1)
        cells = [[int((~truth & ~answer).sum()), int((~truth & answer).sum())]]
        cells += [[int((truth & ~answer).sum()), int((truth & answer).sum())]]
        f1 = by_class(("a", "b"), cells)[1].f1
        held += f1.low <= 2 * 0.24 / (0.3 + 0.24 + 0.07) <= f1.high
    assert 0.92 <= held / 400 <= 1.0


# ---- pictures -----------------------------------------------------------------------------------


def test_a_picture_takes_names_as_words_and_asks_for_nothing() -> None:
    pytest.importorskip("matplotlib")
    from agnews_cli.learn.report import pictures

    probabilities, classes = drawn_answers(300, 1.0)
    split = evaluate(probabilities, classes, LABELS)
    found = reliability(said(probabilities, classes), None)
    assert found is not None
    curve = Curve(
        candidate="x",
        trained=tuple(TrainedPoint(step=n, loss=1 / n, lr=1e-5) for n in range(1, 20)),
        validated=(ValidatedPoint(step=9, loss=0.3, accuracy=0.8, best=True),),
        resumed_at=(5,),
        total_steps=20,
    )
    drawn = {
        "confusion": pictures.confusion(split, "test", "one"),
        "classes": pictures.class_bars(by_class(LABELS, split.confusion), "test", "two"),
        "reliability": pictures.reliability(found, "three"),
        **pictures.of_training([curve], "four"),
    }
    assert set(drawn) >= {"loss", "accuracy", "rate"}
    for svg in drawn.values():
        assert "<script" not in svg and svg.startswith("<svg ") and "<title" in svg
        root = ElementTree.fromstring(svg)
        ids = [one.get("id") for one in root.iter() if one.get("id")]
        assert len(ids) == len(set(ids))
        links = [v for one in root.iter() for k, v in one.attrib.items() if k.endswith("href")]
        assert all(link.removeprefix("#") in ids for link in links)
        assert "http" not in svg.replace("http://www.w3.org/", "")
    words = "".join(ElementTree.fromstring(drawn["confusion"]).itertext())
    assert "<script>alert(1)" in words and "$x_1$ & | y" in words


def test_what_is_damaged_or_missing_is_left_out_of_figures(tmp_path: Path) -> None:
    held = finished.said(0, finished.texts("validation", 60), 0.9)
    run = finished.make(tmp_path / "runs", "good-0123456789", validation=held)
    (run.path / "predictions" / "test.safetensors").write_bytes(b"{}")
    (run.path / "comparison.json").write_text('{"diversity": 5}')
    run.events.write_text('{"kind": "progress"}\nnonsense\n')
    (one,) = figured(ToReport(folders=(str(run.path),))).runs
    assert one.reliability is not None and one.reliability.on == "validation"
    assert (one.curves, one.diversity, one.members) == ((), None, None)
    assert one.noise is not None and one.noise.asked == 60 and len(one.hardest) == 6


def test_what_joins_an_ensemble_has_its_own_temperature(tmp_path: Path) -> None:
    held = finished.said(0, finished.texts("validation", 60), 0.9)
    run = finished.make(tmp_path / "runs", "good-0123456789", validation=held)
    fitted = Fitted(kind="average", members=2, classes=2, weights=(0.5, 0.5), temperature=0.8)
    fitted.write(run.path / "combiner")
    (one,) = figured(ToReport(folders=(str(run.path),))).runs
    assert one.reliability is not None and one.reliability.how == "built in"
    assert one.reliability.temperature == pytest.approx(0.8)
