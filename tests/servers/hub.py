"""A stand-in for the Hub's HTTP interface: as much of it as the client uses for a repository."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml


class StandInHub:
    """Repositories in memory; `faults` are HTTP statuses that the next requests get."""

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, Any]] = {}
        self.faults: list[int] = []
        self.unknown: list[str] = []
        self.token: str | None = None
        """That every request must bring; None: nobody is asked."""
        self.owners: set[str] | None = None
        """Under whose names it may be written; None: under any."""
        self.commits = 0
        self.lock = threading.Lock()
        hub = self

        class Handler(_Handler):
            owner = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def commit(self, repo: str, lines: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
        with self.lock:
            found = self.repos[repo]
            parent = lines[0]["value"].get("parentCommit")
            if parent is not None and parent != found["sha"]:
                return 412, {"error": "A commit has happened since. Please refresh and try again."}
            files = dict(found["files"])
            for line in lines[1:]:
                path = line["value"]["path"]
                if line["key"] == "file":
                    files[path] = base64.b64decode(line["value"]["content"])
                elif line["key"] == "deletedFile":
                    if path not in files:
                        return 400, {"error": f"{path} is not there"}
                    del files[path]
            self.commits += 1
            sha = hashlib.sha1(f"{repo}{self.commits}".encode()).hexdigest()
            found["files"], found["sha"] = files, sha
            found["history"][sha] = files
            return 200, {"commitOid": sha, "commitUrl": f"{self.url}/{repo}/commit/{sha}"}


def blob_id(data: bytes) -> str:
    """Git's name of a file with these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    owner: StandInHub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms

    def log_message(self, *_: object) -> None: ...

    def _answer(self, status: int, body: bytes | dict | list, headers: dict | None = None) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **(headers or {})}.items():  # fmt: skip # noqa: E501
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _missing(self, code: str) -> None:
        self._answer(404, {"error": "not found"}, {"X-Error-Code": code})

    def _go(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        hub, path = self.owner, unquote(urlsplit(self.path).path)
        if hub.faults:
            self._answer(hub.faults.pop(0), {"error": "a fault"})
            return
        if hub.token is not None and self.headers.get("Authorization") != f"Bearer {hub.token}":
            self._answer(401, {"error": "Invalid credentials in Authorization header"})
            return
        parts = path.strip("/").split("/")
        if path == "/api/repos/create":
            facts = json.loads(body)
            if hub.owners is not None and facts.get("organization") not in hub.owners:
                self._answer(403, {"error": "You don't have the rights to create a model there"})
                return
            name = f"{facts['organization']}/{facts['name']}" if facts.get("organization") else facts["name"]  # fmt: skip # noqa: E501
            if name in hub.repos:
                self._answer(409, {"error": "exists", "url": f"{hub.url}/{name}"})
                return
            private = facts.get("private") or facts.get("visibility") == "private"
            sha = hashlib.sha1(name.encode()).hexdigest()
            files = {".gitattributes": b""}
            hub.repos[name] = {"sha": sha, "files": files, "private": private, "history": {sha: files}}  # fmt: skip # noqa: E501
            self._answer(200, {"url": f"{hub.url}/{name}"})
            return
        if path == "/api/validate-yaml":
            head = json.loads(body)["content"].partition("---\n")[2].partition("\n---")[0]
            is_good = isinstance(yaml.safe_load(head), dict)
            errors = [] if is_good else [{"message": "no metadata"}]
            self._answer(200 if is_good else 400, {"errors": errors, "warnings": []})
            return
        if parts[:2] == ["api", "models"] and len(parts) >= 4:
            self._models("/".join(parts[2:4]), parts[4:], body)
            return
        if len(parts) > 4 and parts[2] == "resolve":
            self._resolve("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
            return
        hub.unknown.append(f"{self.command} {self.path}")
        self._missing("")

    def _models(self, repo: str, rest: list[str], body: bytes) -> None:
        hub = self.owner
        if repo not in hub.repos:
            self._missing("RepoNotFound")
            return
        found = hub.repos[repo]
        if not rest or rest[0] == "revision":
            facts = {"id": repo, "modelId": repo, "sha": found["sha"], "private": found["private"]}
            self._answer(200, facts | {"tags": [], "siblings": [], "downloads": 0})
        elif rest[0] == "tree":
            files = found["history"].get(rest[1], found["files"])
            top = "/".join(rest[2:])
            inside = {p: d for p, d in files.items() if not top or p.startswith(f"{top}/")}
            if top and not inside:
                self._missing("EntryNotFound")
                return
            entries = [
                {"type": "file", "path": p, "size": len(d), "oid": blob_id(d)}
                for p, d in sorted(inside.items())
            ]
            self._answer(200, entries)
        elif rest[0] == "settings":
            found["private"] = json.loads(body)["visibility"] == "private"
            self._answer(200, {"private": found["private"]})
        elif rest[0] == "preupload":
            files = json.loads(body)["files"]
            modes = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]  # fmt: skip # noqa: E501
            self._answer(200, {"files": modes})
        elif rest[0] == "commit":
            lines = [json.loads(line) for line in body.splitlines() if line]
            self._answer(*hub.commit(repo, lines))
        else:
            hub.unknown.append(f"{self.command} {self.path}")
            self._missing("")

    def _resolve(self, repo: str, revision: str, name: str) -> None:
        found = self.owner.repos.get(repo)
        files = found and found["history"].get(revision, found["files"])
        if not found or name not in files:
            self._missing("EntryNotFound" if found else "RepoNotFound")
            return
        etag = f'"{hashlib.sha1(files[name]).hexdigest()}"'
        self._answer(200, files[name], {"ETag": etag, "X-Repo-Commit": found["sha"]})

    do_GET = do_POST = do_HEAD = do_PUT = _go
