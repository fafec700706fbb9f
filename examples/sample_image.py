# ruff: noqa: INP001 -- a script's neighbour, not a package
"""Makes the image of the sample service on the local engine, without any registry.

The image is a static busybox and the files of ``web/rootfs``, imported as one layer through
the engine's own API, so that neither a docker command nor a builder is needed.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import os
import socket
import struct
import tarfile
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from openecs.errors import OperatorError

IMAGE = "openecs-examples/web"
ROOTFS = Path(__file__).parent / "web" / "rootfs"
#: A process with the id 1 ends at SIGTERM only when it handles it, which httpd does not.
COMMAND = ["/bin/sh", "-c", "trap 'exit 0' TERM; httpd -f -vv -p 8080 -h /www & wait"]
#: Names under which the page's script calls busybox.
APPLETS = ("sh", "wget", "sed")
BUSYBOX_PLACES = (Path("/bin/busybox"), Path("/usr/bin/busybox"), Path("/bin/busybox.static"))

_PT_INTERP = 3


def make_image() -> str:
    """Import the image as ``openecs-examples/web:latest``; a digest of its content.

    Raises ``OperatorError`` when there is no static busybox or no engine.
    """
    layer = _layer(_find_busybox())
    digest = hashlib.sha256(layer + json.dumps(COMMAND).encode()).hexdigest()
    changes = [f"CMD {json.dumps(COMMAND)}", "EXPOSE 8080"]
    query = urlencode([("fromSrc", "-"), ("repo", IMAGE), ("tag", "latest"), *[("changes", line) for line in changes]])
    connection = _engine()
    try:
        connection.request("POST", f"/images/create?{query}", body=layer, headers={"Content-Type": "application/x-tar"})
        reply = connection.getresponse()
        said = reply.read().decode(errors="replace")
    except OSError as error:
        raise OperatorError(
            f"The container engine does not answer: {error}. Start one, or set DOCKER_HOST to where it listens."
        ) from None
    finally:
        connection.close()
    # An error after the first byte of the answer is reported inside it.
    if reply.status != 200 or '"error"' in said:
        raise OperatorError(f"The engine did not import the sample image: {said.strip()}")
    return digest


def _layer(busybox: Path) -> bytes:
    """The image's only layer; the same input gives the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        _add(tar, "bin/busybox", busybox.read_bytes(), mode=0o755)
        for applet in APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for path in sorted(ROOTFS.rglob("*")):
            if path.is_file():
                name = str(path.relative_to(ROOTFS))
                _add(tar, name, path.read_bytes(), mode=0o755 if "cgi-bin" in path.parts else 0o644)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes, *, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def _find_busybox() -> Path:
    for path in BUSYBOX_PLACES:
        if path.exists() and _is_static(path):
            return path
    raise OperatorError("The sample image needs a static busybox. Install it with: apt-get install busybox-static")


def _is_static(path: Path) -> bool:
    """Whether a 64-bit ELF program names no dynamic loader, which an image FROM scratch lacks."""
    head = path.read_bytes()[:4096]
    if head[:5] != b"\x7fELF\x02":
        return False
    order = "<" if head[5] == 1 else ">"
    (offset,) = struct.unpack_from(f"{order}Q", head, 32)
    size, count = struct.unpack_from(f"{order}HH", head, 54)
    kinds = [struct.unpack_from(f"{order}I", head, offset + number * size)[0] for number in range(count)]
    return _PT_INTERP not in kinds


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("engine")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


def _engine() -> http.client.HTTPConnection:
    where = urlsplit(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
    if where.scheme == "unix":
        return _UnixConnection(where.path)
    return http.client.HTTPConnection(where.hostname or "127.0.0.1", where.port or 2375)
