"""An image registry of one image, as engines pull from it: the engine's own image, on loopback.

A tag can be moved to another version of the image, which differs in a label only.
"""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class Registry:
    """``repository:1`` and the digests that it had; everything else is unknown."""

    def __init__(self, archive: bytes) -> None:
        """``archive`` is what ``docker save`` writes."""
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            listing = json.loads(_member(tar, "manifest.json"))[0]
            config = _member(tar, listing["Config"])
            layers = [gzip.compress(_member(tar, layer), compresslevel=1, mtime=0) for layer in listing["Layers"]]
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        self._config, self._layers = config, layers
        #: What the tag means now.
        self.digest = self._add(config)
        self.port = 0
        #: How often the manifest was fetched; layers that an engine has it does not fetch again.
        self.asked = 0

    def move(self, version: str) -> str:
        """Let the tag mean another image from now on; its digest.  The old one stays to be had."""
        config = json.loads(self._config)
        config.setdefault("config", {})["Labels"] = {"version": version}
        self.digest = self._add(json.dumps(config).encode())
        return self.digest

    def _add(self, config: bytes) -> str:
        self.blobs |= {digest_of(blob): blob for blob in (config, *self._layers)}
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "size": len(config), "digest": digest_of(config)},
            "layers": [{"mediaType": LAYER, "size": len(one), "digest": digest_of(one)} for one in self._layers],
        }
        encoded = json.dumps(manifest).encode()
        self.manifests[digest_of(encoded)] = encoded
        return digest_of(encoded)

    @property
    def repository(self) -> str:
        return f"127.0.0.1:{self.port}/shop/web"

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Status, media type and body of a path."""
        if path == "/v2/":
            return 200, "application/json", b"{}"
        reference = path.removeprefix("/v2/shop/web/manifests/")
        manifest = self.manifests.get(self.digest if reference == "1" else reference)
        if manifest is not None:
            self.asked += 1
            return 200, MANIFEST, manifest
        blob = self.blobs.get(path.removeprefix("/v2/shop/web/blobs/"))
        if blob is not None:
            return 200, "application/octet-stream", blob
        error = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}
        return 404, "application/json", json.dumps(error).encode()


@contextmanager
def serving(registry: Registry) -> Iterator[None]:
    """Serve it on a free port of loopback."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, kind, body = registry.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Docker-Content-Digest", digest_of(body))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        registry.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file is not None
    return file.read()
