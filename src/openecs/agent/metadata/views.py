"""Tasks and containers as the metadata endpoint shows them.  Pure; field names and order are ECS's."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Mapping
from typing import Any

import msgspec

from openecs.acs.task_payload import ContainerPayload, TaskPayload
from openecs.agent.engine import names
from openecs.agent.engine.task_state import ContainerState, TaskState
from openecs.agent.metadata.tags import Tags
from openecs.agent.network.pause_image import REFERENCE as PAUSE_IMAGE
from openecs.agent.runtime.protocol import ContainerInfo

_ORDER = ("NONE", "PULLED", "CREATED", "RUNNING", "STOPPED")


def task(
    payload: TaskPayload,
    state: TaskState,
    containers: list[dict[str, Any]],
    *,
    cluster: str,
    availability_zone: str,
    tags: Tags = Tags(),  # noqa: B008 -- immutable
    version: int,
) -> dict[str, Any]:
    """A task; ``version`` is 2, 3 or 4.  Versions 2 and 3 are the same."""
    limits: dict[str, Any] = {}
    if payload.cpu:
        limits["CPU"] = payload.cpu
    if payload.memory:
        limits["Memory"] = payload.memory
    view: dict[str, Any] = {
        "Cluster": cluster,
        "TaskARN": payload.arn,
        "Family": payload.family,
        "Revision": payload.version,
        "DesiredStatus": state.desired,
        "KnownStatus": task_status(state),
    }
    if version < 4:
        view["Containers"] = containers or None
    view |= {
        "Limits": limits or None,
        "PullStartedAt": timestamp(state.pull_started_at),
        "PullStoppedAt": timestamp(state.pull_stopped_at),
        "ExecutionStoppedAt": timestamp(state.execution_stopped_at),
        "AvailabilityZone": availability_zone or None,
        "TaskTags": tags.task or None,
        "ContainerInstanceTags": tags.container_instance or None,
    }
    if version == 4:
        view["LaunchType"] = payload.launch_type
        view["Errors"] = tags.errors or None
        view["Containers"] = containers or None
        view["ServiceName"] = payload.service_name or None
        view["FaultInjectionEnabled"] = False
    return _without_empty(view)


def container(
    payload: TaskPayload,
    state: TaskState,
    own: ContainerState,
    info: ContainerInfo | None,
    labels: Mapping[str, str],
    *,
    version: int,
) -> dict[str, Any]:
    """A container; ``info`` is what the engine says of it, once it exists."""
    definition = next(c for c in payload.containers if c.name == own.name)
    status = own.status
    view: dict[str, Any] = {
        "DockerId": own.container_id or "",
        "Name": own.name,
        "DockerName": names.container_name(payload, own.name),
        "Image": definition.requested_image or definition.image,
        "ImageID": (info.image_id if info is not None else own.image_id) or "",
        "Ports": _ports(own, info, version),
        "Labels": dict(info.labels) if info is not None else dict(labels),
        "DesiredStatus": state.desired,
        "KnownStatus": status,
        "ExitCode": own.exit_code,
        "Limits": {"CPU": max(definition.cpu, 2), "Memory": definition.memory},
        "CreatedAt": timestamp(info.created_at) if info is not None else None,
        "StartedAt": timestamp(own.started_at),
        "FinishedAt": timestamp(own.finished_at) if status == "STOPPED" and own.has_run else None,
        "Type": "NORMAL",
    }
    networks = [network(payload, info, version=version)] if version > 2 or payload.network_mode == "awsvpc" else []
    if version < 4:
        view["Networks"] = networks
    if (definition.health_check_type or "").lower() == "docker":
        view["Health"] = _without_empty(
            {
                "status": own.health,
                "statusSince": timestamp(own.health_since),
                "exitCode": own.health_exit_code,
                "output": own.health_output or None,
            }
        )
    view["Volumes"] = _volumes(info)
    if version == 4:
        view |= _log(definition)
        view["ContainerARN"] = definition.container_arn or None
        view["Networks"] = networks
        if definition.restart_policy is not None and definition.restart_policy.enabled:
            view["RestartCount"] = own.restarts
    keep = ("DockerId", "ImageID")
    return {key: value for key, value in view.items() if key in keep or value not in (None, "", [], {})}


def pause(payload: TaskPayload, state: TaskState, info: ContainerInfo, *, version: int) -> dict[str, Any]:
    """The container that holds an awsvpc task's network."""
    status = "RESOURCES_PROVISIONED" if info.status == "running" else "STOPPED"
    view: dict[str, Any] = {
        "DockerId": info.id,
        "Name": names.PAUSE,
        "DockerName": info.name,
        "Image": PAUSE_IMAGE,
        "ImageID": info.image_id,
        "Labels": dict(info.labels),
        "DesiredStatus": "RESOURCES_PROVISIONED" if state.desired == "RUNNING" else "STOPPED",
        "KnownStatus": status,
        "Limits": {"CPU": 0, "Memory": 0},
        "CreatedAt": timestamp(info.created_at),
        "StartedAt": timestamp(info.started_at),
        "Type": "CNI_PAUSE",
        "Networks": [network(payload, info, version=version)],
    }
    return _without_empty(view)


def network(payload: TaskPayload, info: ContainerInfo | None, *, version: int = 4) -> dict[str, Any]:
    """One entry of ``Networks``; details of the interface since version 4."""
    if payload.network_mode == "awsvpc" and payload.elastic_network_interfaces:
        eni = payload.elastic_network_interfaces[0]
        gateway, _, prefix = eni.subnet_gateway_ipv4_address.partition("/")
        addresses = [a.private_address for a in eni.ipv4_addresses]
        if version < 4:
            return {"NetworkMode": "awsvpc", "IPv4Addresses": addresses}
        return _without_empty(
            {
                "NetworkMode": "awsvpc",
                "IPv4Addresses": addresses,
                "AttachmentIndex": eni.index,
                "MACAddress": eni.mac_address or None,
                "IPv4SubnetCIDRBlock": _block(gateway, prefix) or None,
                "DomainNameServers": list(eni.domain_name_servers) or None,
                "DomainNameSearchList": list(eni.domain_name) or None,
                "PrivateDNSName": eni.private_dns_name or None,
                "SubnetGatewayIpv4Address": eni.subnet_gateway_ipv4_address or None,
            }
        )
    addresses = [a for a in info.addresses.values() if a] if info is not None else []
    return _without_empty({"NetworkMode": payload.network_mode, "IPv4Addresses": addresses or None})


def task_status(state: TaskState) -> str:
    """The least advanced of the containers' states, unless the task has stopped."""
    if state.status != "NONE":
        return state.status
    least = min((c.status for c in state.containers), key=_ORDER.index, default="NONE")
    return "MANIFEST_PULLED" if least == "PULLED" else least


def timestamp(seconds: float | None) -> str | None:
    """RFC 3339 in UTC with as many decimals as there are."""
    if seconds is None:
        return None
    text = dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="microseconds").removesuffix("+00:00")
    return text.rstrip("0").rstrip(".") + "Z"


def _ports(own: ContainerState, info: ContainerInfo | None, version: int) -> list[dict[str, Any]]:
    """While it runs as the engine publishes them, which is for IPv6 too; else as they were asked for."""
    if info is not None and info.ports:
        bound = [(p.container_port, p.protocol, p.host_port, p.host_ip) for p in info.ports]
    else:
        bound = [
            (b.container_port, b.protocol or "tcp", b.host_port or 0, b.bind_ip or "")
            for b in own.bindings
            if b.container_port is not None
        ]
    shown: list[dict[str, Any]] = []
    for container_port, protocol, host_port, host_ip in bound:
        port: dict[str, Any] = {"ContainerPort": container_port, "Protocol": protocol}
        if host_port:
            port["HostPort"] = host_port
        if version == 4 and host_ip:
            port["HostIp"] = host_ip
        shown.append(port)
    return shown


def _volumes(info: ContainerInfo | None) -> list[dict[str, str]]:
    return [] if info is None else [{"Source": source, "Destination": target} for source, target, _ in info.mounts]


def _log(definition: ContainerPayload) -> dict[str, Any]:
    try:
        host = msgspec.json.decode(definition.docker_config.host_config or "{}")
    except msgspec.DecodeError:
        return {}
    log = host.get("LogConfig") if isinstance(host, dict) else None
    if not isinstance(log, dict):
        return {}
    return {"LogDriver": log.get("Type"), "LogOptions": log.get("Config") or None}


def _block(gateway: str, prefix: str) -> str:
    return str(ipaddress.IPv4Interface(f"{gateway}/{prefix}").network) if prefix else ""


def _without_empty(view: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in view.items() if value is not None}
