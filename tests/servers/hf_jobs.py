"""A stand-in for the jobs of Hugging Face, as much of it as the client uses."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

USER = "me"


class StandInJobs:
    """Jobs in memory; `run` says how one ends: its stage and its lines."""

    def __init__(self, run: Callable[[dict[str, Any]], tuple[str, list[str]]]) -> None:
        self.run, self.jobs, self.faults = run, [], {}  # type: ignore[var-annotated]
        self.specs: list[dict[str, Any]] = []
        self.unknown: list[str] = []
        owner = self

        class Handler(_Handler):
            jobs = owner

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def begin(self, spec: dict[str, Any]) -> dict[str, Any]:
        stage, lines = self.run(spec)
        self.specs.append(spec)
        number = len(self.jobs) + 1
        job = {
            "id": f"job{number}", "createdAt": f"2026-11-30T08:{number:02}:00.000Z",
            "owner": {"id": "u1", "name": USER, "type": "user"}, "labels": spec.get("labels"),
            "status": {"stage": stage, "message": None}, "flavor": spec.get("flavor"),
        }  # fmt: skip
        self.jobs.append((job, lines))
        return job


class _Handler(BaseHTTPRequestHandler):
    jobs: StandInJobs
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None: ...

    def _answer(self, status: int, body: Any, kind: str = "application/json") -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        parts = path.path.strip("/").split("/")
        if path.path == "/api/whoami-v2":
            self._answer(200, {"type": "user", "name": USER})
        elif parts == ["api", "jobs", USER]:
            if self._is_refused("list"):
                return
            wanted = dict(each.split("=", 1) for each in parse_qs(path.query).get("label", []))
            found = [job for job, _ in self.jobs.jobs if wanted.items() <= job["labels"].items()]
            self._answer(200, found)
        elif parts[-1] == "logs":
            lines = next(lines for job, lines in self.jobs.jobs if job["id"] == parts[-2])
            events = "".join(f"data: {json.dumps({'data': line})}\n\n" for line in lines)
            self._answer(200, events.encode(), "text/event-stream")
        elif parts[:3] == ["api", "jobs", USER]:
            self._answer(200, next(job for job, _ in self.jobs.jobs if job["id"] == parts[3]))
        else:
            self.jobs.unknown.append(self.path)
            self._answer(404, {})

    def do_POST(self) -> None:
        spec = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        parts = urlsplit(self.path).path.strip("/").split("/")
        if parts == ["api", "jobs", USER]:
            if not self._is_refused("run"):
                self._answer(200, self.jobs.begin(spec))
        elif parts[-1] == "cancel":
            job = next(job for job, _ in self.jobs.jobs if job["id"] == parts[3])
            job["status"]["stage"] = "CANCELED"
            self._answer(200, {})
        else:
            self.jobs.unknown.append(self.path)
            self._answer(404, {})

    def _is_refused(self, what: str) -> bool:
        due = self.jobs.faults.get(what)
        if not due:
            return False
        self._answer(due.pop(0), {"error": "the stand-in says so"})
        return True
