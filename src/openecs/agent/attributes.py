"""What this node registers: capability attributes and resources.  Pure.

Only what is true here is claimed: placement relies on it.  Names are those of the ECS agent;
ours are under ``openecs.``.
"""

from __future__ import annotations

from openecs.agent.config import AgentConfig
from openecs.agent.runtime.protocol import EngineInfo
from openecs.model.capacity_provider import GROUP_ATTRIBUTE
from openecs.shapes import ecs

_API_LEVELS = (*range(17, 26), 28, 29, 30, 32)
_LOG_DRIVERS = ("json-file", "awslogs", "none", "syslog", "journald", "fluentd", "gelf", "local")
#: For engines with the driver on which it rests.
_FIRELENS = (
    "com.amazonaws.ecs.capability.logging-driver.awsfirelens",
    "ecs.capability.logging-driver.awsfirelens.log-driver-buffer-limit",
    "ecs.capability.firelens.fluentbit",
    "ecs.capability.firelens.fluentd",
    "ecs.capability.firelens.options.config.file",
)
_ALWAYS = (
    "ecs.capability.container-ordering",
    "ecs.capability.full-sync",
    "ecs.capability.network.container-port-range",
    "ecs.capability.container-restart-policy",
    "ecs.capability.docker-plugin.local",
    "com.amazonaws.ecs.capability.privileged-container",
)


def attributes(
    config: AgentConfig,
    info: EngineInfo,
    *,
    node_id: str,
    task_eni: bool,
    task_limits: bool,
    metadata: bool,
    gpu_driver: str = "",
    service_connect: bool = False,
) -> tuple[ecs.Attribute, ...]:
    """Everything placement may ask of this node.

    ``task_eni``, ``task_limits`` and ``metadata`` say whether awsvpc networks, limits of whole
    tasks and the credentials endpoint work here; ``gpu_driver`` is the version of NVIDIA's driver.
    """
    names = list(_ALWAYS)
    if info.runs_health_checks:
        names.append("ecs.capability.container-health-check")
    minor = info.api_version[1] if info.api_version[0] == 1 else 999
    names += [f"com.amazonaws.ecs.capability.docker-remote-api.1.{level}" for level in _API_LEVELS if level <= minor]
    offered = {*info.log_drivers, "none"}
    if not metadata:
        # The driver takes its keys from the credentials endpoint.
        offered.discard("awslogs")
    if "fluentd" in offered:
        names += _FIRELENS
    names += [f"com.amazonaws.ecs.capability.logging-driver.{driver}" for driver in _LOG_DRIVERS if driver in offered]
    if metadata:
        names += [
            "com.amazonaws.ecs.capability.task-iam-role",
            "com.amazonaws.ecs.capability.task-iam-role-network-host",
        ]
        if "awslogs" in offered:
            names.append("ecs.capability.execution-role-awslogs")
    if task_limits:
        names += ["ecs.capability.task-cpu-mem-limit", "ecs.capability.increased-task-cpu-limit"]
    if task_eni:
        names += ["ecs.capability.task-eni"]
    if service_connect:
        names.append("openecs.service-connect")
    if gpu_driver:
        names.append(f"ecs.capability.nvidia-driver-version.{gpu_driver}")
    if config.external:
        names.append("ecs.capability.external")
    valued = {
        "ecs.os-type": "linux",
        "ecs.os-family": "LINUX",
        "ecs.cpu-architecture": architecture(info),
        "openecs.node-id": node_id,
        "openecs.launch-types": "EXTERNAL" if config.external else "EC2,EXTERNAL",
    }
    if task_eni:
        valued["openecs.task-eni"] = "true"
    if config.fargate:
        valued["openecs.fargate"] = "true"
    if config.lend_to:
        valued["openecs.lend-to"] = ",".join(config.lend_to)
    if config.group is not None:
        valued[GROUP_ATTRIBUTE] = config.group
    if config.availability_zone is not None:
        valued["ecs.availability-zone"] = config.availability_zone
    valued.update(config.attributes)
    return (
        *(ecs.Attribute(name=name) for name in names),
        *(ecs.Attribute(name=name, value=value) for name, value in valued.items()),
    )


def resources(config: AgentConfig, info: EngineInfo) -> tuple[ecs.Resource, ...]:
    """CPU units, MiB of memory and the host ports that no task gets."""
    cpu = config.cpu if config.cpu is not None else info.cpus * 1024
    memory = config.memory if config.memory is not None else max(info.memory_mib - config.reserved_memory, 0)
    return (
        ecs.Resource(name="CPU", type="INTEGER", integer_value=cpu),
        ecs.Resource(name="MEMORY", type="INTEGER", integer_value=memory),
        ecs.Resource(name="PORTS", type="STRINGSET", string_set_value=tuple(map(str, config.reserved_ports))),
        ecs.Resource(name="PORTS_UDP", type="STRINGSET", string_set_value=tuple(map(str, config.reserved_ports_udp))),
    )


def architecture(info: EngineInfo) -> str:
    """The engine's architecture as ECS spells it."""
    return {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}.get(
        info.architecture, info.architecture
    )
