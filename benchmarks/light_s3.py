"""An S3 server that takes next to no processor time, behind a link of so many megabytes a second.

It stands for a store on another machine, where what sending costs this one is measured. (moto,
which the tests use, takes three times the processor time of the client that it serves.) What
arrives goes from the socket into a file within the kernel, and out again likewise. It knows what
s3fs asks for, and nothing else; it checks nothing and forgets everything.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import re
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_PIECE_BYTES = 1 << 18
_DATE = "Thu, 26 Nov 2026 00:00:00 GMT"


class Link:
    """Lets so many bytes a second pass, over all connections."""

    def __init__(self, bytes_per_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._lock, self._free_s = threading.Lock(), time.monotonic()

    def carry(self, count: int) -> None:
        with self._lock:
            self._free_s = max(self._free_s, time.monotonic()) + count / self._bytes_per_s
            wait_s = self._free_s - time.monotonic()
        time.sleep(max(0.0, wait_s))


@dataclass
class Objects:
    """What the server holds: each object's files, one after the other."""

    folder: Path
    link: Link
    numbers: itertools.count[int] = field(default_factory=itertools.count)
    held: dict[str, list[Path]] = field(default_factory=dict)
    parts: dict[str, dict[int, Path]] = field(default_factory=dict)

    def size_bytes(self, key: str) -> int:
        return sum(path.stat().st_size for path in self.held[key])

    def remove(self, key: str) -> None:
        for path in self.held.pop(key, ()):
            path.unlink()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    rbufsize = 0  # what follows the headers is the kernel's to move
    objects: Objects

    def do_PUT(self) -> None:
        key, query = self._asked()
        path = self.objects.folder / str(next(self.objects.numbers))
        self._receive(path)
        if "uploadId" in query:
            self.objects.parts[query["uploadId"]][int(query["partNumber"])] = path
        elif key:
            self.objects.remove(key)
            self.objects.held[key] = [path]
        self._answer(200)

    def do_POST(self) -> None:
        key, query = self._asked()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "uploads" in query:
            upload = str(next(self.objects.numbers))
            self.objects.parts[upload] = {}
            name = "InitiateMultipartUploadResult"
            self._answer(200, f"<{name}><UploadId>{upload}</UploadId></{name}>")
        elif "uploadId" in query:
            self.objects.remove(key)
            parts = self.objects.parts.pop(query["uploadId"])
            self.objects.held[key] = [parts[number] for number in sorted(parts)]
            name = "CompleteMultipartUploadResult"
            self._answer(200, f"<{name}><ETag>&quot;0&quot;</ETag></{name}>")
        else:
            for gone in re.findall(r"<Key>([^<]*)</Key>", body.decode()):
                self.objects.remove(gone)
            self._answer(200, "<DeleteResult/>")

    def do_HEAD(self) -> None:
        key, _ = self._asked()
        if key and key not in self.objects.held:
            self._answer(404)
        else:
            self._begin(200, self.objects.size_bytes(key) if key else 0)

    def do_GET(self) -> None:
        key, query = self._asked()
        if not key:
            self._answer(200, self._list(query))
        elif key not in self.objects.held:
            self._answer(404, "<Error><Code>NoSuchKey</Code></Error>")
        else:
            self._send(key)

    def do_DELETE(self) -> None:
        self.objects.remove(self._asked()[0])
        self._answer(204)

    def log_message(self, *given: Any) -> None: ...

    def _asked(self) -> tuple[str, dict[str, str]]:
        """(object or nothing, query); buckets are not told apart."""
        url = urlsplit(self.path)
        query = {n: v[0] for n, v in parse_qs(url.query, keep_blank_values=True).items()}
        return unquote(url.path).lstrip("/").partition("/")[2], query

    def _list(self, query: dict[str, str]) -> str:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        found, folders = [], set()
        for key in sorted(k for k in self.objects.held if k.startswith(prefix)):
            inside, is_folder, _ = key[len(prefix) :].partition(delimiter or "\0")
            if is_folder:
                folders.add(prefix + inside + delimiter)
                continue
            found.append(
                f"<Contents><Key>{escape(key)}</Key><Size>{self.objects.size_bytes(key)}</Size>"
                "<LastModified>2026-11-26T00:00:00.000Z</LastModified></Contents>"
            )
        found += [f"<CommonPrefixes><Prefix>{escape(f)}</Prefix></CommonPrefixes>" for f in folders]
        return (
            f"<ListBucketResult><IsTruncated>false</IsTruncated>{''.join(found)}</ListBucketResult>"
        )

    def _receive(self, path: Path) -> None:
        left = int(self.headers.get("Content-Length", 0))
        source, (out, into) = self.connection.fileno(), os.pipe()
        try:
            with path.open("wb") as file:
                while left:
                    count = os.splice(source, into, min(left, _PIECE_BYTES))
                    if not count:
                        raise ConnectionError
                    left -= count
                    self.objects.link.carry(count)
                    while count:
                        count -= os.splice(out, file.fileno(), count)
        finally:
            os.close(out)
            os.close(into)

    def _send(self, key: str) -> None:
        whole = self.objects.size_bytes(key)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        begin = int(asked[1]) if asked else 0
        end = min(int(asked[2]) + 1, whole) if asked and asked[2] else whole
        facts = {"Content-Range": f"bytes {begin}-{end - 1}/{whole}"} if asked else {}
        self._begin(206 if asked else 200, end - begin, **facts)
        at = 0
        for path in self.objects.held[key]:
            size_bytes = path.stat().st_size
            first, last = max(begin - at, 0), min(end - at, size_bytes)
            at += size_bytes
            if first < last:
                with path.open("rb") as file, suppress(ConnectionError):  # it has seen enough
                    self.connection.sendfile(file, first, last - first)

    def _begin(self, status: int, size_bytes: int, **facts: str) -> None:
        self.send_response(status)
        plain = {"Content-Length": str(size_bytes), "ETag": '"0"', "Last-Modified": _DATE}
        for name, value in {**plain, **facts}.items():
            self.send_header(name, value)
        self.end_headers()

    def _answer(self, status: int, body: str = "") -> None:
        self._begin(status, len(body.encode()))
        self.wfile.write(body.encode())


def serve(bytes_per_s: float, ports: Any) -> None:
    """For ever; puts the port into `ports`."""
    with tempfile.TemporaryDirectory(prefix="agnews-s3-") as folder:
        Handler.objects = Objects(Path(folder), Link(bytes_per_s))
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        ports.put(server.server_address[1])
        server.serve_forever()


@contextmanager
def running(megabytes_per_s: float) -> Any:
    """The environment in which s3://bench is such a server, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ports = context.Queue()
    server = context.Process(target=serve, args=(megabytes_per_s * 1e6, ports), daemon=True)
    server.start()
    try:
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports.get(timeout=60)}",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        server.terminate()
        server.join()
