"""The container engine as its own clients use it: the floor of the rows about real tasks.

Everything made here has the label ``openecs.bench`` and is removed again.
"""

from __future__ import annotations

import http.client
import io
import json
import socket
import subprocess
import tarfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from openecs.agent.runtime.docker.endpoint import find_endpoint
from openecs.http import UnixAddress

IMAGE = "openecs-bench/sleep:1"
LABEL = "openecs.bench"
#: Label of containers whose version matters.
VERSION = "openecs.bench.version"
#: Seconds between two looks at how far things are: of the engine, a swarm and OpenECS alike.
POLL = 0.05
#: The task definition family of real tasks, by which their containers are found again.
FAMILY = "bench-real"
#: Static, so that an image needs nothing else.
_BUSYBOX = Path("/bin/busybox")
SLEEP = ["/bin/busybox", "sleep", "3600"]
#: The same, ending at once when it is told to: process 1 has no default handlers.
STAYS = ["/bin/busybox", "sh", "-c", "trap 'exit 0' TERM; /bin/busybox sleep 3600 & wait"]


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        address = find_endpoint(None).address
        if not isinstance(address, UnixAddress):
            raise TypeError("the benchmark wants the engine at a Unix socket")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(address.path)


def api(method: str, path: str, body: Any = None, *, raw: bytes | None = None) -> Any:
    """One call of the engine's API on a connection of its own."""
    connection = _Connection("engine", timeout=120)
    data = raw if raw is not None else (None if body is None else json.dumps(body).encode())
    kind = "application/x-tar" if raw is not None else "application/json"
    connection.request(method, path, body=data, headers={"Content-Type": kind} if data else {})
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    if response.status >= 400:
        raise RuntimeError(f"{method} {path}: {response.status} {answer[:300]!r}")
    return json.loads(answer) if answer[:1] in (b"{", b"[") and raw is None else None


def _make_image() -> None:
    """An image with nothing but busybox in it."""
    if not _BUSYBOX.exists():
        raise SystemExit("bench: /bin/busybox is missing. Install it with: apt-get install busybox-static")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("bin/busybox")
        data = _BUSYBOX.read_bytes()
        entry.size, entry.mode = len(data), 0o755
        tar.addfile(entry, io.BytesIO(data))
    name, _, tag = IMAGE.partition(":")
    api("POST", f"/images/create?fromSrc=-&repo={name}&tag={tag}", raw=buffer.getvalue())


def docker_run() -> float:
    """Seconds of ``docker run -d`` on the host's network."""
    command = ["docker", "run", "-d", "--label", LABEL, "--network", "host", IMAGE, *SLEEP]
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def start_one(*, command: list[str], network: str, **more: Any) -> str:
    """Create and start a container; its id.  ``more`` goes into the engine's call."""
    body = {"Image": IMAGE, "Cmd": command, "Labels": {LABEL: ""}, "HostConfig": {"NetworkMode": network}, **more}
    made: str = api("POST", f"/containers/create?name=openecs-bench-{uuid.uuid4().hex[:12]}", body)["Id"]
    api("POST", f"/containers/{made}/start")
    return made


def start_many(count: int, *, command: list[str] = SLEEP, network: str = "host") -> float:
    """Seconds until ``count`` concurrent create and start calls have all returned."""
    with ThreadPoolExecutor(count) as pool:
        started = time.perf_counter()
        list(pool.map(lambda _: start_one(command=command, network=network), range(count)))
        return time.perf_counter() - started


def stop_started() -> float:
    """Seconds until everything that was started here has stopped and is gone, eight at a time."""
    started = time.perf_counter()
    found = api("GET", f"/containers/json?filters={quote(json.dumps({'label': [LABEL]}))}")

    def end(one: dict[str, Any]) -> None:
        api("POST", f"/containers/{one['Id']}/stop?t=5")
        api("DELETE", f"/containers/{one['Id']}?v=1")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(end, found))
    return time.perf_counter() - started


def running(label: str) -> int:
    """How many containers with that label (``name=value``) run."""
    return len(api("GET", f"/containers/json?filters={quote(json.dumps({'label': [label]}))}"))


def replaced(version: str, old: str, count: int) -> bool:
    """Whether ``count`` containers of a version run and none of the old one does any more."""
    return running(f"{VERSION}={version}") == count and not running(f"{VERSION}={old}")


def wait_gone(version: str) -> None:
    """Return when no container of a version runs any more."""
    deadline = time.monotonic() + 120
    while running(f"{VERSION}={version}"):
        if time.monotonic() > deadline:
            raise RuntimeError(f"containers of version {version} go on running")
        time.sleep(POLL)


def remove_started() -> None:
    """Remove the containers that were started here without OpenECS."""
    _remove({"label": [LABEL]})


def remove_all() -> None:
    """Remove the image and every container of it, those that agents keep for a while too."""
    remove_started()
    _remove({"ancestor": [IMAGE]})
    api("DELETE", f"/images/{IMAGE}?force=1")


def _remove(filters: dict[str, list[str]]) -> None:
    text = quote(json.dumps(filters))
    found = api("GET", f"/containers/json?all=1&filters={text}")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: api("DELETE", f"/containers/{one['Id']}?force=1&v=1"), found))


@contextmanager
def image() -> Iterator[None]:
    """The image is there; at the end it goes with everything that ran from it."""
    _make_image()
    try:
        yield
    finally:
        remove_all()
