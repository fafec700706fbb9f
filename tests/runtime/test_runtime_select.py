"""Finding the engine, and what the operator is told when there is none."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import pytest

from openecs.agent.runtime.docker import find_endpoint
from openecs.agent.runtime.fake import FakeRuntime
from openecs.agent.runtime.select import _advice, open_runtime
from openecs.errors import OperatorError
from openecs.http import TcpAddress, UnixAddress


async def test_the_fake_needs_nothing() -> None:
    runtime = await open_runtime("fake", None)
    assert isinstance(runtime, FakeRuntime)
    assert (await runtime.info()).name == "fake"
    await runtime.close()


@pytest.mark.docker
async def test_the_machines_engine_is_found() -> None:
    runtime = await open_runtime("docker", None)
    assert (await runtime.info()).api_version >= (1, 41)
    await runtime.close()


async def test_a_missing_socket_is_told_with_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"does not exist\. Install Docker Engine .*apt-get install docker\.io"):
        await open_runtime("docker", f"unix://{tmp_path}/none.sock")


async def test_a_dead_socket_is_told_with_how_to_start(tmp_path: Path) -> None:
    path = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    with pytest.raises(OperatorError, match=r"No container engine answers at unix://.*Start it \(systemctl start"):
        await open_runtime("docker", str(path))


def test_a_forbidden_socket_is_told_with_the_group() -> None:
    address = UnixAddress("/var/run/docker.sock")
    text = _advice(address, PermissionError(errno.EACCES, "Permission denied"), Exception("denied"))
    assert "add the user to the group docker" in text


@pytest.mark.parametrize("address", ["ssh://host", "tcp://", "nonsense", "http://host/path"])
async def test_an_address_that_cannot_be_used_is_refused(address: str) -> None:
    with pytest.raises(OperatorError, match="address cannot be used"):
        await open_runtime("docker", address)


def test_the_environment_decides_unless_told_otherwise(tmp_path: Path) -> None:
    environ = {"DOCKER_HOST": "tcp://10.0.0.5:2375"}
    assert find_endpoint(None, environ).address == TcpAddress("10.0.0.5", 2375)
    assert find_endpoint("unix:///x.sock", environ).address == UnixAddress("/x.sock")
    assert find_endpoint("/y.sock", environ).address == UnixAddress("/y.sock")


def test_tls_needs_its_certificates(tmp_path: Path) -> None:
    environ = {"DOCKER_HOST": "tcp://10.0.0.5:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)}
    endpoint = find_endpoint(None, environ)
    assert (endpoint.address, endpoint.certificates) == (TcpAddress("10.0.0.5", 2376, tls=True), tmp_path)
    with pytest.raises(OperatorError, match="Point DOCKER_CERT_PATH to the directory"):
        endpoint.tls_context()


def test_a_users_podman_is_found_when_docker_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "podman").mkdir()
    place = tmp_path / "podman" / "podman.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
    monkeypatch.setattr(Path, "is_socket", lambda path: path == place)
    assert find_endpoint(None, {"XDG_RUNTIME_DIR": str(tmp_path)}).address == UnixAddress(str(place))
    monkeypatch.setattr(Path, "is_socket", lambda path: False)
    assert find_endpoint(None, {}).address == UnixAddress("/var/run/docker.sock")
