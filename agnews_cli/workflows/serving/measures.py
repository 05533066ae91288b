"""What is measured of a server, for Prometheus; names and units as its conventions have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agnews_cli.core.serving.shift import ExpectedClasses, RecentClasses
from agnews_cli.host.predictor import Probabilities
from agnews_cli.workflows.prediction.predict import best

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128)


class Measures:
    """Of one server. `model` is its name; `expected`: what it predicted when it was evaluated."""

    def __init__(self, model: str, labels: Sequence[str], expected: ExpectedClasses | None) -> None:
        import prometheus_client as client

        self._labels, self._expected = labels, expected
        self._recent = RecentClasses(len(labels))
        self.registry = registry = client.CollectorRegistry()
        client.ProcessCollector(registry=registry)
        told = client.Gauge(
            "agnews_model_info", "The model that answers.", ["model"], registry=registry
        )
        told.labels(model).set(1)
        self._requests = client.Counter(
            "agnews_requests", "Requests, by HTTP status.", ["route", "status"], registry=registry
        )
        self._seconds = client.Histogram(
            "agnews_request_seconds", "From a request's head to the end of its answer.", ["route"],
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._passes = client.Histogram(
            "agnews_pass_texts", "Texts that the model read at once.",
            buckets=_TEXTS, registry=registry,
        )  # fmt: skip
        self._model_seconds = client.Histogram(
            "agnews_pass_seconds", "That the model took for them.",
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._predicted = client.Counter(
            "agnews_predicted", "Texts, by the class that was predicted.", ["label"],
            registry=registry,
        )  # fmt: skip
        for label in labels:
            self._predicted.labels(label)
        if expected is not None:
            self._tell_shift(expected)

    def _tell_shift(self, expected: ExpectedClasses) -> None:
        import prometheus_client as client

        shares = client.Gauge(
            "agnews_expected_share", "Of each class, among the rows that `source` names.",
            ["label", "source"], registry=self.registry,
        )  # fmt: skip
        for label, share in zip(self._labels, expected.shares, strict=True):
            shares.labels(label, expected.source).set(share)
        shift = client.Gauge(
            "agnews_class_shift",
            "Total variation between the classes predicted of the latest texts and those of "
            "`source`: 0 the same, 1 none in common; NaN before the first text.",
            ["source"], registry=self.registry,
        )  # fmt: skip
        shift.labels(expected.source).set_function(self._shift)
        self._gauge(
            "agnews_class_shift_texts",
            "Latest texts that it is measured of.",
            lambda: len(self._recent),
        )

    def _shift(self) -> float:
        assert self._expected is not None
        found = self._recent.shift(self._expected.shares)
        return float("nan") if found is None else found

    def _gauge(self, name: str, help_: str, read: Callable[[], float]) -> None:
        from prometheus_client import Gauge

        Gauge(name, help_, registry=self.registry).set_function(read)

    def watch(self, waiting_texts: Callable[[], int], requests: Callable[[], int]) -> None:
        """Read at every look: texts that wait for the model, and requests under way."""
        self._gauge("agnews_waiting_texts", "Texts that wait for the model.", waiting_texts)
        self._gauge("agnews_requests_under_way", "Requests that are not answered yet.", requests)

    def answered(self, route: str, status: int, took_s: float) -> None:
        """One request is over."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(took_s)

    def passed(self, texts: int, took_s: float, said: Probabilities) -> None:
        """The model has read so many texts at once."""
        self._passes.observe(texts)
        self._model_seconds.observe(took_s)
        classes = [best(shares) for shares in said]
        self._recent.add(classes)
        for each in classes:
            self._predicted.labels(self._labels[each]).inc()

    def page(self) -> tuple[bytes, str]:
        """The text that Prometheus reads, and its content type."""
        from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self.registry), CONTENT_TYPE_LATEST
