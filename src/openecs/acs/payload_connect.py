"""A task's part in Service Connect, as its agent gets it.  Pure.

Each name of the namespace has an address of the task's own loopback network, where the proxy
listens: names on the same port do not meet.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import msgspec

from openecs.acs.payload_logs import LogTarget, log_config
from openecs.acs.task_payload import ConnectAlias, ConnectIngress, ConnectPayload
from openecs.model.service_connect import ServiceConnect, endpoint_key

#: Stands for the proxy in names of log streams.
PROXY = "ecs-service-connect"
#: The first address of names: as AWS has it.
FIRST_ADDRESS = ipaddress.IPv4Address("127.255.0.1")

#: The first port at which the proxy listens for what comes in at container ports: above those that
#: Linux gives to connections.
FIRST_LISTENER = 61_700


def render(connect: ServiceConnect, task_id: str, log_target: LogTarget) -> ConnectPayload:
    """The names with their addresses, the ports behind which the proxy stands, and its log."""
    access = connect.access_log
    log = _log(connect, task_id, log_target)
    addresses = {
        name: str(FIRST_ADDRESS + number)
        for number, name in enumerate(dict.fromkeys(name.dns_name for name in connect.names))
    }
    return ConnectPayload(
        aliases=tuple(
            ConnectAlias(
                name=name.dns_name,
                address=addresses[name.dns_name],
                port=name.port,
                endpoint=endpoint_key(connect.namespace_id, name.discovery_name),
                protocol=name.protocol,
            )
            for name in connect.names
        ),
        ingress=tuple(_ingress(connect, log)),
        log_config=log,
        access_log=access.format if access is not None else "",
        access_log_queries=access is not None and access.include_query_parameters == "ENABLED",
    )


def _ingress(connect: ServiceConnect, log: str) -> Iterator[ConnectIngress]:
    """The ports behind which the proxy stands: those that are overridden, and all whose traffic it writes down."""
    logs = bool(log) and connect.access_log is not None
    # More than one Service Connect service may offer a port.
    ports = {port.ingress_port: port for port in connect.ports}
    for number, port in enumerate(ports.values()):
        own = port.ingress_port == port.container_port
        if own and not logs:
            continue
        yield ConnectIngress(
            port=port.ingress_port,
            container_port=port.container_port,
            protocol=port.protocol,
            listener=FIRST_LISTENER + number if own else 0,
        )


def _log(connect: ServiceConnect, task_id: str, target: LogTarget) -> str:
    given = connect.log_configuration
    if given is None:
        return ""
    return msgspec.json.encode(log_config(given, container=PROXY, task_id=task_id, target=target)).decode()
