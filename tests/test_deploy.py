"""What `deploy/` names is there: files, routes, options, figures. Nothing is built here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"


def _yaml(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text("utf-8"))


def test_the_dashboard_asks_for_figures_that_a_server_has():
    pytest.importorskip("prometheus_client")
    from agnews_cli.core.serving.shift import ExpectedClasses
    from agnews_cli.workflows.serving.measures import Measures

    measures = Measures("m", ("a", "b"), ExpectedClasses((0.5, 0.5), "x"))
    measures.watch(int, int)
    measures.answered("/predict", 200, 0.1)
    measures.passed(1, 0.1, [(0.1, 0.9)])
    there = set(re.findall(r"^(\w+)[{ ]", measures.page()[0].decode(), re.MULTILINE))
    dashboard = json.loads((DEPLOY / "grafana/dashboards/agnews.json").read_text("utf-8"))
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    names = {name for expr in asked for name in re.findall(r"\b(?:agnews|process)_\w+", expr)}
    assert names - there == set()
    assert len(names) > 8
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    (source,) = _yaml("grafana/provisioning/datasources/prometheus.yml")["datasources"]
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {source["uid"]}


def test_compose_mounts_files_that_are_there_and_gives_options_that_the_command_has():
    services = _yaml("compose.yaml")["services"]
    mounted = [v for s in services.values() for v in s.get("volumes", ()) if v.startswith("./")]
    assert len(mounted) == 3
    assert all((DEPLOY / volume.split(":")[0]).exists() for volume in mounted)
    docker = (DEPLOY / "Dockerfile").read_text("utf-8")
    entry = json.loads(re.findall(r"^ENTRYPOINT (.*)$", docker, re.MULTILINE)[0])
    words = [*entry, *services["agnews"]["command"]]
    page = (ROOT / "docs" / "commands.md").read_text("utf-8")
    section = page.partition("### `agnews serve ")[2].partition("\n### ")[0]
    assert [word for word in words if word.startswith("--") and word not in section] == []
    published = [port for s in services.values() for port in s.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert services["grafana"]["volumes"][1].endswith(
        f":{_yaml('grafana/provisioning/dashboards/agnews.yml')['providers'][0]['options']['path']}:ro"
    )
    (job,) = _yaml("prometheus.yml")["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["agnews:8000"]}]


def test_the_image_is_made_of_what_is_there():
    docker = (DEPLOY / "Dockerfile").read_text("utf-8")
    sources = [w for line in re.findall(r"^COPY (.*) \S+$", docker, re.MULTILINE) for w in line.split()]  # fmt: skip # noqa: E501
    assert [name for name in sources if not (ROOT / name).exists()] == []
    kept = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").split()
    assert {f"!{name}" for name in sources} <= set(kept)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (extras,) = re.findall(r"'\.\[([\w,]+)\]'", docker)
    assert set(extras.split(",")) <= set(project["optional-dependencies"])


def test_compose_reads_it():
    docker = shutil.which("docker")
    compose = [docker or "", "compose"]
    if not docker or subprocess.run([*compose, "version"], capture_output=True).returncode:
        pytest.skip("docker compose is not here")
    done = subprocess.run(
        [*compose, "-f", str(DEPLOY / "compose.yaml"), "config", "--quiet"],
        env=os.environ | {"STORE": "/runs"}, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
