"""What tests of every part share: the container engine and the image that they run.

Tests marked ``docker`` fail with a clear message when no engine answers: a suite that passes
because it ran nothing is worse than one that fails.  ``OPENECS_TEST_NO_DOCKER=1`` skips them on
purpose.
"""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import io
import json
import logging
import os
import signal
import socket
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import hypothesis
import pytest
import structlog

from openecs.agent.runtime.docker.endpoint import find_endpoint
from openecs.http import UnixAddress

BUSYBOX_IMAGE = "openecs-test/busybox:latest"
_BUSYBOX = Path("/bin/busybox")
_CONTENT_LABEL = "openecs.test.content"

# No test asserts times: an example may be slow because the machine has other things to do.
hypothesis.settings.register_profile("openecs", hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("openecs")


@pytest.fixture(autouse=True)
def logging_stays_out_of_other_tests() -> Iterator[None]:
    """Undo what a command that ran in this process set up: others' output would have it in it."""
    root = logging.getLogger()
    level = root.level
    yield
    for handler in list(root.handlers):
        if type(handler).__module__ == "openecs.log":
            root.removeHandler(handler)
            root.setLevel(level)
            structlog.reset_defaults()


class EngineConnection(http.client.HTTPConnection):
    """A plain connection to the engine, with nothing in it of what the tests test."""

    def __init__(self) -> None:
        self._address = find_endpoint(None).address
        host, port = ("localhost", 80) if isinstance(self._address, UnixAddress) else self._address_of_tcp()
        super().__init__(host, port, timeout=60)

    def _address_of_tcp(self) -> tuple[str, int]:
        assert not isinstance(self._address, UnixAddress)
        return self._address.host, self._address.port

    def connect(self) -> None:
        if isinstance(self._address, UnixAddress):
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(self._address.path)
        else:
            super().connect()

    def call(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        headers = {} if body is None else {"Content-Type": "application/x-tar"}
        self.request(method, path, body=body, headers=headers)
        response = self.getresponse()
        return response.status, response.read()


_ENGINE = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def docker_engine(pytestconfig: pytest.Config) -> str:
    """The address of the engine that answers; an error when none does."""
    return _require_engine(pytestconfig)


def pytest_configure() -> None:
    """Tests that a shell runs in its background ignore Ctrl-C, and what they start would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("docker"):
        _require_engine(item.config)


def _require_engine(config: pytest.Config) -> str:
    if os.environ.get("OPENECS_TEST_NO_DOCKER") == "1":
        pytest.skip("OPENECS_TEST_NO_DOCKER=1")
    if _ENGINE in config.stash:
        return config.stash[_ENGINE]
    address = str(find_endpoint(None).address)
    connection = EngineConnection()
    try:
        status, body = connection.call("GET", "/_ping")
        problem = "" if status == 200 else f"HTTP {status}: {body!r}"
    except OSError as error:
        problem = str(error)
    finally:
        connection.close()
    if problem:
        pytest.fail(
            f"No container engine answers at {address} ({problem}). Start one (dockerd), set DOCKER_HOST, "
            "or set OPENECS_TEST_NO_DOCKER=1 to leave these tests out.",
            pytrace=False,
        )
    config.stash[_ENGINE] = address
    return address


@pytest.fixture(scope="session")
def busybox_image(docker_engine: str) -> str:
    """``openecs-test/busybox:latest`` in the engine: a static busybox with all of its commands.

    It is made on the spot from ``/bin/busybox`` (Debian's ``busybox-static``) and kept for the
    next run.  Its default command is ``sh``; ``/www/index.html`` is there for ``httpd -h /www``.
    """
    content = _image_tar()
    digest = hashlib.sha256(content).hexdigest()
    connection = EngineConnection()
    with _one_at_a_time():
        try:
            status, body = connection.call("GET", f"/images/{BUSYBOX_IMAGE}/json")
            labels = (json.loads(body)["Config"].get("Labels") or {}) if status == 200 else {}
            if labels.get(_CONTENT_LABEL) != digest:
                query = [("fromSrc", "-"), ("repo", BUSYBOX_IMAGE.partition(":")[0]), ("tag", "latest")]
                changes = ['CMD ["sh"]', "ENV PATH=/bin", f"LABEL {_CONTENT_LABEL}={digest}"]
                query += [("changes", change) for change in changes]
                status, body = connection.call("POST", f"/images/create?{urlencode(query)}", content)
                assert status == 200, body
                assert b"error" not in body, body
        finally:
            connection.close()
    return BUSYBOX_IMAGE


def _image_tar() -> bytes:
    if not _BUSYBOX.exists():
        pytest.fail(f"{_BUSYBOX} is missing: apt-get install busybox-static", pytrace=False)
    listing = subprocess.run([str(_BUSYBOX), "--list"], check=True, capture_output=True, text=True)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:

        def put(name: str, data: bytes, mode: int = 0o644) -> None:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))

        for directory in ("bin", "etc", "tmp", "www", "var", "var/log", "root"):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if directory == "tmp" else 0o755
            tar.addfile(entry)
        put("bin/busybox", _BUSYBOX.read_bytes(), 0o755)
        for applet in sorted(set(listing.stdout.split()) - {"busybox"}):
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
        put("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
        put("etc/group", b"root:x:0:\nnogroup:x:65534:\n")
        put("www/index.html", b"hello from openecs-test/busybox\n")
    return buffer.getvalue()


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Several test processes share one engine."""
    with (Path(tempfile.gettempdir()) / "openecs-test-image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
