"""Starting and stopping the servers that OpenECS is measured against."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from load import LoadError, ask
from signed_request import Endpoint, ecs_request, form_request

from openecs.wire.sigv4 import Credentials

_KEYS = Credentials("AKIAIOSFODNN7EXAMPLE", "no-secret-nobody-checks-it")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def bare_server(answers: dict[str, bytes], folder: Path) -> Iterator[Endpoint]:
    """uvicorn and orjson, answering ``answers`` by the name of the path."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, body in answers.items():
        (folder / f"{name}.json").write_bytes(body)
    port = free_port()
    command = [sys.executable, str(Path(__file__).with_name("bare_server.py")), str(port), str(folder)]
    with _server(command, port) as endpoint:
        yield endpoint


@contextmanager
def moto_server() -> Iterator[Endpoint]:
    """moto's server, one process, as its own command starts it."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)]
    with _server(command, port) as endpoint:
        yield endpoint


def moto_network(endpoint: Endpoint) -> dict[str, Any]:
    """An awsvpc configuration in moto's default network, which moto's FARGATE tasks need."""
    subnet = _first(endpoint, "DescribeSubnets", "subnetId")
    group = _first(endpoint, "DescribeSecurityGroups", "groupId")
    return {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group]}}


def _first(endpoint: Endpoint, action: str, element: str) -> str:
    request = form_request(endpoint, "ec2", f"Action={action}&Version=2016-11-15")
    reply = ask((endpoint.host, endpoint.port), request).decode()
    return reply.partition(f"<{element}>")[2].partition(f"</{element}>")[0]


def call(endpoint: Endpoint, operation: str, **parameters: Any) -> dict[str, Any]:
    """One ECS call, decoded."""
    reply: dict[str, Any] = json.loads(
        ask((endpoint.host, endpoint.port), ecs_request(endpoint, operation, parameters))
    )
    return reply


@contextmanager
def _server(command: list[str], port: int) -> Iterator[Endpoint]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise LoadError(f"{command[0]} does not start") from None
                time.sleep(0.05)
        yield Endpoint("127.0.0.1", port, _KEYS)
    finally:
        process.terminate()
        process.wait(30)
