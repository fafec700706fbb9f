"""The Docker container-create body of a container.  Pure.

The agent builds its own Config and HostConfig, lays the payload's ``dockerConfig`` texts over
them and forces its labels last, as the agent protocol says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from openecs import arn as arns
from openecs.acs.task_payload import ContainerPayload, TaskPayload
from openecs.agent import gpus
from openecs.agent.engine import firelens, names
from openecs.agent.engine.ports import parse_range
from openecs.shapes import ecs

MIB = 1024 * 1024
#: What Docker takes at least.
MINIMUM_MEMORY = 4 * MIB
MINIMUM_SHARES, MAXIMUM_SHARES = 2, 262144


class DockerConfigError(Exception):
    """The payload's Config or HostConfig is no JSON object, or its devices cannot be given."""


class BodyInputs(msgspec.Struct, frozen=True, kw_only=True):
    """What the body depends on besides the payload."""

    labels: Mapping[str, str]
    #: Environment added by the agent; the task's own wins for the region.
    environment: Mapping[str, str]
    #: Names set in the image, so that the agent does not override them.
    image_env: frozenset[str] = frozenset()
    bindings: Sequence[ecs.NetworkBinding] = ()
    #: Overrides the payload's NetworkMode (``container:<pause id>``).
    network_mode: str | None = None
    cgroup_parent: str | None = None
    #: volume name → source for binds (host path or engine volume name).
    volumes: Mapping[str, str] = {}
    #: ``/v2/credentials/<id>`` of the execution role, for log drivers that sign for themselves.
    log_credentials: str | None = None
    #: Where the files of the task's log router are, if it has one.
    router: firelens.Place | None = None
    #: For containers whose definition names none; empty leaves the choice to the engine.
    name_servers: Sequence[str] = ()


def build(task: TaskPayload, container: ContainerPayload, inputs: BodyInputs) -> dict[str, Any]:
    """The body for ``POST /containers/create``.

    Raises ``DockerConfigError``.
    """
    try:
        own_gpus = gpus.own(task, container.name)
    except ValueError as error:
        raise DockerConfigError(str(error)) from None
    config = _config(container, inputs, own_gpus)
    host = _host_config(task, container, inputs)
    config |= _overlay(container.docker_config.config, "config")
    host |= _overlay(container.docker_config.host_config, "hostConfig")
    if own_gpus:
        host["DeviceRequests"] = gpus.device_requests(own_gpus)
    if inputs.network_mode is not None:
        host["NetworkMode"] = inputs.network_mode
        if inputs.network_mode.startswith("container:"):
            # These belong to the container whose network is joined; engines refuse them here.
            for member in ("Dns", "DnsSearch", "DnsOptions", "ExtraHosts", "PortBindings", "Links"):
                host.pop(member, None)
            config.pop("Hostname", None)
            config.pop("ExposedPorts", None)
    config["Labels"] = {**(config.get("Labels") or {}), **inputs.labels}
    _awslogs(host, container, inputs)
    _firelens(host, task, container, inputs)
    config["HostConfig"] = host
    return config


def _config(container: ContainerPayload, inputs: BodyInputs, own_gpus: Sequence[str]) -> dict[str, Any]:
    environment = dict(container.environment)
    for key, value in inputs.environment.items():
        if key in ("AWS_REGION", "AWS_DEFAULT_REGION") and _region_is_set(container, inputs):
            continue
        environment[key] = value
    if own_gpus:
        environment[gpus.VISIBLE_DEVICES] = ",".join(own_gpus)
    config: dict[str, Any] = {
        "Image": container.image,
        "Env": [f"{key}={value}" for key, value in environment.items()],
    }
    command = _command(container)
    if command:
        config["Cmd"] = list(command)
    if container.entry_point is not None:
        config["Entrypoint"] = list(container.entry_point)
    exposed: dict[str, dict[str, str]] = {port: {} for port in _published(inputs.bindings)}
    if exposed:
        config["ExposedPorts"] = exposed
    return config


def _host_config(task: TaskPayload, container: ContainerPayload, inputs: BodyInputs) -> dict[str, Any]:
    host: dict[str, Any] = {"CpuShares": min(max(container.cpu, MINIMUM_SHARES), MAXIMUM_SHARES)}
    if task.network_mode in ("bridge", "host", "none"):
        host["NetworkMode"] = task.network_mode
    if container.memory:
        host["Memory"] = max(container.memory * MIB, MINIMUM_MEMORY)
    if inputs.name_servers:
        host["Dns"] = list(inputs.name_servers)
    if inputs.bindings:
        host["PortBindings"] = {
            port: [{"HostIp": "", "HostPort": str(host_port)}]
            for port, host_port in _published(inputs.bindings).items()
        }
    if container.links:
        host["Links"] = [_link(task, link) for link in container.links]
    if container.mount_points:
        host["Binds"] = [
            f"{inputs.volumes[m.source_volume]}:{m.container_path}" + (":ro" if m.read_only else "")
            for m in container.mount_points
        ]
    if container.volumes_from:
        host["VolumesFrom"] = [
            names.container_name(task, v.source_container) + (":ro" if v.read_only else ":rw")
            for v in container.volumes_from
        ]
    if inputs.cgroup_parent is not None:
        host["CgroupParent"] = inputs.cgroup_parent
    return host


def _firelens(host: dict[str, Any], task: TaskPayload, container: ContainerPayload, inputs: BodyInputs) -> None:
    """The router's files, and the engine's driver for who logs to it."""
    place = inputs.router
    if place is None:
        return
    if container.firelens_configuration is not None:
        host["Binds"] = [*(host.get("Binds") or []), *firelens.binds(container.firelens_configuration, place)]
    log = host.get("LogConfig")
    if isinstance(log, dict) and log.get("Type") == firelens.DRIVER:
        given = log.get("Config") or {}
        host["LogConfig"] = firelens.log_config(container, given, arns.short(task.arn), place)


def _awslogs(host: dict[str, Any], container: ContainerPayload, inputs: BodyInputs) -> None:
    log = host.get("LogConfig")
    if not isinstance(log, dict) or log.get("Type") != "awslogs":
        return
    options = dict(log.get("Config") or {})
    if options.get("mode") == "non-blocking":
        options.setdefault("max-buffer-size", "10m")
    if container.logs_auth_strategy == "ExecutionRole" and inputs.log_credentials is not None:
        options["awslogs-credentials-endpoint"] = inputs.log_credentials
    host["LogConfig"] = {**log, "Config": options}


def _region_is_set(container: ContainerPayload, inputs: BodyInputs) -> bool:
    names_set = {"AWS_REGION", "AWS_DEFAULT_REGION"}
    return bool(names_set & container.environment.keys() or names_set & inputs.image_env)


def _command(container: ContainerPayload) -> Sequence[str]:
    """The command; ``overrides`` may replace it and nothing else."""
    overrides = _overlay(container.overrides, "overrides")
    command = overrides.get("command")
    return command if isinstance(command, list) else container.command


def _link(task: TaskPayload, link: str) -> str:
    name, _, alias = link.partition(":")
    return f"{names.container_name(task, name)}:{alias or name}"


def _published(bindings: Sequence[ecs.NetworkBinding]) -> dict[str, int]:
    """``80/tcp`` → host port, ranges spelled out."""
    ports: dict[str, int] = {}
    for binding in bindings:
        protocol = binding.protocol or "tcp"
        if binding.container_port is not None and binding.host_port is not None:
            ports[f"{binding.container_port}/{protocol}"] = binding.host_port
        elif binding.container_port_range is not None and binding.host_port_range is not None:
            first, last = parse_range(binding.container_port_range)
            host_first, _ = parse_range(binding.host_port_range)
            for offset in range(last - first + 1):
                ports[f"{first + offset}/{protocol}"] = host_first + offset
    return ports


def _overlay(text: str, what: str) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(text or "{}")
    except msgspec.DecodeError as error:
        raise DockerConfigError(f"unable to decode {what}: {error}") from None
    if not isinstance(value, dict):
        raise DockerConfigError(f"unable to decode {what}: not an object")
    return value
