"""What of a container definition goes to the engine as Docker's Config and HostConfig.  Pure.

Agents build the two themselves from image, command, environment, ports, links, binds, memory
and CPU shares, and lay these texts over them; so here is everything else.  Only what the
definition asks for is written: absent members keep the engine's defaults.
"""

from __future__ import annotations

from typing import Any

import msgspec

from openecs.acs.payload_logs import LogTarget, log_config
from openecs.shapes import ecs

MIB = 1024 * 1024
SECOND_NS = 1_000_000_000
#: The lowest Docker API that has every member below; agents may use a higher one.
API_VERSION = "1.25"
#: AWS's defaults of a health check.
INTERVAL, TIMEOUT, RETRIES = 30, 5, 3
#: The letters of Docker's device rule.
_PERMISSIONS = {"read": "r", "write": "w", "mknod": "m"}

_encode = msgspec.json.Encoder().encode


def config_json(container: ecs.ContainerDefinition) -> str:
    """The container's Config: what is said about its process."""
    config: dict[str, Any] = {}
    _put(config, "User", container.user)
    _put(config, "WorkingDir", container.working_directory)
    _put(config, "Hostname", container.hostname)
    _put(config, "Tty", container.pseudo_terminal)
    _put(config, "OpenStdin", container.interactive)
    _put(config, "Labels", container.docker_labels)
    if container.health_check is not None:
        config["Healthcheck"] = _health_check(container.health_check)
    return _encode(config).decode()


def host_config_json(
    container: ecs.ContainerDefinition,
    definition: ecs.TaskDefinition,
    *,
    memory_mib: int | None,
    memory_reservation_mib: int | None,
    network_mode: str,
    task_id: str,
    log_target: LogTarget,
) -> str:
    """The container's HostConfig: what is said about its place on the host.

    The amounts are in MiB with overrides applied; ``log_target`` is where logs go.
    """
    host: dict[str, Any] = {}
    if network_mode != "awsvpc":
        # The agent puts the containers of an awsvpc task into the task's own namespace.
        host["NetworkMode"] = "none" if container.disable_networking else network_mode
    _put(host, "Privileged", container.privileged)
    _put(host, "ReadonlyRootfs", container.readonly_root_filesystem)
    _put(host, "Dns", container.dns_servers)
    _put(host, "DnsSearch", container.dns_search_domains)
    _put(host, "ExtraHosts", [f"{h.hostname}:{h.ip_address}" for h in container.extra_hosts or ()])
    _put(host, "SecurityOpt", container.docker_security_options)
    _put(host, "Ulimits", [_ulimit(u) for u in container.ulimits or ()])
    _put(host, "Sysctls", {s.namespace: s.value or "" for s in container.system_controls or () if s.namespace})
    if memory_reservation_mib:
        host["MemoryReservation"] = memory_reservation_mib * MIB
    if container.linux_parameters is not None:
        _linux_parameters(host, container.linux_parameters, memory_mib)
    if definition.pid_mode == "host":
        host["PidMode"] = "host"
    if definition.ipc_mode in ("host", "none"):
        host["IpcMode"] = definition.ipc_mode
    if container.log_configuration is not None:
        host["LogConfig"] = log_config(
            container.log_configuration, container=container.name or "", task_id=task_id, target=log_target
        )
    return _encode(host).decode()


def _linux_parameters(host: dict[str, Any], linux: ecs.LinuxParameters, memory_mib: int | None) -> None:
    if linux.capabilities is not None:
        _put(host, "CapAdd", linux.capabilities.add)
        _put(host, "CapDrop", linux.capabilities.drop)
    _put(host, "Devices", [_device(device) for device in linux.devices or ()])
    _put(host, "Init", linux.init_process_enabled)
    if linux.shared_memory_size:
        host["ShmSize"] = linux.shared_memory_size * MIB
    _put(
        host,
        "Tmpfs",
        {t.container_path: ",".join((f"size={t.size}m", *(t.mount_options or ()))) for t in linux.tmpfs or ()},
    )
    if linux.max_swap is not None and memory_mib:
        # Docker counts memory and swap together; AWS gives the swap alone.  Without maxSwap
        # AWS leaves swap to the host and ignores the swappiness.
        host["MemorySwap"] = (memory_mib + linux.max_swap) * MIB
        _put(host, "MemorySwappiness", linux.swappiness, keep_zero=True)


def _health_check(check: ecs.HealthCheck) -> dict[str, Any]:
    rendered: dict[str, Any] = {
        "Test": check.command,
        "Interval": _first(check.interval, INTERVAL) * SECOND_NS,
        "Timeout": _first(check.timeout, TIMEOUT) * SECOND_NS,
        "Retries": _first(check.retries, RETRIES),
    }
    if check.start_period:
        rendered["StartPeriod"] = check.start_period * SECOND_NS
    return rendered


def _device(device: ecs.Device) -> dict[str, str]:
    permissions = device.permissions or ("read", "write", "mknod")
    return {
        "PathOnHost": device.host_path,
        "PathInContainer": device.container_path or device.host_path,
        "CgroupPermissions": "".join(_PERMISSIONS[p] for p in permissions),
    }


def _ulimit(ulimit: ecs.Ulimit) -> dict[str, Any]:
    return {"Name": ulimit.name, "Soft": ulimit.soft_limit, "Hard": ulimit.hard_limit}


def _put(target: dict[str, Any], name: str, value: object, *, keep_zero: bool = False) -> None:
    if value or (keep_zero and value is not None):
        target[name] = value


def _first(value: int | None, default: int) -> int:
    return default if value is None else value
