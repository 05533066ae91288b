"""A real Prometheus (Debian's package) reads `/metrics`, by the configuration that `deploy` ships.

`apt-get install prometheus && pytest -m slow tests/end_to_end/test_prometheus.py`; without it these
tests are left out.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = [pytest.mark.train, pytest.mark.slow]
pytest.importorskip("fastapi")
httpx = pytest.importorskip("httpx")

from tests.core.evaluations import evaluation  # noqa: E402
from tests.end_to_end.test_predict import make_run  # noqa: E402
from tests.end_to_end.test_serve import Served  # noqa: E402
from tests.servers.process import free_port  # noqa: E402

DEPLOY = Path(__file__).parents[2] / "deploy"
TOKEN = "a-token-of-this-test"
EVERY_S = 1


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    store = tmp_path_factory.mktemp("store")
    judged = evaluation(((9, 1), (1, 9)), ((5, 1), (1, 5)))
    (make_run(store) / "evaluation.json").write_text(judged.model_dump_json())
    found = Served(store, AGNEWS_SERVE_TOKEN=TOKEN)
    yield found
    found.process.kill()
    found.process.communicate()


@pytest.fixture(scope="module")
def prometheus(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address. Of the configuration only the places and the pace are other ones."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("no prometheus here: apt-get install prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "token").write_text(TOKEN)
    settings = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    settings["global"]["scrape_interval"] = f"{EVERY_S}s"
    job = settings["scrape_configs"][0]
    job["authorization"]["credentials_file"] = str(folder / "token")
    job["static_configs"][0]["targets"] = [served.url.removeprefix("http://")]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    url = f"127.0.0.1:{free_port()}"
    words = ["--config.file", folder / "prometheus.yml", "--storage.tsdb.path", folder / "data"]
    process = subprocess.Popen(
        [program, *map(str, words), f"--web.listen-address={url}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield f"http://{url}"
    process.kill()
    process.wait()


def _asked(prometheus: str, path: str, **params: str) -> Any:
    return httpx.get(f"{prometheus}/api/v1/{path}", params=params, timeout=10).json()["data"]


def _target(prometheus: str) -> dict[str, Any]:
    """What it says of the server, once it has looked."""
    give_up_s = time.monotonic() + 60
    while time.monotonic() < give_up_s:
        try:
            found = _asked(prometheus, "targets")["activeTargets"]
        except httpx.TransportError:
            found = []
        if found and found[0]["health"] != "unknown":
            return dict(found[0])
        time.sleep(0.2)
    raise AssertionError("it never looked")


def test_it_scrapes_with_the_token_and_every_panel_of_the_dashboard_has_an_answer(
    served: Served, prometheus: str
) -> None:
    target = _target(prometheus)
    assert (target["health"], target["lastError"]) == ("up", "")
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "agnews.json").read_text())
    panels = {
        query["expr"].replace("$__rate_interval", "30s"): panel["title"]
        for panel in dashboard["panels"]
        for query in panel.get("targets", ())
    }
    client = httpx.Client(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60)
    give_up_s, empty, sent = time.monotonic() + 60, list(panels), 0
    while empty and time.monotonic() < give_up_s:  # a rate has two looks, and requests between
        for _ in range(20):
            client.post(f"{served.url}/predict", json={"text": "shares fell"}).raise_for_status()
            sent += 1
        empty = [expr for expr in empty if not _asked(prometheus, "query", query=expr)["result"]]
        time.sleep(EVERY_S / 2)
    assert [panels[expr] for expr in empty] == []
    time.sleep(3 * EVERY_S)  # it looks once more
    asked = 'sum(agnews_requests_total{route="/predict",status="200"})'
    (counted,) = _asked(prometheus, "query", query=asked)["result"]
    assert float(counted["value"][1]) == sent


def test_it_is_told_that_the_server_is_down(served: Served, prometheus: str) -> None:
    """The last of this file: the server ends here."""
    served.process.kill()
    give_up_s = time.monotonic() + 60
    while _target(prometheus)["health"] == "up" and time.monotonic() < give_up_s:
        time.sleep(0.2)
    assert _target(prometheus)["health"] == "down"
