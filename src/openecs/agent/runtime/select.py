"""Opens the runtime that the operator asked for, or says what to do when there is none."""

from __future__ import annotations

from typing import Literal, assert_never

from openecs.agent.runtime.docker import DockerRuntime, find_endpoint
from openecs.agent.runtime.fake import FakeRuntime
from openecs.agent.runtime.protocol import EngineError, EngineUnavailable, Runtime
from openecs.clock import SystemClock
from openecs.errors import OperatorError
from openecs.http import HttpClient, UnixAddress
from openecs.ids import RandomIds

RuntimeKind = Literal["docker", "fake"]


async def open_runtime(kind: RuntimeKind, docker_host: str | None = None) -> Runtime:
    """A runtime that has answered once; the caller closes it.

    ``docker_host`` is for ``docker`` only: the engine's address as for the docker command, else
    ``DOCKER_HOST`` or a socket in a usual place.  Raises ``OperatorError`` with the next step.
    """
    match kind:
        case "fake":
            return FakeRuntime(SystemClock(), RandomIds())
        case "docker":
            return await _open_docker(docker_host)
        case _:
            assert_never(kind)


async def _open_docker(docker_host: str | None) -> Runtime:
    endpoint = find_endpoint(docker_host)
    # The engine keeps idle connections, and takes as many at once as there are containers to start.
    client = HttpClient(endpoint.address, tls=endpoint.tls_context(), max_connections=512, max_idle=30.0)
    runtime = DockerRuntime(client)
    try:
        await runtime.info()
    except EngineUnavailable as error:
        await runtime.close()
        cause = error.__cause__.__cause__ if error.__cause__ else None
        raise OperatorError(_advice(endpoint.address, cause, error)) from error
    except EngineError as error:
        await runtime.close()
        raise OperatorError(
            f"The container engine at {endpoint.address} cannot be used: {error.message}. "
            "Upgrade it, or set DOCKER_HOST to another engine."
        ) from error
    return runtime


def _advice(address: object, cause: BaseException | None, error: Exception) -> str:
    if isinstance(cause, PermissionError):
        return (
            f"The container engine's socket {address} may not be opened by this user. "
            "Run OpenECS as root, or add the user to the group docker and log in again."
        )
    if isinstance(address, UnixAddress) and isinstance(cause, FileNotFoundError):
        return (
            f"No container engine was found: {address} does not exist. Install Docker Engine "
            "(on Debian or Ubuntu: apt-get install docker.io) and start it, or set DOCKER_HOST to an engine's address. "
            "To try OpenECS without containers, use --runtime fake."
        )
    return (
        f"No container engine answers at {address} ({error}). Start it (systemctl start docker, or dockerd), "
        "or set DOCKER_HOST to an engine's address. To try OpenECS without containers, use --runtime fake."
    )
