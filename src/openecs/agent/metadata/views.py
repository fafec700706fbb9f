"""Tasks and containers as the metadata endpoint shows them.  Pure; field names and order are ECS's."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Mapping
from typing import Any

import msgspec

from openecs.acs.messages import ContainerPayload, TaskPayload
from openecs.agent.engine import names
from openecs.agent.engine.task_state import ContainerState, TaskState
from openecs.agent.runtime.protocol import ContainerInfo

_ORDER = ("NONE", "PULLED", "CREATED", "RUNNING", "STOPPED")


def task(
    payload: TaskPayload,
    state: TaskState,
    containers: list[dict[str, Any]],
    *,
    cluster: str,
    availability_zone: str,
    version: int,
) -> dict[str, Any]:
    """``/task``; ``version`` is 3 or 4."""
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
        "Limits": limits or None,
        "PullStartedAt": timestamp(state.pull_started_at),
        "PullStoppedAt": timestamp(state.pull_stopped_at),
        "ExecutionStoppedAt": timestamp(state.execution_stopped_at),
        "AvailabilityZone": availability_zone or None,
    }
    if version == 4:
        view["LaunchType"] = payload.launch_type
    view["Containers"] = containers
    if version == 4:
        view["ServiceName"] = payload.service_name
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
    """``/`` of a container; ``info`` is what the engine says of it, once it exists."""
    definition = next(c for c in payload.containers if c.name == own.name)
    status = own.status
    view: dict[str, Any] = {
        "DockerId": own.container_id or "",
        "Name": own.name,
        "DockerName": names.container_name(payload, own.name),
        "Image": definition.image,
        "ImageID": (info.image_id if info is not None else own.image_id) or "",
        "Ports": _ports(own),
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
    view["Networks"] = [network(payload, info)]
    if definition.restart_policy is not None and definition.restart_policy.enabled:
        view["RestartCount"] = own.restarts
    keep = ("DockerId", "ImageID")
    return {key: value for key, value in view.items() if key in keep or value not in (None, "", [], {})}


def network(payload: TaskPayload, info: ContainerInfo | None) -> dict[str, Any]:
    """One entry of ``Networks``."""
    if payload.network_mode == "awsvpc" and payload.elastic_network_interfaces:
        eni = payload.elastic_network_interfaces[0]
        gateway, _, prefix = eni.subnet_gateway_ipv4_address.partition("/")
        addresses = [a.private_address for a in eni.ipv4_addresses]
        return _without_empty(
            {
                "NetworkMode": "awsvpc",
                "IPv4Addresses": addresses,
                "AttachmentIndex": eni.index,
                "MACAddress": eni.mac_address,
                "IPv4SubnetCIDRBlock": _block(gateway, prefix),
                "DomainNameServers": list(eni.domain_name_servers),
                "DomainNameSearchList": list(eni.domain_name),
                "PrivateDNSName": eni.private_dns_name,
                "SubnetGatewayIpv4Address": eni.subnet_gateway_ipv4_address,
            }
        )
    addresses = [a for a in info.addresses.values() if a] if info is not None else []
    return {"NetworkMode": payload.network_mode, "IPv4Addresses": addresses}


def task_status(state: TaskState) -> str:
    """The least advanced of the containers' states, unless the task has stopped."""
    if state.status != "NONE":
        return state.status
    return min((c.status for c in state.containers), key=_ORDER.index, default="NONE")


def timestamp(seconds: float | None) -> str | None:
    """RFC 3339 in UTC with as many decimals as there are."""
    if seconds is None:
        return None
    text = dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="microseconds").removesuffix("+00:00")
    return text.rstrip("0").rstrip(".") + "Z"


def _ports(own: ContainerState) -> list[dict[str, Any]]:
    return [
        {"ContainerPort": b.container_port, "Protocol": b.protocol, "HostPort": b.host_port, "HostIp": b.bind_ip}
        for b in own.bindings
        if b.container_port is not None
    ]


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
