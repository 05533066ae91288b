"""MLflow: one run in the experiment `agnews`, found again by its tag; by default in SQLite."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from agnews_cli.core.run.tracking import PROJECT, Point, ToTrack

EXAMPLE: Mapping[str, str] = {"MLFLOW_TRACKING_URI": "sqlite:///{place}/mlflow.db"}
_TAG = "agnews.run"
_MOST = 500
"""Metrics in one request; the server takes 1,000."""
_MOST_SETTINGS = 100


def begin(order: ToTrack, sent: Mapping[str, int]) -> _Run:
    """What the server has counts, and not `sent`."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.tracking import MlflowClient

    own = Path(order.place) / "mlflow.db"
    address = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{own}"
    client = MlflowClient(tracking_uri=address)
    title = os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT
    experiment = client.get_experiment_by_name(title)
    if experiment is None:
        files = (own.parent / "mlflow-files").as_uri() if address.startswith("sqlite") else None
        number = client.create_experiment(title, artifact_location=files)
    else:
        number = experiment.experiment_id
    tagged = client.search_runs([number], f"tags.`{_TAG}` = '{order.name}'", max_results=1)
    if tagged:
        run = tagged[0].info.run_id
        client.update_run(run, status="RUNNING")
        series = tagged[0].data.metrics
        there = {s: max(m.step for m in client.get_metric_history(run, s)) for s in series}
        return _Run(client, run, there, address)
    run = client.create_run(number, tags={_TAG: order.name}, run_name=order.name).info.run_id
    found = _Run(client, run, {}, address)
    found.describe(order.settings)
    return found


class _Run:
    def __init__(self, client: Any, run: str, sent: dict[str, int], address: str) -> None:
        self._client, self._run, self.sent, self._address = client, run, sent, address

    @property
    def where(self) -> str:
        if self._address.startswith("sqlite"):
            return f"mlflow ui --backend-store-uri {shlex.quote(self._address)}"
        return self._address

    def describe(self, settings: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        every = [Param(name, str(value)[:500]) for name, value in settings.items()]
        for first in range(0, len(every), _MOST_SETTINGS):
            self._client.log_batch(self._run, params=every[first : first + _MOST_SETTINGS])

    def add(self, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        metrics = [
            Metric(series, value, _ms(point.at), point.step)
            for point in points
            for series, value in point.figures.items()
        ]
        for first in range(0, len(metrics), _MOST):
            part = metrics[first : first + _MOST]
            self._client.log_batch(self._run, metrics=part)
            self.sent.update({metric.key: metric.step for metric in part})

    def close(self, figures: Mapping[str, float], *, is_completed: bool) -> None:
        for name, value in figures.items():
            if name not in self.sent:
                self._client.log_metric(self._run, name, value, step=0)
        self._client.set_terminated(self._run, "FINISHED" if is_completed else "KILLED")


def _ms(at: str) -> int:
    return round(datetime.fromisoformat(at).timestamp() * 1000)
