"""What the agent asks of a container runtime.

Containers are described in the Docker Engine API's own terms (the body of its
container-create call), because that is what the agent protocol carries and what Docker and
Podman both take; a runtime of another kind translates.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from openecs.errors import Retryable

ContainerStatus = Literal["created", "running", "paused", "restarting", "removing", "exited", "dead"]


class EngineError(Exception):
    """The engine refused; ``message`` is its own text, ``status`` the HTTP status."""

    def __init__(self, message: str, status: int = 500) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class NoSuchContainer(EngineError):  # noqa: N818 -- the engine's own words
    """What was named (a container, or the image or network that it needs) is not there."""


class EngineUnavailable(Retryable):
    """The engine does not answer; it may be restarting."""


class EngineInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine says of itself and of its host."""

    name: str
    version: str
    api_version: tuple[int, int]
    cpus: int
    memory_mib: int
    #: As ECS spells it: ``x86_64`` or ``arm64``.
    architecture: str
    cgroup_version: Literal["1", "2"]
    cgroup_driver: str
    #: Logging drivers that it offers (``json-file``, ``awslogs`` …).
    log_drivers: tuple[str, ...]
    storage_driver: str = ""
    kernel_version: str = ""
    #: Whether containers' health checks are run.
    runs_health_checks: bool = True
    #: Whether it can give GPUs of the host to containers, by id.
    hands_out_gpus: bool = False
    #: Whether containers that join another one's network get its name servers.
    shares_name_servers: bool = True


class ImageInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A local image."""

    id: str
    #: ``repository@sha256:…`` names under which registries know it.
    repo_digests: tuple[str, ...] = ()
    env: tuple[str, ...] = ()


class PortBinding(msgspec.Struct, frozen=True, kw_only=True):
    """One published port of a running container."""

    container_port: int
    protocol: str
    host_ip: str
    host_port: int


class HealthProbe(msgspec.Struct, frozen=True, kw_only=True):
    """The engine's view of a container's health check."""

    status: Literal["starting", "healthy", "unhealthy"]
    #: Exit code and output of the newest probe.
    exit_code: int | None = None
    output: str = ""
    #: When the newest probe ended, ``None`` before the first.
    since: float | None = None


class ProbeResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of a health check came to."""

    exit_code: int
    output: str = ""


class ContainerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What inspecting a container tells.  Times are seconds since the epoch."""

    id: str
    name: str
    image_id: str
    status: ContainerStatus
    #: Process id of the container's first process on the host; 0 when not running.
    pid: int
    labels: Mapping[str, str]
    created_at: float
    #: Its newest start; ``None`` until it has run.
    started_at: float | None = None
    #: The end of its newest run; ``None`` while it runs.
    finished_at: float | None = None
    #: The code of its newest run; ``None`` until it has run, and while it runs.
    exit_code: int | None = None
    #: The engine's own complaint about its last start, empty for none.
    error: str = ""
    #: The engine's word.  Docker 20.10 on cgroup v1 forgets it now and then when the kill ends
    #: the container's first process; often an ``oom`` event then follows ``die`` within 0.1 s.
    oom_killed: bool = False
    #: ``None`` without a health check, and when it is not running.
    health: HealthProbe | None = None
    #: The newest runs of its health check, oldest first; they stay when it has ended.
    probes: tuple[ProbeResult, ...] = ()
    #: Both families, if the engine publishes on both; empty when it is not running.
    ports: tuple[PortBinding, ...] = ()
    #: network name → address, for engine-made networks.
    addresses: Mapping[str, str] = {}
    #: (source on the host or volume name, destination, read-only)
    mounts: tuple[tuple[str, str, bool], ...] = ()


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a container, as the engine announces it."""

    #: ``create``, ``start``, ``die``, ``oom``, ``destroy``, ``pause``, ``unpause`` or
    #: ``health_status``; runtimes announce nothing else.
    action: str
    container_id: str
    time: float
    labels: Mapping[str, str]
    exit_code: int | None = None
    #: With ``health_status``: ``healthy`` or ``unhealthy``.
    health: str | None = None


class RegistryAuth(msgspec.Struct, frozen=True, kw_only=True):
    """User name and password for a pull.  Never logged, hence the short repr."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"RegistryAuth(username={self.username!r})"


class Runtime(Protocol):
    """A container engine on this host.  All calls may raise ``EngineUnavailable``."""

    async def info(self) -> EngineInfo: ...

    async def inspect_image(self, reference: str) -> ImageInfo | None:
        """The local image of that name or id, ``None`` when absent."""
        ...

    async def pull(self, reference: str, auth: RegistryAuth | None = None) -> None:
        """Fetch an image; raises ``EngineError`` with the engine's text when it cannot."""
        ...

    async def create(self, name: str, body: Mapping[str, Any]) -> str:
        """Create a container from a Docker container-create body; its id.

        Creating a name that exists with the same labels gives the existing container's id, so
        that a repeated call after a lost answer is harmless.
        """
        ...

    async def start(self, container_id: str) -> None:
        """Start it; no error when it runs already."""
        ...

    async def stop(self, container_id: str, timeout: int) -> None:  # noqa: ASYNC109 -- the engine's grace period
        """Send its stop signal, after ``timeout`` seconds SIGKILL; returns when it ended.

        No error when it is not running; raises ``NoSuchContainer``.
        """
        ...

    async def remove(self, container_id: str) -> None:
        """Remove it with its anonymous volumes, running or not; no error when absent."""
        ...

    async def inspect(self, container_id: str) -> ContainerInfo:
        """Raises ``NoSuchContainer``."""
        ...

    async def list(self, labels: Sequence[str] = ()) -> list[str]:
        """Ids of all containers, running or not, that carry every given label
        (``key`` or ``key=value``)."""
        ...

    def events(self, since: float | None = None) -> AsyncGenerator[Event, None]:
        """Container events as they happen, starting with those at or after ``since``.

        One at ``since`` itself may be repeated: better twice than never.  Listening begins with
        the first event that is asked for, so callers that then list pass the time before.
        Who stops before the end closes the generator (``contextlib.aclosing``).
        Ends with ``EngineUnavailable`` when the engine goes away; the caller then lists and
        inspects, because events may be lost.
        """
        ...

    async def create_volume(
        self, name: str, driver: str, options: Mapping[str, str], labels: Mapping[str, str]
    ) -> None: ...

    async def volume_exists(self, name: str) -> bool: ...

    async def remove_volume(self, name: str) -> None:
        """No error when absent."""
        ...

    async def tail(self, container_id: str, lines: int) -> str | None:
        """Its newest lines of output, both streams together, running or not.

        ``None`` when its log driver keeps nothing that can be read; raises ``NoSuchContainer``.
        """
        ...

    async def top(self, container_id: str) -> tuple[int, ...]:
        """Host process ids of the container's processes; none when it is not running."""
        ...

    async def close(self) -> None:
        """Drop the connections; containers go on."""
        ...
