"""S3-compatible servers that know less than Amazon's."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from agnews_cli.store.remotes.urls import Url

s3fs = pytest.importorskip("s3fs")


class Plain(BaseHTTPRequestHandler):
    """Refuses what Backblaze B2 refused (boto/s3transfer#327); keeps one object."""

    protocol_version = "HTTP/1.1"
    held = b""

    def do_PUT(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        unknown = [n for n in self.headers if n.startswith(("x-amz-checksum", "x-amz-sdk-"))]
        if unknown:
            self.answer(
                400, f"<Error><Code>InvalidArgument</Code><Message>{unknown}</Message></Error>"
            )
            return
        type(self).held = body
        self.answer(200)

    def do_GET(self):
        self.answer(200, self.held.decode() if "list-type" not in self.path else "<A/>")

    def answer(self, status, body=""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"0"')
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *given): ...


@pytest.fixture
def plain(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Plain)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_address[1]}",
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    yield
    server.shutdown()
    server.server_close()


def test_a_store_that_knows_no_new_checksums_is_written_and_read(plain, tmp_path):
    (tmp_path / "source").write_bytes(b"weights")
    remote = Url("s3://bucket/agnews")
    remote.put("run/one", tmp_path / "source")
    remote.get("run/one", tmp_path / "copy", 7)
    assert (tmp_path / "copy").read_bytes() == b"weights"
    remote.create("run/two", b"claim")
    assert Plain.held == b"claim"
