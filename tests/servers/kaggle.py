"""A stand-in for Kaggle's HTTP interface: as much of it as the client uses for a dataset."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


class StandInKaggle:
    """Datasets in memory. A new version is served after `delay` requests about the dataset."""

    def __init__(self, handler: type[_Handler] | None = None) -> None:
        self.datasets: dict[str, dict[str, Any]] = {}
        self.uploads: dict[str, tuple[str, bytes]] = {}
        self.delay = 0
        self.is_first_slow = False
        self.unknown: list[str] = []
        self.is_private: list[bool] = []
        kaggle = self

        class Handler(handler or _Handler):  # type: ignore[misc]
            owner = kaggle

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def served(self, name: str) -> dict[str, bytes] | None:
        found = self.datasets.get(name)
        if found is None:
            return None
        if found["next"]:
            found["wait"] -= 1
            if found["wait"] < 0:
                found["files"], found["next"] = found["next"], None
        return found["files"]

    def publish(self, name: str, tokens: list[str]) -> None:
        files = dict(self.uploads[token] for token in tokens)
        found = self.datasets.setdefault(name, {"files": None, "next": None, "wait": 0})
        found["next"], found["wait"] = files, self.delay


class _Handler(BaseHTTPRequestHandler):
    owner: StandInKaggle
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms

    def log_message(self, *_: object) -> None: ...

    def _answer(self, status: int, body: bytes | dict) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_PUT(self) -> None:
        token = self.path.rpartition("/")[2]
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.owner.uploads[token] = (self.owner.uploads[token][0], data)
        self._answer(200, b"")

    def do_POST(self) -> None:
        facts = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        kaggle, method = self.owner, urlsplit(self.path).path.rpartition("/")[2]
        owner = facts.get("ownerSlug", "")
        name = f"{owner}/{facts.get('datasetSlug') or facts.get('slug', '')}"
        if method == "StartBlobUpload":
            token = f"t{len(kaggle.uploads)}"
            kaggle.uploads[token] = (facts["name"], b"")
            self._answer(200, {"token": token, "createUrl": f"{kaggle.url}/upload/{token}"})
        elif method == "CreateDataset":
            kaggle.is_private.append(facts.get("isPrivate", False))
            kaggle.publish(name, [file["token"] for file in facts["files"]])
            self._answer(200, {"ref": name, "status": "ok"})
        elif method == "CreateDatasetVersion":
            if kaggle.served(name) is None:
                self._answer(403, {"code": 403, "message": "still being processed"})
                return
            kaggle.publish(name, [file["token"] for file in facts["body"]["files"]])
            self._answer(200, {"ref": name, "status": "ok"})
        elif method in {"GetDataset", "GetDatasetStatus", "ListDatasetFiles", "DownloadDataset"}:
            self._read(method, name, facts)
        else:
            kaggle.unknown.append(self.path)
            self._answer(404, {"code": 404, "message": "unknown"})

    def _read(self, method: str, name: str, facts: dict[str, Any]) -> None:
        files = self.owner.served(name)
        if files is None:
            self._answer(403, {"code": 403, "message": "Permission denied"})
        elif method == "GetDataset":
            self._answer(200, {"ref": name, "isPrivate": True})
        elif method == "GetDatasetStatus":
            self._answer(200, {"status": "READY"})
        elif method == "ListDatasetFiles":
            every = [{"name": n, "totalBytes": len(d)} for n, d in sorted(files.items())]
            at = int(facts.get("pageToken") or 0)  # small pages, so that paging is seen
            more = {"nextPageToken": str(at + 6)} if at + 6 < len(every) else {}
            self._answer(200, {"datasetFiles": every[at : at + 6], **more})
        elif facts.get("fileName") in files:
            self._answer(200, files[facts["fileName"]])
        else:
            self._answer(404, {"code": 404, "message": "no such file"})
