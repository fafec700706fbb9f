"""The parts of the engine's answers that we read, and nothing more of them."""

from __future__ import annotations

from datetime import datetime

import msgspec


class ProbeJson(msgspec.Struct, rename="pascal"):
    """One run of a health check."""

    exit_code: int = 0
    output: str = ""
    end: datetime | None = None


class HealthJson(msgspec.Struct, rename="pascal"):
    """``State.Health``; newest probe last."""

    status: str = ""
    log: list[ProbeJson] | None = None


class ContainerStateJson(msgspec.Struct, rename="pascal"):
    """``State`` of a container."""

    status: str = ""
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    oom_killed: bool = msgspec.field(name="OOMKilled", default=False)
    health: HealthJson | None = None


class PortJson(msgspec.Struct, rename="pascal"):
    """A binding of a published port; the port is text."""

    host_ip: str = ""
    host_port: str = ""


class EndpointJson(msgspec.Struct):
    """A container's place in a network."""

    address: str = msgspec.field(name="IPAddress", default="")


class NetworkSettingsJson(msgspec.Struct, rename="pascal"):
    """``NetworkSettings`` of a container."""

    ports: dict[str, list[PortJson] | None] | None = None
    networks: dict[str, EndpointJson | None] | None = None


class MountJson(msgspec.Struct, rename="pascal"):
    """One mount; ``name`` is a volume's."""

    type: str = ""
    name: str = ""
    source: str = ""
    destination: str = ""
    rw: bool = msgspec.field(name="RW", default=True)


class ContainerConfigJson(msgspec.Struct, rename="pascal"):
    """``Config`` of a container or an image."""

    labels: dict[str, str] | None = None
    env: list[str] | None = None
    tty: bool = False


class ContainerJson(msgspec.Struct, rename="pascal"):
    """``GET /containers/{id}/json``."""

    id: str
    name: str
    image: str
    created: datetime
    state: ContainerStateJson
    config: ContainerConfigJson | None = None
    network_settings: NetworkSettingsJson | None = None
    mounts: list[MountJson] | None = None


class ContainerIdJson(msgspec.Struct, rename="pascal"):
    """A list entry, or the answer to a creation with what the engine left out of it."""

    id: str
    warnings: list[str] | None = None


class ImageJson(msgspec.Struct, rename="pascal"):
    """``GET /images/{name}/json``."""

    id: str
    repo_digests: list[str] | None = None
    config: ContainerConfigJson | None = None


class PluginsJson(msgspec.Struct, rename="pascal"):
    """``Plugins`` of ``GET /info``."""

    log: list[str] | None = None


class InfoJson(msgspec.Struct, rename="pascal"):
    """``GET /info``."""

    name: str = ""
    server_version: str = ""
    ncpu: int = msgspec.field(name="NCPU", default=0)
    mem_total: int = 0
    architecture: str = ""
    cgroup_version: str = "1"
    cgroup_driver: str = ""
    driver: str = ""
    kernel_version: str = ""
    plugins: PluginsJson | None = None


class TopJson(msgspec.Struct, rename="pascal"):
    """``GET /containers/{id}/top``."""

    titles: list[str] | None = None
    processes: list[list[str]] | None = None


class ErrorDetailJson(msgspec.Struct):
    """Why a pull ended."""

    message: str = ""


class ProgressJson(msgspec.Struct, rename="camel"):
    """One line of a pull's progress; we read its errors only."""

    error: str = ""
    error_detail: ErrorDetailJson | None = None


class ActorJson(msgspec.Struct):
    """Whom an event is about."""

    id: str = msgspec.field(name="ID", default="")
    attributes: dict[str, str] | None = msgspec.field(name="Attributes", default=None)


class EventJson(msgspec.Struct):
    """One line of ``GET /events``."""

    type: str = msgspec.field(name="Type", default="")
    action: str = msgspec.field(name="Action", default="")
    actor: ActorJson = msgspec.field(name="Actor", default_factory=ActorJson)
    time: int = 0
    time_nano: int = msgspec.field(name="timeNano", default=0)
