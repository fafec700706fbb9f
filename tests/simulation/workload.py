"""The task definitions of the simulation: one for each way in which a task can live and end.

What a container does is written in the fake engine's small language
(``openecs.agent.runtime.fake.program``).
"""

from __future__ import annotations

import msgspec

from openecs.shapes import ecs


def _definition(
    family: str, *containers: ecs.ContainerDefinition, network_mode: str = "bridge", **members: object
) -> ecs.RegisterTaskDefinitionRequest:
    return ecs.RegisterTaskDefinitionRequest(
        family=family, network_mode=network_mode, container_definitions=containers, **members
    )


ACCOUNT, REGION = "123456789012", "eu-west-1"
#: What every container that can be pulled is made from.
IMAGE = "sim/app:1"


def _container(name: str = "app", *command: str, image: str = IMAGE, **members: object) -> ecs.ContainerDefinition:
    base = ecs.ContainerDefinition(name=name, image=image, command=command or None, cpu=64, memory=64)
    return msgspec.structs.replace(base, **members)


def _health(*test: str, interval: int = 5) -> ecs.HealthCheck:
    return ecs.HealthCheck(command=("CMD", *test), interval=interval, timeout=2, retries=2)


WEB = _definition("web", _container())
WEB_AGAIN = _definition("again", _container(command=("sleep", "infinity")))
STATIC_PORT = _definition("port", _container(port_mappings=(ecs.PortMapping(container_port=80, host_port=8080),)))
DYNAMIC_PORT = _definition("dynamic", _container(port_mappings=(ecs.PortMapping(container_port=80),)))
BIG = _definition("big", _container(cpu=900, memory=900))
JOB = _definition("job", _container("app", "sleep", "20"))
SHORT = _definition("short", _container("app", "exit", "0"))
CRASH = _definition("crash", _container("app", "sh", "-c", "sleep 3; exit 1"))
OOM = _definition("oom", _container("app", "oom", "7"))
CRASH_BEHIND_PORT = _definition(
    "crashport", _container("app", "exit", "1", port_mappings=(ecs.PortMapping(container_port=80),))
)
MISSING = _definition("missing", _container(image="sim/missing:1"))
NO_COMMAND = _definition("nocommand", _container("app", "no-such-command"))
HEALTHY = _definition("healthy", _container(health_check=_health("true")))
SICK = _definition("sick", _container(health_check=_health("fake-unhealthy-after", "25")))
STUBBORN = _definition("stubborn", _container("app", "ignore-term", stop_timeout=8))
PAIR = _definition(
    "pair",
    _container("app", depends_on=(ecs.ContainerDependency(container_name="init", condition="SUCCESS"),)),
    _container("init", "sh", "-c", "sleep 2; exit 0", essential=False),
    _container("side", essential=False, depends_on=(ecs.ContainerDependency(container_name="app", condition="START"),)),
)
#: The port that Service Connect may offer to others.
_NAMED_PORT = ecs.PortMapping(name="http", container_port=80)
VPC = _definition("vpc", _container(port_mappings=(_NAMED_PORT,)), network_mode="awsvpc")
FARGATE = _definition(
    "fargate",
    _container(port_mappings=(_NAMED_PORT,)),
    network_mode="awsvpc",
    requires_compatibilities=("FARGATE",),
    cpu="256",
    memory="512",
)
VOLUME = _definition(
    "volume",
    _container(mount_points=(ecs.MountPoint(source_volume="data", container_path="/data"),)),
    volumes=(ecs.Volume(name="data"),),
)
#: Tasks of this family run in some zones only.
ZONES_ALLOWED = ("eu-west-1a", "eu-west-1b")
ZONAL = _definition(
    "zonal",
    _container(),
    placement_constraints=(
        ecs.TaskDefinitionPlacementConstraint(
            type="memberOf", expression=f"attribute:ecs.availability-zone in [{', '.join(ZONES_ALLOWED)}]"
        ),
    ),
)

DEFINITIONS = (
    WEB, WEB_AGAIN, STATIC_PORT, DYNAMIC_PORT, BIG, JOB, SHORT, CRASH, CRASH_BEHIND_PORT, OOM, MISSING, NO_COMMAND,
    HEALTHY, SICK, STUBBORN, PAIR, VPC, FARGATE, VOLUME, ZONAL,
)  # fmt: skip
#: Families whose tasks run until they are told to stop.
LASTING = (
    "web", "again", "port", "dynamic", "big", "healthy", "stubborn", "pair", "vpc", "fargate", "volume", "zonal",
)  # fmt: skip
#: Families whose tasks never last: services of them never become steady.
FAILING = ("job", "short", "crash", "crashport", "oom", "missing", "nocommand", "sick")
#: Families whose tasks are never healthy for as long as a deployment with a circuit breaker asks.
NEVER_HEALTHY = ("short", "crash", "crashport", "oom", "missing", "nocommand")
AWSVPC = ("vpc", "fargate")
#: Capacity providers, each of the Auto Scaling group of its own name.
PROVIDERS = ("blue", "green")
