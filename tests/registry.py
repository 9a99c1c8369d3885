"""A registry of one image on this machine's loopback, which engines trust without TLS: what is pulled is known and counted."""

import base64
import contextlib
import gzip
import hashlib
import io
import json
import tarfile
import threading
import uuid
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"

_BLOB = "application/octet-stream"
_UNKNOWN = b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}'


class Registry:
    """Serves `root`, a tar, under any name but `missing`. With a `login` (`user:password`), to nobody else. While `answers` is
    not set, requests for a manifest wait; while `sends` is not, one for a layer does once it has half of it. `asked` counts who
    asked for manifests and for layers."""

    def __init__(self, root: bytes, login: str = "") -> None:
        self.login = login
        self.asked = Counter[str]()
        self.answers = threading.Event()
        self.answers.set()
        self.sends = threading.Event()
        self.sends.set()
        root = _with_a_name(root)
        layer = gzip.compress(root, 1)
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Env": ["PATH=/bin"]},
                "rootfs": {"type": "layers", "diff_ids": [_digest(root)]},
            }
        ).encode()
        self.manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": {"mediaType": _CONFIG, "size": len(config), "digest": _digest(config)},
                "layers": [{"mediaType": _LAYER, "size": len(layer), "digest": _digest(layer)}],
            }
        ).encode()
        self.digest = _digest(self.manifest)
        self.blobs = {_digest(config): config, _digest(layer): layer}

    def __enter__(self) -> Self:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry._answer(self, body=True)

            def do_HEAD(self) -> None:
                registry._answer(self, body=False)

            def log_message(self, *_: Any) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.answers.set()
        self.sends.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def credentials(self) -> str:
        """What an operator's file says of it."""
        return json.dumps({"auths": {self.address: {"auth": base64.b64encode(self.login.encode()).decode()}}})

    def _answer(self, request: BaseHTTPRequestHandler, *, body: bool) -> None:
        allowed = f"Basic {base64.b64encode(self.login.encode()).decode()}"
        if self.login and request.headers.get("Authorization") != allowed:
            self._send(request, 401, b"", "text/plain", {"WWW-Authenticate": 'Basic realm="tests"'})
            return
        *name, kind, reference = request.path.rstrip("/").split("/")
        if kind == "manifests" and "missing" not in name:
            self.asked["manifests"] += 1
            self.answers.wait()
            headers = {"Docker-Content-Digest": self.digest}
            self._send(request, 200, self.manifest if body else b"", _MANIFEST, headers)
        elif kind == "blobs":
            self.asked["blobs"] += 1
            self._send(request, 200, self.blobs[reference], _BLOB, {})
        elif reference == "v2":
            self._send(request, 200, b"{}", "application/json", {})
        else:
            self._send(request, 404, _UNKNOWN, "application/json", {})

    def _send(
        self, request: BaseHTTPRequestHandler, status: int, body: bytes, kind: str, headers: dict[str, str]
    ) -> None:
        request.send_response(status)
        for name, value in {"Content-Type": kind, **headers}.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body) or len(self.manifest) * (kind == _MANIFEST)))
        request.end_headers()
        half = len(body) // 2 if kind == _BLOB else 0
        request.wfile.write(body[:half])
        request.wfile.flush()
        if half:
            self.sends.wait()
        with contextlib.suppress(ConnectionError):  # it may have been too long for whoever asked
            request.wfile.write(body[half:])


def _with_a_name(root: bytes) -> bytes:
    """The same with a file of its own: an engine asks for no layer that it has from another image."""
    buffer = io.BytesIO(root)
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        entry, content = tarfile.TarInfo("name"), uuid.uuid4().bytes
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
