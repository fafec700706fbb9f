"""One fake container: what was asked for, and what has become of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Literal

from openecs.agent.runtime.fake.program import HealthScript, Program, parse_health, parse_output, parse_program
from openecs.agent.runtime.fake.timers import Cancellable
from openecs.agent.runtime.protocol import ContainerInfo, ContainerStatus, HealthProbe, PortBinding, ProbeResult


def words(value: object) -> list[str]:
    """A ``Cmd`` or ``Entrypoint`` member, which may be absent, a string or a list."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else [str(word) for word in value]  # type: ignore[attr-defined]


class FakeContainer:
    """State of a container; ``FakeRuntime`` moves it, this only holds and describes it."""

    __slots__ = (
        "address",
        "body",
        "created_at",
        "ended",
        "error",
        "exit_code",
        "finished_at",
        "health",
        "health_script",
        "health_since",
        "host_config",
        "id",
        "image_id",
        "labels",
        "name",
        "oom_killed",
        "pid",
        "ports",
        "prints",
        "probes",
        "program",
        "started_at",
        "status",
        "timers",
    )

    def __init__(self, container_id: str, name: str, image_id: str, body: Mapping[str, Any], now: float) -> None:
        self.id = container_id
        self.name = name
        self.image_id = image_id
        self.body = body
        self.host_config: Mapping[str, Any] = body.get("HostConfig") or {}
        self.labels: dict[str, str] = dict(body.get("Labels") or {})
        argv = words(body.get("Entrypoint")) + words(body.get("Cmd"))
        self.program: Program = parse_program(argv)
        #: The lines that it prints when it runs.
        self.prints = parse_output(argv)
        self.health_script: HealthScript | None = parse_health(body.get("Healthcheck"))
        self.created_at = now
        self.status: ContainerStatus = "created"
        self.pid = 0
        self.started_at: float | None = None
        self.finished_at: float | None = None
        self.exit_code: int | None = None
        self.error = ""
        self.oom_killed = False
        self.health: Literal["starting", "healthy", "unhealthy"] | None = None
        self.health_since: float | None = None
        self.probes: tuple[ProbeResult, ...] = ()
        self.ports: tuple[PortBinding, ...] = ()
        self.address = ""
        self.timers: list[Cancellable] = []
        #: Set while somebody waits for the end.
        self.ended: asyncio.Event | None = None

    @property
    def network_mode(self) -> str:
        """Docker's name for where it is attached; ``default`` is the bridge."""
        mode = str(self.host_config.get("NetworkMode") or "default")
        return "bridge" if mode == "default" else mode

    def cancel_timers(self) -> None:
        """Forget everything that was to happen by itself."""
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()

    def info(self) -> ContainerInfo:
        """What inspecting it tells."""
        probe: HealthProbe | None = None
        if self.health is not None and self.status == "running":
            failed = self.health == "unhealthy"
            probe = HealthProbe(
                status=self.health,
                exit_code=None if self.health_since is None else int(failed),
                output="",
                since=self.health_since,
            )
        return ContainerInfo(
            id=self.id,
            name=self.name,
            image_id=self.image_id,
            status=self.status,
            pid=self.pid,
            labels=dict(self.labels),
            created_at=self.created_at,
            started_at=self.started_at,
            finished_at=self.finished_at,
            exit_code=self.exit_code,
            error=self.error,
            oom_killed=self.oom_killed,
            health=probe,
            probes=self.probes,
            ports=self.ports,
            addresses={"bridge": self.address} if self.address else {},
            mounts=tuple(mounts(self.host_config)),
        )


def mounts(host_config: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    """Source (host path or volume name), destination and read-only flag of every mount."""
    found: list[tuple[str, str, bool]] = []
    for bind in host_config.get("Binds") or ():
        source, destination, *options = str(bind).split(":")
        found.append((source, destination, any("ro" in option.split(",") for option in options)))
    for mount in host_config.get("Mounts") or ():
        if mount.get("Type") in {"bind", "volume"}:
            read_only = bool(mount.get("ReadOnly", False))
            found.append((str(mount.get("Source", "")), str(mount.get("Target", "")), read_only))
    return found


def volumes(host_config: Mapping[str, Any]) -> set[str]:
    """Names of the volumes that a container mounts."""
    return {source for source, _, _ in mounts(host_config) if source and not source.startswith("/")}
