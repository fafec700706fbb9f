"""From the engine's answers to the runtime protocol's structs; pure functions."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, cast

from openecs.agent.runtime.docker.messages import (
    ContainerJson,
    EventJson,
    HealthJson,
    ImageJson,
    InfoJson,
    NetworkSettingsJson,
)
from openecs.agent.runtime.protocol import (
    ContainerInfo,
    ContainerStatus,
    EngineInfo,
    Event,
    HealthProbe,
    ImageInfo,
    PortBinding,
    ProbeResult,
)

#: Podman's own states in Docker's terms.
_STATUS: dict[str, ContainerStatus] = {
    "configured": "created",
    "initialized": "created",
    "stopping": "running",
    "stopped": "exited",
}
_ARCHITECTURE = {"amd64": "x86_64", "aarch64": "arm64"}
#: Podman's own actions in Docker's terms.
_ACTION = {"died": "die", "remove": "destroy"}
#: What the engine adds to a container's labels in an event.
_NOT_LABELS = frozenset({"image", "name", "exitCode", "containerExitCode", "signal", "execDuration", "health_status"})

#: The events that the runtime protocol promises.
ANNOUNCED = ("create", "start", "die", "oom", "destroy", "pause", "unpause", "health_status")


def container_info(container: ContainerJson) -> ContainerInfo:
    """What inspecting told."""
    state = container.state
    status = _STATUS.get(state.status) or cast("ContainerStatus", state.status)
    alive = status in {"running", "paused"}
    started_at = _seconds(state.started_at)
    ended = started_at is not None and not alive and status != "restarting"
    finished_at = _seconds(state.finished_at) if ended else None
    if finished_at is not None and started_at is not None:
        # The engine notes the start when its call returns, and the end as the kernel told it:
        # a process that ends within a millisecond would seem to have ended before it began.
        finished_at = max(finished_at, started_at)
    settings = container.network_settings or NetworkSettingsJson()
    labels = (container.config.labels if container.config else None) or {}
    return ContainerInfo(
        id=container.id,
        name=container.name.removeprefix("/"),
        image_id=container.image,
        status=status,
        pid=state.pid if alive else 0,
        labels=labels,
        created_at=container.created.timestamp(),
        started_at=started_at,
        finished_at=finished_at,
        exit_code=state.exit_code if ended else None,
        error=state.error,
        oom_killed=state.oom_killed,
        health=_health(state.health) if alive else None,
        probes=tuple(
            ProbeResult(exit_code=probe.exit_code, output=probe.output)
            for probe in (state.health.log if state.health else None) or ()
        ),
        ports=_ports(settings) if alive else (),
        addresses={
            name: endpoint.address
            for name, endpoint in (settings.networks or {}).items()
            if endpoint is not None and endpoint.address
        },
        mounts=tuple((mount.name or mount.source, mount.destination, not mount.rw) for mount in container.mounts or ()),
    )


def image_info(image: ImageJson) -> ImageInfo:
    """A local image."""
    return ImageInfo(
        id=image.id,
        repo_digests=tuple(image.repo_digests or ()),
        env=tuple((image.config.env if image.config else None) or ()),
    )


def engine_info(
    info: InfoJson,
    api_version: tuple[int, int],
    *,
    runs_health_checks: bool = True,
    shares_name_servers: bool = True,
    hands_out_gpus: bool = False,
) -> EngineInfo:
    """The engine and its host."""
    return EngineInfo(
        name=info.name,
        version=info.server_version,
        api_version=api_version,
        cpus=info.ncpu,
        memory_mib=info.mem_total // 2**20,
        architecture=_ARCHITECTURE.get(info.architecture, info.architecture),
        cgroup_version="2" if info.cgroup_version == "2" else "1",
        cgroup_driver=info.cgroup_driver,
        log_drivers=tuple(sorted((info.plugins.log if info.plugins else None) or ())),
        storage_driver=info.driver,
        kernel_version=info.kernel_version,
        runs_health_checks=runs_health_checks,
        shares_name_servers=shares_name_servers,
        hands_out_gpus=hands_out_gpus,
    )


def event(line: EventJson) -> Event | None:
    """A container's event, ``None`` for those that the protocol does not promise."""
    action, _, detail = line.action.partition(": ")
    action = _ACTION.get(action, action)
    if line.type != "container" or action not in ANNOUNCED:
        return None
    attributes = line.actor.attributes or {}
    exit_code = attributes.get("exitCode") or attributes.get("containerExitCode")
    return Event(
        action=action,
        container_id=line.actor.id,
        time=line.time_nano / 1e9 if line.time_nano else float(line.time),
        labels={key: value for key, value in attributes.items() if key not in _NOT_LABELS},
        exit_code=int(exit_code) if action == "die" and exit_code is not None else None,
        health=(detail or attributes.get("health_status")) if action == "health_status" else None,
    )


def _seconds(moment: datetime | None) -> float | None:
    """Seconds since the epoch; the engine writes the year 1 for never."""
    return None if moment is None or moment.year <= 1 else moment.timestamp()


def _health(health: HealthJson | None) -> HealthProbe | None:
    if health is None or health.status not in {"starting", "healthy", "unhealthy"}:
        return None
    status = cast("Literal['starting', 'healthy', 'unhealthy']", health.status)
    if not health.log:
        return HealthProbe(status=status)
    newest = health.log[-1]
    return HealthProbe(status=status, exit_code=newest.exit_code, output=newest.output, since=_seconds(newest.end))


def _ports(settings: NetworkSettingsJson) -> tuple[PortBinding, ...]:
    found: list[PortBinding] = []
    for port, bindings in (settings.ports or {}).items():
        number, _, protocol = port.partition("/")
        found.extend(
            PortBinding(
                container_port=int(number),
                protocol=protocol or "tcp",
                # Podman writes no address for all of them.
                host_ip=binding.host_ip or "0.0.0.0",  # noqa: S104 -- reported, not listened on
                host_port=int(binding.host_port),
            )
            for binding in bindings or ()
            if binding.host_port
        )
    return tuple(sorted(found, key=lambda binding: (binding.protocol, binding.container_port, binding.host_ip)))
